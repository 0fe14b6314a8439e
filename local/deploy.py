"""`make deploy ENV=prod`: check, build and deploy one environment of samconfig.toml, with every parameter explicit.

Nothing is built before the environment is right and the changes are printed. SAM leaves a parameter as it is deployed
if the file says nothing about it. Here it gets the template's default, so that the file says all that runs.
"""

import argparse
import hashlib
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import yaml

from local.build import ROOT
from local.command_line import CommandFailed, columns, mistaken, run, run_program, say
from local.configuration import Environment, read_environment, samconfig_file
from local.hanko.guard import guarded_folder
from local.stack import FAILED_AT_BIRTH, HIDDEN, Aws, Stack

SAM = Path(sys.executable).parent / "sam"  # beside the interpreter, on PATH or not
BUILT = ROOT / ".aws-sam" / "build"
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
KEY_ID_ROUNDS = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Deploy, or build only."""
    parser = argparse.ArgumentParser(prog="python -m local.deploy", description=__doc__)
    parser.add_argument("environment", help="an environment of samconfig.toml")
    parser.add_argument("--build-only", action="store_true", help="check and build, and deploy nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask, whatever confirm_changeset says")
    options = parser.parse_args(argv)
    environment = read_environment(options.environment)
    check(environment)
    target = target_of(environment, os.environ)
    if options.build_only:
        build(environment, target)
        say(f"Next: make deploy ENV={environment.name}")
        return 0
    aws = Aws(environment.region)
    say_changes(environment, Stack.find(aws, environment.stack()))
    build(environment, target)
    deploy(environment, yes=options.yes)
    say_end(environment, Stack.of(aws, environment))
    return 0


def check(environment: Environment) -> None:
    """Raises `CommandFailed` with every mistake of the environment."""
    mistakes = environment.mistakes()
    if mistakes:
        raise mistaken(f"{environment.name} in {samconfig_file().name} cannot be deployed:", mistakes)


def target_of(environment: Environment, variables: Mapping[str, str]) -> str:
    """What to build for: the environment's Architecture, or this very machine for a local AWS."""
    wanted, forced = environment.values["Architecture"], variables.get("BUILD_TARGET") or ""
    if forced in ("", wanted):
        return wanted
    host = urlsplit(variables.get("AWS_ENDPOINT_URL", "")).hostname
    if forced == "host" and host in ("127.0.0.1", "localhost", "::1"):
        return "host"
    raise CommandFailed(
        f"BUILD_TARGET is {forced}, but {environment.name} has Architecture {wanted}: unset BUILD_TARGET"
    )


# --- what changes


class Change(NamedTuple):
    """One parameter that is not as it is deployed."""

    name: str
    old: str
    new: str
    looser: bool


def _off(new: str) -> Callable[[str, str], bool]:
    return lambda _, value: value == new


def _grows(old: str, new: str) -> bool:
    return float(new or "inf") > float(old or "inf")


def _gains(old: str, new: str) -> bool:
    return not set(new.replace(" ", "").split(",")) <= set(old.replace(" ", "").split(","))


# The changes that let more requests pass.
LOOSER: dict[str, Callable[[str, str], bool]] = {
    "HankoSessionOnOutage": _off("allow"),
    "HankoSessionCheck": lambda old, new: (
        ["off", "hybrid", "strict"].index(new) < ["off", "hybrid", "strict"].index(old)
    ),
    "EnableRevocation": _off("false"),
    "HankoRevokeOnPasswordChange": _off("false"),
    "HankoIssuer": _off(""),
    "HankoAudience": _gains,
    "HankoMaxTokenLifetimeSeconds": _grows,
    "HankoClockSkewSeconds": _grows,
    "HankoKeysMaxAgeSeconds": _grows,
    "HankoKeysMaxStaleSeconds": _grows,
    "HankoKeysFileMaxAgeSeconds": _grows,
    "HankoSessionMaxAgeSeconds": _grows,
    "HankoRevocationCacheSeconds": _grows,
    "HankoAppsyncTtlSeconds": _grows,
}


def changes(environment: Environment, deployed: Mapping[str, str]) -> list[Change]:
    """The changes to the deployed stack, first those that let more requests pass."""
    found = [
        Change(name, deployed.get(name, ""), new, is_looser(name, deployed.get(name), new))
        for name, new in handed_over(environment).items()
        if deployed.get(name) not in (new, HIDDEN)
    ]
    return sorted(found, key=lambda change: not change.looser)


def is_looser(name: str, old: str | None, new: str) -> bool:
    """Whether the new value lets requests pass that the old value refused."""
    try:
        return old is not None and name in LOOSER and LOOSER[name](old, new)
    except ValueError:  # an older release took other values
        return True


def say_changes(environment: Environment, stack: Stack | None) -> None:
    """Print what this deployment will change."""
    if stack is None or stack.status in FAILED_AT_BIRTH:
        say(f"Stack {environment.stack()} is new.")
        say_set(environment)
        return
    found = changes(environment, stack.parameters)
    say(f"Stack {stack.name}: " + ("these settings change." if found else "no setting changes."))
    secret = {name for name, parameter in environment.parameters.items() if parameter.secret}
    rows = [(one.name, *(HIDDEN if one.name in secret else text or '""' for text in one[1:3])) for one in found]
    for change, line in zip(found, columns([(name, old, "→ " + new) for name, old, new in rows]), strict=True):
        say(line, "bold red" if change.looser else None)
    if any(change.looser for change in found):
        say("  The first of these let requests pass that were refused before.", "bold red")


