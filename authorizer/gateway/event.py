"""What the events of several API kinds have in common, read without trusting their shape."""

from authorizer.exchange import EventKind, Offers, Request, Scope
from authorizer.gateway.iam import Arn

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
    kind: EventKind, event: dict[str, object], arn: Arn, offers: Offers, scope: Scope | None = None
) -> Request:
    """The request of every kind that has an execute-api ARN; a TOKEN event alone has no request id."""
    request_id = text(section(event, "requestContext").get("requestId"))
    return Request(kind, offers, arn.api_id, arn.stage, arn.stage_arn, arn.method, request_id, arn.path, scope)


def offers_in_v1(event: dict[str, object]) -> Offers:
    """What a REQUEST event of a REST API, a WebSocket or payload 1.0 offers. Any of its maps can be null."""
    return Offers(
        headers=event.get("headers"),
        multi_value_headers=event.get("multiValueHeaders"),
        query=event.get("multiValueQueryStringParameters"),
    )
