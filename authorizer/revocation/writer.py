"""Writes revocations to the DynamoDB table, and to the SQS dead-letter queue if the table does not take them.

Hanko waits 10 s for its answer and sends a webhook once. So failed attempts are repeated for as long as that allows.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict

from botocore.exceptions import ClientError

from authorizer.clock import Clock, attempts
from authorizer.errors import Reason, Unavailable
from authorizer.revocation.entry import Revocation
from authorizer.revocation.reader import MALFORMED, PAUSES_SECONDS
from authorizer.revocation.table import FAILURES, Client

# Seconds after a webhook came in. No attempt begins later; each takes 1 s at most, that of a write up to 3.
WRITE_UNTIL_SECONDS, QUEUE_UNTIL_SECONDS = 5, 7.5


class RevocationWriter:
    """Writes items, durably."""

    def __init__(self, table: str, client: Client, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        self._table, self._client, self._clock, self._pause = table, client, clock, pause

    def write(self, revocation: Revocation, came_at: float | None = None) -> None:
        """Write the entry, or find that the item already covers it; it is durable on return.

        `came_at` is when the webhook came in, on the monotonic clock; now, if it is not given.

        Raises `Unavailable(revocation_unwritten)` if no attempt succeeded.
        """
        began = self._clock.monotonic() if came_at is None else came_at
        for _ in attempts(self._clock, PAUSES_SECONDS, began + WRITE_UNTIL_SECONDS, self._pause):
            with suppress(*FAILURES, *MALFORMED):
                self._raise(revocation)
                return
        raise Unavailable(Reason.REVOCATION_UNWRITTEN)

    def _raise(self, revocation: Revocation) -> None:
        """Raise both numbers of an item, each unless it is already larger."""
        numbers = {"expires_at": revocation.expires_at, "issued_until": revocation.issued_until}
        if not self._update(revocation.subject, numbers):
            for name, value in numbers.items():
                self._update(revocation.subject, {name: value})

    def _update(self, subject: str, numbers: Mapping[str, int]) -> bool:
        """Set these numbers of an item; False, and nothing is set, if that would lower one of them.

        Only an answer with the new numbers says that they are durable: a 200 can come from a proxy.
        """
        conditions = [f"(attribute_not_exists({name}) OR {name} <= :{name})" for name in numbers]
        values = {name: {"N": str(value)} for name, value in numbers.items()}
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"subject": {"S": subject}},
                UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in numbers),
                ConditionExpression=" AND ".join(conditions),
                ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        written = answer["Attributes"]
        if any(written[name] != value for name, value in values.items()):
            raise ValueError("not the answer to this update")
        return True


class DeadLetterQueue:
    """The queue for entries that could not be written: already verified, and without a token."""

    def __init__(self, url: str, client: Client, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        self._url, self._client, self._clock, self._pause = url, client, clock, pause

    def put(self, revocation: Revocation, came_at: float | None = None) -> None:
        """Queue the entry; it is durable on return. `came_at` as for `write`.

        Raises `Unavailable(revocation_unwritten)` if no attempt succeeded.
        """
        began, body = self._clock.monotonic() if came_at is None else came_at, json.dumps(asdict(revocation))
        for _ in attempts(self._clock, PAUSES_SECONDS, began + QUEUE_UNTIL_SECONDS, self._pause):
            with suppress(*FAILURES, *MALFORMED):
                answer = self._client.send_message(QueueUrl=self._url, MessageBody=body)
                if isinstance(answer["MessageId"], str) and answer["MessageId"]:
                    return
        raise Unavailable(Reason.REVOCATION_UNWRITTEN)
