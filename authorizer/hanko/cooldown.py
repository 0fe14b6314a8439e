"""When to leave a failing server alone: after some failures in a row, for 1 to 30 seconds, then one attempt decides."""

from authorizer.clock import Clock, Instant

MAX_BACK_OFF_SECONDS = 30


class CircuitBreaker:
    """Opens after `failure_threshold` failures in a row: for 1 s, then twice as long each time, at most 30 s."""

    def __init__(self, clock: Clock, failure_threshold: int) -> None:
        """`failure_threshold` is 1 where already the first failure starts a pause."""
        self._clock, self._patience = clock, failure_threshold
        self._failures = 0
        self._failed_at: Instant | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is too early for another attempt."""
        if self._failed_at is None or self._failures < self._patience:
            return False
        pause_seconds = min(1 << min(self._failures - self._patience, 5), MAX_BACK_OFF_SECONDS)
        return self._clock.seconds_since(self._failed_at) < pause_seconds

    def failed(self) -> None:
        """An attempt failed just now."""
        self._failures += 1
        self._failed_at = self._clock.now()

    def succeeded(self) -> None:
        """An attempt succeeded: whatever failed before is forgotten."""
        self._failures, self._failed_at = 0, None
