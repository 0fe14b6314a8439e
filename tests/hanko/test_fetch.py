"""The one HTTPS client against servers that misbehave in every way: real sockets, real TLS, a real proxy."""

import gc
import json
import select
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from servers import (
    HANG_GUARD_SECONDS,
    Act,
    Handle,
    Script,
    answering,
    becomes,
    client_of,
    ends,
    failure,
    failure_of,
    fetched,
    over_tls,
    part_of_a_body,
    part_of_a_head,
    read_head,
    resetting,
    saying,
    serving,
    trust,
    until_hung_up,
    whole,
)

from authorizer import __version__
from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.hanko.client import ATTEMPTS, JWKS_PATH, RECEIVER_ATTEMPTS, HttpsClient
from authorizer.hanko.connection import MAX_BODY_BYTES, RECEIVE_BYTES, HttpResponse, Server, Tls, hanko_server
from authorizer.hanko.failure import FetchFailed, FetchFailure
from authorizer.hanko.fetch import PAUSES_SECONDS, Connections
from authorizer.hanko.tcp import EarlyConnection
from authorizer.setting_values import Proxy, split_url
from local.hanko import StandInHanko
from local.hanko.certificates import write_certificates

SHORT = {"HANKO_FETCH_TIMEOUT_SECONDS": "0.5"}
TENANT = "0f6c9a0e-3c57-4b0e-8a55-6d2f1f0a7c11"


# --- what is asked, and what comes back


def test_the_answer_is_the_body_and_its_cache_control(hanko: StandInHanko) -> None:
    hanko.behave("body", data=b'{"keys": []}', headers={"Cache-Control": "max-age=77, private"})
    assert fetched(hanko.url) == HttpResponse(b'{"keys": []}', "max-age=77, private")


@pytest.mark.parametrize(
    ("age", "age_seconds"),
    [
        (None, 0),
        ("0", 0),
        ("100", 100),
        (" 100\t", 100),
        ("100, 7", 100),
        ("9" * 5000, 9_999_999_999),
        *[(invalid, 0) for invalid in ("", "-1", "1.5", "soon", "x, 100", "100x", "X100", "\xd9\xa3", "\xb2")],
    ],
)
def test_an_answer_from_a_shared_cache_tells_its_age(hanko: StandInHanko, age: str | None, age_seconds: int) -> None:
    """RFC 9111 section 5.1: the first member counts, an invalid one is ignored."""
    hanko.behave("normal", headers={"Age": age})
    assert fetched(hanko.url).age_seconds == age_seconds


def test_several_cache_control_headers_are_one_and_none_is_empty() -> None:
    head = b"HTTP/1.1 200 OK\r\nCache-Control: private\r\nCache-Control: max-age=9\r\nContent-Length: 2\r\n\r\n{}"
    with serving(answering(head)) as address:
        assert fetched(f"http://{address}").cache_control == "private, max-age=9"
    with serving(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as address:
        assert fetched(f"http://{address}").cache_control == ""


@pytest.mark.parametrize(("check", "connection_option"), [("off", "close"), ("strict", "keep-alive")])
def test_the_request_holds_no_more_than_it_needs(check: str, connection_option: str) -> None:
    heads = []

    def handle(connection: socket.socket) -> None:
        heads.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b; Path=/\r\n\r\n{}")

    with serving(handle) as address:
        client = client_of(f"http://{address}/{TENANT}", HANKO_SESSION_CHECK=check)
        client.start(JWKS_PATH).result()
        client.start(JWKS_PATH).result()
        client.close()
    assert heads == 2 * [
        (
            f"GET /{TENANT}/.well-known/jwks.json HTTP/1.1\r\n"
            f"Host: {address}\r\n"
            "Accept: application/json\r\n"
            "Cache-Control: no-cache\r\n"
            "Accept-Encoding: identity\r\n"
            f"User-Agent: hanko-authorizer/{__version__}\r\n"
            f"Connection: {connection_option}\r\n"
            "\r\n"
        )
    ]


def test_a_hanko_with_tenants_is_asked_below_its_path() -> None:
    with StandInHanko(tenant=TENANT) as hanko:
        assert fetched(hanko.url).body
        assert failure_of(hanko.origin) is FetchFailure.STATUS


def test_starting_does_not_wait(hanko: StandInHanko) -> None:
    hanko.behave("slow", delay_seconds=60)
    fetch = client_of(hanko.url).start(JWKS_PATH)
    assert not fetch.done
    assert {one.daemon for one in threading.enumerate() if "(_run)" in one.name} == {True}  # nor would the exit
    hanko.close()
    assert failure(fetch) is FetchFailure.CONNECTION  # hung up upon
    assert fetch.done


def test_making_a_client_opens_nothing(hanko: StandInHanko) -> None:
    client_of(hanko.url)
    assert hanko.jwks_requests == 0


def test_a_finished_fetch_keeps_its_answer(hanko: StandInHanko) -> None:
    fetch = client_of(hanko.url).start(JWKS_PATH)
    assert ends(fetch)
    hanko.behave("down")
    assert fetch.result() == fetch.result()
    assert hanko.jwks_requests == 1


def test_slow_is_fine_within_the_deadline(hanko: StandInHanko) -> None:
    hanko.behave("drip", pause_seconds=0)
    assert fetched(hanko.url).body
    hanko.behave("slow", delay_seconds=0.2)
    assert fetched(hanko.url).body


# --- wrong answers


@pytest.mark.parametrize("code", [201, 202, 203, 204, 206, 299, 304, 400, 401, 403, 404, 407, 429, 500, 502, 503, 599])
def test_any_status_but_200_is_a_failure_even_with_good_keys(hanko: StandInHanko, code: int) -> None:
    hanko.behave("status", code=code)
    assert failure_of(hanko.url) is FetchFailure.STATUS


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(hanko: StandInHanko, code: int) -> None:
    with StandInHanko() as other:
        hanko.behave("redirect", location=f"{other.url}{JWKS_PATH}", code=code)
        assert failure_of(hanko.url) is FetchFailure.STATUS
        assert (hanko.jwks_requests, other.jwks_requests) == (1, 0)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "https://169.254.169.254/", "//x", "/", ""])
