"""A session token → `Claims`, or the reason why not. The keys are a plain set here; test_keys.py fetches them."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import AuthorizerError, Reason, Unauthenticated, Unavailable
from authorizer.hanko.jws import (
    EARLY_SECONDS,
    MAX_HEADER_CHARACTERS,
    MAX_TIME,
    MAX_TOKEN_CHARACTERS,
    SignatureVerifier,
    is_uuid,
)
from authorizer.hanko.tokens import TokenVerifier
from authorizer.model import Claims
from local.hanko import pool_key
from local.hanko.keys import b64, sign, unb64

NOW = 1_800_000_000
USER_ID = "3f1f8bd5-9b8e-4b4f-8a39-4b1f5d0c6f52"
SESSION_ID = "9d6c1e0a-6d4c-4c0e-9f0e-0a3d3ff3b1c7"
HEADER: dict[str, Any] = {"alg": "RS256", "kid": "key-0", "typ": "JWT"}
PAYLOAD: dict[str, Any] = {
    "sub": USER_ID,
    "session_id": SESSION_ID,
    "aud": ["example.com"],
    "iat": NOW,
    "exp": NOW + 43_200,
    "amr": ["passkey"],
}
SETTINGS = Settings.from_env(
    {"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "example.com,other.example.com"}
)


@dataclass
class Keys:
    """A key source that notes what it was asked for."""

    keys: dict[str, RSAPublicKey] = field(default_factory=lambda: {"key-0": pool_key(0).public_key()})
    asked: list[str] = field(default_factory=list)

    def find(self, kid: str) -> RSAPublicKey:
        self.asked.append(kid)
        if kid not in self.keys:
            raise Unauthenticated(Reason.KEY_UNKNOWN)
        return self.keys[kid]

    def find_changed(self, _kid: str, unfit: RSAPublicKey) -> RSAPublicKey:
        return unfit


def token(
    payload: Mapping[str, Any] | bytes | None = None, header: Mapping[str, Any] | None = None, key: int = 0
) -> str:
    """A good token with other members; `...` removes one. Bytes are the whole payload."""
    whole = payload if isinstance(payload, bytes) else changed(PAYLOAD, payload or {})
    return sign(changed(HEADER, header or {}), whole, pool_key(key))


def changed(members: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **others}.items() if value is not ...}


def verify(text: str, keys: Keys | None = None, now: float = NOW, **settings: Any) -> Claims:  # noqa: ANN401 - any setting
    clock = Clock(wall=lambda: now, monotonic=lambda: 0.0)
    return TokenVerifier(SETTINGS._replace(**settings), keys or Keys(), clock).verify(text)


def accepted(text: str, keys: Keys | None = None, now: float = NOW, **settings: Any) -> bool:  # noqa: ANN401 - any setting
    return verify(text, keys, now, **settings).user_id == USER_ID


def refused(text: str, keys: Keys | None = None, now: float = NOW, **settings: Any) -> Reason:  # noqa: ANN401 - any setting
    with pytest.raises(Unauthenticated) as caught:
        verify(text, keys, now, **settings)
    assert str(caught.value) == caught.value.reason.value
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.reason


def cheaply(text: str) -> Reason:
    """The reason, found out without looking for a key: what is hopeless costs no fetch."""
    keys = Keys()
    reason = refused(text, keys)
    assert keys.asked == []
    return reason


# --- the good ones


def test_a_session_token_says_who_asks() -> None:
    assert verify(token()) == Claims(
        user_id=USER_ID,
        session_id=SESSION_ID,
        issued_at=NOW,
        expires_at=NOW + 43_200,
        payload=PAYLOAD,
    )


def test_custom_claims_are_kept() -> None:
    assert verify(token({"metadata": {"plan": [1, None, "é"]}})).payload["metadata"] == {"plan": [1, None, "é"]}


def test_what_a_user_may_have_chosen_is_not_printed() -> None:
    assert "user@example.com" not in repr(verify(token({"email": {"address": "user@example.com"}})))


def test_typ_may_be_absent() -> None:
    assert accepted(token(header={"typ": ...}))


def test_the_key_is_asked_for_by_its_exact_id() -> None:
    keys = Keys({"arn:aws:kms:eu-west-1:1:key/a": pool_key(0).public_key()})
    assert accepted(token(header={"kid": "arn:aws:kms:eu-west-1:1:key/a"}), keys)
    assert keys.asked == ["arn:aws:kms:eu-west-1:1:key/a"]


def test_what_the_key_source_raises_passes() -> None:
    class Down:
        def find(self, _kid: str, _unfit: RSAPublicKey | None = None) -> RSAPublicKey:
            raise Unavailable(Reason.KEYS_UNAVAILABLE)

        find_changed = find

    with pytest.raises(AuthorizerError) as caught:
        TokenVerifier(SETTINGS, Down(), Clock()).verify(token())
    assert type(caught.value) is Unavailable
    assert refused(token(header={"kid": "key-1"})) is Reason.KEY_UNKNOWN


# --- the form


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda _: ".",
        lambda _: "..",
        lambda _: "a.b",
        lambda _: "null",
        lambda good: good + ".",
        lambda good: "." + good,
        lambda good: good + ".e30",
        lambda good: good + "=",
        lambda good: good + "====",
        lambda good: good.replace(".", "=.", 1),
        lambda good: good + "\n",
        lambda good: "\n" + good,
        lambda good: good + " ",
        lambda good: " " + good,
        lambda good: good + "\0",
        lambda good: good[:40] + "+" + good[41:],
        lambda good: good[:40] + "/" + good[41:],
        lambda good: good[:40] + "é" + good[41:],
        lambda good: good[:40] + "٤" + good[41:],
        lambda good: good[:40] + "\ud800" + good[41:],
        lambda good: good.replace(".", "..", 1),
        lambda good: good.replace(".", ",", 1),
        lambda good: good.replace(".", "%2E", 1),
        lambda good: good.rpartition(".")[0] + ".",
        lambda good: good.rpartition(".")[0],
        lambda good: "." + good.partition(".")[2],
        lambda good: good.split(".")[0] + ".." + good.split(".")[2],
        lambda good: json.dumps(dict(zip(("protected", "payload", "signature"), good.split("."), strict=True))),
        lambda good: f'"{good}"',
        lambda good: f"Bearer {good}",
        lambda good: f"{good},{good}",
    ],
)
def test_a_token_is_three_segments_of_base64url(spoil: Callable[[str], str]) -> None:
    assert cheaply(spoil(token())) is Reason.TOKEN_MALFORMED


def test_a_token_may_have_16_kib_and_no_more() -> None:
    padded = json.dumps(PAYLOAD).encode().ljust(11_733)
    assert len(token(padded)) == 16_384
    assert accepted(token(padded))
    assert len(token(padded + b" ")) == 16_386
    assert cheaply(token(padded + b" ")) is Reason.TOKEN_MALFORMED


def test_a_header_may_have_4_kib_and_no_more() -> None:
    kid = {"kid": "k" * 10}
    longest = b64(json.dumps({**HEADER, **kid}).ljust(3_072).encode())
    assert len(longest) == 4_096
    _, payload, signature = token().split(".")
    assert refused(f"{longest}.{payload}.{signature}") is Reason.KEY_UNKNOWN
    longer = b64(json.dumps({**HEADER, **kid}).ljust(3_073).encode())
    assert cheaply(f"{longer}.{payload}.{signature}") is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b"[]",
        b'"RS256"',
        b"{}{}",
        b'{"alg":"none","alg":"RS256","kid":"key-0"}',
        b'{"alg":"RS256","kid":"key-0","kid":"key-1"}',
        b'{"alg":"RS256","kid":"\\ud800"}',
        b'\xef\xbb\xbf{"alg":"RS256","kid":"key-0"}',
        '{"alg":"RS256","kid":"key-0"}'.encode("utf-16"),
        b'{"alg":"RS256","kid":"key-0","x":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"alg":"RS256","kid":"key-0","x":NaN}',
        b'{"alg":"RS256","kid":"\xff"}',
    ],
)
def test_a_header_is_a_strict_json_object(header: bytes) -> None:
    _, payload, signature = token().split(".")
    assert cheaply(f"{b64(header)}.{payload}.{signature}") is Reason.TOKEN_MALFORMED


def test_a_header_and_a_payload_have_one_spelling() -> None:
    """The last character of either has unused bits, which a lax decoder passes over."""
    header, payload, signature = token().split(".")
    assert (len(header) % 4, len(payload) % 4) == (3, 2)
    assert cheaply(f"{twin(header)}.{payload}.{signature}") is Reason.TOKEN_MALFORMED
    assert refused(signed(f"{header}.{twin(payload)}")) is Reason.CLAIMS_MALFORMED


# --- the header


@pytest.mark.parametrize(
    "alg",
    [
        ...,
        None,
        "",
        "none",
        "None",
        "noNE",
        "HS256",
        "RS384",
        "RS512",
        "PS256",
        "ES256",
        "EdDSA",
        "rs256",
        "RS256 ",
        "RS256\0",
        ["RS256"],
        {"RS256": 1},
        256,
        True,
    ],
)
def test_the_algorithm_is_rs256_and_nothing_else(alg: object) -> None:
    assert cheaply(token(header={"alg": alg})) is Reason.ALGORITHM_NOT_ALLOWED


@pytest.mark.parametrize(
    "kid",
    [..., None, "", 7, True, [], ["key-0"], {}, "a b", "key-0\n", "é", "\0", "k" * 257, "'; --", "key-0\u2028"],
)
def test_a_key_id_is_a_short_printable_string(kid: object) -> None:
    assert cheaply(token(header={"kid": kid})) is Reason.HEADER_NOT_ALLOWED


@pytest.mark.parametrize("kid", ["k" * 256, "KEY-0", "key-00", "../../key", "https://evil.example.com/key", "alias/x"])
def test_a_key_id_of_nobody_is_looked_up_and_not_found(kid: str) -> None:
    assert refused(token(header={"kid": kid})) is Reason.KEY_UNKNOWN


@pytest.mark.parametrize(
    "typ", [None, "", "jwt", "JWT ", "at+jwt", "logout+jwt", "secevent+jwt", "application/jwt", ["JWT"], 1]
)
def test_a_typ_is_jwt(typ: object) -> None:
    assert cheaply(token(header={"typ": typ})) is Reason.HEADER_NOT_ALLOWED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jku", "https://evil.example.com/jwks.json"),
        ("jwk", {"kty": "RSA"}),
        ("x5u", "https://evil.example.com/cert.pem"),
        ("x5c", ["MII"]),
        ("x5t", "x"),
        ("x5t#S256", "x"),
        ("crit", []),
        ("crit", ["b64"]),
        ("crit", ["exp"]),
        ("b64", True),
        ("b64", False),
        ("b64", None),
        ("zip", "DEF"),
        ("enc", "A256GCM"),
        ("cty", "JWT"),
        ("epk", {}),
        ("p2c", 1_000_000),
        ("KID", "key-0"),
        ("", 1),
    ],
)
def test_a_header_holds_nothing_that_hanko_never_sends(name: str, value: object) -> None:
    assert cheaply(token(header={name: value})) is Reason.HEADER_NOT_ALLOWED


def test_a_refused_header_is_refused_again() -> None:
    text = token(header={"alg": "none"})
    assert [cheaply(text), cheaply(text)] == [Reason.ALGORITHM_NOT_ALLOWED] * 2


# --- the signature


@pytest.mark.parametrize(
    "spoil",
    [
        lambda signature: bytes([signature[0] ^ 1]) + signature[1:],
        lambda signature: signature[:-1] + bytes([signature[-1] ^ 128]),
        lambda signature: signature[:-1],
        lambda signature: signature[1:],
        lambda signature: signature + b"\0",
        lambda signature: b"\0" + signature,
        lambda signature: signature * 2,
        lambda _: b"\0",
        lambda _: b"\0" * 512,
        lambda _: b"\0" * 511 + b"\1",
        lambda _: b"\xff" * 512,
    ],
)
def test_a_signature_has_the_length_of_the_key_and_fits(spoil: Callable[[bytes], bytes]) -> None:
    signing_input, _, signature = token().rpartition(".")
    assert refused(f"{signing_input}.{b64(spoil(unb64(signature)))}") is Reason.SIGNATURE_INVALID


def test_a_signature_has_one_spelling() -> None:
    signing_input, _, signature = token().rpartition(".")
    assert refused(f"{signing_input}.{twin(signature)}") is Reason.SIGNATURE_INVALID


def twin(segment: str) -> str:
    """Other text, and for a lax decoder the same bytes."""
    other = segment[:-1] + chr(ord(segment[-1]) + 1)
    assert unb64(other) == unb64(segment)
    return other


def signed(signing_input: str, **how: Any) -> str:  # noqa: ANN401 - padding and algorithm
    """A token over any text: Hanko's own way to sign, unless said otherwise."""
    options = {"padding": padding.PKCS1v15(), "algorithm": hashes.SHA256(), **how}
    return f"{signing_input}.{b64(pool_key(0).sign(signing_input.encode(), **options))}"


