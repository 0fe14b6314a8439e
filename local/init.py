"""`make init ENV=prod`: write an environment into samconfig.toml, with your Hanko's API URL and your audience.

Asks for both, or reads them from a session token that you paste. A pasted token is not verified, and kept nowhere.
For scripts: --yes with --api-url and --audience, or a token on standard input with --token.
"""

import argparse
import base64
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError

from authorizer.clock import Clock
from authorizer.errors import Misconfigured
from authorizer.hanko.failure import FetchFailed
from authorizer.hanko.jwk import parse_keys
from local.command_line import CommandFailed, columns, confirmed, misconfigured, mistaken, read_token, run, say
from local.configuration import Environment, environments, is_example, read_environment, samconfig_file
from local.keys_file import read_keys

TOKEN = re.compile(r"[\w-]{2,}\.[\w-]{2,}\.[\w-]{2,}", re.ASCII)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}", re.ASCII)  # goes into a stack's name
TABLES = """
[{name}.build.parameters]
build_in_source = true

[{name}.deploy.parameters]
stack_name = "{stack}"
{region}resolve_s3 = true
capabilities = ["CAPABILITY_IAM"]
fail_on_empty_changeset = false
confirm_changeset = {confirm}

[{name}.deploy.parameters.parameter_overrides]
"""


class Answers(NamedTuple):
    """What goes into the file. None: leave it as it is."""

    api_url: str
    audience: str
    issuer: str | None


def main(argv: Sequence[str] | None = None, ask: Callable[[str], str] = input) -> int:
    """Ask, check, write."""
    options = _parser().parse_args(argv)
    file = samconfig_file()
    if not NAME.fullmatch(options.environment) or options.environment in ("default", "version", "local"):
        raise CommandFailed(f"{options.environment} cannot be the name of an environment: take letters, digits and -")
    known = read_environment(options.environment) if options.environment in environments() else None
    answers = _answers(options, known, ask)
    text = written(file.read_text("utf-8"), options.environment, known, answers, options.region)
    environment = _checked(text, options.environment)
    kids = _keys(answers.api_url)
    say(f"{answers.api_url} answers with {kids} usable {'key' if kids == 1 else 'keys'}.", "green")
    _say_set(environment)
    if not confirmed("Write this? [y/n] ", ask, yes=options.yes):
        raise CommandFailed("nothing was written")
    _replace(file, text)
    say(f"{file.name} has the environment {environment.name}.")
    say(f"\nNext: make deploy ENV={environment.name}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.init", description=__doc__)
    parser.add_argument("environment", help="its name: dev, prod, ...")
    parser.add_argument("--api-url", help="API URL of the Hanko project")
    parser.add_argument("--audience", help="audience of the tokens; on Hanko Cloud the App URL")
    parser.add_argument("--issuer", help="issuer of the tokens, if Hanko has a session.issuer")
    parser.add_argument("--token", action="store_true", help="read aud and iss from a token on standard input")
    parser.add_argument("--region", help="AWS region of the stack; by default that of your AWS settings")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    return parser


# --- the values


def _answers(options: argparse.Namespace, known: Environment | None, ask: Callable[[str], str]) -> Answers:
    """The values given, then those of a token, then those that are asked for."""
    given = {"api_url": options.api_url, "audience": options.audience, "issuer": options.issuer}
    silent = options.yes or options.token
    if options.token:
        _complete(given, read_token())
    if not given["api_url"] and not silent:
        answer = _ask_for(ask, "API URL (or paste a session token)", known, "HankoApiUrl")
        if TOKEN.fullmatch(answer):
            _complete(given, answer)
        else:
            given["api_url"] = answer
    questions = {
        "api_url": ("API URL", "HankoApiUrl"),
        "audience": ("Audience (Hanko Cloud: the App URL)", "HankoAudience"),
    }
    for name, (question, parameter) in questions.items():
        if not given[name] and not silent:
            given[name] = _ask_for(ask, question, known, parameter)
        if not given[name]:
            what = question.partition(" (")[0]
            raise CommandFailed(f"{what} is missing: docs/getting-started.md says where Hanko's console has it")
    return Answers(given["api_url"].strip().rstrip("/"), given["audience"].strip(), given["issuer"])


def _complete(given: dict[str, str | None], token: str) -> None:
    """Take from a token what was not given."""
    claims = read_claims(token)
    given.update({name: given[name] or claims[name] for name in given})