def test_no_redirect_is_followed_anywhere(hanko: StandInHanko, location: str) -> None:
    hanko.behave("redirect", location=location)
    assert failure_of(hanko.url) is FetchFailure.STATUS
    assert hanko.jwks_requests == 1


@pytest.mark.parametrize("announce", [True, False])
def test_a_body_may_have_256_kib_and_no_more(hanko: StandInHanko, *, announce: bool) -> None:
    assert MAX_BODY_BYTES == 262_144
    hanko.behave("oversize", size_bytes=262_144, announce=announce)
    assert len(fetched(hanko.url).body) == 262_144
    hanko.behave("oversize", size_bytes=262_145, announce=announce)
    assert failure_of(hanko.url) is FetchFailure.TOO_LARGE
    hanko.behave("oversize", size_bytes=50_000_000, announce=announce)
    assert failure_of(hanko.url) is FetchFailure.TOO_LARGE


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
def test_a_compressed_answer_is_refused(hanko: StandInHanko, encoding: str) -> None:
    hanko.behave("body", data=b"{}", headers={"Content-Encoding": encoding})
    assert failure_of(hanko.url) is FetchFailure.PROTOCOL


def test_identity_is_no_compression(hanko: StandInHanko) -> None:
    hanko.behave("body", data=b"{}", headers={"Content-Encoding": "identity"})
    assert fetched(hanko.url).body == b"{}"


@pytest.mark.parametrize("missing_bytes", [1, 1000])
def test_a_body_shorter_than_promised_is_refused(hanko: StandInHanko, missing_bytes: int) -> None:
    hanko.behave("truncated", missing_bytes=missing_bytes)
    assert failure_of(hanko.url) is FetchFailure.PROTOCOL


def test_chunks_are_put_together() -> None:
    with serving(
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
    ) as at:
        assert fetched(f"http://{at}").body == b"{}"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", FetchFailure.CONNECTION),
        (b"\x16\x03\x01 this is no HTTP\r\n\r\n", FetchFailure.PROTOCOL),
        (b"HTTP/1.1 abc OK\r\n\r\n{}", FetchFailure.PROTOCOL),
        (b"HTTP/1.1 99999 OK\r\n\r\n{}", FetchFailure.PROTOCOL),
        (b"HTTP/2 200\r\n\r\n{}", FetchFailure.PROTOCOL),
        (b"{}", FetchFailure.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n{}", FetchFailure.PROTOCOL),
        (b"HTTP/1.1 200 " + b"y" * 70_000 + b"\r\n\r\n{}", FetchFailure.PROTOCOL),
        (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", FetchFailure.PROTOCOL),
        (CHUNKED + b"2\r\n{}\r\n", FetchFailure.PROTOCOL),
        (CHUNKED + b"ff\r\n{}", FetchFailure.PROTOCOL),
        (CHUNKED + b"ffffff\r\n" + b" " * 300_000, FetchFailure.TOO_LARGE),
        (CHUNKED + b"1" * 70_000, FetchFailure.PROTOCOL),
    ],
)
def test_what_is_no_http_is_one_failure_of_ours(data: bytes, why: FetchFailure) -> None:
    with serving(answering(data)) as address:
        assert failure_of(f"http://{address}") is why


def test_a_connection_reset_is_a_failure_of_the_connection(hanko: StandInHanko) -> None:
    hanko.behave("reset")
    assert failure_of(hanko.url) is FetchFailure.CONNECTION