def test_a_signature_of_another_kind_is_invalid() -> None:
    signing_input, _, _ = token().rpartition(".")
    assert accepted(signed(signing_input))
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    assert refused(signed(signing_input, padding=pss)) is Reason.SIGNATURE_INVALID
    assert refused(signed(signing_input, algorithm=hashes.SHA512())) is Reason.SIGNATURE_INVALID
    assert refused(signed(signing_input, algorithm=hashes.SHA384())) is Reason.SIGNATURE_INVALID


def test_a_signature_of_another_key_is_invalid() -> None:
    assert refused(token(key=1)) is Reason.SIGNATURE_INVALID


def test_what_was_not_signed_is_not_even_parsed() -> None:
    header, payload, signature = token().split(".")
    other = b64(json.dumps({**PAYLOAD, "exp": NOW + 43_201}).encode())
    for unsigned in (other, b64(b"no JSON"), twin(payload)):
        assert refused(f"{header}.{unsigned}.{signature}") is Reason.SIGNATURE_INVALID


def test_a_signature_is_bound_to_its_header() -> None:
    _, payload, signature = token().split(".")
    keys = Keys({"key-1": pool_key(0).public_key()})
    header = b64(json.dumps({**HEADER, "kid": "key-1"}).encode())
    assert refused(f"{header}.{payload}.{signature}", keys) is Reason.SIGNATURE_INVALID


