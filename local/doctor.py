"""`make doctor`: what rules.toml says, and what in it nobody but its author can know to be right.

Exits with 1 if the function would not start with these rules; what it only warns of may well be meant so.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from authorizer.errors import Misconfigured
from authorizer.rules.evaluation import Rule, Rules
from authorizer.rules.parser import parse_rules

# What Hanko sets itself in every session (backend/session/session.go); anything else comes from the JWT template.
SET_BY_HANKO = {"sub", "session_id", "aud", "iss", "iat", "exp", "email.is_verified", "email.is_primary"}
CHOSEN_BY_USERS = {"username", "email.address"}
LOGINS = {"passkey", "pwd", "otp", "totp", "security_key", "ext"}  # and ext:<provider>


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m local.doctor", description=__doc__)
    parser.add_argument("rules", type=Path, nargs="?", default=Path("rules.toml"), help="default: rules.toml")
    file: Path = parser.parse_args(argv).rules
    try:
        rules = parse_rules(file.read_text("utf-8"))
    except (OSError, ValueError, Misconfigured) as error:
        sys.exit(f"{file}: {error}")
    print(f"{file}: {len(rules.rules)} rules, {rules.context_bytes} bytes of an answer are left to the context")
    for warning in warnings(rules):
        print(f"- {warning}")


def warnings(rules: Rules) -> Iterator[str]:
    """One line for each thing to look at."""
    for rule in rules.rules:
        yield from (f"{rule.name}: {one}" for one in [*_claims(rule), *_routes(rule, rules.default_allows)])
    if rules.allow_unusual_paths:
        yield "allow_unusual_paths: a backend that decodes or tidies paths can be led around every rule"


def _claims(rule: Rule) -> Iterator[str]:
    in_channels = [path for channel in rule.channels for path in channel.claims]
    for claim in dict.fromkeys(".".join(path) for path in [*(one.path for one in rule.requirements), *in_channels]):
        if claim in CHOSEN_BY_USERS:
            yield f"{claim} is what the user calls himself; it should decide nothing"
        elif claim == "amr":
            yield from _logins(rule)
        elif claim not in SET_BY_HANKO:
            yield f"{claim} comes from your JWT template; taken from Metadata.Unsafe, users write it themselves"


def _logins(rule: Rule) -> Iterator[str]:
    asked = [value for one in rule.requirements if one.path == ("amr",) for value in one.values]
    for value in asked:
        if value not in LOGINS and not str(value).startswith("ext:"):
            yield f"Hanko knows no login {value!a}"
    yield "should your JWT template set amr, then sessions made by an administrator carry what it sets"


def _routes(rule: Rule, default_allows: bool) -> Iterator[str]:  # noqa: FBT001 - one of two lists of words
    """A path without what is below it, or the other way round, is rarely meant."""
    verb = "guard" if default_allows else "grant"
    ends = {(route.path, route.open_ended) for route in rule.routes if route.path.strip("/")}
    for path, open_ended in sorted(ends):
        covered = any(open_ and path.startswith(other) for other, open_ in ends if (other, open_) != (path, open_ended))
        bare = path.rstrip("/")
        if open_ended and path.endswith("/") and not covered and not {(bare, False), (path, False)} & ends:
            yield f"{path}* does not {verb} {bare}"
        if not open_ended and not covered and (f"{bare}/", True) not in ends:
            yield f"{path} does not {verb} what is below it, {bare}/*"


if __name__ == "__main__":
    main()
