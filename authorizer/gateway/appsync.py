"""AppSync GraphQL APIs with AWS_LAMBDA authorization. A refusal is a 401.

`ttlOverride`, how long AppSync may reuse the answer, is computed in reuse.py.

Source: AWS, "AppSync: AWS_LAMBDA authorization".
"""

import re

from authorizer.errors import Misconfigured, Reason
from authorizer.gateway.event import section, text
from authorizer.model import CredentialSources, Decision, EventKind, Request

_API_ID = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_PLACE = re.compile(r"arn:(aws(?:-[a-z]+)*):lambda:([a-z0-9-]{1,32}):", re.ASCII)


def is_graphql(event: dict[str, object]) -> bool:
    """Whether an event without type and version comes from a GraphQL API: only there the context holds a query."""
    return "queryString" in section(event, "requestContext")


def parse(event: dict[str, object], function_arn: str) -> Request:
    """Read authorizationToken and request context. The event has no ARN.

    Partition and region of the API's ARN come from the function's: AppSync invokes functions of its own region.
    """
    context = section(event, "requestContext")
    api_id = parse_api_id(context)
    sources = CredentialSources(token=event.get("authorizationToken"))
    place, account = _PLACE.match(function_arn), context.get("accountId")
    arn = ""
    if place and isinstance(account, str) and _ACCOUNT.fullmatch(account):
        arn = f"arn:{place[1]}:appsync:{place[2]}:{account}:apis/{api_id}"
    return Request(EventKind.APPSYNC, sources, api_id, "", arn, "", text(context.get("requestId")))


def parse_api_id(context: dict[str, object]) -> str:
    """The id of the API. Raises `Misconfigured(event_unknown)` if there is none."""
    api_id = context.get("apiId")
    if not isinstance(api_id, str) or not _API_ID.fullmatch(api_id):
        raise Misconfigured(Reason.EVENT_UNKNOWN)
    return api_id


def render(request: Request, decision: Decision) -> dict[str, object]:
    """`isAuthorized`, the context for the resolvers, and the ARNs of the fields that rules deny.

    Raises `Misconfigured(arn_invalid)` if fields are denied and the event lacks the parts of their ARNs.
    """
    if not decision.allowed:
        return {"isAuthorized": False, "ttlOverride": decision.reuse_seconds}
    answer: dict[str, object] = {
        "isAuthorized": True,
        "resolverContext": dict(decision.context),
        "ttlOverride": decision.reuse_seconds,
    }
    if decision.grant and decision.grant.denied_fields:
        if not request.stage_arn:
            raise Misconfigured(Reason.ARN_INVALID)
        answer["deniedFields"] = [_field_arn(request.stage_arn, one) for one in decision.grant.denied_fields]
    return answer


def _field_arn(api_arn: str, field: str) -> str:
    type_name, _, name = field.partition(".")
    return f"{api_arn}/types/{type_name}/fields/{name}"
