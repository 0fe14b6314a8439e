"""ASGI middleware, for Starlette, FastAPI, Litestar, Quart and whatever else speaks ASGI 3.

Source: the ASGI specification, "HTTP & WebSocket ASGI Message Format".
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Unpack
from urllib.parse import parse_qs

from authorizer.middleware.authenticator import HankoAuthenticator
from authorizer.middleware.guard import Guard, GuardOptions
from authorizer.middleware.incoming import Incoming
from authorizer.middleware.refused import Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# The headers that the library reads; a browser sends twenty. ASGI has the names in lower case.
_WANTED = frozenset(
    (
        *(b"authorization", b"cookie", b"sec-websocket-protocol", b"host", b"origin"),
        *(b"access-control-request-method", b"x-amzn-request-context"),
    )
)
POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1


class HankoMiddleware:
    """Lets requests and WebSockets with a session pass: `scope["hanko"]`, and Starlette's `request.state.hanko`."""

    def __init__(
        self, app: App, authenticator: HankoAuthenticator | None = None, **options: Unpack[GuardOptions]
    ) -> None:
        """See `Guard`."""
        self._app = app
        self._guard = Guard(authenticator, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection. Only HTTP and WebSockets are checked; the lifespan passes."""
        if scope["type"] in ("http", "websocket"):
            try:
                session = await self._guard.session_async(incoming_of(scope))
            except Refused as refused:
                await _refuse(refused, scope, receive, send)
                return
            scope = {**scope, "hanko": session, "state": {**scope.get("state", {}), "hanko": session}}
        await self._app(scope, receive, send)


def incoming_of(scope: Scope) -> Incoming:
    """The request of a scope. Mangum puts the event of API Gateway beside it."""
    headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"] if name in _WANTED]
    event = scope.get("aws.event")
    context = event.get("requestContext") if isinstance(event, dict) else None
    if scope["type"] == "http":
        return Incoming(headers, scope["method"], _whole_path(scope), request_context=context)
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return Incoming(headers, "GET", _whole_path(scope), is_websocket=True, query=query, request_context=context)


def _whole_path(scope: Scope) -> str:
    """The path with the root path in front, which some servers leave out, and Starlette takes with and without."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return path if path == root or path.startswith(f"{root}/") else root + path


async def _refuse(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    """A WebSocket is refused with the same answer where the server can send it (WebSocket Denial Response)."""
    kind = "http"
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})  # the server answers 403
            return
        kind = "websocket.http"
    headers = [(name.lower().encode(), value.encode()) for name, value in refused.headers.items()]
    headers.append((b"content-length", str(len(refused.body)).encode()))
    await send({"type": f"{kind}.response.start", "status": refused.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": refused.body})
