"""The outermost levels of a JSON object whose depths somebody else has written."""

import json
import re

from authorizer.hanko.strict_json import BRACKET, JSON_STRING, unique_members

OUTLINE_LEVELS = 2
_PART = re.compile(rf"{JSON_STRING.pattern}|{BRACKET.pattern}|[^\[\]{{}}\"]+", re.DOTALL)
_OPENING, _CLOSING = ("[", "{"), ("]", "}")


def parse_outline(data: bytes) -> dict[str, object]:
    """Parse the outermost two levels of a JSON object whose depths somebody else has written; those are null here.

    On the first level every name is there once. An object on the second is the tuple of its members, with names that
    may repeat; for what must be clear there, see `sole_member`. Numbers are floats, some infinite.

    No parser gets to see the depths: Python's own fails on some thousand levels, and whatever else it may find wrong
    there must not keep what is above from being read.
    """
    members = _OUTLINE_DECODER.decode(_without_depths(data.decode("utf-8", "replace")))
    if not isinstance(members, tuple):
        raise ValueError("not an object")  # noqa: TRY004 - what is refused is a ValueError
    return unique_members(list(members))


def sole_member(value: object, name: str) -> object:
    """The member of that name of an object on the second level; None where there is none, or more than one."""
    values = [one for key, one in value if key == name] if isinstance(value, tuple) else []
    return values[0] if len(values) == 1 else None


def _without_depths(text: str) -> str:
    """The text with null for each array and object that lies deeper than `OUTLINE_LEVELS`."""
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


# An integer of thousands of digits would be an error, the largest of floats is none.
_OUTLINE_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=float)
