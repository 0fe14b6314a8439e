"""The whole handler and what Hanko answers, or a cache or a firewall in front of it: events in, answers out."""

import json

import pytest
from api_gateway import asked, lets
from sandbox import SESSION, USER, Json, MakeSandbox, Sandbox, Time

from authorizer.hanko.sessions import REFUSED_USERS
from local.hanko import StandInHanko
from local.sign import event_with

UNAVAILABLE = "Authorizer unavailable"


def reason(sandbox: Sandbox, token: str) -> str:
    """Why a request with this token is answered as it is. A 5xx counts as no refusal, and no refusal as a 5xx."""
    answer = sandbox.answer(event_with("http_v2", token))
    (record,) = sandbox.records()
    assert (answer == UNAVAILABLE) is (record["outcome"] == "unavailable")
    assert isinstance(answer, str) or answer["isAuthorized"] is (record["outcome"] == "allowed")
    return str(record["reason"])


def live(hanko: StandInHanko) -> str:
    return hanko.mint(claims={"sub": USER, "session_id": SESSION})


# --- the key set


@pytest.mark.parametrize(("age", "why"), [("100", "key_unchecked"), ("1", "key_unknown"), (None, "key_unknown")])
def test_a_set_that_a_shared_cache_kept_and_that_lacks_a_key_refuses_nobody(
    age: str | None, why: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """RFC 9111: such a set says what Hanko had 100 s ago, and Hanko signs with a new key at once."""
    old, kept = hanko.mint(), json.dumps(hanko.jwks)
    hanko.rotate()
    hanko.behave("body", data=kept, headers={"Age": age})
    assert reason(sandbox, hanko.mint()) == why
    assert reason(sandbox, old) == "allowed"


def test_a_set_is_fresh_for_its_maximum_age_less_its_age(sandbox: Sandbox, hanko: StandInHanko, time_: Time) -> None:
    token = hanko.mint()
    hanko.behave("normal", headers={"Cache-Control": "max-age=600", "Age": "500"})
    for seconds, requests in ((0, 1), (99, 1), (2, 2)):
        time_.advance(seconds)
        assert (reason(sandbox, token), hanko.jwks_requests) == ("allowed", requests)


@pytest.mark.parametrize(("asked_for", "pause_seconds"), [("20", 20), ("9999", 30)])
def test_hanko_is_left_alone_for_as_long_as_it_asks_and_30_seconds_at_most(
    asked_for: str, pause_seconds: int, sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    token = hanko.mint()
    hanko.behave("body", data="", code=503, headers={"Retry-After": asked_for})
    assert (reason(sandbox, token), hanko.jwks_requests) == ("keys_unavailable", 1)
    time_.advance(pause_seconds - 0.5)
    assert (reason(sandbox, token), hanko.jwks_requests) == ("keys_unavailable", 1)
    hanko.behave("normal")
    time_.advance(0.5)
    assert (reason(sandbox, token), hanko.jwks_requests) == ("allowed", 2)


# --- the session's answer


def test_valid_needs_no_deprecated_user_id_and_none_of_somebody_else(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox, token = make_sandbox(session_check="strict"), live(hanko)
    answer = hanko.validate([token], renew=False, count=False)
    without = {name: value for name, value in answer.items() if name not in ("user_id", "expiration_time")}
    others: Json = {**answer, "user_id": SESSION}
    for said, why in ((without, "allowed"), (others, "session_unchecked"), (answer, "allowed")):
        hanko.behave("body", endpoint="validate", data=json.dumps(said))
        assert reason(sandbox, token) == why


def test_not_valid_from_a_shared_cache_ends_no_session(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox, token = make_sandbox(session_check="strict"), live(hanko)
    for age, why in (("1", "session_unchecked"), ("0", "session_ended")):
        hanko.behave("body", endpoint="validate", data='{"is_valid": false}', headers={"Age": age})
        assert reason(sandbox, token) == why


def test_a_firewall_that_refuses_everybody_is_left_alone(
    make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    """50 users in a row: after a few Hanko is asked no more, and one question decides later."""
    sandbox = make_sandbox(session_check="strict")
    hanko.behave("status", endpoint="validate", code=403)
    assert {reason(sandbox, hanko.mint()) for _ in range(50)} == {"session_unchecked"}
    assert hanko.validate_requests == REFUSED_USERS + 3
    hanko.behave("normal", endpoint="validate")
    time_.advance(1)
    assert reason(sandbox, live(hanko)) == "allowed"


# --- rules

RULES = """
default = "allow"
[[rule]]
name = "paying"
routes = ["GET /x*"]
require = { plan = "paying" }
"""


@pytest.mark.parametrize(("more", "opens"), [("", set()), ("guard_head = false", {"HEAD"})])
@pytest.mark.parametrize("plan", ["", None, "free"])
def test_a_rule_for_get_guards_head_and_an_empty_claim_meets_none(
    more: str, opens: set[str], plan: str | None, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """Frameworks run GET's code for HEAD. Hanko's typed claims render a missing one as an empty text."""
    sandbox = make_sandbox(rules=RULES + more, context_claims="plan")
    for paid, open_methods in ((plan, opens), ("paying", {"GET", "HEAD"})):
        token = hanko.mint(claims={"plan": paid})
        for method in ("GET", "HEAD"):
            event, arn = asked("rest_request", token, method, "/x/1")
            answer = sandbox.answer(event)
            assert isinstance(answer, dict)
            assert lets(answer, arn) is (method in open_methods)
            assert answer["context"].get("plan") == (paid or None)
