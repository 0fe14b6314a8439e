"""The whole life of the key set, on a clock in the test's hand, against the stand-in over real HTTP."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from sandbox import MakeSettings, Time

from authorizer.errors import AuthorizerError, Reason, Unauthenticated, Unavailable
from authorizer.hanko.client import ATTEMPTS, JWKS_PATH, HttpsClient
from authorizer.hanko.connection import MAX_BODY_BYTES
from authorizer.hanko.cooldown import BURST
from authorizer.hanko.failure import FetchFailure
from authorizer.hanko.fetch import Fetch
from authorizer.hanko.jwk import parse_keys
from authorizer.hanko.keys import KeyCache, KeyReport
from local.hanko import StandInHanko, pool_key
from local.hanko.keys import b64, jwk

HANG_GUARD_SECONDS = 15
TWELVE_HOURS = 43_200

MakeKeys = Callable[..., KeyCache]
StartFetch = Callable[..., Fetch]


@pytest.fixture(autouse=True)
def whole_seconds(time_: Time) -> None:
    """So that the end of a range can be hit exactly."""
    time_.wall = float(int(time_.wall))


@pytest.fixture
def make_keys(make_settings: MakeSettings, time_: Time) -> MakeKeys:
    def make(prefetch: Fetch | None = None, **variables: str) -> KeyCache:
        settings = make_settings(**variables)
        return KeyCache(settings, HttpsClient(settings, time_.clock), time_.clock, prefetch)

    return make


@pytest.fixture
def start_fetch(make_settings: MakeSettings, time_: Time) -> StartFetch:
    """A prefetch under way; with `finished=True`, one that has come to its end."""

    def start(*, finished: bool = False, **variables: str) -> Fetch:
        fetch = HttpsClient(make_settings(**variables), time_.clock).start(JWKS_PATH)
        wait_for(lambda: fetch.done or not finished)
        return fetch

    return start


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_GUARD_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


@pytest.fixture
def keys(make_keys: MakeKeys) -> KeyCache:
    return make_keys()


def refusal(keys: KeyCache, kid: str) -> Reason:
    """Why the key is not found."""
    with pytest.raises(AuthorizerError) as caught:
        keys.find(kid)
    refused = caught.value.reason in (Reason.KEY_UNKNOWN, Reason.SIGNATURE_INVALID)
    assert type(caught.value) is (Unauthenticated if refused else Unavailable)
    return caught.value.reason


def use_up_the_budget(keys: KeyCache) -> None:
    """All fetches that callers can cause at once, and one request more."""
    for number in range(BURST + 1):
        refusal(keys, f"stray-{number}")


def public_key(number: int) -> RSAPublicKey:
    return pool_key(number).public_key()


# --- the age of the set


def test_nothing_is_fetched_before_a_key_is_needed(keys: KeyCache, hanko: StandInHanko) -> None:
    assert hanko.jwks_requests == 0
    assert keys.find(hanko.kids[0]) == public_key(0)
    assert hanko.jwks_requests == 1


def test_one_set_serves_until_its_maximum_age(keys: KeyCache, hanko: StandInHanko, time_: Time) -> None:
    kid = hanko.kids[0]
    keys.find(kid)
    time_.advance(600)
    keys.find(kid)
    assert hanko.jwks_requests == 1
    time_.advance(0.5)
    keys.find(kid)
    assert hanko.jwks_requests == 2


def test_the_maximum_age_is_a_setting(make_keys: MakeKeys, hanko: StandInHanko, time_: Time) -> None:
    keys, kid = make_keys(keys_max_age_seconds="90"), hanko.kids[0]
    keys.find(kid)
    time_.advance(90)
    keys.find(kid)
    assert hanko.jwks_requests == 1
    time_.advance(0.5)
    keys.find(kid)
    assert hanko.jwks_requests == 2


@pytest.mark.parametrize(
    ("cache_control", "age_seconds"),
    [
        (None, 600),
        ("", 600),
        ("private", 600),
        ("max-age=600", 600),
        ("max-age=601", 600),
        ("max-age=31536000", 600),
        ("max-age=9999999999999", 600),
        ("max-age=120", 120),
        ("MAX-AGE=120", 120),
        ("public, max-age=120", 120),
        ("public,max-age=120,immutable", 120),
        ("max-age=120, max-age=300", 120),
        ("max-age=60", 60),
        ("max-age=59", 60),
        ("max-age=0", 60),
        ("no-cache", 60),
        ("no-store", 60),
        ("No-Store, Max-Age=300", 60),
        ("max-age=300,no-cache", 60),
        ('private, no-cache="set-cookie"', 60),
        ("s-maxage=120", 600),
        ("x-max-age=120", 600),
        ("x-no-cache", 600),
        ("max-age", 600),
        ("max-age=300, max-age=120", 120),
        ('max-age="120"', 120),
        ("max-age = 120", 120),
        ("max-age=-1", 60),
        ("max-age=12x", 60),
        ("max-age=", 60),
        ("max-age=٦٠", 60),
    ],
)
def test_cache_control_shortens_the_age_and_never_lengthens_it(
    keys: KeyCache, hanko: StandInHanko, time_: Time, cache_control: str | None, age_seconds: int
) -> None:
    raw = cache_control and cache_control.encode().decode("latin-1")
    hanko.behave("normal", headers={"Cache-Control": raw})
    kid = hanko.kids[0]
    keys.find(kid)
    time_.advance(age_seconds)
    keys.find(kid)
    assert hanko.jwks_requests == 1
    time_.advance(0.5)
    keys.find(kid)
    assert hanko.jwks_requests == 2


def test_a_withdrawn_key_stops_within_the_age(keys: KeyCache, hanko: StandInHanko, time_: Time) -> None:
    old = hanko.kids[0]
    hanko.rotate()
    keys.find(old)
    hanko.withdraw(old)
    time_.advance(600)
    assert keys.find(old) == public_key(0)
    time_.advance(0.5)
    assert refusal(keys, old) is Reason.KEY_UNKNOWN
    assert hanko.jwks_requests == 2


# --- Hanko is down


def test_stale_keys_serve_while_hanko_is_down_but_not_beyond_the_limit(
    keys: KeyCache, hanko: StandInHanko, time_: Time
) -> None:
    kid = hanko.kids[0]
    keys.find(kid)
    hanko.behave("down")
    time_.advance(600.5)
    assert keys.find(kid) == public_key(0)
    time_.advance(TWELVE_HOURS - 0.5)
    assert keys.find(kid) == public_key(0)
    time_.advance(0.5)
    assert refusal(keys, kid) is Reason.KEYS_UNAVAILABLE


def test_without_staleness_an_aged_set_serves_nobody(make_keys: MakeKeys, hanko: StandInHanko, time_: Time) -> None:
    keys, kid = make_keys(keys_max_stale_seconds="0"), hanko.kids[0]
    keys.find(kid)
    hanko.behave("down")
    time_.advance(600)
    keys.find(kid)
    time_.advance(0.5)
    assert refusal(keys, kid) is Reason.KEYS_UNAVAILABLE


def test_a_key_withdrawn_during_an_outage_stops_with_the_first_answer(
    keys: KeyCache, hanko: StandInHanko, time_: Time
) -> None:
    old = hanko.kids[0]
    hanko.rotate()
    keys.find(old)
    hanko.behave("down")
    hanko.withdraw(old)
    time_.advance(3600)
    keys.find(old)
    hanko.behave("normal")
    time_.advance(1)
    assert refusal(keys, old) is Reason.KEY_UNKNOWN


@pytest.mark.parametrize("has_keys", [True, False])
def test_failures_back_off_from_1_to_30_seconds(
    keys: KeyCache, hanko: StandInHanko, time_: Time, *, has_keys: bool
) -> None:
    kid = hanko.kids[0]
    if has_keys:
        keys.find(kid)
        time_.advance(601)

    def ask() -> int:
        if has_keys:
            assert keys.find(kid) == public_key(0)
        else:
            assert refusal(keys, kid) is Reason.KEYS_UNAVAILABLE
        return hanko.jwks_requests

    hanko.behave("status", code=500)
    attempts = ask()
    for pause_seconds in (1, 2, 4, 8, 16, 30, 30, 30):
        assert ask() == attempts
        time_.advance(pause_seconds - 0.5)
        assert ask() == attempts
        time_.advance(0.5)
        attempts += 1
        assert ask() == attempts


@pytest.mark.parametrize(
    ("asked_for", "cooldown", "pause_seconds"),
    [("20", "30", 20), ("9999", "30", 30), ("9999", "300", 30), ("9999", "2", 2)],
)
def test_retry_after_lengthens_the_back_off_up_to_30_seconds_and_the_cool_down(  # noqa: PLR0913, PLR0917 - three numbers
    make_keys: MakeKeys, hanko: StandInHanko, time_: Time, asked_for: str, cooldown: str, pause_seconds: int
) -> None:
    """Of a 503 that asks for more time than the deadline has: one request."""
    keys = make_keys(keys_cooldown_seconds=cooldown)
    hanko.behave("body", data="", code=503, headers={"Retry-After": asked_for})
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE
    hanko.behave("normal")
    time_.advance(pause_seconds - 0.5)
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE
    assert hanko.jwks_requests == 1
    time_.advance(0.5)
    assert keys.find(hanko.kids[0]) == public_key(0)


def test_a_success_ends_the_back_off(keys: KeyCache, hanko: StandInHanko, time_: Time) -> None:
    kid = hanko.kids[0]
    hanko.behave("status", code=500)
    for pause_seconds in (1, 2, 4):
        assert refusal(keys, kid) is Reason.KEYS_UNAVAILABLE
        time_.advance(pause_seconds)
    hanko.behave("normal")
    keys.find(kid)
    hanko.behave("status", code=500)
    time_.advance(601)
    keys.find(kid)
    time_.advance(1)
    keys.find(kid)
    assert hanko.jwks_requests == 6  # the pause is 1 s again


def test_the_keys_are_back_when_hanko_is(keys: KeyCache, hanko: StandInHanko, time_: Time) -> None:
    hanko.behave("down")
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE
    hanko.behave("normal")
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE  # 1 s has not passed
    time_.advance(1)
    assert keys.find(hanko.kids[0]) == public_key(0)


class BadAnswer(NamedTuple):
    """How the stand-in answers, and what the fetch says of it."""

    mode: str
    options: dict[str, Any]
    failure: FetchFailure


BAD_ANSWERS = [
    BadAnswer("down", {}, FetchFailure.CONNECTION),
    BadAnswer("reset", {}, FetchFailure.CONNECTION),
    BadAnswer("status", {"code": 500}, FetchFailure.STATUS),
    BadAnswer("status", {"code": 206}, FetchFailure.STATUS),
    BadAnswer("redirect", {"location": "/"}, FetchFailure.STATUS),
    BadAnswer("garbage", {}, FetchFailure.PROTOCOL),
    BadAnswer("truncated", {}, FetchFailure.PROTOCOL),
    BadAnswer("oversize", {"size_bytes": 300_000}, FetchFailure.TOO_LARGE),
    BadAnswer("body", {"data": ""}, FetchFailure.CONTENT),
    BadAnswer("body", {"data": "<html>Just a moment...</html>"}, FetchFailure.CONTENT),
    BadAnswer("body", {"data": '{"keys": []}'}, FetchFailure.CONTENT),
    BadAnswer("body", {"data": '{"keys": [{"kty": "RSA", "kid": "a"}]}'}, FetchFailure.CONTENT),
]


@pytest.mark.parametrize("bad", BAD_ANSWERS)
def test_a_bad_answer_never_replaces_good_keys(
    keys: KeyCache, hanko: StandInHanko, time_: Time, bad: BadAnswer
) -> None:
    kid = hanko.kids[0]
    keys.find(kid)
    keys.take_report()
    hanko.behave(bad.mode, **bad.options)
    time_.advance(601)
    assert keys.find(kid) == public_key(0)  # a scheduled fetch failed
    assert keys.take_report() == KeyReport(age_seconds=601, fetches=1, failure=bad.failure, stale=True)
    time_.advance(30)
    assert refusal(keys, "unknown") is Reason.KEY_UNCHECKED  # and with it, nobody could say of others
    assert keys.find(kid) == public_key(0)


@pytest.mark.parametrize("bad", BAD_ANSWERS)
def test_a_forced_refresh_that_fails_is_no_verdict_on_the_key(
    keys: KeyCache, hanko: StandInHanko, bad: BadAnswer
) -> None:
    kid = hanko.kids[0]
    keys.find(kid)
    keys.take_report()
    hanko.behave(bad.mode, **bad.options)
    assert refusal(keys, "unknown") is Reason.KEY_UNCHECKED
    assert keys.take_report() == KeyReport(age_seconds=0, fetches=1, failure=bad.failure)
    assert refusal(keys, "unknown") is Reason.KEY_UNCHECKED
    assert keys.find(kid) == public_key(0)
    assert keys.take_report() == KeyReport()


# --- rotation, and key ids that nobody knows


def test_a_rotation_is_found_at_once(keys: KeyCache, hanko: StandInHanko) -> None:
    keys.find(hanko.kids[0])
    new = hanko.rotate()
    assert keys.find(new) == public_key(1)
    assert hanko.jwks_requests == 2


def test_a_rotation_right_after_a_scheduled_fetch_is_found_at_once(
    keys: KeyCache, hanko: StandInHanko, time_: Time
) -> None:
    old = hanko.kids[0]
    keys.find(old)
    time_.advance(601)
    keys.find(old)
    new = hanko.rotate()
    assert keys.find(new) == public_key(1)
    assert hanko.jwks_requests == 3


def test_a_few_stray_key_ids_delay_no_rotation(keys: KeyCache, hanko: StandInHanko) -> None:
    keys.find(hanko.kids[0])
    for number in range(BURST - 1):
        assert refusal(keys, f"stray-{number}") is Reason.KEY_UNKNOWN
    assert keys.find(hanko.rotate()) == public_key(1)
    assert hanko.jwks_requests == 1 + BURST


@pytest.mark.parametrize("cooldown", [1, 30, 300])
def test_a_rotation_waits_for_the_cool_down_only_when_the_budget_is_used_up(
    make_keys: MakeKeys, hanko: StandInHanko, time_: Time, cooldown: int
) -> None:
    """Hanko has just been asked: a refusal, no failure."""
    keys = make_keys(keys_cooldown_seconds=str(cooldown))
    keys.find(hanko.kids[0])
    use_up_the_budget(keys)
    new = hanko.rotate()
    assert refusal(keys, new) is Reason.KEY_UNKNOWN
    time_.advance(cooldown - 0.5)
    assert refusal(keys, new) is Reason.KEY_UNKNOWN
    assert hanko.jwks_requests == 1 + BURST
    time_.advance(0.5)
    assert keys.find(new) == public_key(1)
    assert hanko.jwks_requests == 2 + BURST


def test_a_scheduled_fetch_does_not_wait_for_the_cool_down(
    make_keys: MakeKeys, hanko: StandInHanko, time_: Time
) -> None:
    keys = make_keys(keys_cooldown_seconds="300", keys_max_age_seconds="60")
    keys.find(hanko.kids[0])
    use_up_the_budget(keys)
    new = hanko.rotate()
    time_.advance(61)
    assert keys.find(new) == public_key(1)


def test_a_failed_scheduled_fetch_starts_the_cool_down(keys: KeyCache, hanko: StandInHanko, time_: Time) -> None:
    kid = hanko.kids[0]
    keys.find(kid)
    hanko.behave("status", code=500)
    time_.advance(601)
    assert refusal(keys, "unknown") is Reason.KEY_UNCHECKED
    assert hanko.jwks_requests == 2  # the scheduled one alone
    assert keys.find(kid) == public_key(0)


def test_a_key_unknown_to_a_set_that_just_came_needs_no_second_fetch(keys: KeyCache, hanko: StandInHanko) -> None:
    assert refusal(keys, "unknown") is Reason.KEY_UNKNOWN
    assert hanko.jwks_requests == 1
    assert refusal(keys, "unknown") is Reason.KEY_UNKNOWN
    assert hanko.jwks_requests == 1
    assert keys.find(hanko.rotate()) == public_key(1)  # that fetch was a scheduled one
    assert hanko.jwks_requests == 2


def test_a_flood_of_one_unknown_key_id_costs_one_fetch_per_cool_down(
    keys: KeyCache, hanko: StandInHanko, time_: Time
) -> None:
    kid = hanko.kids[0]
    keys.find(kid)
    for fetches in (2, 3, 4):
        for _ in range(1000):
            assert refusal(keys, "unknown") is Reason.KEY_UNKNOWN
        assert hanko.jwks_requests == fetches
        assert keys.find(kid) == public_key(0)
        time_.advance(30)


@pytest.mark.parametrize("mode", ["normal", "reset"])
def test_10_000_unknown_key_ids_cost_a_burst_and_one_fetch_per_cool_down_and_delay_nobody(
    keys: KeyCache, hanko: StandInHanko, time_: Time, mode: str
) -> None:
    kid = hanko.kids[0]
    keys.find(kid)
    hanko.behave(mode)
    reason = Reason.KEY_UNKNOWN if mode == "normal" else Reason.KEY_UNCHECKED
    for number in range(10_000):
        assert refusal(keys, f"unknown-{number}") is reason
        assert keys.find(kid) == public_key(0)
        time_.advance(0.005)  # 50 s in all: a cool-down ends once
    attempts = ATTEMPTS if mode == "reset" else 1  # of one fetch
    assert hanko.jwks_requests == 1 + (BURST + 1) * attempts


def test_a_failure_after_a_good_answer_makes_unknown_key_ids_unchecked(
    keys: KeyCache, hanko: StandInHanko, time_: Time
) -> None:
    """The answer is young, but Hanko may have rotated since, and could not be asked."""
    keys.find(hanko.kids[0])
    assert refusal(keys, "unknown") is Reason.KEY_UNKNOWN
    hanko.behave("down")
    new = hanko.rotate()
    time_.advance(5)
    assert refusal(keys, new) is Reason.KEY_UNCHECKED
    assert refusal(keys, "unknown") is Reason.KEY_UNCHECKED
    hanko.behave("normal")
    assert refusal(keys, new) is Reason.KEY_UNCHECKED  # the back-off, 1 s
    time_.advance(30)
    assert keys.find(new) == public_key(1)


def test_one_request_waits_for_one_fetch_at_most(keys: KeyCache, hanko: StandInHanko, time_: Time) -> None:
    kid = hanko.kids[0]
    assert refusal(keys, "unknown") is Reason.KEY_UNKNOWN
    assert hanko.jwks_requests == 1
    time_.advance(601)
    with pytest.raises(Unauthenticated):
        keys.find_changed(kid, keys.find(kid))
    assert hanko.jwks_requests == 2
    time_.advance(601)
    hanko.behave("status", code=500)
    with pytest.raises(Unavailable):
        keys.find_changed(kid, keys.find(kid))
    assert hanko.jwks_requests == 3


# --- a key that changes and keeps its id


def alias(number: int) -> str:
    """The set of a Hanko that signs with a key of AWS KMS behind an alias."""
    return json.dumps({"keys": [jwk(pool_key(number), "alias/hanko")]})


def unfit(keys: KeyCache, key: RSAPublicKey) -> Reason:
    """Why there is no other key than this one."""
    with pytest.raises(AuthorizerError) as caught:
        keys.find_changed("alias/hanko", key)
    return caught.value.reason


def test_a_token_that_waited_for_the_set_causes_no_second_fetch(keys: KeyCache, hanko: StandInHanko) -> None:
    hanko.behave("body", data=alias(0))
    old = keys.find("alias/hanko")
    hanko.behave("body", data=alias(1))
    assert unfit(keys, old) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("seconds", [30, 599])
def test_a_key_that_changed_under_its_id_is_found_by_a_signature_that_does_not_fit(
    keys: KeyCache, hanko: StandInHanko, time_: Time, seconds: int
) -> None:
    hanko.behave("body", data=alias(0))
    old = keys.find("alias/hanko")
    hanko.behave("body", data=alias(1))
    time_.advance(seconds)
    assert keys.find_changed("alias/hanko", old) == public_key(1)
    assert keys.find("alias/hanko") == public_key(1)
    assert hanko.jwks_requests == 2


def test_a_key_that_vanished_is_unknown(keys: KeyCache, hanko: StandInHanko, time_: Time) -> None:
    hanko.behave("body", data=alias(0))
    old = keys.find("alias/hanko")
    hanko.behave("normal")
    time_.advance(30)
    assert unfit(keys, old) is Reason.KEY_UNKNOWN


def test_a_flood_of_forged_signatures_costs_one_fetch_per_cool_down_and_leaves_the_budget_to_others(
    keys: KeyCache, hanko: StandInHanko, time_: Time
) -> None:
    hanko.behave("body", data=alias(0))
    key = keys.find("alias/hanko")
    for fetches in (1, 2, 3):
        for _ in range(1000):
            assert unfit(keys, key) is Reason.SIGNATURE_INVALID
        assert hanko.jwks_requests == fetches
        time_.advance(30)
    hanko.behave("normal")
    assert keys.find(hanko.kids[0]) == public_key(0)


def test_while_hanko_is_down_nobody_knows_whether_a_key_changed(
    keys: KeyCache, hanko: StandInHanko, time_: Time
) -> None:
    hanko.behave("body", data=alias(0))
    key = keys.find("alias/hanko")
    hanko.behave("down")
    time_.advance(30)
    assert unfit(keys, key) is Reason.KEY_UNCHECKED
    assert keys.find("alias/hanko") == public_key(0)


# --- shared caches


def test_an_old_answer_of_a_shared_cache_that_lacks_a_key_refuses_nobody(
    keys: KeyCache, hanko: StandInHanko, time_: Time
) -> None:
    """RFC 9111: it says what Hanko had 100 s ago."""
    keys.find(hanko.kids[0])
    cached = json.dumps(hanko.jwks)
    new = hanko.rotate()
    hanko.behave("body", data=cached, headers={"Age": "100"})
    assert refusal(keys, new) is Reason.KEY_UNCHECKED
    assert refusal(keys, new) is Reason.KEY_UNCHECKED
    assert keys.take_report() == KeyReport(age_seconds=100, fetches=2)
    assert keys.find(hanko.kids[1]) == public_key(0)
    hanko.behave("normal")
    time_.advance(30)
    assert keys.find(new) == public_key(1)


def test_an_old_first_answer_of_a_shared_cache_refuses_nobody(keys: KeyCache, hanko: StandInHanko) -> None:
    hanko.behave("normal", headers={"Age": "100"})
    assert refusal(keys, "unknown") is Reason.KEY_UNCHECKED
    assert hanko.jwks_requests == 1


@pytest.mark.parametrize(("age", "reason"), [("32", Reason.KEY_UNKNOWN), ("33", Reason.KEY_UNCHECKED)])
def test_how_long_a_cache_may_have_kept_an_answer_that_refuses(
    age: str, reason: Reason, keys: KeyCache, hanko: StandInHanko
) -> None:
    """Less than a cool-down and a fetch together."""
    hanko.behave("normal", headers={"Age": age})
    assert refusal(keys, "unknown") is reason


@pytest.mark.parametrize(
    ("headers", "fresh_seconds"),
    [
        ({"Cache-Control": "max-age=600", "Age": "0"}, 600),
        ({"Cache-Control": "max-age=600", "Age": "100"}, 500),
        ({"Cache-Control": "max-age=600", "Age": "539"}, 61),
        ({"Cache-Control": "max-age=600", "Age": "541"}, 60),
        ({"Cache-Control": "max-age=600", "Age": "86400"}, 60),
        ({"Cache-Control": "max-age=300", "Age": "100"}, 200),
        ({"Cache-Control": "max-age=86400", "Age": "100"}, 500),
        ({"Cache-Control": "no-cache", "Age": "100"}, 60),
    ],
)
def test_freshness_is_max_age_less_age(
    keys: KeyCache, hanko: StandInHanko, time_: Time, headers: dict[str, str], fresh_seconds: int
) -> None:
    """RFC 9111 section 4.2, and for a minute at least: a cache's old answers must not cause a fetch per request."""
    hanko.behave("normal", headers=headers)
    keys.find(hanko.kids[0])
    time_.advance(fresh_seconds)
    keys.find(hanko.kids[0])
    assert hanko.jwks_requests == 1
    time_.advance(0.5)
    keys.find(hanko.kids[0])
    assert hanko.jwks_requests == 2


