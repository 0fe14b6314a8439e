"""What Hanko says of a session, over real HTTP, on a clock in the test's hand: every fault, every bound."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from sandbox import SESSION, USER, Json, MakeSettings, Time

from authorizer.clock import Clock
from authorizer.errors import AuthorizerError, Reason, Unauthenticated, Unavailable
from authorizer.hanko.client import HttpsClient
from authorizer.hanko.connection import HttpResponse
from authorizer.hanko.sessions import REFUSED_USERS, HankoSessions, read_verdict
from authorizer.model import CheckReport, Claims
from local.hanko import StandInHanko
from local.hanko.keys import unb64

HANG_GUARD_SECONDS = 15
OTHER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(autouse=True)
def whole_seconds(time_: Time) -> None:
    """So that the end of a range can be hit exactly."""
    time_.wall = float(int(time_.wall))


@dataclass
class Checks:
    """One sandbox's session checks."""

    sessions: HankoSessions
    client: HttpsClient

    def ask(self, token: str) -> Claims:
        claims = claims_of(token)
        self.sessions.check(claims, token)
        return claims

    def refusal(self, token: str) -> Reason:
        """Why the session does not pass."""
        with pytest.raises(AuthorizerError) as caught:
            self.sessions.check(claims_of(token), token)
        expected = Unauthenticated if caught.value.reason is Reason.SESSION_ENDED else Unavailable
        assert type(caught.value) is expected
        assert caught.value.__cause__ is None
        return caught.value.reason

    def failure(self, token: str) -> str | None:
        """What the report says of an ask that failed."""
        assert self.refusal(token) is Reason.SESSION_UNCHECKED
        return self.sessions.take_report().failure


MakeChecks = Callable[..., Checks]


def claims_of(token: str) -> Claims:
    """What a verified token says; the stand-in's are good."""
    payload = json.loads(unb64(token.split(".")[1]))
    return Claims(payload["sub"], payload["session_id"], payload["iat"], payload["exp"], payload)


def ended(hanko: StandInHanko, age_seconds: int = 10) -> str:
    """The token of a session that is over; so old, by default, that this is remembered."""
    return hanko.mint(claims={"iat": int(hanko.now()) - age_seconds}, session=False)


@pytest.fixture
def make_checks(make_settings: MakeSettings, time_: Time) -> Iterator[MakeChecks]:
    with ExitStack() as at_the_end:

        def make(mode: str = "strict", clock: Clock | None = None, **variables: str) -> Checks:
            settings = make_settings(session_check=mode, **variables)
            client = HttpsClient(settings, clock or time_.clock)
            at_the_end.callback(client.close)
            return Checks(HankoSessions(settings, client), client)

        yield make


@pytest.fixture
def strict(make_checks: MakeChecks) -> Checks:
    return make_checks()


@pytest.fixture
def hybrid(make_checks: MakeChecks) -> Checks:
    return make_checks("hybrid")


# --- strict


def test_strict_asks_every_time_and_notices_at_once(strict: Checks, hanko: StandInHanko) -> None:
    token = hanko.mint()
    for asked in (1, 2, 3):
        strict.ask(token)
        assert hanko.validate_requests == asked
    hanko.end_session(claims_of(token).session_id)
    assert strict.refusal(token) is Reason.SESSION_ENDED


@pytest.mark.parametrize("mode", ["strict", "hybrid"])
def test_a_session_that_is_over_needs_no_second_question(
    mode: str, make_checks: MakeChecks, hanko: StandInHanko, time_: Time
) -> None:
    checks, token = make_checks(mode), ended(hanko)
    for _ in range(3):
        assert checks.refusal(token) is Reason.SESSION_ENDED
        time_.advance(3600)
    hanko.behave("down")
    assert checks.refusal(token) is Reason.SESSION_ENDED
    assert hanko.validate_requests == 1


@pytest.mark.parametrize("skew_seconds", [0, 10, 60])
def test_not_valid_is_remembered_of_tokens_older_than_the_clock_skew(
    skew_seconds: int, make_checks: MakeChecks, hanko: StandInHanko
) -> None:
    """By the clock of another of Hanko's machines, a token that was issued just now is not valid yet."""
    checks = make_checks("hybrid", clock_skew_seconds=str(skew_seconds))
    for age_seconds, asks in ((skew_seconds, 1), (skew_seconds - 1, 2)):
        token = ended(hanko, age_seconds)
        checks.client.close()
        before = hanko.validate_requests
        for _ in range(2):
            assert checks.refusal(token) is Reason.SESSION_ENDED
            checks.client.close()  # so that each question is on a connection of its own
        assert hanko.validate_requests - before == asks


