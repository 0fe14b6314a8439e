"""The authorizer's side of the revocation table: is this session, or its user, revoked?"""

import math
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoCredentialsError

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.model import CheckReport, Claims
from authorizer.revocation.entry import session_subject, user_subject
from authorizer.revocation.table import Client
from authorizer.verdicts import Verdicts

READ_ATTEMPTS = 2  # a connection kept through a freeze may be dead
READ_AGAIN_SECONDS = 1  # no attempt begins later; where DynamoDB has several addresses, connecting may try each of them
_THROTTLED = {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"}


class RevocationCheck:
    """Looks a session and its user up before each decision. One invocation at a time, as Lambda does it."""

    def __init__(self, settings: Settings, table: str, client: Client, clock: Clock) -> None:
        """Keep what every look-up needs."""
        self._table, self._client, self._clock = table, client, clock
        self._verdicts = Verdicts(clock, settings.revocation_cache_seconds)
        self._checks, self._failure = 0, ""

    def check(self, claims: Claims, token: str) -> None:  # noqa: ARG002 - the table knows no tokens
        """Return if the table does not revoke the session.

        Raises `Unauthenticated(session_revoked)`, or `Unavailable(revocation_unchecked)` when it could not be read.
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
        """How often the table was asked since the last call, and why in vain."""
        report = CheckReport("revocation", self._checks, self._failure or None)
        self._checks, self._failure = 0, ""
        return report

    def _is_revoked(self, claims: Claims) -> bool:
        """Ask the table, consistently: what was durable when Hanko got its answer is seen from then on."""
        subjects = (session_subject(claims.session_id), user_subject(claims.user_id))
        keys = [{"subject": {"S": subject}} for subject in subjects]
        wanted = {self._table: {"Keys": keys, "ConsistentRead": True}}
        deadline = self._clock.monotonic() + READ_AGAIN_SECONDS
        for _ in range(READ_ATTEMPTS):
            if self._clock.monotonic() > deadline:
                break
            self._checks += 1
            try:
                answer = self._client.batch_get_item(RequestItems=wanted)
                if _revokes(answer["Responses"].get(self._table, []), claims.issued_at):
                    return True
            except (BotoCoreError, ClientError) as error:
                self._failure = _failure(error)
                continue
            except (KeyError, TypeError, ValueError):
                self._failure = "malformed"
                break
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return False
            self._failure = "throttled"
        raise Unavailable(Reason.REVOCATION_UNCHECKED)


def _revokes(items: Sequence[dict[str, Any]], issued_at: float) -> bool:
    """Whether an item revokes what was issued then. Raises KeyError, TypeError or ValueError for what is no item.

    Half an item, whose other half is still being written, does not keep a whole one from being seen.
    """
    whole_first = sorted(items, key=lambda item: "issued_until" not in item)
    return any(issued_at <= int(item["issued_until"]["N"]) for item in whole_first)


def _failure(error: BotoCoreError | ClientError) -> str:
    """What went wrong, for the operator: a closed set, nothing from outside."""
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        if code in _THROTTLED:
            return "throttled"
        return "denied" if code == "AccessDeniedException" else "refused"
    return "credentials" if isinstance(error, NoCredentialsError | CredentialRetrievalError) else "connection"