@pytest.mark.parametrize(("wall", "monotonic"), [(501, -900), (-3600, 501)])
def test_the_time_in_a_cache_counts_on_both_clocks(
    keys: KeyCache, hanko: StandInHanko, time_: Time, wall: int, monotonic: int
) -> None:
    hanko.behave("normal", headers={"Age": "100"})
    keys.find(hanko.kids[0])
    time_.wall += wall
    time_.monotonic += monotonic
    keys.find(hanko.kids[0])
    assert hanko.jwks_requests == 2


def test_stale_keys_serve_from_when_hanko_sent_them(make_keys: MakeKeys, hanko: StandInHanko, time_: Time) -> None:
    keys = make_keys(keys_max_stale_seconds="60")
    hanko.behave("normal", headers={"Age": "100"})
    keys.find(hanko.kids[0])
    hanko.behave("down")
    time_.advance(560)
    assert keys.find(hanko.kids[0]) == public_key(0)
    time_.advance(0.5)
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE


# --- keys that Hanko withdraws


def test_a_flood_does_not_keep_the_owners_of_a_withdrawn_key_from_logging_in_again(
    keys: KeyCache, hanko: StandInHanko, time_: Time
) -> None:
    old = hanko.kids[0]
    keys.find(old)
    hanko.rotate()
    hanko.withdraw(old)
    time_.advance(601)
    assert refusal(keys, "unknown") is Reason.KEY_UNKNOWN
    assert refusal(keys, "another") is Reason.KEY_UNKNOWN
    for number in range(600):
        assert refusal(keys, f"flood-{number}") is Reason.KEY_UNKNOWN
        assert refusal(keys, old) is Reason.KEY_UNKNOWN
        time_.advance(0.1)
    assert hanko.jwks_requests <= 2 + BURST + 2


