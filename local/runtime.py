"""The built artifact under the real Lambda runtime: AWS's runtime interface emulator and client, without Docker.

    with LambdaRuntime(artifact, {"HANKO_API_URL": url, "HANKO_AUDIENCE": "example.com"}) as runtime:
        answer = runtime.invoke(event)

An exception of the handler comes back as `{"errorMessage", "errorType", "stackTrace"}`, as API Gateway sees it. The
first call initialises the handler. One call at a time: the emulator does not survive two.
"""

import json
import os
import platform
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.aws import end_process_group, free_port

HANDLER = "authorizer.lambda_function.lambda_handler"
PACKAGES = Path(sysconfig.get_path("purelib"))
# The runtime's own packages, and nothing else of this environment: what the artifact lacks has to be missed here.
RUNTIME_PACKAGES = ("awslambdaric", "runtime_client*.so", "simplejson", "snapshot_restore_py")
START_SECONDS = 10
CALL_SECONDS = 30
POLL_SECONDS = 0.01


class LambdaRuntime:
    """One sandbox for `artifact`, a folder that was built for this interpreter (BUILD_TARGET=host)."""

    def __init__(self, artifact: Path, environment: Mapping[str, str]) -> None:
        """`environment` is the function's; nothing of this process's own gets in."""
        self._artifact = artifact
        self._environment = environment
        self._folder = tempfile.TemporaryDirectory(prefix="lambda-runtime-")
        self._log = Path(self._folder.name) / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()

    def __enter__(self) -> Self:
        """Start the emulator and wait until it listens."""
        command = [str(emulator()), "--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{free_port()}", "--log-level", "info"]
        command += [sys.executable, "-S", "-m", "awslambdaric", HANDLER]  # -S: without this environment's packages
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self._artifact, env=self._sandbox_environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            self._wait_until_it_listens(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the emulator and the handler, and remove the log."""
        if self._process:
            end_process_group(self._process)
        self._folder.cleanup()

    def invoke(self, event: Any) -> Any:  # noqa: ANN401 - any JSON in, any JSON out
        """Call the handler and return its answer, or what the runtime makes of its exception."""
        url = f"http://127.0.0.1:{self._port}/2015-03-31/functions/function/invocations"
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
        return self._log.read_text(errors="replace")

    @property
    def records(self) -> list[dict[str, Any]]:
        """The handler's own JSON lines, log lines and metric records alike."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    def _reports(self) -> int:
        return self.log.count("REPORT RequestId")

    def _sandbox_environment(self) -> dict[str, str]:
        packages = Path(self._folder.name) / "runtime"
        packages.mkdir()
        for pattern in RUNTIME_PACKAGES:
            for path in PACKAGES.glob(pattern):
                (packages / path.name).symlink_to(path)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": f"{self._artifact}:{packages}",
            "AWS_LAMBDA_FUNCTION_NAME": "authorizer",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "6",
            "AWS_REGION": "eu-west-1",
            **self._environment,
        }

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(POLL_SECONDS)
            else:
                return
        raise RuntimeError(f"the Lambda runtime emulator does not start:\n{self.log[-2000:]}")


def emulator() -> Path:
    """AWS's own binary, which the wheel of aws-sam-cli carries."""
    machine = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    return PACKAGES / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{machine}"
