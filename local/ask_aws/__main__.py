"""`make ask-aws [REGION=eu-west-1] [ONLY=text] [YES=1]`: ask API Gateway and AppSync what their documents leave open.

Deploys a small stack of its own with your AWS credentials, sends about 60 requests, prints each answer beside what the
authorizer assumes, and deletes the stack, also after Ctrl-C. Costs less than a cent. Exits with 1 if an assumption is
wrong. With AWS_ENDPOINT_URL it asks a local AWS (MiniStack), whose answers say nothing about AWS.
"""

import argparse
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import WaiterError

from local.ask_aws.questions import OF_EVENTS, QUESTIONS, Place, Question
from local.command_line import CommandFailed, confirmed, run, say
from local.stack import Aws, Stack

TEMPLATE = Path(__file__).parent / "template.yaml"
WAIT = {"Delay": 5, "MaxAttempts": 120}


def main(argv: Sequence[str] | None = None, ask: Callable[[str], str] = input) -> int:
    """Show the plan, ask for consent, deploy, ask AWS, delete."""
    parser = argparse.ArgumentParser(prog="python -m local.ask_aws", description=__doc__)
    parser.add_argument("--region", help="where to deploy; that of your AWS settings without it")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--without-events", action="store_true", help="leave AppSync Events out")
    parser.add_argument("--only", default="", help="ask the questions that contain this text")
    options = parser.parse_args(argv)
    every = QUESTIONS if options.without_events else [*QUESTIONS, *OF_EVENTS]
    questions = [one for one in every if options.only in one.text]
    if not questions:
        raise CommandFailed(f"no question contains {options.only!a}")
    aws, name = Aws(options.region), f"hanko-ask-aws-{uuid.uuid4().hex[:8]}"
    account = aws.client("sts").get_caller_identity()["Account"]
    say(f"Stack {name}, account {account}, {aws.region}: 2 functions, 2 roles, 5 APIs. It is deleted at the end.")
    if not confirmed("Deploy it? [y/N] ", ask, yes=options.yes):
        raise CommandFailed("nothing was deployed")
    try:
        stack = _deployed(aws, name, with_events=not options.without_events)
        return _told([(one, _answer(one, place_of(aws, stack))) for one in questions])
    finally:
        say(f"Deleting {name} …")
        aws.client("cloudformation").delete_stack(StackName=name)
        _wait(aws, name, "stack_delete_complete")


def _deployed(aws: Aws, name: str, *, with_events: bool) -> Stack:
    say("Deploying, which takes about two minutes …")
    aws.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=TEMPLATE.read_text(),
        Parameters=[{"ParameterKey": "WithEvents", "ParameterValue": str(with_events).lower()}],
        Capabilities=["CAPABILITY_IAM"],
    )
    _wait(aws, name, "stack_create_complete")
    stack = Stack.find(aws, name)
    if stack is None:
        raise CommandFailed(f"{name} is gone")
    return stack


def _wait(aws: Aws, name: str, state: str) -> None:
    try:
        aws.client("cloudformation").get_waiter(state).wait(StackName=name, WaiterConfig=WAIT)
    except WaiterError:
        raise CommandFailed(f"{name} did not reach {state}: its events in CloudFormation say why") from None


def place_of(aws: Aws, stack: Stack) -> Place:
    """Where the APIs of a deployed stack are."""
    outputs, local = stack.outputs, os.environ.get("AWS_ENDPOINT_URL", "")
    suffix = f"execute-api.{aws.region}.amazonaws.com{'.cn' if aws.region.startswith('cn-') else ''}"
    https = {one: f"https://{outputs[one]}.{suffix}" for one in ("Rest", "Http", "WebSocket")}
    if local:
        https = {one: f"{local}/_aws/execute-api/{outputs[one]}" for one in https}
    hosts = (outputs["EventsHttp"], outputs["EventsRealtime"]) if "EventsHttp" in outputs else None
    return Place(
        rest=f"{https['Rest']}/ask",
        http=f"{https['Http']}/$default" if local else https["Http"],
        websocket=f"{https['WebSocket']}/ask".replace("http", "ws", 1),
        graphql=f"{local}/v1/apis/{outputs['GraphQl']}/graphql" if local else outputs["GraphQlUrl"],
        events=hosts,
        logs=lambda: _written(aws, outputs["EchoLogs"]),
    )


def _written(aws: Aws, group: str) -> str:
    events: list[dict[str, Any]] = aws.client("logs").filter_log_events(logGroupName=group)["events"]
    return "\n".join(one["message"] for one in events)


def _answer(question: Question, place: Place) -> str:
    """The answer to one question; a failure is an answer, too."""
    try:
        return question.ask(place)
    except Exception as error:  # noqa: BLE001 - whatever the API did: the other questions are asked all the same
        return f"failed: {type(error).__name__}"


def _told(answers: Sequence[tuple[Question, str]]) -> int:
    words = {True: "as assumed", False: "NOT AS ASSUMED", None: "for the record"}
    judged = [(one, came, None if one.assumed is None else came == one.assumed) for one, came in answers]
    for one, came, good in judged:
        say(f"{words[good]}: {one.text}", "bold red" if good is False else None)
        say(f"    {came}" + (f", assumed: {one.assumed} ({one.where})" if good is False else ""))
    wrong = sum(good is False for *_, good in judged)
    say(f"{len(judged)} questions, {wrong} answered otherwise than assumed.")
    return 1 if wrong else 0


if __name__ == "__main__":
    run(main)
