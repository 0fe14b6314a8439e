"""The one HTTPS client: one deadline over everything, no redirects, a size limit, every failure a `FetchFailed`.

A socket's timeout starts anew with every byte and DNS has none at all. So each fetch runs in a thread of its own; the
caller waits for it until the deadline and no longer, and then cuts the connection, which ends the thread.
"""

import base64
import contextlib
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

from authorizer import __version__
from authorizer.clock import Clock
from authorizer.config import Settings

JWKS_PATH = "/.well-known/jwks.json"
MAX_BODY_BYTES = 256 * 1024


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

    def __init__(self, failure: FetchFailure) -> None:
        """Keep what went wrong; it is the text, too."""
        super().__init__(failure.value)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete 200 answer: its body, at most `MAX_BODY_BYTES`, and its Cache-Control header or ""."""

    body: bytes
    cache_control: str


class HttpsClient:
    """GET from below `HANKO_API_URL`. Plain http happens for the loopback hosts that the settings allow, only."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Nothing is opened or read here; the TLS context is made by the first fetch, in its thread."""
        self.clock = clock
        url = urlsplit(settings.api_url)
        self._tls = url.scheme == "https"
        self._netloc, self._host, self._path = url.netloc, url.hostname or "", url.path
        self._port = url.port or (443 if self._tls else 80)
        self._proxy = settings.proxy if self._tls and not _bypasses_proxy(url.netloc, settings.no_proxy) else None
        self._timeout_seconds = settings.fetch_timeout_seconds
        self._context: ssl.SSLContext | None = None

    def start(self, path: str) -> "Fetch":
        """Begin to fetch `path` (with its leading slash) in the background."""
        return Fetch(self, path, self._timeout_seconds)

    def connection(self) -> HTTPConnection:
        """An unopened connection to Hanko, or to the proxy with a tunnel to Hanko."""
        if self._proxy is None:
            return HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        connection = HTTPConnection(self._proxy.host, self._proxy.port, timeout=self._timeout_seconds)
        headers = {}
        if self._proxy.username is not None:
            credentials = f"{self._proxy.username}:{self._proxy.password}".encode()
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

    def request(self, connection: HTTPConnection, path: str) -> Answer:
        """Send the request on the open connection and read the answer. Raises `FetchFailed`, or what http raises."""
        headers = {
            "Host": self._netloc,
            "Accept": "application/json",
            "Cache-Control": "no-cache",  # a set that some cache kept would lack the key that is looked for
            "Accept-Encoding": "identity",  # what is compressed could be of any size
            "User-Agent": f"hanko-authorizer/{__version__}",  # Cloudflare turns Python's own away
            "Connection": "close",
        }
        connection.request("GET", self._path + path, headers=headers)
        with connection.getresponse() as response:  # an answer that is refused would keep its socket open
            return _read(response)


class Fetch:
    """One fetch under way."""

    def __init__(self, client: HttpsClient, path: str, timeout_seconds: float) -> None:
        """Start the thread at once."""
        self.began = client.clock.now()
        self._client, self._path = client, path
        self._deadline = time.monotonic() + timeout_seconds
        self._outcome: Answer | FetchFailed = FetchFailed(FetchFailure.TIMEOUT)
        self._connection = client.connection()
        self._socket: socket.socket | None = None
        self._cut = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether `result` would answer at once."""
        return not self._thread.is_alive()

    def result(self) -> Answer:
        """Wait for the end, but not beyond the deadline.

        Raises `FetchFailed` for whatever went wrong.
        """
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if not self.done:
            self.abandon()
            raise FetchFailed(FetchFailure.TIMEOUT)
        if isinstance(self._outcome, FetchFailed):
            raise self._outcome
        return self._outcome

    def _run(self) -> None:
        try:
            self._outcome = self._get()
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

    def _get(self) -> Answer:
        with contextlib.closing(self._connection) as connection:
            connection.connect()
            with connection.sock.dup() as self._socket:
                if self._cut:
                    raise FetchFailed(FetchFailure.TIMEOUT)
                connection.sock = self._client.secure(connection.sock)
                return self._client.request(connection, self._path)

    def abandon(self) -> None:
        """Wait for it no longer; cutting the connection ends the thread."""
        self._cut = True
        # Until the proxy has opened the tunnel, the connection alone knows its socket; then TLS takes that over.
        for opened in (self._socket, self._connection.sock):
            if opened is not None:
                with contextlib.suppress(OSError):  # it may have been closed this very moment
                    opened.shutdown(socket.SHUT_RDWR)


def _bypasses_proxy(netloc: str, no_proxy: str) -> bool:
    if not no_proxy:
        return False
    import urllib.request  # noqa: PLC0415 - 20 ms that only an owner of NO_PROXY needs to pay

    # `proxy_bypass` asks macOS for its settings instead; this is the same on every system.
    return bool(urllib.request.proxy_bypass_environment(netloc, {"no": no_proxy}))  # type: ignore[attr-defined]  # no typeshed


def _read(response: HTTPResponse) -> Answer:
    if response.status != HTTPStatus.OK:  # so no redirect is followed, and 206 is not a whole
        raise FetchFailed(FetchFailure.STATUS)
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise FetchFailed(FetchFailure.PROTOCOL)
    body = response.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise FetchFailed(FetchFailure.TOO_LARGE)
    if response.length:  # fewer bytes came than Content-Length promised
        raise FetchFailed(FetchFailure.PROTOCOL)
    return Answer(body, response.getheader("Cache-Control") or "")
