"""How long AppSync may reuse an answer: never beyond any of its bounds."""

from typing import Any

import pytest
from aws import Aws
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox import NOW, SESSION, USER, Json, MakeSandbox, Sandbox, Time

from authorizer.errors import Reason
from local.hanko import StandInHanko
from local.sign import event_with, token_with

SHAPES = ["appsync", "appsync_events_connect", "appsync_events_publish"]
every_shape = pytest.mark.parametrize("shape", SHAPES)


@pytest.fixture
def time_() -> Time:
    return Time(wall=NOW)


def answer(sandbox: Sandbox, shape: str, token: str) -> Json:
    found: Any = sandbox.answer(event_with(shape, token))
    return dict(found)


def ttl(sandbox: Sandbox, shape: str, token: str) -> int:
    seconds: int = answer(sandbox, shape, token)["ttlOverride"]
    return seconds


@every_shape
def test_nothing_is_reused_unless_a_deployer_says_so(shape: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """The field may lengthen what an API without a time to live would do."""
    assert ttl(sandbox, shape, hanko.mint()) == 0


@every_shape
def test_the_setting_is_the_limit(shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    assert ttl(make_sandbox(appsync_ttl_seconds="300"), shape, hanko.mint()) == 300


@every_shape
def test_the_revocation_table_sets_no_limit_of_its_own(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko, aws: Aws
) -> None:
    """A revocation can come at any time: for so long as the setting says, AppSync does not ask again."""
    assert ttl(make_sandbox(appsync_ttl_seconds="300", aws=aws), shape, hanko.mint()) == 300


@every_shape
def test_an_answer_never_outlives_the_token(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    """Nor does it in the seconds after `exp` that the clocks may differ by."""
    sandbox = make_sandbox(appsync_ttl_seconds="300")
    token = hanko.mint(claims={"exp": NOW + 100})
    assert ttl(sandbox, shape, token) == 100
    time_.advance(99.5)
    assert ttl(sandbox, shape, token) == 0
    time_.advance(5)
    assert (answer(sandbox, shape, token)["isAuthorized"], ttl(sandbox, shape, token)) == (True, 0)


YOUNG = """
default = "allow"
[[rule]]
name = "fresh logins"
fields = ["Mutation.pay"]
channels = ["CONNECT", "PUBLISH /chat/*"]
max_age_seconds = 60
[[rule]]
name = "about others"
routes = ["* /x"]
max_age_seconds = 5
"""


def test_a_login_that_is_young_enough_is_not_so_for_longer(
    make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    sandbox, token = make_sandbox(rules=YOUNG, appsync_ttl_seconds="300"), hanko.mint()
    assert ttl(sandbox, "appsync", token) == 60
    time_.advance(20.25)
    assert ttl(sandbox, "appsync", token) == 39
    time_.advance(60)
    assert ttl(sandbox, "appsync", token) == 300  # it stays too old


@pytest.mark.parametrize("amr", ["passkey", "pwd"])
def test_an_answer_about_one_channel_serves_no_other(amr: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """AWS does not say that AppSync's cache tells channels, or CONNECT and SUBSCRIBE, apart."""
    rules = """
default = "deny"
[[rule]]
name = "everybody"
channels = ["CONNECT"]
[[rule]]
name = "chat"
channels = ["PUBLISH /chat/*"]
require = { amr = "passkey" }
"""
    sandbox, token = make_sandbox(rules=rules, appsync_ttl_seconds="300"), hanko.mint(claims={"amr": [amr]})
    assert answer(sandbox, "appsync_events_connect", token)["isAuthorized"] is True
    assert answer(sandbox, "appsync_events_publish", token)["isAuthorized"] is (amr == "passkey")
    assert [ttl(sandbox, shape, token) for shape in SHAPES] == [300, 0, 0]


@every_shape
def test_what_is_left_of_hankos_answer(shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time) -> None:
    sandbox = make_sandbox(appsync_ttl_seconds="300", session_check="hybrid", session_max_age_seconds="60")
    token = hanko.mint()
    assert ttl(sandbox, shape, token) == 60
    time_.advance(45)
    assert ttl(sandbox, shape, token) == 15
    time_.advance(15)
    assert ttl(sandbox, shape, token) == 60  # asked again


@every_shape
@pytest.mark.parametrize("defect", ["none", "expired", "wrong_audience", "webhook"])
def test_strict_is_asked_every_time(shape: str, defect: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = make_sandbox(appsync_ttl_seconds="300", session_check="strict")
    assert ttl(sandbox, shape, token_with(defect, hanko)) == 0


@every_shape
def test_what_passed_unchecked_is_checked_next_time(shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = make_sandbox(appsync_ttl_seconds="300", session_check="hybrid", session_on_outage="allow")
    token = hanko.mint()
    hanko.behave("status", endpoint="validate", code=500)
    assert (answer(sandbox, shape, token)["isAuthorized"], ttl(sandbox, shape, token)) == (True, 0)


@pytest.mark.parametrize(
    ("defect", "seconds"),
    [
        ("expired", 300),
        ("wrong_audience", 300),
        ("webhook", 300),
        ("alg_none", 300),
        ("no_exp", 300),
        ("tampered", 0),
        ("unknown_kid", 0),
        ("not_yet_valid", 0),
    ],
)
@every_shape
def test_a_refusal_is_reused_if_no_time_ends_it(
    shape: str, defect: str, seconds: int, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = make_sandbox(appsync_ttl_seconds="300")
    found = answer(sandbox, shape, token_with(defect, hanko))
    assert found == {"isAuthorized": False, "ttlOverride": seconds}


@every_shape
def test_a_session_that_hanko_does_not_know_may_be_a_new_one(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = make_sandbox(appsync_ttl_seconds="300", session_check="hybrid")
    token = hanko.mint(claims={"session_id": SESSION})
    hanko.end_session(SESSION)
    assert answer(sandbox, shape, token) == {"isAuthorized": False, "ttlOverride": 0}
    (log,) = sandbox.records()
    assert log["reason"] == Reason.SESSION_ENDED


@given(
    cap=st.integers(0, 3600),
    lifetime=st.integers(1, 4000),
    max_age=st.integers(1, 4000),
    session_max_age=st.integers(5, 3600),
    mode=st.sampled_from(["off", "hybrid", "strict"]),
    pauses=st.lists(st.floats(0, 2000, allow_nan=False), min_size=1, max_size=4),
    shape=st.sampled_from(SHAPES),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_answer_is_reused_beyond_any_of_its_bounds(  # noqa: PLR0913 - its bounds
    make_sandbox: MakeSandbox,
    hanko: StandInHanko,
    time_: Time,
    *,
    cap: int,
    lifetime: int,
    max_age: int,
    session_max_age: int,
    mode: str,
    pauses: list[float],
    shape: str,
) -> None:
    sandbox = make_sandbox(
        rules=YOUNG.replace("60", str(max_age)),
        appsync_ttl_seconds=str(cap),
        session_check=mode,
        session_max_age_seconds=str(session_max_age),
    )
    issued_at = int(time_.wall)
    token = hanko.mint(claims={"sub": USER, "session_id": SESSION, "iat": issued_at, "exp": issued_at + lifetime})
    asked, asked_at = hanko.validate_requests, time_.wall
    for pause in pauses:
        time_.advance(pause)
        found = answer(sandbox, shape, token)
        if hanko.validate_requests > asked:
            asked, asked_at = hanko.validate_requests, time_.wall
        age, seconds = time_.wall - issued_at, found["ttlOverride"]
        bounds: list[float] = [cap, 0 if mode == "strict" else cap]
        if found["isAuthorized"]:
            bounds.append(max(0, lifetime - age))
            bounds += [max_age - age] if age <= max_age else []
            bounds += [session_max_age - (time_.wall - asked_at)] if mode == "hybrid" else []
        assert isinstance(seconds, int)
        assert 0 <= seconds <= min(bounds)
