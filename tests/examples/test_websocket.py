"""The functions of examples/websocket.yaml: what they store, and what they close when a session or user is revoked."""

import json
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]  # ships no types
from servers import running

ROOT = Path(__file__).parent.parent.parent
NOW, FOREVER = 1_800_000_000, 4_102_444_800
GONE, BUSY, HANGS_UP = 410, 429, 0
TABLE = "connections"
HALF_A_PAGE = "x" * 350_000  # DynamoDB ends a page after a megabyte
Json = dict[str, Any]


class Api(ThreadingHTTPServer):
    """API Gateway's @connections of one stage."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.closed: list[str] = []
        self.statuses: dict[str, int] = {}  # of connections that it does not close

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Call(BaseHTTPRequestHandler):
    server: Api

    def do_DELETE(self) -> None:
        connection = self.path.rpartition("/@connections/")[2]
        status = self.server.statuses.get(connection, 204)
        if status == 204:
            self.server.closed.append(connection)
        if status == HANGS_UP:
            return
        kinds = {GONE: "GoneException", BUSY: "LimitExceededException"}
        self.send_response(status)
        self.send_header("x-amzn-ErrorType", kinds.get(status, ""))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing."""


class Chat:
    """Both functions, with a table of their own."""

    def __init__(self, api: Api) -> None:
        self.api, self.table = api, boto3.resource("dynamodb").Table(TABLE)
        resources = yaml_parse((ROOT / "examples" / "websocket.yaml").read_text())["Resources"]
        table = {k: v for k, v in resources["Connections"]["Properties"].items() if not k.endswith("Specification")}
        self.table.meta.client.create_table(TableName=TABLE, **table)
        self._backend, self._closer = (_handler(resources[name]) for name in ("Backend", "Closer"))

    def connect(self, session: str, user: str, issued_at: int = NOW) -> tuple[int, str]:
        """The backend's status, and the id of the connection."""
        connection = str(uuid.uuid4())
        return self.send("CONNECT", connection, session, user, issued_at), connection

    def send(self, kind: str, connection: str, session: str, user: str, issued_at: int = NOW) -> int:
        """An event of a connection; the backend's status. API Gateway makes texts of the authorizer's context."""
        caller = {"user_id": user, "session_id": session, "issued_at": str(issued_at)}
        context = {"authorizer": caller, "eventType": kind, "connectionId": connection}
        status: int = self._backend({"requestContext": context, "headers": {}}, None)["statusCode"]
        return status

    def revoke(self, kind: str, identifier: str, issued_until: int = FOREVER, version: int = 1) -> None:
        """What the topic says, as SNS hands it to a function."""
        said = {"version": version, "kind": kind, "id": identifier, "issued_until": issued_until, "expires_at": NOW}
        self._closer({"Records": [{"Sns": {"Message": json.dumps(said)}}]}, None)

    def age(self, connection: str, seconds: int) -> None:
        """Have it stored so long ago."""
        for item in self.table.scan()["Items"]:
            if item["connection"] == connection:
                self.table.put_item(Item={**item, "expires_at": item["expires_at"] - seconds})

    @property
    def stored(self) -> set[str]:
        """The connections in the table."""
        return {one["connection"] for one in self.table.scan()["Items"]} - {"revoked"}


