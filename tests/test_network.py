"""Whole functions on networks as they are: dead addresses, resets, a resolver that fails once.

Real sockets; both entry modules are imported as Lambda imports them.
"""

import json
import select
import socket
import time
from collections.abc import Iterator

import pytest
from aws import TABLE, Aws
from entering import CONTEXT, Start, record, resolve, webhook_event
from http_aws import HttpAws, beside, table_and_queue
from sandbox import SESSION, Json
from servers import answering, read_head, resetting, serving

from authorizer.gateway.raised import AuthorizerUnavailable
from authorizer.hanko.connection import MAX_BODY_BYTES
from local.hanko import StandInHanko
from local.sign import event_with

LONGER = 0.5  # seconds that a fault may add to the first answer


@pytest.fixture
def hanko() -> Iterator[StandInHanko]:
    """On the machine's own clock, as the function is."""
    with StandInHanko() as stand_in:
        yield stand_in


class Front:
    """A load balancer in front of the stand-in. It resets the next connections, or answers them with a `status`."""

    def __init__(self, hanko: StandInHanko, resets: int, status: int | None = None) -> None:
        self._port, self.resets, self._status = hanko.port, resets, status
        self.connections = 0

    def __call__(self, client: socket.socket) -> None:
        self.connections += 1
        if self.resets > 0:
            self.resets -= 1
            read_head(client)
            if self._status is None:
                resetting(client)
            else:
                client.sendall(b"HTTP/1.1 %d Busy\r\nContent-Length: 0\r\n\r\n" % self._status)
            return
        with socket.create_connection(("127.0.0.1", self._port)) as upstream:
            while ready := select.select([client, upstream], [], [], 15)[0]:
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    (upstream if source is client else client).sendall(data)


def first_answer(start: Start, url: str, token: str, **environ: str) -> float:
    """Seconds from the import of the entry module to the first answer, which lets the user in."""
    began = time.monotonic()
    assert start(url, **environ)(event_with("http_v2", token), CONTEXT)["isAuthorized"] is True
    return time.monotonic() - began


@pytest.mark.parametrize("check", ["off", "strict"])
def test_a_cold_start_with_its_first_address_dead(
    start: Start, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, nowhere: tuple[str, int], check: str
) -> None:
    """A VPC without an IPv6 way out, a dead edge: 3 s and a failure for every fetch, before."""
    url, good = f"http://localhost:{hanko.port}", ("127.0.0.1", hanko.port)
    resolve(monkeypatch, "localhost", good)
    first_answer(start, url, hanko.mint())  # loads what only a first start loads
    single = first_answer(start, url, hanko.mint(), HANKO_SESSION_CHECK=check)
    resolve(monkeypatch, "localhost", nowhere, good)
    assert first_answer(start, url, hanko.mint(), HANKO_SESSION_CHECK=check) < single + LONGER


def test_a_cold_start_with_three_dead_ipv6_addresses_before_the_good_one(
    start: Start, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, nowhere_ipv6: tuple[str, int]
) -> None:
    """RFC 8305, section 4: the families take turns, so the good one is the second and not the fourth."""
    url, good = f"http://localhost:{hanko.port}", ("127.0.0.1", hanko.port)
    resolve(monkeypatch, "localhost", good)
    single = first_answer(start, url, hanko.mint())
    resolve(monkeypatch, "localhost", *[nowhere_ipv6] * 3, good)
    assert first_answer(start, url, hanko.mint()) < single + LONGER


@pytest.mark.parametrize("check", ["off", "strict"])
def test_where_every_address_is_dead_the_one_deadline_ends_it(  # noqa: PLR0913, PLR0917 - fixtures
    start: Start,
    hanko: StandInHanko,
    monkeypatch: pytest.MonkeyPatch,
    nowhere: tuple[str, int],
    capsys: pytest.CaptureFixture[str],
    check: str,
) -> None:
    resolve(monkeypatch, "localhost", *[nowhere] * 3)
    began = time.monotonic()
    variables = {"HANKO_SESSION_CHECK": check, "HANKO_FETCH_TIMEOUT_SECONDS": "1"}
    with pytest.raises(AuthorizerUnavailable):
        start(f"http://localhost:{hanko.port}", **variables)(event_with("http_v2", hanko.mint()), CONTEXT)
    assert time.monotonic() - began < 1 + LONGER
    line = record(capsys)
    assert (line["reason"], line["key_fetch_failure"]) == ("keys_unavailable", "timeout")


