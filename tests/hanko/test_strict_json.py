"""Base64url and JSON as their standards write them; Python's own parsers let most of what is refused here in."""

import math
import time

import pytest

from authorizer.hanko.strict_json import MAX_INTEGER_DIGITS, MAX_NESTING, decode_base64url, parse_object
from authorizer.revocation.outline import parse_outline, sole_member

HANG_GUARD_SECONDS = 15  # anything quadratic takes minutes; two loaded cores take a second for what is linear


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        (b"", b""),
        (b"AA", b"\0"),
        (b"AAA", b"\0\0"),
        (b"AAAA", b"\0\0\0"),
        (b"AQAB", b"\x01\x00\x01"),
        (b"-_-_", b"\xfb\xff\xbf"),
        (b"_w", b"\xff"),
    ],
)
def test_canonical_base64url_is_decoded(text: bytes, decoded: bytes) -> None:
    assert decode_base64url(text) == decoded


@pytest.mark.parametrize(
    "text",
    [
        b"AA==",
        b"AAA=",
        b"AA====",  # what the guide tells to append
        b"=AA",
        b"A=A",
        b"+/+/",
        b"AB",  # unused bits are set
        b"AAB",
        b"AX",
        b"AAX",
        b"A",
        b"AAAAA",
        b"A A",
        b"AA\n",
        b"AA\0",
        b"A.A",
        b"\xff\xfe",
        "é".encode(),
    ],
)
def test_every_other_spelling_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the contract is ValueError, binascii's included
        decode_base64url(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        (
            ' {\t"a"\r\n: [1, -2, 0.5, 1e3, true, false, null, "x"] } ',
            {"a": [1, -2, 0.5, 1000.0, True, False, None, "x"]},
        ),
        ('{"":{"":{}}}', {"": {"": {}}}),
        ('{"a": "\\u00e9é\\n"}', {"a": "éé\n"}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),  # a whole pair of surrogates
        ('{"a": "[[[[{{{{"}', {"a": "[[[[{{{{"}),
    ],
)
def test_an_object_is_parsed(text: str, value: dict[str, object]) -> None:
    assert parse_object(text.encode()) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b"{} {}",
        b"{}x",
        b"X{}",
        b"{}X",
        b"{a: 1}",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": "\n"}',  # a control character
        b'{"a": "\xff"}',  # no UTF-8
        b'{"a": "\xed\xa0\x80"}',  # a surrogate in UTF-8
        b"\xef\xbb\xbf{}",  # a BOM
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-16-le"),
        '{"a": 1}'.encode("utf-32"),
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',  # the same name, escaped
        b'{"x": [{"a": 1, "b": 2, "a": 3}]}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e400}',
        b'{"a": -1e400}',
        b'{"a": 01}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\uDFFF"}',
        b'{"a": "\\ude00\\ud83d"}',  # a pair the wrong way round
        b'{"\\ud800": 1}',
        b'{"a": ["\\ud83d\\ude00", "\\ud800"]}',
    ],
)
def test_what_is_no_strict_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the contract is ValueError, json's and Unicode's included
        parse_object(data)


@pytest.mark.parametrize("sign", ["", "-"])
def test_integers_may_have_40_digits_and_no_more(sign: str) -> None:
    assert MAX_INTEGER_DIGITS == 40
    assert parse_object(f'{{"a": {sign}{"9" * 40}}}'.encode()) == {"a": int(sign + "9" * 40)}
    with pytest.raises(ValueError, match="integer too long"):
        parse_object(f'{{"a": {sign}{"9" * 41}}}'.encode())


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_ends_at_32_levels(opening: str, closing: str) -> None:
    assert MAX_NESTING == 32
    assert parse_object(f'{{"a":{opening * 31}1{closing * 31}}}'.encode())
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_object(f'{{"a":{opening * 32}1{closing * 32}}}'.encode())