def test_one_answer_from_a_replica_that_lags_costs_a_key_no_more_than_a_fetch(
    keys: KeyCache, hanko: StandInHanko, time_: Time
) -> None:
    keys.find(hanko.kids[0])
    lagging = json.dumps(hanko.jwks)
    new = hanko.rotate()
    keys.find(new)
    hanko.behave("body", data=lagging)
    time_.advance(601)
    assert refusal(keys, new) is Reason.KEY_UNKNOWN
    hanko.behave("normal")
    time_.advance(30)
    assert keys.find(new) == public_key(1)


def test_a_withdrawn_key_that_comes_back_serves_again(keys: KeyCache, hanko: StandInHanko, time_: Time) -> None:
    keys.find(hanko.kids[0])
    good = json.dumps(hanko.jwks)
    hanko.behave("body", data=json.dumps({"keys": [GOOD]}))
    time_.advance(601)
    assert refusal(keys, hanko.kids[0]) is Reason.KEY_UNKNOWN
    hanko.behave("body", data=good)
    time_.advance(601)
    assert keys.find(hanko.kids[0]) == public_key(0)


# --- the prefetch


def test_a_prefetch_under_way_is_joined(make_keys: MakeKeys, start_fetch: StartFetch, hanko: StandInHanko) -> None:
    hanko.behave("slow", delay_seconds=0.2)
    assert make_keys(start_fetch()).find(hanko.kids[0]) == public_key(0)
    assert hanko.jwks_requests == 1


