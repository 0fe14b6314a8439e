"""Claims → the flat, bounded map that the backend receives, as full literals."""

import base64
import json
from typing import Any
from unicodedata import category
from urllib.parse import unquote

import pytest

from authorizer.context import Context, build_context
from authorizer.model import MAX_CONTEXT_BYTES, Claims, ContextValue
from authorizer.setting_values import MAX_NAMES_CHARACTERS, ClaimForm, ContextClaim

USER_ID = "3f1f8bd5-9b8e-4b4f-8a39-4b1f5d0c6f52"
SESSION_ID = "9d6c1e0a-6d4c-4c0e-9f0e-0a3d3ff3b1c7"
ALWAYS = {"user_id": USER_ID, "session_id": SESSION_ID, "issued_at": 1_800_000_000, "expires_at": 1_800_043_200}


def built(payload: dict[str, Any], form: ClaimForm = "", max_bytes: int = MAX_CONTEXT_BYTES, **names: str) -> Context:
    """The context; `names` says which path of the payload goes under which name."""
    extra = [ContextClaim(tuple(path.split(".")), name, form) for name, path in names.items()]
    return build_context(Claims(USER_ID, SESSION_ID, 1_800_000_000, 1_800_043_200, payload), extra, max_bytes)


def context(payload: dict[str, Any], form: ClaimForm = "", **names: str) -> dict[str, ContextValue]:
    """The values, where nothing had to be changed."""
    made = built(payload, form, MAX_CONTEXT_BYTES, **names)
    assert (made.left_out, made.replaced) == ((), 0)
    return made.values


def test_a_session_with_everything() -> None:
    payload = {
        "email": {"address": "user@example.com", "is_primary": True, "is_verified": True},
        "username": "example-user",
        "amr": ["pwd", "totp", "ext:github"],
    }
    assert context(payload) == {
        "user_id": USER_ID,
        "session_id": SESSION_ID,
        "email": "user@example.com",
        "email_verified": True,
        "username": "example-user",
        "amr": "pwd totp ext:github",
        "issued_at": 1_800_000_000,
        "expires_at": 1_800_043_200,
    }


def test_what_the_token_does_not_hold_is_left_out() -> None:
    assert context({}) == ALWAYS
    assert context({}, role="role", plan="metadata.plan") == ALWAYS


def test_times_are_whole_seconds() -> None:
    values = build_context(Claims(USER_ID, SESSION_ID, 1_800_000_000.9, 1_800_043_200.9, {}), []).values
    assert (values["issued_at"], values["expires_at"]) == (1_800_000_000, 1_800_043_200)
    assert {type(values["issued_at"]), type(values["expires_at"])} == {int}


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ({"address": "a@example.com", "is_verified": True}, {"email": "a@example.com", "email_verified": True}),
        ({"address": "a@example.com", "is_verified": False}, {"email": "a@example.com", "email_verified": False}),
        ({"address": "a@example.com"}, {"email": "a@example.com", "email_verified": False}),
        ({"address": "a@example.com", "is_verified": "true"}, {"email": "a@example.com", "email_verified": False}),
        ({"address": "a@example.com", "is_verified": 1}, {"email": "a@example.com", "email_verified": False}),
        ({"is_verified": True}, {}),
        ({"address": None, "is_verified": True}, {}),
        ({"address": ["a@example.com"]}, {}),
        ({"address": "", "is_verified": True}, {}),
        ("a@example.com", {}),
        (None, {}),
        ([], {}),
    ],
)
def test_an_address_is_verified_only_if_hanko_says_so(email: object, expected: dict[str, object]) -> None:
    assert context({"email": email}) == ALWAYS | expected


@pytest.mark.parametrize("username", [None, "", 7, True, ["x"], {"x": "y"}])
def test_a_username_is_text(username: object) -> None:
    assert context({"username": username}) == ALWAYS


