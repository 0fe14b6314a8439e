"""A connection to Hanko: TCP, the proxy's tunnel, TLS, one answer after the other; every wait ends at a deadline.

`Connections` in fetch.py decides which connection is kept, and closes the kept one.
"""

import base64
import contextlib
import select
import socket
import ssl
from functools import cached_property
from typing import NamedTuple

from authorizer.config import Settings
from authorizer.hanko.failure import CERTIFICATE_FAILURES, FetchFailed, FetchFailure
from authorizer.hanko.http1 import AnswerReader, TooLarge, request_bytes
from authorizer.hanko.tcp import EarlyConnection, connect, seconds_until
from authorizer.setting_values import Proxy, ServerUrl, split_url

MAX_BODY_BYTES = 256 * 1024
MAX_DIGITS = 10  # of seconds in a header; more than RFC 9111, section 1.2.2, asks a cache to count to
RECEIVE_BYTES = 64 * 1024  # more than a TLS record: nothing stays behind, decrypted, where `poll` sees nothing

_OK = 200
_OVERLOADED = frozenset((502, 503, 504))


class HttpResponse(NamedTuple):
    """A complete answer: its body, at most `MAX_BODY_BYTES`, and its Cache-Control header or "".

    `age_seconds` is how long a shared cache has kept it (RFC 9111, section 5.1); 0 for an answer of Hanko's own.
    """

    body: bytes
    cache_control: str
    age_seconds: int = 0
    status: int = _OK

    def __repr__(self) -> str:
        return "HttpResponse(...)"


class Tls:
    """How servers are verified. The context is made by the first fetch, in its thread: that reads all certificates."""

    @cached_property
    def context(self) -> ssl.SSLContext:
        """Certificate and host verified, TLS 1.2 or later.

        Python 3.13, the runtime's, is as strict by default. A laptop with an older one shall fail where AWS would.
        """
        context = ssl.create_default_context()  # honours SSL_CERT_FILE
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


class Server:
    """Where a server is, how TLS verifies it, and the proxy on the way, if there is one."""

    def __init__(self, url: ServerUrl, tls: Tls, proxy: Proxy | None = None, *, any_status: bool = False) -> None:
        """Nothing is opened or read here. With `any_status`, answers of every status count."""
        self._is_https, self.tls, self.any_status = url.scheme == "https", tls, any_status
        self.netloc, self.path, self.host, self._port = url.netloc, url.path, url.host, url.port
        self.proxy = proxy if self._is_https else None

    @property
    def address(self) -> tuple[str, int]:
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self._port)

    def tls_context(self) -> ssl.SSLContext | None:
        """None for http."""
        return self.tls.context if self._is_https else None

    def tunnel_request(self) -> bytes:
        target = f"[{self.host}]:{self._port}" if ":" in self.host else f"{self.host}:{self._port}"
        headers = {"Host": target}
        if self.proxy and self.proxy.credentials:
            credentials = self.proxy.credentials.reveal().encode()
            headers["Proxy-Authorization"] = "Basic " + base64.b64encode(credentials).decode()
        return request_bytes("CONNECT", target, headers)


def hanko_server(settings: Settings) -> Server:
    """Hanko, through the proxy of the settings unless NO_PROXY names it."""
    url = split_url(settings.api_url)
    bypasses = settings.proxy is None or _bypasses_proxy(url.netloc, settings.no_proxy)
    return Server(url, Tls(), None if bypasses else settings.proxy)


