"""Collects the mistakes in the settings or in the rules, so that one message tells all of them."""

from collections.abc import Callable
from typing import TypeVar, cast

from authorizer.errors import Misconfigured, Reason

T = TypeVar("T")
V = TypeVar("V")


class Mistakes:
    """The mistakes found so far, one line each."""

    def __init__(self, reason: Reason, heading: str) -> None:
        """`heading` becomes the first line of the message."""
        self.lines: list[str] = []
        self._reason, self._heading = reason, heading

    def read(self, name: str, parse: Callable[[V], T], value: V, hint: str = "") -> T:
        """Parse a value. If `parse` raises ValueError, keep "name, error text, hint" as a mistake.

        The result counts only if `stop` does not raise.
        """
        try:
            return parse(value)
        except ValueError as error:
            self.lines.append(f"{name} {error}{hint}")
            return cast("T", None)  # never used: `stop` raises

    def stop(self) -> None:
        """Raise `Misconfigured` if there is a mistake. The text is ASCII, one line for each mistake."""
        if self.lines:
            lines = [line.encode("ascii", "backslashreplace").decode() for line in self.lines]
            raise Misconfigured(self._reason, "\n".join([self._heading, *lines]))
