"""A proxy in front of a local AWS that loses, garbles or delays answers, over real HTTP."""

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

LATE_SECONDS = 0.7  # the receiver waits for 0.5
WRONG: list[tuple[int, bytes]] = [
    (200, b"{}"),
    (200, b""),
    (200, b"[]"),
    (200, b'{"Attributes": {}}'),
    (200, b'{"MessageId": ""}'),
    (200, b"<html>welcome to this network</html>"),
    (500, b'{"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": ""}'),
    (400, b'{"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", "message": ""}'),
    (503, b"<html>overloaded</html>"),
    (302, b""),
]
FAULTS = ("lost", "unsent", "late", "wrong", "cut")
Fault = Callable[[bytes], str]  # the request's body → one of `FAULTS`, or "" for a right answer


def half(dice: random.Random) -> Fault:
    """Every second answer is one of the faults."""
    return lambda _: dice.choice(FAULTS) if dice.random() < 0.5 else ""


class FaultyAws(ThreadingHTTPServer):
    """Forwards to an endpoint, a request at a time, so that the emulator's own races are no matter."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, endpoint: str, fault: Fault) -> None:
        """`fault` may be replaced at any time. `after` is called behind each request that the endpoint has taken."""
        self.endpoint, self.fault = endpoint.removeprefix("http://"), fault
        self.after: Callable[[bytes], None] = lambda _: None
        self.counted: Counter[str] = Counter()
        self.one_at_a_time = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Call)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client may have been killed."""


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyAws

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault(body)
        self.server.counted[fault or "right"] += 1
        if fault == "unsent":
            self._reset()
            return
        with self.server.one_at_a_time:
            status, kind, answer = self._forward(body)
        self.server.after(body)
        if fault == "lost":
            self._reset()
            return
        if fault == "late":
            time.sleep(LATE_SECONDS)
        if fault == "wrong":
            status, answer = random.choice(WRONG)  # noqa: S311 - no secret
        self._answer(status, kind, answer, missing=1 if fault == "cut" and answer else 0)

    def _forward(self, body: bytes) -> tuple[int, str, bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        connection = http.client.HTTPConnection(self.server.endpoint, timeout=30)
        try:
            connection.request("POST", self.path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers.get("Content-Type", ""), response.read()
        finally:
            connection.close()

    def _answer(self, status: int, kind: str, answer: bytes, *, missing: int) -> None:
        with suppress(OSError):  # who asked may be gone
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer[: len(answer) - missing])
        if missing:
            self._reset()

    def _reset(self) -> None:
        """End the connection without an answer, or in the middle of one."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing."""
