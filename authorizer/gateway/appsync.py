"""AppSync GraphQL APIs with AWS_LAMBDA authorization. A refusal is a 401.

Source: AWS, "AppSync: AWS_LAMBDA authorization".
"""

import re

from authorizer.errors import Reason, Unauthenticated
from authorizer.exchange import Decision, EventKind, Offers, Request
from authorizer.gateway.event import section, text

_API_ID = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)


def is_graphql(event: dict[str, object]) -> bool:
    """Whether an event without type and version is AppSync's: its context holds the GraphQL document."""
    return "queryString" in section(event, "requestContext")


def parse(event: dict[str, object]) -> Request:
    """The event: authorizationToken and a request context with the API, the query and its variables; no ARN."""
    context = section(event, "requestContext")
    api_id = context.get("apiId")
    if not isinstance(api_id, str) or not _API_ID.fullmatch(api_id):
        raise Unauthenticated(Reason.EVENT_UNKNOWN)
    offers = Offers(token=event.get("authorizationToken"))
    return Request(EventKind.APPSYNC, offers, api_id, "", "", "", text(context.get("requestId")))


def render(decision: Decision) -> dict[str, object]:
    """`isAuthorized`, and for the resolvers the same context as everywhere."""
    if decision.allowed:
        return {"isAuthorized": True, "resolverContext": dict(decision.context)}
    return {"isAuthorized": False}
