"""REST APIs, TOKEN and REQUEST authorizers.

Sources: AWS, "Input to an API Gateway Lambda authorizer" and "Output from an API Gateway Lambda authorizer".
"""

from authorizer.exchange import Decision, EventKind, Offers, Outcome, Request
from authorizer.gateway.event import offers_in_v1, routed_request
from authorizer.gateway.iam import parse_arn, policy
from authorizer.gateway.raised import Unauthorized


def parse_token(event: dict[str, object]) -> Request:
    """A TOKEN event holds the configured header's value and the ARN, nothing else: no cookie can be seen."""
    offers = Offers(token=event.get("authorizationToken"))
    return routed_request(EventKind.REST_TOKEN, event, parse_arn(event.get("methodArn")), offers)


def parse_request(event: dict[str, object]) -> Request:
    """A REQUEST event, of the console's "Test", too."""
    return routed_request(EventKind.REST_REQUEST, event, parse_arn(event.get("methodArn")), offers_in_v1(event))


def render(request: Request, decision: Decision) -> dict[str, object] | Unauthorized:
    """A policy for the whole stage; 401 by raising."""
    if decision.outcome is Outcome.UNAUTHENTICATED:
        return Unauthorized()
    answer = policy(request, decision)
    if decision.usage_key and request.kind is not EventKind.WEBSOCKET:  # a REST API alone knows usage plans
        answer["usageIdentifierKey"] = decision.usage_key
    return answer
