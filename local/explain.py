"""`make explain EVENT=rest_token [ENV=prod]` and `make check-token ENV=prod < token`: why a request passes or does not.

Without an environment a stand-in Hanko signs a fresh token (DEFECT says what is wrong with it). With one, the token
comes from standard input, or is in the event already, and the keys come from that environment's Hanko.
"""

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from authorizer.config import Settings
from authorizer.errors import Misconfigured
from local.command_line import WIDTH, CommandFailed, columns, misconfigured, read_token, run, say
from local.configuration import read_environment
from local.explanation import Explanation, State, explain
from local.hanko import StandInHanko
from local.sign import DEFECTS, SHAPES, Sample, find_event, known_defect, token_with

AUDIENCE, ISSUER = "example.com", "https://hanko.example.com"
HEAD = ("#", "check", "result", "expected", "seen")
COLOURS = {State.PASSED: "green", State.FAILED: "bold red", State.OFF: "dim", State.NOT_REACHED: "dim"}


def main(argv: Sequence[str] | None = None) -> int:
    """Decide, and tell how. Exits with 1 if the request would not pass."""
    options = _parser().parse_args(argv)
    sample = find_event(options.event)
    defect = known_defect(options.defect)
    with ExitStack() as stack:
        if options.env:
            settings = settings_of(options.env)
            token = _token(sample, options)
        else:
            if not sample.has_place:
                raise CommandFailed(f"{sample.name} has a token of its own: say whose it is with ENV=…")
            hanko = stack.enter_context(StandInHanko(audience=AUDIENCE, issuer=ISSUER))
            settings = _settings({"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": AUDIENCE, "HANKO_ISSUER": ISSUER})
            token = token_with(defect, hanko)
        told = told_about(sample.with_token(token), settings, Path(options.rules), full=options.full)
    if options.json:
        print(json.dumps({**told._asdict(), "steps": [step._asdict() for step in told.steps]}, indent=2))
    else:
        say_explanation(told)
    return 0 if told.allowed else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.explain", description=__doc__)
    parser.add_argument("event", nargs="?", default="", help=f"a file, or one of {', '.join(SHAPES)}")
    parser.add_argument("--env", help="an environment of samconfig.toml")
    parser.add_argument("--token", action="store_true", help="read the token from standard input")
    parser.add_argument("--defect", default="none", help=f"without an environment: {', '.join(DEFECTS)}")
    parser.add_argument("--rules", default="rules.toml", help="default: rules.toml")
    parser.add_argument("--full", action="store_true", help="print claims as they are")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def settings_of(name: str) -> Settings:
    """The settings of an environment. Raises `CommandFailed` if the function would not start with them."""
    environment = read_environment(name)
    if environment.region:
        os.environ.setdefault("AWS_DEFAULT_REGION", environment.region)  # where HankoRulesParameter is
    return _settings(environment.variables)


def _settings(variables: dict[str, str]) -> Settings:
    own = {name: value for name, value in os.environ.items() if not name.startswith("HANKO_")}
    try:
        return Settings.from_env({**own, **variables})
    except Misconfigured as error:
        raise misconfigured(error) from None


def told_about(event: object, settings: Settings, rules: Path, *, full: bool = False) -> Explanation:
    """The explanation of an event. Raises `CommandFailed` for rules or keys with which the function would not start."""
    try:
        return explain(event, settings, rules, full=full)
    except Misconfigured as error:
        raise misconfigured(error) from None


def _token(sample: Sample, options: argparse.Namespace) -> str:
    """The token for the event; "" for an event that has its own."""
    if options.token or (sample.has_place and not sys.stdin.isatty()):
        return read_token()
    if sample.has_place:
        raise CommandFailed(f"{sample.name} has TOKEN in it: give a session token on standard input (… < token)")
    return ""


# --- printing


def say_explanation(told: Explanation) -> None:
    """The checks, the outcome, what goes out."""
    rows = [(str(step.number), step.name, str(step.state), step.expected, step.seen) for step in told.steps]
    for step, line in zip(told.steps, columns([HEAD, *rows])[1:], strict=True):
        if step.number == 1:
            say(columns([HEAD, *rows])[0], "bold")
        say(line, COLOURS[step.state])
    for step in told.steps:
        if step.state is State.FAILED:
            say(f"\nCheck {step.number} failed ({step.name}):", "bold red")
            say_folded("expected", step.expected)
            say_folded("saw", step.seen)
    say()
    rule = f", rule {told.rule}" if told.rule else ""
    say(f"{told.reason.outcome}: {told.reason}{rule}", "green" if told.allowed else "bold red")
    for line in columns(_about(told)):
        say(line)
    say("\nWhat goes out to AWS:")
    say(json.dumps(told.answer, indent=2))  # ASCII: claims are text of users


def _about(told: Explanation) -> list[tuple[str, str]]:
    rows = [("what to do", told.reason.what_to_do.replace("`", "")), ("caller sees", told.caller_sees)]
    rows += [("key fetch", told.key_fetch_failure)] if told.key_fetch_failure else []
    rows += [("session check", told.session_failure)] if told.session_failure else []
    rows += [("PyJWT", told.pyjwt)]
    rows += [("not asked", "the revocation table, which the deployed function alone reads")]
    return rows


def say_folded(label: str, told: str) -> None:
    """A labelled text in lines that fit."""
    for number, line in enumerate(textwrap.wrap(told, WIDTH - 14) or [""]):
        say(f"  {label if number == 0 else '':<10}{line}")


if __name__ == "__main__":
    run(main)
