"""Claims → the flat, bounded map that the backend receives: no nulls, no objects, nothing dropped in silence."""

import json
import re
from collections.abc import Sequence
from typing import TypeGuard

from authorizer.errors import Misconfigured, Reason
from authorizer.model import MAX_CONTEXT_BYTES, Claims, ContextValue
from authorizer.setting_values import ContextClaim

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def build_context(
    claims: Claims, extra: Sequence[ContextClaim], max_bytes: int = MAX_CONTEXT_BYTES
) -> dict[str, ContextValue]:
    """The context of one caller: Hanko's own claims under fixed keys, then the claims that the deployer named.

    Lists of strings become space-separated words, objects and other lists compact JSON. What the token does not hold
    is left out. Values are text that users may have chosen; the keys never are.

    Raises `Misconfigured(context_invalid)` above `max_bytes` of UTF-8, for words that hold white space themselves, and
    for control characters.
    """
    payload = claims.payload
    context: dict[str, ContextValue] = {"user_id": claims.user_id, "session_id": claims.session_id}
    email = payload.get("email")
    if isinstance(email, dict) and isinstance(email.get("address"), str):
        context["email"] = _text(email["address"])
        context["email_verified"] = email.get("is_verified") is True
    if isinstance(username := payload.get("username"), str):
        context["username"] = _text(username)
    if _are_strings(amr := payload.get("amr")):
        context["amr"] = _words(amr)
    context["issued_at"], context["expires_at"] = int(claims.issued_at), int(claims.expires_at)
    for claim in extra:
        if (value := claims.at(claim.path)) is not None:
            context[claim.name] = _flat(value)
    if _could_exceed(context, max_bytes) and len(_compact(context).encode()) > max_bytes:
        raise Misconfigured(Reason.CONTEXT_INVALID)
    return context


def _could_exceed(context: dict[str, ContextValue], max_bytes: int) -> bool:
    """Whether it is worth counting: four bytes for a character, and for a claim's name, punctuation and number 120."""
    return (
        4 * sum([len(value) for value in context.values() if isinstance(value, str)]) + 120 * len(context) > max_bytes
    )


def _flat(value: object) -> ContextValue:
    if isinstance(value, str | int | float):
        return _text(value) if isinstance(value, str) else value
    return _words(value) if _are_strings(value) else _text(_compact(value))


def _are_strings(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _text(value: str) -> str:
    if not value.isprintable() and _CONTROL.search(value):
        raise Misconfigured(Reason.CONTEXT_INVALID)  # where the context becomes a header, a line end begins another one
    return value


def _words(items: list[str]) -> str:
    text = _text(" ".join(items))
    if text.split() != items:
        raise Misconfigured(Reason.CONTEXT_INVALID)  # "a b" would read as two words, of which a user could choose one
    return text
