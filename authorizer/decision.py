"""Every check, in order, on one page."""

import re

from authorizer.config import Settings
from authorizer.context import build_context
from authorizer.errors import Forbidden, Reason, Unauthenticated
from authorizer.exchange import Decision, Outcome, Request
from authorizer.gateway.credentials import the_one_token
from authorizer.hanko.claims import Claims
from authorizer.hanko.tokens import TokenVerifier
from authorizer.rules_source import RuleBook

_USAGE_KEY = re.compile(r"[!-~]{1,128}", re.ASCII)


def decide(request: Request, settings: Settings, verifier: TokenVerifier, rules: RuleBook) -> Decision:
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
    verdict = rules.judge(request, claims)
    return Decision(
        Outcome.ALLOWED if verdict.reason is Reason.ALLOWED else Outcome.FORBIDDEN,
        verdict.reason,
        claims.user_id,
        {**build_context(claims, settings.context_claims, verdict.context_bytes), **verdict.told},
        verdict.rule,
        verdict.grant,
        _usage_key(claims, settings),
        verdict.stale,
    )


def _usage_key(claims: Claims, settings: Settings) -> str:
    """The API key that the claim holds; "" where it holds none, and then API Gateway refuses by itself."""
    key = settings.usage_plan_claim and claims.at(settings.usage_plan_claim)
    return key if isinstance(key, str) and _USAGE_KEY.fullmatch(key) else ""
