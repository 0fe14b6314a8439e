"""`make doctor`: what rules.toml says, and what in it nobody but its author can know to be right.

Exits with 1 if the function would not start with these rules; what it only warns of may well be meant so.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from authorizer.errors import Misconfigured
from authorizer.rules import Rule, Rules
from authorizer.rules_toml import parse_rules

# What Hanko sets itself in every session (backend/session/session.go); anything else comes from the JWT template.
SET_BY_HANKO = {"sub", "session_id", "aud", "iss", "iat", "exp", "email.is_verified", "email.is_primary"}
CHOSEN_BY_USERS = {"username", "email.address"}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m local.doctor", description=__doc__)
    parser.add_argument("rules", type=Path, nargs="?", default=Path("rules.toml"), help="default: rules.toml")
    file: Path = parser.parse_args(argv).rules
    try:
        rules = parse_rules(file.read_text("utf-8"))
    except (OSError, ValueError, Misconfigured) as error:
        sys.exit(f"{file}: {error}")
    print(f"{file}: {len(rules.rules)} rules, {rules.context_bytes} bytes of an answer left to the claims")
    for warning in warnings(rules):
        print(f"- {warning}")


def warnings(rules: Rules) -> Iterator[str]:
    """One line for each thing to look at."""
    for rule in rules.rules:
        yield from (f"{rule.name}: {one}" for one in [*_claims(rule), *_routes(rule)])
    if rules.allow_unusual_paths:
        yield "allow_unusual_paths: a backend that decodes or tidies paths can be led around every rule"


def _claims(rule: Rule) -> Iterator[str]:
    for claim in dict.fromkeys(".".join(requirement.path) for requirement in rule.requirements):
        if claim in CHOSEN_BY_USERS:
            yield f"{claim} is what the user calls himself; it should decide nothing"
        elif claim == "amr":
            yield "amr is Hanko's, unless your JWT template sets it: then that is what an administrator's session has"
        elif claim not in SET_BY_HANKO:
            yield f"{claim} comes from your JWT template; taken from Metadata.Unsafe, users write it themselves"


def _routes(rule: Rule) -> Iterator[str]:
    """A path without what is below it, or the other way round, is rarely meant."""
    ends = {(route.path, route.open_ended) for route in rule.routes if route.path.strip("/")}
    for path, open_ended in sorted(ends):
        covered = any(open_ and path.startswith(other) for other, open_ in ends if (other, open_) != (path, open_ended))
        bare = path.rstrip("/")
        if open_ended and path.endswith("/") and not covered and not {(bare, False), (path, False)} & ends:
            yield f"{path}* does not guard {bare}"
        if not open_ended and not covered and (f"{bare}/", True) not in ends:
            yield f"{path} does not guard what is below it, {bare}/*"


if __name__ == "__main__":
    main()
