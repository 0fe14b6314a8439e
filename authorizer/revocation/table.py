"""The revocation table: writer.py writes it, for the receiver; check.py reads it. One item per session or user.

An item revokes the tokens issued up to its `issued_until`. Both of its numbers only grow, so replays, retries and
disorder change nothing. They are written together. If one is already larger than the number to be written, the other is
raised alone, `expires_at` first: DynamoDB removes items some time after it, and must not do so between the two writes.
An item is removed only when all its tokens have expired.

Importing this imports botocore, which the Lambda runtime has. The authorizer does so only where signed.py cannot read.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoCredentialsError

from authorizer.hanko.strict_json import parse_object
from authorizer.revocation.reader import ReadFailed, failure_of, request_items

CONNECT_SECONDS = READ_SECONDS = 0.5  # DynamoDB and SQS answer within tens of milliseconds, or are asked again

Client = Any  # botocore makes its clients' methods at run time
FAILURES = (BotoCoreError, ClientError)  # what a client raises by itself; its parsers raise one of `MALFORMED`


def connect_all(*services: str) -> list[Client]:
    """Clients of several services, without botocore's retries; clock.attempts has ours.

    Each after the first costs 4 ms; with a session of its own it would cost 47.
    """
    session, retries = botocore.session.Session(), {"total_max_attempts": 1}
    config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)  # type: ignore[arg-type]  # botocore's stubs know retries as a type of their own
    return [session.create_client(service, config=config) for service in services]


def connect(service: str) -> Client:
    """A client of one service, as `connect_all` makes it."""
    return connect_all(service)[0]


class BotocoreReader:
    """Reads items with botocore's client."""

    def __init__(self, client: Client, table: str) -> None:
        self._client, self.table = client, table
        client.meta.events.register("before-parse.dynamodb.BatchGetItem", _check_tables)

    def read(self, subjects: Sequence[str]) -> object:
        """As `TableReader.read`."""
        try:
            answer: object = self._client.batch_get_item(RequestItems=request_items(self.table, subjects))
        except FAILURES as error:
            raise ReadFailed(_failure(error)) from None
        return answer


def _check_tables(response_dict: dict[str, Any], **_: object) -> None:
    """Refuse `{}` and `""`, which botocore takes for an empty list: the table would seem to revoke nothing.

    Raises ValueError or TypeError.
    """
    if response_dict["status_code"] == HTTPStatus.OK:
        match parse_object(response_dict["body"]):
            case {"Responses": {**tables}} if all(isinstance(items, list) for items in tables.values()):
                return
        raise ValueError("not an answer to BatchGetItem")


def _failure(error: BotoCoreError | ClientError) -> str:
    if not isinstance(error, ClientError):
        return "credentials" if isinstance(error, NoCredentialsError | CredentialRetrievalError) else "connection"
    return failure_of(error.response["Error"]["Code"], error.response["ResponseMetadata"].get("HTTPStatusCode", 0))
