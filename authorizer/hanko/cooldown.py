"""When to leave a failing server alone: after some failures in a row, for 1 to 30 seconds, then one attempt decides."""

from authorizer.clock import Clock, Instant

MAX_BACK_OFF_SECONDS = 30


class BackOff:
    """Counts failures in a row. From the `patience`-th on each starts a pause, twice as long as the one before."""

    def __init__(self, clock: Clock, patience: int) -> None:
        """`patience` is 1 where already the first failure starts a pause."""
        self._clock, self._patience = clock, patience
        self._failures = 0
        self._failed_at: Instant | None = None

    @property
    def pausing(self) -> bool:
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
