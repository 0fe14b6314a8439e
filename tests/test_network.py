"""Whole functions on networks as they are: dead addresses, resets, a resolver that fails once.

Real sockets; both entry modules are imported as Lambda imports them.
"""

import json
import runpy
import select
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from aws import TABLE, Aws
from receiving import url_event
from sandbox import SESSION, USER, Json
from servers import answering, read_head, resetting, serving

from authorizer.gateway.raised import AuthorizerUnavailable
from authorizer.revocation.check import READ_UNTIL_SECONDS
from authorizer.revocation.table import CONNECT_SECONDS, READ_SECONDS
from local.hanko import StandInHanko
from local.sign import event_with

CONTEXT = SimpleNamespace(aws_request_id="invocation-1")
ENDED = {"id": SESSION, "user_id": USER, "expires_at": "2099-01-15T20:00:00Z"}
LONGER = 0.5  # seconds that a fault may add to the first answer

Handler = Callable[[object, object], Json]
Start = Callable[..., Handler]


@pytest.fixture
def hanko() -> Iterator[StandInHanko]:
    """On the machine's own clock, as the function is."""
    with StandInHanko() as stand_in:
        yield stand_in


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Run an entry module as a new process does; its handler."""
    at_the_end = ExitStack()

    def run(url: str, module: str = "lambda_function", **environ: str) -> Handler:
        required = {"HANKO_API_URL": url, "HANKO_AUDIENCE": "localhost"}
        for name, value in ({"AWS_LAMBDA_FUNCTION_NAME": f"function-{uuid.uuid4()}"} | required | environ).items():
            monkeypatch.setenv(name, value)
        started = runpy.run_module(f"authorizer.{module}")
        at_the_end.callback(started["_started"].client.close)
        handler: Handler = started["webhook_handler" if module == "webhook_function" else "lambda_handler"]
        return handler

    with at_the_end:
        yield run


class Front:
    """A load balancer in front of the stand-in that resets the first connections, or the ones from the nth on."""

    def __init__(self, hanko: StandInHanko, resets: int) -> None:
        self._port, self.resets = hanko.port, resets
        self.connections = 0

    def __call__(self, client: socket.socket) -> None:
        self.connections += 1
        if self.resets > 0:
            self.resets -= 1
            client.recv(1)
            resetting(client)
            return
        with socket.create_connection(("127.0.0.1", self._port)) as upstream:
            while ready := select.select([client, upstream], [], [], 15)[0]:
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    (upstream if source is client else client).sendall(data)


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int], failures: int = 0) -> None:
    """Answer every look-up with these addresses, after some failures."""
    left = [socket.gaierror(socket.EAI_AGAIN, "try again")] * failures
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")

    def look_up(*_: object, **__: object) -> list[Any]:
        if left:
            raise left.pop()
        return [(*kind, address) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.fixture
def nowhere() -> Iterator[tuple[str, int]]:
    """An address that drops every SYN: its queue is full."""
    with socket.socket() as listener, socket.socket() as occupant:
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        occupant.connect(listener.getsockname())
        yield listener.getsockname()


def first_answer(start: Start, url: str, token: str, **environ: str) -> float:
    """Seconds from the import of the entry module to the first answer, which lets the user in."""
    began = time.monotonic()
    assert start(url, **environ)(event_with("http_v2", token), CONTEXT)["isAuthorized"] is True
    return time.monotonic() - began


def record(capsys: pytest.CaptureFixture[str]) -> Json:
    lines: list[Json] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return next(line for line in lines if "level" in line)


@pytest.mark.parametrize("check", ["off", "strict"])
def test_a_cold_start_with_its_first_address_dead(
    start: Start, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, nowhere: tuple[str, int], check: str
) -> None:
    """A VPC without an IPv6 way out, a dead edge: 3 s and a failure for every fetch, before."""
    url, good = f"http://localhost:{hanko.port}", ("127.0.0.1", hanko.port)
    resolve(monkeypatch, good)
    first_answer(start, url, hanko.mint())  # loads what only a first start loads
    single = first_answer(start, url, hanko.mint(), HANKO_SESSION_CHECK=check)
    resolve(monkeypatch, nowhere, good)
    assert first_answer(start, url, hanko.mint(), HANKO_SESSION_CHECK=check) < single + LONGER


def test_a_cold_start_whose_resolver_fails_once(
    start: Start, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    resolve(monkeypatch, ("127.0.0.1", hanko.port), failures=1)
    first_answer(start, f"http://localhost:{hanko.port}", hanko.mint())
    line = record(capsys)
    assert (line["KeyFetches"], "key_fetch_failure" in line, hanko.jwks_requests) == (1, False, 1)


@pytest.mark.parametrize("resets", [1, 2])
def test_a_cold_start_whose_first_connections_are_reset(
    start: Start, hanko: StandInHanko, capsys: pytest.CaptureFixture[str], resets: int
) -> None:
    """One fetch by our count, whatever it took."""
    front = Front(hanko, resets)
    with serving(front) as address:
        first_answer(start, f"http://{address}", hanko.mint())
    line = record(capsys)
    assert (line["KeyFetches"], "key_fetch_failure" in line, hanko.jwks_requests) == (1, False, 1)
    assert front.connections == resets + 1


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


def test_a_session_check_whose_connection_is_reset(start: Start, hanko: StandInHanko) -> None:
    front = Front(hanko, 0)
    with serving(front) as address:
        handler = start(f"http://{address}", HANKO_SESSION_CHECK="strict")
        for _ in range(3):
            hanko.behave("down")  # ends the kept connection
            hanko.behave("normal")
            front.resets = 1  # and the one in its place
            assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True
    assert hanko.validate_requests == 3


@pytest.mark.parametrize("resets", [1, 4])
def test_a_cold_receiver_whose_first_connections_are_reset(
    start: Start, hanko: StandInHanko, aws: Aws, resets: int
) -> None:
    """Hanko tries once and waits 10 s: a 503 after 11 ms loses the logout for good."""
    environ = {"HANKO_REVOCATION_TABLE": TABLE, "HANKO_REVOCATION_QUEUE_URL": aws.queue_url}
    event = "session.delete.explicit.logout"
    with serving(Front(hanko, resets)) as address:
        handler = start(f"http://{address}", "webhook_function", **environ)
        body = json.dumps({"token": hanko.webhook_token(event, ENDED), "event": event})
        assert handler(url_event(body), CONTEXT)["statusCode"] == 204
    assert aws.items.keys() == {f"session#{SESSION}"}


@pytest.mark.parametrize("late", [{"mode": "slow", "delay_seconds": 4}, {"mode": "down", "seconds": 4}])
def test_a_cold_receiver_waits_for_the_keys_as_long_as_it_can(
    start: Start, hanko: StandInHanko, aws: Aws, capsys: pytest.CaptureFixture[str], late: Json
) -> None:
    """Hanko answers late, or refuses for a while: 5 s of its 10 are for the keys, and that is one fetch."""
    event = "session.delete.explicit.logout"
    body = json.dumps({"token": hanko.webhook_token(event, ENDED), "event": event})
    environ = {"HANKO_REVOCATION_TABLE": TABLE, "HANKO_REVOCATION_QUEUE_URL": aws.queue_url}
    hanko.behave(**late)
    handler = start(hanko.url, "webhook_function", HANKO_FETCH_TIMEOUT_SECONDS="0.5", **environ)
    assert handler(url_event(body), CONTEXT)["statusCode"] == 204
    assert aws.items.keys() == {f"session#{SESSION}"}
    assert (record(capsys)["KeyFetches"], hanko.jwks_requests) == (1, 1)


def test_early_hints_and_a_hundred_headers_come_before_the_keys(start: Start, hanko: StandInHanko) -> None:
    """RFC 9110, section 15.2: an interim answer is passed over."""
    body = json.dumps(hanko.jwks).encode()
    headers = b"".join(b"X-Header-%d: value\r\n" % number for number in range(150))
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n%sContent-Length: %d\r\n\r\n" % (headers, len(body))
    with serving(answering(hints + head + body)) as address:
        first_answer(start, f"http://{address}", hanko.mint())


# --- DynamoDB's side


class DynamoDb:
    """The table over real HTTP. It resets the first connections; with `says` that is its answer to every read."""

    def __init__(self, resets: int = 0) -> None:
        self.resets, self.connections = resets, 0
        self.items: dict[str, Json] = {}
        self.says: bytes | None = None

    def __call__(self, client: socket.socket) -> None:
        self.connections += 1
        if self.connections <= self.resets:
            resetting(client)
            return
        head, _, body = read_head(client).partition("\r\n\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
        while len(body) < int(headers["content-length"]):
            body += client.recv(65536).decode()
        answer = self._answer(headers["x-amz-target"], json.loads(body))
        client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))

    def _answer(self, target: str, request: Json) -> bytes:
        if target.endswith("updateitem"):
            written = {name[1:]: value for name, value in request["ExpressionAttributeValues"].items()}
            self.items[request["Key"]["subject"]["S"]] = written
            return json.dumps({"Attributes": written}).encode()
        if self.says is not None:
            return self.says
        subjects = [key["subject"]["S"] for key in request["RequestItems"][TABLE]["Keys"]]
        found = [{"subject": {"S": subject}, **self.items[subject]} for subject in subjects if subject in self.items]
        return json.dumps({"Responses": {TABLE: found}, "UnprocessedKeys": {}}).encode()


def near(monkeypatch: pytest.MonkeyPatch, address: str, *dead: tuple[str, int], failures: int = 0) -> dict[str, str]:
    """The variables of a function beside that table. Looking up its name fails so often, and finds the dead first."""
    left, look_up_as_ever = [socket.gaierror(socket.EAI_AGAIN, "try again")] * failures, socket.getaddrinfo

    def look_up(host: Any, *more: Any, **options: Any) -> list[Any]:  # noqa: ANN401 - the resolver's
        if host != "table.localhost":
            return [*look_up_as_ever(host, *more, **options)]
        if left:
            raise left.pop()
        first = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", one) for one in dead]
        return [*first, *look_up_as_ever("127.0.0.1", *more, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    port = address.partition(":")[2]
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1"}
    return {**keys, "AWS_ENDPOINT_URL_DYNAMODB": f"http://table.localhost:{port}", "HANKO_REVOCATION_TABLE": TABLE}


QUEUE = {"HANKO_REVOCATION_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/dead-letters"}


class BadWay(NamedTuple):
    """A table behind a fault, the variables of a function beside it, and the attempts that this takes."""

    table: DynamoDb
    variables: dict[str, str]
    attempts: int


@pytest.fixture(params=["its look-up fails once", "reset once", "reset twice", "its first address leads nowhere"])
def bad_way(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, nowhere: tuple[str, int]
) -> Iterator[BadWay]:
    resets = {"reset once": 1, "reset twice": 2}.get(request.param, 0)
    failures = int(request.param == "its look-up fails once")
    dead = [nowhere] if request.param == "its first address leads nowhere" else []
    table = DynamoDb(resets)
    with serving(table) as address:
        variables = near(monkeypatch, address, *dead, failures=failures)
        yield BadWay(table, variables, 1 + resets + failures)


def test_a_cold_authorizer_on_a_bad_way_to_its_table(
    start: Start, hanko: StandInHanko, bad_way: BadWay, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is revoked stays out, everybody else gets in, and nobody waits long."""
    revoked = hanko.mint(claims={"sub": USER})
    bad_way.table.items[f"user#{USER}"] = {"issued_until": {"N": "4102444800"}}
    handler = start(hanko.url, **bad_way.variables)
    began = time.monotonic()
    assert handler(event_with("http_v2", revoked), CONTEXT)["context"]["reason"] == "session_revoked"
    assert time.monotonic() - began < READ_UNTIL_SECONDS + CONNECT_SECONDS + READ_SECONDS + LONGER
    assert record(capsys)["RevocationChecks"] == bad_way.attempts
    assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True


