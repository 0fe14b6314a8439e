"""Who may call what: rules → a verdict on every route, which stays right while API Gateway caches it.

The verdict depends on the caller alone. Whatever API Gateway could ask for with the same token is answered at once:
what the caller may call, less what is guarded by the rules that the caller does not meet (`Grant`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from authorizer.errors import Reason
from authorizer.exchange import MAX_CONTEXT_BYTES, METHODS, EventKind, Grant, Request, Scope
from authorizer.hanko.claims import Claims

CONNECT = "$connect"
MAX_TOLD_CHARACTERS = 500

_SEPARATOR = "; "  # a rule's name holds none

Scalar = str | int | float | bool
Unmet = Sequence[tuple["Rule", Reason]]

# What a path can hold that some backend reads as another path: an escape, an empty or a dot segment, a path parameter,
# a backslash. As IAM patterns behind the stage, and as what they look for.
_UNUSUAL_PARTS = ("%", "//", "/./", "/../", ";", "\\")
_UNUSUAL_ENDS = ("/.", "/..")
UNUSUAL_PATHS = (*(f"*{part}*" for part in _UNUSUAL_PARTS), *(f"*{end}" for end in _UNUSUAL_ENDS))


@dataclass(frozen=True, slots=True)
class Route:
    """`methods` on `path`; if it is `open_ended`, on everything that begins with `path`."""

    methods: tuple[str, ...]
    path: str
    open_ended: bool

    def grants(self, method: str, path: str) -> bool:
        """Whether it means exactly this."""
        return method in self.methods and (path.startswith(self.path) if self.open_ended else path == self.path)

    def guards(self, method: str, path: str) -> bool:
        """Whether it could mean this: gateways and backends differ on a slash at the end."""
        return self.grants(method, path) or (self._bears_a_slash and self.grants(method, path.removesuffix("/")))

    def grants_all(self, scope: Scope) -> bool:
        """Whether it means everything in the scope."""
        if scope.open_ended and not self.open_ended:
            return False
        return all(self.grants(method, scope.path) for method in scope.methods)

    def touches(self, scope: Scope) -> bool:
        """Whether it could mean anything in the scope."""
        within = scope.open_ended and self.path.startswith(scope.path)
        return any(self.guards(m, scope.path) or (within and m in self.methods) for m in scope.methods)

    def resources(self, *, guarded: bool) -> Iterable[str]:
        """IAM patterns, from the stage on, for what it grants or guards."""
        endings = ("*",) if self.open_ended else ("", "/") if guarded and self._bears_a_slash else ("",)
        return (f"{method}{self.path}{ending}" for method in self.methods for ending in endings)

    @property
    def _bears_a_slash(self) -> bool:
        return not self.open_ended and self.path.strip("/") != ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A claim's path, and the values of which it must be one, or as a list contain one."""

    path: tuple[str, ...]
    values: tuple[Scalar, ...]

    def is_met(self, claims: Claims) -> bool:
        """By a value of the same kind: 1 is not true, and "true" is neither."""
        value = claims.at(self.path)
        found = value if isinstance(value, list) else [value]
        return any(one == wanted and (one is wanted or bool not in (type(one), type(wanted)))
                   for one in found for wanted in self.values)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """Who calls one of `routes` or asks for one of `fields` must meet every requirement, with a login that young."""

    name: str
    routes: tuple[Route, ...]
    fields: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    max_age_seconds: int | None

    def unmet_because(self, claims: Claims, now: float) -> Reason | None:
        """Why the caller does not meet it, what no new login would mend first; None if they do. `now`: since 1970."""
        failed = [requirement for requirement in self.requirements if not requirement.is_met(claims)]
        if any(requirement.path != ("amr",) for requirement in failed):
            return Reason.RULE_NOT_MET
        if failed:
            return Reason.LOGIN_TOO_WEAK
        if self.max_age_seconds is not None and now - claims.issued_at > self.max_age_seconds:
            return Reason.LOGIN_TOO_OLD
        return None

    def concerns(self, kind: EventKind) -> bool:
        """Whether it says anything about an API of this kind."""
        if kind is EventKind.APPSYNC:
            return bool(self.fields)
        return any((route.methods == (CONNECT,)) == (kind is EventKind.WEBSOCKET) for route in self.routes)

    @cached_property
    def granted(self) -> tuple[str, ...]:
        """What it grants, as IAM patterns from the stage on."""
        return self._resources(guarded=False)

    @cached_property
    def guarded(self) -> tuple[str, ...]:
        """What it guards, as IAM patterns from the stage on."""
        return self._resources(guarded=True)

    def _resources(self, *, guarded: bool) -> tuple[str, ...]:
        """Each once, and none that another one covers: answers are short of room."""
        routes = [route for route in self.routes if route.methods != (CONNECT,)]  # a WebSocket's only one needs none
        every = dict.fromkeys(one for route in routes for one in route.resources(guarded=guarded))
        covers = [one for one in every if one.endswith("*")]
        return tuple(one for one in every if not any(one.startswith(c[:-1]) and one != c for c in covers))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say: of the route that was asked for in `reason` and `rule`, of every route in `grant`.

    `told` is for the context: the rules that the caller does not meet, the same whatever route was asked for.
    `context_bytes` is what the answer has left for the claims.
    """

    reason: Reason
    rule: str
    grant: Grant
    told: dict[str, str]
    context_bytes: int
    stale: bool


@dataclass(frozen=True)
class Rules:
    """A whole set. Without a rule, every session may call everything."""

    rules: tuple[Rule, ...] = ()
    default_allows: bool = True
    allow_unusual_paths: bool = False
    context_bytes: int = MAX_CONTEXT_BYTES
    stale: bool = field(default=False, compare=False)  # could not be refreshed

    @cached_property
    def _by_kind(self) -> dict[EventKind, list[Rule]]:
        return {kind: [rule for rule in self.rules if rule.concerns(kind)] for kind in EventKind}

    def judge(self, request: Request, claims: Claims, now: float) -> Judgement:
        """Judge one caller, `now` (seconds since 1970). Never raises."""
        met: list[Rule] = []
        unmet: list[tuple[Rule, Reason]] = []
        for rule in self._by_kind[request.kind]:
            if reason := rule.unmet_because(claims, now):
                unmet.append((rule, reason))
            else:
                met.append(rule)
        reason, name = self._verdict(request, met, unmet)
        grant = self._grant(request.kind, reason, met, unmet)
        return Judgement(reason, name, grant, _told(unmet), self.context_bytes, self.stale)

    def _verdict(self, request: Request, met: Sequence[Rule], unmet: Unmet) -> tuple[Reason, str]:
        """On the route that was asked for: the reason, and the rule that refuses it."""
        for rule, reason in unmet:
            if request.kind is not EventKind.APPSYNC and self._guards(rule, request):
                return reason, rule.name
        if self.default_allows or any(_grants(rule, request) for rule in met):
            return Reason.ALLOWED, ""
        return Reason.NO_RULE_GRANTS, ""

    def _guards(self, rule: Rule, request: Request) -> bool:
        """A path that could be read as any other, or a method that is none, is guarded by every rule."""
        if request.method not in METHODS and request.method != CONNECT:
            return True
        if not self.allow_unusual_paths and _is_unusual(request.path):
            return True
        scope = request.scope
        return any(
            route.guards(request.method, request.path) or (scope is not None and route.touches(scope))
            for route in rule.routes
        )

    def _grant(self, kind: EventKind, reason: Reason, met: Sequence[Rule], unmet: Unmet) -> Grant:
        if kind is EventKind.APPSYNC:
            return Grant(denied_fields=tuple(dict.fromkeys(field for rule, _ in unmet for field in rule.fields)))
        if kind is EventKind.WEBSOCKET:  # has one route
            return Grant() if reason is Reason.ALLOWED else Grant((), ("*",))
        if self.default_allows:
            allowed = [f"{method}/*" for method in METHODS] if unmet else ["*"]
        else:
            allowed = [one for rule in met for one in rule.granted]
        denied = [one for rule, _ in unmet for one in rule.guarded] if allowed else ["*"]
        if unmet and allowed and not self.allow_unusual_paths:
            denied += UNUSUAL_PATHS
        return Grant(tuple(dict.fromkeys(allowed)), tuple(dict.fromkeys(denied)))


def _grants(rule: Rule, request: Request) -> bool:
    if request.scope is not None:
        return any(route.grants_all(request.scope) for route in rule.routes)
    return any(route.grants(request.method, request.path) for route in rule.routes)


def _is_unusual(path: str) -> bool:
    return any(part in path for part in _UNUSUAL_PARTS) or path.endswith(_UNUSUAL_ENDS)


def _told(unmet: Unmet) -> dict[str, str]:
    """The names and reasons in the same order; beyond `MAX_TOLD_CHARACTERS` how many more there are."""
    names: list[str] = []
    reasons: list[str] = []
    room = MAX_TOLD_CHARACTERS
    for rule, reason in unmet:
        room -= len(rule.name) + len(reason) + 2 * len(_SEPARATOR)
        if room < 0:
            more = f"and {len(unmet) - len(names)} more"
            return {"rule": _SEPARATOR.join([*names, more]), "reason": _SEPARATOR.join([*reasons, more])}
        names.append(rule.name)
        reasons.append(reason.value)
    return {"rule": _SEPARATOR.join(names), "reason": _SEPARATOR.join(reasons)} if names else {}
