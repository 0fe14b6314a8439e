"""REST APIs, TOKEN and REQUEST authorizers. A 401 is raised, a 403 is a policy that denies.

Sources: AWS, "Input to an API Gateway Lambda authorizer" and "Output from an API Gateway Lambda authorizer".
"""

from authorizer.errors import Outcome
from authorizer.gateway.event import routed_request, sources_in_v1
from authorizer.gateway.iam import parse_arn, policy
from authorizer.gateway.raised import Unauthorized
from authorizer.model import CredentialSources, Decision, EventKind, Request


def parse_token(event: dict[str, object]) -> Request:
    """A TOKEN event holds the configured header's value and the ARN. Cookies are not in it."""
    sources = CredentialSources(token=event.get("authorizationToken"))
    return routed_request(EventKind.REST_TOKEN, event, parse_arn(event.get("methodArn")), sources)


def parse_request(event: dict[str, object]) -> Request:
    """A REQUEST event, also that of the console's "Test" button."""
    return routed_request(EventKind.REST_REQUEST, event, parse_arn(event.get("methodArn")), sources_in_v1(event))


def render(request: Request, decision: Decision) -> dict[str, object] | Unauthorized:
    """A policy for the whole stage; a 401 is raised."""
    if decision.outcome is Outcome.UNAUTHENTICATED:
        return Unauthorized()
    answer = policy(request, decision)
    if decision.usage_key and request.kind is not EventKind.WEBSOCKET:  # only REST APIs have usage plans
        answer["usageIdentifierKey"] = decision.usage_key
    return answer
