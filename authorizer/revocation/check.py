"""Reads the DynamoDB table of revocations: is this session, or its user, revoked?"""

import math
import time
from collections.abc import Callable, Sequence

from authorizer.clock import Clock, attempts
from authorizer.config import Settings
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.model import CheckReport, Claims
from authorizer.revocation.reader import MALFORMED, PAUSES_SECONDS, ReadFailed, TableReader
from authorizer.revocation.subject import session_subject, user_subject
from authorizer.verdicts import Verdicts

READ_UNTIL_SECONDS = 1  # no attempt begins later; each takes 1 s at most, or more with several silent addresses
_TRANSIENT = ("throttled", "unavailable", "connection")


class RevocationCheck:
    """Looks up a session and its user before each decision. Not thread-safe: a process handles one at a time."""

    def __init__(
        self,
        settings: Settings,
        reader: TableReader,
        clock: Clock,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._reader, self._clock, self._pause = reader, clock, pause
        self._verdicts = Verdicts(clock, settings.revocation_cache_seconds)
        self._checks, self._failure = 0, ""

    def check(self, claims: Claims, token: str) -> None:  # noqa: ARG002 - the table knows no tokens
        """Return if the table does not revoke the session.

        Raises `Unauthenticated(session_revoked)`, or `Unavailable(revocation_unchecked)` if it could not be read.
        """
        lives = self._verdicts.lives(claims)
        if lives is None:
            asked_at = self._clock.now()
            lives = not self._is_revoked(claims)
            self._verdicts.remember(claims, asked_at, lives=lives)
        if not lives:
            raise Unauthenticated(Reason.SESSION_REVOKED)

    def seconds_left(self, claims: Claims) -> float:  # noqa: ARG002 - the same for every session
        """No limit: a revocation has no time at which it could be expected."""
        return math.inf

    def take_report(self) -> CheckReport:
        """How often the table was asked since the last call, and the last failure."""
        report = CheckReport("revocation", self._checks, self._failure or None)
        self._checks, self._failure = 0, ""
        return report

    def _is_revoked(self, claims: Claims) -> bool:
        subjects = (session_subject(claims.session_id), user_subject(claims.user_id))
        for _ in attempts(self._clock, PAUSES_SECONDS, self._clock.monotonic() + READ_UNTIL_SECONDS, self._pause):
            self._checks += 1
            try:
                verdict = _verdict(self._reader.read(subjects), self._reader.table, subjects, claims.issued_at)
            except ReadFailed as error:
                self._failure = error.failure
            except MALFORMED:
                self._failure = "malformed"
            else:
                if verdict is not None:
                    return verdict
                self._failure = "throttled"
            if self._failure not in _TRANSIENT:
                break
        raise Unavailable(Reason.REVOCATION_UNCHECKED)


def _verdict(answer: object, table: str, subjects: Sequence[str], issued_at: float) -> bool | None:
    """Whether an item revokes a token issued then; None if some keys were not read, and no item of the others does.

    Half an item, whose other half is still being written, does not hide a whole one.

    Raises one of `MALFORMED` for anything but an answer of DynamoDB's with items of these subjects.
    """
    match answer:
        case {"Responses": {**tables}, "UnprocessedKeys": {**unread}}:
            items = tables.get(table, [] if unread else None)
        case _:
            raise ValueError("not an answer to BatchGetItem")
    if not isinstance(items, list):
        raise ValueError("no items of this table")  # noqa: TRY004 - wrong input is a ValueError here
    if any(item["subject"]["S"] not in subjects for item in items):  # the answer to another question
        raise ValueError("items of others")
    whole_first = sorted(items, key=lambda item: "issued_until" not in item)
    if any(issued_at <= int(item["issued_until"]["N"], 10) for item in whole_first):  # with a base it takes text alone
        return True
    return None if unread else False