def test_a_refused_connection_is_a_failure_of_the_connection(hanko: StandInHanko) -> None:
    hanko.behave("down")
    assert failure_of(hanko.url) is FetchFailure.CONNECTION


def test_a_name_that_nobody_knows_is_a_failure_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert failure_of("https://tenant.example.com") is FetchFailure.CONNECTION


def test_a_name_that_is_none_is_one_that_nobody_knows() -> None:
    assert failure_of("https://a..example.com") is FetchFailure.CONNECTION


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b" " * 300_000,
    ],
)
def test_a_failed_fetch_hangs_up_at_once(head: bytes) -> None:
    """Not when the garbage collector comes by: until then the server would go on sending."""
    hung_up = threading.Event()

    def handle(connection: socket.socket) -> None:
        try:
            answering(head)(connection)
            connection.settimeout(HANG_GUARD_SECONDS)
            connection.recv(1)
        except ConnectionError:
            pass
        except TimeoutError:
            return
        hung_up.set()

    with serving(handle) as address:
        fetch = client_of(f"http://{address}").start(JWKS_PATH)
        gc.disable()
        try:
            failure(fetch)
            assert hung_up.wait(HANG_GUARD_SECONDS / 3)
        finally:
            gc.enable()


# --- one deadline over everything


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("slow", {"delay_seconds": 60}),
        ("drip", {}),
        ("header_drip", {}),
        ("continue_forever", {}),
    ],
)
def test_the_deadline_holds_against_bytes_that_keep_coming(
    hanko: StandInHanko, mode: str, options: dict[str, Any]
) -> None:
    hanko.behave(mode, **options)
    began = time.monotonic()
    assert failure_of(hanko.url, **SHORT) is FetchFailure.TIMEOUT
    assert time.monotonic() - began < HANG_GUARD_SECONDS


def test_the_deadline_holds_against_a_body_in_endless_chunks() -> None:
    def handle(connection: socket.socket) -> None:
        connection.sendall(CHUNKED)
        while True:
            connection.sendall(b"1\r\n \r\n")
            threading.Event().wait(0.01)

    with serving(handle) as address:
        assert failure_of(f"http://{address}", **SHORT) is FetchFailure.TIMEOUT


def test_the_deadline_holds_while_connecting() -> None:
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())  # the queue is full: the next one waits for ever
        assert failure_of(f"http://127.0.0.1:{listener.getsockname()[1]}", **SHORT) is FetchFailure.TIMEOUT


def test_the_deadline_holds_while_the_name_is_looked_up(hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS has no timeout in Python; when it answers at last, the abandoned fetch asks Hanko nothing."""
    answered, look_up = threading.Event(), socket.getaddrinfo

    def slow(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - handed through as they come
        answered.wait(HANG_GUARD_SECONDS)
        return look_up(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    began = time.monotonic()
    fetch = client_of(f"http://localhost:{hanko.port}", **SHORT).start(JWKS_PATH)
    assert failure(fetch) is FetchFailure.TIMEOUT
    assert 0.4 < time.monotonic() - began < 1
    assert not fetch.done
    answered.set()
    assert ends(fetch)
    assert hanko.jwks_requests == 0


def test_the_deadline_holds_while_the_name_is_looked_up_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kept connection turned out dead. That failure is not the last word."""
    answered, script = threading.Event(), Script(saying(whole("1")))
    with serving(script) as address, keeping(f"http://{address}", **SHORT) as client:
        client.start(JWKS_PATH).result()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(HANG_GUARD_SECONDS) and [])
        fetch = client.start(*VALIDATE)
        assert failure(fetch) is FetchFailure.TIMEOUT
        answered.set()
        assert ends(fetch)
    assert script.connections == 1


def test_the_deadline_holds_against_a_server_that_takes_no_request() -> None:
    given_up = threading.Event()

    def handle(_: socket.socket) -> None:
        given_up.wait(HANG_GUARD_SECONDS)

    with serving(handle) as address:
        fetch = client_of(f"http://{address}", **SHORT).start("/", "POST", {}, b" " * 20_000_000)
        assert failure(fetch) is FetchFailure.TIMEOUT
        given_up.set()
        assert ends(fetch)


@pytest.mark.parametrize("drips", [True, False])
def test_the_deadline_holds_during_the_tls_handshake(*, drips: bool) -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"\x16\x03\x03\x40\x00")  # a handshake record of 16 KiB begins
        while drips:
            connection.sendall(b"\0")
            threading.Event().wait(0.05)
        connection.recv(1)

    with serving(handle) as address:
        assert failure_of(f"https://{address}", **SHORT) in (FetchFailure.TIMEOUT, FetchFailure.TLS)


def test_a_question_does_not_show_its_token(hanko: StandInHanko) -> None:
    question = client_of(hanko.url).start("/sessions/validate", "POST", {"Authorization": "SECRET"}, b"SECRET")
    assert "SECRET" not in json.dumps([question, f"{question!r}"], default=str)
    assert repr(HttpResponse(b"SECRET", "")) == "HttpResponse(...)"