def _ask_for(ask: Callable[[str], str], question: str, known: Environment | None, parameter: str) -> str:
    """Ask, with the value that is there proposed, unless it is an example."""
    now = known.given.get(parameter, "") if known else ""
    proposed = "" if is_example(now) else now
    if ask is input and not sys.stdin.isatty():
        raise CommandFailed("there is no terminal to ask at: give --api-url, --audience and --yes")
    try:
        return ask(f"{question}{f' [{proposed}]' if proposed else ''}: ").strip() or proposed
    except EOFError:
        raise CommandFailed("nothing was written") from None


def read_claims(token: str) -> dict[str, Any]:
    """What a token says about its audience and issuer. Says that it was not verified. Raises `CommandFailed`."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        read = {"audience": ",".join(audience), "issuer": claims.get("iss"), "api_url": None}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise CommandFailed("this is no session token of Hanko: it has no readable aud") from None
    say("Read from the token, which is NOT verified:", "yellow")
    for line in columns([("aud", read["audience"]), ("iss", read["issuer"] or "none, so no issuer is checked")]):
        say(line, "yellow")
    if str(read["issuer"]).startswith("https://"):
        read["api_url"] = read["issuer"]
    return read


# --- checks


def _checked(text: str, name: str) -> Environment:
    """The environment as `make deploy` will read it. Raises `CommandFailed` with its mistakes."""
    with tempfile.TemporaryDirectory(prefix="samconfig-") as folder:
        file = Path(folder) / "samconfig.toml"
        file.write_text(text, "utf-8")
        environment = read_environment(name, file)
    mistakes = environment.mistakes()
    if mistakes:
        raise mistaken("nothing was written:", mistakes)
    return environment


def _keys(api_url: str) -> int:
    """How many usable keys this Hanko has. Raises `CommandFailed` if it does not answer with any."""
    say(f"Fetching the keys of {api_url} …")
    try:
        _, body, _ = read_keys(api_url, os.environ, Clock())
    except Misconfigured as error:
        raise misconfigured(error) from None
    except FetchFailed as failed:
        raise CommandFailed(
            f"{api_url} gave no usable key set ({failed}): is this the API URL, and is there a network?"
        ) from None
    return len(parse_keys(body))


def _say_set(environment: Environment) -> None:
    say(f"\n{environment.name}, stack {environment.stack_name}:")
    secret = {name for name, parameter in environment.parameters.items() if parameter.secret}
    for line in columns(
        (name, "****" if name in secret else value or '""') for name, value in environment.given.items()
    ):
        say(line)


# --- the file


def written(text: str, name: str, known: Environment | None, answers: Answers, region: str | None) -> str:
    """samconfig.toml with this environment in it, and everything else as it was."""
    if known is None or (not known.given and known.stack_name is None):
        stack = "hanko-authorizer" if name == "prod" else f"hanko-authorizer-{name}"
        where = f'region = "{region}"\n' if region else ""
        tables = TABLES.format(name=name, stack=stack, region=where, confirm=str(name == "prod").lower())
        if known is not None:  # its build table, say
            tables = tables[tables.index(f"[{name}.deploy.parameters]\n") - 1 :]
        text, known = text.rstrip("\n") + "\n" + tables, None
    document = _parsed(text)
    parameters = document[name]["deploy"]["parameters"]
    overrides = parameters.get("parameter_overrides")
    if not isinstance(overrides, Mapping):  # a list or a text: the same values, in the form that loses nothing
        overrides = tomlkit.table()
        overrides.update(known.given if known else {})
        parameters["parameter_overrides"] = overrides
    if region:
        parameters["region"] = region
    overrides["HankoApiUrl"], overrides["HankoAudience"] = answers.api_url, answers.audience
    if answers.issuer:
        overrides["HankoIssuer"] = answers.issuer
    elif is_example(str(overrides.get("HankoIssuer", ""))):
        del overrides["HankoIssuer"]
    return tomlkit.dumps(document)


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise CommandFailed(f"samconfig.toml: {error}") from None


def _replace(file: Path, text: str) -> None:
    """Replace the file at once. It keeps its permissions: it can hold HankoLogHashKey."""
    new = file.with_name(f".{file.name}.new")
    new.touch(0o600)
    if file.exists():
        shutil.copymode(file, new)
    new.write_text(text, "utf-8")
    new.replace(file)


if __name__ == "__main__":
    run(main)