def test_every_way_in_which_hanko_ends_a_session(make_settings: MakeSettings, time_: Time) -> None:
    with StandInHanko(now=lambda: time_.wall, idle_timeout_seconds=100, session_limit=1) as hanko:
        client = HttpsClient(make_settings(api_url=hanko.url, session_check="strict"), time_.clock)
        checks = Checks(HankoSessions(make_settings(session_check="strict"), client), client)
        deleted, idle, pushed_out = hanko.mint(), hanko.mint(), hanko.mint(claims={"sub": USER})
        for token in (deleted, idle, pushed_out):
            checks.ask(token)
        hanko.mint(claims={"sub": USER})
        hanko.end_user(claims_of(deleted).user_id)
        assert checks.refusal(pushed_out) is checks.refusal(deleted) is Reason.SESSION_ENDED
        time_.advance(101)
        assert checks.refusal(idle) is Reason.SESSION_ENDED
        client.close()


# --- hybrid


def test_hybrid_asks_when_the_answer_is_too_old(hybrid: Checks, hanko: StandInHanko, time_: Time) -> None:
    token = hanko.mint()
    hybrid.ask(token)
    hanko.end_session(claims_of(token).session_id)
    time_.advance(59.9)
    hybrid.ask(token)
    assert hanko.validate_requests == 1
    time_.advance(0.2)
    assert hybrid.refusal(token) is Reason.SESSION_ENDED
    assert hanko.validate_requests == 2


@pytest.mark.parametrize("seconds", [5, 3600])
def test_the_age_is_a_setting(make_checks: MakeChecks, hanko: StandInHanko, time_: Time, seconds: int) -> None:
    checks, token = make_checks("hybrid", session_max_age_seconds=str(seconds)), hanko.mint()
    checks.ask(token)
    hanko.end_session(claims_of(token).session_id)
    time_.advance(seconds - 0.5)
    checks.ask(token)
    time_.advance(0.5)
    assert checks.refusal(token) is Reason.SESSION_ENDED


@pytest.mark.parametrize("jumps", [{"wall": 61.0}, {"monotonic": 61.0}, {"wall": -9999.0, "monotonic": 61.0}])
def test_an_answer_ages_by_the_clock_that_says_more(
    hybrid: Checks, hanko: StandInHanko, time_: Time, jumps: dict[str, float]
) -> None:
    """A frozen sandbox stops the monotonic clock, a restored snapshot or an adjustment sets the other."""
    token = hanko.mint()
    hybrid.ask(token)
    time_.wall += jumps.get("wall", 0)
    time_.monotonic += jumps.get("monotonic", 0)
    hanko.now = time.time
    hybrid.ask(token)
    assert hanko.validate_requests == 2


