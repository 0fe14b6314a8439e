"""WebSocket APIs: a REQUEST authorizer on $connect, the only route that can have one. The answer is a REST API's.

Source: AWS, "Control access to WebSocket APIs with AWS Lambda REQUEST authorizers".
"""

from authorizer.gateway.event import routed_request, section, sources_in_v1
from authorizer.gateway.iam import CONNECT_ARN, parse_arn
from authorizer.model import EventKind, Request


def is_connect(event: dict[str, object]) -> bool:
    """Whether a REQUEST event without a version comes from a WebSocket API. A REST API's has no event type."""
    return section(event, "requestContext").get("eventType") == "CONNECT"


def parse(event: dict[str, object]) -> Request:
    """The $connect event. It has no path."""
    arn = parse_arn(event.get("methodArn"), CONNECT_ARN)
    return routed_request(EventKind.WEBSOCKET, event, arn, sources_in_v1(event))