# --- the payload


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}{}",
        b"no JSON",
        b"\xef\xbb\xbf" + json.dumps(PAYLOAD).encode(),
        json.dumps(PAYLOAD).encode("utf-16"),
        json.dumps(PAYLOAD).encode() + b"\0",
        json.dumps(PAYLOAD).replace('"sub"', '"sub": "x", "sub"').encode(),
        json.dumps({**PAYLOAD, "x": float("nan")}).encode(),
        json.dumps({**PAYLOAD, "x": "\ud800"}).encode(),
        json.dumps({**PAYLOAD, "x": 10**40}).encode(),
        json.dumps(PAYLOAD)[:-1].encode() + b',"x":' + b"[" * 32 + b"]" * 32 + b"}",
        json.dumps(PAYLOAD)[:-1].encode() + b',"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        json.dumps(PAYLOAD)[:-1].encode() + b',"x":1e999}',
    ],
    ids=lambda payload: repr(payload[-30:]),
)
def test_a_payload_is_a_strict_json_object(payload: bytes) -> None:
    text = token(payload) if payload else signed(token().split(".")[0] + ".AA")
    assert refused(text) is Reason.CLAIMS_MALFORMED


# --- the times

NO_TIMES: list[object] = [
    None,
    "",
    str(NOW),
    " 1800000000\n",
    "1_800_000_000",
    True,
    False,
    [],
    [NOW],
    {},
    -1,
    -0.5,
    4_102_444_801,
    NOW * 1000,
    1e300,
    10**39,
]


