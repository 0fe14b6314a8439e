"""Claims → the flat, bounded map that the backend receives.

A user's own data never causes a refusal: if API Gateway cannot carry a value, it gets another documented form, see
docs/backend.md. Users may have written the values, never the keys.
"""

import binascii
import json
import re
from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

from authorizer.model import MAX_CONTEXT_BYTES, Claims, ContextValue
from authorizer.setting_values import ClaimForm, ContextClaim

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # Unicode's category Cc
_NOT_IN_A_LOGIN = re.compile(r"[\s%\x00-\x1f\x7f-\x9f]")
_NOT_IN_JSON = {number: f"\\u{number:04x}" for number in range(0x7F, 0xA0)}  # which JSON itself leaves unescaped
_NEVER_LEFT_OUT = frozenset({"user_id", "session_id", "issued_at", "expires_at"})
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_as_sent = json.JSONEncoder(ensure_ascii=False).encode  # as Lambda's runtime writes the answer


class Context(NamedTuple):
    """The context of one caller, and what had to be changed: `left_out` keys, the number of `replaced` characters."""

    values: dict[str, ContextValue]
    left_out: tuple[str, ...]
    replaced: int


def build_context(claims: Claims, extra: Sequence[ContextClaim], max_bytes: int = MAX_CONTEXT_BYTES) -> Context:
    """Hanko's own claims under fixed keys, then the claims that the deployer names. Absent and empty ones are left out.

    Above `max_bytes` the largest values are left out until the rest fits, and `left_out` names them.
    """
    payload = claims.payload
    values: dict[str, ContextValue] = {"user_id": claims.user_id, "session_id": claims.session_id}
    email = payload.get("email")
    if isinstance(email, dict) and isinstance(address := email.get("address"), str) and address:
        values["email"] = address
        values["email_verified"] = email.get("is_verified") is True
    if isinstance(username := payload.get("username"), str) and username:
        values["username"] = username
    if _are_strings(amr := payload.get("amr")):
        values["amr"] = _logins(amr)
    values["issued_at"], values["expires_at"] = int(claims.issued_at), int(claims.expires_at)
    for claim in extra:
        if (value := claims.at(claim.path)) is not None and value != "":
            values[claim.name] = _flat(value, claim.form)
    text = "".join([value for value in values.values() if isinstance(value, str)])
    replaced = 0 if text.isprintable() else _replace_control_characters(values)
    # An upper bound, in 1 us of a request's 200 (encoding takes 6): four bytes a character, and 120 for a name, its
    # punctuation and a number.
    fits = 4 * len(text) + 120 * len(values) <= max_bytes
    return Context(values, () if fits else _leave_out(values, max_bytes), replaced)


def _flat(value: object, form: ClaimForm) -> ContextValue:
    if form == "b64":
        return binascii.b2a_base64(_json(value).encode(), newline=False).decode().translate(_URL_SAFE)
    if form == "" and isinstance(value, str | int | float):
        return value
    if form == "" and _are_strings(value) and _are_words(value):
        return " ".join(value)
    return _json(value)


_URL_SAFE = str.maketrans("+/", "-_", "=")


def _json(value: object) -> str:
    """Compact JSON without control characters."""
    return _compact(value).translate(_NOT_IN_JSON)


def _are_strings(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _are_words(items: list[str]) -> bool:
    """Whether the items, joined by spaces, can be told apart from each other and from JSON."""
    text = " ".join(items)
    return text.split() == items and not _CONTROL.search(text) and not text.startswith(("[", "{"))


def _logins(amr: list[str]) -> str:
    """Space-separated words, percent-encoded where that is needed: a SAML issuer may hold white space."""
    text = " ".join(amr)
    if text.split() == amr and text.isprintable() and "%" not in text:
        return text
    from urllib.parse import quote  # noqa: PLC0415 - 2 ms of a cold start, and rarely needed

    return " ".join(_NOT_IN_A_LOGIN.sub(lambda found: quote(found[0]), word) for word in amr if word)


def _replace_control_characters(values: dict[str, ContextValue]) -> int:
    """Replace control characters: if a backend makes a header of a value, a line end would begin another header."""
    replaced = 0
    for name, value in values.items():
        if isinstance(value, str):
            values[name], count = _CONTROL.subn("\ufffd", value)
            replaced += count
    return replaced


def _leave_out(values: dict[str, ContextValue], max_bytes: int) -> tuple[str, ...]:
    """Remove the largest values until the rest fits. Ids and times stay."""
    left_out: list[str] = []
    largest = sorted(values.keys() - _NEVER_LEFT_OUT, key=lambda name: (_size(values[name]), name))
    while largest and _size(values) > max_bytes:
        left_out.append(largest.pop())
        del values[left_out[-1]]
        values["left_out"] = " ".join(left_out)
    return tuple(left_out)


def _size(value: object) -> int:
    return len(_as_sent(value).encode())
