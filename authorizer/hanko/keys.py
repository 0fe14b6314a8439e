"""The cached key set: Hanko's public keys, kept across warm invocations.

Two clocks rule it. The *age* of the set: beyond the maximum age it is fetched anew, and while that fails it serves on,
stale, within a limit; failures back off from 1 s to 30 s. The *cool-down* of unknown key ids: Hanko signs with a new
key at once, so a token with an unknown key id forces one fetch, and after that, or after any failed attempt, none
until the cool-down is over. A scheduled fetch starts no cool-down, so a rotation right behind it is found at once.

A set that came with the artifact (bundled.py) is the first: nobody waits for the first fetch whose key is in it.
"""

import re
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from authorizer.bounded import BoundedDict
from authorizer.clock import Clock, Instant
from authorizer.config import Settings
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.hanko.cooldown import CircuitBreaker
from authorizer.hanko.fetch import JWKS_PATH, Fetch, FetchFailed, FetchFailure, HttpResponse, HttpsClient
from authorizer.hanko.jwk import parse_keys

MIN_MAX_AGE_SECONDS = 60  # a server that says no-cache shall not have a fetch for every request
MAX_REMEMBERED = 128

_LIMIT = re.compile(r"(?:^|[\s,])(?:max-age\s*=\s*\"?([0-9]{1,9})?|no-cache|no-store)", re.ASCII | re.IGNORECASE)


class KeySet(NamedTuple):
    """The usable keys of one answer, by key id; `fetched_at` is when the fetch began.

    Older than `max_age_seconds` it is fetched anew; while that fails it serves for `max_stale_seconds` more.
    """

    keys: dict[str, RSAPublicKey]
    fetched_at: Instant
    max_age_seconds: int
    max_stale_seconds: int


class KeyReport(NamedTuple):
    """What the key set did since it was last asked: for the log line and the metrics."""

    age_seconds: float | None = None
    fetches: int = 0
    failure: FetchFailure | None = None
    stale: bool = False


_NOTHING_YET = KeyReport()


