"""A request as a framework knows it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Incoming(NamedTuple):
    """A request as a framework knows it.

    The names of `headers` are in lower case. `request_context` is that of API Gateway's event, if there is one.
    """

    headers: Sequence[tuple[str, str]]
    method: str = "GET"
    path: str = "/"
    is_websocket: bool = False
    query: Mapping[str, list[str]] | None = None
    request_context: object = None
    cookies: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        """Without what the caller wrote."""
        return "Incoming(...)"
