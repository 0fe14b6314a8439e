"""J: the key set: its address, its transport, its content and its age."""

import gzip
import json
import uuid
from collections.abc import Callable

import pytest
from attacks.forging import (
    ANSWERS_WITHOUT_END,
    allow,
    answers_to_refusal,
    compact,
    fail,
    forge,
    genuine_key,
    refuse,
    session_claims,
)
from sandbox import CONTEXT, NOW, SESSION, USER, Json, MakeSandbox, Sandbox, Time

from authorizer.config import Settings
from authorizer.errors import Misconfigured
from authorizer.hanko.client import ATTEMPTS, JWKS_PATH
from authorizer.hanko.cooldown import BURST
from local.hanko import StandInHanko
from local.hanko.keys import b64, jwk, unb64
from local.sign import event_with


@pytest.mark.parametrize(
    "url",
    [
        *("http://hanko.example.com", "http://10.0.0.1", "http://localhost.example.com", "http://127.0.0.1.example.com"),
        *("ftp://hanko.example.com", "file:///etc/passwd", "data:application/json,{}", "//hanko.example.com", "https://"),
        *("https://user@hanko.example.com", "https://user:password@hanko.example.com", "https://hanko.example.com?a=b"),
        *("https://hanko.example.com#x", "https://hanko.example.com/a\nHost: x", "https://hanko.example.com/\t", " "),
        *("https://hanko.example.com\\@x", "https://hanko.example.com:0", "https://hanko.example.com:99999", "https://é"),
        *("https://hanko.example.com//a", "https://hanko.example.com/%2e%2e", "HTTP://hanko.example.com", "https:/x"),
    ],
)  # fmt: skip
def test_j1_an_address_for_keys_that_is_not_safe(url: str) -> None:
    """J1: CVE-2026-48522. Only https, and http to this machine."""
    with pytest.raises(Misconfigured, match="HANKO_API_URL"):
        Settings.from_env({"HANKO_API_URL": url, "HANKO_AUDIENCE": "localhost"})


@pytest.mark.parametrize(
    ("trusted", "names", "failure"),
    [
        (False, ["127.0.0.1"], "tls_untrusted"),
        (True, ["hanko.example.com"], "tls_hostname"),
        (True, ["127.0.0.1"], None),
    ],
    ids=["unknown_authority", "another_host", "right"],
)
def test_j1_a_certificate_has_to_be_right(  # noqa: PLR0913, PLR0917 - fixtures
    trusted: bool,  # noqa: FBT001 - pytest passes it by name
    names: list[str],
    failure: str | None,
    time_: Time,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """J1, T5: a network attacker could otherwise supply keys of their own."""
    with StandInHanko(tls=True, certificate_names=names, now=lambda: time_.wall) as hanko:
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(hanko.ca_file))
        settings = Settings.from_env({"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost"})
        sandbox = Sandbox(settings, time_.clock, capsys, rules="", prefetch=False)
        if failure is None:
            assert allow(sandbox, forge(hanko)) == CONTEXT
        else:
            assert fail(sandbox, forge(hanko), "keys_unavailable")["key_fetch_failure"] == failure
            assert hanko.jwks_requests == 0


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_j2_no_redirect_is_followed(code: int, sandbox: Sandbox, hanko: StandInHanko, attacker: StandInHanko) -> None:
    """J2: GHSA-9v7f-9g4p-ffgj. An open redirect on Hanko's host could otherwise supply foreign keys."""
    hanko.behave("redirect", location=attacker.url + JWKS_PATH, code=code)
    token = attacker.mint(claims={"aud": ["localhost"], "iat": NOW, "exp": NOW + 60})
    assert fail(sandbox, token, "keys_unavailable")["key_fetch_failure"] == "status"
    assert attacker.jwks_requests == 0


