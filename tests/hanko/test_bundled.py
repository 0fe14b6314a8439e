"""The key set of the artifact: what a file must be, how long it serves, and what it must never let in."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from sandbox import MakeSettings, Time

from authorizer.errors import AuthorizerError, Misconfigured, Reason
from authorizer.hanko.bundled import read_bundled
from authorizer.hanko.client import JWKS_PATH, HttpsClient
from authorizer.hanko.cooldown import BURST
from authorizer.hanko.failure import FetchFailure
from authorizer.hanko.fetch import Fetch
from authorizer.hanko.keys import KeyCache, KeyReport
from local.hanko import StandInHanko, pool_key

HANG_GUARD_SECONDS = 15
ONE_DAY = 86_400
ONE_HOUR = 3600

WriteFile = Callable[..., Path]
Start = Callable[..., tuple[KeyCache, Fetch | None]]


@pytest.fixture(autouse=True)
def whole_seconds(time_: Time) -> None:
    """So that the end of a range can be hit exactly."""
    time_.wall = float(int(time_.wall))


@pytest.fixture
def write_file(hanko: StandInHanko, time_: Time, tmp_path: Path) -> WriteFile:
    """The stand-in's keys in a file; keyword arguments change its members, None removes one."""

    def write(**changes: object) -> Path:
        members = {"hanko_api_url": hanko.url, "fetched_at": int(time_.wall), **hanko.jwks, **changes}
        file = tmp_path / "keys.json"
        file.write_text(json.dumps({name: value for name, value in members.items() if value is not None}))
        return file

    return write


@pytest.fixture
def start(make_settings: MakeSettings, hanko: StandInHanko, time_: Time, write_file: WriteFile) -> Start:
    """A sandbox with a file that is `age_seconds` old, and its prefetch, unless it starts without one."""

    def make(
        age_seconds: int = ONE_HOUR,
        *,
        prefetch: bool = True,
        published: dict[str, Any] | None = None,
        **variables: str,
    ) -> tuple[KeyCache, Fetch | None]:
        file = write_file(fetched_at=int(time_.wall) - age_seconds, **(published or hanko.jwks))
        settings = make_settings(**variables)
        client = HttpsClient(settings, time_.clock)
        first = client.start(JWKS_PATH) if prefetch else None
        bundled = read_bundled(settings, time_.clock, file)
        return KeyCache(settings, client, time_.clock, first, bundled), first

    return make


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_GUARD_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def finished(started: tuple[KeyCache, Fetch | None]) -> KeyCache:
    keys, prefetch = started
    wait_for(lambda: prefetch is not None and prefetch.done)
    return keys


def refusal(keys: KeyCache, kid: str) -> Reason:
    with pytest.raises(AuthorizerError) as caught:
        keys.find(kid)
    return caught.value.reason


def public_key(number: int) -> RSAPublicKey:
    return pool_key(number).public_key()


def mistake(settings_file: Path, make: MakeSettings, at: Time) -> str:
    """The one line of the message."""
    with pytest.raises(Misconfigured) as caught:
        read_bundled(make(), at.clock, settings_file)
    assert caught.value.reason is Reason.SETTINGS_INVALID
    heading, line = str(caught.value).splitlines()
    assert heading == "Wrong settings:"
    assert line.startswith("HANKO_KEYS_FILE names a file ")
    return line


# --- the file


def test_a_file_holds_the_keys_and_when_they_were_fetched(
    make_settings: MakeSettings, hanko: StandInHanko, time_: Time, write_file: WriteFile
) -> None:
    hanko.rotate()
    bundled = read_bundled(make_settings(), time_.clock, write_file(fetched_at=int(time_.wall) - 100))
    assert bundled.keys == {hanko.kids[0]: public_key(1), hanko.kids[1]: public_key(0)}
    assert time_.clock.seconds_since(bundled.fetched_at) == 100


def test_the_difference_of_two_clocks_is_no_time_that_lies_ahead(
    make_settings: MakeSettings, time_: Time, write_file: WriteFile
) -> None:
    settings = make_settings(clock_skew_seconds="10")
    read_bundled(settings, time_.clock, write_file(fetched_at=int(time_.wall) + 10))
    assert "in the future" in mistake(
        settings_file=write_file(fetched_at=int(time_.wall) + 11), make=make_settings, at=time_
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"hanko_api_url": None},
        {"hanko_api_url": "https://another.example.com"},
        {"hanko_api_url": ["http://127.0.0.1"]},
        {"hanko_api_url": ""},
    ],
)
def test_a_file_of_another_hanko_stops_the_function(
    make_settings: MakeSettings, time_: Time, write_file: WriteFile, changes: dict[str, Any]
) -> None:
    line = mistake(write_file(**changes), make_settings, time_)
    assert "another Hanko than HANKO_API_URL" in line
    assert "another.example.com" not in line


