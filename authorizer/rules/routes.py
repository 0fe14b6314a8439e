"""The routes of rules as IAM patterns: API Gateway matches them in a policy, `Patterns.match` does the same here.

evaluation.py asks whether a rule's patterns match the route of the request.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from authorizer.model import Scope

CONNECT = "$connect"

# Parts of a path that some backends read as another path: an escape, an empty or a dot segment, a path parameter, a
# backslash. Once as texts, once as IAM patterns behind the stage.
_UNUSUAL_PARTS = ("%", "//", "/./", "/../", ";", "\\")
_UNUSUAL_ENDS = ("/.", "/..")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
UNUSUAL_PATHS = (*(f"*{part}*" for part in _UNUSUAL_PARTS), *(f"*{end}" for end in _UNUSUAL_ENDS))


def is_unusual(path: str) -> bool:
    """Whether `UNUSUAL_PATHS` match a path, or it is one for which there is no IAM pattern.

    That is a path with a control character (the routes of Starlette and Powertools end in `$`, which also matches
    before a line end: `/admin%0A` is `/admin`), and one without a slash in front (see middleware/asgi.py).
    """
    is_odd = any(part in path for part in _UNUSUAL_PARTS) or path.endswith(_UNUSUAL_ENDS)
    return is_odd or not path.startswith("/") or _CONTROL.search(path) is not None


@dataclass(frozen=True, slots=True)
class Route:
    """`methods` on `path`. An `open_ended` route is everything that begins with `path`."""

    methods: tuple[str, ...]
    path: str
    open_ended: bool

    def granted(self) -> Iterable[str]:
        """The IAM patterns, from the stage on, of what it grants."""
        star = "*" if self.open_ended else ""
        return (f"{method}{self.path}{star}" for method in self.methods)

    def guarded(self, *, head: bool) -> Iterable[str]:
        """The IAM patterns, from the stage on, of what it guards.

        Backends differ on a slash at the end, and run the code of GET for HEAD: `head` guards HEAD with GET.
        """
        methods = dict.fromkeys((*self.methods, *(["HEAD"] if head and "GET" in self.methods else [])))
        paths = [f"{self.path}*"] if self.open_ended else [self.path]
        if not self.open_ended and (bare := self.path.rstrip("/")):
            paths = [bare, f"{bare}/"]
        return (f"{method}{path}" for method in methods for path in paths)


class Patterns:
    """IAM patterns, from the stage on, with * only at the end. A pattern that another one covers is left out."""

    def __init__(self, patterns: Iterable[str]) -> None:
        every = dict.fromkeys(patterns)
        beginnings = [one[:-1] for one in every if one.endswith("*")]
        self.patterns = tuple(one for one in every if not any(one.startswith(b) and one != f"{b}*" for b in beginnings))
        self._exact = frozenset(self.patterns)  # one with a star is a route only where its beginning matches anyway
        self._beginnings = tuple(one[:-1] for one in self.patterns if one.endswith("*"))

    def match(self, route: str) -> bool:
        """Whether one of them matches a route, given as method and path."""
        return route in self._exact or route.startswith(self._beginnings)

    def match_all_of(self, scope: Scope) -> bool:
        """Whether they match every route of the scope."""
        routes = [f"{method}{scope.path}" for method in scope.methods]
        return all(one.startswith(self._beginnings) or (not scope.open_ended and one in self._exact) for one in routes)

    def match_any_of(self, scope: Scope) -> bool:
        """Whether they match a route of the scope."""
        routes = tuple(f"{method}{scope.path}" for method in scope.methods)
        if any(map(self.match, routes)):
            return True
        return scope.open_ended and any(one.startswith(routes) for one in self.patterns)