def test_a_deadline_that_passed_before_the_answer_was_asked_for_is_no_failure(hanko: StandInHanko) -> None:
    began = time.monotonic()
    fetch = client_of(hanko.url, **SHORT).start(JWKS_PATH)
    assert ends(fetch)
    assert becomes(lambda: time.monotonic() - began > 0.5)
    assert fetch.result().body


# --- TLS


@pytest.fixture
def secure_hanko() -> Iterator[StandInHanko]:
    with StandInHanko(tls=True) as hanko:
        yield hanko


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_private_ca_is_trusted_through_ssl_cert_file(
    secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    trust(monkeypatch, secure_hanko.ca_file)
    assert fetched(f"https://{host}:{secure_hanko.port}").body


def test_the_trust_of_the_first_fetch_is_that_of_all(
    secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Reading the CAs costs tens of milliseconds, so it happens once."""
    trust(monkeypatch, secure_hanko.ca_file)
    client = client_of(secure_hanko.url)
    assert client.start(JWKS_PATH).result().body
    trust(monkeypatch, write_certificates(tmp_path, ["127.0.0.1"])[0])
    assert client.start(JWKS_PATH).result().body


def test_a_ca_that_nobody_named_is_not_trusted(
    secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert failure_of(secure_hanko.url) is FetchFailure.TLS_UNTRUSTED
    other_ca, _ = write_certificates(tmp_path, ["127.0.0.1"])
    trust(monkeypatch, other_ca)
    assert failure_of(secure_hanko.url) is FetchFailure.TLS_UNTRUSTED
    assert secure_hanko.jwks_requests == 0


def test_a_certificate_for_another_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with StandInHanko(tls=True, certificate_names=["localhost", "192.0.2.1"]) as hanko:
        trust(monkeypatch, hanko.ca_file)
        assert fetched(f"https://localhost:{hanko.port}").body
        assert failure_of(f"https://127.0.0.1:{hanko.port}") is FetchFailure.TLS_HOSTNAME
        assert hanko.jwks_requests == 1


def test_only_tls_says_that_an_answer_without_a_length_is_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody on the way can end the TCP connection early, but cannot forge the end of TLS (RFC 8446, section 6.1)."""
    ca_file, chain_file = write_certificates(tmp_path, ["127.0.0.1"])
    trust(monkeypatch, ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain_file)

    def answer(connection: socket.socket, *, is_cut: bool) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")
        if not is_cut:
            assert isinstance(connection, ssl.SSLSocket)
            connection.unwrap()

    with serving(over_tls(context, partial(answer, is_cut=False))) as address:
        assert fetched(f"https://{address}").body == b"{}"
    with serving(over_tls(context, partial(answer, is_cut=True))) as address:
        assert failure_of(f"https://{address}") is FetchFailure.CONNECTION


def test_tls_below_1_2_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ca_file, chain_file = write_certificates(tmp_path, ["127.0.0.1"])
    trust(monkeypatch, ca_file)
    for version, accepted in [(ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)]:
        server = old_context(ssl.PROTOCOL_TLS_SERVER, version)
        server.load_cert_chain(chain_file)
        with serving(over_tls(server, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))) as address:
            assert shakes_hands(address, old_context(ssl.PROTOCOL_TLS_CLIENT, version))  # with who wants that version
            if accepted:
                assert fetched(f"https://{address}").body == b"{}"
            else:
                assert failure_of(f"https://{address}") is FetchFailure.TLS


def old_context(protocol: int, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        context.minimum_version = context.maximum_version = version
    if protocol == ssl.PROTOCOL_TLS_CLIENT:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def shakes_hands(address: str, context: ssl.SSLContext) -> bool:
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain) as secure:
        return secure.version() is not None


def test_a_server_without_tls_gets_no_request(hanko: StandInHanko) -> None:
    assert failure_of(f"https://127.0.0.1:{hanko.port}") is FetchFailure.TLS
    assert hanko.jwks_requests == 0


# --- the proxy


@dataclass
class ConnectProxy:
    """A proxy that tunnels wherever it is asked to, and remembers what it was asked."""

    heads: list[str] = field(default_factory=list)
    says_more: bytes = b""
    refusals: list[str] = field(default_factory=list)
    status: str = "200 Connection established"

    def __call__(self, client: socket.socket) -> None:
        self.heads.append(read_head(client))
        if self.refusals:
            client.sendall(f"HTTP/1.1 {self.refusals.pop()}\r\n\r\n".encode())
            return
        host, _, port = self.heads[-1].split()[1].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=HANG_GUARD_SECONDS) as upstream:
            client.sendall(f"HTTP/1.1 {self.status}\r\nVia: example\r\n\r\n".encode() + self.says_more)
            while ready := select.select([client, upstream], [], [], HANG_GUARD_SECONDS)[0]:
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    (upstream if source is client else client).sendall(data)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_proxy_tunnels_and_tls_stays_end_to_end(
    secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str
) -> None:
    proxy = ConnectProxy()
    with serving(proxy, host) as address:
        trust(monkeypatch, secure_hanko.ca_file)
        assert fetched(secure_hanko.url, HTTPS_PROXY=f"http://{address}").body
        assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{secure_hanko.port} HTTP/1.")
        assert "authorization" not in proxy.heads[0].lower()
        trust(monkeypatch, write_certificates(tmp_path, ["127.0.0.1"])[0])
        assert failure_of(secure_hanko.url, HTTPS_PROXY=f"http://{address}") is FetchFailure.TLS_UNTRUSTED