def test_a_file_of_another_tenant_stops_the_function(
    make_settings: MakeSettings, hanko: StandInHanko, time_: Time, write_file: WriteFile
) -> None:
    """H5: tenants of one Hanko differ in the path alone."""
    file = write_file(hanko_api_url=f"{hanko.url}/7b4e1b0a-0000-4000-8000-000000000000")
    assert "another Hanko" in mistake(file, make_settings, time_)


@pytest.mark.parametrize("fetched_at", [None, "1", True, 1.5, 0, -1, 1e300, [1], 9_999_999_999])
def test_a_file_without_its_age_stops_the_function(
    make_settings: MakeSettings, time_: Time, write_file: WriteFile, fetched_at: object
) -> None:
    assert "fetched_at" in mistake(write_file(fetched_at=fetched_at), make_settings, time_)


@pytest.mark.parametrize(
    "keys", [None, [], {}, "x", [{"kty": "oct", "k": "AAAA", "alg": "RS256", "kid": "a"}], [{"kty": "RSA", "kid": "a"}]]
)
def test_a_file_without_a_usable_key_stops_the_function(
    make_settings: MakeSettings, time_: Time, write_file: WriteFile, keys: object
) -> None:
    assert "no usable key set" in mistake(write_file(keys=keys), make_settings, time_)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"keys": [], "keys": []}', b"\xef\xbb\xbf{}"])
def test_a_file_that_is_no_json_object_stops_the_function(
    make_settings: MakeSettings, time_: Time, tmp_path: Path, data: bytes
) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(data)
    assert "no usable key set" in mistake(file, make_settings, time_)


def test_a_file_that_cannot_be_read_stops_the_function(
    make_settings: MakeSettings, time_: Time, tmp_path: Path
) -> None:
    for file in (tmp_path / "missing.json", tmp_path):
        assert "cannot be read" in mistake(file, make_settings, time_)


def test_keys_of_the_file_pass_the_same_checks_as_fetched_ones(
    make_settings: MakeSettings, hanko: StandInHanko, time_: Time, write_file: WriteFile
) -> None:
    good = hanko.jwks["keys"][0]
    bad = [
        good | {"kid": "private", "d": "AQAB"},
        good | {"kid": "none", "alg": "none"},
        good | {"kid": "e3", "e": "Aw"},
    ]
    assert list(read_bundled(make_settings(), time_.clock, write_file(keys=[*bad, good])).keys) == hanko.kids


# --- nobody waits for the first fetch


def test_a_key_of_the_file_is_there_at_once(start: Start, hanko: StandInHanko) -> None:
    hanko.behave("continue_forever")
    keys, prefetch = start()
    assert keys.find(hanko.kids[0]) == public_key(0)
    assert prefetch is not None
    assert not prefetch.done
    assert keys.take_report() == KeyReport(age_seconds=ONE_HOUR, stale=True)


def test_a_file_of_this_very_second_needs_no_fetch_yet(start: Start, hanko: StandInHanko) -> None:
    keys, _ = start(age_seconds=0, prefetch=False)
    for _ in range(2):
        assert keys.find(hanko.kids[0]) == public_key(0)
    assert keys.take_report() == KeyReport()
    assert hanko.jwks_requests == 0


def test_another_key_waits_for_that_fetch_and_causes_no_second(start: Start, hanko: StandInHanko) -> None:
    hanko.behave("slow", delay_seconds=0.2)
    published = hanko.jwks
    new = hanko.rotate()
    keys, _ = start(published=published)
    assert keys.find(new) == public_key(1)
    assert keys.take_report() == KeyReport(age_seconds=0, fetches=1)
    assert hanko.jwks_requests == 1


def test_a_key_that_nobody_knows_is_refused_by_that_fetch_alone(start: Start, hanko: StandInHanko) -> None:
    hanko.behave("slow", delay_seconds=0.2)
    keys, _ = start()
    assert refusal(keys, "unknown") is Reason.KEY_UNKNOWN
    assert hanko.jwks_requests == 1
    assert keys.find(hanko.kids[0]) == public_key(0)


def test_the_answer_replaces_the_file(start: Start, hanko: StandInHanko, time_: Time) -> None:
    keys = finished(start())
    assert keys.find(hanko.kids[0]) == public_key(0)
    assert keys.take_report() == KeyReport(age_seconds=0, fetches=1)
    time_.advance(600)
    keys.find(hanko.kids[0])
    assert hanko.jwks_requests == 1


