"""A local AWS: MiniStack (API Gateway, Lambda, CloudFormation, … in one process) and the real `sam` in front of it.

    with LocalAws() as aws:
        outputs = aws.deploy("template.yaml", "authorizer", {"HankoApiUrl": url, "HankoAudience": "example.com"})

Two things differ from AWS: a handler that raises loses its sandbox, so that the next call is a cold start, and metric
records (EMF) stay log lines. No process and no file outlives the `with`. ~/.aws is neither read nor written.
"""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from authorizer.errors import Misconfigured
from authorizer.rules.source import rules_of
from local.background import Background, free_port
from local.build import ROOT
from local.command_line import CommandFailed, mistaken
from local.runtime import EXECUTION_ENV

REGION = "eu-west-1"
EXAMPLE_RULES = "examples/rules.toml"
PROGRAMS = Path(sys.executable).parent  # sam lies beside the interpreter, on PATH or not
MINISTACK = Path(sys.prefix) / "ministack" / "bin" / "ministack"  # in an environment of its own: see the Makefile


def find_rules(rules: str) -> Path:
    """The file, from the checkout on. Raises `CommandFailed` if there is none, or the function would not start."""
    found = ROOT / rules
    if not found.is_file():
        raise CommandFailed(f"RULES={rules}: there is no such file")
    try:
        rules_of(found.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise CommandFailed(f"RULES={rules} is not UTF-8: byte {error.start}") from None
    except Misconfigured as error:
        raise mistaken(f"RULES={rules} is wrong:", str(error).splitlines()[1:]) from None
    return found


class LocalAws(Background):
    """MiniStack on a free loopback port, as a context manager. Stacks may be deployed from several threads."""

    def __init__(self, rules: str = EXAMPLE_RULES, trusts: Path | None = None) -> None:
        """`rules` goes into every artifact that is built here. `trusts` holds CA certificates for every handler."""
        rules_file = find_rules(rules)
        super().__init__()
        self._trusts = trusts
        self._built: dict[Path, Path] = {}
        self._building = threading.Lock()
        self._clients: dict[str, Any] = {}
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(self.folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
            "RULES": str(rules_file),
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.2",
            "TMPDIR": str(self.folder),
            "__SAM_CLI_APP_DIR": str(self.folder / "sam"),
        }

    def _command(self) -> list[str]:
        return [str(MINISTACK)]

    def _environment(self) -> dict[str, str]:
        """The environment of MiniStack, which its handlers inherit. So no variable of this shell may be in it."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": self.endpoint.rsplit(":", 1)[1],
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "MINISTACK_REGION": REGION,
            "S3_DATA_DIR": str(self.folder / "s3"),
            "STATE_DIR": str(self.folder / "state"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EXECUTION_ENV": EXECUTION_ENV,  # MiniStack sets Lambda's other variables
            **({"SSL_CERT_FILE": str(self._trusts)} if self._trusts else {}),
        }

    def _answers(self) -> bool:
        with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=1):  # noqa: S310 - loopback
            return True

    def deploy(self, template: str | Path, stack: str, parameters: dict[str, str] | None = None) -> dict[str, str]:
        """Deploy a template with `sam deploy`, and return the stack's outputs. Each template is built once."""
        path = (ROOT / template).resolve()
        if "BuildMethod:" in path.read_text():
            path = self.build(path)
        options = ["--template-file", str(path), "--stack-name", stack]
        if parameters:
            options += ["--parameter-overrides", *(f"{name}={json.dumps(v)}" for name, v in parameters.items())]
        self._sam("deploy", *options)
        described = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def build(self, template: Path = ROOT / "template.yaml") -> Path:
        """Run `sam build` for the Python that MiniStack runs handlers with, and return the built template."""
        with self._building:
            if template not in self._built:
                folder = self.folder / "build" / template.stem
                self._sam("build", "--template-file", str(template), "--build-dir", str(folder))
                self._built[template] = folder / "template.yaml"
            return self._built[template]

    def _sam(self, command: str, *options: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        result = subprocess.run(
            [PROGRAMS / "sam", command, "--config-file", ROOT / "samconfig.toml", "--config-env", "local", *options],
            env={**environment, **self.environment, "BUILD_TARGET": "host"},
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            process_group=self.process_group,
        )  # fmt: skip
        if result.returncode:
            raise CommandFailed(f"sam {command} failed:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients' methods at run time
        """A boto3 client of the local AWS, made once."""
        if service not in self._clients:
            self._clients[service] = self._new_client(service)
        return self._clients[service]

    def _new_client(self, service: str) -> Any:  # noqa: ANN401 - as above
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106 - MiniStack takes any
        client: Any = session.client  # its stubs want the service's name spelt out
        return client(service, endpoint_url=self.endpoint)

    def invoke(self, function: str, event: Any) -> Any:  # noqa: ANN401 - any JSON
        """The answer of a function to an event."""
        return json.load(self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))["Payload"])

    def new_sandbox(self, alias_arn: str, **variables: str) -> None:
        """Give the alias a new version, so that the next call is a cold start, as it would be in AWS.

        `variables` are variables of the environment that change.
        """
        function, alias = alias_arn.rsplit(":", 1)
        client = self.client("lambda")
        changed: dict[str, Any] = {"Description": f"new sandbox {uuid.uuid4()}"}
        if variables:
            before = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
            changed["Environment"] = {"Variables": before | variables}
        client.update_function_configuration(FunctionName=function, **changed)
        version = client.publish_version(FunctionName=function)["Version"]
        client.update_alias(FunctionName=function, Name=alias, FunctionVersion=version)

    def logs(self, log_group: str) -> list[str]:
        """Every log record of a group, oldest first: platform lines and our records."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=log_group)
        return [event["message"] for page in pages for event in page["events"]]

    def rest_url(self, api: str, stage: str) -> str:
        """Base URL of a stage of a REST API."""
        return f"{self.endpoint}/_aws/execute-api/{api}/{stage}"

    def http_url(self, api: str) -> str:
        """Base URL of the default stage of an HTTP API."""
        return f"{self.endpoint}/_aws/execute-api/{api}/$default"

    def websocket_url(self, api: str, stage: str) -> str:
        """URL of a stage of a WebSocket API."""
        return f"{self.endpoint.replace('http', 'ws', 1)}/_aws/execute-api/{api}/{stage}"

    def function_url(self, url: str) -> str:
        """The local address of a Function URL of the stack's outputs."""
        return f"{self.endpoint}/_aws/lambda-url/{urlsplit(url).netloc.split('.')[0]}/"

    def appsync_url(self, api: str) -> str:
        """URL of an AppSync GraphQL API."""
        return f"{self.endpoint}/v1/apis/{api}/graphql"
