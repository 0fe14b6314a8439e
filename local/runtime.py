"""The built artifact under the real Lambda runtime: AWS's runtime interface emulator and client, without Docker.

    with LambdaRuntime(artifact, {"HANKO_API_URL": url, "HANKO_AUDIENCE": "example.com"}) as runtime:
        answer = runtime.invoke(event)

An exception of the handler comes back as `{"errorMessage", "errorType", "stackTrace"}`, as API Gateway sees it. The
first call initialises the handler. Make one call at a time: two crash the emulator.
"""

import json
import os
import platform
import socket
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local.background import POLL_SECONDS, START_SECONDS, Background, free_port
from local.build import LAMBDA_PYTHON

HANDLER = "authorizer.lambda_function.lambda_handler"
EXECUTION_ENV = f"AWS_Lambda_python{LAMBDA_PYTHON}"
PACKAGES = Path(sysconfig.get_path("purelib"))
# The packages that the Lambda runtime itself has. Without the others, a package that the artifact lacks is noticed.
RUNTIME_PACKAGES = ("awslambdaric", "runtime_client*.so", "simplejson", "snapshot_restore_py.py")
INVOCATIONS = "/2015-03-31/functions/function/invocations"
CALL_SECONDS = 30


class Emulator(Background):
    """AWS's emulator with a function behind it. `client` is the command of a runtime client."""

    def __init__(self, client: Sequence[str], function: Path, environment: Mapping[str, str]) -> None:
        """`function` is the folder to run in; `environment` is the function's. The first call starts the client."""
        super().__init__()
        self._client, self._function, self._settings = client, function, environment
        self.port = free_port()

    def _command(self) -> list[str]:
        command = [str(emulator()), "--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{free_port()}", "--log-level", "info"]
        return [*command, *self._client]

    def _environment(self) -> Mapping[str, str]:
        return self._settings

    def _working_folder(self) -> Path:
        return self._function

    def _answers(self) -> bool:
        socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        return True


class LambdaRuntime(Emulator):
    """One sandbox for `artifact`, a folder that was built for this interpreter (BUILD_TARGET=host)."""

    def __init__(self, artifact: Path, environment: Mapping[str, str]) -> None:
        """`environment` is the function's."""
        client = (sys.executable, "-S", "-m", "awslambdaric", HANDLER)  # -S: without this environment's packages
        super().__init__(client, artifact, environment)

    def invoke(self, event: Any) -> Any:  # noqa: ANN401 - any JSON in, any JSON out
        """Call the handler, and return its answer, or the runtime's description of its exception."""
        url = f"http://127.0.0.1:{self.port}{INVOCATIONS}"
        reports = self._reports()
        try:
            with urllib.request.urlopen(url, json.dumps(event).encode(), timeout=CALL_SECONDS) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:  # 502: the handler did not start, or its process ended
            with error:
                return json.load(error)
        deadline = time.monotonic() + START_SECONDS
        while self._reports() == reports and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)  # the answer may overtake the log
        return answer

    @property
    def log(self) -> str:
        """Everything that was written: the emulator's lines, the handler's, and their tracebacks."""
        return self.log_file.read_text(errors="replace")

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON lines that the handler wrote."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    def _reports(self) -> int:
        return self.log.count("REPORT RequestId")

    def _environment(self) -> dict[str, str]:
        packages = link_runtime_packages(PACKAGES, self.folder / "runtime")
        return {
            **lambda_environment(HANDLER, self._function),
            "PYTHONPATH": f"{self._function}:{packages}",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "6",  # the emulator's own
            **self._settings,
        }


def lambda_environment(handler: str, folder: Path, runtime: str = EXECUTION_ENV) -> dict[str, str]:
    """The variables that Lambda sets for a function in `folder`, without credentials.

    With AWS_EXECUTION_ENV of Python 3.12 or later, AWS's Python client polls and writes in another way.
    """
    return {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EXECUTION_ENV": runtime,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": "authorizer",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/authorizer",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[1]00000000000000000000000000000000",
        "AWS_REGION": "eu-west-1",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": str(folder),
        "LANG": "en_US.UTF-8",
        "PATH": os.environ.get("PATH", os.defpath),
        "TZ": ":UTC",
        "_HANDLER": handler,
    }


def link_runtime_packages(packages: Path, folder: Path) -> Path:
    """Make `folder` with links to the packages that the Lambda runtime itself has, and to no others."""
    folder.mkdir(parents=True)
    for pattern in RUNTIME_PACKAGES:
        for path in packages.glob(pattern):
            (folder / path.name).symlink_to(path)
    return folder


def emulator() -> Path:
    """AWS's own binary, from the wheel of aws-sam-cli."""
    machine = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    return PACKAGES / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{machine}"