def test_a_finished_prefetch_serves_for_its_age(
    make_keys: MakeKeys, start_fetch: StartFetch, hanko: StandInHanko, time_: Time
) -> None:
    keys = make_keys(start_fetch(finished=True))
    time_.advance(600)
    keys.find(hanko.kids[0])
    assert hanko.jwks_requests == 1
    time_.advance(0.5)
    keys.find(hanko.kids[0])
    assert hanko.jwks_requests == 2


def test_an_aged_prefetch_is_fetched_anew(
    make_keys: MakeKeys, start_fetch: StartFetch, hanko: StandInHanko, time_: Time
) -> None:
    keys = make_keys(start_fetch(finished=True))
    time_.advance(601)
    new = hanko.rotate()
    assert keys.find(new) == public_key(1)
    assert hanko.jwks_requests == 2


def test_a_rotation_after_the_prefetch_is_found_at_once(
    make_keys: MakeKeys, start_fetch: StartFetch, hanko: StandInHanko
) -> None:
    keys = make_keys(start_fetch(finished=True))
    new = hanko.rotate()
    assert keys.find(new) == public_key(1)
    assert hanko.jwks_requests == 2


def test_what_a_prefetch_that_was_waited_for_does_not_know_is_unknown(
    make_keys: MakeKeys, start_fetch: StartFetch, hanko: StandInHanko
) -> None:
    hanko.behave("slow", delay_seconds=0.2)
    assert refusal(make_keys(start_fetch()), "unknown") is Reason.KEY_UNKNOWN
    assert hanko.jwks_requests == 1