@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
@pytest.mark.parametrize("value", NO_TIMES)
def test_a_time_is_a_number_of_this_century(name: str, value: object) -> None:
    assert refused(token({name: value})) is Reason.CLAIMS_MALFORMED


@pytest.mark.parametrize("name", ["iat", "exp"])
def test_when_it_was_issued_and_when_it_expires_must_be_said(name: str) -> None:
    assert refused(token({name: ...})) is Reason.CLAIMS_MALFORMED


@pytest.mark.parametrize(
    "members", [{"iat": 0}, {"exp": 4_102_444_800}, {"iat": NOW - 0.5, "exp": NOW + 0.5}, {"nbf": 0}]
)
def test_a_time_may_be_early_late_or_fractional(members: dict[str, object]) -> None:
    assert accepted(token(members))


def test_fractions_of_a_second_are_kept() -> None:
    claims = verify(token({"iat": NOW - 0.5, "exp": NOW + 0.5}))
    assert (claims.issued_at, claims.expires_at) == (NOW - 0.5, NOW + 0.5)


@pytest.mark.parametrize("skew", [0, 10, 60])
def test_a_token_expires_at_its_second_and_the_skew_is_on_top(skew: int) -> None:
    text = token({"iat": NOW, "exp": NOW + 100})
    assert accepted(text, now=NOW + 100 + skew - 0.5, clock_skew_seconds=skew)
    assert refused(text, now=NOW + 100 + skew, clock_skew_seconds=skew) is Reason.TOKEN_EXPIRED
    assert refused(text, now=NOW + 10**9, clock_skew_seconds=skew) is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize("skew", [0, 10, 60])
