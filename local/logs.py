"""`make logs ENV=prod`: the records of the last ten minutes, one line each, then how many of each reason there are.

The webhook receiver's records are among them. With --follow it goes on with those that come.
"""

import argparse
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from local.command_line import CommandFailed, columns, run, say
from local.configuration import read_environment
from local.stack import Aws, Stack
from local.status import cause_of, records

POLL_SECONDS = 2
SUMMARY_ROWS = 12
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
    outputs = Stack.of(aws, environment).outputs
    log_groups = [outputs[name] for name in ("LogGroupName", "WebhookLogGroupName") if outputs.get(name)]
    if not log_groups:
        raise CommandFailed("this stack has no output LogGroupName: is it one of this project?")
    seen: set[str] = set()
    since = time.time() - 60 * options.minutes
    counted = print_new(aws, log_groups, since, seen)
    say_summary(counted, options.minutes)
    while options.follow:
        time.sleep(POLL_SECONDS)
        print_new(aws, log_groups, max(since, time.time() - 60), seen)
    return 0


def print_new(aws: Aws, log_groups: Sequence[str], since: float, seen: set[str]) -> Counter[str]:
    """Print what was not printed before; how many of each outcome, reason and cause there are."""
    counted: Counter[str] = Counter()
    found = [record for log_group in log_groups for record in records(aws, log_group, since)]
    for record in sorted(found, key=lambda record: str(record["timestamp"])):
        line = line_of(record)
        if line not in seen:
            seen.add(line)
            counted[" ".join((str(record["outcome"]), str(record.get("reason", "")), cause_of(record))).strip()] += 1
            say(line, STYLES.get(str(record.get("level"))))
    return counted


def say_summary(counted: Counter[str], minutes: int) -> None:
    """Print the counts, the largest first: in a flood the lines above scroll away."""
    if not counted:
        say(f"No record in the last {minutes} minutes: was the authorizer called?")
        return
    say(f"\nIn the last {minutes} minutes:", "bold")
    for line in columns([(str(number), what) for what, number in counted.most_common(SUMMARY_ROWS)]):
        say(line)


def line_of(record: Mapping[str, Any]) -> str:
    """One line: time, outcome, reason, fault and cause, kind of API, route, user and invocation."""
    what = [str(record[name]) for name in ("outcome", "reason") if record.get(name)]
    where = [str(record[name]) for name in ("kind", "method", "rule", "user", "invocation_id") if record.get(name)]
    cause = cause_of(record)
    return " ".join([str(record.get("timestamp", ""))[11:23], *what, *([f"({cause})"] if cause else []), *where])


if __name__ == "__main__":
    run(main)
