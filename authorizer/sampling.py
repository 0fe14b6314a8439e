"""HANKO_LOG_ALLOWED: which records of allowed requests are held back. The next record carries their metrics.

A process may end at any time, and what it holds back is lost then. So it holds back at most a twentieth of what it
has allowed, at most 99 records, and none for longer than ten seconds while requests come.
"""

from authorizer.config import LogAllowed
from authorizer.emf import Metrics

MAX_HELD = 99  # EMF takes 100 values of a metric in one line
LOSS = 20  # at most one in so many is lost
MAX_HELD_NS = 10 * 10**9

_LISTED = ("Duration", "KeySetAge")  # value by value, for their percentiles; all others are added up
_EVERYDAY = {"Allowed", *_LISTED, "SessionChecks", "RevocationChecks"}


class HeldBack:
    """What one process holds back."""

    def __init__(self, log_allowed: LogAllowed) -> None:
        """Nothing, at first."""
        self._log_allowed = log_allowed
        self._allowed, self._since_ns = 0, 0
        self._held: list[Metrics] = []

    def is_everyday(self, metrics: Metrics) -> bool:
        """Whether the record may be held back: an allowed request, nothing fetched, failed or left out."""
        if self._log_allowed is LogAllowed.ALL or "Allowed" not in metrics:
            return False
        return {name for name, value in metrics.items() if value} <= _EVERYDAY

    @property
    def leaves_out_members(self) -> bool:
        """Whether what is written of an everyday record is its metrics alone."""
        return self._log_allowed is LogAllowed.NONE

    def hold(self, metrics: Metrics, now_ns: int) -> bool:
        """Hold back one everyday record. False if it is to be written, with those that were held back."""
        self._allowed += 1
        since_ns = self._since_ns if self._held else now_ns
        if len(self._held) >= min(MAX_HELD, self._allowed // LOSS) or now_ns - since_ns > MAX_HELD_NS:
            return False
        self._since_ns = since_ns
        self._held.append(metrics)
        return True

    def release(self, metrics: Metrics) -> Metrics:
        """The metrics of a record that is written, with those that were held back."""
        held, self._held = self._held, []
        if not held:
            return metrics
        released = dict(metrics)
        for name in dict.fromkeys(name for one in held for name in one):
            values = [value for one in (*held, metrics) for value in _values(one.get(name))]
            released[name] = values if name in _LISTED else sum(values)
        return released


def _values(value: float | list[float] | None) -> list[float]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
