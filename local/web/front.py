"""One port with TLS, a host name for each part, as DNS, CloudFront and custom domains make them in AWS.

Chromium and Firefox resolve names below `localhost` to this machine by themselves. To a browser `example.localhost` is
one site, as example.com is: a cookie of `Domain=example.localhost` goes to all names below it, and to no other.
"""

import base64
import contextlib
import hashlib
import http.client
import select
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.hanko.certificates import write_certificates
from local.hanko.guard import guarded_folder
from local.hanko.loopback import LoopbackServer

if TYPE_CHECKING:
    from email.message import Message

TIMEOUT_SECONDS = 60
CHUNK_BYTES = 64 * 1024
OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}

Headers = list[tuple[str, str]]


class Request(NamedTuple):
    """What a browser asks. `path` is what is left below the place, with its query string."""

    method: str
    path: str
    headers: "Message[str, str]"  # generic for mypy alone
    body: bytes = b""


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


Place = Callable[[Request], Reply]


def unchanged(_: Request, reply: Reply) -> Reply:
    return reply


@dataclass(frozen=True)
class Forward:
    """A place that is served by somebody on loopback. `edit` may change the answer; `ca_file` makes it https."""

    url: str
    edit: Callable[[Request, Reply], Reply] = unchanged
    ca_file: Path | None = None

    def __call__(self, request: Request) -> Reply:
        """Raises OSError if nobody answers there."""
        base = urlsplit(self.url)
        connection = self._connection(base.netloc)
        try:
            connection.putrequest(request.method, base.path + request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in OF_ONE_CONNECTION:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body)
            answer = connection.getresponse()
            headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in OF_ONE_CONNECTION]
            return self.edit(request, Reply(answer.status, headers, answer.read()))
        finally:
            connection.close()

    def _connection(self, address: str) -> http.client.HTTPConnection:
        if self.ca_file is None:
            return http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
        trusting = ssl.create_default_context(cafile=self.ca_file)
        return http.client.HTTPSConnection(address, timeout=TIMEOUT_SECONDS, context=trusting)

    def tunnel(self, request: Request, browser: socket.socket) -> None:
        """Connect a WebSocket to the one behind. The head of the answer is edited, what follows is passed on."""
        base = urlsplit(self.url)
        with socket.create_connection((str(base.hostname), int(base.port or 80)), timeout=TIMEOUT_SECONDS) as behind:
            lines = [f"{request.method} {base.path}{request.path} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in request.headers.items()]
            behind.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            head, rest = _read_head(behind)
            first, *fields = head.decode("latin-1").split("\r\n")
            headers = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
            reply = self.edit(request, Reply(int(first.split()[1]), headers, b""))
            edited = [first, *(f"{name}: {value}" for name, value in reply.headers), "", ""]
            browser.sendall("\r\n".join(edited).encode("latin-1") + rest)
            _pump(browser, behind)


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(CHUNK_BYTES)
        if not received:
            raise ConnectionResetError
        data += received
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes in both directions until one side closes."""
    while True:
        waiting = [end for end in (one, other) if isinstance(end, ssl.SSLSocket) and end.pending()]
        for end in waiting or select.select([one, other], [], [])[0]:
            data = end.recv(CHUNK_BYTES)
            if not data:
                return
            (other if end is one else one).sendall(data)


class Handler(BaseHTTPRequestHandler):
    """Finds the place, and answers with what it says."""

    server: "FrontServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Print nothing: tokens may be in the URL."""

    def do_GET(self) -> None:
        place, path = self.server.find(self.headers.get("Host", ""), self.path)
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, path, self.headers, self.rfile.read(length))
        try:
            if place is None:
                self._send(Reply(404, [], b""))
            elif isinstance(place, Forward) and self.headers.get("Upgrade", "").lower() == "websocket":
                self.close_connection = True
                place.tunnel(request, self.connection)
            else:
                self._send(place(request))
        except OSError:  # nobody is there, or no longer: to the browser that is a broken connection
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 - http.server's names

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.status not in (204, 304):
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)


class FrontServer(LoopbackServer):
    """The places, by host and by the beginning of the path."""

    places: Mapping[str, Mapping[str, Place]]

    def find(self, host: str, path: str) -> tuple[Place | None, str]:
        """The place, and the path below it."""
        for prefix, place in self.places.get(urlsplit(f"//{host}").hostname or "", {}).items():
            if path == prefix or path.startswith((f"{prefix}/", f"{prefix}?")):
                rest = path[len(prefix) :]
                return place, rest if rest.startswith("/") else f"/{rest}"
        return None, path


class Front:
    """A context manager. `places` may be set later: nothing is served before."""

    def __init__(self, names: Iterable[str], port: int = 0) -> None:
        """`names` are the hosts, for the certificate."""
        self._cleanup = contextlib.ExitStack()
        self.ca_file, chain_file = write_certificates(
            self._cleanup.enter_context(guarded_folder("front-")), list(names)
        )
        certificate = x509.load_pem_x509_certificate(chain_file.read_bytes())
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.key_hash = base64.b64encode(hashlib.sha256(key).digest()).decode()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(chain_file)
        try:
            self._server = FrontServer(port, Handler, tls)
        except OSError:
            self._cleanup.close()
            raise
        self._server.places = {}
        self.port = self._server.port

    def origin(self, name: str) -> str:
        """The origin of pages of that host."""
        return f"https://{name}:{self.port}"

    def serve(self, places: Mapping[str, Mapping[str, Place]]) -> None:
        """Host → beginning of the path → place. The first that fits is taken; "" fits every path."""
        self._server.places = places

    def __enter__(self) -> Self:
        self._server.serve()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop_listening()
        self._server.close()
        self._cleanup.close()
