"""Opening a TCP connection where names, addresses and first attempts fail: real sockets, a resolver in our hand."""

import errno
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from servers import HANG_GUARD_SECONDS, Script, becomes, client_of, failure, resetting, saying, serving, whole

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.hanko.client import ATTEMPTS, JWKS_PATH, HttpsClient
from authorizer.hanko.failure import FetchFailure
from authorizer.hanko.tcp import EarlyConnection, connect, interleave_families

Address = tuple[str, int]
HOST = "hanko.localhost"
ALIEN = (socket.AF_APPLETALK, socket.SOCK_STREAM, 0, "", ("", 0))


def info(address: Address) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)


class Resolver:
    """In the place of the machine's: the addresses in their order, after some failures."""

    def __init__(self) -> None:
        self.addresses: list[Address] = []
        self.failures: list[int] = []
        self.asked = 0

    def __call__(self, *_: object, **__: object) -> list[tuple[Any, ...]]:
        self.asked += 1
        if self.failures:
            raise socket.gaierror(self.failures.pop(0), "the resolver's own text")
        return [info(address) for address in self.addresses]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


@pytest.fixture
def refusing() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address: Address = closed.getsockname()
    return address


def address_of(server: str) -> Address:
    host, _, port = server.rpartition(":")
    return host, int(port)


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def early_client(**environ: str) -> HttpsClient:
    required = {"HANKO_API_URL": f"http://localhost:{9}", "HANKO_AUDIENCE": "localhost"}
    settings = Settings.from_env({**required, **environ})
    return HttpsClient(settings, Clock(), EarlyConnection(settings.api_url, settings.fetch_timeout_seconds))


# --- several addresses


def test_families_take_turns_and_the_resolvers_first_stays_first() -> None:
    """RFC 8305, section 4."""
    sixes, fours = [info((f"2001:db8::{n}", 443)) for n in range(3)], [info((f"192.0.2.{n}", 443)) for n in range(2)]
    assert interleave_families([*sixes, *fours]) == [sixes[0], fours[0], sixes[1], fours[1], sixes[2]]
    assert interleave_families([*fours, *sixes]) == [fours[0], sixes[0], fours[1], sixes[1], sixes[2]]
    assert interleave_families(sixes) == sixes


def test_an_address_that_leads_nowhere_costs_a_quarter_of_a_second(resolver: Resolver, nowhere: Address) -> None:
    with serving(Script(saying())) as server:
        resolver.addresses = [nowhere, address_of(server)]
        began = time.monotonic()
        with connect(HOST, 443, soon()) as opened:
            assert 0.2 < time.monotonic() - began < 1
            assert opened.getpeername() == address_of(server)


def test_a_slow_address_may_still_win(resolver: Resolver, nowhere: Address) -> None:
    """The first attempt goes on while the others are tried."""
    first, second = socket.socket(), socket.socket()
    with closing(first), closing(second):
        first.bind(("127.0.0.3", 0))
        first.listen(0)
        with socket.socket() as occupant:
            occupant.connect(first.getsockname())
            resolver.addresses = [first.getsockname(), nowhere]
            opened: list[socket.socket] = []
            thread = threading.Thread(target=lambda: opened.append(connect(HOST, 443, soon())))
            thread.start()
            threading.Event().wait(0.4)  # the second attempt is under way
            first.accept()[0].close()  # makes room: the kernel repeats the SYN after 1 s
            occupant.close()
            thread.join(HANG_GUARD_SECONDS)
        with opened[0]:
            assert opened[0].getpeername() == first.getsockname()


@pytest.mark.parametrize("unreachable", [True, False])
def test_an_address_that_fails_at_once_costs_nothing(
    resolver: Resolver, refusing: Address, *, unreachable: bool
) -> None:
    with serving(Script(saying())) as server:
        resolver.addresses = [("255.255.255.255", 9) if unreachable else refusing, address_of(server)]
        began = time.monotonic()
        with connect(HOST, 443, soon()) as opened:
            assert time.monotonic() - began < 0.2
            assert opened.getpeername() == address_of(server)