@pytest.mark.parametrize(
    ("amr", "expected"),
    [
        ([], {"amr": ""}),
        (["passkey"], {"amr": "passkey"}),
        ("passkey", {}),
        (None, {}),
        ([1], {}),
        (["pwd", None], {}),
        ({}, {}),
    ],
)
def test_amr_is_a_list_of_words(amr: object, expected: dict[str, object]) -> None:
    assert context({"amr": amr}) == ALWAYS | expected


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("admin", "admin"),
        ("two words", "two words"),
        (7, 7),
        (-0.5, -0.5),
        (True, True),
        (False, False),
        (0, 0),
        (["a", "b"], "a b"),
        ([], ""),
        (["é"], "é"),
        (["Domain Users"], '["Domain Users"]'),
        (["Domain Users", "b"], '["Domain Users","b"]'),
        (["a", ""], '["a",""]'),
        ([""], '[""]'),
        (["a\u00a0b"], '["a\u00a0b"]'),
        (["a\n"], '["a\\n"]'),
        (["a\0"], '["a\\u0000"]'),
        (["a\x7f"], '["a\\u007f"]'),
        (['["a', 'b"]'], '["[\\"a","b\\"]"]'),
        (['{"a":1}'], '["{\\"a\\":1}"]'),
        ([1, 2], "[1,2]"),
        (["a", 1], '["a",1]'),
        ([None], "[null]"),
        ([["a"]], '[["a"]]'),
        ({}, "{}"),
        ({"b": {"c": None}, "a": [1, "é"]}, '{"b":{"c":null},"a":[1,"é"]}'),
    ],
)
def test_a_named_claim_becomes_flat(value: object, shown: object) -> None:
    values = context({"role": value}, role="role")
    assert values == {**ALWAYS, "role": shown}
    assert type(values["role"]) is type(shown)


def test_a_claim_can_lie_deep_and_have_another_name() -> None:
    payload = {"metadata": {"plan": {"tier": "gold"}, "other": 1}, "a.b": "not this one"}
    assert context(payload, tier="metadata.plan.tier", plan="metadata.plan") == {
        **ALWAYS,
        "tier": "gold",
        "plan": '{"tier":"gold"}',
    }
    assert context(payload, x="a.b") == ALWAYS


@pytest.mark.parametrize("a", [None, {}, {"b": None}, {"B": 1}, [], ["b"], "b", 7, {"c": {"b": 1}}])
def test_a_path_that_leads_nowhere_is_left_out(a: object) -> None:
    assert context({"a": a}, x="a.b") == ALWAYS


@pytest.mark.parametrize("form", ["", "json", "b64"])
def test_an_empty_text_is_an_absent_claim(form: ClaimForm) -> None:
    """Hanko renders a missing custom claim as an empty text."""
    assert context({"role": ""}, form, role="role") == ALWAYS


@pytest.mark.parametrize(
    "value", ["text", "", 7, 2.5, True, False, [], ["a"], ["Domain Users", ""], ["\n\x7f\0"], {"a": [None]}, 'say "é"']
)
def test_json_and_base64_lose_nothing_not_even_the_type(value: object) -> None:
    if value == "":
        value = [value]
    as_json, as_base64 = (context({"x": value}, form, x="x")["x"] for form in FORMS)
    assert isinstance(as_json, str)
    assert isinstance(as_base64, str)
    assert json.loads(as_json) == value
    assert as_json.isprintable()
    assert set(as_base64) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert base64.urlsafe_b64decode(as_base64 + "=" * (-len(as_base64) % 4)).decode() == as_json


FORMS: tuple[ClaimForm, ...] = ("json", "b64")


def test_base64_is_that_of_urls() -> None:
    assert context({"x": "??>>"}, "b64", x="x")["x"] == base64.urlsafe_b64encode(b'"??>>"').decode().rstrip("=")
    assert context({"x": "a?~?"}, "b64", x="x")["x"] == "ImE_fj8i"


@pytest.mark.parametrize(
    ("amr", "shown"),
    [
        (["ext:My IdP"], "ext:My%20IdP"),
        (["pwd", "ext:a\tb\n"], "pwd ext:a%09b%0A"),
        (["ext:https://idp.example.com/a%20b"], "ext:https://idp.example.com/a%2520b"),
        (["ext:\u00a0\u2003"], "ext:%C2%A0%E2%80%83"),
        (["ext:\0\x7f"], "ext:%00%7F"),
        (["ext:\x9f"], "ext:%C2%9F"),
        (["", "pwd", ""], "pwd"),
        ([""], ""),
        (["ext:Zoë"], "ext:Zoë"),
    ],
)
def test_a_login_with_white_space_is_one_word(amr: list[str], shown: str) -> None:
    """A SAML issuer is any text. Decoded again, each word is what Hanko said."""
    assert context({"amr": amr}) == {**ALWAYS, "amr": shown}
    assert [unquote(word) for word in shown.split()] == [word for word in amr if word]


