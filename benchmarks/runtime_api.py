"""A Lambda runtime API of a few lines: GET next, POST response, and how long it took in between."""

import select
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

TIMEOUT_SECONDS = 30
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


class Sandbox:
    """One function under its runtime client, as a context manager. `output` receives its log."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path) -> None:
        """Nothing starts before the `with`."""
        self._command, self._folder, self._environment, self._output = command, folder, environment, output
        self._connections: list[socket.socket] = []

    def __enter__(self) -> Self:
        """Start the function and wait until it asks for its first event."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the runtimes that are to be measured
                self._command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**self._environment, "AWS_LAMBDA_RUNTIME_API": address},
            )  # fmt: skip
        try:
            self._wait_for_next()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for connection in [self._listener, *self._connections]:
            connection.close()

    def invoke(self, event: bytes) -> tuple[float, bytes]:
        """Seconds from sending the event to having the answer, and the answer. Waits for the next request, too."""
        deadline_ms = int((time.time() + TIMEOUT_SECONDS) * 1000)
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n"
            f"Lambda-Runtime-Deadline-Ms: {deadline_ms}\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:123456789012:function:authorizer\r\n"
            f"Content-Length: {len(event)}\r\n\r\n"
        )
        started = time.perf_counter()
        self._connection.sendall(head.encode() + event)
        target, answer = self._receive()
        seconds = time.perf_counter() - started
        self._connection.sendall(_ACCEPTED)
        self._wait_for_next()
        if not target.endswith(b"/response"):
            raise RuntimeError(f"the function failed: {answer.decode()}")
        return seconds, answer

    @property
    def lines(self) -> int:
        """The number of lines that it has written."""
        return self._output.read_bytes().count(b"\n")

    @property
    def peak_memory_bytes(self) -> int:
        """The peak of its resident memory (VmHWM)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])

    def _wait_for_next(self) -> None:
        target, body = self._receive()
        if not target.endswith(b"/next"):
            raise RuntimeError(f"the function does not start: {body.decode()}")

    def _receive(self) -> tuple[bytes, bytes]:
        """Target and body of one request."""
        head, body = self._receive_until(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
                while len(body) < length:
                    body += self._receive_some()
        return head.split(b" ", 2)[1], body

    def _receive_until(self, end: bytes) -> tuple[bytes, bytes]:
        data = self._receive_some()
        while end not in data:
            data += self._receive_some()
        head, _, rest = data.partition(end)
        return head, rest

    def _receive_some(self) -> bytes:
        """The next bytes, from whichever connection the client uses: Rust's may open a second one meanwhile."""
        while True:
            ready, _, _ = select.select([self._listener, *self._connections], [], [], TIMEOUT_SECONDS)
            if not ready:
                raise RuntimeError(f"the function does not go on: {self._output.read_text()[-2000:]}")
            for connection in ready:
                if connection is self._listener:
                    self._accept()
                elif data := connection.recv(65536):
                    self._connection = connection
                    return data
                else:
                    self._connections.remove(connection)
                    connection.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.append(connection)
