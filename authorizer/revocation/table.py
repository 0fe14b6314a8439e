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

from typing import Any

import botocore.session
from botocore.config import Config

CONNECT_SECONDS = READ_SECONDS = 0.5  # DynamoDB and SQS answer within tens of milliseconds, or try again

Client = Any  # botocore makes its clients' methods at run time


def connect_both() -> tuple[Client, Client]:
    """Clients of `dynamodb` and `sqs`. The second costs 4 ms, with a session of its own 47."""
    session = botocore.session.Session()
    return connect("dynamodb", session), connect("sqs", session)


def connect(service: str, session: botocore.session.Session | None = None) -> Client:
    """A client of `dynamodb` or `sqs`, with no retries but ours; of that session of botocore's, or of its own."""
    retries = {"total_max_attempts": 1}
    config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)  # type: ignore[arg-type]  # botocore's stubs know retries as a type of their own
    return (session or botocore.session.Session()).create_client(service, config=config)
