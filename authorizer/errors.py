"""The error tree, and `Reason`, the one table of reasons: outcome, fault, what to do, counter.

The outcome of a reason decides between 401, 403 and 5xx; gateway/ renders it. docs/reasons.md explains each reason.

AuthorizerError
├── Unauthenticated   we do not know who you are                → 401 (403 where the API kind has no 401)
├── Unavailable       we could not find out; try again          → 5xx, alarm
└── Misconfigured     the deployment is wrong                   → 5xx, alarm; at start the text names the setting

A rule that is not met is no error: its answer (403) still says what else the caller may call (`Decision.grant`).
An error holds nothing from outside: no token, claim, URL or key text.
"""

from enum import StrEnum
from typing import Self


class Outcome(StrEnum):
    """How an invocation ended. Each word is also a metric, in title case."""

    ALLOWED = "allowed"
    RECEIVED = "received"  # a webhook, a warm-up ping
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"


class Fault(StrEnum):
    """Who has to act on a reason."""

    NOBODY = "nobody"
    CALLER = "caller"
    HANKO = "hanko"
    AWS = "aws"
    DEPLOYMENT = "deployment"
    AUTHORIZER = "authorizer"


_ALLOWED, _RECEIVED, _UNAUTHENTICATED, _FORBIDDEN, _UNAVAILABLE, _MISCONFIGURED = Outcome
_NOBODY, _CALLER, _HANKO, _AWS, _DEPLOYMENT, _AUTHORIZER = Fault
_NEW_LOGIN = "The client logs in again."
_CLIENT = "Nothing; if your own client causes it, correct how it sends the token."
_LIFETIME = "Compare `HANKO_MAX_TOKEN_LIFETIME_SECONDS` with Hanko's `session.lifespan`."
_KEY_FETCH = "See `key_fetch_failure`: Hanko, or the way to it."
_STRANGER = "Nothing: it is not from Hanko."


