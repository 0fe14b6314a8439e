"""The library's front: what it says, to many threads, to an event loop, and after a fork."""

import asyncio
import gc
import json
import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sandbox import CONTEXT, NOW, SESSION, USER, MakeSettings, Time

from authorizer.clock import Clock
from authorizer.errors import Misconfigured, Outcome, Reason
from authorizer.middleware import HankoAuthenticator, Refused, Session
from authorizer.middleware.authenticator import Source, start_anew
from authorizer.middleware.incoming import Incoming
from authorizer.middleware.shared import OVERDUE_SECONDS, SessionsAtOnce, SharedSessions
from authorizer.model import CheckReport, Claims
from local.hanko import StandInHanko

MakeAuthenticator = Callable[..., HankoAuthenticator]

HANG_GUARD_SECONDS = 15
FRESH_SECONDS = 600
RULES = """
default = "deny"
[[rule]]
name = "everybody"
routes = ["GET /me", "GET /socket"]
[[rule]]
name = "admins"
routes = ["* /admin/*"]
require = { role = "admin" }
"""


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def passes(call: Callable[[], object]) -> bool:
    return isinstance(call(), Session)


def refusal(call: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    assert caught.value.__cause__ is None
    return caught.value


# --- one request


def test_who_is_calling(authenticator: HankoAuthenticator, hanko: StandInHanko, time_: Time) -> None:
    """What docs/backend.md says a backend receives, and typed attributes beside it."""
    time_.wall = NOW
    token = hanko.mint(claims={"sub": USER, "session_id": SESSION})
    session = authenticator.authenticate(bearer(token))
    assert session.claims == CONTEXT
    assert (session.user_id, session.session_id, session.email, session.email_verified, session.username) == (
        *(USER, SESSION, "user@example.com", True),
        "example-user",
    )
    assert (session.amr, session.issued_at, session.expires_at) == (("passkey",), NOW, NOW + 43_200)


@pytest.mark.parametrize("where", ["header", "pairs", "cookie header", "two cookie headers", "cookies"])
def test_where_the_token_may_be(authenticator: HankoAuthenticator, hanko: StandInHanko, where: str) -> None:
    token, cookies = hanko.mint(), None
    headers: Any = {
        "header": {"authorization": f"bearer {token}"},
        "pairs": [("AUTHORIZATION", f"Bearer {token}")],
        "cookie header": {"Cookie": f"a=b; hanko={token}"},
        "two cookie headers": [("cookie", "a=b"), ("cookie", f"hanko={token}")],
        "cookies": {"Cookie": "hanko=another"},
    }[where]
    if where == "cookies":
        cookies = {"a": "b", "hanko": token}
    assert isinstance(authenticator.authenticate(headers, cookies), Session)


def test_two_tokens_are_none(authenticator: HankoAuthenticator, hanko: StandInHanko) -> None:
    token = f"Bearer {hanko.mint()}"
    headers = [("Authorization", token), ("authorization", token)]
    assert refusal(lambda: authenticator.authenticate(headers)).reason is Reason.TOKEN_AMBIGUOUS


def test_no_cookie_smuggles_another(authenticator: HankoAuthenticator, hanko: StandInHanko) -> None:
    """Frameworks decode quoted cookies: what a user may write into one of yours can hold a semicolon."""
    smuggled = {"theme": f"dark; hanko={hanko.mint()}"}
    assert refusal(lambda: authenticator.authenticate({}, smuggled)).reason is Reason.TOKEN_MISSING
    assert passes(lambda: authenticator.authenticate({}, {**smuggled, "hanko": hanko.mint()}))


def test_a_session_does_not_print_itself(authenticator: HankoAuthenticator, hanko: StandInHanko) -> None:
    token = hanko.mint()
    assert repr(authenticator.authenticate(bearer(token))) == "Session(...)"
    assert token not in repr(Incoming([("authorization", token)]))


# --- refusals


def test_every_reason_has_a_status_and_an_answer() -> None:
    """401 only for what we do not know, 5xx for what could not be found out."""
    for reason in Reason:
        if reason.outcome in (Outcome.ALLOWED, Outcome.RECEIVED):
            continue
        refused = Refused(reason)
        assert (refused.status == 401) == (reason.outcome is Outcome.UNAUTHENTICATED), reason
        assert (refused.status >= 500) == (reason.outcome in (Outcome.UNAVAILABLE, Outcome.MISCONFIGURED)), reason
        problem = json.loads(refused.body)
        assert problem.keys() == {"type", "title", "status", "detail"}
        assert (problem["status"], problem["detail"]) == (refused.status, reason.value)
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert ("Retry-After" in refused.headers) == (refused.status == 503)
        assert refused.status_line.startswith(f"{refused.status} ")


@pytest.mark.parametrize(
    ("reason", "challenge"),
    [
        (Reason.TOKEN_MISSING, 'Bearer realm="hanko"'),
        (Reason.TOKEN_EXPIRED, 'Bearer realm="hanko", error="invalid_token", error_description="token_expired"'),
        (Reason.RULE_NOT_MET, 'Bearer realm="hanko", error="insufficient_scope", error_description="rule_not_met"'),
        (Reason.ORIGIN_NOT_ALLOWED, None),
        (Reason.KEYS_UNAVAILABLE, None),
        (Reason.INTERNAL, None),
    ],
)
def test_the_challenge(reason: Reason, challenge: str | None) -> None:
    assert Refused(reason).www_authenticate == challenge
    assert Refused(reason).headers.get("WWW-Authenticate") == challenge


def test_what_nobody_foresaw_is_a_500(
    authenticator: HankoAuthenticator, caplog: pytest.LogCaptureFixture, hanko: StandInHanko
) -> None:
    """And its text, which may hold what the caller wrote, is not logged."""
    secret = hanko.mint()
    headers: Any = [("authorization", secret, "too much")]
    assert refusal(lambda: authenticator.authenticate(headers)).status == 500
    assert [record.getMessage() for record in caplog.records] == ["internal: ValueError"]


def test_an_outage_is_logged_and_a_bad_token_is_not(
    authenticator: HankoAuthenticator, hanko: StandInHanko, caplog: pytest.LogCaptureFixture
) -> None:
    assert refusal(lambda: authenticator.authenticate({})).status == 401
    hanko.behave("status", code=404)
    assert refusal(lambda: authenticator.authenticate(bearer(hanko.mint()))).reason is Reason.KEYS_UNAVAILABLE
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [(logging.ERROR, "keys_unavailable: status")]


# --- settings


def test_the_settings_are_those_of_the_authorizer(hanko: StandInHanko) -> None:
    environ = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost", "HANKO_COOKIE_NAME": "session"}
    made = HankoAuthenticator.from_env(environ)
    assert passes(lambda: made.authenticate({"Cookie": f"session={hanko.mint()}"}))
    made = HankoAuthenticator.from_env(environ, cookie_name="other", log_user_id=True)
    assert passes(lambda: made.authenticate({"Cookie": f"other={hanko.mint()}"}))


def test_the_environment_is_read_when_asked_for(hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANKO_API_URL", hanko.url)
    monkeypatch.setenv("HANKO_AUDIENCE", "localhost")
    assert passes(lambda: HankoAuthenticator.from_env().authenticate(bearer(hanko.mint())))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "HANKO_API_URL is missing"),
        ({"api_url": "https://hanko.example.com"}, "HANKO_AUDIENCE is missing"),
        ({"api_url": "https://hanko.example.com", "audience": "a", "typo": "x"}, "'HANKO_TYPO' is not a setting"),
        ({"api_url": "https://hanko.example.com", "audience": "a", "revocation_table": "abc"}, "HANKO_SESSION_CHECK"),
        ({"api_url": "https://hanko.example.com", "audience": "a", "rules_parameter": "a"}, "HANKO_RULES_FILE"),
        ({"api_url": "https://hanko.example.com", "audience": "a", "keys_file": "a"}, "HANKO_KEYS_FILE"),
        ({"api_url": "https://hanko.example.com", "audience": "a", "rules_file": "/no/file"}, "file is missing"),
        ({"behind": "cloudfront"}, "HANKO_BEHIND must be one of api-gateway, lambda-web-adapter"),
        ({"behind": "lambda-web-adapter"}, "is for Lambda alone"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        HankoAuthenticator(**settings)


def test_nothing_is_asked_before_the_first_request(authenticator: HankoAuthenticator, hanko: StandInHanko) -> None:
    assert hanko.jwks_requests == 0
    authenticator.authenticate(bearer(hanko.mint()))
    assert hanko.jwks_requests == 1


# --- rules


@pytest.fixture
def ruled(make_authenticator: MakeAuthenticator, tmp_path: Path) -> HankoAuthenticator:
    (tmp_path / "rules.toml").write_text(RULES)
    return make_authenticator(rules_file=str(tmp_path / "rules.toml"))


@pytest.mark.parametrize(
    ("method", "path", "role", "reason"),
    [
        ("GET", "/me", None, None),
        ("POST", "/me", None, Reason.NO_RULE_GRANTS),
        ("GET", "/other", None, Reason.NO_RULE_GRANTS),
        ("GET", "/admin/x", None, Reason.RULE_NOT_MET),
        ("DELETE", "/admin/x", "admin", None),
        ("GET", "/admin/../me", "admin", Reason.NO_RULE_GRANTS),
    ],
)
def test_rules_are_by_method_and_path(  # noqa: PLR0913, PLR0917 - rules, request, verdict
    ruled: HankoAuthenticator, hanko: StandInHanko, method: str, path: str, role: str | None, reason: Reason | None
) -> None:
    headers = bearer(hanko.mint(claims={"role": role}))
    if reason is None:
        assert passes(lambda: ruled.authenticate(headers, method=method, path=path))
    else:
        assert refusal(lambda: ruled.authenticate(headers, method=method, path=path)).reason is reason


@pytest.mark.parametrize("default", ["allow", "deny"])
@pytest.mark.parametrize("known", [{}, {"path": "/me"}, {"method": "GET"}])
def test_a_call_that_says_not_what_is_asked_for_must_meet_every_rule(
    make_authenticator: MakeAuthenticator, hanko: StandInHanko, tmp_path: Path, default: str, known: dict[str, str]
) -> None:
    """`authenticate(headers)` alone was a GET of `/`, which rules seldom name. With "deny" nothing grants it."""
    guarded = f'default = "{default}"\n[[rule]]\nname = "a"\nroutes = ["* /admin"]\nrequire = {{role = "admin"}}'
    (tmp_path / "rules.toml").write_text(guarded)
    made = make_authenticator(rules_file=str(tmp_path / "rules.toml"))
    user, admin = bearer(hanko.mint()), bearer(hanko.mint(claims={"role": "admin"}))
    assert refusal(lambda: made.authenticate(user, **known)).reason is Reason.RULE_NOT_MET  # type: ignore[arg-type]  # of texts
    if default == "allow":
        assert passes(lambda: made.authenticate(admin, **known))  # type: ignore[arg-type]  # as above
    else:
        assert refusal(lambda: made.authenticate(admin, **known)).reason is Reason.NO_RULE_GRANTS  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("rules", "path", "reason"),
    [
        (RULES, "/socket", None),
        (RULES, "/admin/socket", Reason.RULE_NOT_MET),
        (RULES, "/other", Reason.NO_RULE_GRANTS),
        (
            'default = "allow"\n[[rule]]\nname = "sockets"\nroutes = ["$connect"]\nrequire = {role = "admin"}',
            "/any",
            Reason.RULE_NOT_MET,
        ),
    ],
)
def test_a_websocket_meets_the_rules_of_its_path_and_those_of_connect(  # noqa: PLR0913, PLR0917 - rules, request, verdict
    make_authenticator: MakeAuthenticator,
    hanko: StandInHanko,
    tmp_path: Path,
    rules: str,
    path: str,
    reason: Reason | None,
) -> None:
    (tmp_path / "rules.toml").write_text(rules)
    made = make_authenticator(rules_file=str(tmp_path / "rules.toml"))
    incoming = Incoming([("authorization", f"Bearer {hanko.mint()}")], path=path, is_websocket=True)
    if reason is None:
        assert passes(lambda: made.session(incoming))
    else:
        assert refusal(lambda: made.session(incoming)).reason is reason


def test_a_websocket_may_bring_its_token_in_the_query_or_the_subprotocol(
    make_authenticator: MakeAuthenticator, hanko: StandInHanko
) -> None:
    made = make_authenticator(websocket_query_parameter="token", websocket_subprotocol="hanko.token")
    token = hanko.mint()
    assert passes(lambda: made.session(Incoming([], is_websocket=True, query={"token": [token]})))
    assert passes(
        lambda: made.session(Incoming([("sec-websocket-protocol", f"hanko.token, {token}")], is_websocket=True))
    )
    assert refusal(lambda: made.session(Incoming([], query={"token": [token]}))).reason is Reason.TOKEN_MISSING


# --- many threads


def in_threads(number: int, call: Callable[[], object]) -> list[object]:
    """What `call` returns or raises in as many threads, which begin together."""
    barrier = threading.Barrier(number)

    def one(_: int) -> object:
        barrier.wait(HANG_GUARD_SECONDS)
        try:
            return call()
        except Refused as refused:
            return refused.reason

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number), timeout=HANG_GUARD_SECONDS))


