"""What the documents promise of one process: docs/when-hanko-is-down.md, docs/logout.md, and the checks' order.

A model beside the product, for test_life.py. It knows what Hanko has published, what this process has fetched and when,
and says what a token must get. It is written from the documents, with their figures.
"""

from dataclasses import dataclass, field

MAX_AGE, MAX_STALE, COOL_DOWN, TIMEOUT, SKEW, EARLY, REMEMBERED = 600, 43_200, 30, 5, 10, 60, 60
BURST, LONGEST_PAUSE, OUTAGES_IN_A_ROW = 4, 30, 3


@dataclass
class Clocks:
    """The process's clocks, and Hanko's own. A frozen process's monotonic clock stands; a wall clock can be wrong."""

    hanko: float
    wall: float
    monotonic: float = 1000.0

    def now(self) -> tuple[float, float]:
        return self.wall, self.monotonic

    def since(self, then: tuple[float, float]) -> float:
        """Too old is the safe mistake."""
        return max(self.wall - then[0], self.monotonic - then[1])


@dataclass
class Token:
    """What the test knows of a token that it had Hanko make."""

    text: str
    kid: str
    session_id: str
    user_id: str
    issued_at: float
    expires_at: float
    is_session: bool = True


@dataclass
class World:
    """Hanko, as it is: what it publishes, which sessions live, and what it answers with."""

    published: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    is_down: bool = False
    keys: str = "normal"  # or how it fails
    validate: str = "normal"

    @property
    def has_keys(self) -> bool:
        return not self.is_down and self.keys == "normal"

    @property
    def can_be_asked(self) -> bool:
        return not self.is_down and self.validate == "normal"

    @property
    def is_out(self) -> bool:
        """Whether the failure of a question about one session says that Hanko is down."""
        return self.is_down or self.validate == "500"

    def says_lives(self, token: Token, now: float) -> bool:
        """Hanko's own answer: it verifies the token, and looks for the session."""
        in_time = token.issued_at <= now < token.expires_at
        return token.kid in self.published and in_time and token.session_id not in self.ended


class Pause:
    """How long Hanko is left alone: 1 second, then twice as long each time, at most 30."""

    def __init__(self, clocks: Clocks, tolerated: int) -> None:
        self._clocks, self._tolerated = clocks, tolerated
        self.failures, self._failed_at = 0, (0.0, 0.0)

    def failed(self) -> None:
        self.failures, self._failed_at = self.failures + 1, self._clocks.now()

    def is_on(self) -> bool:
        beyond = self.failures - self._tolerated
        return beyond > 0 and self._clocks.since(self._failed_at) < min(2 ** (beyond - 1), LONGEST_PAUSE)


class Process:
    """What one process knows. `fetches` counts since the last question."""

    def __init__(self, clocks: Clocks, world: World, *, mode: str, on_outage: str, prefetches: bool) -> None:
        self._clocks, self._world, self._mode, self._lets_unchecked = clocks, world, mode, on_outage == "allow"
        self._keys: list[str] | None = None
        self._fetched_at = (0.0, 0.0)
        self._pause = Pause(clocks, 0)
        self._budget, self._budget_at = float(BURST), clocks.now()
        self._asked: dict[str, tuple[float, float]] = {}
        self._lives: dict[str, tuple[float, float]] = {}
        self._over: set[str] = set()
        self._outages = Pause(clocks, OUTAGES_IN_A_ROW - 1)
        self._prefetched = (clocks.now(), list(world.published) if world.has_keys else None) if prefetches else None
        self.fetches, self.asks = 0, False

    # --- keys

    def _age(self) -> float:
        return self._clocks.since(self._fetched_at)

    def _came(self, began: tuple[float, float], keys: list[str] | None, *, counts: bool) -> None:
        self.fetches += 1
        if keys is not None:
            self._keys, self._fetched_at, self._pause.failures = keys, began, 0
        elif counts:
            self._pause.failed()

    def _fetch(self) -> None:
        self._came(self._clocks.now(), list(self._world.published) if self._world.has_keys else None, counts=True)

    def _key(self, kid: str, *, fits: bool) -> str:
        """Why there is none, or if not `fits`, none but one that does not fit; empty if there is one."""
        if self._keys is not None and kid in self._keys and self._age() <= MAX_AGE and fits:
            return ""
        if self._prefetched is not None:
            (began, keys), self._prefetched = self._prefetched, None
            self._came(began, keys, counts=self._clocks.since(began) <= TIMEOUT)  # a frozen fetch says nothing of now
        if (self._keys is None or self._age() > MAX_AGE) and not self._pause.is_on():
            self._fetch()
            if not self._pause.failures:
                self._asked[kid] = self._clocks.now()
        if self._keys is None or self._age() > MAX_AGE + MAX_STALE:
            return "keys_unavailable"
        if fits and kid in self._keys:
            return ""
        if not self._pause.is_on() and self._takes_from_the_budget(kid):
            self._fetch()
            if fits and kid in self._keys:
                return ""
        if self._pause.failures or self._age() >= COOL_DOWN + TIMEOUT:
            return "key_unchecked"
        return "signature_invalid" if kid in self._keys else "key_unknown"

    def _takes_from_the_budget(self, kid: str) -> bool:
        """Four at once, then one per cool-down; one key id causes one per cool-down."""
        if kid in self._asked and self._clocks.since(self._asked[kid]) < COOL_DOWN:
            return False
        left = min(BURST, self._budget + self._clocks.since(self._budget_at) / COOL_DOWN)
        if left < 1:
            return False
        self._budget, self._budget_at, self._asked[kid] = left - 1, self._clocks.now(), self._clocks.now()
        return True

    # --- a token

    def must_say(self, token: Token, *, is_forged: bool = False) -> str:
        """The reason that the record must have."""
        self.fetches, self.asks = 0, False
        why = self._key(token.kid, fits=True)
        if not why and is_forged:
            why = self._key(token.kid, fits=False)
        return why or self._in_time(token) or self._session(token)

    def _in_time(self, token: Token) -> str:
        if token.expires_at <= self._clocks.wall - SKEW:
            return "token_expired"
        early = token.issued_at - self._clocks.wall - SKEW
        if early > 0:
            return "token_early" if early <= EARLY else "token_not_yet_valid"
        return "" if token.is_session else "not_a_session"

    def _session(self, token: Token) -> str:
        known = token.session_id
        if known in self._over:
            return "session_ended"
        is_young = known in self._lives and self._clocks.since(self._lives[known]) < REMEMBERED
        if self._mode == "off" or (self._mode == "hybrid" and is_young):
            return "allowed"
        if self._outages.is_on() or (lives := self._asked_of_hanko(token)) is None:
            return "allowed" if self._lets_unchecked else "session_unchecked"
        if lives:
            self._lives[known] = self._clocks.now()
            return "allowed"
        if self._clocks.wall - token.issued_at >= SKEW:  # another of Hanko's machines may not know a new one yet
            self._over.add(known)
        return "session_ended"

    def _asked_of_hanko(self, token: Token) -> bool | None:
        """Whether the session lives; None if Hanko does not say so, or has lost its database and its keys with it."""
        self.asks, world = True, self._world
        lives = world.says_lives(token, self._clocks.hanko)
        if world.can_be_asked and (lives or world.keys not in {"500", "404"}):
            self._outages.failures = 0
            return lives
        if world.is_out or (world.can_be_asked and world.keys == "500"):
            self._outages.failed()
        return None