def test_a_cold_start_whose_resolver_fails_once(
    start: Start, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    resolve(monkeypatch, "localhost", ("127.0.0.1", hanko.port), failures=1)
    first_answer(start, f"http://localhost:{hanko.port}", hanko.mint())
    line = record(capsys)
    assert (line["KeyFetches"], "key_fetch_failure" in line, hanko.jwks_requests) == (1, False, 1)


@pytest.mark.parametrize("status", [None, 502, 503, 504])
@pytest.mark.parametrize("resets", [1, 2])
def test_a_cold_start_whose_first_connections_are_reset_or_turned_away(
    start: Start, hanko: StandInHanko, capsys: pytest.CaptureFixture[str], resets: int, status: int | None
) -> None:
    """One fetch by our count, whatever it took."""
    front = Front(hanko, resets, status)
    with serving(front) as address:
        first_answer(start, f"http://{address}", hanko.mint())
    line = record(capsys)
    assert (line["KeyFetches"], "key_fetch_failure" in line, hanko.jwks_requests) == (1, False, 1)
    assert front.connections == resets + 1


def test_a_cold_start_while_hanko_refuses_connections_for_a_moment(
    start: Start, hanko: StandInHanko, capsys: pytest.CaptureFixture[str]
) -> None:
    token = hanko.mint()
    hanko.behave("down", seconds=0.2)
    first_answer(start, hanko.url, token)
    line = record(capsys)
    assert (line["KeyFetches"], "key_fetch_failure" in line, hanko.jwks_requests) == (1, False, 1)


def test_a_key_server_that_is_down_costs_three_attempts_and_then_none(
    start: Start, hanko: StandInHanko, capsys: pytest.CaptureFixture[str]
) -> None:
    front = Front(hanko, resets=1000)
    with serving(front) as address:
        handler = start(f"http://{address}")
        for _ in range(5):
            with pytest.raises(AuthorizerUnavailable):
                handler(event_with("http_v2", hanko.mint()), CONTEXT)
    assert front.connections == 3
    assert record(capsys)["key_fetch_failure"] == "connection"


@pytest.mark.parametrize("status", [None, 502, 503, 504])
def test_a_session_check_whose_connection_is_reset_or_turned_away(
    start: Start, hanko: StandInHanko, status: int | None
) -> None:
    front = Front(hanko, 0, status)
    with serving(front) as address:
        handler = start(f"http://{address}", HANKO_SESSION_CHECK="strict")
        for _ in range(3):
            hanko.behave("down")  # ends the kept connection
            hanko.behave("normal")
            front.resets = 1  # and the one in its place
            assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True
    assert hanko.validate_requests == 3


@pytest.mark.parametrize(("resets", "status"), [(1, None), (4, None), (1, 502), (4, 503), (2, 504)])
def test_a_cold_receiver_whose_first_connections_are_reset_or_turned_away(
    start: Start, hanko: StandInHanko, aws: Aws, resets: int, status: int | None
) -> None:
    """Hanko tries once and waits 10 s: a 503 after 11 ms loses the logout for good."""
    environ = {"HANKO_REVOCATION_TABLE": TABLE, "HANKO_REVOCATION_QUEUE_URL": aws.queue_url}
    with serving(Front(hanko, resets, status)) as address:
        handler = start(f"http://{address}", "webhook_function", **environ)
        assert handler(webhook_event(hanko), CONTEXT)["statusCode"] == 204
    assert aws.items.keys() == {f"session#{SESSION}"}


@pytest.mark.parametrize(("failures", "is_dead"), [(1, False), (0, True), (3, True)])
def test_a_cold_receiver_whose_resolver_fails_or_finds_a_dead_address(  # noqa: PLR0913, PLR0917 - fixtures
    start: Start,
    hanko: StandInHanko,
    monkeypatch: pytest.MonkeyPatch,
    nowhere: tuple[str, int],
    failures: int,
    is_dead: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    with serving(aws := HttpAws()) as address:
        variables = {**beside(monkeypatch, address), **table_and_queue(address)}
        resolve(monkeypatch, "localhost", *[nowhere] * is_dead, ("127.0.0.1", hanko.port), failures=failures)
        handler = start(f"http://localhost:{hanko.port}", "webhook_function", **variables)
        assert handler(webhook_event(hanko), CONTEXT)["statusCode"] == 204
    assert aws.items.keys() == {f"session#{SESSION}"}


@pytest.mark.parametrize("late", [{"mode": "slow", "delay_seconds": 4}, {"mode": "down", "seconds": 4}])
def test_a_cold_receiver_waits_for_the_keys_as_long_as_it_can(
    start: Start, hanko: StandInHanko, aws: Aws, capsys: pytest.CaptureFixture[str], late: Json
) -> None:
    """Hanko answers late, or refuses for a while: 5 s of its 10 are for the keys, and that is one fetch."""
    environ, event = (
        {"HANKO_REVOCATION_TABLE": TABLE, "HANKO_REVOCATION_QUEUE_URL": aws.queue_url},
        webhook_event(hanko),
    )
    hanko.behave(**late)
    handler = start(hanko.url, "webhook_function", HANKO_FETCH_TIMEOUT_SECONDS="0.5", **environ)
    assert handler(event, CONTEXT)["statusCode"] == 204
    assert aws.items.keys() == {f"session#{SESSION}"}
    assert (record(capsys)["KeyFetches"], hanko.jwks_requests) == (1, 1)


MALFORMED_FRAMINGS = [
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    b"Content-Length: 5\r\nContent-Length: 6\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"",
]


@pytest.mark.parametrize("framing", MALFORMED_FRAMINGS, ids=repr)
def test_an_answer_without_end_is_read_to_the_limit_whatever_its_framing_says(
    start: Start, hanko: StandInHanko, capsys: pytest.CaptureFixture[str], framing: bytes
) -> None:
    sent = 0

    def endless(client: socket.socket) -> None:
        nonlocal sent
        read_head(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        client.sendall(b"HTTP/1.1 200 OK\r\n%s\r\n" % framing)
        while True:
            sent += client.send(b" " * 64 * 1024)

    with serving(endless) as address, pytest.raises(AuthorizerUnavailable):
        start(f"http://{address}")(event_with("http_v2", hanko.mint()), CONTEXT)
    assert record(capsys)["key_fetch_failure"] in {"protocol", "too_large"}
    assert sent < 128 * MAX_BODY_BYTES  # most of which the sockets of both sides buffer


def test_early_hints_and_a_hundred_headers_come_before_the_keys(start: Start, hanko: StandInHanko) -> None:
    """RFC 9110, section 15.2: an interim answer is passed over."""
    body = json.dumps(hanko.jwks).encode()
    headers = b"".join(b"X-Header-%d: value\r\n" % number for number in range(150))
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n%sContent-Length: %d\r\n\r\n" % (headers, len(body))
    with serving(answering(hints + head + body)) as address:
        first_answer(start, f"http://{address}", hanko.mint())
