"""`make logs ENV=prod`: the records of the last ten minutes, one line each, and with --follow those that come."""

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

from local.command_line import CommandFailed, run, say
from local.configuration import read_environment
from local.stack import Aws, Stack
from local.status import records

POLL_SECONDS = 2
STYLES = {"ERROR": "bold red", "WARNING": "yellow"}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the records."""
    parser = argparse.ArgumentParser(prog="python -m local.logs", description=__doc__)
    parser.add_argument("environment", help="an environment of samconfig.toml")
    parser.add_argument("--minutes", type=int, default=10, help="how far back (default: 10)")
    parser.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    options = parser.parse_args(argv)
    environment = read_environment(options.environment)
    aws = Aws(environment.region)
    log_group = Stack.of(aws, environment).outputs.get("LogGroupName")
    if not log_group:
        raise CommandFailed("this stack has no output LogGroupName: is it one of this project?")
    seen: set[str] = set()
    since = time.time() - 60 * options.minutes
    print_new(aws, log_group, since, seen)
    if not seen:
        say(f"No record in the last {options.minutes} minutes: was the authorizer called?")
    while options.follow:
        time.sleep(POLL_SECONDS)
        print_new(aws, log_group, max(since, time.time() - 60), seen)
    return 0


def print_new(aws: Aws, log_group: str, since: float, seen: set[str]) -> None:
    """Print what was not printed before."""
    for record in records(aws, log_group, since):
        line = line_of(record)
        if line not in seen:
            seen.add(line)
            say(line, STYLES.get(str(record.get("level"))))


def line_of(record: Mapping[str, Any]) -> str:
    """When, what, why, where, and who may look the caller up."""
    names = ("outcome", "reason", "kind", "method", "rule", "user", "invocation_id")
    when = str(record.get("timestamp", ""))[11:23]
    return " ".join([when, *(str(record[name]) for name in names if record.get(name))])


if __name__ == "__main__":
    run(main)