class Connection:
    """A connection to Hanko, perhaps through a proxy's tunnel. Another thread can cancel it at any moment."""

    def __init__(self, server: Server, early: EarlyConnection | None = None) -> None:
        self._server, self._early = server, early
        self._sockets: list[socket.socket] = []  # the last one is in use; TLS takes the place of the plain one
        self.is_cancelled = False
        self.keep_alive = self._has_answered = False  # `keep_alive`: whether it may serve once more

    def open(self, deadline: float) -> None:
        """Name, TCP, the proxy's tunnel, TLS."""
        server = self._server
        context = server.tls_context()  # before the wait for the early connection
        plain = self._early.wait(deadline) if self._early else connect(*server.address, deadline)
        self._use(plain)
        if server.proxy is not None:
            self._open_tunnel(deadline)
        if context is not None:
            secure = context.wrap_socket(
                plain,
                server_hostname=server.host.encode("ascii"),  # as in tcp.connect
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # only TLS says whether an answer without a length is whole
            )
            self._use(secure)
            secure.settimeout(seconds_until(deadline))
            secure.do_handshake()

    def send(self, request: bytes, deadline: float) -> None:
        while request:
            self._sockets[-1].settimeout(seconds_until(deadline))
            request = request[self._sockets[-1].send(request) :]

    def receive(self, deadline: float) -> HttpResponse:
        """The answer. On a kept connection, one with something behind it may be that to another request.

        Raises `FetchFailed`, `TooLarge`, `OSError` or `ValueError`.
        """
        reader = self._reader(deadline)
        head = reader.head()
        if head.status != _OK and not self._server.any_status:  # no redirect is followed, and a 206 is only a part
            is_transient = head.status in _OVERLOADED
            retry_after_seconds = _seconds(head.headers.get("retry-after", ""))
            raise FetchFailed(FetchFailure.STATUS, head.status, retry_after_seconds, is_transient=is_transient)
        if head.headers.get("content-encoding", "identity").lower() != "identity":
            raise FetchFailed(FetchFailure.PROTOCOL)
        body = reader.body(head, MAX_BODY_BYTES)
        is_last = reader.is_empty and (not head.keep_alive or self.is_reusable)
        if self._has_answered and not is_last:
            raise ConnectionResetError
        self._has_answered, self.keep_alive = True, head.keep_alive and is_last
        headers = head.headers
        return HttpResponse(body, headers.get("cache-control", ""), _seconds(headers.get("age", "")), head.status)

    def cancel(self) -> None:
        """End what another thread is doing with it."""
        self.is_cancelled = True
        for opened in self._sockets:
            with contextlib.suppress(OSError):  # it may have been closed this very moment
                socket.socket.shutdown(opened, socket.SHUT_RDWR)  # that of SSLSocket would free what the thread uses

    def close(self) -> None:
        for opened in self._sockets:
            opened.close()

    @property
    def is_reusable(self) -> bool:
        """Whether there is nothing to read: neither its end nor an answer to no request."""
        opened = self._sockets[-1]
        poll = select.poll()
        poll.register(opened, select.POLLIN)
        return not poll.poll(0)

    def _use(self, opened: socket.socket) -> None:
        self._sockets.append(opened)
        if self.is_cancelled:  # too early to know of this socket
            raise TimeoutError

    def _open_tunnel(self, deadline: float) -> None:
        self.send(self._server.tunnel_request(), deadline)
        reader = self._reader(deadline)
        head = reader.head()
        if head.status != _OK or not reader.is_empty:
            raise FetchFailed(FetchFailure.CONNECTION, is_transient=head.status in _OVERLOADED)

    def _reader(self, deadline: float) -> AnswerReader:
        opened = self._sockets[-1]

        def receive() -> bytes:
            opened.settimeout(seconds_until(deadline))
            return opened.recv(RECEIVE_BYTES)

        return AnswerReader(receive)


def failed_because(error: Exception) -> FetchFailed:
    failure, is_transient = FetchFailure.PROTOCOL, False
    match error:
        case FetchFailed():
            return error
        case TooLarge():
            failure = FetchFailure.TOO_LARGE
        case TimeoutError():
            failure = FetchFailure.TIMEOUT
        case ssl.SSLCertVerificationError():
            failure = CERTIFICATE_FAILURES.get(error.verify_code, FetchFailure.TLS)
        case ssl.SSLError() if not isinstance(error, ssl.SSLEOFError):
            failure = FetchFailure.TLS
        case OSError():
            failure = FetchFailure.CONNECTION
            is_transient = not isinstance(error, socket.gaierror) or error.errno == socket.EAI_AGAIN
    return FetchFailed(failure, is_transient=is_transient)


def _seconds(header: str) -> int:
    """The first member of an Age or Retry-After header; 0 if it is no number of seconds (RFC 9111, section 5.1)."""
    first = header.partition(",")[0].strip(" \t")
    return int(first[:MAX_DIGITS]) if first.isdecimal() else 0  # of latin-1: 0 to 9 alone


def _bypasses_proxy(netloc: str, no_proxy: str) -> bool:
    if not no_proxy:
        return False
    import urllib.request  # noqa: PLC0415 - 20 ms, needed only with NO_PROXY

    # `proxy_bypass` asks macOS for its settings instead; this is the same on every system.
    return bool(urllib.request.proxy_bypass_environment(netloc, {"no": no_proxy}))  # type: ignore[attr-defined]  # no typeshed
