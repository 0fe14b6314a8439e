"""Routes as rules name them, and the IAM patterns that say the same to API Gateway."""

from collections.abc import Iterable
from dataclasses import dataclass

from authorizer.model import Scope

CONNECT = "$connect"

# What a path can hold that some backend reads as another path: an escape, an empty or a dot segment, a path parameter,
# a backslash. As IAM patterns behind the stage, and as what they look for.
_UNUSUAL_PARTS = ("%", "//", "/./", "/../", ";", "\\")
_UNUSUAL_ENDS = ("/.", "/..")
UNUSUAL_PATHS = (*(f"*{part}*" for part in _UNUSUAL_PARTS), *(f"*{end}" for end in _UNUSUAL_ENDS))


def is_unusual(path: str) -> bool:
    """Whether a path holds what `UNUSUAL_PATHS` look for."""
    return any(part in path for part in _UNUSUAL_PARTS) or path.endswith(_UNUSUAL_ENDS)


@dataclass(frozen=True, slots=True)
class Route:
    """`methods` on `path`; if it is `open_ended`, on everything that begins with `path`."""

    methods: tuple[str, ...]
    path: str
    open_ended: bool

    def patterns(self, *, guarded: bool) -> Iterable[str]:
        """IAM patterns, from the stage on, of what it grants or guards: backends differ on a slash at the end."""
        paths = [f"{self.path}*"] if self.open_ended else [self.path]
        if guarded and not self.open_ended and (bare := self.path.rstrip("/")):
            paths = [bare, f"{bare}/"]
        return (f"{method}{path}" for method in self.methods for path in paths)


class Patterns:
    """IAM patterns, from the stage on, with * at their end only; each once, and none that another one covers."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Sort them: answers are short of room, and every request is compared with them."""
        every = dict.fromkeys(patterns)
        beginnings = [one[:-1] for one in every if one.endswith("*")]
        self.patterns = tuple(one for one in every if not any(one.startswith(b) and one != f"{b}*" for b in beginnings))
        self._exact = frozenset(one for one in self.patterns if not one.endswith("*"))
        self._beginnings = tuple(one[:-1] for one in self.patterns if one.endswith("*"))

    def match(self, route: str) -> bool:
        """Whether they match this one: its method and path."""
        return route in self._exact or route.startswith(self._beginnings)

    def match_all_of(self, scope: Scope) -> bool:
        """Whether they match everything in the scope."""
        routes = [f"{method}{scope.path}" for method in scope.methods]
        return all(one.startswith(self._beginnings) or (not scope.open_ended and one in self._exact) for one in routes)

    def match_any_of(self, scope: Scope) -> bool:
        """Whether they match anything in the scope."""
        routes = tuple(f"{method}{scope.path}" for method in scope.methods)
        return any(map(self.match, routes)) or (
            scope.open_ended and any(one.startswith(routes) for one in self.patterns)
        )
