"""The one HTTPS client: one deadline over everything, no redirects, a size limit, every failure a `FetchFailed`.

A socket's timeout starts anew with every byte and DNS has none at all. So each fetch runs in a thread of its own; the
caller waits for it until the deadline and no longer, and then cuts the connection, which ends the thread.

Where sessions are checked, the connection is kept for the next fetch. A sandbox is frozen between invocations, so a
kept connection is often dead: it is not used when it has been idle for long or has something to read (its end, or an
answer that nobody asked for), and where it turns out dead all the same, the question is sent once more on a new one.
"""

import base64
import contextlib
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import NamedTuple
from urllib.parse import urlsplit

from authorizer import __version__
from authorizer.clock import Clock, Instant
from authorizer.config import SessionMode, Settings
from authorizer.hanko.connection import EarlyConnection

JWKS_PATH = "/.well-known/jwks.json"
MAX_BODY_BYTES = 256 * 1024
MAX_AGE_DIGITS = 10  # above what RFC 9111 section 1.2.2 asks a cache to count to
MAX_IDLE_SECONDS = 30  # half of what the usual load balancer waits: ELB 60 s, nginx 75 s

_AGE = re.compile(r"[ \t]*([0-9]+)[ \t]*(?:,|$)", re.ASCII)


class FetchFailure(StrEnum):
    """What went wrong, for the operator: a closed set, nothing from outside."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TLS = "tls"
    STATUS = "status"
    TOO_LARGE = "too_large"
    PROTOCOL = "protocol"
    CONTENT = "content"


class FetchFailed(Exception):
    """A fetch that brought nothing usable."""

    def __init__(self, failure: FetchFailure, status: int = 0) -> None:
        """Keep what went wrong; it is the text, too. `status` is that of an answer that was refused for it."""
        super().__init__(failure.value)
        self.failure, self.status = failure, status


class HttpRequest:
    """What is asked. Headers and body may hold a token, so it is nothing that prints itself."""

    __slots__ = ("body", "headers", "method", "path")

    def __init__(self, path: str, method: str, headers: Mapping[str, str], body: bytes | None) -> None:
        """`path` with its leading slash."""
        self.path, self.method, self.headers, self.body = path, method, headers, body


class HttpResponse(NamedTuple):
    """A complete 200 answer: its body, at most `MAX_BODY_BYTES`, and its Cache-Control header or "".

    `age_seconds` is how long a shared cache has kept it (RFC 9111 section 5.1); 0 for an answer of Hanko's own.
    """

    body: bytes
    cache_control: str
    age_seconds: int = 0

    def __repr__(self) -> str:
        """Without the body: it may be personal."""
        return "HttpResponse(...)"


class Connection(HTTPConnection):
    """A connection to Hanko, or to the proxy with a tunnel to Hanko, that opens itself when it is first used.

    Another thread can cut it at any moment.
    """

    def __init__(
        self, client: "HttpsClient", host: str, port: int, timeout_seconds: float, dial: EarlyConnection | None = None
    ) -> None:
        """Nothing is opened here; `dial` has done so already."""
        super().__init__(host, port, timeout=timeout_seconds)
        # http.client keeps it there to be replaced.
        self._create_connection: Callable[..., socket.socket] = dial.answer if dial else socket.create_connection
        self._client = client
        self._plain: socket.socket | None = None
        self.is_cancelled = False

    def connect(self) -> None:
        """Open it: name, TCP, the proxy's tunnel, TLS. Raises what these raise."""
        super().connect()
        self._create_connection = socket.create_connection  # a dial is for once
        self._plain = self.sock.dup()
        if self.is_cancelled:
            raise TimeoutError
        self.sock = self._client.secure(self.sock)

    def cancel(self) -> None:
        """End what another thread is doing with it."""
        self.is_cancelled = True
        # Until the proxy has opened the tunnel, the connection alone knows its socket; then TLS takes that over.
        for opened in (self._plain, self.sock):
            if opened is not None:
                with contextlib.suppress(OSError):  # it may have been closed this very moment
                    opened.shutdown(socket.SHUT_RDWR)

    def close_sockets(self) -> None:
        """Close the connection and the second handle that `cancel` needs; `close` alone is for http.client."""
        self.close()
        if self._plain is not None:
            self._plain.close()

    @property
    def is_reusable(self) -> bool:
        """Whether there is nothing to read: neither its end nor an answer that nobody asked for."""
        buffered = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()
        return not buffered and not select.select([self.sock], [], [], 0)[0]