def test_a_32nd_level_may_have_more_brackets_beside_it() -> None:
    assert parse_object(b'{"a":' + b"[" * 31 + b"]" * 31 + b', "b": [[], []]}')


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert parse_object(b'{"a": [' + b"[{}]," * 100 + b"[]]}") == {"a": [[{}]] * 100 + [[]]}


def test_brackets_inside_strings_are_not_levels() -> None:
    assert parse_object(b'{"a": "' + b"[" * 100 + b'", "b": "\\"' + b"{" * 100 + b'"}') == {
        "a": "[" * 100,
        "b": '"' + "{" * 100,
    }


def test_a_string_cannot_hide_depth() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_object(b'{"a\\\\":' + b"[" * 40 + b'"]]]]]]]]]]"' + b"]" * 40 + b"}")


@pytest.mark.parametrize("filler", [b'\\"', b"\\", b'"', b"a"])
def test_a_string_without_an_end_costs_no_more_than_its_length(filler: bytes) -> None:
    data = b"[" * 33 + b'"' + filler * 100_000
    started = time.process_time()
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong first
        parse_object(data)
    assert time.process_time() - started < HANG_GUARD_SECONDS


# --- the outline of what somebody else has a say in


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        (' { "a" : 1 , "b":[ ] } ', {"a": 1, "b": []}),
        ('{"a": [1, [2], {"b": [3]}, "c"], "d": {}}', {"a": [1, None, None, "c"], "d": ()}),
        ('{"a": {"b": 1, "b": {"c": "}"}, "d": "[{"}}', {"a": (("b", 1), ("b", None), ("d", "[{"))}),
        (r'{"a": "\"]", "b": {"c": "\ud800"}}', {"a": '"]', "b": (("c", "\ud800"),)}),
        ('{"a": ' + "9" * 5000 + ', "b": {"c": 1e999}}', {"a": math.inf, "b": (("c", math.inf),)}),
    ],
)
def test_an_outline_has_two_levels(text: str, value: dict[str, object]) -> None:
    assert parse_outline(text.encode()) == value


@pytest.mark.parametrize("depth", [40, 1_500, 60_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"]":', "}]")])
def test_what_lies_deeper_is_not_parsed_however_deep(depth: int, opening: str, closing: str) -> None:
    deep = opening * depth + "1" + closing * depth
    began = time.monotonic()
    assert parse_outline(f'{{"a": {{"b": {deep}, "id": "x"}}, "c": 2}}'.encode()) == {
        "a": (("b", None), ("id", "x")),
        "c": 2,
    }
    assert time.monotonic() - began < HANG_GUARD_SECONDS


@pytest.mark.parametrize(
    "deep",
    [
        *(b'{"a": 1, "a": 2}', rb'"\ud800"', b'{"a": NaN, "b": -Infinity}', b"9" * 5000, b'"\xff"', b"{'a': 01}"),
        *(b'{"a": "]"}', rb'{"a": "\"]"}', rb'{"a\\": "]\\"}'),
    ],
)
def test_what_lies_deeper_is_no_reason_to_refuse(deep: bytes) -> None:
    assert parse_outline(b'{"a": {"b": [' + deep + b'], "id": "x"}}') == {"a": (("b", None), ("id", "x"))}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '"a"', "{", '{"a": 1}}', '{"a": [}', '{"a": 1, "a": 1}', '{"a": "', '{"a": [[1]', "{'a': 1}"],
)
def test_what_is_no_object_has_no_outline(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any: it is never shown
        parse_outline(text.encode())


def test_a_member_is_one_that_is_there_once() -> None:
    members = parse_outline(b'{"a": {"id": 1, "x": 2, "x": 2, "y": null}}')["a"]
    assert [sole_member(members, name) for name in ("id", "x", "y", "z")] == [1, None, None, None]
    assert [sole_member(value, "id") for value in (None, "id", ["id"], {"id": 1})] == [None] * 4