def test_32_threads_against_one_cold_authenticator_fetch_the_keys_once(
    authenticator: HankoAuthenticator, hanko: StandInHanko
) -> None:
    hanko.behave("slow", delay_seconds=0.3)
    token = hanko.mint()
    answers = in_threads(32, lambda: authenticator.authenticate(bearer(token)))
    assert all(isinstance(answer, Session) for answer in answers)
    assert hanko.jwks_requests == 1


def test_32_threads_and_no_hanko_ask_once(authenticator: HankoAuthenticator, hanko: StandInHanko) -> None:
    """Whoever waits for a fetch that fails does not begin the next one."""
    hanko.behave("status", code=404)
    token = hanko.mint()
    assert set(in_threads(32, lambda: authenticator.authenticate(bearer(token)))) == {Reason.KEYS_UNAVAILABLE}
    assert hanko.jwks_requests == 1


class Hanging:
    """A thread that waits for Hanko, until `end`."""

    def __init__(self, authenticator: HankoAuthenticator, hanko: StandInHanko, token: str) -> None:
        asked = hanko.jwks_requests
        hanko.behave("slow", delay_seconds=HANG_GUARD_SECONDS)
        self._hanko = hanko
        self._thread = threading.Thread(target=lambda: refusal(lambda: authenticator.authenticate(bearer(token))))
        self._thread.start()
        while hanko.jwks_requests == asked:
            threading.Event().wait(0.005)
        assert self._thread.is_alive()

    def end(self) -> None:
        assert self._thread.is_alive()
        self._hanko.behave("down")
        self._thread.join(HANG_GUARD_SECONDS)
        assert not self._thread.is_alive()