class HttpsClient:
    """Asks below `HANKO_API_URL`. Plain http happens for the loopback hosts that the settings allow, only."""

    def __init__(self, settings: Settings, clock: Clock, dial: EarlyConnection | None = None) -> None:
        """Nothing is opened or read here; the TLS context is made by the first fetch, in its thread.

        A `dial` to Hanko is for that fetch, too; behind a proxy there must be none.
        """
        self.clock = clock
        url = urlsplit(settings.api_url)
        self._tls = url.scheme == "https"
        self._netloc, self._host, self._path = url.netloc, url.hostname or "", url.path
        self._port = url.port or (443 if self._tls else 80)
        self._proxy = settings.proxy if self._tls and not _bypasses_proxy(url.netloc, settings.no_proxy) else None
        self._timeout_seconds = settings.fetch_timeout_seconds
        self._context: ssl.SSLContext | None = None
        self._keeps = settings.session_check is not SessionMode.OFF
        self._kept: tuple[Connection, Instant] | None = None
        self._dial = dial

    def start(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> "Fetch":
        """Begin to ask for `path` (with its leading slash) in the background."""
        return Fetch(self, HttpRequest(path, method, headers or {}, body), self._timeout_seconds)

    def connection(self) -> Connection:
        """The kept connection, if it can still be alive, else a new one, unopened."""
        if self._kept is not None:
            (kept, used_at), self._kept = self._kept, None
            if self.clock.seconds_since(used_at) < MAX_IDLE_SECONDS and kept.is_reusable:
                return kept
            kept.close_sockets()
        if self._proxy is None:
            dial, self._dial = self._dial, None
            return Connection(self, self._host, self._port, self._timeout_seconds, dial)
        connection = Connection(self, self._proxy.host, self._proxy.port, self._timeout_seconds)
        headers = {}
        if self._proxy.credentials is not None:
            credentials = self._proxy.credentials.reveal().encode()
            headers["Proxy-Authorization"] = "Basic " + base64.b64encode(credentials).decode()
        connection.set_tunnel(self._host, self._port, headers)
        return connection

    def secure(self, plain: socket.socket) -> socket.socket:
        """The socket with TLS on it: certificate and host verified, 1.2 or later; unchanged for loopback http."""
        if not self._tls:
            return plain
        if self._context is None:
            self._context = ssl.create_default_context()  # honours SSL_CERT_FILE
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._context.wrap_socket(plain, server_hostname=self._host)

    def may_keep(self, connection: Connection) -> bool:
        """Whether the connection, its last answer read to the end, may be kept: if it is open and that is wanted."""
        return self._keeps and connection.sock is not None and not connection.is_cancelled

    def keep(self, connection: Connection, used_at: Instant) -> None:
        """Keep this connection, and no other."""
        if self._kept is not None and self._kept[0] is not connection:
            self.close()
        self._kept = connection, used_at

    def close(self) -> None:
        """Close the kept connection."""
        if self._kept is not None:
            (kept, _), self._kept = self._kept, None
            kept.close_sockets()

    def ask(self, connection: Connection, question: HttpRequest) -> HttpResponse:
        """Send the question and read the answer. Raises `FetchFailed`, or what http raises."""
        was_kept = connection.sock is not None
        try:
            response = self._send(connection, question)
        except (ConnectionError, ssl.SSLEOFError):  # the one that http.client raises for "no answer" is among them
            if not was_kept or connection.is_cancelled:
                raise
            # Asking twice is as good as once: GET changes nothing, and POST /sessions/validate sets a time to now.
            connection.close_sockets()
            response = self._send(connection, question)
        with response:  # an answer that is refused would keep its socket open
            return _read(response)

    def _send(self, connection: Connection, question: HttpRequest) -> HTTPResponse:
        headers = {
            "Host": self._netloc,
            "Accept": "application/json",
            "Cache-Control": "no-cache",  # a set that some cache kept would lack the key that is looked for
            "Accept-Encoding": "identity",  # what is compressed could be of any size
            "User-Agent": f"hanko-authorizer/{__version__}",  # Cloudflare turns Python's own away
            "Connection": "keep-alive" if self._keeps else "close",
            **question.headers,
        }
        connection.request(question.method, self._path + question.path, question.body, headers)
        return connection.getresponse()


class Fetch:
    """One fetch under way; `on_kept` is whether it began on a connection that others had used before."""

    def __init__(self, client: HttpsClient, question: HttpRequest, timeout_seconds: float) -> None:
        """Start the thread at once."""
        self.began = client.clock.now()
        self._client, self._question = client, question
        self._deadline = time.monotonic() + timeout_seconds
        self._outcome: HttpResponse | FetchFailed = FetchFailed(FetchFailure.TIMEOUT)
        self._connection = client.connection()
        self.on_kept = self._connection.sock is not None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether `result` would answer at once."""
        return not self._thread.is_alive()

    def result(self) -> HttpResponse:
        """Wait for the end, but not beyond the deadline.

        Raises `FetchFailed` for whatever went wrong.
        """
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if not self.done:
            self.cancel()
            raise FetchFailed(FetchFailure.TIMEOUT)
        if isinstance(self._outcome, FetchFailed):
            raise self._outcome
        if self._client.may_keep(self._connection):
            self._client.keep(self._connection, self.began)
        return self._outcome

    def again(self) -> "Fetch":
        """Ask the same once more, on a new connection, until the same deadline."""
        self._client.close()
        return Fetch(self._client, self._question, self._deadline - time.monotonic())

    def _run(self) -> None:
        try:
            self._outcome = self._client.ask(self._connection, self._question)
        except FetchFailed as failed:
            self._outcome = failed
        except TimeoutError:
            self._outcome = FetchFailed(FetchFailure.TIMEOUT)
        except ssl.SSLError:
            self._outcome = FetchFailed(FetchFailure.TLS)
        except OSError:
            self._outcome = FetchFailed(FetchFailure.CONNECTION)
        except (HTTPException, ValueError):
            self._outcome = FetchFailed(FetchFailure.PROTOCOL)
        if isinstance(self._outcome, FetchFailed) or not self._client.may_keep(self._connection):
            self._connection.close_sockets()

    def cancel(self) -> None:
        """Wait for it no longer; cutting the connection ends the thread."""
        self._connection.cancel()


def _bypasses_proxy(netloc: str, no_proxy: str) -> bool:
    if not no_proxy:
        return False
    import urllib.request  # noqa: PLC0415 - 20 ms that only an owner of NO_PROXY needs to pay

    # `proxy_bypass` asks macOS for its settings instead; this is the same on every system.
    return bool(urllib.request.proxy_bypass_environment(netloc, {"no": no_proxy}))  # type: ignore[attr-defined]  # no typeshed


def _read(response: HTTPResponse) -> HttpResponse:
    if response.status != HTTPStatus.OK:  # so no redirect is followed, and 206 is not a whole
        raise FetchFailed(FetchFailure.STATUS, response.status)
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise FetchFailed(FetchFailure.PROTOCOL)
    body = response.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise FetchFailed(FetchFailure.TOO_LARGE)
    if response.length:  # fewer bytes came than Content-Length promised
        raise FetchFailed(FetchFailure.PROTOCOL)
    return HttpResponse(body, response.getheader("Cache-Control") or "", _age_seconds(response.getheader("Age") or ""))


def _age_seconds(header: str) -> int:
    """The first member of an Age header; 0 for one that is no number, which RFC 9111 tells to ignore."""
    found = _AGE.match(header)
    return int(found[1][:MAX_AGE_DIGITS]) if found else 0