def test_a_proxy_gets_its_own_credentials_and_hanko_does_not(
    secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ConnectProxy()
    trust(monkeypatch, secure_hanko.ca_file)
    with serving(proxy) as address:
        assert fetched(secure_hanko.url, HTTPS_PROXY=f"http://us%40er:p%3Ass@{address}").body
    assert "\r\nProxy-Authorization: Basic dXNAZXI6cDpzcw==\r\n" in proxy.heads[0]  # us@er:p:ss
    assert {name.lower() for name in secure_hanko.last_jwks_headers} == {
        "host",
        "accept",
        "cache-control",
        "accept-encoding",
        "user-agent",
        "connection",
    }


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ("https://hanko.example.com/tenant", "hanko.example.com:443"),
    ],
)
def test_a_proxy_is_told_host_and_port(url: str, target: str) -> None:
    server = Server(split_url(url), Tls(), Proxy("127.0.0.1", 3128, None))
    assert server.tunnel_request() == f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


@pytest.mark.parametrize(("refusals", "asked"), [(["503 Busy"], 2), (["502 Bad Gateway", "504 Gateway Timeout"], 3)])
def test_a_proxy_that_is_overloaded_is_asked_again(
    secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, refusals: list[str], asked: int
) -> None:
    trust(monkeypatch, secure_hanko.ca_file)
    proxy = ConnectProxy(refusals=refusals)
    with serving(proxy) as address:
        assert fetched(secure_hanko.url, HTTPS_PROXY=f"http://{address}").body
    assert len(proxy.heads) == asked


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "example.com, 127.0.0.1", "*"])
def test_no_proxy_goes_past_the_proxy(
    secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    proxy = ConnectProxy()
    trust(monkeypatch, secure_hanko.ca_file)
    with serving(proxy) as address:
        assert fetched(secure_hanko.url, HTTPS_PROXY=f"http://{address}", NO_PROXY=no_proxy).body
        assert proxy.heads == []
        assert fetched(secure_hanko.url, HTTPS_PROXY=f"http://{address}", NO_PROXY="example.com").body
        assert len(proxy.heads) == 1


def test_a_proxy_that_says_something_in_front_of_hanko_is_a_failure(
    secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(monkeypatch, secure_hanko.ca_file)
    with serving(ConnectProxy(says_more=b"forged")) as address:
        assert failure_of(secure_hanko.url, HTTPS_PROXY=f"http://{address}") is FetchFailure.CONNECTION
    assert secure_hanko.jwks_requests == 0


def test_plain_http_to_loopback_needs_no_proxy(hanko: StandInHanko) -> None:
    proxy = ConnectProxy()
    with serving(proxy) as address:
        assert fetched(hanko.url, HTTPS_PROXY=f"http://{address}").body
    assert proxy.heads == []


@pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required", "502 Bad Gateway"])
def test_a_proxy_that_refuses_is_a_failure_and_nothing_goes_past_it(
    secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """Not even if it opens the tunnel all the same."""
    trust(monkeypatch, secure_hanko.ca_file)
    with serving(ConnectProxy(status=status)) as address:
        assert failure_of(secure_hanko.url, HTTPS_PROXY=f"http://{address}") is FetchFailure.CONNECTION
    assert failure_of(secure_hanko.url, HTTPS_PROXY=f"http://{address}") is FetchFailure.CONNECTION  # now it is gone
    assert secure_hanko.jwks_requests == 0


def test_the_deadline_holds_against_a_proxy_that_drips(secure_hanko: StandInHanko) -> None:
    def handle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: y\r\n")
            threading.Event().wait(0.05)

    with serving(handle) as address:
        assert failure_of(secure_hanko.url, HTTPS_PROXY=f"http://{address}", **SHORT) is FetchFailure.TIMEOUT


def test_the_receivers_attempts_fill_its_five_seconds() -> None:
    begin_after_seconds = list(accumulate(PAUSES_SECONDS, initial=0))
    assert begin_after_seconds == pytest.approx([0, 0.1, 0.3, 0.7, 1.5, 2.5, 3.5, 4.5])
    assert len(begin_after_seconds) == RECEIVER_ATTEMPTS


def test_a_failure_says_nothing_from_outside() -> None:
    assert [failure.value for failure in FetchFailure] == [
        "timeout",
        "connection",
        "tls",
        "tls_expired",
        "tls_hostname",
        "tls_untrusted",
        "tls_extensions",
        "tls_weak",
        "status",
        "too_large",
        "protocol",
        "content",
    ]


# --- the connection that is opened while Python imports


def early(url: str, **environ: str) -> HttpsClient:
    variables = {"HANKO_API_URL": url, "HANKO_AUDIENCE": "localhost", "HANKO_FETCH_TIMEOUT_SECONDS": "5", **environ}
    settings = Settings.from_env(variables)
    return HttpsClient(settings, Clock(), EarlyConnection(settings.api_url, settings.fetch_timeout_seconds))


def test_the_first_fetch_goes_over_the_connection_that_is_open_and_the_next_one_over_its_own() -> None:
    script = Script(saying(whole("1")), saying(whole("2")))
    with serving(script) as address:
        client = early(f"http://{address}")
        assert becomes(lambda: script.connections == 1)
        assert script.asked == []
        assert client.start(JWKS_PATH).result().body == b"1"
        assert script.connections == 1
        assert client.start(JWKS_PATH).result().body == b"2"
        assert script.connections == 2


def test_tls_is_verified_on_it_as_on_any_other(secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert failure(early(secure_hanko.url).start(JWKS_PATH)) is FetchFailure.TLS_UNTRUSTED
    trust(monkeypatch, secure_hanko.ca_file)
    assert b"keys" in early(secure_hanko.url).start(JWKS_PATH).result().body


def test_a_connection_that_was_refused_is_a_failure_and_the_next_fetch_opens_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    client = early(f"http://{address}")
    assert failure(client.start(JWKS_PATH)) is FetchFailure.CONNECTION
    script = Script(saying(whole("1")))
    with serving(script) as other:
        client.server._port = int(other.rpartition(":")[2])  # noqa: SLF001 - the port of the refusal is free, but not for us to choose
        assert client.start(JWKS_PATH).result().body == b"1"


def test_a_connection_that_does_not_come_holds_nobody_up_beyond_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # takes the one place in its queue
            fetch = early(f"http://127.0.0.1:{port}", **SHORT).start(JWKS_PATH)
            assert failure(fetch) is FetchFailure.TIMEOUT
            assert ends(fetch)


def test_a_name_that_cannot_be_one_is_a_failure_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert failure(early("https://a..b.example").start(JWKS_PATH)) is FetchFailure.CONNECTION
    assert capfd.readouterr() == ("", "")


def test_a_kept_connection_that_was_opened_early_is_replaced_by_a_new_one() -> None:
    script = Script(saying(whole("1")), saying(whole("2")))
    with serving(script) as address:
        client = early(f"http://{address}", **KEEPING)
        assert client.start(JWKS_PATH).result().body == b"1"
        assert client.start(*VALIDATE).result().body == b"2"
        client.close()
    assert script.connections == 2


# --- the connection that is kept, where sessions are checked


KEEPING = {"HANKO_SESSION_CHECK": "strict"}
VALIDATE = ("/sessions/validate", "POST", {"Content-Type": "application/json"}, b'{"session_token":"a.b.c"}')


@contextmanager
def keeping(url: str, **environ: str) -> Iterator[HttpsClient]:
    client = client_of(url, **KEEPING, **environ)
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize(
    "answer",
    [
        whole("{}"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_keys_and_sessions_share_a_connection(answer: bytes) -> None:
    script = Script(saying(answer, answer, answer))
    with serving(script) as address, keeping(f"http://{address}") as client:
        for question in ((JWKS_PATH,), VALIDATE, (JWKS_PATH,)):
            assert client.start(*question).result().body == b"{}"
    assert script.connections == 1
    assert script.asked == [
        f"GET {JWKS_PATH} HTTP/1.1",
        'POST /sessions/validate HTTP/1.1 {"session_token":"a.b.c"}',
        f"GET {JWKS_PATH} HTTP/1.1",
    ]


@pytest.mark.parametrize(
    ("answer", "environ"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", KEEPING),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", KEEPING),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}", KEEPING),
        (whole("{}"), {}),  # a server that does not close although it was told to
    ],
)
def test_nothing_is_kept_that_need_not_or_must_not_be(answer: bytes, environ: dict[str, str]) -> None:
    script = Script(saying(answer), saying(answer))
    with serving(script) as address:
        client = client_of(f"http://{address}", **environ)
        for _ in range(2):
            with suppress(FetchFailed):
                client.start(JWKS_PATH).result()
            assert script.ended.acquire(timeout=HANG_GUARD_SECONDS)  # nobody asked a second time, and hung up
    assert script.connections == len(script.asked) == 2


@pytest.mark.parametrize("end", [None, resetting])
def test_a_kept_connection_that_turns_out_dead_is_replaced_once(end: Handle | None) -> None:
    script = Script(saying(whole("1"), then=end), saying(whole("2")))
    with serving(script) as address, keeping(f"http://{address}") as client:
        assert client.start(JWKS_PATH).result().body == b"1"
        assert client.start(*VALIDATE).result().body == b"2"
    assert script.asked[1] == script.asked[2] == 'POST /sessions/validate HTTP/1.1 {"session_token":"a.b.c"}'
    assert script.connections == 2


@pytest.mark.parametrize("end", [None, resetting])
def test_new_connections_that_turn_out_dead_are_a_failure(end: Handle | None) -> None:
    script = Script(saying(whole("1"), then=end), *[saying(then=end)] * 2 * ATTEMPTS)
    with serving(script) as address, keeping(f"http://{address}") as client:
        assert client.start(JWKS_PATH).result().body == b"1"
        assert failure(client.start(*VALIDATE)) is FetchFailure.CONNECTION  # the kept one, and those in its place
        assert script.connections == 1 + ATTEMPTS
        assert failure(client.start(*VALIDATE)) is FetchFailure.CONNECTION
        assert script.connections == 1 + 2 * ATTEMPTS


@pytest.mark.parametrize("end", [part_of_a_head, part_of_a_body])
def test_an_answer_that_began_is_not_asked_for_again(end: Handle) -> None:
    script = Script(saying(whole("1"), then=end))
    with serving(script) as address, keeping(f"http://{address}") as client:
        client.start(JWKS_PATH).result()
        assert failure(client.start(*VALIDATE)) is FetchFailure.PROTOCOL
    assert script.connections == 1


@pytest.mark.parametrize("padding_bytes", [0, 100_000])
def test_an_answer_that_nobody_asked_for_is_never_taken_for_one(padding_bytes: int) -> None:
    """Whatever a broken server or proxy sends behind its answer: the next question has nothing to do with it."""
    forged = whole(" " * padding_bytes + "forged")
    script = Script(saying(whole("1") + forged, whole("2")), saying(whole("2")))
    with serving(script) as address, keeping(f"http://{address}") as client:
        assert client.start(JWKS_PATH).result().body == b"1"
        assert client.start(JWKS_PATH).result().body == b"2"


def test_nor_is_one_that_comes_later() -> None:
    sent = threading.Event()

    def act(script: Script, connection: socket.socket) -> None:
        script.is_asked(connection)
        connection.sendall(whole("1"))
        assert asked_once.wait(HANG_GUARD_SECONDS)
        connection.sendall(whole("forged"))
        sent.set()
        script.is_asked(connection)

    asked_once, script = threading.Event(), Script(act, saying(whole("2")))
    with serving(script) as address, keeping(f"http://{address}") as client:
        assert client.start(JWKS_PATH).result().body == b"1"
        asked_once.set()
        assert sent.wait(HANG_GUARD_SECONDS)
        assert client.start(JWKS_PATH).result().body == b"2"
    assert script.connections == 2


def then_ending(*answers: bytes) -> Act:
    """Answers to as many questions, and the end behind the last one."""

    def act(script: Script, connection: socket.socket) -> None:
        for answer in answers:
            script.is_asked(connection)
            connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    return act


def test_the_last_answer_of_a_kept_connection_is_one() -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n2"
    script = Script(then_ending(whole("1"), last))
    with serving(script) as address, keeping(f"http://{address}") as client:
        client.start(JWKS_PATH).result()
        fetch = client.start(*VALIDATE)
        assert script.ended.acquire(timeout=HANG_GUARD_SECONDS)
        assert fetch.result().body == b"2"
    assert script.connections == 1


def test_an_answer_too_many_that_is_not_read_yet_is_noticed() -> None:
    """The first of two fills what one read takes."""
    padding_bytes = 60_000 + RECEIVE_BYTES - len(whole(" " * 60_000))
    script = Script(then_ending(whole("1"), whole(" " * padding_bytes) + whole("forged")), saying(whole("2")))
    with serving(script) as address, keeping(f"http://{address}") as client:
        client.start(JWKS_PATH).result()
        fetch = client.start(*VALIDATE)
        assert script.ended.acquire(timeout=HANG_GUARD_SECONDS)
        assert fetch.result().body == b"2"
    assert script.connections == 2


def test_over_tls_too_what_nobody_asked_for_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One TLS record with more in it than the answer. A part of it would be decrypted, and the socket look quiet."""
    assert RECEIVE_BYTES >= 16_384  # the largest record (RFC 8446, section 5.1)
    ca_file, chain_file = write_certificates(tmp_path, ["127.0.0.1"])
    trust(monkeypatch, ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain_file)
    script = Script(saying(whole("1") + whole(" " * 12_000 + "forged"), whole("2")), saying(whole("2")))
    with serving(over_tls(context, script)) as address, keeping(f"https://{address}") as client:
        assert client.start(JWKS_PATH).result().body == b"1"
        assert client.start(JWKS_PATH).result().body == b"2"
    assert script.connections == 2


@pytest.mark.parametrize("dies_first", [True, False])
def test_the_deadline_is_one_for_the_kept_connection_and_its_replacement(*, dies_first: bool) -> None:
    script = Script(saying(whole("1"), then=None if dies_first else until_hung_up), saying(then=until_hung_up))
    with serving(script) as address, keeping(f"http://{address}", **SHORT) as client:
        client.start(JWKS_PATH).result()
        fetch = client.start(*VALIDATE)
        began = time.monotonic()
        assert failure(fetch) is FetchFailure.TIMEOUT
        assert time.monotonic() - began < 2 * float(SHORT["HANKO_FETCH_TIMEOUT_SECONDS"])
        assert ends(fetch)
    assert script.connections == (2 if dies_first else 1)


def test_the_deadline_holds_against_a_kept_connection_that_drips() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: y\r\n")
            threading.Event().wait(0.05)

    with serving(Script(saying(whole("1"), then=drip))) as address, keeping(f"http://{address}", **SHORT) as client:
        client.start(JWKS_PATH).result()
        began = time.monotonic()
        assert failure(client.start(*VALIDATE)) is FetchFailure.TIMEOUT
        assert time.monotonic() - began < 1


def test_a_cancelled_fetch_hangs_up_at_once() -> None:
    script = Script(saying(then=until_hung_up))
    with serving(script) as address:
        fetch = client_of(f"http://{address}").start(JWKS_PATH)
        assert becomes(lambda: len(script.asked) == 1)
        fetch.cancel()
        assert becomes(lambda: fetch.done, seconds=2)


def test_a_kept_tls_connection_can_be_cut(secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(monkeypatch, secure_hanko.ca_file)
    with keeping(secure_hanko.url, **SHORT) as client:
        validate = ("/sessions/validate", "GET", {"Authorization": f"Bearer {secure_hanko.mint()}"})
        client.start(*validate).result()
        secure_hanko.behave("slow", endpoint="validate", delay_seconds=60)
        fetch = client.start(*validate)
        assert failure(fetch) is FetchFailure.TIMEOUT
        assert ends(fetch)
        secure_hanko.behave("normal", endpoint="validate")
        client.start(*validate).result()
    assert secure_hanko.connections == 2


def test_a_cancelled_connection_is_not_kept() -> None:
    """Another thread can cancel it when its answer has just been read."""
    settings = Settings.from_env({"HANKO_API_URL": "http://127.0.0.1:9", "HANKO_AUDIENCE": "localhost"})
    connections = Connections(hanko_server(settings), Clock(), None, 1, keeps=True)
    connection = connections.new()
    connection.keep_alive = True
    assert connections.may_keep(connection)
    connection.cancel()
    assert not connections.may_keep(connection)


def test_an_abandoned_fetch_does_not_start_again() -> None:
    """Cut on a kept connection, it looks like one that died; nobody waits for another."""
    script = Script(saying(whole("1"), then=until_hung_up))
    with serving(script) as address, keeping(f"http://{address}") as client:
        client.start(JWKS_PATH).result()
        fetch = client.start(*VALIDATE)
        assert becomes(lambda: len(script.asked) == 2)
        fetch.cancel()
        assert ends(fetch)
    assert script.connections == 1


def test_of_two_at_once_one_connection_is_kept_and_the_other_closed() -> None:
    script = Script(saying(whole("1")), saying(whole("1"), whole("2")))
    with serving(script) as address, keeping(f"http://{address}") as client:
        first = client.start(JWKS_PATH)
        assert becomes(lambda: script.connections == 1)
        second = client.start(JWKS_PATH)
        first.result(), second.result()
        assert script.ended.acquire(timeout=HANG_GUARD_SECONDS)
        assert client.start(JWKS_PATH).result().body == b"2"
    assert script.connections == 2


def test_an_answer_that_is_read_twice_keeps_its_connection_once() -> None:
    script = Script(saying(whole("1"), whole("2")))
    with serving(script) as address, keeping(f"http://{address}") as client:
        for body in (b"1", b"2"):
            fetch = client.start(JWKS_PATH)
            assert fetch.result() == fetch.result()
            assert fetch.result().body == body


def test_a_tunnel_is_kept_too(secure_hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(monkeypatch, secure_hanko.ca_file)
    proxy = ConnectProxy()
    with serving(proxy) as address, keeping(secure_hanko.url, HTTPS_PROXY=f"http://{address}") as client:
        for _ in range(3):
            client.start("/sessions/validate").result()
    assert (len(proxy.heads), secure_hanko.connections) == (1, 1)
