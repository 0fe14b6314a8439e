"""Does the session still live? Hanko knows, and is asked: for every request (`strict`), or when its last answer is too
old (`hybrid`).

A session that is over never comes back to life, so that answer is kept. What is no answer about this very session, by
its id and its user, is none at all, and "not valid", which names neither, counts on a connection of its own alone: on
one that others used before it may be theirs. While Hanko fails it is left alone: a request in that time is told so at
once.
"""

import json
from typing import NamedTuple

from authorizer.bounded import BoundedDict
from authorizer.clock import Instant
from authorizer.config import SessionMode, Settings
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.hanko.cooldown import CircuitBreaker
from authorizer.hanko.fetch import Fetch, FetchFailed, FetchFailure, HttpsClient
from authorizer.hanko.strict_json import parse_object
from authorizer.model import CheckReport, Claims

VALIDATE_PATH = "/sessions/validate"
MAX_REMEMBERED = 4096  # some 2 MB; with more sessions in a sandbox at a time, the oldest answers are asked for again
FAILURE_THRESHOLD = 3  # failures in a row: a single lost connection is no outage

# An answer that is there but refused is about one token, and its owner could send it all day: only what says that
# Hanko itself is in trouble may keep others from asking.
_OUTAGES = frozenset((FetchFailure.TIMEOUT, FetchFailure.CONNECTION, FetchFailure.TLS, FetchFailure.PROTOCOL))
_OUTAGE_STATUSES = frozenset((429, *range(500, 600)))


class _Session(NamedTuple):
    """What an answer is about. The time of issue binds it to the token."""

    session_id: str
    user_id: str
    issued_at: float


class _Answer(NamedTuple):
    """What Hanko said, and when it was asked."""

    lives: bool
    asked_at: Instant


class HankoSessions:
    """Asks Hanko's `/sessions/validate`. One invocation at a time, as Lambda does it: nothing here is locked."""

    def __init__(self, settings: Settings, client: HttpsClient) -> None:
        """Nothing is asked or opened here."""
        self._client, self._clock = client, client.clock
        self._skew_seconds = settings.clock_skew_seconds
        # No answer is younger than 0 s, so `strict` finds none young enough.
        self._max_age_seconds = settings.session_max_age_seconds if settings.session_check is SessionMode.HYBRID else 0
        self._touch = settings.session_touch
        self._answers: BoundedDict[_Session, _Answer] = BoundedDict(MAX_REMEMBERED)
        self._breaker = CircuitBreaker(client.clock, FAILURE_THRESHOLD)
        self._checks = 0
        self._failure: str | None = None

    def check(self, claims: Claims, token: str) -> None:
        """Return if the session lives. `token` must have been verified: it goes to Hanko.

        An answer is as old as its question. It needs no look at `exp`: a token beyond it never gets here.

        Raises `Unauthenticated(session_ended)`, or `Unavailable(session_unchecked)` when Hanko cannot be asked or says
        nothing about this session. Source: Hanko's backend/handler/session.go.
        """
        session = _Session(claims.session_id, claims.user_id, claims.issued_at)
        answer = self._answers.get(session)
        if answer is None or (answer.lives and self._clock.seconds_since(answer.asked_at) >= self._max_age_seconds):
            answer = self._ask(session, token)
        if not answer.lives:
            raise Unauthenticated(Reason.SESSION_ENDED)

    def take_report(self) -> CheckReport:
        """What happened since the last call."""
        report = CheckReport("session", self._checks, self._failure)
        self._checks, self._failure = 0, None
        return report

    def _ask(self, session: _Session, token: str) -> _Answer:
        if self._breaker.is_open:
            self._failure = "circuit_open"
            raise Unavailable(Reason.SESSION_UNCHECKED)
        fetch = self._start(token)
        try:
            lives = self._verdict(fetch, session)
            if not lives and fetch.on_kept:  # it names nobody: what was left over from another question says the same
                fetch = fetch.again()
                lives = self._verdict(fetch, session)
        except FetchFailed as failed:
            self._client.close()  # what came was no answer to this question, so what comes next may be none either
            self._failure = failed.failure.value
            if failed.failure in _OUTAGES or failed.status in _OUTAGE_STATUSES:
                self._breaker.failed()
            raise Unavailable(Reason.SESSION_UNCHECKED) from None
        self._breaker.succeeded()
        answer = _Answer(lives, fetch.began)
        # By the clock of another of Hanko's machines, a token that was issued just now is not valid yet.
        if lives or fetch.began.wall - session.issued_at >= self._skew_seconds:
            self._answers[session] = answer
        return answer

    def _verdict(self, fetch: Fetch, session: _Session) -> bool:
        self._checks += 1
        return read_verdict(fetch.result().body, session.session_id, session.user_id)

    def _start(self, token: str) -> Fetch:
        if self._touch:
            body = json.dumps({"session_token": token}).encode()
            return self._client.start(VALIDATE_PATH, "POST", {"Content-Type": "application/json"}, body)
        return self._client.start(VALIDATE_PATH, "GET", {"Authorization": f"Bearer {token}"})


def read_verdict(body: bytes, session_id: str, user_id: str) -> bool:
    """Whether the session lives. "Not valid" names no session; "valid" must name this one and its user.

    Raises `FetchFailed(content)` for everything else.
    """
    try:
        answer = parse_object(body)
    except ValueError:
        raise FetchFailed(FetchFailure.CONTENT) from None
    lives, claims = answer.get("is_valid"), answer.get("claims")
    named = (claims.get("session_id"), answer.get("user_id")) if isinstance(claims, dict) else ()
    names_nobody = claims is None and answer.get("user_id") is None
    if lives is True and named == (session_id, user_id):
        return True
    if lives is False and (names_nobody or named == (session_id, user_id)):
        return False
    raise FetchFailed(FetchFailure.CONTENT)