class KeyCache:
    """Finds the key of a key id. One invocation at a time, as Lambda does it: nothing here is locked."""

    def __init__(
        self,
        settings: Settings,
        client: HttpsClient,
        clock: Clock,
        prefetch: Fetch | None = None,
        bundled: KeySet | None = None,
    ) -> None:
        """Fetch nothing yet; a `prefetch` under way is joined when a key is needed that is not in the `bundled` set."""
        self._settings, self._client, self._clock = settings, client, clock
        self._set = self._meanwhile = bundled
        self._prefetch = prefetch
        self._breaker = CircuitBreaker(clock, failure_threshold=1)
        self._cooling_since: Instant | None = None
        self._unknown: BoundedDict[str, Instant] = BoundedDict(MAX_REMEMBERED)
        self._withdrawn: set[str] = set()
        self._report = _NOTHING_YET

    def find(self, kid: str) -> RSAPublicKey:
        """The key whose id is exactly `kid`.

        Raises `Unauthenticated(key_unknown)` when Hanko's current set has none, `Unavailable(key_unchecked)` when it
        may have one but the cool-down forbids to ask, `Unavailable(keys_unavailable)` when there are no usable keys.
        """
        if (bundled := self._bundled_key(kid)) is not None:
            return bundled
        keys, just_arrived = self._current_keys()
        key = keys.get(kid)
        if key is None and not just_arrived:
            key = self._forced_refresh(kid).get(kid)
        if key is None:
            self._unknown[kid] = self._clock.now()
            raise Unauthenticated(Reason.KEY_UNKNOWN)
        return key

    def take_report(self) -> KeyReport:
        """What happened since the last call, and the age of the set now."""
        report, self._report = self._report, _NOTHING_YET
        if self._set is None:
            return report
        return KeyReport(self._clock.seconds_since(self._set.fetched_at), report.fetches, report.failure, report.stale)

    def _bundled_key(self, kid: str) -> RSAPublicKey | None:
        """The key in the bundled set, for as long as the first fetch is under way and can still come to its end."""
        if self._meanwhile is None:
            return None
        if self._prefetch is None:  # restored from a snapshot
            self._prefetch = self._client.start(JWKS_PATH)
        if self._prefetch.done or not self._is_recent(self._prefetch) or self._is_too_old(self._meanwhile):
            return None
        self._report = self._report._replace(stale=kid in self._meanwhile.keys)
        return self._meanwhile.keys.get(kid)

    def _current_keys(self) -> tuple[dict[str, RSAPublicKey], bool]:
        """The keys to go by, and whether they arrived while the token in hand was already waiting."""
        just_arrived = self._prefetch is not None and self._adopt(self._prefetch)
        if self._set is not None and self._overdue_seconds(self._set) <= 0:
            return self._set.keys, just_arrived
        if not self._breaker.is_open:
            just_arrived = self._refresh()
        if self._set is None or self._is_too_old(self._set):
            raise Unavailable(Reason.KEYS_UNAVAILABLE)
        self._report = self._report._replace(stale=self._overdue_seconds(self._set) > 0)
        return self._set.keys, just_arrived

    def _overdue_seconds(self, key_set: KeySet) -> float:
        """How far the set is beyond its maximum age: 0 or less while it is fresh."""
        return self._clock.seconds_since(key_set.fetched_at) - key_set.max_age_seconds

    def _is_too_old(self, key_set: KeySet) -> bool:
        return self._overdue_seconds(key_set) > key_set.max_stale_seconds

    def _forced_refresh(self, kid: str) -> dict[str, RSAPublicKey]:
        if kid in self._unknown and self._cools_down_since(self._unknown[kid]):
            raise Unauthenticated(Reason.KEY_UNKNOWN)
        if self._cooling_since is not None and self._cools_down_since(self._cooling_since):
            if kid in self._withdrawn:  # under a flood nobody could ask, and its owners would never hear to log in
                raise Unauthenticated(Reason.KEY_UNKNOWN)
            raise Unavailable(Reason.KEY_UNCHECKED)
        self._cooling_since = self._clock.now()
        if not self._refresh() or self._set is None:
            raise Unavailable(Reason.KEY_UNCHECKED)
        return self._set.keys

    def _cools_down_since(self, then: Instant) -> bool:
        return self._clock.seconds_since(then) < self._settings.keys_cooldown_seconds

    def _adopt(self, fetch: Fetch) -> bool:
        self._prefetch = self._meanwhile = None
        had_to_wait = not fetch.done
        is_recent = self._is_recent(fetch)
        if had_to_wait and not is_recent:
            fetch.cancel()
            return False
        return self._load(fetch, failure_counts=is_recent) and had_to_wait

    def _is_recent(self, fetch: Fetch) -> bool:
        """In a sandbox that was frozen since, a failure says nothing about Hanko now, nor will the rest ever come."""
        return self._clock.seconds_since(fetch.began) <= self._settings.fetch_timeout_seconds

    def _refresh(self) -> bool:
        return self._load(self._client.start(JWKS_PATH), failure_counts=True)

    def _load(self, fetch: Fetch, *, failure_counts: bool) -> bool:
        """Replace the set by what `fetch` brings. A failure leaves the old set as it is."""
        self._report = self._report._replace(fetches=self._report.fetches + 1)
        try:
            answer = fetch.result()
            keys = parse_keys(answer.body)
        except FetchFailed as failed:
            self._report = self._report._replace(failure=failed.failure)
            if failure_counts:
                self._breaker.failed()
                self._cooling_since = self._clock.now()
            return False
        self._breaker.succeeded()
        if self._set is not None:
            gone = self._set.keys.keys() - keys.keys()
            self._withdrawn = gone | (self._withdrawn - keys.keys() if len(self._withdrawn) < MAX_REMEMBERED else set())
        max_age_seconds = self._max_age_seconds(answer)
        self._set = KeySet(keys, fetch.began, max_age_seconds, self._settings.keys_max_stale_seconds)
        return True

    def _max_age_seconds(self, answer: HttpResponse) -> int:
        """Ours; Hanko's Cache-Control may shorten it, to `MIN_MAX_AGE_SECONDS` at the least, never lengthen it."""
        stated = (int(seconds or 0) for seconds in _LIMIT.findall(answer.cache_control))
        return max(MIN_MAX_AGE_SECONDS, min([self._settings.keys_max_age_seconds, *stated]))
