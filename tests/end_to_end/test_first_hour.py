"""From an empty local AWS to a protected API, by the commands that `make local EMPTY=1` and each step print."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.aws import PROGRAMS
from local.build import ROOT

API = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Api: {Type: "AWS::Serverless::Api", Properties: {StageName: prod}}
  Me:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      InlineCode: |
        def handler(event, context):
            caller = event["requestContext"].get("authorizer") or {}
            return {"statusCode": 200, "body": caller.get("email", "anybody")}
      Events: {Get: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /me, Method: GET}}}
Outputs: {Id: {Value: !Ref Api}}
"""


class Shell:
    """A second terminal, with what the first one says to export."""

    def __init__(self, usage: str, folder: Path) -> None:
        ours = ("AWS_", "COV_", "COVERAGE_", "PYTEST_", "MAKE", "MFLAGS", "SSL_", "HANKO_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        for line in re.findall(r"^export (.+)$", usage, re.MULTILINE):
            self.environment |= dict(word.split("=", 1) for word in line.split())
        self.environment |= {"SAM_CONFIG_FILE": str(folder / "samconfig.toml"), "HOME": str(folder)}
        self.folder = folder

    def run(self, command: str) -> str:
        """What the command prints."""
        done = subprocess.run(  # noqa: S602 - as a reader types it
            command, shell=True, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def deploy_api(self, template: str) -> str:
        """Deploy the user's own stack, and return its URL."""
        file = self.folder / "api.yaml"
        file.write_text(template)
        printed = self.run(
            f"{PROGRAMS}/sam deploy -t {file} --stack-name my-api --resolve-s3 --capabilities CAPABILITY_IAM"
        )
        found = re.search(r"^Value +(\w+)", printed, re.MULTILINE)
        assert found, printed
        return f"{self.environment['AWS_ENDPOINT_URL']}/_aws/execute-api/{found[1]}/prod/me"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "samconfig.toml").write_bytes((ROOT / "samconfig.toml").read_bytes())
    command = [sys.executable, "-m", "local.serve", "--empty"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as terminal:  # noqa: S603 - our own
        assert terminal.stdout is not None
        lines = iter(terminal.stdout.readline, "")
        usage = "".join(line for line in iter(lambda: next(lines), "Ctrl-C stops everything.\n"))
        yield Shell(usage, tmp_path)
        terminal.terminate()
    assert terminal.returncode == 130


def test_a_user_comes_from_an_empty_account_to_a_protected_api(shell: Shell) -> None:
    """Over https; the API was there before. Each step's last line names the next one."""
    url = shell.deploy_api(API)
    assert shell.run(f"curl -s {url}") == "anybody"
    printed = shell.run("make init ENV=try API_URL=$HANKO_API_URL AUDIENCE=localhost YES=1")
    assert printed.endswith("Next: make deploy ENV=try\n")
    printed = shell.run("make deploy ENV=try")
    assert printed.endswith("Next: make smoke ENV=try\n")
    snippet = re.search(r"^  Auth:\n(?:    .+\n)+", printed, re.MULTILINE)
    assert snippet, printed
    assert "attach it to your API" in shell.run("make smoke ENV=try")
    indented = "".join(f"    {line}\n" for line in snippet[0].splitlines())
    url = shell.deploy_api(
        API.replace(
            'Api: {Type: "AWS::Serverless::Api", Properties: {StageName: prod}}',
            f"Api:\n    Type: AWS::Serverless::Api\n    Properties:\n      StageName: prod\n{indented}".rstrip(),
        )
    )
    printed = shell.run(f"make -s token | make smoke ENV=try URL={url} TOKEN=-")
    assert re.findall(r"ok +(URL, .+?)  +(\w+) ", printed) == [
        *(("URL, no token", "401"), ("URL, bad token", "401"), ("URL, your token", "200")),
    ]
    assert printed.endswith("Next: make status ENV=try\n")
