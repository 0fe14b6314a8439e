"""AppSync Event APIs with AWS_LAMBDA authorization, asked at connect, at each subscription and at each publication.

Source: AWS, "AppSync Events: Configuring authorization and authentication to secure Event APIs".
"""

from authorizer.errors import Misconfigured, Reason
from authorizer.gateway.appsync import parse_api_id
from authorizer.gateway.event import section, text
from authorizer.model import CredentialSources, Decision, EventKind, Request

_CONNECT = "EVENT_CONNECT"
_OPERATIONS = {_CONNECT: "CONNECT", "EVENT_SUBSCRIBE": "SUBSCRIBE", "EVENT_PUBLISH": "PUBLISH"}


def is_events(event: dict[str, object]) -> bool:
    """Whether an event without type and version comes from an Event API: its context names an operation of theirs."""
    operation = section(event, "requestContext").get("operation")
    return isinstance(operation, str) and operation in _OPERATIONS


def parse(event: dict[str, object]) -> Request:
    """Read authorizationToken and request context. The operation is the request's method, the channel its path.

    Raises `Misconfigured(event_unknown)` if a subscription or publication names no channel.
    """
    context = section(event, "requestContext")
    operation = str(context.get("operation"))
    channel = "" if operation == _CONNECT else context.get("channel")  # null or absent there
    if not isinstance(channel, str):
        raise Misconfigured(Reason.EVENT_UNKNOWN)
    sources, api_id = CredentialSources(token=event.get("authorizationToken")), parse_api_id(context)
    request_id = text(context.get("requestId"))
    return Request(EventKind.APPSYNC_EVENTS, sources, api_id, "", "", _OPERATIONS[operation], request_id, channel)


def render(decision: Decision) -> dict[str, object]:
    """`isAuthorized`, and the context for the event handlers. AWS documents texts there, so all values are texts."""
    if not decision.allowed:
        return {"isAuthorized": False, "ttlOverride": decision.reuse_seconds}
    context = {name: _text(one) for name, one in decision.context.items()}
    return {"isAuthorized": True, "handlerContext": context, "ttlOverride": decision.reuse_seconds}


def _text(value: str | float) -> str:
    """A value as a REST API passes it on."""
    return str(value).lower() if isinstance(value, bool) else str(value)
