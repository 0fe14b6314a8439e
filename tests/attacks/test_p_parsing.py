"""P: the text of a token, before and after its signature."""

import base64
import json
import sysconfig
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from attacks.forging import (
    allow,
    compact,
    forge,
    genuine_key,
    header_of,
    refuse,
    session_claims,
    signed,
    with_signature,
)
from sandbox import CONTEXT, USER, Sandbox

from local.hanko import StandInHanko
from local.hanko.keys import b64, unb64
from local.runtime import LambdaRuntime
from local.sign import event_with

STRUCTURES: dict[str, Callable[[str, str, str], str]] = {
    "one_part": lambda h, _p, _s: h,
    "two_parts": lambda h, p, _: f"{h}.{p}",
    "four_parts": lambda h, p, s: f"{h}.{p}.{s}.{s}",
    "five_parts_as_a_jwe": lambda h, p, s: f"{h}.{p}.{s}.{s}.{s}",
    "no_header": lambda _, p, s: f".{p}.{s}",
    "no_payload": lambda h, _, s: f"{h}..{s}",
    "no_signature": lambda h, p, _: f"{h}.{p}.",
    "dots": lambda *_: "..",
    "dot_behind": lambda h, p, s: f"{h}.{p}.{s}.",
    "dot_in_front": lambda h, p, s: f".{h}.{p}.{s}",
    "header_padded": lambda h, p, s: f"{h}=.{p}.{s}",
    "payload_padded": lambda h, p, s: f"{h}.{p}=.{s}",
    "signature_padded": lambda h, p, s: f"{h}.{p}.{s}=",
    "advice_of_the_guide": lambda h, p, s: f"{h}.{p}.{s}====",
    "standard_alphabet": lambda h, p, s: f"{h}.{p}.{s[:-8]}+/+/+/+/",
    "newline_behind": lambda h, p, s: f"{h}.{p}.{s}\n",
    "crlf_behind": lambda h, p, s: f"{h}.{p}.{s}\r\n",
    "newline_inside": lambda h, p, s: f"{h}.{p}\n.{s}",
    "space_inside": lambda h, p, s: f"{h}. {p}.{s}",
    "tab_inside": lambda h, p, s: f"{h}.{p[:4]}\t{p[4:]}.{s}",
    "nul_behind": lambda h, p, s: f"{h}.{p}.{s}\0",
    "byte_order_mark": lambda h, p, s: f"\ufeff{h}.{p}.{s}",
    "no_break_space_behind": lambda h, p, s: f"{h}.{p}.{s}\xa0",
    "soft_hyphen_inside": lambda h, p, s: f"{h}.{p}.{s[:9]}\xad{s[9:]}",
    "wide_letter": lambda h, p, s: f"{h}.{p}.Ａ{s[1:]}",  # noqa: RUF001 - a look-alike on purpose
    "surrogate": lambda h, p, s: f"{h}.{p}.{s}\ud800",
    "percent_encoded": lambda h, p, s: f"{h}%2E{p}%2E{s}",
    "in_quotes": lambda h, p, s: f'"{h}.{p}.{s}"',
    "with_its_scheme": lambda h, p, s: f"Bearer {h}.{p}.{s}",
    "json_flattened": lambda h, p, s: json.dumps({"protected": h, "payload": p, "signature": s}),
    "json_general": lambda h, p, s: json.dumps({"payload": p, "signatures": [{"protected": h, "signature": s}]}),
    "in_braces": lambda h, p, s: f"{{{h}.{p}.{s}}}",
}