def test_a_known_key_does_not_wait_for_the_fetch_of_an_unknown_one(
    authenticator: HankoAuthenticator, hanko: StandInHanko
) -> None:
    token = hanko.mint()
    authenticator.authenticate(bearer(token))
    hanging = Hanging(authenticator, hanko, hanko.mint(header={"kid": str(uuid.uuid4())}))
    assert passes(lambda: authenticator.authenticate(bearer(token)))
    assert passes(lambda: asyncio.run(authenticator.session_async(Incoming([("authorization", f"Bearer {token}")]))))
    hanging.end()


def test_a_known_key_does_not_wait_for_a_set_that_is_a_little_overdue(
    authenticator: HankoAuthenticator, hanko: StandInHanko, time_: Time
) -> None:
    token = hanko.mint()
    authenticator.authenticate(bearer(token))
    time_.advance(FRESH_SECONDS + 1)
    hanko.behave("slow", delay_seconds=0.2)
    assert passes(lambda: authenticator.authenticate(bearer(token)))
    assert passes(lambda: authenticator.authenticate(bearer(token)))
    while hanko.jwks_requests < 2:
        threading.Event().wait(0.005)
    authenticator.authenticate(bearer(hanko.mint(key=hanko.rotate())))  # waits for its turn
    assert hanko.jwks_requests <= 3


