"""`make destroy ENV=dev`: delete the stack. Says before what goes and what stays, and waits until it is gone.

The table of revoked sessions and the queue stay: without them, whoever was logged out would be let in again.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import WaiterError

from local.command_line import CommandFailed, columns, confirmed, run, say
from local.configuration import read_environment
from local.stack import Aws, Stack

RETAINED = {
    "AWS::DynamoDB::Table": "table of the revoked sessions",
    "AWS::SQS::Queue": "queue of unwritten revocations",
}
WAIT = {"Delay": 5, "MaxAttempts": 120}


def main(argv: Sequence[str] | None = None, ask: Callable[[str], str] = input) -> int:
    """Show what goes and what stays, ask, delete."""
    parser = argparse.ArgumentParser(prog="python -m local.destroy", description=__doc__)
    parser.add_argument("environment", help="an environment of samconfig.toml")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(argv)
    environment = read_environment(options.environment)
    aws = Aws(environment.region)
    stack = Stack.of(aws, environment)
    cloudformation = aws.client("cloudformation")
    resources = cloudformation.describe_stack_resources(StackName=stack.name)["StackResources"]
    kinds = [(one["ResourceType"], one["PhysicalResourceId"]) for one in resources]
    stays = [(RETAINED[kind], name) for kind, name in kinds if kind in RETAINED]
    say(f"{stack.name} in {aws.region}: {len(resources) - len(stays)} resources go, with them the logs.", "bold red")
    say("APIs to which the authorizer is attached answer 500 from then on.", "bold red")
    for line in columns(stays) if stays else ["  nothing"]:
        say(f"Stays:{line}")
    question = f"Type the name of the stack ({stack.name}) to delete it: "
    if not confirmed(question, ask, yes=options.yes, answer=stack.name):
        raise CommandFailed("nothing was deleted")
    _delete(cloudformation, stack.name)
    say(f"{stack.name} is deleted.", "green")
    if stays:
        say('Delete the rest when all tokens issued before have expired: docs/operations.md, "Uninstall"')
    return 0


def _delete(cloudformation: Any, name: str) -> None:  # noqa: ANN401 - a boto3 client
    say("Deleting …")
    cloudformation.delete_stack(StackName=name)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig=WAIT)
    except WaiterError:
        raise CommandFailed(
            f"{name} could not be deleted; its events in CloudFormation say why (an export in use?)"
        ) from None


if __name__ == "__main__":
    run(main)
