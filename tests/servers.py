"""Servers that misbehave on the level of sockets, and a client of ours to meet them."""

import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.hanko.client import JWKS_PATH, HttpsClient
from authorizer.hanko.connection import HttpResponse
from authorizer.hanko.failure import FetchFailed, FetchFailure
from authorizer.hanko.fetch import Fetch

HANG_GUARD_SECONDS = 15  # far above any deadline: only what hangs for ever gets here

Handle = Callable[[socket.socket], None]


def client_of(url: str, **environ: str) -> HttpsClient:
    variables = {"HANKO_API_URL": url, "HANKO_AUDIENCE": "localhost", "HANKO_FETCH_TIMEOUT_SECONDS": "5", **environ}
    return HttpsClient(Settings.from_env(variables), Clock())


def fetched(url: str, **environ: str) -> HttpResponse:
    return client_of(url, **environ).start(JWKS_PATH).result()


def failure(fetch: Fetch) -> FetchFailure:
    with pytest.raises(FetchFailed) as caught:
        fetch.result()
    assert str(caught.value) == caught.value.failure.value
    return caught.value.failure


def failure_of(url: str, **environ: str) -> FetchFailure:
    """Why a fetch fails; its thread ends in any case."""
    fetch = client_of(url, **environ).start(JWKS_PATH)
    why = failure(fetch)
    assert ends(fetch)
    return why


def ends(fetch: Fetch) -> bool:
    return becomes(lambda: fetch.done)


def becomes(condition: Callable[[], bool], seconds: float = HANG_GUARD_SECONDS) -> bool:
    """Whether it comes true, sooner or later."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    return condition()


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[None]:
    """A server that answers, in a thread of its own, until the block ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving(handle: Handle, host: str = "127.0.0.1") -> Iterator[str]:
    """A TCP server on a free port, as `host:port`; `handle` runs in a thread for each connection."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                handle(self.request)

    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True
        block_on_close = False

    server = Server((host, 0), Handler)
    with running(server):
        yield f"[{host}]:{server.server_address[1]}" if ":" in host else f"{host}:{server.server_address[1]}"


@contextmanager
def drops_every_syn(host: str) -> Iterator[tuple[str, int]]:
    """An address where nobody answers: the queue of its listener is full."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener, socket.socket(family) as occupant:
        listener.bind((host, 0))
        listener.listen(0)
        occupant.connect(listener.getsockname())
        yield listener.getsockname()


def read_head(connection: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(65536)
        if not data:
            break
        head += data
    return head.decode("latin-1")


def answering(data: bytes) -> Handle:
    def handle(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(data)

    return handle


def trust(monkeypatch: pytest.MonkeyPatch, ca_file: Path | None) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))


def over_tls(context: ssl.SSLContext, handle: Handle) -> Handle:
    def wrapped(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            handle(secure)

    return wrapped


Act = Callable[["Script", socket.socket], None]


class Script:
    """A server that does one act for each connection; `asked` is the first line of each question."""

    def __init__(self, *acts: Act) -> None:
        self._acts = list(acts)
        self.asked: list[str] = []
        self.connections = 0
        self.ended = threading.Semaphore(0)  # one for each act that is over

    def __call__(self, connection: socket.socket) -> None:
        self.connections += 1
        act = self._acts[self.connections - 1]
        connection.settimeout(HANG_GUARD_SECONDS)
        try:
            act(self, connection)
        finally:
            self.ended.release()

    def is_asked(self, connection: socket.socket) -> bool:
        """Read the next question; whether there was one."""
        head, _, body = read_head(connection).partition("\r\n\r\n")
        while head and len(body) < int(head.partition("Content-Length: ")[2].split("\r\n")[0] or 0):
            body += connection.recv(65536).decode()
        self.asked += [f"{head.splitlines()[0]} {body}".removesuffix(" ")] if head else []
        return bool(head)


def saying(*answers: bytes, then: Handle | None = None) -> Act:
    """HttpResponse as many questions; what happens with the next one is `then`, by default nothing but the end."""

    def act(script: Script, connection: socket.socket) -> None:
        for answer in answers:
            if not script.is_asked(connection):
                return
            connection.sendall(answer)
        if script.is_asked(connection) and then:
            then(connection)

    return act


def whole(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def resetting(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def until_hung_up(connection: socket.socket) -> None:
    connection.recv(1)


def part_of_a_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 2")


def part_of_a_body(connection: socket.socket) -> None:
    connection.sendall(whole("later")[:-1])
