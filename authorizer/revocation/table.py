"""The revocation table: written by the webhooks' receiver, read by the authorizer. One item per session or user.

An item revokes the tokens issued up to its `issued_until`. Both of its numbers only grow, so replays, retries and
disorder change nothing. They are written together. If one is already larger than the number to be written, the other is
raised alone, `expires_at` first: DynamoDB removes items some time after it, and must not do so between the two. An item
that is still there is right, and an item that is gone concerned no living token.

Importing this imports botocore, which the Lambda runtime has: do so only if there is a table. Import and first client
add to the function's start (measured on Python 3.11, two shared cores): boto3 245 ms, botocore.session 195 ms. SigV4
from botocore.auth alone takes 95 ms, without DynamoDB's protocol and errors, partitions and SnapStart's credentials.
"""

from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from authorizer.clock import Clock

CONNECT_SECONDS = READ_SECONDS = 0.5  # DynamoDB and SQS answer within tens of milliseconds, or are asked again
# Before each attempt. The first two follow at once: a connection kept while the sandbox was frozen may be dead.
PAUSES_SECONDS = (0, 0, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1)

Client = Any  # botocore makes its clients' methods at run time
# What a client raises: errors of its own, and those of its parsers for a body that is no answer of the service.
FAILURES = (BotoCoreError, ClientError)
MALFORMED = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


def attempts(clock: Clock, until: float, pause: Callable[[float], None]) -> Iterator[None]:
    """One turn per attempt, after its pause. The first always happens, the others must begin before `until`.

    `until` is a time of the monotonic clock; `pause` waits for that many seconds.
    """
    for number, pause_seconds in enumerate(PAUSES_SECONDS):
        if number and clock.monotonic() + pause_seconds > until:
            return
        pause(pause_seconds)
        yield


def connect_all(*services: str) -> list[Client]:
    """Clients of several services. Each after the first costs 4 ms; with a session of its own it would cost 47."""
    session = botocore.session.Session()
    return [connect(service, session) for service in services]


def connect(service: str, session: botocore.session.Session | None = None) -> Client:
    """A client of one service without botocore's retries; `attempts` has ours."""
    retries = {"total_max_attempts": 1}
    config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)  # type: ignore[arg-type]  # botocore's stubs know retries as a type of their own
    return (session or botocore.session.Session()).create_client(service, config=config)
