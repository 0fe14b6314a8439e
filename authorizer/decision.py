"""Every check, in order, on one page."""

from authorizer.config import Settings
from authorizer.context import build_context
from authorizer.errors import Forbidden, Reason, Unauthenticated
from authorizer.exchange import Decision, Outcome, Request
from authorizer.gateway.credentials import the_one_token
from authorizer.hanko.tokens import TokenVerifier


def decide(request: Request, settings: Settings, verifier: TokenVerifier) -> Decision:
    """Who asks, and may they?

    What we know to be refused is a denying `Decision`. `Unavailable` and `Misconfigured` pass: they are no answer.
    """
    try:
        token = the_one_token(request, settings)
        claims = verifier.verify(token)
    except Unauthenticated as error:
        return Decision(Outcome.UNAUTHENTICATED, error.reason)
    except Forbidden as error:
        return Decision(Outcome.FORBIDDEN, error.reason)
    context = build_context(claims, settings.context_claims)
    return Decision(Outcome.ALLOWED, Reason.ALLOWED, principal_id=claims.user_id, context=context)
