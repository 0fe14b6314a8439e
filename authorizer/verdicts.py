"""What the session checks remember: one memory for Hanko's answers and one for the revocation table's."""

from authorizer.bounded import BoundedDict
from authorizer.clock import Clock, Instant
from authorizer.model import Claims

MAX_REMEMBERED = 4096  # about 2 MB; beyond that the oldest verdicts are forgotten, and asked for again


class Verdicts:
    """Which sessions live, and which are over. A verdict belongs to one token: its session, user and time of issue.

    A session that is over stays over, so that verdict does not age. Expired tokens are refused before.
    """

    def __init__(self, clock: Clock, max_age_seconds: float) -> None:
        """A session that lives is remembered for `max_age_seconds`; with 0 it is not remembered."""
        self._clock, self._max_age_seconds = clock, max_age_seconds
        self._asked_at: BoundedDict[tuple[str, str, float], Instant | None] = BoundedDict(MAX_REMEMBERED)

    def lives(self, claims: Claims) -> bool | None:
        """Whether the session lives; None if that is not known, or was said too long ago."""
        token = claims.session_id, claims.user_id, claims.issued_at
        if token not in self._asked_at:
            return None
        asked_at = self._asked_at[token]
        if asked_at is None:
            return False
        return True if self._clock.seconds_since(asked_at) < self._max_age_seconds else None

    def seconds_left(self, claims: Claims) -> float:
        """How long the verdict that the session lives still serves; 0 if there is none."""
        asked_at = self._asked_at.get((claims.session_id, claims.user_id, claims.issued_at))
        return self._max_age_seconds - self._clock.seconds_since(asked_at) if asked_at else 0

    def remember(self, claims: Claims, asked_at: Instant, *, lives: bool) -> None:
        """Keep a verdict. It ages from its question on: a logout after the question may not be in the answer."""
        if self._max_age_seconds or not lives:
            self._asked_at[claims.session_id, claims.user_id, claims.issued_at] = asked_at if lives else None