@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_token_of_the_future_is_not_yet_valid(name: str, skew: int) -> None:
    text = token({name: NOW + 100})
    assert accepted(text, now=NOW + 100 - skew, clock_skew_seconds=skew)
    assert refused(text, now=NOW + 100 - skew - 60.5, clock_skew_seconds=skew) is Reason.TOKEN_NOT_YET_VALID


@pytest.mark.parametrize("skew", [0, 10, 60])
@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize("seconds", [0.5, 60])
def test_a_token_that_begins_within_a_minute_is_not_refused(name: str, skew: int, seconds: float) -> None:
    """Hanko's clock is ahead. An HTTP API would cache a refusal for longer than the token is early."""
    with pytest.raises(Unavailable) as caught:
        verify(token({name: NOW + 100}), now=NOW + 100 - skew - seconds, clock_skew_seconds=skew)
    assert caught.value.reason is Reason.TOKEN_EARLY


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_token_does_not_begin_after_its_end(name: str) -> None:
    assert accepted(token({name: NOW + 1, "exp": NOW + 1}))
    assert refused(token({name: NOW + 2, "exp": NOW + 1})) is Reason.CLAIMS_MALFORMED


def test_a_lifetime_has_a_limit_where_one_is_set() -> None:
    assert accepted(token({"iat": NOW, "exp": NOW + 31_536_000}))
    assert accepted(token({"iat": NOW, "exp": NOW + 3600}), max_token_lifetime_seconds=3600)
    too_long = token({"iat": NOW, "exp": NOW + 3600.5})
    assert refused(too_long, max_token_lifetime_seconds=3600) is Reason.TOKEN_LIFETIME_TOO_LONG
    late = token({"iat": NOW - 3000, "nbf": NOW, "exp": NOW + 601})  # a later nbf does not shorten it
    assert refused(late, max_token_lifetime_seconds=3600) is Reason.TOKEN_LIFETIME_TOO_LONG


# --- audience and issuer


@pytest.mark.parametrize(
    "aud", ["example.com", ["example.com"], ["other.example.com"], ["x", "example.com"], ["example.com"] * 2]
)
def test_one_allowed_audience_is_enough(aud: object) -> None:
    assert accepted(token({"aud": aud}))


@pytest.mark.parametrize(
    "aud",
    [
        [],
        "",
        [""],
        "x",
        "EXAMPLE.com",
        "example.com/",
        "https://example.com",
        "example.co",
        "xexample.com",
        " example.com",
        "example.com\n",
        "example.com,other.example.com",
        ["example.com,other.example.com"],
    ],
)
def test_no_other_audience_is_near_enough(aud: object) -> None:
    assert refused(token({"aud": aud})) is Reason.AUDIENCE_NOT_ALLOWED


@pytest.mark.parametrize(
    "aud", [..., None, 7, True, {}, {"example.com": 1}, [7], ["example.com", None], [["example.com"]]]
)
def test_an_audience_is_a_string_or_a_list_of_strings(aud: object) -> None:
    assert refused(token({"aud": aud})) is Reason.CLAIMS_MALFORMED


ISSUER = "https://auth.example.com"


@pytest.mark.parametrize("iss", [..., None, "", ISSUER, "https://other.example.com", 7, []])
def test_without_a_configured_issuer_any_will_do(iss: object) -> None:
    assert accepted(token({"iss": iss}))


def test_a_configured_issuer_must_be_there_exactly() -> None:
    assert accepted(token({"iss": ISSUER}), issuer=ISSUER)


