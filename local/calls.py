"""Calls to an API over real HTTP and WebSockets, and their answers."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

CALL_SECONDS = 30

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Seen:
    """An answer: the status, and what the backend was told about the caller."""

    status: int
    caller: Mapping[str, Any] = field(default_factory=dict)
    headers: Headers = field(default_factory=dict)
    is_read: bool = False  # from the authorizer's answer: the local AWS does not act on it

    @property
    def shown(self) -> str:
        """`403`, or `403^` if it is read from the authorizer's answer."""
        return f"{self.status}^" if self.is_read else str(self.status)


def call_http(url: str, headers: Headers, body: str | None = None, *, method: str = "GET") -> Seen:
    """Send the path as it is, however odd. An answer without a JSON object says nothing about the caller."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=CALL_SECONDS)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return Seen(response.status, _object(response.read()), dict(response.getheaders()))
    finally:
        connection.close()


def call_graphql(url: str, headers: Headers, operation: str = "query", name: str = "me") -> Seen:
    """Ask for a field. Its value is the caller."""
    query = f"{operation} {{ {name} {{ userId email expiresAt }} }}"
    seen = call_http(url, headers, json.dumps({"query": query}), method="POST")
    me = (seen.caller.get("data") or {}).get(name) or {}
    caller = {"user_id": me.get("userId"), "email": me.get("email"), "expires_at": me.get("expiresAt")} if me else {}
    return Seen(seen.status, caller, seen.headers)


def call_websocket(url: str, headers: Headers, subprotocols: list[str] | None = None) -> Seen:
    """Connect, and ask the backend who is calling. 101 is success."""
    offered: Any = subprotocols  # the library has a type of its own for them
    try:
        with connect(url, additional_headers=dict(headers), subprotocols=offered, open_timeout=CALL_SECONDS) as socket:
            socket.send('{"action": "me"}')
            answer = socket.recv(timeout=CALL_SECONDS)
            return Seen(101, _object(answer), {"Sec-WebSocket-Protocol": socket.subprotocol or ""})
    except InvalidStatus as refused:
        return Seen(refused.response.status_code)


def _object(body: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
