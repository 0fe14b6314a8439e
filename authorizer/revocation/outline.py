"""Parses the outermost levels of a JSON object whose deeper levels a user may have written."""

import json
import re

from authorizer.hanko.strict_json import BRACKET, JSON_STRING, unique_members

OUTLINE_LEVELS = 2
_PART = re.compile(rf"{JSON_STRING.pattern}|{BRACKET.pattern}|[^\[\]{{}}\"]+", re.DOTALL)
_OPENING, _CLOSING = ("[", "{"), ("]", "}")


def parse_outline(data: bytes) -> dict[str, object]:
    """Parse the outermost two levels of a JSON object. Arrays and objects on deeper levels become null.

    Names on the first level are unique. An object on the second level is a tuple of its members, and its names may
    repeat: read it with `sole_member`. Numbers are floats, possibly infinite.

    The deeper levels are not parsed, so that users' own texts there cannot make the levels above unreadable: Python's
    parser fails at some thousand levels.
    """
    members = _OUTLINE_DECODER.decode(_without_depths(data.decode("utf-8", "replace")))
    if not isinstance(members, tuple):
        raise ValueError("not an object")  # noqa: TRY004 - wrong input is a ValueError here
    return unique_members(list(members))


def sole_member(value: object, name: str) -> object:
    """The only member with that name of an object on the second level; None if there is none or several."""
    values = [one for key, one in value if key == name] if isinstance(value, tuple) else []
    return values[0] if len(values) == 1 else None


def _without_depths(text: str) -> str:
    """The text with null for each array and object deeper than `OUTLINE_LEVELS`."""
    kept, depth = [], 0
    for part in _PART.findall(text):
        if part in _OPENING:
            depth += 1
            if depth == OUTLINE_LEVELS + 1:
                kept.append("null")
        if depth <= OUTLINE_LEVELS:
            kept.append(part)
        if part in _CLOSING:
            depth -= 1
    return "".join(kept)


# As an int, a number of thousands of digits would be an error; as a float it is infinite.
_OUTLINE_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=float)
