"""Hanko's public keys: the key set, when it is fetched, and the lookup of a key id.

docs/when-hanko-is-down.md has the behaviour. Hanko signs with a new key at once, and behind an alias of AWS KMS a key
changes and keeps its id. So an unknown key id, and a signature that does not fit the key of its id, cause a fetch of
their own. Anybody can send such tokens, so a `CoolDown` limits these fetches.

Without a fetch the set in hand decides. If Hanko sent it less than a cool-down ago, the token is refused. If the last
fetch failed (an outage), or a shared cache sent an older set, the answer is a 500, `key_unchecked`: the token may be
good.
"""

import re
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from authorizer.clock import Clock, Instant
from authorizer.config import Settings
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.hanko.client import JWKS_PATH, HttpsClient
from authorizer.hanko.cooldown import MAX_BACK_OFF_SECONDS, CircuitBreaker, CoolDown
from authorizer.hanko.failure import FetchFailed, FetchFailure
from authorizer.hanko.jwk import parse_keys

if TYPE_CHECKING:
    from authorizer.hanko.connection import HttpResponse
    from authorizer.hanko.fetch import Fetch

MIN_MAX_AGE_SECONDS = 60  # no-cache must not mean a fetch for every request

_LIMIT = re.compile(r"(?:^|[\s,])(?:max-age\s*=\s*\"?([0-9]{1,9})?|no-cache|no-store)", re.ASCII | re.IGNORECASE)


class KeySet(NamedTuple):
    """The usable keys of one answer, by key id.

    `fetched_at` is when its fetch began, less the time that a shared cache had kept it. Older than `max_age_seconds` it
    is fetched again; while that fails it serves for `max_stale_seconds` more.
    """

    keys: dict[str, RSAPublicKey]
    fetched_at: Instant
    max_age_seconds: int
    max_stale_seconds: int


class KeyReport(NamedTuple):
    """What happened to the key set since the last report: for the log line and the metrics."""

    age_seconds: float | None = None
    fetches: int = 0
    failure: FetchFailure | None = None
    stale: bool = False


_NOTHING_YET = KeyReport()


class KeyCache:
    """Finds the key of a key id. Not thread-safe: a process of Lambda's handles one invocation at a time.

    middleware/shared.py has the one for many threads.
    """

    def __init__(
        self,
        settings: Settings,
        client: HttpsClient,
        clock: Clock,
        prefetch: "Fetch | None" = None,
        bundled: KeySet | None = None,
    ) -> None:
        """Fetch nothing yet. A `prefetch` under way is joined when a key is needed that the `bundled` set lacks."""
        self._clock = clock
        self._remote = RemoteKeySet(settings, client, clock, prefetch, bundled)
        self._cool_down = CoolDown(clock, settings.keys_cooldown_seconds)
        self._current_seconds = settings.keys_cooldown_seconds + settings.fetch_timeout_seconds

    def find(self, kid: str) -> RSAPublicKey:
        """The key whose id is exactly `kid`.

        Raises `Unauthenticated(key_unknown)` if Hanko has no such key, `Unavailable(key_unchecked)` if Hanko may have
        one but could not be asked, `Unavailable(keys_unavailable)` if there is no usable key set.
        """
        key_set = self._remote.key_set
        if key_set is not None and self._clock.seconds_since(key_set.fetched_at) <= key_set.max_age_seconds:
            key = key_set.keys.get(kid)
            if key is not None:
                return key
        return self._remote.bundled_key(kid) or self._look_up(kid, None)

    def find_changed(self, kid: str, unfit: RSAPublicKey) -> RSAPublicKey:
        """The key that Hanko now has under `kid` instead of `unfit`, which does not fit a signature.

        Raises `Unauthenticated(signature_invalid)` if the key is still the same, else as `find` does.
        """
        return self._look_up(kid, unfit)

    def take_report(self) -> KeyReport:
        return self._remote.take_report()

    def _look_up(self, kid: str, unfit: RSAPublicKey | None) -> RSAPublicKey:
        """At most one fetch: the breaker and `note` keep a second one from following the first."""
        remote = self._remote
        if remote.refresh():
            self._cool_down.note(kid)
        key = remote.usable_keys().get(kid)
        if key == unfit and not remote.breaker.is_open and self._cool_down.take(kid) and remote.reload():
            key = remote.usable_keys().get(kid)
        if key is not None and key != unfit:
            return key
        if not remote.is_current(self._current_seconds):
            raise Unavailable(Reason.KEY_UNCHECKED)
        raise Unauthenticated(Reason.KEY_UNKNOWN if key is None else Reason.SIGNATURE_INVALID)


