"""One decision, taken apart: which of SECURITY.md's checks passed, which failed, which were not reached.

The decision is the product's own: its handler, verifier, rules and session check run as in Lambda, with nothing added
to them. The checks run in the order of their numbers. So the one that failed says it all: those before it passed, those
after it were not reached. The reason names it; where several checks share a reason, the function that raised it does.

No text made here holds a token or a signature, and claims are shortened unless they are asked for in full.
"""

import traceback
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import jwt

from authorizer.assembly import keys_file, session_check
from authorizer.clock import Clock
from authorizer.config import SessionMode, Settings
from authorizer.errors import AuthorizerError, Outcome, Reason
from authorizer.gateway.raised import AuthorizerUnavailable, Unauthorized
from authorizer.handler import Authorizer
from authorizer.hanko.client import JWKS_PATH, HttpsClient
from authorizer.hanko.failure import FetchFailed
from authorizer.hanko.keys import KeyCache, KeyReport
from authorizer.hanko.tokens import TokenVerifier
from authorizer.model import CheckReport, Claims, Decision, EventKind, Request
from authorizer.rules.source import open_rules
from authorizer.startup import Startup
from authorizer.telemetry import Record, Telemetry
from local.seen import expected_and_seen, shortened

FUNCTION_ARN = "arn:aws:lambda:eu-west-1:123456789012:function:hanko-authorizer:live"

CHECKS = {
    1: "one credential",
    2: "compact JWS",
    3: "algorithm",
    4: "header",
    5: "key id",
    6: "signature",
    7: "strict JSON",
    8: "times",
    9: "audience",
    10: "lifetime",
    11: "issuer",
    12: "a session's token",
    13: "session lives",
    14: "rules",
    15: "context",
}
LAST_OF_TOKEN, CONTEXT = 12, 15
ACCEPTS = "accepts it"

_OF_REASON = {
    1: (Reason.TOKEN_MISSING, Reason.TOKEN_AMBIGUOUS),
    3: (Reason.ALGORITHM_NOT_ALLOWED,),
    4: (Reason.HEADER_NOT_ALLOWED,),
    5: (Reason.KEY_UNKNOWN, Reason.KEY_UNCHECKED, Reason.KEYS_UNAVAILABLE),
    6: (Reason.SIGNATURE_INVALID,),
    8: (Reason.TOKEN_EXPIRED, Reason.TOKEN_NOT_YET_VALID, Reason.TOKEN_EARLY),
    9: (Reason.AUDIENCE_NOT_ALLOWED,),
    10: (Reason.TOKEN_LIFETIME_TOO_LONG,),
    11: (Reason.ISSUER_NOT_ALLOWED,),
    12: (Reason.NOT_A_SESSION,),
    13: (Reason.SESSION_REVOKED, Reason.SESSION_ENDED, Reason.REVOCATION_UNCHECKED, Reason.SESSION_UNCHECKED),
    14: (
        *(Reason.RULE_NOT_MET, Reason.LOGIN_TOO_WEAK, Reason.LOGIN_TOO_OLD, Reason.NO_RULE_GRANTS),
        *(Reason.RULES_UNAVAILABLE, Reason.RULES_INVALID),
    ),
}
CHECK_OF_REASON = {reason: number for number, reasons in _OF_REASON.items() for reason in reasons}
# Reasons that several checks share, and keys that are asked for once more after a signature did not fit.
CHECK_OF_FUNCTION = {
    Reason.TOKEN_MALFORMED: {"verify_signature": 2, "_unverified_key_id": 4},
    Reason.CLAIMS_MALFORMED: {"verify": 7, "verify_times": 8, "is_for_us": 9},
    Reason.KEY_UNKNOWN: {"find_changed": 6},
    Reason.KEY_UNCHECKED: {"find_changed": 6},
    Reason.KEYS_UNAVAILABLE: {"find_changed": 6},
}