def test_after_a_quiet_time_the_set_is_fetched_before_it_serves(
    authenticator: HankoAuthenticator, hanko: StandInHanko, time_: Time
) -> None:
    """A key that Hanko withdrew in the night does not open the door in the morning."""
    old = hanko.kids[0]
    token = hanko.mint()
    authenticator.authenticate(bearer(token))
    hanko.rotate()
    hanko.withdraw(old)
    time_.advance(FRESH_SECONDS + OVERDUE_SECONDS + 1)
    assert refusal(lambda: authenticator.authenticate(bearer(token))).reason is Reason.KEY_UNKNOWN


def test_without_hanko_the_keys_in_hand_serve_up_to_their_limit(
    make_authenticator: MakeAuthenticator, hanko: StandInHanko, time_: Time
) -> None:
    authenticator = make_authenticator(keys_max_stale_seconds=7200)
    token = hanko.mint()
    authenticator.authenticate(bearer(token))
    hanko.behave("down")
    for _ in range(3):
        time_.advance(FRESH_SECONDS + OVERDUE_SECONDS + 1)
        assert passes(lambda: authenticator.authenticate(bearer(token)))
    time_.advance(7200)
    assert refusal(lambda: authenticator.authenticate(bearer(token))).reason is Reason.KEYS_UNAVAILABLE


