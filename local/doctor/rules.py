"""Findings about rules.toml: its mistakes, and the parts that only its author can confirm."""

from collections.abc import Iterator
from pathlib import Path

from authorizer.errors import Misconfigured
from authorizer.rules.evaluation import Rule, Rules
from authorizer.rules.parser import parse_rules
from local.doctor.finding import Finding, look, wrong

# What Hanko sets itself in every session (backend/session/session.go); anything else comes from the JWT template.
SET_BY_HANKO = {"sub", "session_id", "aud", "iss", "iat", "exp", "email.is_verified", "email.is_primary"}
CHOSEN_BY_USERS = {"username", "email.address"}
LOGINS = {"passkey", "pwd", "otp", "totp", "security_key", "ext"}  # and ext:<provider>


def read_rules(file: Path) -> tuple[Rules | None, list[Finding]]:
    """The rules, None if the function would not start with them, and the findings about them."""
    try:
        rules = parse_rules(file.read_text("utf-8"))
    except OSError as error:
        return None, [_broken(file, f"it cannot be read: {error.strerror}")]
    except ValueError:
        return None, [_broken(file, "it is no UTF-8")]
    except Misconfigured as error:
        return None, [_broken(file, mistake) for mistake in str(error).splitlines()[1:]]
    return rules, [_finding(file, warning) for warning in warnings(rules)]


def _broken(file: Path, mistake: str) -> Finding:
    why = "The function does not start with these rules: every request is a 500."
    return wrong("rules-invalid", str(file), mistake, why, "Correct it: docs/rules.md.")


def _finding(file: Path, warning: tuple[str, str]) -> Finding:
    code, text = warning
    why, fix = _ABOUT[code]
    return look(code, str(file), text, why, fix)


_ABOUT = {
    "user-written-claim": (
        "Whoever can write a claim decides about themselves.",
        "Take it from Metadata.Public or Metadata.Private in Hanko's JWT template, never from Metadata.Unsafe.",
    ),
    "unknown-login": ("No session meets the rule by it.", f"Hanko's words: {', '.join(sorted(LOGINS))}, ext:PROVIDER."),
    "template-sets-amr": (
        "Such a session never saw the login that the rule asks for.",
        "Leave amr out of the JWT template.",
    ),
    "half-a-path": ("A path and what is below it are rarely meant to differ.", "Name both: docs/rules.md."),
    "unusual-paths": (
        "The backend may read another path than the rule does.",
        "Leave it out, unless your backend takes paths literally.",
    ),
}


def warnings(rules: Rules) -> Iterator[tuple[str, str]]:
    """A code and one line for each thing to look at."""
    for rule in rules.rules:
        for code, text in [*_claims(rule), *_routes(rule, rules.default_allows)]:
            yield code, f"{rule.name}: {text}"
    if rules.allow_unusual_paths:
        yield (
            "unusual-paths",
            "allow_unusual_paths: a backend that decodes or tidies paths can be led around every rule",
        )


def _claims(rule: Rule) -> Iterator[tuple[str, str]]:
    in_channels = [path for channel in rule.channels for path in channel.claims]
    for claim in dict.fromkeys(".".join(path) for path in [*(one.path for one in rule.requirements), *in_channels]):
        if claim in CHOSEN_BY_USERS:
            yield "user-written-claim", f"{claim} is written by the users themselves; it should decide nothing"
        elif claim == "amr":
            yield from _logins(rule)
        elif claim not in SET_BY_HANKO:
            told = f"{claim} comes from your JWT template; taken from Metadata.Unsafe, users write it themselves"
            yield "user-written-claim", told


def _logins(rule: Rule) -> Iterator[tuple[str, str]]:
    asked = [value for one in rule.requirements if one.path == ("amr",) for value in one.values]
    for value in asked:
        if value not in LOGINS and not str(value).startswith("ext:"):
            yield "unknown-login", f"Hanko knows no login {value!a}"
    told = "if your JWT template sets amr, sessions made by an administrator carry its value"
    yield "template-sets-amr", told


def _routes(rule: Rule, default_allows: bool) -> Iterator[tuple[str, str]]:  # noqa: FBT001 - one of two lists of words
    """A path without what is below it, or the other way round, is rarely meant."""
    verb = "guard" if default_allows else "grant"
    ends = {(route.path, route.open_ended) for route in rule.routes if route.path.strip("/")}
    for path, open_ended in sorted(ends):
        covered = any(open_ and path.startswith(other) for other, open_ in ends if (other, open_) != (path, open_ended))
        bare = path.rstrip("/")
        if open_ended and path.endswith("/") and not covered and not {(bare, False), (path, False)} & ends:
            yield "half-a-path", f"{path}* does not {verb} {bare}"
        if not open_ended and not covered and (f"{bare}/", True) not in ends:
            yield "half-a-path", f"{path} does not {verb} what is below it, {bare}/*"
