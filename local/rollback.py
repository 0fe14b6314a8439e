"""`make rollback ENV=prod [VERSION=7]`: point the alias at the version before, within seconds and without a build.

Code and settings of that version are in force at once. Permissions stay those of the last deployment. The next
`make deploy` that changes anything points the alias at its own version again.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence

from botocore.exceptions import ClientError

from local.command_line import CommandFailed, columns, confirmed, run, say
from local.configuration import read_environment, variable_of
from local.deploy import LOOSER, is_looser
from local.stack import Aws, Stack
from local.status import live_version

# The role is the last deployment's: it may lack a permission that an older version needs for these settings.
NEEDS_PERMISSION = {"HANKO_RULES_PARAMETER", "HANKO_REVOCATION_TABLE"}
SECRET = {"HANKO_LOG_HASH_KEY"}


def main(argv: Sequence[str] | None = None, ask: Callable[[str], str] = input) -> int:
    """Show what changes, ask, and do it."""
    parser = argparse.ArgumentParser(prog="python -m local.rollback", description=__doc__)
    parser.add_argument("environment", help="an environment of samconfig.toml")
    parser.add_argument("--version", help="the number of a published version (default: the one before)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(argv)
    environment = read_environment(options.environment)
    aws = Aws(environment.region)
    stack = Stack.of(aws, environment)
    now = live_version(aws, stack)
    then = options.version or before(published(aws, stack), now)
    say(f"{stack.name}: version {now} → {then}")
    say_differences(aws, stack, now, then)
    if not confirmed("Roll back? [y/n] ", ask, yes=options.yes):
        raise CommandFailed("nothing was changed")
    aws.client("lambda").update_alias(
        FunctionName=stack.function, Name=stack.alias.rpartition(":")[2], FunctionVersion=then
    )
    say(f"The alias is at version {then}.", "green")
    say(f"Next: make smoke ENV={environment.name}")
    return 0


def published(aws: Aws, stack: Stack) -> list[int]:
    """The numbers of the published versions."""
    pages = aws.client("lambda").get_paginator("list_versions_by_function").paginate(FunctionName=stack.function)
    return sorted(int(one["Version"]) for page in pages for one in page["Versions"] if one["Version"].isdigit())


def before(versions: Sequence[int], now: str) -> str:
    """The version before this one. Raises `CommandFailed` if there is none."""
    older = [version for version in versions if version < int(now)]
    if not older:
        raise CommandFailed(f"version {now} is the oldest that there is: nothing to go back to")
    return str(older[-1])


def say_differences(aws: Aws, stack: Stack, now: str, then: str) -> None:
    """Which settings the other version has, and which of them may need a permission that is gone."""
    old, new = _variables(aws, stack, now), _variables(aws, stack, then)
    names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    rows = [(name, *("****" if name in SECRET else one.get(name) or '""' for one in (old, new))) for name in names]
    if not rows:
        say("  The settings are the same.")
    lines = columns([(name, was, "→ " + will) for name, was, will in rows]) if rows else []
    parameters = {variable_of(parameter): parameter for parameter in LOOSER}
    for name, line in zip(names, lines, strict=True):
        looser = is_looser(parameters.get(name, ""), old.get(name, ""), new.get(name, ""))
        say(line, "bold red" if looser else None)
    if NEEDS_PERMISSION & set(names):
        say("  Its role may no longer read what these name: make smoke says whether it can.", "yellow")


def _variables(aws: Aws, stack: Stack, version: str) -> Mapping[str, str]:
    try:
        found = aws.client("lambda").get_function_configuration(FunctionName=stack.function, Qualifier=version)
    except ClientError as error:
        if error.response["Error"].get("Code") != "ResourceNotFoundException":
            raise
        raise CommandFailed(f"there is no version {version}: make status says which is live") from None
    variables: Mapping[str, str] = found.get("Environment", {}).get("Variables", {})
    return variables


if __name__ == "__main__":
    run(main)