@pytest.mark.parametrize("seconds", [0, 3])
def test_a_prefetch_that_failed_just_now_counts(
    make_keys: MakeKeys, start_fetch: StartFetch, hanko: StandInHanko, time_: Time, seconds: int
) -> None:
    hanko.behave("status", code=500)
    keys = make_keys(start_fetch(finished=True))
    time_.advance(seconds)
    hanko.behave("normal")
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE
    assert hanko.jwks_requests == 1
    time_.advance(1)
    assert keys.find(hanko.kids[0]) == public_key(0)


def test_a_prefetch_that_failed_before_the_sandbox_froze_does_not_count(
    make_keys: MakeKeys, start_fetch: StartFetch, hanko: StandInHanko, time_: Time
) -> None:
    hanko.behave("status", code=500)
    keys = make_keys(start_fetch(finished=True))
    time_.wall += 3.5  # the monotonic clock stood still
    hanko.behave("normal")
    assert keys.find(hanko.kids[0]) == public_key(0)
    assert keys.take_report() == KeyReport(age_seconds=0, fetches=2, failure=FetchFailure.STATUS)


def test_a_failure_from_before_the_freeze_does_not_lengthen_the_back_off(
    make_keys: MakeKeys, start_fetch: StartFetch, hanko: StandInHanko, time_: Time
) -> None:
    hanko.behave("status", code=500)
    keys = make_keys(start_fetch(finished=True))
    time_.advance(3.5)
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE
    assert hanko.jwks_requests == 2
    time_.advance(1)
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE
    assert hanko.jwks_requests == 3


