"""Rules and claims → what a caller may call.

API Gateway caches the answer and uses it for other routes. So it depends on the caller alone and covers every route
(`Grant`): docs/decisions/whole-stage-policies.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from authorizer.errors import Reason
from authorizer.model import MAX_CONTEXT_BYTES, METHODS, Claims, EventKind, Grant, Request, RulesResult
from authorizer.rules.channels import ChannelPattern, grant, guard, leave_to_the_caller, parse_asked
from authorizer.rules.routes import CONNECT, UNUSUAL_PATHS, Patterns, Route, is_unusual

MAX_UNMET_RULES_CHARACTERS = 500
STAGE_CHARACTERS = len("production")  # for which the size of an answer is computed

_SEPARATOR = "; "  # the name of a rule has no semicolon

Scalar = str | int | float | bool
Value = tuple[bool, Scalar]  # whether it is a boolean, and the value


class Caller:
    """The user whose claims are compared, and the age of their login."""

    def __init__(self, claims: Claims, now: float) -> None:
        """`now` is in seconds since 1970."""
        self._claims = claims
        self.age_seconds = now - claims.issued_at

    def values(self, path: tuple[str, ...]) -> frozenset[Value]:
        """The values that the claim is, or contains as a list. An empty text counts as an absent claim."""
        value = self._claims.at(path)
        found = value if isinstance(value, list) else [value]
        return frozenset(_value(one) for one in found if isinstance(one, str | int | float) and one != "")

    def has(self, path: tuple[str, ...], text: str) -> bool:
        return _value(text) in self.values(path)


@dataclass(frozen=True)
class Requirement:
    """The claim at `path` must be one of `values`, or a list that contains one of them."""

    path: tuple[str, ...]
    values: tuple[Scalar, ...]

    def is_met(self, caller: Caller) -> bool:
        """Types count: 1 is not true, and "true" is neither."""
        return not self._wanted.isdisjoint(caller.values(self.path))

    @cached_property
    def _wanted(self) -> frozenset[Value]:
        return frozenset(map(_value, self.values))


def _value(value: Scalar) -> Value:
    """Equal only to a value of the same type: in Python 1 == True."""
    return isinstance(value, bool), value


@dataclass(frozen=True)
class Rule:
    """Guards routes, fields and channels: a caller must meet every requirement, with a login that is young enough."""

    name: str
    routes: tuple[Route, ...]
    fields: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    max_age_seconds: int | None
    channels: tuple[ChannelPattern, ...] = ()
    guard_head: bool = True

    def unmet_because(self, caller: Caller) -> Reason | None:
        """Why the caller does not meet it; None if they do. A reason that a new login cannot change comes first."""
        reason = None
        for requirement in self.requirements:
            if not requirement.is_met(caller):
                if requirement.path != ("amr",):
                    return Reason.RULE_NOT_MET
                reason = Reason.LOGIN_TOO_WEAK
        if reason is None and self.max_age_seconds is not None and caller.age_seconds > self.max_age_seconds:
            return Reason.LOGIN_TOO_OLD
        return reason

    def concerns(self, kind: EventKind) -> bool:
        if kind is EventKind.APPSYNC:
            return bool(self.fields)
        if kind is EventKind.APPSYNC_EVENTS:
            return bool(self.channels)
        return any((route.methods == (CONNECT,)) == (kind is EventKind.WEBSOCKET) for route in self.routes)

    @cached_property
    def granted(self) -> Patterns:
        """What it grants to callers who meet it."""
        return Patterns(one for route in self.routes for one in route.granted())

    @cached_property
    def guarded(self) -> Patterns:
        """What it denies to callers who do not."""
        return Patterns(one for route in self.routes for one in route.guarded(head=self.guard_head))


Unmet = Sequence[tuple[Rule, Reason]]


@dataclass(frozen=True)
class Rules:
    """A set of rules. Without any, every session may call everything."""

    rules: tuple[Rule, ...] = ()
    default_allows: bool = True
    allow_unusual_paths: bool = False
    context_bytes: int = MAX_CONTEXT_BYTES
    stale: str = field(default="", compare=False)  # why they could not be read again, "" if they were

    @cached_property
    def _by_kind(self) -> dict[EventKind, list[Rule]]:
        return {kind: [rule for rule in self.rules if rule.concerns(kind)] for kind in EventKind}

    def evaluate(self, request: Request, claims: Claims, now: float) -> RulesResult:
        """Compare the rules with one caller. `now` is in seconds since 1970."""
        met: list[Rule] = []
        unmet: list[tuple[Rule, Reason]] = []
        caller = Caller(claims, now)
        for rule in self._by_kind[request.kind]:
            if reason := rule.unmet_because(caller):
                unmet.append((rule, reason))
            else:
                met.append(rule)
        match request.kind:
            case EventKind.APPSYNC:
                reason, name = self._appsync_verdict
            case EventKind.APPSYNC_EVENTS:
                reason, name = self._channel_verdict(request, caller, met, unmet)
            case _:
                reason, name = self._verdict(request, met, unmet)
        grant_ = self._grant(request.kind, reason, met, unmet)
        told, room = _unmet_rules(unmet), self._context_bytes(request, grant_)
        return RulesResult(reason, name, grant_, told, room, self.stale, self._seconds_left(request.kind, caller, met))

    def _seconds_left(self, kind: EventKind, caller: Caller, met: Sequence[Rule]) -> float:
        """How long the answer stays right. 0 for a channel: AppSync's cache may not tell channels apart."""
        if kind is EventKind.APPSYNC_EVENTS and self._by_kind[kind]:
            return 0
        ages = [rule.max_age_seconds - caller.age_seconds for rule in met if rule.max_age_seconds is not None]
        return min(ages, default=math.inf)

    def _context_bytes(self, request: Request, grant_: Grant) -> int:
        """The room for the claims: `context_bytes`, less what a stage name beyond `STAGE_CHARACTERS` takes."""
        more = max(0, len(request.stage) - STAGE_CHARACTERS)
        return self.context_bytes - more * (len(grant_.allowed) + len(grant_.denied))

    @property
    def _appsync_verdict(self) -> tuple[Reason, str]:
        """The reason for the whole API: AppSync can only be told which fields to deny."""
        return (Reason.ALLOWED if self.default_allows else Reason.NO_RULE_GRANTS), ""

    def _channel_verdict(
        self, request: Request, caller: Caller, met: Sequence[Rule], unmet: Unmet
    ) -> tuple[Reason, str]:
        """The reason for the requested channels. AppSync asks again for the next ones."""
        asked = parse_asked(request.method, request.path)
        for rule, reason in unmet:
            if guard(rule.channels, asked):
                return reason, rule.name
        if not self.default_allows:
            granted = any(grant(rule.channels, asked, caller.has) for rule in met)
            return (Reason.ALLOWED if granted else Reason.NO_RULE_GRANTS), ""
        for rule in met:
            if not leave_to_the_caller(rule.channels, asked, caller.has):
                return Reason.RULE_NOT_MET, rule.name
        return Reason.ALLOWED, ""

    def _verdict(self, request: Request, met: Sequence[Rule], unmet: Unmet) -> tuple[Reason, str]:
        """The reason for the requested route, and the rule that refuses it."""
        route, scope, could_be_any = f"{request.method}{request.path}", request.scope, self._could_be_any(request)
        for rule, reason in unmet:
            if could_be_any or rule.guarded.match(route) or (scope is not None and rule.guarded.match_any_of(scope)):
                return reason, rule.name
        granted = (rule.granted.match_all_of(scope) if scope else rule.granted.match(route) for rule in met)
        if self.default_allows or (not could_be_any and any(granted)):
            return Reason.ALLOWED, ""
        return Reason.NO_RULE_GRANTS, ""

    def _could_be_any(self, request: Request) -> bool:
        """Whether every rule guards the route and none grants it.

        True for an unknown method, an unknown path, and one that a backend may read as another path.
        """
        if request.kind is EventKind.WEBSOCKET:
            return False
        if request.method not in METHODS or not request.path.startswith("/"):
            return True
        may_hide = request.scope is not None and request.scope.greedy
        return (may_hide or is_unusual(request.path)) and not self.allow_unusual_paths

    def _grant(self, kind: EventKind, reason: Reason, met: Sequence[Rule], unmet: Unmet) -> Grant:
        if kind is EventKind.APPSYNC:
            return Grant(denied_fields=tuple(dict.fromkeys(field for rule, _ in unmet for field in rule.fields)))
        if kind in (EventKind.WEBSOCKET, EventKind.APPSYNC_EVENTS):  # asked about one thing at a time
            return Grant() if reason is Reason.ALLOWED else Grant((), ("*",))
        if self.default_allows:
            allowed = [f"{method}/*" for method in METHODS] if unmet else ["*"]
        else:
            allowed = [one for rule in met for one in rule.granted.patterns if one != CONNECT]
        denied = [one for rule, _ in unmet for one in rule.guarded.patterns if one != CONNECT] if allowed else ["*"]
        if allowed and (unmet or not self.default_allows) and not self.allow_unusual_paths:
            denied += UNUSUAL_PATHS
        return Grant(tuple(dict.fromkeys(allowed)), tuple(dict.fromkeys(denied)))


def _unmet_rules(unmet: Unmet) -> dict[str, str]:
    """Names and reasons in the same order, at most `MAX_UNMET_RULES_CHARACTERS`, then the number of further ones."""
    names: list[str] = []
    reasons: list[str] = []
    room = MAX_UNMET_RULES_CHARACTERS
    for rule, reason in unmet:
        room -= len(rule.name) + len(reason) + 2 * len(_SEPARATOR)
        if room < 0:
            more = f"and {len(unmet) - len(names)} more"
            return {"rule": _SEPARATOR.join([*names, more]), "reason": _SEPARATOR.join([*reasons, more])}
        names.append(rule.name)
        reasons.append(reason.value)
    return {"rule": _SEPARATOR.join(names), "reason": _SEPARATOR.join(reasons)} if names else {}
