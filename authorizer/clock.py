"""Time, injected. Ages use two clocks: a frozen sandbox stops one, and a restored snapshot makes the other jump."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Instant(NamedTuple):
    """A moment on both clocks, in seconds."""

    wall: float
    monotonic: float


class Clock(NamedTuple):
    """The wall clock (seconds since 1970) and the monotonic one."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    def now(self) -> Instant:
        return Instant(self.wall(), self.monotonic())

    def seconds_since(self, then: Instant) -> float:
        """The age of `then`: the larger of both clocks' answers, since too old is the safe mistake."""
        return max(self.wall() - then.wall, self.monotonic() - then.monotonic)


def attempts(
    clock: Clock, pauses_seconds: Iterable[float], until: float, pause: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """One turn per attempt, after its pause. The first always happens, the others must begin before `until`.

    `until` is a time of the monotonic clock; `pause` waits for that many seconds.
    """
    for number, pause_seconds in enumerate(pauses_seconds):
        if number and clock.monotonic() + pause_seconds > until:
            return
        pause(pause_seconds)
        yield