def test_a_family_that_the_machine_does_not_have_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Script(saying())) as server:
        addresses = [ALIEN, info(address_of(server))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        began = time.monotonic()
        with connect(HOST, 443, soon()) as opened:
            assert time.monotonic() - began < 0.2
            assert opened.getpeername() == address_of(server)


def test_a_connection_that_opens_at_once_is_taken(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux answers EINPROGRESS even on loopback, other systems may not."""

    class Prompt(socket.socket):
        def connect_ex(self, address: Any) -> int:  # noqa: ANN401 - as the socket's own
            self.settimeout(HANG_GUARD_SECONDS)
            code = super().connect_ex(address)
            self.settimeout(0)
            return code

    with serving(Script(saying())) as server:
        resolver.addresses = [address_of(server)]
        monkeypatch.setattr(socket, "socket", Prompt)
        with connect(HOST, 443, soon()) as opened:
            assert opened.getpeername() == address_of(server)


def test_a_small_request_is_sent_without_a_wait_for_others(resolver: Resolver) -> None:
    with serving(Script(saying())) as server:
        resolver.addresses = [address_of(server)]
        with connect(HOST, 443, soon()) as opened:
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_where_all_addresses_fail_the_last_failure_is_told(resolver: Resolver, refusing: Address) -> None:
    resolver.addresses = [("255.255.255.255", 9), refusing]
    with pytest.raises(ConnectionRefusedError):
        connect(HOST, 443, soon())
    resolver.addresses = []
    with pytest.raises(OSError):  # noqa: PT011 - the only one that there is
        connect(HOST, 443, soon())


def test_where_no_family_is_known_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [ALIEN])
    with pytest.raises(OSError) as failed:  # noqa: PT011 - its number is what matters
        connect(HOST, 443, soon())
    assert failed.value.errno in {errno.EAFNOSUPPORT, errno.ESOCKTNOSUPPORT}


def test_the_deadline_is_one_for_all_addresses(resolver: Resolver, nowhere: Address) -> None:
    resolver.addresses = [nowhere] * 8
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        connect(HOST, 443, soon(0.6))
    assert 0.5 < time.monotonic() - began < 1


@pytest.mark.parametrize("make_client", [early_client, lambda: client_of("http://localhost:9")])
def test_the_early_connection_and_every_other_try_all_addresses(
    resolver: Resolver, nowhere: Address, make_client: Callable[[], HttpsClient]
) -> None:
    with serving(Script(saying(whole("1")))) as server:
        resolver.addresses = [nowhere, address_of(server)]
        began = time.monotonic()
        assert make_client().start(JWKS_PATH).result().body == b"1"
        assert time.monotonic() - began < 1


def test_the_early_connection_is_waited_for_until_each_deadline(resolver: Resolver, nowhere: Address) -> None:
    resolver.addresses = [nowhere]
    began = time.monotonic()
    early = EarlyConnection("http://localhost:9", timeout_seconds=0.9)
    assert {one.daemon for one in threading.enumerate() if "(_open)" in one.name} == {True}  # nor would the exit wait
    for wait_until in (began - 1, began + 0.1):
        with pytest.raises(TimeoutError):
            early.wait(wait_until)
        assert time.monotonic() - began < 0.8
    with pytest.raises(TimeoutError):
        early.wait(soon())
    assert 0.8 < time.monotonic() - began < 2


# --- what passes by itself


@pytest.mark.parametrize("make_client", [early_client, lambda: client_of("http://localhost:9")])
def test_a_resolver_that_fails_once_is_asked_again(resolver: Resolver, make_client: Callable[[], HttpsClient]) -> None:
    with serving(Script(saying(whole("1")))) as server:
        resolver.addresses, resolver.failures = [address_of(server)], [socket.EAI_AGAIN]
        assert make_client().start(JWKS_PATH).result().body == b"1"
    assert resolver.asked == 2


def test_a_name_that_does_not_exist_is_looked_up_once(resolver: Resolver) -> None:
    resolver.failures = [socket.EAI_NONAME] * 9
    assert failure(client_of("http://localhost:9").start(JWKS_PATH)) is FetchFailure.CONNECTION
    assert resolver.asked == 1


@pytest.mark.parametrize("make_client", [early_client, lambda: client_of("http://localhost:9")])
@pytest.mark.parametrize("end", [resetting, None], ids=["reset", "closed"])
def test_a_first_connection_that_ends_is_followed_by_a_second(
    resolver: Resolver, make_client: Callable[[], HttpsClient], end: Callable[[socket.socket], None] | None
) -> None:
    script = Script(saying(then=end), saying(whole("1")))
    with serving(script) as server:
        resolver.addresses = [address_of(server)]
        assert make_client().start(JWKS_PATH).result().body == b"1"
    assert script.connections == 2


def test_a_refusal_that_lasts_is_a_failure_after_three_attempts(resolver: Resolver, refusing: Address) -> None:
    resolver.addresses = [refusing]
    began = time.monotonic()
    assert failure(client_of("http://localhost:9").start(JWKS_PATH)) is FetchFailure.CONNECTION
    assert resolver.asked == ATTEMPTS == 3
    assert 0.3 < time.monotonic() - began < 1  # pauses of 0.1 and 0.2 s


def overloaded(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *headers, "", ""]).encode()


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
def test_a_gateway_that_is_overloaded_is_asked_again(status: str) -> None:
    script = Script(saying(overloaded(status)), saying(overloaded(status)), saying(whole("1")))
    with serving(script) as server:
        assert client_of(f"http://{server}").start(JWKS_PATH).result().body == b"1"
    assert script.connections == 3


@pytest.mark.parametrize(
    "status",
    ["400 Bad Request", "403 Forbidden", "429 Too Many Requests", "500 Oops", "501 Not Implemented", "505 No Version"],
)
def test_any_other_status_is_an_answer(status: str) -> None:
    script = Script(saying(overloaded(status)))
    with serving(script) as server:
        assert failure(client_of(f"http://{server}").start(JWKS_PATH)) is FetchFailure.STATUS
    assert script.connections == 1


def test_retry_after_is_waited_for_within_the_deadline() -> None:
    script = Script(saying(overloaded("503 Busy", "Retry-After: 1")), saying(whole("1")))
    with serving(script) as server:
        began = time.monotonic()
        assert client_of(f"http://{server}").start(JWKS_PATH).result().body == b"1"
        assert 1 <= time.monotonic() - began < 3


@pytest.mark.parametrize("seconds", ["60", "9" * 5000])
def test_retry_after_beyond_the_deadline_is_a_failure_at_once(seconds: str) -> None:
    script = Script(saying(overloaded("503 Busy", f"Retry-After: {seconds}")))
    with serving(script) as server:
        began = time.monotonic()
        assert failure(client_of(f"http://{server}").start(JWKS_PATH)) is FetchFailure.STATUS
        assert time.monotonic() - began < 1


def test_the_deadline_is_one_for_all_attempts() -> None:
    def hanging(connection: socket.socket) -> None:
        connection.recv(1)

    script = Script(saying(overloaded("503 Busy")), saying(then=hanging))
    with serving(script) as server:
        began = time.monotonic()
        fetch = client_of(f"http://{server}", HANKO_FETCH_TIMEOUT_SECONDS="0.5").start(JWKS_PATH)
        assert failure(fetch) is FetchFailure.TIMEOUT
        assert 0.4 < time.monotonic() - began < 1
        assert becomes(lambda: fetch.done)
    assert script.connections == 2


def test_a_cancelled_fetch_pauses_for_no_other_attempt() -> None:
    script = Script(saying(overloaded("503 Busy", "Retry-After: 3")))
    with serving(script) as server:
        fetch = client_of(f"http://{server}").start(JWKS_PATH)
        assert becomes(lambda: len(script.asked) == 1)
        threading.Event().wait(0.1)
        fetch.cancel()
        began = time.monotonic()
        assert becomes(lambda: fetch.done)
        assert time.monotonic() - began < 1
    assert script.connections == 1


def test_a_fetch_that_is_cancelled_while_it_connects_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, script = threading.Event(), Script(saying())
    with serving(script) as server:

        def slow(*_: object, **__: object) -> list[tuple[Any, ...]]:
            answered.wait(HANG_GUARD_SECONDS)
            return [info(address_of(server))]

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        fetch = client_of("http://localhost:9").start(JWKS_PATH)
        fetch.cancel()
        answered.set()
        assert becomes(lambda: fetch.done)
        assert failure(fetch) is FetchFailure.TIMEOUT
    assert script.asked == []