class RemoteKeySet:
    """Hanko's key set as this process has it: the last good answer, and the way to the next one."""

    def __init__(
        self, settings: Settings, client: HttpsClient, clock: Clock, prefetch: "Fetch | None", bundled: KeySet | None
    ) -> None:
        self._settings, self._client, self._clock = settings, client, clock
        self.key_set = self._bundled = bundled
        self._prefetch, self._bundled_since = prefetch, prefetch.began if prefetch else None
        longest_seconds = min(settings.keys_cooldown_seconds, MAX_BACK_OFF_SECONDS)  # the receiver's pauses are short
        self.breaker = CircuitBreaker(clock, 1, longest_seconds)
        self._report = _NOTHING_YET

    def is_current(self, seconds: float) -> bool:
        """Whether the last fetch succeeded, and Hanko sent its answer less than `seconds` ago."""
        if self.key_set is None or self.breaker.has_failed:
            return False
        return self._clock.seconds_since(self.key_set.fetched_at) < seconds

    def take_report(self) -> KeyReport:
        """What happened since the last call. If anything did, it includes the age of the set."""
        report, self._report = self._report, _NOTHING_YET
        if report == _NOTHING_YET or self.key_set is None:
            return report
        return report._replace(age_seconds=self._clock.seconds_since(self.key_set.fetched_at))

    def bundled_key(self, kid: str) -> RSAPublicKey | None:
        """The key in the bundled set, as long as the first fetch is under way and can still succeed.

        A process that did not start with that fetch begins it with its second token: TLS would delay the first answer.
        """
        if self._bundled is None or kid not in self._bundled.keys or self._is_too_old(self._bundled):
            return None
        if self._bundled_since is None:
            self._bundled_since = self._clock.now()
        elif not self._is_recent(self._bundled_since):
            return None
        elif self._prefetch is None:
            self._prefetch = self._client.start(JWKS_PATH)
        if self._prefetch is not None and self._prefetch.done:
            return None
        self._report = self._report._replace(stale=True)
        return self._bundled.keys[kid]

    def refresh(self) -> bool:
        """Take the result of the prefetch, and fetch if the set is overdue; True if a set came after a wait."""
        self._bundled = None  # from here on it is a set like any other: it serves until a fetch brings a newer one
        has_come = self._prefetch is not None and self._take_prefetch(self._prefetch)
        if (self.key_set is None or self._overdue_seconds(self.key_set) > 0) and not self.breaker.is_open:
            has_come = self.reload()
        return has_come

    def reload(self) -> bool:
        """Fetch now; True if a set came."""
        return self._replace_from(self._client.start(JWKS_PATH), failure_counts=True)

    def usable_keys(self) -> dict[str, RSAPublicKey]:
        """The keys in hand, fresh or stale. Raises `Unavailable(keys_unavailable)` if they are too old, or none."""
        if self.key_set is None or self._is_too_old(self.key_set):
            raise Unavailable(Reason.KEYS_UNAVAILABLE)
        self._report = self._report._replace(stale=self._overdue_seconds(self.key_set) > 0)
        return self.key_set.keys

    def _overdue_seconds(self, key_set: KeySet) -> float:
        """How far the set is beyond its maximum age: 0 or less while it is fresh."""
        return self._clock.seconds_since(key_set.fetched_at) - key_set.max_age_seconds

    def _is_too_old(self, key_set: KeySet) -> bool:
        return self._overdue_seconds(key_set) > key_set.max_stale_seconds

    def _take_prefetch(self, fetch: "Fetch") -> bool:
        self._prefetch = None
        had_to_wait = not fetch.done
        is_recent = self._is_recent(fetch.began)
        if had_to_wait and not is_recent:
            fetch.cancel()
            return False
        return self._replace_from(fetch, failure_counts=is_recent) and had_to_wait

    def _is_recent(self, began: Instant) -> bool:
        """False if the sandbox was frozen during a fetch: its failure is too old to count, its answer will not come."""
        return self._clock.seconds_since(began) <= self._settings.fetch_timeout_seconds

    def _replace_from(self, fetch: "Fetch", *, failure_counts: bool) -> bool:
        """Replace the set by the result of `fetch`. A failure leaves the old set as it is."""
        self._report = self._report._replace(fetches=self._report.fetches + 1)
        try:
            answer = fetch.result()
            keys = parse_keys(answer.body)
        except (FetchFailed, ValueError) as error:
            failed = error if isinstance(error, FetchFailed) else FetchFailed(FetchFailure.CONTENT)
            self._report = self._report._replace(failure=failed.failure)
            if failure_counts:
                self.breaker.failed(failed.retry_after_seconds)
            return False
        self.breaker.succeeded()
        began, age_seconds = fetch.began, answer.age_seconds
        sent_at = Instant(began.wall - age_seconds, began.monotonic - age_seconds)
        self.key_set = KeySet(keys, sent_at, self._max_age_seconds(answer), self._settings.keys_max_stale_seconds)
        return True

    def _max_age_seconds(self, answer: "HttpResponse") -> int:
        """Our setting, or less if Cache-Control says less (RFC 9111 section 5.2.2).

        A set is kept for `MIN_MAX_AGE_SECONDS` at least, whatever its header says and however old it came.
        """
        stated = (int(seconds or 0) for seconds in _LIMIT.findall(answer.cache_control))
        max_age_seconds = min([self._settings.keys_max_age_seconds, *stated])
        return max(answer.age_seconds + MIN_MAX_AGE_SECONDS, max_age_seconds)
