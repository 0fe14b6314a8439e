"""The memory of both session checks, without a network."""

import pytest
from sandbox import NOW, SESSION, USER, Time

from authorizer.model import Claims
from authorizer.verdicts import Verdicts

MAX_REMEMBERED = 4096
CLAIMS = Claims(USER, SESSION, NOW, NOW + 43_200, {})


@pytest.fixture(autouse=True)
def whole_seconds(time_: Time) -> None:
    """So that the end of a range can be hit exactly."""
    time_.wall = float(int(time_.wall))


def test_nothing_is_known_at_first(time_: Time) -> None:
    assert Verdicts(time_.clock, 60).lives(CLAIMS) is None


def test_a_session_lives_until_the_answer_is_too_old(time_: Time) -> None:
    verdicts = Verdicts(time_.clock, 60)
    verdicts.remember(CLAIMS, time_.clock.now(), lives=True)
    time_.advance(59.5)
    assert verdicts.lives(CLAIMS) is True
    time_.advance(0.5)
    assert verdicts.lives(CLAIMS) is None


def test_an_answer_is_as_old_as_its_question(time_: Time) -> None:
    verdicts, asked_at = Verdicts(time_.clock, 60), time_.clock.now()
    time_.advance(59)
    verdicts.remember(CLAIMS, asked_at, lives=True)
    time_.advance(1)
    assert verdicts.lives(CLAIMS) is None


@pytest.mark.parametrize("max_age_seconds", [0, 60])
def test_what_is_over_stays_over(time_: Time, max_age_seconds: int) -> None:
    verdicts = Verdicts(time_.clock, max_age_seconds)
    verdicts.remember(CLAIMS, time_.clock.now(), lives=True)
    verdicts.remember(CLAIMS, time_.clock.now(), lives=False)
    time_.advance(43_200)
    assert verdicts.lives(CLAIMS) is False


def test_without_an_age_only_what_is_over_is_remembered(time_: Time) -> None:
    verdicts = Verdicts(time_.clock, 0)
    verdicts.remember(CLAIMS, time_.clock.now(), lives=True)
    assert verdicts.lives(CLAIMS) is None


def test_a_verdict_belongs_to_one_session_one_user_and_one_token(time_: Time) -> None:
    verdicts = Verdicts(time_.clock, 60)
    verdicts.remember(CLAIMS, time_.clock.now(), lives=True)
    for other in ({"session_id": USER}, {"user_id": SESSION}, {"issued_at": NOW - 1}):
        assert verdicts.lives(CLAIMS._replace(**other)) is None


def test_a_verdict_serves_for_what_is_left_of_its_age(time_: Time) -> None:
    verdicts = Verdicts(time_.clock, 60)
    assert verdicts.seconds_left(CLAIMS) == 0
    verdicts.remember(CLAIMS, time_.clock.now(), lives=True)
    time_.advance(20)
    assert verdicts.seconds_left(CLAIMS) == 40
    verdicts.remember(CLAIMS, time_.clock.now(), lives=False)
    assert verdicts.seconds_left(CLAIMS) == 0


def test_memory_is_bounded_and_the_oldest_verdict_goes_first(time_: Time) -> None:
    verdicts = Verdicts(time_.clock, 60)
    sessions = [CLAIMS._replace(session_id=str(number)) for number in range(MAX_REMEMBERED + 1)]
    for claims in sessions:
        verdicts.remember(claims, time_.clock.now(), lives=False)
    assert [verdicts.lives(claims) for claims in sessions] == [None, *[False] * MAX_REMEMBERED]


def test_what_is_asked_again_pushes_nobody_out(time_: Time) -> None:
    verdicts = Verdicts(time_.clock, 60)
    over = CLAIMS._replace(session_id="over")
    verdicts.remember(over, time_.clock.now(), lives=False)
    for _ in range(MAX_REMEMBERED):
        verdicts.remember(CLAIMS, time_.clock.now(), lives=True)
    assert verdicts.lives(over) is False