def test_a_prefetch_that_hung_while_the_sandbox_was_frozen_is_not_waited_for(
    make_keys: MakeKeys, start_fetch: StartFetch, hanko: StandInHanko, time_: Time
) -> None:
    hanko.behave("continue_forever")
    fetch = start_fetch(fetch_timeout_seconds="5")
    keys = make_keys(fetch, fetch_timeout_seconds="5")
    wait_for(lambda: hanko.jwks_requests == 1)
    time_.advance(5.5)
    hanko.behave("normal")
    assert keys.find(hanko.kids[0]) == public_key(0)
    assert keys.take_report() == KeyReport(age_seconds=0, fetches=1)
    assert hanko.jwks_requests == 2
    wait_for(lambda: fetch.done)
    assert time.monotonic() < fetch.deadline  # it was cut, too


# --- two clocks


@pytest.mark.parametrize(("wall", "monotonic"), [(601, 0), (0, 601), (601, -900), (-3600, 601)])
def test_one_clock_is_enough_to_be_too_old(
    keys: KeyCache, hanko: StandInHanko, time_: Time, wall: int, monotonic: int
) -> None:
    """A frozen sandbox, a restored snapshot, a corrected clock."""
    keys.find(hanko.kids[0])
    time_.wall += wall
    time_.monotonic += monotonic
    keys.find(hanko.kids[0])
    assert hanko.jwks_requests == 2


