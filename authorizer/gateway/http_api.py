"""HTTP APIs, payload formats 1.0 and 2.0. AWS documents no way to a 401 from an authorizer: a refusal is a 403.

Source: AWS, "Control access to HTTP APIs with AWS Lambda authorizers".
"""

from urllib.parse import unquote_plus

from authorizer.config import HttpApiResponse
from authorizer.gateway.event import routed_request, section, sources_in_v1
from authorizer.gateway.iam import parse_arn, policy
from authorizer.model import METHODS, CredentialSources, Decision, EventKind, Request, Scope

_EVERY_ROUTE = Scope(METHODS, "/", open_ended=True, greedy=True)


def parse_v1(event: dict[str, object]) -> Request:
    """Payload 1.0: a REST API's REQUEST event with a version."""
    return routed_request(EventKind.HTTP_API_V1, event, parse_arn(event.get("methodArn")), sources_in_v1(event))


def parse_v2(event: dict[str, object], response: HttpApiResponse) -> Request:
    """Payload 2.0: `routeArn`, lower-case header names, repeated headers joined by commas, cookies in a list."""
    sources = CredentialSources(headers=event.get("headers"), cookies=event.get("cookies"))
    scope = _scope(event) if response is HttpApiResponse.SIMPLE else None
    return routed_request(EventKind.HTTP_API_V2, event, parse_arn(event.get("routeArn")), sources, scope)


def _scope(event: dict[str, object]) -> Scope | None:
    """What else a simple response may be taken for, since API Gateway caches it by the identity sources alone.

    None without any: then nothing is cached. With $context.routeKey among them the requests of that route key, but
    not if the client may have sent the value; otherwise those of every route.
    """
    sources, key = event.get("identitySource"), event.get("routeKey")
    if not sources:
        return None
    if not isinstance(sources, list) or not isinstance(key, str) or key not in sources or _was_sent(key, event):
        return _EVERY_ROUTE
    method, _, path = key.partition(" ")
    literal, _, parameter = (path or "/{proxy+}").partition("{")
    methods = METHODS if method in ("ANY", "$default") else (method,)
    return Scope(methods, literal, open_ended=bool(parameter), greedy="+}" in parameter)


def _was_sent(text: str, event: dict[str, object]) -> bool:
    """Whether the client may have sent this text as one of the values that can be identity sources."""
    cookies = event.get("cookies")
    sent = [*section(event, "headers").values(), *section(event, "queryStringParameters").values()]
    sent += cookies if isinstance(cookies, list) else []
    return any(isinstance(value, str) and text in unquote_plus(value) for value in sent)


def render(request: Request, decision: Decision, response: HttpApiResponse) -> dict[str, object]:
    """A simple response if payload 2.0 is set to expect one, else a policy for the whole stage."""
    if request.kind is EventKind.HTTP_API_V1 or response is HttpApiResponse.POLICY:
        return policy(request, decision)
    if decision.allowed:
        return {"isAuthorized": True, "context": dict(decision.context)}
    why = {"reason": decision.reason.value, **({"rule": decision.rule} if decision.rule else {})}
    return {"isAuthorized": False, "context": {**decision.context, **why}}
