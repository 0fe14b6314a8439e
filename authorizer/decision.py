"""Every check, in order, on one page. The numbers are those of SECURITY.md.

Check 1: the credential. Checks 2 to 12: the token. Check 13: the session. Check 14: the rules. Check 15: the context.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from authorizer import reuse
from authorizer.config import OnOutage, Settings
from authorizer.context import build_context
from authorizer.credentials import find_token
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.hanko.tokens import TokenVerifier
from authorizer.model import CheckReport, Claims, Decision, Request, RulesResult
from authorizer.rules.source import RulesProvider

_USAGE_KEY = re.compile(r"[!-~]{1,128}", re.ASCII)


class SessionCheck(Protocol):
    """Checks whether a session is still alive: in the revocation table, or at Hanko."""

    def check(self, claims: Claims, token: str) -> None:
        """Return if the session lives; `token` is the verified token that the claims come from.

        Raises `Unauthenticated` when the session is over, `Unavailable` when that could not be found out.
        """

    def seconds_left(self, claims: Claims) -> float:
        """How many seconds the result for this session stays valid."""

    def take_report(self) -> CheckReport:
        """The number of requests, and the last failure, since the last call."""


def decide(
    request: Request,
    settings: Settings,
    verifier: TokenVerifier,
    rules: RulesProvider,
    session_checks: Sequence[SessionCheck] = (),
) -> Decision:
    """Authenticate the caller and evaluate the rules.

    A refusal is returned, as a `Decision`. Raises `Unavailable` and `Misconfigured`: we could not find out.
    """
    try:
        token = find_token(request, settings)
        claims = verifier.verify(token)
        unchecked = _passes_unchecked(claims, token, session_checks, settings.session_on_outage)
    except Unauthenticated as error:
        never_matched = error.reason is Reason.AUDIENCE_NOT_ALLOWED and not verifier.audience_matched
        seconds = reuse.of_refusal(error.reason, settings)
        return Decision(error.reason, reuse_seconds=seconds, audience_never_matched=never_matched)
    verdict = rules.evaluate(request, claims)
    context = build_context(claims, settings.context_claims, verdict.context_bytes)
    context.values.update(verdict.unmet_rules)
    is_reused = reuse.applies_to(request.kind) and not unchecked
    return Decision(
        verdict.reason,
        claims.user_id,
        context.values,
        verdict.rule,
        verdict.grant,
        _usage_key(claims, settings),
        verdict.stale,
        unchecked,
        context.left_out,
        context.replaced,
        _reuse_seconds(claims, verdict, verifier, session_checks, settings) if is_reused else 0,
    )


def _reuse_seconds(
    claims: Claims, verdict: RulesResult, verifier: TokenVerifier, checks: Sequence[SessionCheck], settings: Settings
) -> int:
    limits = (check.seconds_left(claims) for check in checks)
    return reuse.of_answer(settings, verdict.seconds_left, verifier.seconds_left(claims), *limits)


def _passes_unchecked(claims: Claims, token: str, session_checks: Sequence[SessionCheck], on_outage: OnOutage) -> bool:
    """Run the session checks; True if one was unavailable and HANKO_SESSION_ON_OUTAGE lets the session pass.

    Raises what the checks raise. A refusal counts even if another check was unavailable.
    """
    unchecked = False
    for check in session_checks:
        try:
            check.check(claims, token)
        except Unavailable:
            if on_outage is OnOutage.FAIL:
                raise
            unchecked = True  # as if this check were off; the next one still runs
    return unchecked


def _usage_key(claims: Claims, settings: Settings) -> str:
    """The API key in the claim. Without one it is "", and API Gateway itself refuses the request."""
    key = settings.usage_plan_claim and claims.at(settings.usage_plan_claim)
    return key if isinstance(key, str) and _USAGE_KEY.fullmatch(key) else ""
