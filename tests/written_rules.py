"""Rules as docs/rules.md states them: what an author writes, and what a request must get. No look at the product."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


@dataclass
class Caller:
    """The claims of a token, and the seconds since its login."""

    claims: dict[str, Any]
    age_seconds: float = 10

    def says(self, claim: str) -> Iterator[object]:
        """The values of a claim, by its dotted path: it is one value, or a list of them."""
        value: object = self.claims
        for name in ["email", "is_verified"] if claim == "email_verified" else claim.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        yield from value if isinstance(value, list) else [value]


def same(wanted: object, said: object) -> bool:
    """Equal, and of one kind: `1` is not `true`. An empty text is no claim."""
    kinds = [
        bool if isinstance(one, bool) else float if isinstance(one, int | float) else type(one)
        for one in (wanted, said)
    ]
    return kinds[0] is kinds[1] and wanted == said and said != ""


@dataclass
class OneRule:
    """A rule as its author writes it."""

    routes: list[str]
    require: dict[str, list[Any]] = field(default_factory=dict)
    max_age_seconds: int | None = None
    guard_head: bool = True
    fields: list[str] = field(default_factory=list)

    def text(self, number: int) -> str:
        lines = ["[[rule]]", f'name = "{number}"']
        lines += [f"{name} = {value}" for name in ("routes", "fields") if (value := getattr(self, name))]
        lines += [] if self.guard_head else ["guard_head = false"]
        lines += [] if self.max_age_seconds is None else [f"max_age_seconds = {self.max_age_seconds}"]
        lines += ["[rule.require]"] if self.require else []
        return "\n".join([*lines, *(f"{claim} = {toml(values)}" for claim, values in self.require.items()), ""])

    def is_met(self, caller: Caller) -> bool:
        if self.max_age_seconds is not None and caller.age_seconds > self.max_age_seconds:
            return False
        return all(
            any(same(one, said) for one in values for said in caller.says(claim))
            for claim, values in self.require.items()
        )

    def guards(self, method: str, path: str) -> bool:
        for name, pattern in self.paths():
            same_method = name in ("*", method) or (self.guard_head and (name, method) == ("GET", "HEAD"))
            if pattern.endswith("*"):
                same_path = path.startswith(pattern[:-1])
            else:
                bare = pattern.removesuffix("/")
                same_path = path in (pattern, bare, f"{bare}/")
            if same_method and same_path:
                return True
        return False

    def grants(self, method: str, path: str) -> bool:
        for name, pattern in self.paths():
            same_path = path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern
            if name in ("*", method) and same_path:
                return True
        return False

    def paths(self) -> list[tuple[str, str]]:
        """Method and path of each route but a WebSocket's."""
        return [(name, path) for name, _, path in (route.partition(" ") for route in self.routes) if path]

    @property
    def is_about_connections(self) -> bool:
        return "$connect" in self.routes


def toml(values: list[Any]) -> str:
    """A list of texts, numbers and booleans. One value may stand alone."""
    texts = [str(one).lower() if isinstance(one, bool) else repr(one) for one in values]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


@dataclass
class RuleSet:
    """All of rules.toml."""

    rules: list[OneRule]
    default: str
    allow_unusual: bool

    def text(self) -> str:
        unusual = "allow_unusual_paths = true\n" if self.allow_unusual else ""
        return f'default = "{self.default}"\n{unusual}' + "".join(r.text(n) for n, r in enumerate(self.rules))

    def allow(self, caller: Caller, method: str, path: str, *, unusual_is_fine: bool = False) -> bool:
        """What a request must get that is asked about alone."""
        odd = is_unusual(path) and not self.allow_unusual and not unusual_is_fine
        odd = odd or method not in METHODS
        met, unmet = self._sorted([rule for rule in self.rules if rule.paths()], caller)
        if any(odd or rule.guards(method, path) for rule in unmet):
            return False
        if self.default == "allow":
            return True
        return not odd and any(rule.grants(method, path) for rule in met)

    def connects(self, caller: Caller) -> bool:
        """What a WebSocket must get."""
        met, unmet = self._sorted([rule for rule in self.rules if rule.is_about_connections], caller)
        return not unmet and (self.default == "allow" or bool(met))

    def denied_fields(self, caller: Caller) -> set[str]:
        """What AppSync must be told to deny."""
        _, unmet = self._sorted([rule for rule in self.rules if rule.fields], caller)
        return {one for rule in unmet for one in rule.fields}

    @staticmethod
    def _sorted(rules: list[OneRule], caller: Caller) -> tuple[list[OneRule], list[OneRule]]:
        """Those that the caller meets, and those that they do not."""
        return [rule for rule in rules if rule.is_met(caller)], [rule for rule in rules if not rule.is_met(caller)]


def is_unusual(path: str) -> bool:
    return bool(re.search(r"%|//|;|\\|/\.\.?(/|$)", path))
