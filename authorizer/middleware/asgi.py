"""ASGI middleware, for Starlette, FastAPI, Litestar, Quart and whatever else speaks ASGI 3.

Source: the ASGI specification, "HTTP & WebSocket ASGI Message Format".
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Unpack
from urllib.parse import parse_qs

from authorizer.errors import Misconfigured, Reason
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
_HIDDEN_ROOT_PATH = "Wrong settings:\nwith FastAPI(root_path=...) use app.add_middleware(HankoMiddleware)"
POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1


class HankoMiddleware:
    """Lets requests and WebSockets with a session pass: `scope["hanko"]`, and Starlette's `request.state.hanko`."""

    def __init__(
        self, app: App, authenticator: HankoAuthenticator | None = None, **options: Unpack[GuardOptions]
    ) -> None:
        """See `Guard`.

        Raises `Misconfigured(settings_invalid)` for a FastAPI, other middleware around it or not, that takes its own
        root path off paths, unseen from here.
        """
        if _hides_root_path(app):
            raise Misconfigured(Reason.SETTINGS_INVALID, _HIDDEN_ROOT_PATH)
        self._app = app
        self._guard = Guard(authenticator, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection; the lifespan passes. Raises `NotImplementedError` for any other kind."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] not in {"http", "websocket"}:
            raise NotImplementedError(scope["type"])
        try:
            session = await self._guard.session_async(incoming_of(scope))
        except Refused as refused:
            await _refuse(refused, scope, receive, send)
            return
        state = {**scope.get("state", {}), "hanko": session}
        await self._app({**scope, "hanko": session, "state": state}, receive, send)


def incoming_of(scope: Scope) -> Incoming:
    """The request of a scope. Mangum puts the event of API Gateway beside it."""
    headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"] if name in _WANTED]
    event = scope.get("aws.event")
    context = event.get("requestContext") if isinstance(event, dict) else None
    if scope["type"] == "http":
        return Incoming(headers, scope["method"], _routed_path(scope), request_context=context)
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return Incoming(headers, "GET", _routed_path(scope), is_websocket=True, query=query, request_context=context)


def _routed_path(scope: Scope) -> str:
    """The path by which frameworks find a route: without the root path, which Starlette takes with and without.

    "", which is unusual, where frameworks differ: of `/api`, Quart takes `/apiadmin` for `/admin`, and Litestar
    `/x/api/admin`, too. Litestar's own list of middleware gets paths that are without it already.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if not root.strip("/") or root not in path:
        return path
    before, _, behind = path.partition(root)
    is_litestars = "route_handler" in scope
    return "" if before or behind[:1] not in {"", "/"} or is_litestars else behind or "/"


def _hides_root_path(app: object) -> bool:
    """Whether it is a FastAPI with a root path of its own, or middleware around one, which keeps it as `app`."""
    seen: list[object] = []
    while app is not None and not any(app is one for one in seen):  # its `app` may be itself
        if hasattr(app, "root_path_in_servers") and getattr(app, "root_path", None):
            return True
        seen.append(app)
        app = getattr(app, "app", None)
    return False


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
