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
    expires_at: float | None = None


@dataclass
class Sessions:
    """All live sessions. An idle timeout of 0 means none. Beyond `limit` a user's oldest session ends.

    `ended` is called for each session that ends, with the reason as Hanko's events name it.
    """

    now: Callable[[], float]
    idle_timeout_seconds: float
    limit: int
    ended: Callable[[Session, str], None] = lambda _session, _why: None
    _rows: dict[str, Session] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, session_id: str, user_id: str, expires_at: float | None = None) -> None:
        with self._lock:
            self._rows[session_id] = Session(session_id, user_id, self.now(), self.now(), expires_at)
            for oldest in self._of(user_id)[: -self.limit]:
                self.end(oldest.session_id, "passive.limit")

    def find(self, session_id: str, *, renew: bool = False) -> Session | None:
        """The live session. A session that was idle for too long ends here, as in Hanko's handler/session.go."""
        with self._lock:
            row = self._rows.get(session_id)
            if row is None:
                return None
            if 0 < self.idle_timeout_seconds < self.now() - row.last_used:
                self.end(session_id, "passive.expire")
                return None
            if renew:
                row.last_used = self.now()
            return row

    def end(self, session_id: str, why: str = "admin.revoke") -> bool:
        """End a session; whether there was one."""
        with self._lock:
            row = self._rows.pop(session_id, None)
        if row is not None:
            self.ended(row, why)
        return row is not None

    def end_user(self, user_id: str) -> int:
        """End all sessions of a user; how many there were."""
        return sum(self.end(row.session_id) for row in self._of(user_id))

    def forget_user(self, user_id: str) -> None:
        """Delete all sessions of a deleted user. Their ends are no events."""
        with self._lock:
            for row in self._of(user_id):
                del self._rows[row.session_id]

    def _of(self, user_id: str) -> list[Session]:
        """The sessions of a user, the oldest first."""
        with self._lock:
            return [row for row in self._rows.values() if row.user_id == user_id]
