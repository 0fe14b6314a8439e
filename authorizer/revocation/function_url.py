"""Lambda Function URLs, which receive Hanko's webhooks: the event (payload 2.0) and the answer, a bare status."""

import base64

from authorizer.errors import Outcome, Reason, Unauthenticated
from authorizer.gateway.event import section, text

_STATUS_BY_REASON = {
    Reason.WEBHOOK_MALFORMED: 400,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.BODY_TOO_LARGE: 413,
    Reason.WEBHOOK_AUDIENCE: 204,  # it is done, and six failures would make Hanko switch the webhook off
}
_STATUS = {Outcome.RECEIVED: 204, Outcome.UNAUTHENTICATED: 401}


def parse_body(event: object, max_body_bytes: int) -> bytes:
    """Return the body of a POST. Anybody who knows the URL can send one, of up to 6 MB.

    Raises `Unauthenticated`: `method_not_allowed`, `body_too_large`, or `webhook_malformed` without a readable body.
    """
    if not isinstance(event, dict) or section(section(event, "requestContext"), "http").get("method") != "POST":
        raise Unauthenticated(Reason.METHOD_NOT_ALLOWED)
    body, is_base64 = event.get("body"), event.get("isBase64Encoded") is True
    if not isinstance(body, str):
        raise Unauthenticated(Reason.WEBHOOK_MALFORMED)
    try:
        data = base64.b64decode(body, validate=True) if is_base64 else body.encode()
    except ValueError:
        raise Unauthenticated(Reason.WEBHOOK_MALFORMED) from None
    if len(data) > max_body_bytes:
        raise Unauthenticated(Reason.BODY_TOO_LARGE)
    return data


def request_id(event: object) -> str:
    """AWS's own id of the request, for the log; "" where there is none."""
    return text(section(event, "requestContext").get("requestId")) if isinstance(event, dict) else ""


def status_of(reason: Reason) -> int:
    """Return the HTTP status. Hanko counts a webhook as delivered below 400. 503: it may have been genuine."""
    return _STATUS_BY_REASON.get(reason) or _STATUS.get(reason.outcome, 503)


def render(status: int) -> dict[str, object]:
    """Return the answer. It has no body: the status is all that Hanko needs."""
    allow = {"Allow": "POST"} if status == _STATUS_BY_REASON[Reason.METHOD_NOT_ALLOWED] else {}
    return {"statusCode": status, "headers": {"Cache-Control": "no-store", **allow}}
