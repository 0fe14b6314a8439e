"""Who may call what: the rules of examples/rules.toml through every kind of API, with caching on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.calls import Seen
from local.deployment import Api, Deployment

TEN_MINUTES_SECONDS = 600

# GET /me, GET /admin/x, POST /payments, or the fields of these names; `me` of a WebSocket or an
# Event API is to connect. The second `me`
# shows that the answers in between changed nothing in the cache.
ASKED = ("me", "admin", "me", "pay")


@dataclass(frozen=True)
class Caller:
    """A caller: their claims, what they may not ask for, and whether they may connect to a WebSocket."""

    name: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    may_not: frozenset[str] = frozenset()
    connects: bool = True
    age_seconds: int = 0

    def token(self, deployment: Deployment) -> str:
        """A fresh token, for which nothing is cached."""
        issued_at = int(deployment.hanko.now()) - self.age_seconds
        return deployment.hanko.mint(claims={"iat": issued_at, **self.claims})

    def expected(self, api: Api, what: str) -> int:
        """The status that the API should give. AppSync's 403 is a denied field."""
        if api.name == "WebSocket":
            return 101 if self.connects else 403
        if api.name == "AppSync Events":
            return 101 if self.connects else 401
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

    expected: int | None  # None: whatever the rules say
    seen: Seen

    @property
    def proven(self) -> bool:
        """Whether something was expected, and the local AWS acts on the authorizer's answer."""
        return self.expected is not None and not self.seen.is_read

    @property
    def passed(self) -> bool:
        """The status is right, and the backend knows the caller if it was to be called, and was not called if not."""
        status = self.expected or self.seen.status
        return self.seen.status == status and bool(self.seen.caller.get("user_id")) == (status in (101, 200))

    def __str__(self) -> str:
        """`403`, or `200 ≠ 403`."""
        return self.seen.shown if self.passed else difference(self.seen, self.expected)


def difference(seen: Seen, expected: int | None) -> str:
    """`200 ≠ 403`. The right status alone differs when the backend was told nothing, or something, about the caller."""
    return f"{seen.shown} ≠ {expected}" if expected not in (None, seen.status) else f"{seen.shown} who?"


def verdicts(deployment: Deployment, *, expected: bool = True) -> Iterator[tuple[str, Iterator[Verdict | None]]]:
    """A row for each caller and question, with a call for each API: None where the API has no such question."""
    for caller in CALLERS:
        token = caller.token(deployment)
        for what in ASKED:
            yield f"{caller.name}: {what}", _cells(deployment, caller, what, token, expected=expected)


def _cells(
    deployment: Deployment, caller: Caller, what: str, token: str, *, expected: bool
) -> Iterator[Verdict | None]:
    """The calls of a row, each made when it is asked for."""
    for api in deployment.apis.values():
        yield verdict(caller, api, what, token, expected=expected)


def verdict(caller: Caller, api: Api, what: str, token: str, *, expected: bool = True) -> Verdict | None:
    """What the API answers beside what it should answer by examples/rules.toml, unless nothing is expected."""
    if what not in api.answers:
        return None
    return Verdict(caller.expected(api, what) if expected else None, api.with_header(token, what))
