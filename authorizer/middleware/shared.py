"""The key set and the session checks for many threads: here they get their locks.

A thread waits for Hanko only if its own answer depends on it. For asyncio there is a variant of each that never waits:
it raises `WouldWait`.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from authorizer.clock import Clock
from authorizer.config import SessionMode, Settings
from authorizer.errors import Reason, Unauthenticated
from authorizer.hanko.client import HttpsClient
from authorizer.hanko.keys import KeyCache
from authorizer.hanko.sessions import Asked, HankoSessions
from authorizer.model import CheckReport, Claims

OVERDUE_SECONDS = 60  # up to then an overdue set serves while a thread fetches the next one


class WouldWait(Exception):
    """The answer needs Hanko, and the caller must not wait."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        """`threads` are those that may wait for it."""
        super().__init__()
        self.threads = threads


class SharedKeys(KeyCache):
    """A key cache for many threads: one fetch for all, and no wait for a key that is known."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Fetch nothing yet."""
        super().__init__(settings, HttpsClient(settings._replace(session_check=SessionMode.OFF), clock), clock)
        self._lock, self._refreshing = threading.Lock(), threading.Lock()

    def known(self, kid: str) -> RSAPublicKey | None:
        """The key, without a wait; None if it is unknown or the set too old. A thread fetches an overdue set again.

        A set overdue for more than `OVERDUE_SECONDS`, after a quiet time, serves only if Hanko was asked and failed.
        """
        key_set = self._remote.key_set
        key = None if key_set is None else key_set.keys.get(kid)
        if key_set is None or key is None:
            return None
        overdue_seconds = self._clock.seconds_since(key_set.fetched_at) - key_set.max_age_seconds
        if overdue_seconds <= 0:
            return key
        limit_seconds = key_set.max_stale_seconds
        if not self._remote.breaker.has_failed:
            limit_seconds = min(limit_seconds, OVERDUE_SECONDS)
        if overdue_seconds > limit_seconds:
            return None
        self._refresh_meanwhile()
        return key

    def find(self, kid: str) -> RSAPublicKey:
        """As `KeyCache.find`."""
        key = self.known(kid)
        if key is not None:
            return key
        with self._lock:
            return super().find(kid)

    def find_changed(self, kid: str, unfit: RSAPublicKey) -> RSAPublicKey:
        """As `KeyCache.find_changed`."""
        with self._lock:
            return super().find_changed(kid, unfit)

    def failure(self) -> str | None:
        """Why a fetch failed since the last call, for the log. It takes no lock, so two threads may get the same."""
        return self.take_report().failure

    def _refresh_meanwhile(self) -> None:
        if not self._remote.breaker.is_open and self._refreshing.acquire(blocking=False):
            threading.Thread(target=self._refresh, daemon=True).start()

    def _refresh(self) -> None:
        try:
            with self._lock:
                self._remote.refresh()
        finally:
            self._refreshing.release()


class KeysAtOnce:
    """Finds the known keys; for others it raises `WouldWait`."""

    def __init__(self, keys: SharedKeys, threads: ThreadPoolExecutor) -> None:
        """`threads` are those that may wait."""
        self._keys, self._threads = keys, threads

    def find(self, kid: str) -> RSAPublicKey:
        """The key. Raises `WouldWait`."""
        key = self._keys.known(kid)
        if key is None:
            raise WouldWait(self._threads)
        return key

    def find_changed(self, _kid: str, _unfit: RSAPublicKey) -> RSAPublicKey:
        """Raises `WouldWait`."""
        raise WouldWait(self._threads)


class SharedSessions(HankoSessions):
    """Asks Hanko for many threads: a lock guards the remembered answers, and the questions go out in parallel."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Connect to nothing yet."""
        super().__init__(settings, HttpsClient(settings, clock))
        self._settings, self._lock = settings, threading.Lock()
        self._idle: list[HttpsClient] = []  # each with its kept connection, and used by one thread at a time

    def known(self, claims: Claims) -> bool | None:
        """As `HankoSessions.known`."""
        with self._lock:
            return super().known(claims)

    def learn(self, claims: Claims, asked: Asked) -> bool:
        """As `HankoSessions.learn`."""
        with self._lock:
            return super().learn(claims, asked)

    def ask(self, _client: HttpsClient, claims: Claims, token: str) -> Asked:
        """As `HankoSessions.ask`, with a client of this thread's own."""
        try:
            client = self._idle.pop()
        except IndexError:
            client = HttpsClient(self._settings, self._clock)
            client.server = self._client.server  # which keeps the TLS context
        asked = super().ask(client, claims, token)
        self._idle.append(client)
        return asked

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()


class SessionsAtOnce:
    """Uses the remembered answers about sessions; without one it raises `WouldWait`."""

    def __init__(self, sessions: SharedSessions, threads: ThreadPoolExecutor) -> None:
        """`threads` are those that may wait."""
        self._sessions, self._threads = sessions, threads

    def check(self, claims: Claims, _token: str) -> None:
        """As `HankoSessions.check`. Raises `WouldWait` if Hanko must be asked."""
        lives = self._sessions.known(claims)
        if lives is None:
            raise WouldWait(self._threads)
        if not lives:
            raise Unauthenticated(Reason.SESSION_ENDED)

    def seconds_left(self, claims: Claims) -> float:
        """As `HankoSessions.seconds_left`."""
        return self._sessions.seconds_left(claims)

    def take_report(self) -> CheckReport:
        """As `HankoSessions.take_report`."""
        return self._sessions.take_report()
