"""What the two sides exchange: a `Request` in one shape for every API kind, and the `Decision` about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from authorizer.errors import Reason

ContextValue = str | int | float | bool


class EventKind(StrEnum):
    """The kinds of API that can ask. HTTP APIs have two payload formats."""

    REST_TOKEN = "rest_token"  # noqa: S105 - an API kind, not a password
    REST_REQUEST = "rest_request"
    HTTP_API_V1 = "http_api_v1"
    HTTP_API_V2 = "http_api_v2"
    WEBSOCKET = "websocket"
    APPSYNC = "appsync"


class Outcome(StrEnum):
    """How a request ended: one for each class of the error tree, and the one success."""

    ALLOWED = "allowed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class Offers:
    """Every place where the caller could have put a token, as it came: unread, unchecked, never to be printed."""

    token: object = field(default=None, repr=False)
    headers: object = field(default=None, repr=False)
    multi_value_headers: object = field(default=None, repr=False)
    cookies: object = field(default=None, repr=False)
    query: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `stage_arn` is rebuilt from validated parts and ends behind the stage; AppSync has none."""

    kind: EventKind
    offers: Offers
    api_id: str
    stage: str
    stage_arn: str
    method: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and why. Principal and context are empty unless the caller is known."""

    outcome: Outcome
    reason: Reason
    principal_id: str = ""
    context: Mapping[str, ContextValue] = field(default_factory=dict, repr=False)

    @property
    def allowed(self) -> bool:
        """Whether the request may pass."""
        return self.outcome is Outcome.ALLOWED