def test_a_key_that_changed_under_its_id_is_asked_for(
    authenticator: HankoAuthenticator, hanko: StandInHanko, time_: Time
) -> None:
    """As behind an alias of AWS KMS; the event loop leaves it to a thread."""
    authenticator.authenticate(bearer(hanko.mint()))
    time_.advance(60)
    old = hanko.kids[0]
    new = hanko.rotate()
    token = hanko.mint(header={"kid": old}, key=new)
    assert refusal(lambda: authenticator.authenticate(bearer(token))).reason is Reason.SIGNATURE_INVALID
    assert hanko.jwks_requests == 2
    with pytest.raises(Refused):
        asyncio.run(authenticator.session_async(Incoming([("authorization", f"Bearer {token}")])))


# --- sessions


def test_32_threads_ask_for_their_sessions_at_the_same_time(
    make_authenticator: MakeAuthenticator, hanko: StandInHanko
) -> None:
    """One after the other they would take 32 times as long as one: more than a deadline."""
    authenticator = make_authenticator(session_check="strict", fetch_timeout_seconds=5)
    hanko.behave("slow", endpoint="validate", delay_seconds=0.3)
    tokens = [hanko.mint() for _ in range(32)]
    answers = in_threads(32, lambda: authenticator.authenticate(bearer(tokens.pop())))
    assert all(isinstance(answer, Session) for answer in answers)


def test_what_one_thread_learnt_of_a_session_all_know(
    make_authenticator: MakeAuthenticator, hanko: StandInHanko
) -> None:
    authenticator = make_authenticator(session_check="hybrid")
    token = hanko.mint()
    authenticator.authenticate(bearer(token))
    hanko.behave("down", endpoint="validate")
    assert all(isinstance(one, Session) for one in in_threads(8, lambda: authenticator.authenticate(bearer(token))))


def test_a_session_that_ended_is_refused_and_one_that_cannot_be_asked_about_is_a_503(
    make_authenticator: MakeAuthenticator, hanko: StandInHanko, time_: Time
) -> None:
    authenticator = make_authenticator(session_check="strict")
    time_.advance(60)
    token = hanko.mint(claims={"session_id": SESSION, "iat": int(time_.wall) - 30})
    authenticator.authenticate(bearer(token))
    hanko.end_session(SESSION)
    ended = refusal(lambda: authenticator.authenticate(bearer(token)))
    assert (ended.status, ended.reason) == (401, Reason.SESSION_ENDED)
    hanko.behave("status", endpoint="validate", code=500)
    unknown = refusal(lambda: authenticator.authenticate(bearer(hanko.mint())))
    assert (unknown.status, unknown.reason) == (503, Reason.SESSION_UNCHECKED)


def test_what_does_not_wait_says_what_the_others_say(make_settings: MakeSettings) -> None:
    """All that a session check can be asked."""
    with ThreadPoolExecutor(1) as threads:
        sessions = SharedSessions(make_settings(session_check="hybrid"), Clock())
        at_once = SessionsAtOnce(sessions, threads)
        claims = Claims(USER, SESSION, NOW, NOW, {})
        assert at_once.seconds_left(claims) == sessions.seconds_left(claims) == 0
        assert at_once.take_report() == sessions.take_report() == CheckReport("session")