def _handler(function: Json) -> Callable[[Json, None], Json]:
    module: Json = {}
    exec(function["Properties"]["Code"]["ZipFile"], module)  # noqa: S102 - what Lambda does with it
    handler: Callable[[Json, None], Json] = module["handler"]
    return handler


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    api = Api()
    with mock_aws(), running(api):
        variables = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_MAX_ATTEMPTS": "1", "TABLE": TABLE}
        variables |= {"MANAGEMENT_URL": api.url, "ALLOWED_ORIGIN": "https://app.example.com"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield Chat(api)


def test_a_session_has_as_many_connections_as_it_likes(chat: Chat) -> None:
    mine = {chat.connect("s", "u") for _ in range(2)}
    chat.connect("another", "u")
    chat.revoke("session", "s")
    assert {(200, one) for one in chat.api.closed} == mine


def test_a_user_loses_the_connections_of_logins_up_to_then(chat: Chat) -> None:
    """Of every session; a later login, and another user, keep theirs."""
    old = {chat.connect(session, "u", NOW - 1)[1] for session in ("a", "b")}
    at_that_time = chat.connect("c", "u")[1]
    chat.connect("d", "u", NOW + 1)
    chat.connect("e", "another", NOW - 1)
    chat.revoke("user", "u", NOW)
    assert set(chat.api.closed) == old | {at_that_time}


def test_every_page_is_read(chat: Chat) -> None:
    for number in range(9):
        item = {"subject": "user#u", "connection": str(number), "issued_at": NOW, "padding": HALF_A_PAGE}
        chat.table.put_item(Item=item)
    assert "LastEvaluatedKey" in chat.table.scan()
    chat.revoke("user", "u")
    assert sorted(chat.api.closed) == list("012345678")


def test_a_connection_that_is_gone_is_closed(chat: Chat) -> None:
    gone, there = (chat.connect("s", "u")[1] for _ in range(2))
    chat.age(gone, seconds=60)
    chat.api.statuses[gone] = GONE
    chat.revoke("session", "s")
    assert chat.api.closed == [there]


def test_a_connection_that_is_not_open_yet_is_tried_again(chat: Chat) -> None:
    """Between the end of $connect's function and its opening, API Gateway says that it is gone."""
    connecting, there = (chat.connect("s", "u")[1] for _ in range(2))
    chat.api.statuses[connecting] = GONE
    with pytest.raises(ClientError):
        chat.revoke("session", "s")
    assert chat.api.closed == [there]


@pytest.mark.parametrize(("status", "error"), [(BUSY, ClientError), (HANGS_UP, BotoCoreError)])
def test_a_connection_that_cannot_be_closed_keeps_no_other_open(
    chat: Chat, status: int, error: type[Exception]
) -> None:
    """And Lambda hears of it, so that it repeats the message."""
    connections = [chat.connect("s", "u")[1] for _ in range(4)]
    chat.api.statuses[min(connections)] = status
    with pytest.raises(error):
        chat.revoke("session", "s")
    assert set(chat.api.closed) == set(connections) - {min(connections)}
    chat.api.statuses.clear()
    chat.revoke("session", "s")
    assert set(chat.api.closed) == set(connections)


@pytest.mark.parametrize(("kind", "identifier"), [("session", "s"), ("user", "u")])
def test_who_connects_after_the_logout_is_refused_and_forgotten(chat: Chat, kind: str, identifier: str) -> None:
    """The authorizer said yes before the revocation, and the connection is stored after Closer has looked."""
    chat.revoke(kind, identifier)
    assert chat.connect("s", "u")[0] == 401
    assert chat.stored == set()
    assert chat.connect("another", "somebody else")[0] == 200


def test_an_older_message_that_comes_later_takes_nothing_back(chat: Chat) -> None:
    chat.revoke("user", "u", NOW)
    chat.revoke("user", "u", NOW - 10)
    assert chat.connect("s", "u", NOW - 5)[0] == 401
    chat.revoke("user", "u", NOW + 10)
    assert chat.connect("s", "u", NOW + 5)[0] == 401


def test_who_leaves_is_forgotten(chat: Chat) -> None:
    _, connection = chat.connect("s", "u")
    assert chat.stored == {connection}
    chat.send("DISCONNECT", connection, "s", "u")
    assert chat.stored == set()


def test_a_message_of_another_version_is_not_guessed_at(chat: Chat) -> None:
    chat.connect("s", "u")
    with pytest.raises(ValueError, match="another version"):
        chat.revoke("session", "s", version=2)
    assert chat.api.closed == []
