"""Log out at Hanko: the open WebSocket of that session, and no other, is closed."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from local.calls import CALL_SECONDS, call_http
from local.deployment import ALIAS, Deployment
from local.hanko import StandInHanko
from local.hanko.webhooks import TIMEOUT_SECONDS

# Counted from when the client sends its logout to Hanko, before Hanko sends the webhook. The first logout starts the
# processes of receiver and Closer: Hanko waits so long for the receiver, and Closer may take no longer.
CLOSED_WITHIN_SECONDS = {"cold": TIMEOUT_SECONDS, "warm": 1.0}
EVENTS = ["session.delete", "user.delete"]


@dataclass(frozen=True)
class Chat:
    """The WebSocket example, whose connections end with their sessions."""

    hanko: StandInHanko
    url: str

    def connect(self, token: str) -> ClientConnection:
        return connect(self.url, additional_headers={"Authorization": f"Bearer {token}"}, open_timeout=CALL_SECONDS)

    def log_out(self, token: str) -> None:
        """As a client does, over HTTP. Hanko sends the webhook in the background."""
        assert call_http(f"{self.hanko.url}/logout", {"Authorization": f"Bearer {token}"}, method="POST").status == 204


@pytest.fixture(scope="module")
def chat(deployment: Deployment) -> Iterator[Chat]:
    aws = deployment.aws
    with StandInHanko() as hanko:  # of its own: nobody else is to be logged out
        settings = {"HankoApiUrl": hanko.url, "EnableRevocation": "true", "EnableRevocationTopic": "true"}
        outputs = deployment.deploy_authorizer("with-topic", **settings)
        parameters = {
            ALIAS: outputs[ALIAS],
            "RevocationTopicArn": outputs["RevocationTopicArn"],
            "ManagementUrl": aws.rest_url("", "").rstrip("/"),
            "RouteResponses": "false",
        }
        api = aws.deploy("examples/websocket.yaml", "websocket-with-topic", parameters)
        hanko.subscribe(aws.function_url(outputs["WebhookUrl"]), EVENTS)
        yield Chat(hanko, aws.websocket_url(api["ApiId"], api["StageName"]))


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def is_open(socket: ClientConnection) -> bool:
    try:
        socket.send('{"action": "me"}')
        return "user_id" in json.loads(socket.recv(timeout=CALL_SECONDS))
    except ConnectionClosed:
        return False


def wait_until_closed(socket: ClientConnection) -> None:
    with pytest.raises(ConnectionClosed):
        socket.recv(timeout=CALL_SECONDS)


def test_logout_closes_the_socket_of_that_session_and_no_other(chat: Chat) -> None:
    """Both of its sockets within a second, once the functions are warm."""
    user = claims_of(chat.hanko.mint())["sub"]
    with ExitStack() as sockets:
        for attempt in ("cold", "warm"):
            ended, other_session = (chat.hanko.mint(claims={"sub": user}) for _ in range(2))
            first, second = (sockets.enter_context(chat.connect(ended)) for _ in range(2))
            others = [sockets.enter_context(chat.connect(token)) for token in (other_session, chat.hanko.mint())]
            assert all(map(is_open, [first, second, *others]))
            began = time.monotonic()
            chat.log_out(ended)
            wait_until_closed(first)
            wait_until_closed(second)
            waited = time.monotonic() - began
            assert waited < CLOSED_WITHIN_SECONDS[attempt]
            chat.hanko.webhooks.wait()
            assert chat.hanko.webhooks.delivered[-1] == ("session.delete.explicit.logout", 204)
            assert [is_open(socket) for socket in [first, second, *others]] == [False, False, True, True]


def test_who_was_closed_does_not_come_back(chat: Chat) -> None:
    token = chat.hanko.mint()
    with chat.connect(token) as socket:
        chat.log_out(token)
        wait_until_closed(socket)
    with pytest.raises(InvalidHandshake), chat.connect(token):
        pass


def test_a_deleted_user_loses_every_connection(chat: Chat) -> None:
    user = claims_of(chat.hanko.mint())["sub"]
    tokens = [chat.hanko.mint(claims={"sub": user}) for _ in range(2)]
    with ExitStack() as sockets:
        mine = [sockets.enter_context(chat.connect(token)) for token in tokens]
        other = sockets.enter_context(chat.connect(chat.hanko.mint()))
        chat.hanko.delete_user(user)
        chat.hanko.webhooks.wait()
        for socket in mine:
            wait_until_closed(socket)
        assert is_open(other)
