"""Two clocks, and the older age of the two."""

import time

import pytest

from authorizer.clock import Clock, Instant


def clock(wall: float, monotonic: float) -> Clock:
    return Clock(wall=lambda: wall, monotonic=lambda: monotonic)


def test_now_is_both_clocks() -> None:
    assert clock(1_800_000_000.0, 5.0).now() == Instant(wall=1_800_000_000.0, monotonic=5.0)


@pytest.mark.parametrize(
    ("wall", "monotonic", "seconds"),
    [
        (110.0, 15.0, 10.0),
        (110.0, 5.0, 10.0),  # a frozen sandbox: the monotonic clock stood still
        (100.0, 15.0, 10.0),
        (110.0, 0.0, 10.0),  # a restored snapshot: the monotonic clock began anew
        (50.0, 15.0, 10.0),  # the wall clock was set back
        (100.0, 5.0, 0.0),
    ],
)
def test_an_age_is_the_larger_one(wall: float, monotonic: float, seconds: float) -> None:
    assert clock(wall, monotonic).seconds_since(Instant(wall=100.0, monotonic=5.0)) == seconds


def test_the_clocks_are_the_machines_own() -> None:
    before = Instant(time.time(), time.monotonic())
    now = Clock().now()
    assert before.wall <= now.wall <= time.time()
    assert before.monotonic <= now.monotonic <= time.monotonic()
