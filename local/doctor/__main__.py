"""`make doctor [ENV=prod] [TEMPLATE=template.yaml] [STACK=my-api]`: what is wrong, or probably a mistake.

Looks at the rules; with an environment at its settings and its Hanko, too; with a template or a stack at that API.
Exits with 1 if anything is wrong; a finding marked `look` may be intended.
"""

import argparse
import json
import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Misconfigured
from authorizer.hanko.bundled import read_bundled
from authorizer.rules.evaluation import Rules
from local.build import ROOT
from local.command_line import CommandFailed, read_token, run, say
from local.configuration import Environment, read_environment, samconfig_file
from local.doctor.deployed import read_stack
from local.doctor.dropped import find_dropped
from local.doctor.finding import Finding, Level, look, wrong
from local.doctor.live import Live
from local.doctor.rules import read_rules
from local.doctor.template import read_template
from local.doctor.traps import Context, find_traps
from local.explain import told_about
from local.explanation import State
from local.sign import event_with
from local.stack import Aws

AUDIENCE_CHECK = 9  # its number in SECURITY.md
COLOURS = {Level.WRONG: "bold red", Level.LOOK: "yellow"}


@dataclass
class Report:
    """What was looked at: what is well, the findings, and what could not be looked at."""

    passed: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """How many findings must change something."""
        return sum(finding.level is Level.WRONG for finding in self.findings)


def main(argv: Sequence[str] | None = None) -> int:
    """Look, and print the findings."""
    options = _parser().parse_args(argv)
    report = Report()
    rules = _rules(Path(options.rules), report)
    environment = read_environment(options.env) if options.env else None
    settings = _settings(environment, report) if environment else None
    if settings is not None:
        _hanko(settings, options, report)
    context = Context((), settings or _defaults(), revokes=_revokes(environment), rules=rules)
    context = context._replace(guessed=settings is None)
    if options.template:
        _template(options, context, report)
    if options.stack:
        _stack(options.stack, environment, context, report)
    if options.json:
        print(json.dumps({**vars(report), "findings": [one._asdict() for one in report.findings]}, indent=2))
    elif options.brief:
        say_briefly(report)
    else:
        say_report(report)
    return 1 if report.wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.doctor", description=__doc__)
    parser.add_argument("--rules", default="rules.toml", help="default: rules.toml")
    parser.add_argument("--env", help="an environment of samconfig.toml")
    parser.add_argument("--template", help="the template of your API, of CloudFormation or AWS SAM")
    parser.add_argument("--stack", help="a deployed stack with your API")
    parser.add_argument("--parameter", action="append", default=[], help="NAME=VALUE of that template")
    parser.add_argument("--token", action="store_true", help="try the session token on standard input, too")
    parser.add_argument("--offline", action="store_true", help="do not ask Hanko")
    parser.add_argument("--brief", action="store_true", help="print a line for each finding")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


# --- what is looked at


def _rules(file: Path, report: Report) -> Rules | None:
    rules, findings = read_rules(file)
    report.findings.extend(findings)
    if rules is not None:
        told = (
            f"{len(rules.rules)} rules, which leave {rules.context_bytes} bytes of an answer to the user's claims"
            if rules.rules
            else "no rules: every valid session may call every route"
        )
        report.passed.append(f"{file}: {told}")
    return rules


def _settings(environment: Environment, report: Report) -> Settings | None:
    """As `make deploy` checks them; None if the function would not start with them."""
    where = f"{samconfig_file().name}, {environment.name}"
    mistakes = environment.mistakes()
    why = "make deploy refuses it before anything is built."
    report.findings += [wrong("settings", where, one, why, "Correct it: docs/settings.md.") for one in mistakes]
    own = {name: value for name, value in os.environ.items() if not name.startswith("HANKO_")}
    try:
        settings = Settings.from_env({**own, **environment.variables})
    except Misconfigured:
        return None
    mistakes += _keys_file(settings, where, report)
    if not mistakes:
        told = f"{len(environment.given)} settings with values that the template and the function take"
        report.passed.append(f"{where}: {told}")
    report.findings += _claims(settings, where)
    return None if mistakes else settings


def _keys_file(settings: Settings, where: str, report: Report) -> list[str]:
    """What is wrong with the key set that goes into the artifact."""
    if settings.keys_file is None:
        return []
    try:
        read_bundled(settings, Clock(), ROOT / settings.keys_file)
    except Misconfigured as error:
        told = str(error).splitlines()[-1]
        why = "The function does not start, so every request is a 500."
        report.findings.append(wrong("keys-file", where, told, why, "make keys, with this environment's name."))
        return [told]
    return []