# --- asyncio


def test_the_event_loop_never_waits_for_hanko(make_authenticator: MakeAuthenticator, hanko: StandInHanko) -> None:
    """Cold keys, then a session that must be asked about: meanwhile the loop turns."""
    authenticator = make_authenticator(session_check="hybrid")
    incoming = Incoming([("authorization", f"Bearer {hanko.mint()}")])
    hanko.behave("slow", delay_seconds=0.3)
    hanko.behave("slow", endpoint="validate", delay_seconds=0.3)

    async def turns() -> int:
        """How often the loop came back while the request waited."""
        request = asyncio.ensure_future(authenticator.session_async(incoming))
        turned = 0
        while not request.done():
            await asyncio.sleep(0.01)
            turned += 1
        await request
        return turned

    assert asyncio.run(turns()) >= 20  # of 60
    assert passes(lambda: asyncio.run(authenticator.session_async(incoming)))  # remembered: no thread, no wait
    other = Incoming([("authorization", f"Bearer {hanko.mint()}")])  # the key is known, the session is not
    assert passes(lambda: asyncio.run(authenticator.session_async(other)))


def test_asyncio_hears_the_same_refusals(
    make_authenticator: MakeAuthenticator, hanko: StandInHanko, time_: Time
) -> None:
    authenticator = make_authenticator(session_check="hybrid")
    time_.advance(60)
    token = hanko.mint(claims={"session_id": SESSION, "iat": int(time_.wall) - 30})
    hanko.end_session(SESSION)
    for _ in range(2):  # asked, then remembered
        with pytest.raises(Refused) as caught:
            asyncio.run(authenticator.session_async(Incoming([("authorization", f"Bearer {token}")])))
        assert caught.value.reason is Reason.SESSION_ENDED


