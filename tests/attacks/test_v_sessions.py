"""V: sessions that are over, and answers about them."""

import http.client
import json
import uuid
from contextlib import closing

import pytest
from attacks.forging import ANSWERS_WITHOUT_END, PLACES, allow, allowed, compact, fail, live_token, refuse
from sandbox import CONTEXT, NOW, SESSION, USER, Json, MakeSandbox, Time

from local.hanko import StandInHanko
from local.sign import SHAPES, event_with, token_with


def log_out(hanko: StandInHanko, token: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", hanko.port, timeout=15)
    with closing(connection):
        connection.request("POST", "/logout", headers={"Authorization": f"Bearer {token}"})
        assert connection.getresponse().status == 204


@pytest.mark.parametrize("shape", SHAPES)
def test_v1_a_logged_out_token_is_replayed(shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """V1: it would be valid for twelve more hours. With `strict` it is refused at once."""
    extra = {"websocket_query_parameter": "token", "websocket_subprotocol": "hanko"}
    sandbox, token = make_sandbox(session_check="strict", **extra), live_token(hanko)
    assert isinstance(sandbox.answer(event_with(shape, token)), dict)
    sandbox.output()
    log_out(hanko, token)
    for _ in range(2):
        answer = sandbox.answer(event_with(shape, token))
        assert (
            answer == "Unauthorized"
            or "session_ended" in json.dumps(answer)
            or answer == {"isAuthorized": False, "ttlOverride": 0}
        )
        (log,) = sandbox.records()
        assert (log["reason"], "user" in log) == ("session_ended", False)


@pytest.mark.parametrize("on_outage", ["fail", "allow"])
def test_v1_it_is_replayed_while_hanko_is_down(
    on_outage: str, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    """V1: a session that is known to have ended stays refused during an outage, whatever the setting for outages."""
    sandbox, token = make_sandbox(session_check="hybrid", session_on_outage=on_outage), live_token(hanko)
    time_.advance(10)  # a token younger than the clock skew is asked about anew
    log_out(hanko, token)
    refuse(sandbox, token, "session_ended")
    hanko.behave("down")
    refuse(sandbox, token, "session_ended")


@pytest.mark.parametrize("mode", ["strict", "hybrid"])
def test_v2_no_answer_about_another_session_or_user_counts(
    mode: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """V2: a cache or a proxy in front of Hanko may mix answers up. They neither allow nor refuse."""
    sandbox, token, other = make_sandbox(session_check=mode), live_token(hanko), str(uuid.uuid4())
    good = hanko.validate([token], renew=False, count=False)
    log_out(hanko, token)
    another_session = {**good, "claims": {**good["claims"], "session_id": other}}
    another_user = {**good, "user_id": other, "claims": {**good["claims"], "subject": other}}
    for answer in (another_session, another_user, hanko.validate([hanko.mint()], renew=False, count=False)):
        hanko.behave("body", endpoint="validate", data=compact(answer))
        assert fail(sandbox, token, "session_unchecked")["session_failure"] == "content"
        hanko.behave("body", endpoint="validate", data=compact({**answer, "is_valid": False}))
        assert fail(sandbox, token, "session_unchecked")["session_failure"] == "content"
    hanko.behave("normal", endpoint="validate")
    refuse(sandbox, token, "session_ended")


@pytest.mark.parametrize("swapped", [{"session_id": SESSION}, {"sub": USER}, {"iat": NOW - 1}])
def test_v2_an_answer_serves_no_other_token(swapped: Json, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """V2: a cached verdict is bound to the user and to the token's time of issue."""
    sandbox = make_sandbox(session_check="hybrid")
    assert allow(sandbox, live_token(hanko)) == CONTEXT
    hanko.end_session(SESSION)
    claims = {"sub": str(uuid.uuid4()), "session_id": str(uuid.uuid4()), **swapped}
    if "iat" in swapped:
        claims = {"sub": USER, "session_id": SESSION, **swapped}
    refuse(sandbox, hanko.mint(claims=claims, session=False), "session_ended")


@pytest.mark.parametrize("mode", ANSWERS_WITHOUT_END)
def test_v3_an_answer_without_end_holds_nobody_up(mode: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """V3: one deadline over the whole question."""
    sandbox, token = make_sandbox(session_check="strict", fetch_timeout_seconds="0.5"), live_token(hanko)
    hanko.behave(mode, endpoint="validate", **ANSWERS_WITHOUT_END[mode])
    log = fail(sandbox, token, "session_unchecked")
    assert log["session_failure"] == "timeout"
    assert 400 < log["Duration"] < 3000


@pytest.mark.parametrize("announce", [True, False])
def test_v3_a_huge_answer_is_not_read(*, announce: bool, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """V3: reading stops at the limit."""
    sandbox, token = make_sandbox(session_check="strict"), live_token(hanko)
    hanko.behave("oversize", endpoint="validate", size_bytes=50_000_000, announce=announce)
    assert fail(sandbox, token, "session_unchecked")["session_failure"] == "too_large"


@pytest.mark.parametrize("touch", ["false", "true"])
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_v4_a_redirect_does_not_carry_the_token_away(
    code: int, touch: str, make_sandbox: MakeSandbox, hanko: StandInHanko, attacker: StandInHanko
) -> None:
    """V4: the target of the redirect gets no request."""
    sandbox, token = make_sandbox(session_check="strict", session_touch=touch), live_token(hanko)
    hanko.behave("redirect", endpoint="validate", location=f"{attacker.url}/sessions/validate", code=code)
    assert fail(sandbox, token, "session_unchecked")["session_failure"] == "status"
    assert (attacker.validate_requests, attacker.connections) == (0, 0)


@pytest.mark.parametrize("defect", ["expired", "not_yet_valid", "wrong_audience", "webhook", "tampered", "alg_none"])
def test_v5_hanko_is_not_asked_about_what_is_no_valid_token(
    defect: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """V5: forged tokens cause no requests to Hanko."""
    sandbox = make_sandbox(session_check="strict", session_on_outage="allow")
    for shape in PLACES:
        assert not allowed(sandbox.answer(event_with(shape, token_with(defect, hanko))))
    assert hanko.validate_requests == 0


@pytest.mark.parametrize("on_outage", ["fail", "allow"])
@pytest.mark.parametrize(
    "bad",
    [("body", {"data": b"{}"}), ("oversize", {"size_bytes": 300_000}), ("status", {"code": 400})],
    ids=["nested_too_deeply", "too_large", "token_too_long_for_a_proxy"],
)
def test_v6_one_users_answers_do_not_keep_others_from_being_checked(
    bad: tuple[str, Json], on_outage: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """V6: a user's token may make the answer about it unusable. However often, that is no outage."""
    sandbox = make_sandbox(session_check="strict", session_on_outage=on_outage)
    hanko.behave(bad[0], endpoint="validate", **bad[1])
    for _ in range(10):
        assert allowed(sandbox.answer(event_with("http_v2", hanko.mint()))) == (on_outage == "allow")
    hanko.behave("normal", endpoint="validate")
    victim = live_token(hanko)
    sandbox.output()
    assert allow(sandbox, victim) == CONTEXT
    log_out(hanko, victim)
    refuse(sandbox, victim, "session_ended")


@pytest.mark.parametrize("mode", ["strict", "hybrid"])
def test_v8_one_answer_too_many_logs_nobody_out(mode: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """V8: a proxy in front of Hanko answers twice. "Not valid" names no session, so it must not hit the next one."""
    sandbox, token, validate = make_sandbox(session_check=mode), live_token(hanko), hanko.validate
    assert allowed(sandbox.answer(event_with("http_v2", hanko.mint())))

    def of_somebody_else(*_: object, **__: object) -> Json:
        hanko.validate = validate  # type: ignore[method-assign]  # once
        return {"is_valid": False}

    hanko.validate = of_somebody_else  # type: ignore[method-assign]  # the world's mistake
    sandbox.output()
    for _ in range(2):
        assert allow(sandbox, token) == CONTEXT


def test_v7_allow_is_for_outages_and_not_for_bugs(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """V7: an exception in our own check is a failure, even with `allow`."""
    sandbox = make_sandbox(session_check="strict", session_on_outage="allow")
    sandbox.session_checks[0]._verdicts = None  # type: ignore[assignment]  # noqa: SLF001 - a bug that nobody foresaw
    assert fail(sandbox, live_token(hanko), "internal")["stack"][-1] == "AttributeError"