def say_set(environment: Environment) -> None:
    """Print what the file sets otherwise than the template does."""
    for line in columns([(name, value or '""') for name, value in set_otherwise(environment)]):
        say(line)


def set_otherwise(environment: Environment) -> Iterator[tuple[str, str]]:
    """The settings that are not the template's defaults; of a secret, that it is set."""
    for name, value in environment.values.items():
        parameter = environment.parameters[name]
        if value != parameter.default:
            yield name, HIDDEN if parameter.secret else value


# --- what is handed over


def handed_over(environment: Environment) -> dict[str, str]:
    """Every parameter of the template, and its value. A new HankoLogHashKey brings a LogHashKeyId of its own."""
    values = environment.values
    key = values["HankoLogHashKey"]
    if key and "LogHashKeyId" not in environment.given:
        salt = environment.stack().encode()
        values["LogHashKeyId"] = hashlib.pbkdf2_hmac("sha256", key.encode(), salt, KEY_ID_ROUNDS)[:4].hex()
    return values


def build(environment: Environment, target: str) -> None:
    """`sam build`, for this environment's rules and keys. Raises `CommandFailed`."""
    architecture, runtime = environment.values["Architecture"], environment.values["Runtime"]
    overrides, python = (f"Architecture={architecture}", f"Runtime={runtime}"), runtime.removeprefix("python")
    say(f"Building for {target}.")
    command = [str(SAM), "build", *_which(environment), "--parameter-overrides", *overrides]
    with guarded_folder("sam-") as folder:
        variables = {"BUILD_TARGET": target, "BUILD_PYTHON": python, "BUILD_ENV": environment.name}
        status = run_program(command, ROOT, {**_environment(folder), **variables})
    if status:
        raise CommandFailed("sam build failed: see above")
    found, wanted = made_for(BUILT / "AuthorizerFunction"), made_for_this(target, python)
    if found != wanted:
        raise CommandFailed(f"the artifact was built for {found}, not for {wanted}")


def made_for(artifact: Path) -> str:
    """Python and processor of a built artifact, by the name of its one module that is bound to both, that of cffi."""
    found = (re.match(r"_cffi_backend\.cpython-3(\d+)-(\w+)-", path.name) for path in artifact.glob("_cffi_backend.*"))
    return next((f"Python 3.{one[1]} on {one[2]}" for one in found if one), "no Python")


def made_for_this(target: str, python: str) -> str:
    if target == "host":
        return f"Python {sys.version_info.major}.{sys.version_info.minor} on {platform.machine()}"
    return f"Python {python} on {MACHINES[target]}"


def deploy(environment: Environment, template: Path = BUILT / "template.yaml", *, yes: bool = False) -> None:
    """`sam deploy` of a built template. `yes` asks nothing. Raises `CommandFailed`."""
    say(f"Deploying {environment.stack()}.")
    with guarded_folder("parameters-") as folder:  # not on the command line: one is a secret
        file = write_parameters(folder, handed_over(environment))
        command = [str(SAM), "deploy", *_which(environment), "--template-file", str(template)]
        command += ["--parameter-overrides", f"file://{file}"]
        command += ["--no-confirm-changeset"] if yes else []
        if run_program(command, ROOT, _environment(folder), asks=sys.stdin.isatty() and not yes):
            raise CommandFailed("sam deploy failed: see above. The earlier deployment is still in place")


def _environment(folder: Path) -> dict[str, str]:
    """SAM's environment. It leaves files among the temporary ones: here they go with the folder."""
    return {**os.environ, "TMPDIR": str(folder)}


def write_parameters(folder: Path, values: Mapping[str, str]) -> Path:
    """Write a file from which SAM reads exactly these values. SAM removes a pair of quotes twice there."""
    file = folder / "parameters.yaml"
    file.touch(0o600)
    quoted = {name: _in_quotes(_in_quotes(value)) for name, value in values.items()}
    file.write_text(yaml.safe_dump(quoted, default_style='"'))
    return file


def _in_quotes(value: str) -> str:
    """The text that `samcli.cli.types._unquote_wrapped_quotes` turns into this value."""
    return '"' + re.sub(r"""[ "']""", r"\\\g<0>", value) + '"'


def _which(environment: Environment) -> list[str]:
    return ["--config-file", str(samconfig_file().resolve()), "--config-env", environment.name]


def say_end(environment: Environment, stack: Stack) -> None:
    """Where it is, how to attach it, and what to type next."""
    say(f"\nVersion {stack.outputs.get('Version', '')} is live. The ARN to attach to your APIs:\n", "green")
    say(stack.alias, "bold")
    say("\nIn the Properties of a REST API of AWS SAM (docs/attach.md has the other kinds):\n")
    for line in ATTACH.format(alias=stack.alias).splitlines():
        say(line)
    if not environment.values["AlarmTopicArn"]:
        say(f"\n{SILENT}", "yellow")
    say(f"\nNext: make smoke ENV={environment.name}")


SILENT = "Alarms notify nobody: AlarmTopicArn is empty. Set it to the ARN of an SNS topic that somebody reads."
ATTACH = """\
  Auth:
    DefaultAuthorizer: Hanko
    Authorizers:
      Hanko:
        FunctionArn: {alias}
        Identity: {{Header: Authorization, ReauthorizeEvery: 300}}"""


if __name__ == "__main__":
    run(main)
