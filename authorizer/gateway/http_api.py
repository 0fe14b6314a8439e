"""HTTP APIs, payload formats 1.0 and 2.0. AWS documents no way to a 401 from an authorizer: a refusal is a 403.

Source: AWS, "Control access to HTTP APIs with AWS Lambda authorizers".
"""

from authorizer.config import HttpApiResponse
from authorizer.gateway.event import routed_request, section, sources_in_v1
from authorizer.gateway.iam import parse_arn, policy
from authorizer.model import METHODS, CredentialSources, Decision, EventKind, Request, Scope

_EVERY_ROUTE = Scope(METHODS, "/", open_ended=True, greedy=True)
_MAX_ENCODINGS = 8  # decoding takes time for each, and a client chooses how many


def parse_v1(event: dict[str, object]) -> Request:
    """Payload 1.0: a REST API's REQUEST event with a version."""
    return routed_request(EventKind.HTTP_API_V1, event, parse_arn(event.get("methodArn")), sources_in_v1(event))


def parse_v2(event: dict[str, object], response: HttpApiResponse) -> Request:
    """Payload 2.0: `routeArn`, lower-case header names, repeated headers joined by commas, cookies in a list."""
    sources = CredentialSources(headers=event.get("headers"), cookies=event.get("cookies"))
    scope = _scope(event) if response is HttpApiResponse.SIMPLE else None
    return routed_request(EventKind.HTTP_API_V2, event, parse_arn(event.get("routeArn")), sources, scope)


def _scope(event: dict[str, object]) -> Scope | None:
    """The routes for which API Gateway may reuse a simple response: it caches by the values of the identity sources.

    None without identity sources: nothing is cached. The requests of one route key if $context.routeKey is a source.
    Otherwise every route.
    """
    sources, key = event.get("identitySource"), event.get("routeKey")
    if not sources:
        return None
    if not isinstance(sources, list) or not isinstance(key, str) or key not in sources:
        return _EVERY_ROUTE
    if key == "$default" or _is_elsewhere(key, event):
        return _EVERY_ROUTE
    method, _, path = key.partition(" ")
    literal, _, parameter = path.partition("{")
    methods = METHODS if method == "ANY" else (method,)
    return Scope(methods, literal, open_ended=bool(parameter), greedy="+}" in parameter)


def _is_elsewhere(key: str, event: dict[str, object]) -> bool:
    """Whether another text of the event contains the route key, in any URL encoding.

    The event has the values of the identity sources without their names. So a client could send the route key as the
    value of a header or parameter that is another source. Whatever a client sends can widen the scope, never narrow it.
    """
    context = {**section(event, "requestContext"), "routeKey": None}
    rest: list[object] = [{**event, "routeKey": None, "identitySource": None, "requestContext": context}]
    texts: list[str] = []
    while rest:
        part = rest.pop()
        if isinstance(part, str):  # `match` takes 80 us for an event, isinstance 7
            texts.append(part)
        elif isinstance(part, dict):
            rest += part.values()
        elif isinstance(part, list):
            rest += part
    sought, found = _decoded(key), _decoded("\n".join(texts))
    is_cut = ";" in key or "," in key  # API Gateway cuts cookies at ; and joins repeated headers with commas
    return is_cut or sought is None or found is None or sought in found


def _decoded(text: str) -> str | None:
    """Decode a text until nothing changes. None if it is encoded more often than `_MAX_ENCODINGS` times."""
    if "%" not in text:
        return text.replace("+", " ")
    from urllib.parse import unquote  # noqa: PLC0415 - 2 ms of a cold start, and rarely needed

    for _ in range(_MAX_ENCODINGS):
        encoded, text = text, unquote(text)
        if text == encoded:
            return text.replace("+", " ")
    return None


def render(request: Request, decision: Decision, response: HttpApiResponse) -> dict[str, object]:
    """A simple response if payload 2.0 is set to expect one, else a policy for the whole stage."""
    if request.kind is EventKind.HTTP_API_V1 or response is HttpApiResponse.POLICY:
        return policy(request, decision)
    if decision.allowed:
        return {"isAuthorized": True, "context": dict(decision.context)}
    why = {"reason": decision.reason.value, **({"rule": decision.rule} if decision.rule else {})}
    return {"isAuthorized": False, "context": {**decision.context, **why}}
