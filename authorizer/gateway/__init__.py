"""The AWS side: parses events and renders answers. It does not know Hanko.

A new API kind is a new file here, a member of `EventKind` and a case in each `match` below: CONTRIBUTING.md lists all.
"""

from typing import assert_never

from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason
from authorizer.gateway import appsync, appsync_events, http_api, rest_api, websocket_api
from authorizer.gateway.raised import Unauthorized
from authorizer.model import Decision, EventKind, Request


def parse(event: object, settings: Settings, function_arn: str = "") -> Request:
    """Tell the API kind by the members that AWS documents, and read the event. Tokens are not looked at.

    `function_arn` is the ARN that this function was invoked by.

    Raises `Misconfigured`: `arn_invalid` for an impossible ARN, `event_unknown` for every other event. No client of an
    API can cause either.
    """
    if not isinstance(event, dict):
        raise Misconfigured(Reason.EVENT_UNKNOWN)
    match (event.get("type"), event.get("version")):
        case ("TOKEN", None):
            request = rest_api.parse_token(event)
        case ("REQUEST", None) if websocket_api.is_connect(event):
            request = websocket_api.parse(event)
        case ("REQUEST", None):
            request = rest_api.parse_request(event)
        case ("REQUEST", "1.0"):
            request = http_api.parse_v1(event)
        case ("REQUEST", "2.0"):
            request = http_api.parse_v2(event, settings.http_api_response)
        case (None, None) if appsync.is_graphql(event):
            request = appsync.parse(event, function_arn)
        case (None, None) if appsync_events.is_events(event):
            request = appsync_events.parse(event)
        case _:
            raise Misconfigured(Reason.EVENT_UNKNOWN)
    return request


def render(request: Request, decision: Decision, settings: Settings) -> dict[str, object] | Unauthorized:
    """The answer in the form that this API kind expects. The caller raises `Unauthorized`."""
    match request.kind:
        case EventKind.REST_TOKEN | EventKind.REST_REQUEST | EventKind.WEBSOCKET:
            return rest_api.render(request, decision)
        case EventKind.HTTP_API_V1 | EventKind.HTTP_API_V2:
            return http_api.render(request, decision, settings.http_api_response)
        case EventKind.APPSYNC:
            return appsync.render(request, decision)
        case EventKind.APPSYNC_EVENTS:
            return appsync_events.render(decision)
        case _:
            assert_never(request.kind)