@pytest.mark.parametrize("mode", ANSWERS_WITHOUT_END)
def test_j3_one_deadline_over_everything(mode: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """J3: a socket's timeout starts again with every byte; the deadline does not."""
    sandbox = make_sandbox(fetch_timeout_seconds="0.5")
    hanko.behave(mode, **ANSWERS_WITHOUT_END[mode])
    log = fail(sandbox, forge(hanko), "keys_unavailable")
    assert log["key_fetch_failure"] == "timeout"
    assert 400 < log["Duration"] < 3000


JWKS_BODIES: dict[str, Callable[[Json], bytes]] = {
    "no_json": lambda _: b"<html>",
    "empty": lambda _: b"",
    "list": lambda jwks: compact(jwks["keys"]),
    "null": lambda _: b"null",
    "no_keys": lambda _: b"{}",
    "keys_is_an_object": lambda jwks: compact({"keys": jwks["keys"][0]}),
    "keys_is_null": lambda _: b'{"keys":null}',
    "empty_set": lambda _: b'{"keys":[]}',
    "j12_byte_order_mark": lambda jwks: b"\xef\xbb\xbf" + compact(jwks),
    "j12_utf_16": lambda jwks: compact(jwks).decode().encode("utf-16"),
    "j12_utf_32": lambda jwks: compact(jwks).decode().encode("utf-32"),
    "j12_latin_1": lambda jwks: b'{"x":"\xe9",' + compact(jwks)[1:],
    "j12_a_name_twice": lambda jwks: b'{"keys":[],' + compact(jwks)[1:],
    "j12_nested_too_deeply": lambda jwks: b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"," + compact(jwks)[1:],
    "j12_nested_beyond_the_stack": lambda _: b"[" * 200_000,
    "j12_nan": lambda jwks: b'{"x":NaN,' + compact(jwks)[1:],
    "j12_something_behind": lambda jwks: compact(jwks) + b"x",
    "j4_too_large": lambda jwks: compact(jwks) + b" " * 262_144,
    "j4_compressed": lambda jwks: gzip.compress(compact(jwks)),
}


@pytest.mark.parametrize("build", JWKS_BODIES.values(), ids=JWKS_BODIES)
def test_j4_j5_j12_a_key_set_that_is_none(
    build: Callable[[Json], bytes], sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """J4, J5, J7, J12: no verdict without keys, and a bad answer never replaces good ones (CVE-2026-48524)."""
    token = forge(hanko)
    hanko.behave("body", data=build(hanko.jwks))
    assert "key_fetch_failure" in fail(sandbox, token, "keys_unavailable")
    hanko.behave("normal")
    time_.advance(31)
    assert allow(sandbox, token) == CONTEXT
    hanko.behave("body", data=build(hanko.jwks))
    time_.advance(601)
    assert allow(sandbox, token) == CONTEXT


ANSWERS: dict[str, tuple[str, Json, str]] = {
    **{
        f"status_{code}": ("status", {"code": code}, "status") for code in (201, 206, 299, 304, 401, 404, 429, 500, 503)
    },
    "too_large": ("oversize", {"size_bytes": 262_145}, "too_large"),
    "too_large_and_not_announced": ("oversize", {"size_bytes": 50_000_000, "announce": False}, "too_large"),
    "shorter_than_announced": ("truncated", {}, "protocol"),
    "no_http": ("garbage", {}, "protocol"),
    "nothing": ("garbage", {"data": b""}, "connection"),
    "reset": ("reset", {}, "connection"),
    "down": ("down", {}, "connection"),
}


@pytest.mark.parametrize(("mode", "options", "failure"), ANSWERS.values(), ids=ANSWERS)
def test_j4_j5_any_failure_is_one_of_ours(
    mode: str, options: Json, failure: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """J4, J5, R3: never a 401, which would log out all users during an outage of Hanko."""
    hanko.behave(mode, **options)
    assert fail(sandbox, forge(hanko), "keys_unavailable")["key_fetch_failure"] == failure
    assert "KeyFetches" not in fail(sandbox, forge(hanko), "keys_unavailable", "rest_request")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "identity, gzip"])
def test_j4_no_compressed_key_set(encoding: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """J4: compressed data could expand to any size."""
    hanko.behave("normal", headers={"Content-Encoding": encoding})
    assert fail(sandbox, forge(hanko), "keys_unavailable")["key_fetch_failure"] == "protocol"
    assert hanko.last_jwks_headers["Accept-Encoding"] == "identity"


def test_j4_many_keys_hide_none(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """J4, T6: the size of the answer is limited, not the number of keys, whose order is not specified."""
    hanko.extra_keys = [jwk(genuine_key(hanko), f"key-{number}") for number in range(250)]
    for kid in ("key-0", "key-249"):
        assert allow(sandbox, forge(hanko, {"kid": kid})) == CONTEXT


def anonymous_event() -> Json:
    """What anybody can make: a token of the right form, an unknown key id, no signature worth the name."""
    header = compact({"alg": "RS256", "kid": str(uuid.uuid4()), "typ": "JWT"})
    return event_with("http_v2", f"{b64(header)}.{b64(compact(session_claims()))}.AAAA")


def flood(sandbox: Sandbox, hanko: StandInHanko, time_: Time, answers: set[str]) -> int:
    """10,000 tokens with random key ids within an hour, and a good one now and then; the fetches that they cause."""
    good, before = forge(hanko), hanko.jwks_requests
    for number in range(10_000):
        assert str(sandbox.answer(anonymous_event())) in answers
        if number % 100 == 0:
            sandbox.output()
            assert allow(sandbox, good) == CONTEXT
        time_.advance(0.36)
    sandbox.output()
    return hanko.jwks_requests - before


def test_j6_an_hour_of_unknown_key_ids_is_refused_within_the_budget(
    sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """J6: CVE-2026-48524, node-jwks-rsa #49. No 5xx, no harm to a known key, a burst and one fetch per cool-down."""
    allow(sandbox, forge(hanko))
    refused = str(answers_to_refusal("http_v2", "key_unknown"))
    assert flood(sandbox, hanko, time_, {refused}) <= BURST + 3600 / 30


def test_j6_a_flood_while_hanko_is_down_refuses_no_valid_token(
    sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """Known keys serve on; a token of a key that Hanko has made since is a failure that can be tried again."""
    allow(sandbox, forge(hanko))
    hanko.behave("down")
    flood(sandbox, hanko, time_, {"Authorizer unavailable"})
    hanko.rotate()
    fail(sandbox, hanko.mint(claims={"sub": USER, "session_id": SESSION}), "key_unchecked")


def test_j6_forged_signatures_cost_no_more_than_unknown_key_ids(
    sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """A key may change under its id, so that one fetch per cool-down is worth it; more are not."""
    good = forge(hanko)
    allow(sandbox, good)
    signature = b64(bytes(512))
    forged = f"{good.rpartition('.')[0]}.{signature}"
    for fetches in (2, 3):
        time_.advance(30)
        for _ in range(100):
            refuse(sandbox, forged, "signature_invalid")
        assert hanko.jwks_requests == fetches
        assert allow(sandbox, good) == CONTEXT


def test_j6_a_key_that_changes_under_its_id_lets_its_tokens_in(
    sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """The alias of a KMS key is pointed at another key: the key id stays, and the old key is gone at once."""
    kid, old = hanko.kids[0], forge(hanko)
    allow(sandbox, old)
    hanko.rotate()
    changed = {**hanko.jwks["keys"][0], "kid": kid}
    hanko.behave("body", data=json.dumps({"keys": [changed]}))
    time_.advance(30)
    allow(sandbox, hanko.sign({"alg": "RS256", "kid": kid, "typ": "JWT"}, session_claims(), hanko.kids[0]))
    refuse(sandbox, old, "signature_invalid")


@pytest.mark.parametrize("warm", [True, False])
def test_j6_a_flood_while_hanko_fails_costs_one_fetch(
    warm: bool,  # noqa: FBT001 - pytest passes it by name
    sandbox: Sandbox,
    hanko: StandInHanko,
) -> None:
    """J6: the cool-down begins with the fetch: failures count. A 503 is asked about three times within one fetch."""
    if warm:
        allow(sandbox, forge(hanko))
    before = hanko.jwks_requests
    hanko.behave("status", code=503)
    for _ in range(120):
        assert sandbox.answer(anonymous_event()) == "Authorizer unavailable"
    assert hanko.jwks_requests == before + ATTEMPTS
    sandbox.output()


def test_j6_a_flood_keeps_a_new_key_out_for_one_cool_down_at_most(
    sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """J6: starving new keys is the attack on the defence; a few stray key ids are not enough for it."""
    allow(sandbox, forge(hanko))
    for _ in range(BURST - 1):
        sandbox.answer(anonymous_event())
    hanko.rotate()
    sandbox.output()
    assert allow(sandbox, hanko.mint(claims={"sub": USER, "session_id": SESSION})) == CONTEXT
    sandbox.answer(anonymous_event())
    hanko.rotate()
    sandbox.output()
    newest = hanko.mint(claims={"sub": USER, "session_id": SESSION})
    refuse(sandbox, newest, "key_unknown")
    time_.advance(30)
    assert allow(sandbox, newest) == CONTEXT


def test_j8_stale_keys_serve_to_their_limit_and_no_longer(
    make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    """J8: an outage does not keep a withdrawn key alive beyond the limit."""
    sandbox = make_sandbox(keys_max_stale_seconds="3600")
    token = forge(hanko)
    allow(sandbox, token)
    hanko.behave("down")
    time_.advance(600 + 3600)
    assert allow(sandbox, token) == CONTEXT
    time_.advance(1)
    fail(sandbox, token, "keys_unavailable")


Change = Callable[[Json], Json]
BAD_KEYS: dict[str, Change] = {
    "algorithm_none": lambda key: key | {"alg": "none"},
    "algorithm_rs384": lambda key: key | {"alg": "RS384"},
    "algorithm_ps256": lambda key: key | {"alg": "PS256"},
    "algorithm_is_a_list": lambda key: key | {"alg": ["RS256"]},
    "no_algorithm": lambda key: {name: key[name] for name in key if name != "alg"},
    "type_oct": lambda key: key | {"kty": "oct"},
    "type_ec": lambda key: key | {"kty": "EC"},
    "type_in_lower_case": lambda key: key | {"kty": "rsa"},
    "for_encryption": lambda key: key | {"use": "enc"},
    "use_is_null": lambda key: key | {"use": None},
    "may_only_sign": lambda key: key | {"key_ops": ["sign"]},
    "may_encrypt_too": lambda key: key | {"key_ops": ["verify", "encrypt"]},
    "may_nothing": lambda key: key | {"key_ops": []},
    **{f"private_member_{name}": lambda key, name=name: key | {name: "AQAB"} for name in ("d", "p", "q", "dp", "k")},  # type: ignore[misc]  # mypy knows no types for a lambda's defaults
    "modulus_padded": lambda key: key | {"n": key["n"] + "="},
    "modulus_with_a_zero_in_front": lambda key: key | {"n": b64(b"\0" + unb64(key["n"]))},
    "modulus_in_the_standard_alphabet": lambda key: key | {"n": key["n"][:-4] + "+/+/"},
    "modulus_even": lambda key: key | {"n": b64(unb64(key["n"])[:-1] + b"\2")},
    "modulus_far_too_long": lambda key: key | {"n": b64(b"\xff" * 4096)},
    "modulus_missing": lambda key: {name: key[name] for name in key if name != "n"},
    "modulus_is_a_number": lambda key: key | {"n": 65537},
    "exponent_1": lambda key: key | {"e": "AQ"},
    "exponent_3": lambda key: key | {"e": "Aw"},
    "exponent_even": lambda key: key | {"e": b64((65538).to_bytes(3, "big"))},
    "exponent_empty": lambda key: key | {"e": ""},
    "exponent_padded": lambda key: key | {"e": "AAEAAQ"},
    "exponent_of_65_bits": lambda key: key | {"e": b64((2**64 + 1).to_bytes(9, "big"))},
    "exponent_huge": lambda key: key | {"e": key["n"]},
    "key_id_missing": lambda key: {name: key[name] for name in key if name != "kid"},
    "key_id_with_a_newline": lambda key: key | {"kid": "bad\n"},
    "key_id_is_a_number": lambda key: key | {"kid": 7},
    "a_certificate_alone": lambda key: {"kty": "RSA", "alg": "RS256", "kid": "bad", "x5c": [key["n"]]},
}


@pytest.mark.parametrize("change", BAD_KEYS.values(), ids=BAD_KEYS)
def test_j10_j11_a_bad_key_beside_good_ones(change: Change, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """J10, J11, S8: CVE-2026-22817, GHSA-w6j9-cwv2-h6wq. It verifies nothing, and the others go on verifying.

    The bad key is the good one but for one thing: taken all the same, it would verify the signature.
    """
    hanko.extra_keys = [change(jwk(genuine_key(hanko), "bad"))]
    refuse(sandbox, forge(hanko, {"kid": "bad"}), "key_unknown")
    assert allow(sandbox, forge(hanko)) == CONTEXT


@pytest.mark.parametrize("key", [None, 1, "key", [], {}, [{}], True, {"keys": []}], ids=str)
def test_j11_what_is_no_key_at_all_beside_good_ones(key: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """J11: GHSA-w6j9-cwv2-h6wq. One malformed entry does not make the key set unusable."""
    hanko.extra_keys = [key]
    assert allow(sandbox, forge(hanko)) == CONTEXT


def test_j13_a_proxy_of_the_environment_is_not_used_by_accident(
    sandbox: Sandbox, hanko: StandInHanko, attacker: StandInHanko, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J13: HTTPS_PROXY is a setting like any other, read at start; no other variable is."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, attacker.origin)
    assert allow(sandbox, forge(hanko)) == CONTEXT


@pytest.mark.parametrize("jump", ["wall", "monotonic"])
def test_j15_keys_age_by_the_clock_that_says_more(
    jump: str, sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """J15: freezing stops the monotonic clock, and a restored snapshot moves the wall clock. The larger age counts."""
    token = forge(hanko)
    hanko.rotate()
    allow(sandbox, token)
    hanko.withdraw(hanko.kids[-1])
    setattr(time_, jump, getattr(time_, jump) + 601)
    refuse(sandbox, token, "key_unknown")


def test_j16_a_sandbox_starts_while_hanko_is_down(make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time) -> None:
    """J16: otherwise every start during an outage would fail."""
    hanko.behave("down")
    sandbox = make_sandbox(prefetch=True)
    fail(sandbox, forge(hanko), "keys_unavailable")
    hanko.behave("normal")
    time_.advance(31)
    assert allow(sandbox, forge(hanko)) == CONTEXT