def _claims(settings: Settings, where: str) -> list[Finding]:
    """Claims for the backend that users can write."""
    return [
        look(
            "user-written-claim",
            where,
            f"HankoContextClaims passes {'.'.join(claim.path)} on",
            "It comes from your JWT template; taken from Metadata.Unsafe, users write it themselves.",
            "Decide nothing by it, or take it from Metadata.Public.",
        )
        for claim in settings.context_claims
    ]


def _hanko(settings: Settings, options: argparse.Namespace, report: Report) -> None:
    """The live Hanko and the session token, which alone tells whether the audience is right."""
    compared = False
    if not options.offline:
        say(f"Asking {settings.api_url} …", error=True)
        live = Live(settings)
        report.findings.extend(live.findings())
        report.passed.extend(live.passed)
        compared = options.token and _token(settings, Path(options.rules), report)
    if not compared:
        report.unchecked.append(
            f"not known: whether your tokens are for HankoAudience, {', '.join(settings.audiences)}. A good one tells: "
            "TOKEN=- < token. Suspect the audience first if every token is refused"
        )


def _token(settings: Settings, rules: Path, report: Report) -> bool:
    """The decision about a session token from standard input, on a route that no rule names.

    Returns whether its audience was compared.
    """
    told = told_about(event_with("rest_request", read_token()), settings, rules)
    failed = next((step for step in told.steps if step.state is State.FAILED), None)
    if failed is None:
        report.passed.append(f"the session token passes: {told.reason}")
        return True
    what = f"it is refused by check {failed.number}, {failed.name}: {told.reason}"
    why = f"Expected: {failed.expected}. Seen: {failed.seen}."
    report.findings.append(wrong("token-refused", "the session token", what, why, told.reason.what_to_do))
    return failed.number >= AUDIENCE_CHECK


def _revokes(environment: Environment | None) -> bool:
    return environment is not None and environment.values.get("EnableRevocation") == "true"


def _defaults() -> Settings:
    return Settings.from_env({"HANKO_API_URL": "https://hanko.example.com", "HANKO_AUDIENCE": "nobody"})


def _template(options: argparse.Namespace, context: Context, report: Report) -> None:
    template = read_template(Path(options.template), _given(options.parameter))
    context = context._replace(permissions=template.permissions, has_alias=template.has_alias)
    found = [*find_dropped(template), *find_traps(template.apis, context)]
    report.findings += found
    guarded = [api for api in template.apis if api.authorizers]
    if not guarded:
        raise CommandFailed(f"{options.template} has no API with a Lambda authorizer")
    if not found:
        report.passed.append(f"{options.template}: {', '.join(api.kind.name for api in guarded)}, no trap found")


def _stack(name: str, environment: Environment | None, context: Context, report: Report) -> None:
    say(f"Reading the stack {name} …", error=True)
    deployed = read_stack(Aws(environment.region if environment else None), name)
    guarded = [api for api in deployed.apis if api.authorizers]
    if not guarded:
        raise CommandFailed(f"stack {name} has no API with a Lambda authorizer")
    found = [*deployed.unreadable, *find_traps(deployed.apis, context._replace(permissions=deployed.permissions))]
    report.findings += found
    if not found:
        report.passed.append(f"stack {name}: {', '.join(api.kind.name for api in guarded)}, no trap found")


def _given(parameters: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in parameters]
    for name, equals, _ in pairs:
        if not equals:
            raise CommandFailed(f"{name} is no parameter: write NAME=VALUE")
    return {name: value for name, _, value in pairs}


# --- printing


def say_report(report: Report) -> None:
    """What is well in a line each, then the findings, the wrong ones first."""
    for told in report.passed:
        say(f"ok     {told}", "green")
    for told in report.unchecked:
        for number, line in enumerate(textwrap.wrap(told, 88)):
            say(f"{'' if number else '?':<7}{line}", "dim")
    for finding in sorted(report.findings, key=lambda one: one.level is not Level.WRONG):
        say()
        say(f"{finding.level:<5}  {finding.where}  [{finding.code}]", COLOURS[finding.level])
        for label, told in (("what", finding.what), ("why", finding.why), ("fix", finding.fix)):
            say_folded(label, told)
    say()
    looks = len(report.findings) - report.wrong
    say(f"{report.wrong} wrong, {looks} to look at.", "bold red" if report.wrong else "yellow" if looks else "green")


def say_briefly(report: Report) -> None:
    """A line each, as before a build."""
    for told in report.passed:
        say(told)
    for finding in report.findings:
        say(f"{finding.where}: {finding.what}", COLOURS[finding.level])


def say_folded(label: str, told: str) -> None:
    """A labelled text in lines that fit."""
    lines = textwrap.wrap(told, 88) or [""]
    for number, line in enumerate(lines):
        say(f"  {label if number == 0 else '':<5}{line}")


if __name__ == "__main__":
    run(main)