def test_a_file_as_young_as_can_be_is_not_fresh(start: Start, hanko: StandInHanko, time_: Time) -> None:
    hanko.behave("status", code=500)
    keys = finished(start(age_seconds=0))
    time_.advance(1)
    keys.find(hanko.kids[0])
    assert keys.take_report().fetches == 1
    time_.advance(1)
    hanko.behave("normal")
    keys.find(hanko.kids[0])
    assert keys.take_report() == KeyReport(age_seconds=0, fetches=1)


def test_a_file_from_a_clock_that_is_ahead_is_not_fresh_either(start: Start, hanko: StandInHanko, time_: Time) -> None:
    hanko.behave("status", code=500)
    keys = finished(start(age_seconds=-10))
    time_.advance(1)
    keys.find(hanko.kids[0])
    assert keys.take_report() == KeyReport(age_seconds=1, fetches=1, failure=FetchFailure.STATUS, stale=True)


def test_a_process_without_a_prefetch_fetches_with_its_second_token_and_waits_for_neither(
    start: Start, hanko: StandInHanko
) -> None:
    hanko.behave("continue_forever")
    keys, _ = start(prefetch=False)
    assert keys.find(hanko.kids[0]) == public_key(0)
    assert keys.take_report() == KeyReport(age_seconds=ONE_HOUR, stale=True)
    assert hanko.jwks_requests == 0
    assert keys.find(hanko.kids[0]) == public_key(0)
    wait_for(lambda: hanko.jwks_requests == 1)
    assert keys.find(hanko.kids[0]) == public_key(0)
    assert keys.take_report() == KeyReport(age_seconds=ONE_HOUR, stale=True)  # no fetch has come to its end
    assert hanko.jwks_requests == 1


def test_the_fetch_of_the_second_token_replaces_the_file(start: Start, hanko: StandInHanko) -> None:
    keys, _ = start(prefetch=False)
    keys.find(hanko.kids[0])
    wait_for(lambda: keys.find(hanko.kids[0]) == public_key(0) and not keys.take_report().stale)
    assert hanko.jwks_requests == 1


@pytest.mark.parametrize("tokens_before", [0, 1])
def test_a_process_without_a_prefetch_waits_for_a_key_that_is_not_in_the_file(
    start: Start, hanko: StandInHanko, tokens_before: int
) -> None:
    published = hanko.jwks
    old, new = hanko.kids[0], hanko.rotate()
    hanko.withdraw(old)
    keys, _ = start(prefetch=False, published=published)
    for _ in range(tokens_before):
        assert keys.find(old) == public_key(0)
    assert keys.find(new) == public_key(1)
    assert refusal(keys, old) is Reason.KEY_UNKNOWN  # the answer replaced the file
    assert hanko.jwks_requests == 1 + 1  # an unknown key id causes one of its own


# --- Hanko is down


def test_the_file_serves_while_hanko_is_down_but_not_beyond_its_age(
    start: Start, hanko: StandInHanko, time_: Time
) -> None:
    hanko.behave("down")
    keys = finished(start())
    time_.advance(ONE_DAY - ONE_HOUR)
    assert keys.find(hanko.kids[0]) == public_key(0)
    report = keys.take_report()
    assert (report.age_seconds, report.stale, report.failure) == (ONE_DAY, True, FetchFailure.CONNECTION)
    time_.advance(1)
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE


def test_the_age_is_a_setting(start: Start, hanko: StandInHanko, time_: Time) -> None:
    hanko.behave("down")
    keys = finished(start(age_seconds=0, keys_file_max_age_seconds=str(ONE_HOUR), keys_max_stale_seconds=str(ONE_DAY)))
    time_.advance(ONE_HOUR)
    assert keys.find(hanko.kids[0]) == public_key(0)
    time_.advance(1)
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE


def test_with_a_file_failures_back_off_as_without(start: Start, hanko: StandInHanko, time_: Time) -> None:
    hanko.behave("status", code=500)
    keys = finished(start())
    assert keys.find(hanko.kids[0]) == public_key(0)
    attempts = 1
    for pause_seconds in (1, 2, 4, 8, 16, 30, 30):
        for _ in range(5):
            assert keys.find(hanko.kids[0]) == public_key(0)
        assert hanko.jwks_requests == attempts
        time_.advance(pause_seconds)
        assert keys.find(hanko.kids[0]) == public_key(0)
        attempts += 1
        assert hanko.jwks_requests == attempts


# --- attacks: the file must not keep alive what Hanko has ended


