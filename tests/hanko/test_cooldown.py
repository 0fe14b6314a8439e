"""The two that keep Hanko from being asked too often, without a network."""

from sandbox import Time

from authorizer.hanko.cooldown import CircuitBreaker, CoolDown

BURST, MAX_REMEMBERED = 4, 128


def test_a_burst_and_then_one_per_cool_down(time_: Time) -> None:
    cool_down = CoolDown(time_.clock, 30)
    assert [cool_down.take(f"key-{number}") for number in range(BURST + 2)] == [*[True] * BURST, False, False]
    time_.advance(29.5)
    assert not cool_down.take("another")
    time_.advance(0.5)
    assert cool_down.take("another")
    assert not cool_down.take("yet another")


def test_a_bucket_holds_no_more_than_a_burst(time_: Time) -> None:
    cool_down = CoolDown(time_.clock, 30)
    time_.advance(86_400)
    assert sum(cool_down.take(f"key-{number}") for number in range(100)) == BURST


def test_an_hour_of_new_key_ids_takes_a_burst_and_one_per_cool_down(time_: Time) -> None:
    """The documented budget, whatever the rhythm of the callers."""
    for pause_seconds in (0.1, 0.36, 7, 29, 31):
        cool_down = CoolDown(time_.clock, 30)
        ends_at, taken = time_.monotonic + 3600, 0
        while time_.monotonic < ends_at:
            taken += cool_down.take(f"key-{time_.monotonic}")
            time_.advance(pause_seconds)
        assert taken <= BURST + 3600 / 30


def test_one_key_id_takes_one_per_cool_down_and_leaves_the_rest_to_others(time_: Time) -> None:
    cool_down = CoolDown(time_.clock, 30)
    assert [cool_down.take("one") for _ in range(10)] == [True, *[False] * 9]
    assert [cool_down.take(f"key-{number}") for number in range(BURST)] == [*[True] * (BURST - 1), False]
    time_.advance(30)
    assert cool_down.take("one")


def test_a_key_id_that_waited_for_a_fetch_takes_none_of_its_own(time_: Time) -> None:
    cool_down = CoolDown(time_.clock, 30)
    cool_down.note("one")
    assert not cool_down.take("one")
    assert [cool_down.take(f"key-{number}") for number in range(BURST)] == [True] * BURST


def test_forgotten_key_ids_are_the_oldest(time_: Time) -> None:
    cool_down = CoolDown(time_.clock, 300)
    for number in range(MAX_REMEMBERED + 1):
        cool_down.note(f"key-{number}")
    assert not cool_down.take("key-1")
    assert cool_down.take("key-0")
    assert not cool_down.take(f"key-{MAX_REMEMBERED}")


def test_a_breaker_knows_whether_the_last_attempt_failed(time_: Time) -> None:
    breaker = CircuitBreaker(time_.clock, failure_threshold=1)
    seen = [breaker.has_failed]
    breaker.failed()
    time_.advance(3600)
    seen += [breaker.has_failed, breaker.is_open]
    breaker.succeeded()
    assert [*seen, breaker.has_failed] == [False, True, False, False]
