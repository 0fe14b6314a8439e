"""What flows: `Request` in one shape for every kind of API, `Claims`, `Grant`, `Decision`, and the checks' reports.

All are NamedTuples, as is what else a cold start needs: docs/decisions/namedtuples.md has the figures. A tuple shows
its fields wherever it is printed. So those with personal data have a `__repr__` without them, and secrets are in plain
classes: `Secret`, `Fetch`.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from authorizer.errors import Outcome, Reason

ContextValue = str | int | float | bool

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")  # all that API Gateway routes
MAX_ANSWER_BYTES = 8000  # API Gateway documents 8 KB, for a WebSocket
MAX_CONTEXT_BYTES = 4 * 1024  # of them, unless the rules need more


class EventKind(StrEnum):
    """The kinds of API that can ask. HTTP APIs have two payload formats."""

    REST_TOKEN = "rest_token"  # noqa: S105 - an API kind, not a password
    REST_REQUEST = "rest_request"
    HTTP_API_V1 = "http_api_v1"
    HTTP_API_V2 = "http_api_v2"
    WEBSOCKET = "websocket"
    APPSYNC = "appsync"
    APPSYNC_EVENTS = "appsync_events"


class CredentialSources(NamedTuple):
    """Every place where the caller could have put a token, as it came: unread, unchecked, never to be printed."""

    token: object = None
    headers: object = None
    multi_value_headers: object = None
    cookies: object = None
    query: object = None

    def __repr__(self) -> str:
        return "CredentialSources(...)"


class Scope(NamedTuple):
    """The routes for which API Gateway may reuse one simple response: `methods` on `path`, or on what begins with it.

    `greedy` says that the last parameter can hold a whole path.
    """

    methods: tuple[str, ...]
    path: str
    open_ended: bool
    greedy: bool = False


class Request(NamedTuple):
    """What is asked. `stage_arn` is rebuilt from validated parts and ends behind the stage; AppSync's is the API's.

    `path` is the caller's own text: rules look at it, and it goes nowhere. Only an HTTP API's simple response that may
    be cached has a `scope`.
    """

    kind: EventKind
    sources: CredentialSources
    api_id: str
    stage: str
    stage_arn: str
    method: str
    request_id: str
    path: str = ""
    scope: Scope | None = None

    def __repr__(self) -> str:
        return f"Request({self.kind}, {self.stage_arn})"


class Claims(NamedTuple):
    """What a verified session token says. `payload` is all of it; whatever else it holds, the user may have chosen."""

    user_id: str
    session_id: str
    issued_at: float
    expires_at: float
    payload: Mapping[str, object]

    def at(self, path: Sequence[str]) -> object:
        """What lies at a path of names in the payload; None where the path leads nowhere."""
        value: object = self.payload
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def __repr__(self) -> str:
        return "Claims(...)"


class Grant(NamedTuple):
    """What a caller may call: `allowed` without `denied`, as IAM patterns behind the stage; AppSync has fields."""

    allowed: tuple[str, ...] = ("*",)
    denied: tuple[str, ...] = ()
    denied_fields: tuple[str, ...] = ()


class RulesResult(NamedTuple):
    """What the rules say: of the route that was asked for in `reason` and `rule`, of every route in `grant`.

    `unmet_rules` is for the context: the rules that the caller does not meet, whatever route was asked for.
    `context_bytes` is what the answer has left for the claims. After `seconds_left` the answer can be another: a login
    that is young enough now will be too old for a rule. The defaults count where there are no rules.
    """

    reason: Reason = Reason.ALLOWED
    rule: str = ""
    grant: Grant = Grant()
    unmet_rules: Mapping[str, str] = MappingProxyType({})
    context_bytes: int = MAX_CONTEXT_BYTES
    stale: str = ""
    seconds_left: float = math.inf


class CheckReport(NamedTuple):
    """What a session check did since its last report: how many questions went out, and the last failure.

    `name` is `session` or `revocation`, `failure` a word of a closed set.
    """

    name: str
    checks: int = 0
    failure: str | None = None


class Decision(NamedTuple):
    """What was decided. Reason and `rule` are about this request; `grant` is about every route of the API.

    All but the reason is empty unless the caller is known. `usage_key` is the caller's API key of a usage plan.
    `session_unchecked`: no session check was available, and HANKO_SESSION_ON_OUTAGE lets the session pass.
    `left_out` names what was too large for the context, `replaced_characters` counts the control characters in it.
    AppSync alone is told how long it may reuse the answer.
    `audience_never_matched`: Hanko signed the token, and no token of this process was for one of our audiences.
    """

    reason: Reason
    principal_id: str = ""
    context: Mapping[str, ContextValue] = MappingProxyType({})
    rule: str = ""
    grant: Grant | None = None
    usage_key: str = ""
    stale_rules: str = ""
    session_unchecked: bool = False
    left_out: tuple[str, ...] = ()
    replaced_characters: int = 0
    reuse_seconds: int = 0
    audience_never_matched: bool = False

    @property
    def outcome(self) -> Outcome:
        return self.reason.outcome

    @property
    def allowed(self) -> bool:
        return self.reason is Reason.ALLOWED

    def __repr__(self) -> str:
        return f"Decision({self.reason}, {self.rule!r})"