def test_j9_a_withdrawn_key_stops_with_the_first_answer(start: Start, hanko: StandInHanko) -> None:
    old, published = hanko.kids[0], hanko.jwks
    hanko.rotate()
    hanko.withdraw(old)
    keys = finished(start(published=published))
    assert refusal(keys, old) is Reason.KEY_UNKNOWN
    assert keys.find(hanko.kids[0]) == public_key(1)


def test_j9_a_forgotten_file_does_not_come_back(start: Start, hanko: StandInHanko, time_: Time) -> None:
    """Once Hanko has answered, an outage is no way back to the file, whose age would allow it."""
    old, published = hanko.kids[0], hanko.jwks
    hanko.rotate()
    hanko.withdraw(old)
    keys = finished(start(published=published, keys_max_stale_seconds="0"))
    assert refusal(keys, old) is Reason.KEY_UNKNOWN
    hanko.behave("down")
    time_.advance(601)
    assert refusal(keys, old) is Reason.KEYS_UNAVAILABLE


def test_j9_a_sandbox_frozen_in_its_first_fetch_does_not_go_on_with_the_file(
    start: Start, hanko: StandInHanko, time_: Time
) -> None:
    """Rare requests, each of them answered before the fetch is: the file would serve for days, Hanko being well."""
    hanko.behave("continue_forever")
    keys, prefetch = start(fetch_timeout_seconds="5")
    old = hanko.kids[0]
    assert keys.find(old) == public_key(0)
    assert prefetch is not None
    wait_for(lambda: hanko.jwks_requests == 1)
    hanko.rotate()
    hanko.withdraw(old)
    hanko.behave("normal")
    time_.wall += 5.5  # the monotonic clock stood still
    assert refusal(keys, old) is Reason.KEY_UNKNOWN
    assert hanko.jwks_requests == 2
    wait_for(lambda: prefetch.done)


def test_j9_rare_tokens_do_not_go_on_with_the_file(start: Start, hanko: StandInHanko, time_: Time) -> None:
    """A process that begins without a fetch, frozen after its first answer: the second token waits for Hanko."""
    keys, _ = start(prefetch=False, fetch_timeout_seconds="5")
    old = hanko.kids[0]
    assert keys.find(old) == public_key(0)
    hanko.rotate()
    hanko.withdraw(old)
    time_.wall += 5.5  # the monotonic clock stood still
    assert refusal(keys, old) is Reason.KEY_UNKNOWN
    assert hanko.jwks_requests == 1


@pytest.mark.parametrize("prefetch", [False, True])
def test_j8_an_expired_file_is_as_good_as_none(start: Start, hanko: StandInHanko, *, prefetch: bool) -> None:
    """Not even for the moment of the first fetch."""
    hanko.behave("slow", delay_seconds=0.2)
    old, published = hanko.kids[0], hanko.jwks
    hanko.rotate()
    hanko.withdraw(old)
    keys, _ = start(age_seconds=ONE_DAY + 1, prefetch=prefetch, published=published)
    assert refusal(keys, old) is Reason.KEY_UNKNOWN
    assert hanko.jwks_requests == 1


@pytest.mark.parametrize(("wall", "monotonic"), [(ONE_DAY, -900), (0, ONE_DAY), (-ONE_DAY, ONE_DAY)])
def test_j15_one_clock_is_enough_for_a_file_to_be_too_old(
    start: Start, hanko: StandInHanko, time_: Time, wall: int, monotonic: int
) -> None:
    """A snapshot restored a day later, a sandbox whose wall clock was put back."""
    hanko.behave("down")
    keys, _ = start(prefetch=False)
    time_.wall += wall
    time_.monotonic += monotonic
    assert refusal(keys, hanko.kids[0]) is Reason.KEYS_UNAVAILABLE


@pytest.mark.parametrize("mode", ["garbage", "truncated", "reset"])
def test_j7_a_bad_answer_does_not_replace_the_file(start: Start, hanko: StandInHanko, mode: str) -> None:
    hanko.behave(mode)
    keys = finished(start())
    assert keys.find(hanko.kids[0]) == public_key(0)
    assert refusal(keys, "unknown") is Reason.KEY_UNCHECKED


def test_j6_unknown_key_ids_cost_no_fetch_more_than_without_a_file(
    start: Start, hanko: StandInHanko, time_: Time
) -> None:
    keys = finished(start())
    for number in range(10_000):
        assert refusal(keys, f"unknown-{number}") is Reason.KEY_UNKNOWN
        assert keys.find(hanko.kids[0]) == public_key(0)
        time_.advance(0.005)  # 50 s in all: a cool-down ends once
    assert hanko.jwks_requests == 1 + BURST + 1
