"""Claims → the flat, bounded map that the backend receives, as full literals."""

from typing import Any

import pytest

from authorizer.context import build_context
from authorizer.errors import Misconfigured, Reason
from authorizer.model import MAX_CONTEXT_BYTES, Claims, ContextValue
from authorizer.setting_values import ContextClaim

USER_ID = "3f1f8bd5-9b8e-4b4f-8a39-4b1f5d0c6f52"
SESSION_ID = "9d6c1e0a-6d4c-4c0e-9f0e-0a3d3ff3b1c7"
ALWAYS = {"user_id": USER_ID, "session_id": SESSION_ID, "issued_at": 1_800_000_000, "expires_at": 1_800_043_200}


def context(payload: dict[str, Any], **names: str) -> dict[str, ContextValue]:
    """The context; `names` says which path of the payload goes under which name."""
    extra = [ContextClaim(tuple(path.split(".")), name) for name, path in names.items()]
    return build_context(Claims(USER_ID, SESSION_ID, 1_800_000_000, 1_800_043_200, payload), extra)


def refused(payload: dict[str, Any], **names: str) -> bool:
    with pytest.raises(Misconfigured) as caught:
        context(payload, **names)
    assert str(caught.value) == "context_invalid"
    return caught.value.reason is Reason.CONTEXT_INVALID


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
    built = build_context(Claims(USER_ID, SESSION_ID, 1_800_000_000.9, 1_800_043_200.9, {}), [])
    assert (built["issued_at"], built["expires_at"]) == (1_800_000_000, 1_800_043_200)
    assert {type(built["issued_at"]), type(built["expires_at"])} == {int}


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
        ("a@example.com", {}),
        (None, {}),
        ([], {}),
    ],
)
def test_an_address_is_verified_only_if_hanko_says_so(email: object, expected: dict[str, object]) -> None:
    assert context({"email": email}) == ALWAYS | expected


@pytest.mark.parametrize("username", [None, 7, True, ["x"], {"x": "y"}])
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
        ("", ""),
        ("two words", "two words"),
        (7, 7),
        (-0.5, -0.5),
        (True, True),
        (False, False),
        (0, 0),
        (["a", "b"], "a b"),
        ([], ""),
        (["é"], "é"),
        ([1, 2], "[1,2]"),
        (["a", 1], '["a",1]'),
        ([None], "[null]"),
        ([["a"]], '[["a"]]'),
        ({}, "{}"),
        ({"b": {"c": None}, "a": [1, "é"]}, '{"b":{"c":null},"a":[1,"é"]}'),
    ],
)
def test_a_named_claim_becomes_flat(value: object, shown: object) -> None:
    built = context({"role": value}, role="role")
    assert built == {**ALWAYS, "role": shown}
    assert type(built["role"]) is type(shown)


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


@pytest.mark.parametrize("word", ["", " ", "a b", "a\tb", "a\n", "\u00a0", "a\u2003b", "\u001f"])
def test_a_word_cannot_pass_for_two(word: str) -> None:
    assert refused({"roles": ["user", word]}, roles="roles")
    assert refused({"amr": [word]})


@pytest.mark.parametrize("text", ["a\nb", "a\rX-Admin: true", "\0", "a\tb", "\x1f", "\x7f"])
def test_control_characters_do_not_reach_the_backend(text: str) -> None:
    """Where the context becomes a header, a line end would begin another one."""
    assert refused({"username": text})
    assert refused({"email": {"address": text}})
    assert refused({"role": text}, role="role")
    assert refused({"roles": [text]}, roles="roles")
    assert refused({"amr": [text]})


def test_in_json_control_characters_are_escaped() -> None:
    assert context({"role": {"a": "b\n"}}, role="role")["role"] == '{"a":"b\\n"}'
    assert refused({"role": {"a": "b\x7f"}}, role="role")  # JSON itself does not escape this one


def test_a_claim_of_the_token_never_shadows_a_key_of_ours() -> None:
    payload = {"user_id": "admin", "session_id": "x", "email_verified": True, "issued_at": 0, "principalId": "admin"}
    assert context(payload) == ALWAYS


def test_four_kib_fit_and_one_byte_more_is_refused() -> None:
    assert MAX_CONTEXT_BYTES == 4096
    # {"user_id":"…","session_id":"…","issued_at":…,"expires_at":…,"x":""} has 156 bytes
    fits = "x" * (4096 - 156)
    assert context({"x": fits}, x="x")["x"] == fits
    assert refused({"x": fits + "x"}, x="x")


def test_bytes_are_counted_and_not_characters() -> None:
    assert context({"x": "é" * 1900}, x="x")
    assert refused({"x": "é" * 2000}, x="x")
    assert refused({"username": "😀" * 1024})
    assert refused({"username": '"' * 2000})  # escaped, each has two