def test_an_answer_is_as_old_as_its_question(make_checks: MakeChecks, hanko: StandInHanko, time_: Time) -> None:
    """A logout while the answer is on its way must not be overlooked for longer than the setting says."""
    checks, token = make_checks("hybrid", session_max_age_seconds="5"), hanko.mint()
    validate = hanko.validate

    def validate_slowly(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - handed through as they come
        answer = validate(*arguments, **options)
        time_.advance(4)
        return answer

    hanko.validate = validate_slowly  # type: ignore[method-assign]  # the world's slowness, on our clock
    checks.ask(token)
    time_.advance(1)
    checks.ask(token)
    assert hanko.validate_requests == 2


def test_an_answer_is_about_one_session_one_user_and_one_token(hybrid: Checks, hanko: StandInHanko) -> None:
    token = hanko.mint(claims={"sub": USER, "session_id": SESSION})
    hybrid.ask(token)
    hanko.end_session(SESSION)
    hybrid.ask(token)
    claims = claims_of(token)
    for other in ({"sub": OTHER}, {"session_id": OTHER}, {"iat": claims.issued_at - 1}):
        different = hanko.mint(claims={"sub": USER, "session_id": SESSION, **other}, session=False)
        assert hybrid.refusal(different) is Reason.SESSION_ENDED
    hybrid.ask(token)
    assert hanko.validate_requests == 1 + 3 * 2  # "not valid" on a kept connection is asked about once more


# --- asking


def test_asking_renews_nothing_unless_the_deployer_wants_it(make_settings: MakeSettings, time_: Time) -> None:
    with StandInHanko(now=lambda: time_.wall, idle_timeout_seconds=100) as hanko, ExitStack() as at_the_end:

        def checks(**variables: str) -> Checks:
            settings = make_settings(api_url=hanko.url, session_check="strict", **variables)
            client = HttpsClient(settings, time_.clock)
            at_the_end.callback(client.close)
            return Checks(HankoSessions(settings, client), client)

        watching, touching = checks(), checks(session_touch="true")
        watched, touched = hanko.mint(), hanko.mint()
        time_.advance(60)
        watching.ask(watched)
        touching.ask(touched)
        time_.advance(60)
        assert watching.refusal(watched) is Reason.SESSION_ENDED
        touching.ask(touched)


def test_the_report_counts_what_was_asked(hybrid: Checks, hanko: StandInHanko) -> None:
    assert hybrid.sessions.take_report() == CheckReport("session", 0, None)
    hybrid.ask(hanko.mint())
    token = hanko.mint()
    hybrid.ask(token)
    assert hybrid.sessions.take_report() == CheckReport("session", 2, None)
    hybrid.ask(token)
    assert hybrid.sessions.take_report() == CheckReport("session", 0, None)
    hanko.behave("down")
    assert hybrid.failure(hanko.mint()) == "connection"
    assert hybrid.sessions.take_report() == CheckReport("session", 0, None)


# --- what is no answer


class Fault(NamedTuple):
    """How the stand-in answers, and how the check names it."""

    mode: str
    options: dict[str, Any]
    failure: str


CLAIMS = Claims(USER, SESSION, 1_800_000_000, 1_800_043_200, {})
NAMED: dict[str, Any] = {"session_id": SESSION, "subject": USER}
VALID: dict[str, Any] = {"is_valid": True, "claims": NAMED, "user_id": USER}
FAULTS = [
    Fault("down", {}, "connection"),
    Fault("reset", {}, "connection"),
    Fault("slow", {"delay_seconds": 60}, "timeout"),
    Fault("drip", {}, "timeout"),
    Fault("header_drip", {}, "timeout"),
    Fault("continue_forever", {}, "timeout"),
    *[Fault("status", {"code": code}, "status") for code in (201, 204, 206, 400, 401, 403, 404, 429, 500, 503)],
    *[Fault("redirect", {"location": "/sessions/validate", "code": code}, "status") for code in (301, 302, 307, 308)],
    Fault("garbage", {}, "protocol"),
    Fault("truncated", {}, "protocol"),
    Fault("oversize", {"size_bytes": 300_000}, "too_large"),
    Fault("oversize", {"size_bytes": 300_000, "announce": False}, "too_large"),
    Fault("normal", {"headers": {"Content-Encoding": "gzip"}}, "protocol"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_no_verdict_and_leaves_nothing_behind(
    fault: Fault, make_checks: MakeChecks, hanko: StandInHanko
) -> None:
    token = hanko.mint()
    for touch in ("false", "true"):
        checks = make_checks(session_touch=touch, fetch_timeout_seconds="0.5")
        if touch == "true":  # on a kept connection, too
            checks.ask(token)
        hanko.behave(fault.mode, endpoint="validate", **fault.options)
        began = time.monotonic()
        checks.sessions.take_report()
        assert checks.failure(token) == fault.failure
        assert time.monotonic() - began < HANG_GUARD_SECONDS
        hanko.behave("normal", endpoint="validate")
        checks.ask(token)
        assert checks.sessions.take_report() == CheckReport("session", 1, None)


OTHER_IDS: list[Any] = [None, {}, [USER], USER.upper(), OTHER]
BAD_ANSWERS: list[Any] = [
    *("", "null", "true", "[]", "{}", "<html>Just a moment...</html>", '{"is_valid": true', '{"is_valid": true}{}'),
    '{"is_valid": false, "is_valid": true}',
    {**VALID, "is_valid": "true"},
    {**VALID, "is_valid": 1},
    {**VALID, "is_valid": None},
    {"is_valid": 0},
    {"is_valid": "false"},
    {"is_valid": None},
    {"is_valid": True},
    {"is_valid": True, "user_id": USER},
    {"is_valid": True, "claims": SESSION, "user_id": USER},
    {"is_valid": True, "claims": [SESSION], "user_id": USER},
    {"is_valid": True, "session_id": SESSION, "subject": USER, "user_id": USER},
    {"is_valid": True, "claims": {"session_id": SESSION}, "user_id": USER},
    {"is_valid": True, "claims": {"subject": USER}, "user_id": USER},
    {**VALID, "user_id": OTHER},
    {**VALID, "user_id": USER.upper()},
    {**VALID, "user_id": f"{USER} "},
    {**VALID, "user_id": [USER]},
    {**VALID, "user_id": ""},
    *({**VALID, "claims": {**NAMED, "session_id": other}} for other in [*OTHER_IDS, SESSION.upper()]),
    *({**VALID, "claims": {**NAMED, "subject": other}} for other in OTHER_IDS),
    {**VALID, "is_valid": False, "user_id": OTHER},
    {**VALID, "is_valid": False, "claims": {**NAMED, "session_id": OTHER}},
    {**VALID, "is_valid": False, "claims": {**NAMED, "subject": OTHER}},
    {"is_valid": False, "user_id": OTHER},
    {"is_valid": False, "user_id": USER},
    {"is_valid": False, "claims": SESSION, "user_id": USER},
    {"is_valid": False, "claims": []},
]


@pytest.mark.parametrize("answer", BAD_ANSWERS, ids=lambda answer: json.dumps(answer)[:60])
def test_what_does_not_say_it_about_this_session_says_nothing(answer: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any: its text is never shown
        verdict(answer)


def verdict(answer: object, claims: Claims = CLAIMS, age_seconds: int = 0) -> bool:
    body = answer if isinstance(answer, str) else json.dumps(answer)
    return read_verdict(HttpResponse(body.encode(), "", age_seconds), claims)


@pytest.mark.parametrize(
    "answer", [{"is_valid": False}, {**VALID, "is_valid": False}, {"is_valid": False, "claims": None}]
)
def test_over_is_over(answer: dict[str, Any]) -> None:
    assert verdict(answer) is False


@pytest.mark.parametrize("answer", [{"is_valid": True, "claims": NAMED}, {**VALID, "user_id": None}])
def test_valid_needs_no_deprecated_user_id(answer: dict[str, Any]) -> None:
    """`claims.subject` names the user; Hanko's dto/session.go deprecates `user_id`."""
    assert verdict(answer) is True


def test_a_tenants_own_claim_subject_takes_the_place_of_hankos() -> None:
    """The answer flattens custom claims over Hanko's own; the token has both, as `sub` and `subject`."""
    own = CLAIMS._replace(payload={"subject": "biology"})
    assert verdict({**VALID, "claims": {**NAMED, "subject": "biology"}}, own) is True
    with pytest.raises(ValueError, match="session"):
        verdict({**VALID, "claims": {**NAMED, "subject": "chemistry"}}, own)


@pytest.mark.parametrize("answer", [VALID, {"is_valid": False}])
def test_what_a_shared_cache_kept_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="shared cache"):
        verdict(answer, age_seconds=1)


def test_not_valid_from_a_shared_cache_ends_no_session(strict: Checks, hanko: StandInHanko) -> None:
    """RFC 9111: it says what was true some time ago, and names no session."""
    token = hanko.mint()
    hanko.behave("body", endpoint="validate", data='{"is_valid": false}', headers={"Age": "7"})
    assert strict.failure(token) == "content"
    hanko.behave("normal", endpoint="validate")
    strict.ask(token)


def test_what_hanko_adds_is_no_reason_to_refuse() -> None:
    claims = {"session_id": SESSION, "subject": USER, "role": "admin"}
    answer = {**VALID, "claims": claims, "expiration_time": "2027-01-15T20:00:00Z", "idle_expires_at": None, "new": 1}
    assert verdict(answer) is True


# --- while Hanko fails


def test_after_three_failures_in_a_row_hanko_is_left_alone_from_1_to_30_seconds(
    strict: Checks, hanko: StandInHanko, time_: Time
) -> None:
    token = hanko.mint()
    hanko.behave("status", endpoint="validate", code=500)
    for _ in range(3):
        assert strict.failure(token) == "status"
    attempts = 3
    for pause_seconds in (1, 2, 4, 8, 16, 30, 30):
        time_.advance(pause_seconds - 0.5)
        assert strict.failure(token) == "circuit_open"
        assert hanko.validate_requests == attempts
        time_.advance(0.5)
        assert strict.failure(token) == "status"
        attempts += 1
        assert strict.failure(token) == "circuit_open"
        assert hanko.validate_requests == attempts


def test_one_success_in_between_starts_the_count_anew(strict: Checks, hanko: StandInHanko) -> None:
    token = hanko.mint()
    for _ in range(2):
        hanko.behave("status", endpoint="validate", code=500)
        assert [strict.failure(token) for _ in range(2)] == ["status"] * 2
        hanko.behave("normal", endpoint="validate")
        strict.ask(token)


def test_one_success_ends_it(strict: Checks, hanko: StandInHanko, time_: Time) -> None:
    token = hanko.mint()
    hanko.behave("status", endpoint="validate", code=503)
    for _ in range(3):
        strict.refusal(token)
    hanko.behave("normal", endpoint="validate")
    assert strict.refusal(token) is Reason.SESSION_UNCHECKED
    time_.advance(1)
    strict.ask(token)
    hanko.behave("down")
    assert [strict.failure(token) for _ in range(4)] == [*["connection"] * 3, "circuit_open"]


def test_what_is_young_or_over_needs_no_hanko(hybrid: Checks, hanko: StandInHanko) -> None:
    young, over = hanko.mint(), ended(hanko)
    hybrid.ask(young)
    assert hybrid.refusal(over) is Reason.SESSION_ENDED
    hanko.behave("status", endpoint="validate", code=500)
    assert [hybrid.failure(hanko.mint()) for _ in range(4)] == [*["status"] * 3, "circuit_open"]
    hybrid.ask(young)
    assert hybrid.refusal(over) is Reason.SESSION_ENDED


@pytest.mark.parametrize(("mode", "options", "_failure"), [fault for fault in FAULTS if fault.failure != "timeout"])
def test_only_what_tells_of_an_outage_keeps_others_from_asking(
    mode: str, options: dict[str, Any], _failure: str, strict: Checks, hanko: StandInHanko
) -> None:
    """A user's own token may bring an answer that is refused: too long for a proxy, too large, nested too deeply."""
    outage = mode in {"down", "reset", "garbage", "truncated", "normal"} or options.get("code", 0) in {429, 500, 503}
    hanko.behave(mode, endpoint="validate", **options)
    for _ in range(3):
        assert strict.failure(hanko.mint()) != "circuit_open"
    hanko.behave("normal", endpoint="validate")
    if outage:
        assert strict.failure(hanko.mint()) == "circuit_open"
    else:
        strict.ask(hanko.mint())


@pytest.mark.parametrize(
    ("code", "is_outage"),
    [(428, False), (429, True), (430, False), (499, False), (500, True), (599, True), (600, False)],
)
def test_which_statuses_tell_of_an_outage(code: int, is_outage: bool, strict: Checks, hanko: StandInHanko) -> None:  # noqa: FBT001 - a parameter of the test
    token = hanko.mint()
    hanko.behave("status", endpoint="validate", code=code)
    for _ in range(3):
        assert strict.failure(token) == "status"
    assert strict.failure(token) == ("circuit_open" if is_outage else "status")


def test_a_refused_answer_neither_starts_nor_ends_the_pause(strict: Checks, hanko: StandInHanko, time_: Time) -> None:
    token = hanko.mint()
    hanko.behave("down")
    for _ in range(3):
        strict.refusal(token)
    time_.advance(1)
    hanko.behave("body", endpoint="validate", data="{}")
    assert strict.failure(token) == "content"
    hanko.behave("down")
    assert strict.failure(token) == "connection"
    assert strict.failure(token) == "circuit_open"


def test_a_refusal_of_several_users_in_a_row_is_one_of_everybody(
    strict: Checks, hanko: StandInHanko, time_: Time
) -> None:
    """A firewall's 403 for 50 users: after a few Hanko is left alone, and one attempt decides later."""
    hanko.behave("status", endpoint="validate", code=403)
    failures = [strict.failure(hanko.mint()) for _ in range(50)]
    assert failures == ["status"] * (REFUSED_USERS + 3) + ["circuit_open"] * (42)
    assert hanko.validate_requests == REFUSED_USERS + 3
    hanko.behave("normal", endpoint="validate")
    time_.advance(1)
    strict.ask(hanko.mint())
    hanko.behave("status", endpoint="validate", code=403)
    assert [strict.failure(hanko.mint()) for _ in range(REFUSED_USERS)] == ["status"] * REFUSED_USERS
    assert strict.failure(hanko.mint()) == "status"


@pytest.mark.parametrize(("code", "is_refusal"), [(400, False), (401, True), (402, False), (403, True), (404, False)])
def test_which_statuses_refuse(code: int, is_refusal: bool, strict: Checks, hanko: StandInHanko) -> None:  # noqa: FBT001 - a parameter of the test
    hanko.behave("status", endpoint="validate", code=code)
    failures = {strict.failure(hanko.mint()) for _ in range(REFUSED_USERS + 4)}
    assert ("circuit_open" in failures) is is_refusal


def test_a_refusal_of_one_user_again_and_again_keeps_nobody_else_out(strict: Checks, hanko: StandInHanko) -> None:
    hanko.behave("status", endpoint="validate", code=403)
    for _ in range(20):
        assert strict.failure(hanko.mint(claims={"sub": USER})) == "status"
    hanko.behave("normal", endpoint="validate")
    strict.ask(hanko.mint())


@pytest.mark.parametrize(("asked_for", "pause_seconds"), [("20", 20), ("9999", 30), ("soon", 1)])
def test_retry_after_lengthens_the_pause_up_to_30_seconds(
    strict: Checks, hanko: StandInHanko, time_: Time, asked_for: str, pause_seconds: int
) -> None:
    token = hanko.mint()
    hanko.behave("body", endpoint="validate", data="", code=429, headers={"Retry-After": asked_for})
    for _ in range(3):
        assert strict.failure(token) == "status"
    hanko.behave("normal", endpoint="validate")
    time_.advance(pause_seconds - 0.5)
    assert strict.failure(token) == "circuit_open"
    time_.advance(0.5)
    strict.ask(token)


@pytest.mark.parametrize("touch", ["false", "true"])
@pytest.mark.parametrize("connection", ["new", "kept"])
def test_not_valid_of_a_hanko_without_its_database_ends_no_session(
    touch: str, connection: str, make_checks: MakeChecks, hanko: StandInHanko, time_: Time
) -> None:
    """It says so of every session, with a 200, because it finds no key to verify with; its key set is a 500 then.

    Seen with Hanko v3.0.4: tests/live. A process of Hanko's that cannot decrypt a key in the database does the same.
    """
    checks, token = make_checks(session_touch=touch), hanko.mint(claims={"iat": int(time_.wall) - 3600})
    if connection == "kept":
        checks.ask(token)
        checks.sessions.take_report()
    hanko.has_database = False
    assert [checks.failure(token) for _ in range(4)] == [*["status"] * 3, "circuit_open"]
    hanko.has_database = True
    time_.advance(1)
    checks.ask(token)
    hanko.end_session(claims_of(token).session_id)
    assert checks.refusal(token) is Reason.SESSION_ENDED


# --- the kept connection


def test_one_connection_serves_many_questions(strict: Checks, hanko: StandInHanko) -> None:
    for _ in range(5):
        strict.ask(hanko.mint())
    assert (hanko.validate_requests, hanko.connections) == (5, 1)


def test_one_tls_connection_serves_many_questions(
    make_settings: MakeSettings, time_: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandInHanko(tls=True, now=lambda: time_.wall) as hanko:
        monkeypatch.setenv("SSL_CERT_FILE", str(hanko.ca_file))
        settings = make_settings(api_url=hanko.url, session_check="strict", fetch_timeout_seconds="5")
        client = HttpsClient(settings, time_.clock)
        checks = Checks(HankoSessions(settings, client), client)
        for _ in range(3):
            checks.ask(hanko.mint())
        assert (hanko.validate_requests, hanko.connections) == (3, 1)
        hanko.behave("down")
        hanko.behave("normal")
        checks.ask(hanko.mint())
        assert (hanko.validate_requests, hanko.connections) == (4, 2)
        client.close()


def answering_once(hanko: StandInHanko, answer: Json) -> None:
    """The next answer is this one: that to another question, left over on the connection."""
    validate = hanko.validate

    def stray(*arguments: Any, **options: Any) -> Json:  # noqa: ANN401 - handed through as they come
        hanko.validate = validate  # type: ignore[method-assign]  # see below
        validate(*arguments, **options)
        return answer

    hanko.validate = stray  # type: ignore[method-assign]  # the world's mistake


@pytest.mark.parametrize("touch", ["false", "true"])
def test_not_valid_on_a_kept_connection_is_asked_about_on_a_new_one(
    touch: str, make_checks: MakeChecks, hanko: StandInHanko
) -> None:
    """It names nobody, so that it may be about somebody else; and once believed it would be remembered."""
    checks, token = make_checks(session_touch=touch), hanko.mint()
    checks.ask(token)
    answering_once(hanko, {"is_valid": False})
    checks.ask(token)
    assert (hanko.validate_requests, hanko.connections) == (3, 2)
    assert checks.sessions.take_report() == CheckReport("session", 3, None)
    hanko.end_session(claims_of(token).session_id)
    assert checks.refusal(token) is Reason.SESSION_ENDED
    assert (hanko.validate_requests, hanko.connections) == (5, 3)


def test_not_valid_on_a_new_connection_is_believed(strict: Checks, hanko: StandInHanko) -> None:
    assert strict.refusal(hanko.mint(session=False)) is Reason.SESSION_ENDED
    assert (hanko.validate_requests, hanko.connections) == (1, 1)


@pytest.mark.parametrize("answer", [{}, {**VALID}, {**VALID, "is_valid": False}, {"is_valid": "false"}])
def test_a_connection_with_an_answer_that_is_none_is_used_no_more(
    answer: Json, strict: Checks, hanko: StandInHanko
) -> None:
    """Where one answer too many came, all that follow are those to the question before."""
    token = hanko.mint()
    strict.ask(token)
    answering_once(hanko, answer)
    assert strict.failure(token) == "content"
    assert hanko.connections == 1
    strict.ask(token)
    assert hanko.connections == 2


def test_the_second_question_has_what_the_first_has_left_of_the_time(
    make_checks: MakeChecks, hanko: StandInHanko
) -> None:
    checks, token = make_checks(fetch_timeout_seconds="1"), hanko.mint()
    checks.ask(token)
    hanko.end_session(claims_of(token).session_id)
    validate = hanko.validate

    def validate_slowly(*arguments: Any, **options: Any) -> Json:  # noqa: ANN401 - handed through as they come
        answer = validate(*arguments, **options)
        pause.wait(0.6)
        return answer

    pause = threading.Event()
    hanko.validate = validate_slowly  # type: ignore[method-assign]  # the world's slowness
    checks.sessions.take_report()
    began = time.monotonic()
    assert checks.failure(token) == "timeout"
    assert time.monotonic() - began < 1.2
    pause.set()


@pytest.mark.parametrize("clock", ["wall", "monotonic"])
def test_a_connection_that_was_idle_for_long_is_not_used(
    clock: str, strict: Checks, hanko: StandInHanko, time_: Time
) -> None:
    strict.ask(hanko.mint())
    time_.advance(29.5)
    strict.ask(hanko.mint())
    assert hanko.connections == 1
    setattr(time_, clock, getattr(time_, clock) + 30)
    hanko.now = time.time
    strict.ask(hanko.mint())
    assert hanko.connections == 2


def test_a_connection_that_hanko_closed_meanwhile_is_not_used(strict: Checks, hanko: StandInHanko) -> None:
    strict.ask(hanko.mint())
    hanko.behave("down")
    hanko.behave("normal")
    strict.ask(hanko.mint())
    assert (hanko.validate_requests, hanko.connections) == (2, 2)
    assert strict.sessions.take_report() == CheckReport("session", 2, None)


@pytest.mark.parametrize("mode", ["status", "body", "truncated", "redirect"])
def test_after_a_fault_the_next_question_goes_out_on_a_new_connection(
    mode: str, strict: Checks, hanko: StandInHanko
) -> None:
    options: dict[str, dict[str, Any]] = {
        "status": {"code": 400},
        "body": {"data": "{}"},
        "redirect": {"location": "/"},
    }
    hanko.behave(mode, endpoint="validate", **options.get(mode, {}))
    assert strict.refusal(hanko.mint()) is Reason.SESSION_UNCHECKED
    hanko.behave("normal", endpoint="validate")
    strict.ask(hanko.mint())
    assert hanko.connections == 2
