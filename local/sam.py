"""`make sam`: build for `sam local invoke` and `sam local start-api`, which run the functions in Docker.

A container cannot reach the loopback of this machine with every engine, so none has to: the events are signed with a
key of this checkout's own (`python -m local.sign --sam`), and its public half travels in the artifact as a bundled key
set. Nothing answers at the address that is configured as Hanko's.

The build is in .local/sam, apart from what `make build` and `make deploy` build. samconfig.toml leads the plain
commands there.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]  # ships no types

from local.aws import PROGRAMS, find_rules
from local.build import ROOT
from local.command_line import CommandFailed, run, say
from local.deployment import QUERY_PARAMETER, SUBPROTOCOL
from local.hanko.offline import AUDIENCE, ISSUER, offline_hanko

FOLDER = ROOT / ".local" / "sam"
TEMPLATE = FOLDER / "build" / "template.yaml"  # what `sam build` writes
MACHINE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
EXAMPLES = ("http-api", "rest-request", "rest-token")  # SAM CLI serves no other kinds
END_SECONDS = 20  # sam removes its container

# Every connection is refused at once: port 9 of a container's own loopback.
API_URL = "http://127.0.0.1:9"
SETTINGS = {
    "Architecture": MACHINE,
    "HankoApiUrl": API_URL,
    "HankoAudience": AUDIENCE,
    "HankoIssuer": ISSUER,
    "HankoKeysFile": "keys.json",
    "HankoKeysFileMaxAgeSeconds": 30 * 24 * 3600,
    "HankoWebsocketSubprotocol": SUBPROTOCOL,
    "HankoWebsocketQueryParameter": QUERY_PARAMETER,
}
LOCAL_PROPERTIES = (  # of the function; the others name resources and conditions of the stack
    *("PackageType", "CodeUri", "Handler", "Runtime", "Architectures", "MemorySize", "Timeout"),
)

Json = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> None:
    """Build, and print the commands to type next."""
    parser = argparse.ArgumentParser(prog="python -m local.sam", description=__doc__)
    parser.add_argument("--example", default="", help=f"an API in front: {', '.join(EXAMPLES)}")
    example = parser.parse_args(argv).example
    build(example)
    say("\nNext:", "bold")
    for command in next_commands(example):
        say(f"  {command}")


def next_commands(example: str) -> list[str]:
    """What works after a build."""
    sign, sam = ".venv/bin/python -m local.sign --sam", ".venv/bin/sam"
    if example:
        call = f'curl -H "Authorization: Bearer $({sign} --token-only)" http://127.0.0.1:3000/me'
        return [f"{sam} local start-api", f"{call}  # in another terminal"]
    return [f"{sign} rest_token | {sam} local invoke AuthorizerFunction -e -"]


def build(example: str = "") -> None:
    """Build the authorizer, and an example's API and backend in the same template. Raises `CommandFailed`."""
    find_rules(os.environ.get("RULES") or "rules.toml")
    FOLDER.mkdir(parents=True, exist_ok=True)
    keys, template = FOLDER / "keys.json", FOLDER / "template.json"
    origin = {"hanko_api_url": API_URL, "fetched_at": int(time.time())}
    keys.write_text(json.dumps({**origin, **offline_hanko().jwks}))
    template.write_text(json.dumps(compose(example), indent=2))
    say(f"Building {TEMPLATE.relative_to(ROOT)} for {MACHINE}.")
    command = [str(PROGRAMS / "sam"), "build", "--build-in-source", "--template-file", str(template)]
    command += ["--base-dir", str(ROOT), "--build-dir", str(TEMPLATE.parent)]
    status, said = captured(command, {"BUILD_TARGET": MACHINE, "KEYS": str(keys)}, errors=subprocess.STDOUT)
    if status:
        raise CommandFailed(f"sam build failed. It says:\n{said[-2000:]}")


def compose(example: str) -> Json:
    """The template: the authorizer's function of template.yaml, with these settings as defaults, and an example."""
    whole = yaml_parse((ROOT / "template.yaml").read_text())
    function = whole["Resources"]["AuthorizerFunction"]
    kept = {name: function["Properties"][name] for name in LOCAL_PROPERTIES}
    variables = whole["Globals"]["Function"]["Environment"]["Variables"]
    simple = {name: value for name, value in variables.items() if isinstance(value, str) or "Ref" in value}
    kept |= {"CodeUri": str(ROOT), "Environment": {"Variables": simple}}
    parameters = {name: entry | _default(name) for name, entry in whole["Parameters"].items()}
    authorizer = {"Type": function["Type"], "Metadata": {"BuildMethod": "makefile"}, "Properties": kept}
    shown = _example(example) if example else {}
    # The function comes last: SAM CLI sees either plain API resources or a function's events, whichever comes first.
    return {
        **{name: whole[name] for name in ("AWSTemplateFormatVersion", "Transform")},
        "Parameters": parameters | shown.get("Parameters", {}),
        "Conditions": shown.get("Conditions", {}),
        "Resources": {**shown.get("Resources", {}), "AuthorizerFunction": authorizer},
    }


def _default(name: str) -> Json:
    return {"Default": SETTINGS[name]} if name in SETTINGS else {}


def _example(name: str) -> Json:
    """An example whose authorizer is the function beside it: of another stack, SAM CLI asks none."""
    if name not in EXAMPLES:
        raise CommandFailed(f"EXAMPLE={name} is nothing that sam local start-api serves: {', '.join(EXAMPLES)}")
    text = (ROOT / "examples" / f"{name}.yaml").read_text()
    text = text.replace("${AuthorizerArn}", "${AuthorizerFunction.Arn}").replace(
        "!Ref AuthorizerArn", "!Ref AuthorizerFunction"
    )
    example: Json = yaml_parse(text)
    del example["Parameters"]["AuthorizerArn"]
    for parameter in example["Parameters"].values():
        parameter.setdefault("Default", "none")
    for resource in example["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"] |= {
                "CodeUri": str(ROOT / "examples" / resource["Properties"]["CodeUri"]),
                "Architectures": [MACHINE],
            }
    return example


def invoke(event: Json) -> Json:
    """The function's answer to an event, through `sam local invoke`. Its log goes to standard error."""
    file = FOLDER / "event.json"
    file.touch(0o600)  # a token is in it
    file.write_text(json.dumps(event))
    command = [str(PROGRAMS / "sam"), "local", "invoke", "AuthorizerFunction", "--event", str(file)]
    try:
        status, said = captured([*command, "--template-file", str(TEMPLATE)], {})
    finally:
        file.unlink()
    try:
        answer: Json = json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        raise CommandFailed(f"sam local invoke gave no answer (status {status}): see above") from None
    return answer


def captured(command: Sequence[str], environment: Mapping[str, str], errors: int | None = None) -> tuple[int, str]:
    """Run sam; its status, and what it printed. If this process is stopped, sam has time to remove its container."""
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "SAM_CLI_TELEMETRY": "0", **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate()
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return process.returncode, said


if __name__ == "__main__":
    run(main)
