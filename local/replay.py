"""`make replay ENV=prod`: write what waits in the dead-letter queue into the revocation table, and empty the queue.

With your own AWS credentials, which need `cloudformation:DescribeStacks`, `sqs:ReceiveMessage`, `sqs:DeleteMessage` and
`dynamodb:UpdateItem`. What was written twice, late or out of order is as good. Exits with 1 if anything is left.
"""

import argparse
import sys
import tomllib
from collections.abc import Sequence
from typing import Any

import boto3

from authorizer.clock import Clock
from authorizer.errors import Unavailable
from authorizer.hanko.revocations import RevocationWriter, connect, parse_revocation
from local.build import ROOT

BATCH = 10  # the most that SQS hands out
WAIT_SECONDS = 2  # without waiting, SQS may say that nothing is there while something is


def main(argv: Sequence[str] | None = None) -> int:
    """Replay a stack's queue."""
    parser = argparse.ArgumentParser(prog="python -m local.replay", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--env", help="an environment of samconfig.toml")
    which.add_argument("--stack", help="the name of a stack")
    options = parser.parse_args(argv)
    outputs = outputs_of(options.stack or stack_of(options.env))
    if "DeadLetterQueueUrl" not in outputs:
        sys.exit("this stack has no dead-letter queue: EnableRevocation is off")
    writer = RevocationWriter(outputs["RevocationTableName"], connect("dynamodb"), Clock())
    written, left = replay(boto3.client("sqs"), outputs["DeadLetterQueueUrl"], writer)
    print(f"{written} written, {left} left")
    return 1 if left else 0


def replay(
    sqs: Any,  # noqa: ANN401 - a boto3 client
    queue_url: str,
    writer: RevocationWriter,
    wait_seconds: int = WAIT_SECONDS,
) -> tuple[int, int]:
    """How many entries were written, and how many could not be; those come back when their time-out is over."""
    written = left = 0
    while messages := sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=wait_seconds
    ).get("Messages"):
        for message in messages:
            try:
                writer.write(parse_revocation(message["Body"]))
            except (Unavailable, ValueError) as error:
                left += 1
                print(f"{message['MessageId']}: {error}", file=sys.stderr)
                continue
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            written += 1
    return written, left


def stack_of(environment: str) -> str:
    """The stack's name in samconfig.toml."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    if environment not in config or "stack_name" not in config[environment]["deploy"]["parameters"]:
        sys.exit(f"no environment {environment!r} with a stack in samconfig.toml")
    name: str = config[environment]["deploy"]["parameters"]["stack_name"]
    return name


def outputs_of(stack: str) -> dict[str, str]:
    described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


if __name__ == "__main__":
    sys.exit(main())
