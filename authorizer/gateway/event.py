"""Readers that several API kinds share. They trust no type in the event."""

from authorizer.gateway.iam import Arn
from authorizer.model import CredentialSources, EventKind, Request, Scope

MAX_TEXT_CHARACTERS = 128


# Members of the events of API kinds, which pings do not have, and the `source` of the usual pings.
_OF_REQUESTS = frozenset(("type", "authorizationToken", "requestContext", "methodArn", "routeArn"))
_PINGERS = ("serverless-plugin-warmup", "aws.events", "aws.scheduler")


def is_warm_up(event: object) -> bool:
    """Whether an event is a ping that keeps the function warm. No client of an API can send one."""
    if not isinstance(event, dict) or not _OF_REQUESTS.isdisjoint(event):
        return False
    return event.get("source") in _PINGERS or event.get("warmer") is True or event.get("warmup") is True


def section(event: dict[str, object], name: str) -> dict[str, object]:
    """The member `name` if it is an object, else an empty one."""
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """An id that AWS sets, for the log: ASCII, at most `MAX_TEXT_CHARACTERS`; "" if it is no string.

    ASCII, because a direct invocation can send a lone surrogate, which no stream can write.
    """
    return value.encode("ascii", "backslashreplace")[:MAX_TEXT_CHARACTERS].decode() if isinstance(value, str) else ""


def routed_request(
    kind: EventKind, event: dict[str, object], arn: Arn, sources: CredentialSources, scope: Scope | None = None
) -> Request:
    """The request of a kind with an execute-api ARN. Only a TOKEN event has no request id."""
    request_id = text(section(event, "requestContext").get("requestId"))
    return Request(kind, sources, arn.api_id, arn.stage, arn.stage_arn, arn.method, request_id, arn.path, scope)


def sources_in_v1(event: dict[str, object]) -> CredentialSources:
    """The credential sources of REST APIs, WebSocket APIs and payload 1.0. Each map can be null."""
    return CredentialSources(
        headers=event.get("headers"),
        multi_value_headers=event.get("multiValueHeaders"),
        query=event.get("multiValueQueryStringParameters"),
    )
