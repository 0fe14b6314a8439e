"""`make status ENV=prod`: version, settings that are not the defaults, alarms that are on, last errors."""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

import authorizer
from local.command_line import columns, run, say
from local.configuration import Environment, read_environment
from local.deploy import changes
from local.stack import HIDDEN, Aws, Stack

SINCE_SECONDS = 24 * 3600
ERRORS_SHOWN = 5
ALLOW = "HankoSessionOnOutage"
CAUSES = ("fault", "key_fetch_failure", "session_failure", "revocation_failure", "mistakes", "stale_rules", "stack")


def main(argv: Sequence[str] | None = None) -> int:
    """Print it."""
    parser = argparse.ArgumentParser(prog="python -m local.status", description=__doc__)
    parser.add_argument("environment", help="an environment of samconfig.toml")
    environment = read_environment(parser.parse_args(argv).environment)
    aws = Aws(environment.region)
    stack = Stack.of(aws, environment)
    say_version(aws, stack)
    say_settings(environment, stack)
    say_alarms(aws, stack)
    say_errors(aws, stack)
    return 0


def say_version(aws: Aws, stack: Stack) -> None:
    """Which release and which published version the alias is at."""
    version = live_version(aws, stack)
    say(f"Stack {stack.name} in {aws.region}: {stack.status}", "bold")
    tags = aws.client("lambda").get_function(FunctionName=stack.function).get("Tags", {})
    rows = [
        ("release", f"{tags.get('hanko-authorizer-version', 'unknown')} (this checkout: {authorizer.__version__})"),
        ("alias", f"live → version {version}"),
    ]
    if stack.outputs.get("VersionArn", "").rpartition(":")[2] not in ("", version):
        rows.append(("rolled back", f"the stack deployed version {stack.outputs['VersionArn'].rpartition(':')[2]}"))
    for line in columns(rows):
        say(line)


def live_version(aws: Aws, stack: Stack) -> str:
    """The number of the version behind the alias."""
    found = aws.client("lambda").get_alias(FunctionName=stack.function, Name=stack.alias.rpartition(":")[2])
    version: str = found["FunctionVersion"]
    return version


def say_settings(environment: Environment, stack: Stack) -> None:
    """Print the settings that are not the template's defaults, and those in which file and stack differ."""
    otherwise = [
        (name, value or '""')
        for name, value in stack.parameters.items()
        if name not in environment.parameters or value not in (environment.parameters[name].default, HIDDEN)
    ]
    say("\nSettings that are not the default:", "bold")
    for (name, value), line in zip(otherwise, columns(otherwise) if otherwise else [], strict=True):
        say(line, "bold red" if (name, value) == (ALLOW, "allow") else None)
    different = changes(environment, stack.parameters)
    if different:
        names = ", ".join(change.name for change in different)
        say(f"  The file says otherwise of {names}: make deploy ENV={environment.name}", "yellow")


def say_alarms(aws: Aws, stack: Stack) -> None:
    """The alarms of this stack that are not OK."""
    say("\nAlarms:", "bold")
    pages = aws.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stack.name}-")
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
    on = [(one["AlarmName"], one.get("AlarmDescription", "")) for one in alarms if one["StateValue"] == "ALARM"]
    for line in columns(on) if on else [f"  none of {len(alarms)} is on"]:
        say(line, "bold red" if on else "green")


def say_errors(aws: Aws, stack: Stack) -> None:
    """The last failures that are not the caller's."""
    say("\nLast errors (24 hours):", "bold")
    errors = list(last_errors(aws, stack.outputs.get("LogGroupName", "")))[-ERRORS_SHOWN:]
    for line in columns(errors) if errors else ["  none"]:
        say(line, "red" if errors else "green")


def last_errors(aws: Aws, log_group: str) -> Iterator[tuple[str, str, str]]:
    """Time, reason and cause of each record with level ERROR, oldest first."""
    for record in records(aws, log_group, time.time() - SINCE_SECONDS, '{ $.level = "ERROR" }'):
        if record.get("level") == "ERROR":
            yield str(record.get("timestamp", ""))[:19], str(record.get("reason")), cause_of(record)


def cause_of(record: Mapping[str, Any]) -> str:
    """The fault and the cause that a record names; docs/reasons.md explains the words."""
    return ", ".join(f"{name}: {_short(record[name])}" for name in CAUSES if record.get(name))


def _short(value: object) -> str:
    """The value itself; of a list (mistakes, places in the code) its last two, where the error was."""
    return "; ".join(map(str, value[-2:])) if isinstance(value, list) else str(value)


def records(aws: Aws, log_group: str, since: float, pattern: str = "") -> Iterator[Mapping[str, Any]]:
    """The authorizer's records in the log, oldest first, each with its time."""
    given = {"filterPattern": pattern} if pattern else {}
    pages = aws.client("logs").get_paginator("filter_log_events")
    try:
        for page in pages.paginate(logGroupName=log_group, startTime=int(since * 1000), **given):
            for event in page["events"]:
                try:
                    record = json.loads(event["message"])
                except ValueError:  # a line of the platform's
                    continue
                if isinstance(record, dict) and "outcome" in record:
                    yield {"timestamp": _time(event["timestamp"]), **record}
    except ClientError as error:
        if error.response["Error"].get("Code") != "ResourceNotFoundException":
            raise


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


if __name__ == "__main__":
    run(main)
