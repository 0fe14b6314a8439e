"""Base64url and JSON, strictly as their standards define them. Python's own parsers accept more. Raises ValueError."""

import binascii
import json
import math
import re

MAX_NESTING = 32
MAX_INTEGER_DIGITS = 40

BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
# Indexed by the number of characters after the last group of four: the padding that Python needs, and the characters
# that may come last, because their unused bits are zero. One character after the last group is not base64.
_PADDING = (b"", b"", b"==", b"=")
_LAST = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")
JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)  # an unclosed string reaches to the end: no backtracking
BRACKET = re.compile(r"[\[\]{}]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def decode_base64url(text: bytes) -> bytes:
    """Decode canonical base64url without padding (RFC 7515 section 2): each value has exactly one text."""
    if text.translate(None, BASE64URL):
        raise ValueError("not base64url")
    return decode_unchecked(text)


def decode_unchecked(text: bytes) -> bytes:
    """Decode a text that is known to hold only characters of `BASE64URL`; here any other would be skipped."""
    beyond = len(text) % 4
    if beyond and text[-1] not in _LAST[beyond]:
        raise ValueError("not canonical base64url")
    return binascii.a2b_base64(text.translate(_TO_STANDARD) + _PADDING[beyond])


def parse_object(data: bytes) -> dict[str, object]:
    """Parse a JSON object (RFC 8259).

    UTF-8 without a BOM, at most `MAX_NESTING` levels, every name once in its object, finite numbers, integers of at
    most `MAX_INTEGER_DIGITS` digits, no lone surrogates.
    """
    text = data.decode("utf-8").strip(" \t\r\n")  # the white space of RFC 8259
    if text.count("[") + text.count("{") > MAX_NESTING and _nesting(text) > MAX_NESTING:
        raise ValueError("nested too deeply")
    value, end = _DECODER.raw_decode(text)
    if not isinstance(value, dict) or end != len(text):
        raise ValueError("not one object")
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate is a UnicodeEncodeError
    return value


def _nesting(text: str) -> int:
    depth = deepest = 0
    for bracket in BRACKET.findall(JSON_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The members of an object. Raises ValueError if two have the same name."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _integer(digits: str) -> int:
    if len(digits.removeprefix("-")) > MAX_INTEGER_DIGITS:
        raise ValueError("integer too long")
    return int(digits)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("number too large")
    return value


def _no_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=unique_members, parse_int=_integer, parse_float=_finite, parse_constant=_no_constant
)
