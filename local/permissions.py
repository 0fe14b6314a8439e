"""Who may call what: the rules of examples/rules.toml through every kind of API, with caching on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.calls import Seen
from local.deployment import Api, Deployment

TEN_MINUTES_SECONDS = 600

# GET /me, GET /admin/x, POST /payments, or the fields of these names; `me` of a WebSocket is $connect. The second `me`
# is there for the cache, which must not have learned anything from what came between.
ASKED = ("me", "admin", "me", "pay")


@dataclass(frozen=True)
class Caller:
    """Somebody, the claims that make them so, what they may not ask for, and whether a WebSocket lets them connect."""

    name: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    may_not: frozenset[str] = frozenset()
    connects: bool = True
    age_seconds: int = 0

    def token(self, deployment: Deployment) -> str:
        """A fresh one, which nothing has been cached for."""
        issued_at = int(deployment.hanko.now()) - self.age_seconds
        return deployment.hanko.mint(claims={"iat": issued_at, **self.claims})

    def expected(self, api: Api, what: str) -> int:
        """The status that the API shall give; 403 of AppSync is a denied field."""
        if api.name == "WebSocket":
            return 101 if self.connects else 403
        return 403 if what in self.may_not else 200


CALLERS = (
    Caller("a user", may_not=frozenset({"admin"})),
    Caller("an administrator", {"role": "admin"}),
    Caller("a user with a password", {"amr": ["pwd"]}, frozenset({"admin", "pay"})),
    Caller("a login of ten minutes ago", {}, frozenset({"admin", "pay"}), age_seconds=TEN_MINUTES_SECONDS),
    Caller("a session without amr", {"amr": None}, frozenset({"admin", "pay"}), connects=False),
)


@dataclass(frozen=True)
class Verdict:
    """What one caller got from one API."""

    expected: int
    seen: Seen

    @property
    def passed(self) -> bool:
        """The right status; and a backend that was called knows the caller, and no other was called."""
        allowed = self.expected in (101, 200)
        return self.seen.status == self.expected and bool(self.seen.caller.get("user_id")) == allowed

    def __str__(self) -> str:
        """The status seen and the one expected."""
        return f"{self.seen.status}/{self.expected}{'' if self.passed else ' DIFFERS'}"


def verdicts(deployment: Deployment) -> Iterator[tuple[str, list[Verdict | None]]]:
    """A row for each caller and question, with a cell for each API: none where it has nothing like it."""
    for caller in CALLERS:
        token = caller.token(deployment)
        for what in ASKED:
            yield f"{caller.name}: {what}", [verdict(caller, api, what, token) for api in deployment.apis.values()]


def verdict(caller: Caller, api: Api, what: str, token: str) -> Verdict | None:
    """What the API answers, beside what it should."""
    return Verdict(caller.expected(api, what), api.with_header(token, what)) if what in api.answers else None