class Reason(StrEnum):
    """Why an invocation ended as it did. A row: word, outcome, who has to act, what an operator does.

    A fifth column names a metric that counts the reason instead of its outcome's. Anybody can cause `key_unchecked`, so
    it must not raise the alarm on `Unavailable`.
    """

    outcome: Outcome
    fault: Fault
    what_to_do: str
    counter: str

    def __new__(cls, word: str, outcome: Outcome, fault: Fault, what_to_do: str, counter: str = "") -> Self:
        reason = str.__new__(cls, word)
        reason._value_ = word
        reason.outcome, reason.fault, reason.what_to_do = outcome, fault, what_to_do
        reason.counter = counter or outcome.value.title()
        return reason

    ALLOWED = "allowed", _ALLOWED, _NOBODY, "Nothing."

    # No request of a client
    WARM_UP = "warm_up", _RECEIVED, _NOBODY, "Nothing.", "WarmUp"

    # Unauthenticated
    TOKEN_MISSING = "token_missing", _UNAUTHENTICATED, _CALLER, _CLIENT
    TOKEN_AMBIGUOUS = "token_ambiguous", _UNAUTHENTICATED, _CALLER, "The client removes the second cookie or header."
    TOKEN_MALFORMED = "token_malformed", _UNAUTHENTICATED, _CALLER, _CLIENT
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed", _UNAUTHENTICATED, _CALLER, _STRANGER
    HEADER_NOT_ALLOWED = "header_not_allowed", _UNAUTHENTICATED, _CALLER, _STRANGER
    KEY_UNKNOWN = "key_unknown", _UNAUTHENTICATED, _CALLER, "If all logins fail, compare `HANKO_API_URL` with Hanko's."
    SIGNATURE_INVALID = "signature_invalid", _UNAUTHENTICATED, _CALLER, _STRANGER
    CLAIMS_MALFORMED = "claims_malformed", _UNAUTHENTICATED, _CALLER, "Look at Hanko's `jwt_template`."
    AUDIENCE_NOT_ALLOWED = "audience_not_allowed", _UNAUTHENTICATED, _CALLER, "Compare `HANKO_AUDIENCE` with `aud`."
    ISSUER_NOT_ALLOWED = "issuer_not_allowed", _UNAUTHENTICATED, _CALLER, "Compare `HANKO_ISSUER` with `iss`."
    TOKEN_EXPIRED = "token_expired", _UNAUTHENTICATED, _CALLER, _NEW_LOGIN
    TOKEN_NOT_YET_VALID = "token_not_yet_valid", _UNAUTHENTICATED, _CALLER, "If it is frequent, look at Hanko's clock."
    TOKEN_LIFETIME_TOO_LONG = "token_lifetime_too_long", _UNAUTHENTICATED, _CALLER, _LIFETIME
    NOT_A_SESSION = "not_a_session", _UNAUTHENTICATED, _CALLER, "Find who sends a token of another kind as a session."
    SESSION_REVOKED = "session_revoked", _UNAUTHENTICATED, _CALLER, _NEW_LOGIN
    SESSION_ENDED = "session_ended", _UNAUTHENTICATED, _CALLER, _NEW_LOGIN

    # Forbidden: by a rule
    RULE_NOT_MET = "rule_not_met", _FORBIDDEN, _CALLER, "If the caller should pass, change the rule or their claims."
    LOGIN_TOO_WEAK = "login_too_weak", _FORBIDDEN, _CALLER, "The client logs in by a way that the rule accepts."
    LOGIN_TOO_OLD = "login_too_old", _FORBIDDEN, _CALLER, _NEW_LOGIN
    NO_RULE_GRANTS = "no_rule_grants", _FORBIDDEN, _CALLER, "If the caller should pass, add a rule for the route."

    ORIGIN_NOT_ALLOWED = "origin_not_allowed", _FORBIDDEN, _CALLER, "If the page is yours, add it to `allowed_origins`."

    # Unavailable
    KEYS_UNAVAILABLE = "keys_unavailable", _UNAVAILABLE, _HANKO, _KEY_FETCH
    KEY_UNCHECKED = "key_unchecked", _UNAVAILABLE, _HANKO, _KEY_FETCH, "KeyUnchecked"
    TOKEN_EARLY = "token_early", _UNAVAILABLE, _HANKO, "Correct Hanko's clock, or raise `HANKO_CLOCK_SKEW_SECONDS`."
    REVOCATION_UNCHECKED = "revocation_unchecked", _UNAVAILABLE, _AWS, "See `revocation_failure`: DynamoDB."
    SESSION_UNCHECKED = "session_unchecked", _UNAVAILABLE, _HANKO, "See `session_failure`: Hanko, or the way to it."
    RULES_UNAVAILABLE = "rules_unavailable", _UNAVAILABLE, _AWS, "Read the parameter with the function's role."
    INTERNAL = "internal", _UNAVAILABLE, _AUTHORIZER, "Report the bug with the record's `stack`."

    # Misconfigured
    SETTINGS_INVALID = "settings_invalid", _MISCONFIGURED, _DEPLOYMENT, "Correct what the record's `mistakes` names."
    RULES_INVALID = "rules_invalid", _MISCONFIGURED, _DEPLOYMENT, "Correct what the record's `mistakes` names."
    EVENT_UNKNOWN = "event_unknown", _MISCONFIGURED, _DEPLOYMENT, "Find who invokes the function directly."
    ARN_INVALID = "arn_invalid", _MISCONFIGURED, _DEPLOYMENT, "Find what invokes the function with another ARN."
    IDENTITY_MISSING = "identity_missing", _MISCONFIGURED, _DEPLOYMENT, "Attach the authorizer to the route."
    ANSWER_TOO_LARGE = "answer_too_large", _MISCONFIGURED, _DEPLOYMENT, "Write fewer rules, or a shorter stage name."

    # Webhooks
    REVOKED = "revoked", _RECEIVED, _NOBODY, "Nothing."
    REVOCATION_QUEUED = "revocation_queued", _RECEIVED, _AWS, "Run `make replay` when DynamoDB is well again."
    EVENT_IGNORED = "event_ignored", _RECEIVED, _NOBODY, "Nothing."
    WEBHOOK_MALFORMED = "webhook_malformed", _UNAUTHENTICATED, _CALLER, _STRANGER
    METHOD_NOT_ALLOWED = "method_not_allowed", _UNAUTHENTICATED, _CALLER, _STRANGER
    BODY_TOO_LARGE = "body_too_large", _UNAUTHENTICATED, _CALLER, _STRANGER
    NOT_A_WEBHOOK = "not_a_webhook", _UNAUTHENTICATED, _CALLER, "Find who posts a session's token to the receiver."
    REVOCATION_UNWRITTEN = "revocation_unwritten", _UNAVAILABLE, _AWS, "End the user's sessions in Hanko again."
    WEBHOOK_AUDIENCE = "webhook_audience", _MISCONFIGURED, _DEPLOYMENT, "Compare `HANKO_AUDIENCE` with `aud`."
    WEBHOOK_UNREADABLE = "webhook_unreadable", _MISCONFIGURED, _DEPLOYMENT, "Update the authorizer: Hanko has changed."


class AuthorizerError(Exception):
    """Base of our errors. Outcome, fault and counter are those of its `reason`."""

    def __init__(self, reason: Reason, text: str = "") -> None:
        """`text` is our own words; without it the text is the reason's word."""
        super().__init__(text or reason.value)
        self.reason = reason


class Unauthenticated(AuthorizerError):
    """We do not know who you are."""


class Unavailable(AuthorizerError):
    """We could not find out. API Gateway does not cache it, and a client need not log in again."""


class Misconfigured(AuthorizerError):
    """The deployment is wrong. At start the text names every mistake and what is allowed."""
