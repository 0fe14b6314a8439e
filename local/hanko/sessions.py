"""Hanko's session table, in memory: idle timeout, limit per user, and the ways a session ends."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Session:
    """One row. Times are seconds since the epoch."""

    session_id: str
    user_id: str
    created_at: float
    last_used: float


@dataclass
class Sessions:
    """All live sessions. An idle timeout of 0 means none; beyond `limit` a user's oldest session ends."""

    now: Callable[[], float]
    idle_timeout_seconds: float
    limit: int
    _rows: dict[str, Session] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, session_id: str, user_id: str) -> None:
        with self._lock:
            self._rows[session_id] = Session(session_id, user_id, self.now(), self.now())
            mine = [row.session_id for row in self._rows.values() if row.user_id == user_id]  # oldest first
            for oldest in mine[: -self.limit]:
                del self._rows[oldest]

    def find(self, session_id: str, *, renew: bool = False) -> Session | None:
        """The live session; one found idle for too long ends here, as in Hanko's handler/session.go."""
        with self._lock:
            row = self._rows.get(session_id)
            if row is None:
                return None
            if 0 < self.idle_timeout_seconds < self.now() - row.last_used:
                del self._rows[session_id]
                return None
            if renew:
                row.last_used = self.now()
            return row

    def end(self, session_id: str) -> bool:
        """Whether there was such a session."""
        with self._lock:
            return self._rows.pop(session_id, None) is not None

    def end_user(self, user_id: str) -> int:
        """How many sessions of that user ended."""
        with self._lock:
            mine = [row.session_id for row in self._rows.values() if row.user_id == user_id]
            for session_id in mine:
                del self._rows[session_id]
            return len(mine)