# --- fork


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_process_starts_anew(make_authenticator: MakeAuthenticator, hanko: StandInHanko) -> None:
    """The parent forks with a connection open and while a thread holds the lock: the child has neither."""
    authenticator = make_authenticator(session_check="strict")
    token = hanko.mint()
    authenticator.authenticate(bearer(token))
    hanging = Hanging(authenticator, hanko, hanko.mint(header={"kid": str(uuid.uuid4())}))
    hanko.behave("normal")
    child = fork(lambda: authenticator.authenticate(bearer(token)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    hanging.end()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_gateways_word_survives_a_fork() -> None:
    made = HankoAuthenticator(behind="api-gateway")
    context = {"authorizer": {"user_id": USER, "session_id": SESSION}}
    child = fork(lambda: made.authenticate({}, request_context=context))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_waits_for_no_lock_of_a_pool(make_authenticator: MakeAuthenticator, hanko: StandInHanko) -> None:
    """A thread that hands work to a pool while another forks holds the pool's lock, in the child for ever."""
    authenticator = make_authenticator(session_check="strict")
    token = hanko.mint()
    pools = [one for one in gc.get_objects() if type(one) is ThreadPoolExecutor]
    with ExitStack() as held:
        for pool in pools:
            held.enter_context(pool._shutdown_lock)  # noqa: SLF001 - as `submit` holds it, at a moment of our choice
        child = fork(lambda: authenticator.authenticate(bearer(token)))
    assert exit_code(child) == 0


def test_what_begins_anew_fetches_its_own_keys(make_authenticator: MakeAuthenticator, hanko: StandInHanko) -> None:
    authenticator = make_authenticator(session_check="hybrid")
    token = hanko.mint()
    authenticator.authenticate(bearer(token))
    start_anew()
    assert passes(lambda: authenticator.authenticate(bearer(token)))
    assert hanko.jwks_requests == 2


def exit_code(child: int) -> int | None:
    """How a child process ends; None, and it is killed, if it hangs."""
    deadline = time.monotonic() + HANG_GUARD_SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def fork(call: Callable[[], object]) -> int:
    """A child process that ends with 0 if `call` returns."""
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        code = 1
        try:
            call()
            code = 0
        finally:
            os._exit(code)
    return child


# --- behind API Gateway


CLAIMS = {"user_id": USER, "session_id": SESSION, "email": "user@example.com", "issued_at": "1800000000"}


@pytest.mark.parametrize(
    "context",
    [
        {"authorizer": {**CLAIMS, "email_verified": "true", "principalId": USER, "integrationLatency": 3}},
        {"http": {}, "authorizer": {"lambda": {**CLAIMS, "email_verified": True, "issued_at": 1_800_000_000}}},
    ],
)
def test_the_authorizer_says_who_is_calling(context: dict[str, Any]) -> None:
    """A REST API makes text of every value; the attributes are the same."""
    session = HankoAuthenticator(behind="api-gateway").authenticate({}, request_context=context)
    assert (session.user_id, session.email_verified, session.issued_at, session.expires_at) == (
        *(USER, True, 1_800_000_000, None),
    )
    assert (session.username, session.amr) == (None, ())
    assert session.claims["issued_at"] in (1_800_000_000, "1800000000")


@pytest.mark.parametrize(
    "context",
    [
        None,
        {},
        {"authorizer": None},
        {"authorizer": {}},
        {"authorizer": {"user_id": USER}},
        {"authorizer": {"user_id": "", "session_id": SESSION}},
        {"authorizer": {"user_id": 1, "session_id": SESSION}},
        {"authorizer": {"claims": CLAIMS}},
        {"authorizer": {"lambda": CLAIMS}},
        {"http": {}, "authorizer": CLAIMS},
        {"http": {}, "authorizer": {"lambda": None}},
        {"http": {}, "authorizer": {"jwt": {"claims": CLAIMS}}},
        CLAIMS,
    ],
    ids=json.dumps,
)
def test_without_the_authorizers_word_nobody_passes(context: object) -> None:
    """Not even with a token, and never as a 401: the deployment is wrong."""
    made = HankoAuthenticator(behind="api-gateway")
    headers = {"x-amzn-request-context": json.dumps({"authorizer": CLAIMS}), "authorization": "Bearer a.b.c"}
    refused = refusal(lambda: made.authenticate(headers, request_context=context))
    assert (refused.status, refused.reason) == (500, Reason.IDENTITY_MISSING)
    with pytest.raises(Refused):
        asyncio.run(
            made.session_async(
                Incoming([(name.lower(), value) for name, value in headers.items()], request_context=context)
            )
        )


ADAPTED = {"HANKO_BEHIND": "lambda-web-adapter", "AWS_LAMBDA_FUNCTION_NAME": "backend"}


def test_lambda_web_adapter_sends_a_header() -> None:
    made = HankoAuthenticator.from_env(ADAPTED)
    sent = json.dumps({"http": {}, "authorizer": {"lambda": CLAIMS}})
    assert made.authenticate({"X-Amzn-Request-Context": sent}).user_id == USER


@pytest.mark.parametrize("values", [[], ["no json"], ["[" * 10_000], ["1"], [json.dumps({"authorizer": CLAIMS})] * 2])
def test_a_header_that_is_not_the_adapters_says_nothing(values: list[str]) -> None:
    made = HankoAuthenticator.from_env(ADAPTED)
    headers = [("x-amzn-request-context", value) for value in values]
    context = {"authorizer": CLAIMS}  # of another adapter: not looked at
    assert refusal(lambda: made.authenticate(headers, request_context=context)).reason is Reason.IDENTITY_MISSING


def test_behind_api_gateway_cryptography_is_not_needed() -> None:
    """The example backends do not ship it."""
    import subprocess  # noqa: PLC0415 - here alone
    import sys  # noqa: PLC0415 - here alone

    program = (
        "import sys; from authorizer.middleware import HankoAuthenticator; HankoAuthenticator(behind='api-gateway');"
        "import authorizer.middleware.guard; sys.exit('cryptography' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parent.parent.parent)  # noqa: S603 - our own interpreter


def test_both_sources_have_the_same_methods(authenticator: HankoAuthenticator) -> None:
    sources: list[Source] = [HankoAuthenticator(behind="api-gateway")._source, authenticator._source]  # noqa: SLF001 - what is compared
    assert [one.key_fetch_failure() for one in sources] == [None, None]
    for one in sources:
        one.close()
