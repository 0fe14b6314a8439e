"""What the events of several API kinds have in common, read without trusting their shape."""

from authorizer.gateway.iam import Arn
from authorizer.model import CredentialSources, EventKind, Request, Scope

MAX_TEXT_CHARACTERS = 128


def section(event: dict[str, object], name: str) -> dict[str, object]:
    """The object called `name`, or an empty one."""
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """An id of AWS's own, for the log, in ASCII and cut to a sane length; "" where there is none.

    Whoever invokes the function can put a lone surrogate there, which no log line could be written with.
    """
    return value.encode("ascii", "backslashreplace")[:MAX_TEXT_CHARACTERS].decode() if isinstance(value, str) else ""


def routed_request(
    kind: EventKind, event: dict[str, object], arn: Arn, sources: CredentialSources, scope: Scope | None = None
) -> Request:
    """The request of every kind that has an execute-api ARN; a TOKEN event alone has no request id."""
    request_id = text(section(event, "requestContext").get("requestId"))
    return Request(kind, sources, arn.api_id, arn.stage, arn.stage_arn, arn.method, request_id, arn.path, scope)


def sources_in_v1(event: dict[str, object]) -> CredentialSources:
    """What a REQUEST event of a REST API, a WebSocket or payload 1.0 sources. Any of its maps can be null."""
    return CredentialSources(
        headers=event.get("headers"),
        multi_value_headers=event.get("multiValueHeaders"),
        query=event.get("multiValueQueryStringParameters"),
    )
