"""The data of a request: `Request` (one shape for every kind of API), `Claims`, `Grant`, `Decision`, check reports.

All are NamedTuples, which cost a cold start less than dataclasses: docs/decisions/namedtuples.md. A tuple shows its
fields wherever it is printed. So those with personal data have a `__repr__` without them, and secrets are in plain
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
    """What the caller asks for. `stage_arn` is rebuilt from validated parts and ends after the stage (AppSync: API).

    `path` is the caller's own text: only the rules read it. `scope` is set only if API Gateway may cache a simple
    response of an HTTP API.
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
    """The claims of a verified session token. `payload` has all of them, also those that the user may have written."""

    user_id: str
    session_id: str
    issued_at: float
    expires_at: float
    payload: Mapping[str, object]

    def at(self, path: Sequence[str]) -> object:
        """The value at a path of names in the payload; None if there is none."""
        value: object = self.payload
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def __repr__(self) -> str:
        return "Claims(...)"


class Grant(NamedTuple):
    """What a caller may call: `allowed` minus `denied`, IAM patterns after the stage. AppSync has `denied_fields`."""

    allowed: tuple[str, ...] = ("*",)
    denied: tuple[str, ...] = ()
    denied_fields: tuple[str, ...] = ()


class RulesResult(NamedTuple):
    """The result of the rules: `reason` and `rule` are about the requested route, `grant` is about every route.

    `unmet_rules` goes into the context: all rules that the caller does not meet, for any route. `context_bytes` is the
    room left for the claims. After `seconds_left` the result can change, because a login gets too old for a rule. The
    defaults are the result without rules.
    """

    reason: Reason = Reason.ALLOWED
    rule: str = ""
    grant: Grant = Grant()
    unmet_rules: Mapping[str, str] = MappingProxyType({})
    context_bytes: int = MAX_CONTEXT_BYTES
    stale: str = ""
    seconds_left: float = math.inf


class CheckReport(NamedTuple):
    """What a session check did since its last report: the number of requests it sent, and its last failure.

    `name` is `session` or `revocation`, `failure` a word of a closed set.
    """

    name: str
    checks: int = 0
    failure: str | None = None


class Decision(NamedTuple):
    """The decision. `reason` and `rule` are about this request; `grant` is about every route of the API.

    Without a known caller most fields are empty. `usage_key` is the caller's API key for a usage plan.
    `session_unchecked`: no session check was available, and HANKO_SESSION_ON_OUTAGE lets the session pass.
    `left_out` names the claims too large for the context, `replaced_characters` counts the control characters in it.
    `reuse_seconds` is for AppSync: how long it may reuse the answer.
    `audience_never_matched`: Hanko signed the token, and no token in this process so far had one of our audiences.
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
