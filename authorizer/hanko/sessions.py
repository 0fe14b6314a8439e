"""Asks Hanko whether the session lives: for every request (`strict`), or when the last answer is too old (`hybrid`).

Only an answer about this very session and user counts. "Not valid" names no session. So it counts only on a new
connection: on a kept one it may be the answer to an earlier question. And it counts only if Hanko serves its keys:
without its database Hanko says "not valid" of every session. An answer from a shared cache does not count. While Hanko
fails, the circuit breaker is open, and requests fail at once.
"""

import json
from typing import NamedTuple

from authorizer.clock import Instant
from authorizer.config import SessionMode, Settings
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.hanko.client import JWKS_PATH, HttpsClient
from authorizer.hanko.connection import HttpResponse
from authorizer.hanko.cooldown import CircuitBreaker
from authorizer.hanko.failure import FetchFailed, FetchFailure
from authorizer.hanko.fetch import Fetch
from authorizer.hanko.strict_json import parse_object
from authorizer.model import CheckReport, Claims
from authorizer.verdicts import Verdicts

VALIDATE_PATH = "/sessions/validate"
FAILURE_THRESHOLD = 3  # failures in a row: one lost connection is no outage

# Only failures that say Hanko is down open the circuit breaker. A bad answer about one token does not: its owner could
# otherwise disable the check for everybody.
_OUTAGES = frozenset(FetchFailure) - {FetchFailure.STATUS, FetchFailure.TOO_LARGE, FetchFailure.CONTENT}
_OUTAGE_STATUSES = frozenset((429, *range(500, 600)))
_REFUSED = frozenset((401, 403))
REFUSED_USERS = 5  # in a row: then a firewall or a wrong URL refuses everybody


class Asked(NamedTuple):
    """The outcome of one question: whether the session lives, or the failure; `checks` is how often we asked."""

    began: Instant
    outcome: bool | FetchFailed
    checks: int


class HankoSessions:
    """Asks Hanko's `/sessions/validate`. Not thread-safe: a process of Lambda's handles one invocation at a time.

    middleware/shared.py has the one for many threads.
    """

    def __init__(self, settings: Settings, client: HttpsClient) -> None:
        self._client, self._clock = client, client.clock
        self._skew_seconds = settings.clock_skew_seconds
        is_hybrid = settings.session_check is SessionMode.HYBRID
        self._verdicts = Verdicts(client.clock, settings.session_max_age_seconds if is_hybrid else 0)
        self._touch = settings.session_touch
        self._breaker = CircuitBreaker(client.clock, FAILURE_THRESHOLD)
        self._refused_users: set[str] = set()
        self._checks = 0
        self._failure: str | None = None

    def check(self, claims: Claims, token: str) -> None:
        """Return if the session lives. `token` must have been verified: it goes to Hanko.

        Raises `Unauthenticated(session_ended)`, or `Unavailable(session_unchecked)` if Hanko cannot be asked or says
        nothing about this session. Source: Hanko's backend/handler/session.go.
        """
        lives = self.known(claims)
        if lives is None:
            lives = self.learn(claims, self.ask(self._client, claims, token))
        if not lives:
            raise Unauthenticated(Reason.SESSION_ENDED)

    def known(self, claims: Claims) -> bool | None:
        """Whether the session lives; None if Hanko must be asked.

        Raises `Unavailable(session_unchecked)` while the circuit breaker is open.
        """
        lives = self._verdicts.lives(claims)
        if lives is None and self._breaker.is_open:
            self._failure = "circuit_open"
            raise Unavailable(Reason.SESSION_UNCHECKED)
        return lives

    def ask(self, client: HttpsClient, claims: Claims, token: str) -> Asked:
        """Ask Hanko. Changes nothing but `client`, so that threads can ask at the same time."""
        fetch, checks = self._start(client, token), 1
        try:
            lives = read_verdict(fetch.result(), claims)
            if not lives:
                client.start(JWKS_PATH, deadline=fetch.deadline).result()
                if fetch.on_kept:
                    fetch, checks = fetch.again(), 2
                    lives = read_verdict(fetch.result(), claims)
        except (FetchFailed, ValueError) as error:
            client.close()  # the next answer on it may belong to this question
            failed = error if isinstance(error, FetchFailed) else FetchFailed(FetchFailure.CONTENT)
            return Asked(fetch.began, failed, checks)
        return Asked(fetch.began, lives, checks)

    def learn(self, claims: Claims, asked: Asked) -> bool:
        """Remember the outcome of a question, and return whether the session lives.

        Raises `Unavailable(session_unchecked)` if the question failed.
        """
        self._checks += asked.checks
        if isinstance(asked.outcome, FetchFailed):
            self._failed(asked.outcome, claims.user_id)
            raise Unavailable(Reason.SESSION_UNCHECKED)
        self._breaker.succeeded()
        self._refused_users.clear()
        # On another of Hanko's machines, whose clock is behind, a token issued just now is not valid yet.
        if asked.outcome or asked.began.wall - claims.issued_at >= self._skew_seconds:
            self._verdicts.remember(claims, asked.began, lives=asked.outcome)
        return asked.outcome

    def seconds_left(self, claims: Claims) -> float:
        """How long the last answer about this session serves; 0 if there is none."""
        return self._verdicts.seconds_left(claims)

    def take_report(self) -> CheckReport:
        """What happened since the last call."""
        report = CheckReport("session", self._checks, self._failure)
        self._checks, self._failure = 0, None
        return report

    def _failed(self, failed: FetchFailed, user_id: str) -> None:
        self._failure = failed.failure.value
        is_outage = failed.failure in _OUTAGES or failed.status in _OUTAGE_STATUSES
        if failed.status in _REFUSED:
            is_outage = len(self._refused_users) == REFUSED_USERS
            if not is_outage:
                self._refused_users.add(user_id)
        if is_outage:
            self._breaker.failed(failed.retry_after_seconds)

    def _start(self, client: HttpsClient, token: str) -> Fetch:
        if self._touch:
            body = json.dumps({"session_token": token}).encode()
            return client.start(VALIDATE_PATH, "POST", {"Content-Type": "application/json"}, body)
        return client.start(VALIDATE_PATH, "GET", {"Authorization": f"Bearer {token}"})


def read_verdict(response: HttpResponse, claims: Claims) -> bool:
    """Whether the session lives. "Valid" must name this session and its user, "not valid" names none.

    Raises ValueError for everything else.
    """
    if response.age_seconds:
        raise ValueError("from a shared cache")
    answer = parse_object(response.body)
    lives, named = answer.get("is_valid"), answer.get("claims")
    if lives is False and named is None and answer.get("user_id") is None:
        return False
    if type(lives) is not bool or not isinstance(named, dict) or not _is_about(named, claims):
        raise ValueError("not about this session")
    if answer.get("user_id") not in (None, claims.user_id):  # deprecated: dto/session.go
        raise ValueError("about another user")
    return lives


def _is_about(named: dict[str, object], claims: Claims) -> bool:
    """Whether the answer names this session and user. A tenant's own claim `subject` replaces Hanko's `subject`."""
    subjects = (claims.user_id, claims.payload.get("subject", claims.user_id))
    return named.get("session_id") == claims.session_id and named.get("subject") in subjects
