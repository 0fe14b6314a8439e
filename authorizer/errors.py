"""The error tree. An error carries a `Reason` and nothing that came from outside: no token, claim, URL or key text.

AuthorizerError
├── Unauthenticated   we do not know who asks                    → 401 (403 where the API kind knows no 401)
├── Forbidden         we know who asks, and they may not         → 403
├── Unavailable       we could not find out; trying again helps  → 5xx, alarm
└── Misconfigured     the deployment is wrong                    → 5xx, alarm; at start, names the setting
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a request was answered as it was: the closed set that logs, metrics and tests speak of."""

    ALLOWED = "allowed"

    # Unauthenticated: the caller's doing.
    EVENT_UNKNOWN = "event_unknown"
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a reason, not a password
    TOKEN_AMBIGUOUS = "token_ambiguous"  # noqa: S105 - a reason, not a password
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a reason, not a password
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    HEADER_NOT_ALLOWED = "header_not_allowed"
    KEY_UNKNOWN = "key_unknown"
    SIGNATURE_INVALID = "signature_invalid"
    CLAIMS_MALFORMED = "claims_malformed"
    AUDIENCE_NOT_ALLOWED = "audience_not_allowed"
    ISSUER_NOT_ALLOWED = "issuer_not_allowed"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a reason, not a password
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"  # noqa: S105 - a reason, not a password
    TOKEN_LIFETIME_TOO_LONG = "token_lifetime_too_long"  # noqa: S105 - a reason, not a password
    NOT_A_SESSION = "not_a_session"
    SESSION_REVOKED = "session_revoked"
    SESSION_ENDED = "session_ended"

    # Forbidden: we know who asks, and a rule is not met.
    RULE_NOT_MET = "rule_not_met"
    LOGIN_TOO_WEAK = "login_too_weak"
    LOGIN_TOO_OLD = "login_too_old"
    NO_RULE_GRANTS = "no_rule_grants"

    # Unavailable: Hanko's doing, AWS's, or ours.
    KEYS_UNAVAILABLE = "keys_unavailable"
    KEY_UNCHECKED = "key_unchecked"
    TOKEN_EARLY = "token_early"  # noqa: S105 - a reason, not a password
    REVOCATION_UNCHECKED = "revocation_unchecked"
    SESSION_UNCHECKED = "session_unchecked"
    RULES_UNAVAILABLE = "rules_unavailable"
    INTERNAL = "internal"

    # Misconfigured: the deployer's doing.
    SETTINGS_INVALID = "settings_invalid"
    RULES_INVALID = "rules_invalid"
    ARN_INVALID = "arn_invalid"
    ANSWER_TOO_LARGE = "answer_too_large"

    # What becomes of a webhook: the three ends that are no error, then the errors in the order of their classes.
    REVOKED = "revoked"
    REVOCATION_QUEUED = "revocation_queued"
    EVENT_IGNORED = "event_ignored"
    WEBHOOK_MALFORMED = "webhook_malformed"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    NOT_A_WEBHOOK = "not_a_webhook"
    REVOCATION_UNWRITTEN = "revocation_unwritten"
    WEBHOOK_UNREADABLE = "webhook_unreadable"


class AuthorizerError(Exception):
    """Base of every error of ours. `reason` says why; the text is fixed by the class or by our own words."""

    def __init__(self, reason: Reason, text: str = "") -> None:
        """Keep the reason; `text` defaults to the reason's own name and must never hold outside data."""
        super().__init__(text or reason.value)
        self.reason = reason


class Unauthenticated(AuthorizerError):
    """We do not know who asks."""


class Forbidden(AuthorizerError):
    """We know who asks, and they may not."""


class Unavailable(AuthorizerError):
    """We could not find out. Never cached as a deny, never a reason to log in again."""


class Misconfigured(AuthorizerError):
    """The deployment is wrong. At start the text names every wrong setting and what is allowed."""
