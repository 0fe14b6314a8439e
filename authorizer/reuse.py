"""How long AppSync may reuse an answer, sent as `ttlOverride`: at most until something can change the answer.

Without it AppSync uses the API's own time to live, even if the token expires earlier. Source: AWS, "AppSync: AWS_LAMBDA
authorization" and "AppSync Events: Configuring authorization".
"""

import math

from authorizer.config import SessionMode, Settings
from authorizer.errors import Reason
from authorizer.model import EventKind

_KINDS = (EventKind.APPSYNC, EventKind.APPSYNC_EVENTS)
# Refusals that stay. Others may end soon: Hanko may publish the key, or come to know a new session.
_LASTING = frozenset(
    (
        Reason.TOKEN_MALFORMED,
        Reason.ALGORITHM_NOT_ALLOWED,
        Reason.HEADER_NOT_ALLOWED,
        Reason.CLAIMS_MALFORMED,
        Reason.AUDIENCE_NOT_ALLOWED,
        Reason.ISSUER_NOT_ALLOWED,
        Reason.TOKEN_EXPIRED,
        Reason.TOKEN_LIFETIME_TOO_LONG,
        Reason.NOT_A_SESSION,
        Reason.SESSION_REVOKED,
    )
)


def applies_to(kind: EventKind) -> bool:
    return kind in _KINDS


def of_refusal(reason: Reason, settings: Settings) -> int:
    """Seconds for the refusal of a token whose session is not known."""
    is_lasting = reason in _LASTING and settings.session_check is not SessionMode.STRICT
    return settings.appsync_ttl_seconds if is_lasting else 0


def of_answer(settings: Settings, *seconds_left: float) -> int:
    """Seconds for the answer to a known session. `seconds_left` are the times after which the answer can change."""
    return max(0, math.floor(min(settings.appsync_ttl_seconds, *seconds_left)))
