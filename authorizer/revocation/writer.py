"""The receiver's side of the revocation table: durable writes, and the dead-letter queue behind them."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict

from botocore.exceptions import BotoCoreError, ClientError

from authorizer.clock import Clock
from authorizer.errors import Reason, Unavailable
from authorizer.revocation.entry import Revocation
from authorizer.revocation.table import Client

WRITE_SECONDS = 1.5  # no attempt begins later; Hanko waits 10 s for everything
WRITE_PAUSES_SECONDS = (0, 0, 0.1, 0.3, 0.6)  # before each attempt
QUEUE_ATTEMPTS = 2


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


class DeadLetterQueue:
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
