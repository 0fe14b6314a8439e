"""HANKO_BEHIND: the authorizer is in front, and its context says who is calling.

Adapters hand the event's request context on beside the request, where no client can put anything. Lambda Web Adapter
sends it as a header, which any client can send to a server that has no adapter in front: it counts only if the setting
says so, and only inside Lambda.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum

from authorizer.errors import Misconfigured, Reason
from authorizer.middleware.incoming import Incoming
from authorizer.middleware.session import Session, session_of
from authorizer.model import ContextValue

WEB_ADAPTER_HEADER = "x-amzn-request-context"


class Behind(StrEnum):
    """What is in front."""

    API_GATEWAY = "api-gateway"
    WEB_ADAPTER = "lambda-web-adapter"


def parse_behind(environ: Mapping[str, str]) -> Behind | None:
    """The setting; None if there is nothing in front. Raises `Misconfigured(settings_invalid)`."""
    value = environ.get("HANKO_BEHIND", "")
    if value not in ("", *Behind):
        raise Misconfigured(
            Reason.SETTINGS_INVALID, f"Wrong settings:\nHANKO_BEHIND must be one of {', '.join(Behind)}, or empty"
        )
    if value == Behind.WEB_ADAPTER and "AWS_LAMBDA_FUNCTION_NAME" not in environ:
        raise Misconfigured(Reason.SETTINGS_INVALID, f"Wrong settings:\nHANKO_BEHIND={value} is for Lambda alone")
    return Behind(value) if value else None


class Gateway:
    """The authorizer in front."""

    def __init__(self, behind: Behind) -> None:
        """`behind` says where its context is."""
        self._behind = behind

    def session(self, incoming: Incoming) -> Session:
        """The session that the authorizer's context names. Raises `Misconfigured(identity_missing)`."""
        has_event = self._behind is Behind.API_GATEWAY
        context = _context_in(incoming.request_context if has_event else _sent_by_web_adapter(incoming.headers))
        match context:
            case {"user_id": str(user_id), "session_id": str(session_id)} if user_id and session_id:
                return session_of(context)
        raise Misconfigured(Reason.IDENTITY_MISSING)

    async def session_async(self, incoming: Incoming) -> Session:
        """The same: there is nothing to wait for."""
        return self.session(incoming)

    def key_fetch_failure(self) -> str | None:
        """None: no keys are fetched here."""

    def disconnect(self) -> None:
        """There is nothing to close."""

    def close(self) -> None:
        """The same."""


def _context_in(request_context: object) -> dict[str, ContextValue]:
    """The authorizer's context, from the one place where that kind of API has it."""
    match request_context:
        case {"http": _, "authorizer": {"lambda": dict() as context}}:  # an HTTP API, payload 2.0
            return context
        case {"http": _}:
            return {}
        case {"authorizer": dict() as context}:  # a REST API, a WebSocket, payload 1.0
            return context
    return {}


def _sent_by_web_adapter(headers: Sequence[tuple[str, str]]) -> object:
    values = [value for name, value in headers if name == WEB_ADAPTER_HEADER]
    try:
        return json.loads(values[0]) if len(values) == 1 else None
    except (ValueError, RecursionError):
        return None
