"""The revocation table: what the webhooks' receiver writes and the authorizer reads. One item per session or user.

An item revokes the tokens issued up to its `issued_until`. Both of its numbers only ever grow, so replays, retries and
disorder change nothing. They are written in one go. Only where one of them is beyond what is to be written the other is
raised alone, `expires_at` first: DynamoDB removes items at some time after it, and must not between the two. Nothing
else relies on when: an item that is still there is still right, and one that is gone concerned no living token.

Importing this imports botocore, which the Lambda runtime has: do so only where there is a table. What import and first
client add to the function's start (measured on Python 3.11, two shared cores): boto3 245 ms, botocore.session 195 ms,
with a pinned endpoint no less. SigV4 from botocore.auth alone takes 95 ms, but then DynamoDB's protocol and errors, the
endpoints of every partition, and SnapStart's credentials are ours to get right; here they are botocore's.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoCredentialsError

from authorizer.clock import Clock, Instant
from authorizer.config import Settings
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.exchange import CheckReport
from authorizer.hanko.claims import Claims
from authorizer.hanko.memory import remember
from authorizer.hanko.strict import parse_object

CONNECT_SECONDS = READ_SECONDS = 0.5  # DynamoDB and SQS answer within tens of milliseconds, or try again
READ_ATTEMPTS = 2  # a connection kept through a freeze may be dead
READ_AGAIN_SECONDS = 1  # no attempt begins later; where DynamoDB has several addresses, connecting may try each of them
WRITE_SECONDS = 1.5  # no attempt begins later; Hanko waits 10 s for everything
WRITE_PAUSES_SECONDS = (0, 0, 0.1, 0.3, 0.6)  # before each attempt
QUEUE_ATTEMPTS = 2
MAX_REMEMBERED = 1024

Client = Any  # botocore makes its clients' methods at run time
_THROTTLED = {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"}


@dataclass(frozen=True, slots=True)
class Revocation:
    """What an item says: tokens of `subject` issued up to `issued_until` are revoked; none lives after `expires_at`.

    Both are whole seconds since 1970.
    """

    subject: str
    issued_until: int
    expires_at: int


def session_subject(session_id: str) -> str:
    """The key of a session's item."""
    return f"session#{session_id}"


def user_subject(user_id: str) -> str:
    """The key of a user's item."""
    return f"user#{user_id}"


def connect_both() -> tuple[Client, Client]:
    """Clients of `dynamodb` and `sqs`. The second costs 4 ms, with a session of its own 47."""
    session = botocore.session.Session()
    return connect("dynamodb", session), connect("sqs", session)


def connect(service: str, session: botocore.session.Session | None = None) -> Client:
    """A client of `dynamodb` or `sqs`, with no retries but ours; of that session of botocore's, or of its own."""
    retries = {"total_max_attempts": 1}
    config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)  # type: ignore[arg-type]  # botocore's stubs know retries as a type of their own
    return (session or botocore.session.Session()).create_client(service, config=config)


class RevocationCheck:
    """Looks a session and its user up before each decision. One invocation at a time, as Lambda does it."""

    def __init__(self, settings: Settings, table: str, client: Client, clock: Clock) -> None:
        """Keep what every look-up needs."""
        self._table, self._client, self._clock = table, client, clock
        self._cache_seconds = settings.logout.revocation_cache_seconds
        self._revoked: dict[tuple[str, str, float], None] = {}
        self._alive: dict[tuple[str, str, float], Instant] = {}
        self._asks, self._failure = 0, ""

    def verify(self, claims: Claims, token: str) -> Claims:  # noqa: ARG002 - the table knows no tokens
        """The claims of a session that the table does not revoke.

        Raises `Unauthenticated(session_revoked)`, or `Unavailable(revocation_unchecked)` when it could not be read.
        """
        known = (claims.session_id, claims.user_id, claims.issued_at)
        if known in self._alive and self._clock.seconds_since(self._alive[known]) < self._cache_seconds:
            return claims
        asked_at = self._clock.now()  # what is written while the answer is on its way may not be in it
        if known in self._revoked or self._is_revoked(claims):
            remember(self._revoked, known, None, MAX_REMEMBERED)  # for good: expired tokens do not get here
            raise Unauthenticated(Reason.SESSION_REVOKED)
        if self._cache_seconds:
            remember(self._alive, known, asked_at, MAX_REMEMBERED)
        return claims

    def take_report(self) -> CheckReport:
        """How often the table was asked since the last call, and why in vain."""
        report = CheckReport("revocation", self._asks, self._failure or None)
        self._asks, self._failure = 0, ""
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
            self._asks += 1
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


class RevocationWriter:
    """Writes items, durably."""

    def __init__(self, table: str, client: Client, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        """`pause` waits for so many seconds."""
        self._table, self._client, self._clock, self._pause = table, client, clock, pause

    def write(self, revocation: Revocation) -> None:
        """Write it, or find that the item says as much already; it is durable on return.

        Raises `Unavailable(revocation_unwritten)` when `WRITE_SECONDS` of attempts did not help.
        """
        deadline = self._clock.monotonic() + WRITE_SECONDS
        for pause_seconds in WRITE_PAUSES_SECONDS:
            if self._clock.monotonic() + pause_seconds > deadline:
                break
            self._pause(pause_seconds)
            with suppress(BotoCoreError, ClientError):
                self._raise(revocation)
                return
        raise Unavailable(Reason.REVOCATION_UNWRITTEN)

    def _raise(self, revocation: Revocation) -> None:
        """Raise both numbers of an item, each unless it is beyond already."""
        numbers = {"expires_at": revocation.expires_at, "issued_until": revocation.issued_until}
        if not self._update(revocation.subject, numbers):
            for name, value in numbers.items():
                self._update(revocation.subject, {name: value})

    def _update(self, subject: str, numbers: Mapping[str, int]) -> bool:
        """Set these numbers of an item, or, where that would lower one of them, none of them; whether they are set."""
        conditions = [f"(attribute_not_exists({name}) OR {name} <= :{name})" for name in numbers]
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"subject": {"S": subject}},
                UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in numbers),
                ConditionExpression=" AND ".join(conditions),
                ExpressionAttributeValues={f":{name}": {"N": str(value)} for name, value in numbers.items()},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True


class DeadLetters:
    """The queue for what could not be written: the entries, already verified, and no token."""

    def __init__(self, queue_url: str, client: Client) -> None:
        """Keep where it is."""
        self._queue_url, self._client = queue_url, client

    def put(self, revocation: Revocation) -> None:
        """Queue it, durably on return.

        Raises `Unavailable(revocation_unwritten)`.
        """
        for _ in range(QUEUE_ATTEMPTS):
            with suppress(BotoCoreError, ClientError):
                self._client.send_message(QueueUrl=self._queue_url, MessageBody=json.dumps(asdict(revocation)))
                return
        raise Unavailable(Reason.REVOCATION_UNWRITTEN)


def parse_revocation(body: str) -> Revocation:
    """What `DeadLetters.put` has queued. Raises ValueError for anything else."""
    match parse_object(body.encode()):
        case {"subject": str(subject), "issued_until": int(issued_until), "expires_at": int(expires_at)}:
            return Revocation(subject, issued_until, expires_at)
    raise ValueError("not an entry of the revocation table")


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
