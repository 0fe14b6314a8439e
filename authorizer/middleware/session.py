"""Who is calling, in one shape, whether we verified the token or the authorizer did."""

from collections.abc import Mapping
from dataclasses import dataclass

from authorizer.model import ContextValue

_OF_API_GATEWAY = frozenset(("principalId", "integrationLatency"))  # what it adds to an authorizer's context


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A session that lives. `claims` is all that docs/backend.md says a backend receives."""

    user_id: str
    session_id: str
    email: str | None
    email_verified: bool
    username: str | None
    amr: tuple[str, ...]
    issued_at: int | None
    expires_at: int | None
    claims: Mapping[str, ContextValue]

    def __repr__(self) -> str:
        """Without what is in it: it is personal."""
        return "Session(...)"


def session_of(context: Mapping[str, ContextValue]) -> Session:
    """The session of an authorizer's context. REST APIs turn every value into text, so types are taken as either.

    `user_id` and `session_id` must be there.
    """
    claims = {name: value for name, value in context.items() if name not in _OF_API_GATEWAY}
    return Session(
        user_id=str(claims["user_id"]),
        session_id=str(claims["session_id"]),
        email=_text(claims.get("email")),
        email_verified=claims.get("email_verified") in (True, "true"),
        username=_text(claims.get("username")),
        amr=tuple((_text(claims.get("amr")) or "").split()),
        issued_at=_number(claims.get("issued_at")),
        expires_at=_number(claims.get("expires_at")),
        claims=claims,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() else None
