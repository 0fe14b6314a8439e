"""An AppSync Event API in the local AWS, made of examples/appsync-events.yaml, and what clients do to it.

The local AWS's CloudFormation does not know AWS::AppSync::Api (findings/ministack_cloudformation_skips_event_apis.sh).
So the template's properties are handed to AppSync's own API, which takes the same ones.
"""

import base64
import http.client
import json
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import yaml
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from local.aws import LocalAws
from local.build import ROOT
from local.calls import CALL_SECONDS

TEMPLATE = ROOT / "examples" / "appsync-events.yaml"
WEBSOCKET, ACCEPTED, REFUSED = 101, 200, 401

Headers = Mapping[str, str]


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms as the names in them."""


_Template.add_multi_constructor("!", lambda loader, _, node: getattr(loader, f"construct_{node.id}")(node))


class EventApi:
    """One Event API."""

    def __init__(self, aws: LocalAws, name: str, authorizer_arn: str) -> None:
        """Create the API and its namespaces, with what the template says of them."""
        parts = yaml.load(TEMPLATE.read_text(), _Template)["Resources"].values()  # noqa: S506 - a SafeLoader
        client, known = aws.client("appsync"), {"AuthorizerArn": authorizer_arn, "AWS::StackName": name}
        (api,) = (_arguments(one, known) for one in parts if one["Type"] == "AWS::AppSync::Api")
        self._api: dict[str, Any] = client.create_api(**api)["api"]
        self.id: str = self._api["apiId"]
        for one in parts:
            if one["Type"] == "AWS::AppSync::ChannelNamespace":
                client.create_channel_namespace(apiId=self.id, name=one["Properties"]["Name"])
        self._place = urlsplit(aws.endpoint)
        self.url = f"http://{self._api['dns']['HTTP']}/event"
        self.websocket_url = f"ws://{self._api['dns']['REALTIME']}/event/realtime"

    @contextmanager
    def connect(self, headers: Headers) -> Iterator["Subscriber"]:
        """Connect as Amplify does: the headers travel in a subprotocol. Raises PermissionError if that is refused."""
        authorization = {"host": self._api["dns"]["HTTP"], **headers}
        encoded = base64.urlsafe_b64encode(json.dumps(authorization).encode()).decode().rstrip("=")
        offered: Any = ["aws-appsync-event-ws", f"header-{encoded}"]  # the library has a type of its own for them
        # The name in the URL is no name here; it must be in the request's Host.
        there = socket.create_connection((self._place.hostname or "", self._place.port or 0), CALL_SECONDS)
        with connect(self.websocket_url, sock=there, subprotocols=offered, open_timeout=CALL_SECONDS) as connected:
            subscriber = Subscriber(connected, authorization)
            subscriber.open()
            yield subscriber

    def publish(self, channel: str, event: object, headers: Headers) -> int:
        """Publish one event over HTTP; the status."""
        connection = http.client.HTTPConnection(self._place.netloc, timeout=CALL_SECONDS)
        try:
            body = json.dumps({"channel": channel, "events": [json.dumps(event)]})
            host = self._api["dns"]["HTTP"]
            connection.request("POST", "/event", body, {"Host": host, "Content-Type": "application/json", **headers})
            return connection.getresponse().status
        finally:
            connection.close()

    def ask(self, asked: str, headers: Headers) -> int:
        """The status of `CONNECT`, `SUBSCRIBE /channel` or `PUBLISH /channel`; on the WebSocket 401 is a refusal."""
        operation, _, channel = asked.partition(" ")
        if operation == "PUBLISH":
            return self.publish(channel, {}, headers)
        try:
            with self.connect(headers) as subscriber:
                return WEBSOCKET if operation == "CONNECT" else subscriber.subscribe(channel)
        except PermissionError:
            return REFUSED


class Subscriber:
    """A client that is connected."""

    def __init__(self, connected: ClientConnection, authorization: Headers) -> None:
        self._connected, self._authorization = connected, authorization

    def open(self) -> None:
        """Say hello. Raises PermissionError if the connection is refused."""
        try:
            self._connected.send('{"type": "connection_init"}')
            kind = self.next("connection_")["type"]
        except ConnectionClosed:
            kind = "closed"
        if kind != "connection_ack":
            raise PermissionError("the connection was refused")

    def subscribe(self, channel: str) -> int:
        """Subscribe; 200 or 401."""
        frame = {"type": "subscribe", "id": str(uuid.uuid4()), "channel": channel, "authorization": self._authorization}
        self._connected.send(json.dumps(frame))
        return ACCEPTED if self.next("subscribe_")["type"] == "subscribe_success" else REFUSED

    def next(self, kind: str = "data") -> dict[str, Any]:
        """The next frame whose type begins so; the others are passed over."""
        while True:
            frame: dict[str, Any] = json.loads(self._connected.recv(timeout=CALL_SECONDS))
            if frame["type"].startswith(kind):
                return frame


def _arguments(resource: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """A resource's properties as arguments of boto3, which begin with a small letter."""

    def converted(value: Any) -> Any:  # noqa: ANN401 - any part of a template
        match value:
            case dict():
                return {name[0].lower() + name[1:]: converted(part) for name, part in value.items()}
            case list():
                return [converted(part) for part in value]
            case str():
                return known.get(value, value)
        return value

    arguments: dict[str, Any] = converted(resource["Properties"])
    return arguments
