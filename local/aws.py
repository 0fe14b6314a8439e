"""A local AWS: MiniStack (API Gateway, Lambda, CloudFormation, … in one process) and the real `sam` in front of it.

    with LocalAws() as aws:
        outputs = aws.deploy("template.yaml", "authorizer", {"HankoApiUrl": url, "HankoAudience": "example.com"})

Two things are not as in AWS: a handler that raises costs its sandbox (the next call is a cold start), and metric
records (EMF) stay log lines. Nothing outlives the `with`: no process, no file, and ~/.aws is neither read nor written.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3

from local.build import ROOT

START_SECONDS = 30
POLL_SECONDS = 0.05
REGION = "eu-west-1"
PROGRAMS = Path(sys.executable).parent  # sam and ministack live beside the interpreter, on PATH or not


class LocalAws:
    """MiniStack on a free loopback port, as a context manager. Stacks may be deployed from several threads."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="local-aws-"))
        self._built: dict[Path, Path] = {}
        self._process: subprocess.Popen[bytes] | None = None
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(self._home / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self._home / "credentials"),
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.2",
            "__SAM_CLI_APP_DIR": str(self._home / "sam"),
        }

    def __enter__(self) -> Self:
        """Start MiniStack and wait until it answers."""
        # Handlers inherit MiniStack's environment, so it gets a clean one: a HANKO_… of this shell must not reach them.
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._home),
            "TMPDIR": str(self._home),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": self.endpoint.rsplit(":", 1)[1],
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "MINISTACK_REGION": REGION,
            "S3_DATA_DIR": str(self._home / "s3"),
            "STATE_DIR": str(self._home / "state"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        with (self._home / "ministack.log").open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAMS / "ministack"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,  # so that Ctrl-C reaches us alone, and its workers end with it
            )  # fmt: skip
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End MiniStack, the handlers that it started, and every file of theirs."""
        if self._process:
            end_process_group(self._process)
        shutil.rmtree(self._home, ignore_errors=True)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=1):  # noqa: S310 - loopback
                    return
            except OSError:
                time.sleep(POLL_SECONDS)
        raise RuntimeError("MiniStack does not start:\n" + (self._home / "ministack.log").read_text()[-2000:])

    def deploy(self, template: str | Path, stack: str, parameters: dict[str, str] | None = None) -> dict[str, str]:
        """Deploy a template with `sam deploy` and return the stack's outputs; template.yaml is built once before."""
        path = (ROOT / template).resolve()
        if path == ROOT / "template.yaml":
            path = self.build(path)
        options = ["--template-file", str(path), "--stack-name", stack]
        if parameters:
            options += ["--parameter-overrides", *(f"{name}={json.dumps(v)}" for name, v in parameters.items())]
        self._sam("deploy", *options)
        described = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def build(self, template: Path = ROOT / "template.yaml") -> Path:
        """`sam build` for the interpreter that MiniStack runs handlers with; returns the built template."""
        if template not in self._built:
            folder = self._home / "build"
            self._sam("build", "--template-file", str(template), "--build-dir", str(folder))
            self._built[template] = folder / "template.yaml"
        return self._built[template]

    def _sam(self, command: str, *options: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        result = subprocess.run(
            [PROGRAMS / "sam", command, "--config-file", ROOT / "samconfig.toml", "--config-env", "local", *options],
            env={**environment, **self.environment, "BUILD_TARGET": "host", "TMPDIR": str(self._home)},
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if result.returncode:
            raise RuntimeError(f"sam {command} failed:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients' methods at run time
        """A boto3 client of the local AWS."""
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106 - MiniStack takes any
        client: Any = session.client  # its stubs want the service's name spelt out
        return client(service, endpoint_url=self.endpoint)

    def new_sandbox(self, alias_arn: str) -> None:
        """Give the alias a new version, so that the next call is a cold start, as it would be in AWS."""
        function, alias = alias_arn.rsplit(":", 1)
        client = self.client("lambda")
        client.update_function_configuration(FunctionName=function, Description=f"new sandbox {uuid.uuid4()}")
        version = client.publish_version(FunctionName=function)["Version"]
        client.update_alias(FunctionName=function, Name=alias, FunctionVersion=version)

    def logs(self, log_group: str) -> list[str]:
        """Every log record of a group, oldest first: platform lines, our log lines and metric records."""
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

    def appsync_url(self, api: str) -> str:
        """URL of an AppSync GraphQL API."""
        return f"{self.endpoint}/v1/apis/{api}/graphql"


def free_port() -> int:
    """A loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def end_process_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads its own session, and whatever it started: asked first, then made to."""
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        return  # nothing was left of it
