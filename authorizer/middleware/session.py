"""The caller's session, in one shape, whether we verified the token or the authorizer did."""

from collections.abc import Mapping
from dataclasses import dataclass

from authorizer.model import ContextValue


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A session that lives. `claims` is all that docs/backend.md says a backend receives, as it came."""

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
    """The session of an authorizer's context. REST APIs turn every value into text, so texts are accepted, too.

    `user_id` and `session_id` must be there.
    """
    return Session(
        user_id=str(context["user_id"]),
        session_id=str(context["session_id"]),
        email=_text(context.get("email")),
        email_verified=context.get("email_verified") in (True, "true"),
        username=_text(context.get("username")),
        amr=tuple((_text(context.get("amr")) or "").split()),
        issued_at=_number(context.get("issued_at")),
        expires_at=_number(context.get("expires_at")),
        claims=context,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() else None