class State(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "FAILED"
    OFF = "off"
    NOT_REACHED = "not reached"


class Step(NamedTuple):
    """One check of SECURITY.md."""

    number: int
    name: str
    state: State
    expected: str
    seen: str


class Explanation(NamedTuple):
    """A decision, its checks, what goes out to AWS, and PyJWT's opinion on the same token."""

    reason: Reason
    rule: str
    steps: tuple[Step, ...]
    caller_sees: str
    answer: Mapping[str, Any]
    key_fetch_failure: str
    session_failure: str
    pyjwt: str

    @property
    def allowed(self) -> bool:
        """Whether the request may pass."""
        return self.reason is Reason.ALLOWED


class _NotingVerifier(TokenVerifier):
    """Keeps what it was given, and what came of it."""

    token: str | None = None
    claims: Claims | None = None
    error: AuthorizerError | None = None

    def verify(self, token: str) -> Claims:
        self.token = token
        try:
            self.claims = super().verify(token)
        except AuthorizerError as error:
            self.error = error
            raise
        return self.claims


class _NotingTelemetry(Telemetry):
    """Keeps the record in place of writing it."""

    record: Record | None = None
    keys = KeyReport()
    session_failure = ""

    def write(self, record: Record, keys: KeyReport, checks: Any = ()) -> None:  # noqa: ANN401 - a sequence of reports
        self.record, self.keys = record, keys
        reports: list[CheckReport] = list(checks)
        self.session_failure = next((one.failure for one in reports if one.failure), "")


def explain(event: object, settings: Settings, rules_file: Path, *, full: bool = False) -> Explanation:
    """Decide as the deployed function would, and tell how. `full`: with the claims as they are.

    Raises `Misconfigured` for rules or a keys file with which the function would not start.
    """
    clock = Clock()
    client = HttpsClient(settings, clock)
    started = Startup("explain", settings, clock, client, None, {})
    keys = KeyCache(settings, client, clock, None, keys_file(started))
    verifier, telemetry = _NotingVerifier(settings, keys, clock), _NotingTelemetry(settings, "explain")
    rules = open_rules(settings, clock, rules_file)
    checks = session_check(started)
    authorizer = Authorizer(settings, keys, verifier, rules, telemetry, session_checks=checks)
    answer = _answer(authorizer, event)
    opinion = second_opinion(verifier.token, settings, client)
    client.close()
    record = telemetry.record or Record("explain")
    return Explanation(
        reason=record.decision.reason,
        rule=record.decision.rule,
        steps=_steps(record.decision, record.request, verifier, settings, clock, full=full),
        caller_sees=_status(record.request, record.decision, answer),
        answer=answer if full else shortened(answer),
        key_fetch_failure=telemetry.keys.failure or "",
        session_failure=telemetry.session_failure,
        pyjwt=_compared(opinion, failed_check(record.decision, verifier)),
    )


def _answer(authorizer: Authorizer, event: object) -> Mapping[str, Any]:
    """The answer as Lambda sends it out: an exception becomes its message."""
    try:
        return authorizer.handle(event, "explain", FUNCTION_ARN)
    except (Unauthorized, AuthorizerUnavailable) as raised:
        return {"errorMessage": str(raised)}


# --- the checks


def failed_check(decision: Decision, verifier: _NotingVerifier) -> int:
    """The number of the check that failed; 0 if none was reached, one beyond the last if all passed."""
    reason = decision.reason
    if verifier.error is not None:
        functions = [frame.f_code.co_name for frame, _ in traceback.walk_tb(verifier.error.__traceback__)]
        shared = CHECK_OF_FUNCTION.get(reason, {})
        for function in reversed(functions):  # the innermost that is known
            if function in shared:
                return shared[function]
    elif reason is Reason.TOKEN_MALFORMED:
        return 1
    if reason in CHECK_OF_REASON:
        return CHECK_OF_REASON[reason]
    return 0 if verifier.token is None else CONTEXT + 1


def _steps(  # noqa: PLR0913 - all that was observed
    decision: Decision,
    request: Request | None,
    verifier: _NotingVerifier,
    settings: Settings,
    clock: Clock,
    *,
    full: bool,
) -> tuple[Step, ...]:
    failed = failed_check(decision, verifier)
    texts = expected_and_seen(request, verifier.token, decision, settings, clock.wall(), full=full)
    return tuple(
        Step(
            number,
            name,
            state := _state(number, failed, decision, settings),
            texts[number][0],
            texts[number][1] if state in (State.PASSED, State.FAILED) else "",
        )
        for number, name in CHECKS.items()
    )


def _state(number: int, failed: int, decision: Decision, settings: Settings) -> State:
    is_by_rule = decision.outcome is Outcome.FORBIDDEN  # then the context is made all the same
    if number > failed and not (is_by_rule and number == CONTEXT):
        return State.NOT_REACHED
    if number == failed:
        return State.FAILED
    is_set = {
        10: settings.max_token_lifetime_seconds is not None,
        11: settings.issuer is not None,
        13: settings.session_check is not SessionMode.OFF,
    }
    return State.PASSED if is_set.get(number, True) else State.OFF


def _status(request: Request | None, decision: Decision, answer: Mapping[str, Any]) -> str:
    """What the caller gets."""
    if answer.get("errorMessage") == "Unauthorized":
        return "401: the function raises an exception, since API Gateway knows no other way"
    if "errorMessage" in answer:
        return "500: it could not be found out, or the deployment is wrong"
    if decision.allowed:
        return "what the backend answers"
    if request is not None and request.kind in (EventKind.APPSYNC, EventKind.APPSYNC_EVENTS):
        return "401 UnauthorizedException"
    return "403" if request is not None else "nothing: no API sends this event"


# --- the second opinion


def _compared(opinion: str, failed: int) -> str:
    """PyJWT's opinion beside ours. It is more lenient, and knows neither Hanko's sessions nor rules."""
    if opinion == ACCEPTS and failed <= LAST_OF_TOKEN:
        return f"{opinion}: it has no check {failed} like ours"
    if opinion.startswith("refuses") and failed > LAST_OF_TOKEN:
        return f"{opinion}, and we accept it: report that, please"
    return opinion


def second_opinion(token: str | None, settings: Settings, client: HttpsClient) -> str:
    """What PyJWT says of the same token, with the same keys, audiences, issuer and clock skew."""
    if token is None:
        return "was not asked: there is no token"
    try:
        keys = jwt.PyJWKSet.from_json(client.start(JWKS_PATH).result().body.decode())
    except (FetchFailed, ValueError, jwt.PyJWTError):
        return "was not asked: there are no keys"
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = next((one for one in keys.keys if one.key_id == kid), None)
        if key is None:
            return "refuses it: no key of this id"
        jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=list(settings.audiences),
            issuer=settings.issuer,
            leeway=settings.clock_skew_seconds,
            options={"require": ["exp", "iat"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        return f"refuses it: {type(error).__name__}"  # its text may hold a claim
    return ACCEPTS