def test_a_cold_receiver_on_a_bad_way_to_its_table(start: Start, hanko: StandInHanko, bad_way: BadWay) -> None:
    """Written to the table, and not to the queue: nobody has to replay it."""
    event = "session.delete.explicit.logout"
    body = json.dumps({"token": hanko.webhook_token(event, ENDED), "event": event})
    handler = start(hanko.url, "webhook_function", **bad_way.variables, **QUEUE)
    assert handler(url_event(body), CONTEXT)["statusCode"] == 204
    assert bad_way.table.items.keys() == {f"session#{SESSION}"}
    assert bad_way.table.connections == bad_way.table.resets + 1


NO_ANSWERS = [
    b"",
    b"null",
    b"[]",
    b'"x"',
    b"{}",
    b"<html></html>",
    b"[" * 100_000,
    b'{"Responses": {"%s": {}}}' % TABLE.encode(),
]


SAID = {"fail": ("revocation_unchecked", None), "allow": ("allowed", 1)}


@pytest.mark.parametrize("outage", SAID)
def test_what_is_no_answer_of_the_table_is_an_outage(
    outage: str, start: Start, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A proxy, a wrong endpoint: 500, or with `allow` the token decides, and the record says so."""
    table = DynamoDb()
    with serving(table) as address:
        handler = start(hanko.url, HANKO_SESSION_ON_OUTAGE=outage, **near(monkeypatch, address))
        for table.says in NO_ANSWERS:
            if outage == "allow":
                assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True
            else:
                with pytest.raises(AuthorizerUnavailable):
                    handler(event_with("http_v2", hanko.mint()), CONTEXT)
            line = record(capsys)
            assert (line["reason"], line.get("SessionUnchecked")) == SAID[outage]
            assert line["revocation_failure"] == "malformed"
