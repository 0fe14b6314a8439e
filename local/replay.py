"""`make replay ENV=prod`: write what waits in the dead-letter queue into the revocation table, and empty the queue.

With your own AWS credentials, which need `cloudformation:DescribeStacks`, `sqs:ReceiveMessage`, `sqs:DeleteMessage` and
`dynamodb:UpdateItem`. An entry may be written twice, late or out of order. Exits with 1 if anything is left.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from authorizer.clock import Clock
from authorizer.errors import Unavailable
from authorizer.revocation.entry import parse_revocation
from authorizer.revocation.table import connect
from authorizer.revocation.writer import RevocationWriter
from local.command_line import CommandFailed, run
from local.configuration import read_environment
from local.stack import Aws, Stack

BATCH = 10  # the most that SQS hands out
WAIT_SECONDS = 2  # without waiting, SQS may say that nothing is there while something is


def main(argv: Sequence[str] | None = None) -> int:
    """Replay a stack's queue."""
    parser = argparse.ArgumentParser(prog="python -m local.replay", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--env", help="an environment of samconfig.toml")
    which.add_argument("--stack", help="the name of a stack")
    options = parser.parse_args(argv)
    environment = read_environment(options.env) if options.env else None
    aws = Aws(environment.region if environment else None)
    name = environment.stack() if environment else options.stack
    stack = Stack.find(aws, name)
    if stack is None:
        raise CommandFailed(f"there is no stack {name} in this account, {aws.region}")
    if "DeadLetterQueueUrl" not in stack.outputs:
        raise CommandFailed("this stack has no dead-letter queue: EnableRevocation is off")
    os.environ["AWS_DEFAULT_REGION"] = aws.region  # for `connect`, which the functions use as well
    writer = RevocationWriter(stack.outputs["RevocationTableName"], connect("dynamodb"), Clock())
    written, left = replay(aws.client("sqs"), stack.outputs["DeadLetterQueueUrl"], writer)
    print(f"{written} written, {left}{' or more' if left else ''} left")
    return 1 if left else 0


def replay(
    sqs: Any,  # noqa: ANN401 - a boto3 client
    queue_url: str,
    writer: RevocationWriter,
    wait_seconds: int = WAIT_SECONDS,
) -> tuple[int, int]:
    """Return the numbers of written and of failed entries. SQS hands out failed ones again in a minute.

    Stops at the first entry that the table refuses: the table is down, and trying all takes longer than that minute, so
    it would never end. A message that is not an entry of ours is skipped, until SQS hands it out again.
    """
    written, left = 0, set[str]()
    for message in _messages(sqs, queue_url, wait_seconds):
        if message["MessageId"] in left:
            break
        left.add(message["MessageId"])
        try:
            writer.write(parse_revocation(message["Body"]))
        except (Unavailable, ValueError) as error:
            print(f"{message['MessageId']}: {error}", file=sys.stderr)
            if isinstance(error, Unavailable):
                break
            continue
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        left.remove(message["MessageId"])
        written += 1
    return written, len(left)


def _messages(sqs: Any, queue_url: str, wait_seconds: int) -> Iterator[dict[str, str]]:  # noqa: ANN401 - as above
    while messages := sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=wait_seconds
    ).get("Messages"):
        yield from messages


if __name__ == "__main__":
    run(main)