@pytest.mark.parametrize(("wall", "monotonic"), [(600 + TWELVE_HOURS + 1, -900), (0, 600 + TWELVE_HOURS + 1)])
def test_a_restored_snapshot_serves_no_keys_beyond_the_limit(
    keys: KeyCache, hanko: StandInHanko, time_: Time, wall: int, monotonic: int
) -> None:
    keys.find(hanko.kids[0])
    hanko.behave("down")
    time_.wall += wall
    time_.monotonic += monotonic
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE


@pytest.mark.parametrize(("wall", "monotonic"), [(30, 0), (0, 30), (-3600, 30)])
def test_one_clock_is_enough_to_end_the_cool_down(
    keys: KeyCache, hanko: StandInHanko, time_: Time, wall: int, monotonic: int
) -> None:
    keys.find(hanko.kids[0])
    assert refusal(keys, "unknown") is Reason.KEY_UNKNOWN
    new = hanko.rotate()
    time_.wall += wall
    time_.monotonic += monotonic
    assert keys.find(new) == public_key(1)


@pytest.mark.parametrize(("wall", "monotonic"), [(1, 0), (0, 1), (-3600, 1)])
def test_one_clock_is_enough_to_end_the_back_off(
    keys: KeyCache, hanko: StandInHanko, time_: Time, wall: int, monotonic: int
) -> None:
    hanko.behave("down")
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE
    hanko.behave("normal")
    time_.wall += wall
    time_.monotonic += monotonic
    assert keys.find(hanko.kids[0]) == public_key(0)


# --- the report


def test_a_report_tells_what_happened_since_the_last_one(keys: KeyCache, hanko: StandInHanko, time_: Time) -> None:
    assert keys.take_report() == KeyReport(age_seconds=None, fetches=0, failure=None, stale=False)
    keys.find(hanko.kids[0])
    assert keys.take_report() == KeyReport(age_seconds=0, fetches=1)
    time_.advance(7)
    keys.find(hanko.kids[0])
    assert keys.take_report() == KeyReport()
    hanko.behave("down")
    time_.advance(600)
    keys.find(hanko.kids[0])
    assert keys.take_report() == KeyReport(age_seconds=607, fetches=1, failure=FetchFailure.CONNECTION, stale=True)
    assert keys.take_report() == KeyReport()


def test_a_set_is_not_stale_at_its_maximum_age(keys: KeyCache, hanko: StandInHanko, time_: Time) -> None:
    keys.find(hanko.kids[0])
    time_.advance(599.5)
    hanko.behave("status", code=404)
    assert refusal(keys, "unknown") is Reason.KEY_UNCHECKED
    keys.take_report()
    time_.advance(0.5)
    assert refusal(keys, "unknown") is Reason.KEY_UNCHECKED
    assert keys.take_report() == KeyReport()


def test_a_report_without_keys_tells_the_failure(keys: KeyCache, hanko: StandInHanko) -> None:
    hanko.behave("status", code=404)
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE
    assert keys.take_report() == KeyReport(age_seconds=None, fetches=1, failure=FetchFailure.STATUS)


# --- which keys are usable

GOOD = jwk(pool_key(0), "good")


def changed(**members: object) -> dict[str, object]:
    """A good key of another id with other members; `...` removes one."""
    jwk_ = {**jwk(pool_key(1), "other"), **members}
    return {name: value for name, value in jwk_.items() if value is not ...}


def body(*jwks: object) -> bytes:
    return json.dumps({"keys": jwks}).encode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def refused(content: bytes) -> bool:
    with pytest.raises(ValueError):  # noqa: PT011 - any: its text is never shown
        parse_keys(content)
    return True


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"use": ...},
        {"key_ops": ["verify"]},
        {"x5c": ["MII"], "x5t": "x", "x5u": "https://evil.example.com", "jku": "x", "unknown": {"a": [None]}},
        {"e": number(2**64 - 1)},
    ],
)
def test_a_public_rs256_signature_key_is_usable(members: dict[str, object]) -> None:
    assert list(parse_keys(body(changed(**members)))) == ["other"]


@pytest.mark.parametrize(
    "kid",
    [
        "0f6c9a0e-3c57-4b0e-8a55-6d2f1f0a7c11",
        "arn:aws:kms:eu-west-1:123456789012:key/0f6c9a0e-3c57-4b0e-8a55-6d2f1f0a7c11",
        "alias/hanko_signing.key@v1+2=",
        "x",
        "x" * 256,
    ],
)
def test_a_key_id_may_be_a_uuid_or_what_kms_has(kid: str) -> None:
    assert parse_keys(body(changed(kid=kid))) == {kid: public_key(1)}


@pytest.mark.parametrize("bits", [2048, 2049, 4096, 8191, 8192])
def test_a_key_may_have_2048_to_8192_bits(bits: int) -> None:
    modulus = 2 ** (bits - 1) + 1
    assert parse_keys(body(changed(n=number(modulus)))) == {"other": RSAPublicNumbers(65537, modulus).public_key()}