@pytest.mark.parametrize(
    "iss", [..., None, "", "https://", ISSUER[:-1], ISSUER + "/", ISSUER.upper(), [ISSUER], {ISSUER: 1}, 7]
)
def test_no_other_issuer_is_near_enough(iss: object) -> None:
    assert refused(token({"iss": iss}), issuer=ISSUER) is Reason.ISSUER_NOT_ALLOWED


# --- what is no session


@pytest.mark.parametrize(
    "members", [{"evt": "user"}, {"data": {}}, {"evt": None}, {"data": None}, {"evt": "", "data": 0}]
)
def test_a_webhook_token_is_no_session_even_with_all_claims_of_one(members: dict[str, object]) -> None:
    assert refused(token(members)) is Reason.NOT_A_SESSION


def test_hankos_own_webhook_token_is_no_session() -> None:
    text = token(
        {"sub": "hanko webhooks", "session_id": ..., "evt": "user.update", "data": {"id": USER_ID}, "exp": NOW + 300}
    )
    assert refused(text) is Reason.NOT_A_SESSION


def test_a_passkey_server_token_is_no_session() -> None:
    assert refused(token({"session_id": ..., "cred": "AA", "amr": ...})) is Reason.NOT_A_SESSION


@pytest.mark.parametrize("name", ["sub", "session_id"])
@pytest.mark.parametrize(
    "value",
    [
        ...,
        None,
        "",
        7,
        True,
        [USER_ID],
        {"id": USER_ID},
        "hanko webhooks",
        "user@example.com",
        "00000000-0000-0000-0000-000000000000",
        USER_ID.upper(),
        USER_ID.replace("-", ""),
        USER_ID[:-1],
        USER_ID + "0",
        USER_ID + "\n",
        " " + USER_ID,
        f"{{{USER_ID}}}",
        f"urn:uuid:{USER_ID}",
        USER_ID.replace("3", "g"),
        USER_ID.replace("3", "٣"),
    ],
)
def test_user_and_session_are_lower_case_uuids(name: str, value: object) -> None:
    assert refused(token({name: value})) is Reason.NOT_A_SESSION


def test_a_user_id_may_be_a_uuid_of_any_version() -> None:
    for version in (1, 4, 5):
        user_id = str(uuid.UUID(int=uuid.UUID(USER_ID).int, version=version))
        assert verify(token({"sub": user_id})).user_id == user_id


def test_a_key_that_changed_under_its_id_verifies_what_the_old_one_does_not() -> None:
    """Behind an alias of AWS KMS. Without a change the signature is wrong."""

    class Changed(Keys):
        def find_changed(self, _kid: str, unfit: RSAPublicKey) -> RSAPublicKey:
            assert unfit == pool_key(1).public_key()
            return pool_key(0).public_key()

    old = {"key-0": pool_key(1).public_key()}
    assert accepted(token(), Changed(old))
    with pytest.raises(Unauthenticated) as caught:
        verify(token(), Keys(old))
    assert caught.value.reason is Reason.SIGNATURE_INVALID


def test_a_signature_fills_the_bytes_of_a_key_of_any_length() -> None:
    """RFC 8017, 8.2.1: as many bytes as the modulus, which has 2,049 bits here."""
    p, q = rsa.generate_private_key(65537, 2048).private_numbers().p, 3 * 2**1023 + 203  # two primes
    d = pow(65537, -1, (p - 1) * (q - 1))
    parts = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    odd = rsa.RSAPrivateNumbers(p, q, d, *parts, rsa.RSAPublicNumbers(65537, p * q)).private_key()
    assert odd.key_size == 2049
    assert accepted(sign(HEADER, PAYLOAD, odd), Keys({"key-0": odd.public_key()}))


def test_times_of_1970_are_times_and_an_absent_nbf_is_before_them() -> None:
    signatures = SignatureVerifier(SETTINGS, Keys(), Clock())
    assert signatures.verify_times({"iat": 0, "exp": 0}, at_any_time=True) == (0, 0)


def test_the_limits_of_tokens_and_ids() -> None:
    """As SECURITY.md and docs/decisions have them; other tests import them, so that a change would go unseen."""
    limits = (MAX_TOKEN_CHARACTERS, MAX_HEADER_CHARACTERS, EARLY_SECONDS, MAX_TIME)
    assert limits == (16_384, 4_096, 60, 4_102_444_800)
    assert is_uuid(USER_ID)
    assert not is_uuid("00000000-0000-0000-0000-000000000000")
