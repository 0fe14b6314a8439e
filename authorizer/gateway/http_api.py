"""HTTP APIs, payload formats 1.0 and 2.0. No documented way leads from an authorizer to a 401: a refusal is a 403.

Source: AWS, "Control access to HTTP APIs with AWS Lambda authorizers".
"""

from authorizer.config import HttpApiResponse
from authorizer.exchange import Decision, EventKind, Offers, Request
from authorizer.gateway.event import offers_in_v1, routed_request
from authorizer.gateway.iam import parse_arn, policy


def parse_v1(event: dict[str, object]) -> Request:
    """Payload 1.0: like a REST API's REQUEST event, with a version."""
    return routed_request(EventKind.HTTP_API_V1, event, parse_arn(event.get("methodArn")), offers_in_v1(event))


def parse_v2(event: dict[str, object]) -> Request:
    """Payload 2.0: `routeArn`, lower-case headers joined by commas, and the cookies taken out of them into a list."""
    offers = Offers(headers=event.get("headers"), cookies=event.get("cookies"))
    return routed_request(EventKind.HTTP_API_V2, event, parse_arn(event.get("routeArn")), offers)


def render(request: Request, decision: Decision, response: HttpApiResponse) -> dict[str, object]:
    """A simple response where payload 2.0 asks for one, else a policy for the whole stage."""
    if request.kind is EventKind.HTTP_API_V1 or response is HttpApiResponse.POLICY:
        return policy(request, decision)
    if decision.allowed:
        return {"isAuthorized": True, "context": dict(decision.context)}
    return {"isAuthorized": False, "context": {"reason": decision.reason.value}}
