"""When not to ask Hanko: a circuit breaker for its failures, a cool-down for fetches that callers can cause."""

from authorizer.bounded import BoundedDict
from authorizer.clock import Clock, Instant

MAX_BACK_OFF_SECONDS = 30
BURST = 4  # fetches that callers can cause at once
MAX_REMEMBERED = 128  # key ids


class CircuitBreaker:
    """Opens after `failure_threshold` failures in a row: 1 s, then twice as long each time, up to `longest_seconds`."""

    def __init__(self, clock: Clock, failure_threshold: int, longest_seconds: float = MAX_BACK_OFF_SECONDS) -> None:
        self._clock, self._failure_threshold, self._longest_seconds = clock, failure_threshold, longest_seconds
        self._failures, self._retry_after_seconds = 0, 0
        self._failed_at: Instant | None = None

    @property
    def has_failed(self) -> bool:
        return self._failures > 0

    @property
    def is_open(self) -> bool:
        failed_at, beyond = self._failed_at, self._failures - self._failure_threshold  # another thread may succeed now
        if failed_at is None or beyond < 0:
            return False
        pause_seconds = max(1 << min(beyond, 5), self._retry_after_seconds)
        return self._clock.seconds_since(failed_at) < min(pause_seconds, self._longest_seconds)

    def failed(self, retry_after_seconds: int = 0) -> None:
        """Count a failed attempt. `retry_after_seconds` is what the server asks for."""
        self._failures, self._retry_after_seconds = self._failures + 1, retry_after_seconds
        self._failed_at = self._clock.now()

    def succeeded(self) -> None:
        self._failures, self._failed_at = 0, None


class CoolDown:
    """Limits the fetches that callers can cause with a key id: a bucket of `BURST`, refilled by one per cool-down.

    One key id takes at most one per cool-down, so that a single client cannot empty the bucket. If the bucket is
    empty, its last fetch began less than a cool-down ago.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self._left: float = BURST
        self._counted_at = clock.now()
        self._asked: BoundedDict[str, Instant] = BoundedDict(MAX_REMEMBERED)

    def note(self, kid: str) -> None:
        """A token with this key id has just waited for a fetch of another cause."""
        self._asked[kid] = self._clock.now()

    def take(self, kid: str) -> bool:
        """Take a fetch for this key id; False if it had one within the cool-down, or if the bucket is empty."""
        asked_at = self._asked.get(kid)
        if asked_at is not None and self._clock.seconds_since(asked_at) < self._seconds:
            return False
        left = min(BURST, self._left + self._clock.seconds_since(self._counted_at) / self._seconds)
        if left < 1:
            return False
        self._left, self._counted_at = left - 1, self._clock.now()
        self.note(kid)
        return True
