"""What a verified session token says. Nothing here knows how it was verified."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Claims(NamedTuple):
    """What a verified session token says. `payload` is all of it; whatever else it holds, the user may have chosen."""

    user_id: str
    session_id: str
    issued_at: float
    expires_at: float
    payload: Mapping[str, object]

    def at(self, path: Sequence[str]) -> object:
        """What lies at a path of names in the payload; None where the path leads nowhere."""
        value: object = self.payload
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def __repr__(self) -> str:
        """Without what is in it: it is personal."""
        return "Claims(...)"
