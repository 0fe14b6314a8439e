"""HANKO_LOG_ALLOWED: which records of allowed requests are held back. The next record carries their metrics.

A process may end at any time, and what it holds back is lost then. So it holds back at most a twentieth of what it
has allowed, at most 99 records, and none for longer than ten seconds while requests come.
"""

from authorizer.emf import Metrics, Values

MAX_HELD = 99  # EMF takes 100 values of a metric in one line
LOSS = 20  # at most one in 20 is lost
MAX_HELD_NS = 10 * 10**9

_ADDED_UP = ("Allowed", "SessionChecks", "RevocationChecks")
_EVERYDAY = {*_ADDED_UP, "Duration"}


def is_everyday(metrics: Metrics) -> bool:
    """Whether the record may be held back: an allowed request without a fetch, a failure or a left-out claim."""
    return "Allowed" in metrics and metrics.keys() <= _EVERYDAY


class HeldBack:
    """The records that one process holds back."""

    def __init__(self) -> None:
        self._allowed, self._since_ns = 0, 0
        self._held: list[Metrics] = []

    def hold(self, metrics: Metrics, now_ns: int) -> bool:
        """Hold back one everyday record. False if it is to be written, with those that were held back."""
        self._allowed += 1
        since_ns = self._since_ns if self._held else now_ns
        if len(self._held) >= min(MAX_HELD, self._allowed // LOSS) or now_ns - since_ns > MAX_HELD_NS:
            return False
        self._since_ns = since_ns
        self._held.append(metrics)
        return True

    def release(self, metrics: Metrics) -> Values:
        """The metrics of a record that is written, with those that were held back: every duration, for percentiles."""
        every, self._held = [*self._held, metrics], []
        if len(every) == 1:
            return metrics
        sums = {name: sum(one.get(name, 0) for one in every) for name in _ADDED_UP}
        durations = {"Duration": [one["Duration"] for one in every]}
        return metrics | {name: total for name, total in sums.items() if total} | durations