@pytest.mark.parametrize("build", STRUCTURES.values(), ids=STRUCTURES)
def test_p1_what_is_no_compact_jws(
    build: Callable[[str, str, str], str], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """P1: CVE-2023-51774, GHSA-hxm8-2xgr-2p9m. The cookie brings it as it is; and nothing asks for keys."""
    refuse(sandbox, build(*forge(hanko).split(".")), "token_malformed", "http_v2_cookie")
    assert hanko.jwks_requests == 0


@pytest.mark.parametrize("build", [STRUCTURES[name] for name in STRUCTURES if name != "with_its_scheme"])
def test_p1_what_is_no_compact_jws_in_a_header(
    build: Callable[[str, str, str], str], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """P1: the same texts, in the Authorization header."""
    token = build(*forge(hanko).split("."))
    refuse(sandbox, token, "token_ambiguous" if "," in token else "token_malformed", "http_v2", "rest_token")


def test_p1_v2_a_token_has_one_text(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P1, V2: unused bits at the end of a segment would make several texts of one token, for lists and caches of them.

    Header and payload are changed before signing: only their own form can be what is wrong.
    """
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    key = genuine_key(hanko)

    def other_texts(segment: str) -> list[str]:
        same = [segment[:-1] + last for last in alphabet if last != segment[-1]]
        return [text for text in same if base64.urlsafe_b64decode(text + "==") == unb64(segment)]

    header = b64(compact(header_of(hanko)).ljust(100))  # 100 bytes: four bits are left over
    payload = b64(compact(session_claims()).ljust(400))
    good = with_signature(f"{header}.{payload}", key)
    assert allow(sandbox, good) == CONTEXT
    signing_input, _, signature = good.rpartition(".")
    texts = [other_texts(segment) for segment in (header, payload, signature)]
    assert [len(others) for others in texts] == [15, 15, 3]
    for other in texts[0]:
        refuse(sandbox, with_signature(f"{other}.{payload}", key), "token_malformed")
    for other in texts[1]:
        refuse(sandbox, with_signature(f"{header}.{other}", key), "claims_malformed")
    for other in texts[2]:
        refuse(sandbox, f"{signing_input}.{other}", "signature_invalid")


@pytest.mark.parametrize("size", [16_385 - 900, 8_000_000])
def test_p2_a_token_that_is_too_long(size: int, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P2: CVE-2025-61920, CVE-2024-33664. Refused by its length, before anything of it is decoded or verified."""
    refuse(sandbox, forge(hanko, claims={"filler": "x" * size}), "token_malformed", "http_v2_cookie")
    assert hanko.jwks_requests == 0


def test_p2_a_header_that_is_too_long(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P2: the token's header has a limit of its own."""
    header = compact(header_of(hanko)).ljust(3073)
    refuse(sandbox, signed(header, compact(session_claims()), genuine_key(hanko)), "token_malformed")
    assert hanko.jwks_requests == 0


Bytes = Callable[[bytes], bytes]
# What is wrong with the text of an object, header or payload alike. The member "username" is in none of the headers:
# texts that change a member add it in front.
TEXTS: dict[str, Bytes] = {
    "p3_a_name_twice": lambda text: b'{"alg":"none","sub":"admin",' + text[1:].replace(b'"typ"', b'"sub":1,"typ"'),
    "p4_byte_order_mark": lambda text: b"\xef\xbb\xbf" + text,
    "p4_utf_16": lambda text: text.decode().encode("utf-16"),
    "p4_utf_16_be": lambda text: text.decode().encode("utf-16-be"),
    "p4_utf_16_le": lambda text: text.decode().encode("utf-16-le"),
    "p4_utf_32": lambda text: text.decode().encode("utf-32"),
    "p4_latin_1": lambda text: b'{"x":"\xe9",' + text[1:],
    "p4_overlong": lambda text: b'{"x":"\xc0\xaf",' + text[1:],
    "p4_encoded_surrogate": lambda text: b'{"x":"\xed\xa0\x80",' + text[1:],
    "p5_lone_surrogate": lambda text: b'{"x":"\\ud800",' + text[1:],
    "p5_lone_low_surrogate": lambda text: b'{"x":"\\uDC00\\ud83d",' + text[1:],
    "p5_surrogate_in_a_name": lambda text: b'{"\\udfff":1,' + text[1:],
    "p6_nan": lambda text: b'{"x":NaN,' + text[1:],
    "p6_infinity": lambda text: b'{"x":Infinity,' + text[1:],
    "p6_minus_infinity": lambda text: b'{"x":[-Infinity],' + text[1:],
    "p6_overflow": lambda text: b'{"x":1e999,' + text[1:],
    "p6_long_integer": lambda text: b'{"x":1' + b"0" * 40 + b"," + text[1:],
    "p7_nested_33_deep": lambda text: b'{"x":' + b"[" * 32 + b"]" * 32 + b"," + text[1:],
    "p7_nested_objects": lambda text: b'{"x":' + b'{"x":' * 32 + b"0" + b"}" * 32 + b"," + text[1:],
    "p7_nested_beyond_the_stack": lambda text: b'{"x":' + b"[" * 1200 + b"]" * 1200 + b"," + text[1:],
    "p8_list": lambda text: b"[" + text + b"]",
    "p8_text": lambda _: b'"header"',
    "p8_number": lambda _: b"0",
    "p8_null": lambda _: b"null",
    "p8_true": lambda _: b"true",
    "p8_empty": lambda _: b" ",
    "p8_something_behind": lambda text: text + b"}",
    "p8_two_objects": lambda text: text + text,
    "p8_nul_behind": lambda text: text + b"\0",
    "p8_comment": lambda text: text + b"//",
    "p8_comma_at_the_end": lambda text: text[:-1] + b",}",
    "p8_single_quotes": lambda text: text.replace(b'"', b"'"),
    "p8_control_character": lambda text: b'{"x":"\n",' + text[1:],
    "p8_cut": lambda text: text[:-1],
    "p8_string_without_an_end": lambda text: text + b'"' + b"[" * 500,
}  # fmt: skip


@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS)
def test_p_a_header_that_is_no_strict_json_object(change: Bytes, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P3 to P8: GHSA-8wjv-2p76-3863. Parsers that differ are where attacks live: the strictest reading counts."""
    header = change(compact(header_of(hanko)))
    refuse(sandbox, signed(header, compact(session_claims()), genuine_key(hanko)), "token_malformed")
    assert hanko.jwks_requests == 0


@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS)
def test_p_a_payload_that_is_no_strict_json_object(change: Bytes, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P3 to P8, P10: although Hanko signed it. Claims that are not used are parsed as strictly as the others."""
    payload = change(compact(session_claims()))
    refuse(sandbox, signed(compact(header_of(hanko)), payload, genuine_key(hanko)), "claims_malformed")


@pytest.mark.parametrize("twice", ['"sub":"{0}","sub":"{1}"', '"email":{{"address":"a","address":"b"}}'])
def test_p3_a_claim_twice(twice: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P3: parsers differ on whether the first or the last counts. Nested members, too."""
    claims = session_claims()
    del claims["sub" if "sub" in twice else "email"]
    payload = f"{{{twice.format(uuid.uuid4(), USER)},{compact(claims).decode()[1:]}".encode()
    refuse(sandbox, signed(compact(header_of(hanko)), payload, genuine_key(hanko)), "claims_malformed")


def test_p3_an_algorithm_twice(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P3: parsers differ on whether the first or the last counts."""
    header = f'{{"alg":"none","alg":"RS256","kid":"{hanko.kids[0]}","typ":"JWT"}}'.encode()
    refuse(sandbox, signed(header, compact(session_claims()), genuine_key(hanko)), "token_malformed")


@pytest.mark.parametrize(
    "payload", [b"{", b"[" * 3000, b"\xff", compact({"exp": 0})], ids=["cut", "deep", "bytes", "exp"]
)
def test_p9_the_payload_is_not_read_before_the_signature_is_verified(
    payload: bytes, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """P9: CVE-2026-48525. An unsigned payload does not even change the reason of the refusal."""
    header, _, signature = forge(hanko).split(".")
    refuse(sandbox, f"{header}.{b64(payload)}.{signature}", "signature_invalid")


def test_surrogates_do_not_end_the_runtime() -> None:
    """P5: an exception, a log line or an answer with a lone surrogate ends the real runtime's process."""
    root = Path(__file__).parent.parent.parent
    with (
        StandInHanko() as hanko,
        LambdaRuntime(
            root,
            {
                "PYTHONPATH": f"{root}:{sysconfig.get_path('purelib')}",
                "HANKO_API_URL": hanko.url,
                "HANKO_AUDIENCE": "localhost",
            },
        ) as runtime,
    ):
        surrogate = signed(b'{"alg":"RS256","kid":"\\ud800","typ":"JWT"}', b"{}", genuine_key(hanko))
        events = [
            event_with("rest_request", surrogate),
            event_with("rest_request", "\ud800"),
            event_with("http_v2_cookie", "\ud800"),
            event_with("rest_token", forge(hanko)) | {"methodArn": "arn:\ud800"},
            event_with("rest_token", surrogate) | {"\ud800": "\ud800", "type": "\ud800"},
        ]
        answers = [runtime.invoke(event) for event in events]
        allowed = runtime.invoke(event_with("http_v2", hanko.mint()))
        log, records = runtime.log, runtime.records
    assert [answer.get("errorMessage", answer.get("isAuthorized")) for answer in answers] == [
        *("Unauthorized", "Unauthorized", False, "Authorizer unavailable", "Authorizer unavailable"),
    ]
    assert allowed["isAuthorized"] is True
    assert hanko.jwks_requests == 1, "one process answered all of them"
    assert (len(records), log.count("INIT START"), "ud800" in log) == (6, 1, False)
    assert all("_aws" in record for record in records)