ALGS: list[object] = [..., None, "none", "None", "HS256", "RS384", "PS256", "rs256", ["RS256"], {}]
KEY_OPS: list[object] = [None, [], "verify", ["sign"], ["verify", "sign"], ["verify", "verify"], {}]
KIDS: list[object] = [..., None, 7, "", [], ["good"], "a b", "a\n", "é", "\0", 'a"b', "a;b", "x" * 257]
MODULI: list[object] = [..., None, 7, "", [], "é", "AA", "AQAB", GOOD["n"] + "=", GOOD["n"] + "\n", "+" * 683]
EXPONENTS: list[object] = [..., None, 65537, "", "AQAB=", "AQAB==", "AQA-\n", "AAEAAQ", "AA", []]
UNUSABLE: list[object] = [
    None,
    7,
    "key",
    [],
    {},
    [GOOD],
    *[changed(kty=kty) for kty in (..., None, "EC", "oct", "rsa", "RSA ", ["RSA"])],
    *[changed(alg=alg) for alg in ALGS],
    *[changed(use=use) for use in (None, "enc", "", "SIG", ["sig"])],
    *[changed(key_ops=ops) for ops in KEY_OPS],
    *[changed(**{name: value}) for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k") for value in ("AQAB", None)],
    *[changed(kid=kid) for kid in KIDS],
    *[changed(n=n) for n in MODULI],
    changed(n="AA" + GOOD["n"]),
    changed(n=b64(b"\0" + (2**4095 + 1).to_bytes(512, "big"))),
    changed(n=number(2**4095)),  # even
    *[changed(n=number(2 ** (bits - 1) + 1)) for bits in (512, 1024, 2047, 8193, 16_384, 32_768)],
    changed(n=number(2**32_767 + 1), d=number(2**32_766 + 1)),  # what costs other clients a minute
    *[changed(e=e) for e in EXPONENTS],
    *[changed(e=number(e)) for e in (1, 2, 3, 17, 65535, 65536, 65538, 2**64 + 1)],
    changed(kty="EC", crv="P-256", x="AA", y="AA", n=..., e=...),
    changed(kty="OKP", crv="Ed25519", x="AA", n=..., e=...),
    {"kty": "oct", "alg": "RS256", "use": "sig", "kid": "other"},
    {"kty": "oct", "alg": "RS256", "use": "sig", "kid": "other", "k": b64(b"-----BEGIN PUBLIC KEY-----")},
]


@pytest.mark.parametrize("hostile", UNUSABLE, ids=lambda jwk_: json.dumps(jwk_)[:60])
def test_any_other_key_is_passed_over_and_the_rest_stays(hostile: object) -> None:
    assert parse_keys(body(hostile, GOOD)) == {"good": public_key(0)}
    assert parse_keys(body(GOOD, hostile)) == {"good": public_key(0)}
    assert refused(body(hostile))


def test_hostile_keys_beside_a_good_one_change_nothing(keys: KeyCache, hanko: StandInHanko) -> None:
    hanko.extra_keys = UNUSABLE[:60]
    assert keys.find(hanko.kids[0]) == public_key(0)
    assert refusal(keys, "other") is Reason.KEY_UNKNOWN


def test_one_key_id_with_two_keys_is_no_key_id() -> None:
    same_id = jwk(pool_key(1), "good")
    other = jwk(pool_key(1), "other")
    assert refused(body(GOOD, same_id))
    assert parse_keys(body(GOOD, same_id, other)) == {"other": public_key(1)}
    assert parse_keys(body(other, GOOD, same_id, GOOD)) == {"other": public_key(1)}


def test_one_key_told_twice_is_one_key() -> None:
    assert parse_keys(body(GOOD, {**GOOD, "use": "sig", "x5t": "x"})) == {"good": public_key(0)}


def test_one_key_may_have_two_ids() -> None:
    assert parse_keys(body(GOOD, {**GOOD, "kid": "other"})) == {"good": public_key(0), "other": public_key(0)}


def test_many_old_keys_before_the_signing_one_hide_it_from_nobody(keys: KeyCache, hanko: StandInHanko) -> None:
    """Nobody promised an order: in practice Hanko sends the oldest first, and old keys stay for ever."""
    old = [jwk(pool_key(0), f"old-{number}") for number in range(250)]
    signing = jwk(pool_key(1), "signing")
    content = body(*old, signing)
    assert 190_000 < len(content) < MAX_BODY_BYTES
    hanko.behave("body", data=content.decode())
    assert keys.find("signing") == public_key(1)
    assert keys.find("old-0") == public_key(0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"keys": null}',
        b'{"keys": {}}',
        b'{"keys": "x"}',
        b'{"keys": []}',
        b'{"KEYS": []}',
        b"\xef\xbb\xbf" + body(GOOD),
        body(GOOD).decode().encode("utf-16"),
        body(GOOD) + b"x",
        body(GOOD)[:-1],
        body(GOOD).replace(b'"keys"', b'"keys": [], "keys"'),
        body(GOOD).replace(b'"kty"', b'"kty": "EC", "kty"'),
        body({**GOOD, "x": float("nan")}),
        b'{"keys": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xff\xfe\xfd",
        b"<html></html>",
    ],
    ids=lambda content: repr(content[:40]),
)
def test_what_is_no_key_set_is_a_failure(content: bytes) -> None:
    assert refused(content)