@pytest.mark.parametrize("text", ["a\nb", "a\rX-Admin: true", "\0", "a\tb", "\x1f", "\x7f", "a\x85b", "\x80\x9f"])
def test_control_characters_are_replaced_and_counted(text: str) -> None:
    """Where the context becomes a header, a line end would begin another one."""
    controls = sum(category(one) == "Cc" for one in text)
    shown = "".join("\ufffd" if category(one) == "Cc" else one for one in text)
    payload = {"username": text, "email": {"address": text}, "role": text}
    made = built(payload, role="role")
    assert made == (
        {**ALWAYS, "username": shown, "email": shown, "email_verified": False, "role": shown},
        (),
        3 * controls,
    )


def test_what_is_unprintable_but_no_control_character_stays() -> None:
    assert context({"username": "a\u00a0b\u200bc\u2028"})["username"] == "a\u00a0b\u200bc\u2028"


def test_in_json_control_characters_are_escaped() -> None:
    role = {"a": "b\n\x7f\x85é"}
    assert context({"role": role}, role="role")["role"] == '{"a":"b\\n\\u007f\\u0085é"}'
    assert context({"role": ["a\x9f"]}, role="role")["role"] == '["a\\u009f"]'
    assert context({"role": ["a\u00a0"]}, role="role")["role"] == '["a\u00a0"]'  # no control character: as it is


def test_a_claim_of_the_token_never_shadows_a_key_of_ours() -> None:
    payload = {"user_id": "admin", "session_id": "x", "email_verified": True, "issued_at": 0, "principalId": "admin"}
    assert context(payload) == ALWAYS


# --- what is too large

SKELETON = len(json.dumps({**ALWAYS, "x": ""}))  # as Lambda's runtime writes it


def test_four_kib_fit_and_one_byte_more_is_left_out() -> None:
    assert MAX_CONTEXT_BYTES == 4096
    fits = "x" * (4096 - SKELETON)
    assert context({"x": fits}, x="x")["x"] == fits
    assert built({"x": fits + "x"}, x="x") == ({**ALWAYS, "left_out": "x"}, ("x",), 0)


@pytest.mark.parametrize("text", ["é" * 2000, "\U0001f600" * 1024, '"' * 2000])
def test_bytes_are_counted_as_they_are_sent_and_not_characters(text: str) -> None:
    assert built({"username": text}).left_out == ("username",)
    assert context({"username": text[:900]})


def test_what_needs_no_escape_is_not_counted_as_one() -> None:
    assert context({"username": "é" * 1500})["username"] == "é" * 1500


def test_names_and_numbers_count_too() -> None:
    names = [f"{number:02}{'n' * 62}" for number in range(MAX_NAMES_CHARACTERS // 64)]
    made = built(dict.fromkeys(names, -(10**39)), "", 1024, **{name: name for name in names})
    assert made.left_out == (names[-1],)
    assert len(json.dumps(made.values)) <= 1024


def test_the_largest_values_go_first_and_only_as_many_as_must() -> None:
    payload = {"a": "a" * 3000, "b": "b" * 2000, "c": "c" * 1000, "role": "admin", "username": "u" * 2500}
    made = built(payload, a="a", b="b", c="c", role="role")
    assert made.left_out == ("a", "username")
    assert made.values == {**ALWAYS, "left_out": "a username", "b": "b" * 2000, "c": "c" * 1000, "role": "admin"}


def test_no_user_can_push_out_a_small_claim_with_a_long_name() -> None:
    """A backend may look for a claim that the deployer sets, such as a ban."""
    payload = {"username": "u" * 9000, "banned": True}
    assert built(payload, banned="banned").values == {**ALWAYS, "left_out": "username", "banned": True}


def test_ids_and_times_stay_whatever_is_left_out() -> None:
    names = [f"{number:02}{'n' * 62}" for number in range(MAX_NAMES_CHARACTERS // 64)]
    payload: dict[str, Any] = dict.fromkeys(names, "x" * 5000)
    payload |= {"username": "u" * 5000, "amr": ["a" * 5000], "email": {"address": "e" * 5000}}
    made = built(payload, "", 1024, **{name: name for name in names})
    assert made.values.keys() == {*ALWAYS, "email_verified", "left_out"}
    assert len(json.dumps(made.values)) <= 1024
    assert built(payload, max_bytes=0).values.keys() == {*ALWAYS, "left_out"}
