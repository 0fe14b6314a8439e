"""S: algorithm, key and signature."""

import hashlib
import hmac
import uuid
from collections.abc import Callable

import pytest
from attacks.forging import (
    PLACES,
    allow,
    compact,
    forge,
    genuine_key,
    header_of,
    refuse,
    session_claims,
    with_signature,
)
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sandbox import CONTEXT, NOW, Json, Sandbox

from authorizer.hanko.client import JWKS_PATH
from local.hanko import StandInHanko
from local.hanko.keys import b64, jwk, pool_key, unb64

ALGORITHMS: list[object] = [
    *("none", "None", "NONE", "nOnE", "", "null", "HS256", "HS384", "HS512", "RS384", "RS512", "PS256", "PS384"),
    *("PS512", "ES256", "ES256K", "ES384", "EdDSA", "RSA-OAEP", "dir", "rs256", "Rs256", "RS256 ", " RS256"),
    *("RS256\n", "RS256\0", "ＲＳ２５６", "RSA256", "SHA256withRSA", "*"),  # noqa: RUF001 - look-alikes on purpose
    *(["RS256"], ["none", "RS256"], {"RS256": True}, None, True, 256, 0),
]  # fmt: skip


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=repr)
def test_s1_any_algorithm_but_rs256(algorithm: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S1: CVE-2015-9235, CVE-2026-28802, CVE-2026-23993. The signature is RS256 and right: the header alone lies."""
    refuse(sandbox, forge(hanko, {"alg": algorithm}), "algorithm_not_allowed")
    assert hanko.jwks_requests == 0


def test_s1_no_algorithm(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S1: a header without `alg` is refused."""
    refuse(sandbox, forge(hanko, without="alg"), "algorithm_not_allowed")


@pytest.mark.parametrize(
    ("signature", "reason"), [("", "token_malformed"), ("AA", "algorithm_not_allowed"), (".", "token_malformed")]
)
def test_s1_an_unsigned_token(signature: str, reason: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S1, P1: the classic, `header.payload.` with the algorithm none."""
    _, payload, _ = forge(hanko).split(".")
    refuse(sandbox, f"{b64(compact({**header_of(hanko), 'alg': 'none'}))}.{payload}.{signature}", reason)


SECRETS_THAT_EVERYBODY_KNOWS: dict[str, Callable[[RSAPrivateKey], bytes]] = {
    "pem": lambda key: encoded(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "pem_without_last_newline": lambda key: encoded(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).rstrip(),
    "pem_with_leading_space": lambda key: b" " + encoded(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "pem_with_crlf": lambda key: encoded(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).replace(b"\n", b"\r\n"),
    "pem_pkcs1": lambda key: encoded(key, Encoding.PEM, PublicFormat.PKCS1),
    "der": lambda key: encoded(key, Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "openssh": lambda key: encoded(key, Encoding.OpenSSH, PublicFormat.OpenSSH),
    "jwk": lambda key: compact(jwk(key, "kid")),
    "modulus": lambda key: jwk(key, "kid")["n"].encode(),
    "nothing": lambda _: b"",
}


def encoded(key: RSAPrivateKey, encoding: Encoding, form: PublicFormat) -> bytes:
    return key.public_key().public_bytes(encoding, form)


@pytest.mark.parametrize("secret", SECRETS_THAT_EVERYBODY_KNOWS)
@pytest.mark.parametrize(("algorithm", "reason"), [("HS256", "algorithm_not_allowed"), ("RS256", "signature_invalid")])
def test_s2_the_public_key_is_no_secret(
    secret: str, algorithm: str, reason: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """S2: CVE-2015-9235, CVE-2017-11424, CVE-2022-29217, CVE-2024-33663, CVE-2026-34950, CVE-2026-48526, GHSA-ffc3."""
    signing_input, _, _ = forge(hanko, {"alg": algorithm}).rpartition(".")
    key = SECRETS_THAT_EVERYBODY_KNOWS[secret](genuine_key(hanko))
    mac = hmac.digest(key or b"\0", signing_input.encode(), hashlib.sha256)
    refuse(sandbox, f"{signing_input}.{b64(mac)}", reason)


@pytest.mark.parametrize(("algorithm", "reason"), [("HS256", "algorithm_not_allowed"), ("RS256", "key_unknown")])
def test_s2_a_symmetric_key_in_the_set_verifies_nothing(
    algorithm: str, reason: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """S2, J10: CVE-2026-48523. The key set names an `oct` key for RS256, which holds the PEM text of an RSA key."""
    secret = encoded(genuine_key(hanko), Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hanko.extra_keys = [{"kty": "oct", "kid": "symmetric", "alg": "RS256", "use": "sig", "k": b64(secret)}]
    signing_input, _, _ = forge(hanko, {"alg": algorithm, "kid": "symmetric"}).rpartition(".")
    refuse(sandbox, f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}", reason)
    refuse(sandbox, forge(hanko, {"kid": "symmetric"}), "key_unknown")


KEY_IDS_OF_NO_FORM: list[object] = [
    *(None, "", " ", 0, 1, True, ["kid"], {"kid": 1}, "a\nb", "a\0", "\x7f", "*", "a b", "'--", "<a>", "%2e"),
    *("k" * 257, "ключ", "１", "{}", '"'),  # noqa: RUF001 - other scripts on purpose
]  # fmt: skip


@pytest.mark.parametrize("kid", KEY_IDS_OF_NO_FORM, ids=ascii)
def test_s3_a_key_id_that_is_none(kid: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S3, C8, L3: GHSA-869p-cjfg-cm3x. A malformed key id is neither looked up nor printed."""
    refuse(sandbox, forge(hanko, {"kid": kid}), "header_not_allowed")
    assert hanko.jwks_requests == 0


def test_s3_no_key_id_even_if_there_is_but_one_key(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S3: the only key of the set is not a default."""
    assert len(hanko.kids) == 1
    refuse(sandbox, forge(hanko, without="kid"), "header_not_allowed")


@pytest.mark.parametrize(
    "change",
    [
        *(str.upper, lambda kid: kid[:-1], lambda kid: kid + "0", lambda kid: kid.replace("-", ""), lambda _: "0"),
        *(lambda _: "../../../../dev/null", lambda _: "kid", lambda kid: f"urn:uuid:{kid}", lambda _: "k" * 256),
    ],
)  # fmt: skip
def test_s3_a_key_id_almost_right(change: Callable[[str], str], sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S3: the key id is compared exactly, although the only key of the set would verify the signature."""
    refuse(sandbox, forge(hanko, {"kid": change(hanko.kids[0])}), "key_unknown")


@pytest.mark.parametrize("suffix", ["\n", " ", "\r\n", "\0", "\u2028"], ids=ascii)
def test_s3_a_key_id_with_something_behind_it(suffix: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S3, C8: `$` in a pattern would let the newline through."""
    refuse(sandbox, forge(hanko, {"kid": hanko.kids[0] + suffix}), "header_not_allowed")


def test_s3_other_keys_of_the_set_are_not_tried(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S3: a token that names another published key is refused by that key."""
    token = forge(hanko)
    newer = hanko.rotate()
    allow(sandbox, token)
    refuse(sandbox, forge(hanko, {"kid": newer}), "signature_invalid")


def test_s3_one_key_id_with_two_keys_is_neither(sandbox: Sandbox, hanko: StandInHanko, own_key: RSAPrivateKey) -> None:
    """S3, J10: of two keys with one id, neither verifies anything."""
    kid = hanko.kids[0]
    hanko.rotate()
    hanko.extra_keys = [jwk(own_key, kid)]
    for key in (genuine_key(hanko), own_key):
        refuse(sandbox, forge(hanko, {"kid": kid}, key=key), "key_unknown")


@pytest.mark.parametrize("kid", ["genuine", "of_the_attacker"])
@pytest.mark.parametrize("signer", ["genuine", "own"])
@pytest.mark.parametrize("member", ["jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "iss", "url", "keys"])
def test_s4_the_token_brings_no_key(  # noqa: PLR0913, PLR0917 - fixtures
    kid: str, signer: str, member: str, sandbox: Sandbox, hanko: StandInHanko, attacker: StandInHanko
) -> None:
    """S4: CVE-2018-0114, CVE-2026-27962. Neither used nor fetched, not even beside a genuine signature."""
    own = pool_key(attacker.first_key)
    certificate = b64(encoded(own, Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    keys: Json = {"jwk": jwk(own, attacker.kids[0]), "x5c": [certificate], "keys": [jwk(own, attacker.kids[0])]}
    header = {
        "kid": (hanko if kid == "genuine" else attacker).kids[0],
        member: keys.get(member, attacker.url + JWKS_PATH),
    }
    token = forge(hanko, header, key=own if signer == "own" else genuine_key(hanko))
    refuse(sandbox, token, "header_not_allowed")
    assert (attacker.jwks_requests, hanko.jwks_requests) == (0, 0)


CRITICAL: list[object] = [[], ["exp"], ["b64"], ["alg"], "b64", None, {}]
HEADER_MEMBERS: list[tuple[str, object]] = [
    *(("crit", value) for value in CRITICAL),
    *(("b64", value) for value in (True, False, "false", 0, None)),
    *(("zip", "DEF"), ("zip", "GZIP"), ("enc", "A256GCM"), ("cty", "JWT"), ("cty", "json"), ("p2c", 2**31)),
    *(("p2s", "x"), ("epk", {}), ("apu", "x"), ("iv", "x"), ("tag", "x")),
    *(("ALG", "none"), ("Kid", "x"), ("", ""), ("exp", NOW)),
]  # fmt: skip


@pytest.mark.parametrize(("member", "value"), HEADER_MEMBERS, ids=repr)
def test_s5_no_other_header_member(member: str, value: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S5: CVE-2026-32597, CVE-2026-48525, CVE-2025-59420, CVE-2024-33664; RFC 7515 4.1.11, RFC 7797 7."""
    refuse(sandbox, forge(hanko, {member: value}), "header_not_allowed")


def test_s5_b64_false_with_the_payload_as_it_is(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S5, P1: RFC 7797's unencoded payload, signed like that."""
    header = {**header_of(hanko), "b64": False, "crit": ["b64"]}
    payload = compact(session_claims()).decode()
    refuse(
        sandbox, with_signature(f"{b64(compact(header))}.{payload}", genuine_key(hanko)), "token_malformed", PLACES[0]
    )


TYPES: list[object] = [
    *("at+jwt", "application/jwt", "application/at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "id_token", "JOSE"),
    *("JWE", "jwt", "Jwt", "JWT ", "", None, True, 1, ["JWT"], {}),
]  # fmt: skip


@pytest.mark.parametrize("type_", TYPES, ids=repr)
def test_s6_tokens_that_say_they_are_something_else(type_: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S6: RFC 8725 3.11, explicit typing."""
    refuse(sandbox, forge(hanko, {"typ": type_}), "header_not_allowed")


def test_s6_no_type_is_allowed(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S6: a header without `typ` is accepted."""
    assert allow(sandbox, forge(hanko, without="typ")) == CONTEXT


DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # of SHA-256, RFC 8017 9.2
DIGEST_INFO_WITHOUT_NULL = bytes.fromhex("302f300b0609608648016503040201 0420")


def raw_signature(key: RSAPrivateKey, message: bytes) -> bytes:
    """RSA without any padding of its own, over whatever block of bytes."""
    numbers = key.private_numbers()
    size = key.key_size // 8
    return pow(int.from_bytes(message, "big"), numbers.d, numbers.public_numbers.n).to_bytes(size, "big")


def padded(before: bytes, info: bytes, digest: bytes, after: bytes = b"", fill: int | None = None) -> bytes:
    length = 512 - len(before) - 1 - len(info) - len(digest) - len(after) if fill is None else fill
    block = before + b"\xff" * length + b"\0" + info + digest + after
    return block.ljust(512, b"\x55")


BLOCKS: dict[str, Callable[[bytes], bytes]] = {
    "garbage_behind_the_digest": lambda d: padded(b"\0\1", DIGEST_INFO, d, fill=8),  # Bleichenbacher 2006
    "garbage_inside_the_padding": lambda d: padded(b"\0\1\xff\xff\0\xff", DIGEST_INFO, d),
    "no_digest_info": lambda d: padded(b"\0\1", b"", d),
    "digest_info_without_null": lambda d: padded(b"\0\1", DIGEST_INFO_WITHOUT_NULL, d),
    "digest_info_of_sha1": lambda d: padded(b"\0\1", bytes.fromhex("3021300906052b0e03021a05000414"), d[:20]),
    "block_type_2": lambda d: padded(b"\0\2", DIGEST_INFO, d),
    "block_type_0": lambda d: padded(b"\0\0", DIGEST_INFO, d),
    "digest_of_nothing": lambda _: padded(b"\0\1", DIGEST_INFO, hashlib.sha256().digest()),
}


def test_s7_the_blocks_are_right_but_for_what_is_wrong(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """The unchanged block is accepted, so that each block below fails for its own reason."""
    signing_input, _, _ = forge(hanko).rpartition(".")
    block = padded(b"\0\1", DIGEST_INFO, hashlib.sha256(signing_input.encode()).digest())
    assert allow(sandbox, f"{signing_input}.{b64(raw_signature(genuine_key(hanko), block))}") == CONTEXT


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_s7_a_block_that_lax_verifiers_accept(
    block: Callable[[bytes], bytes], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """S7: RFC 8017 8.2.2, as Wycheproof asks for it; each block under the genuine key."""
    signing_input, _, _ = forge(hanko).rpartition(".")
    signature = raw_signature(genuine_key(hanko), block(hashlib.sha256(signing_input.encode()).digest()))
    refuse(sandbox, f"{signing_input}.{b64(signature)}", "signature_invalid")


def modulus(key: RSAPrivateKey) -> int:
    return key.public_key().public_numbers().n


SIGNATURES: dict[str, Callable[[bytes, RSAPrivateKey], bytes]] = {
    "zeros": lambda s, _: bytes(len(s)),
    "one_byte_of_zero": lambda _s, _k: b"\0",
    "ones": lambda s, _: b"\xff" * len(s),
    "first_bit_flipped": lambda s, _: bytes([s[0] ^ 0x80]) + s[1:],
    "last_bit_flipped": lambda s, _: s[:-1] + bytes([s[-1] ^ 1]),
    "shorter": lambda s, _: s[:-1],
    "longer": lambda s, _: s + b"\0",
    "zero_in_front": lambda s, _: b"\0" + s,
    "twice": lambda s, _: s + s,
    "reversed": lambda s, _: s[::-1],
    "plus_modulus": lambda s, key: (int.from_bytes(s, "big") + modulus(key)).to_bytes(len(s) + 1, "big"),
    "negated": lambda s, key: (modulus(key) - int.from_bytes(s, "big")).to_bytes(len(s), "big"),
    "modulus": lambda s, key: modulus(key).to_bytes(len(s), "big"),
    "one": lambda s, _: (1).to_bytes(len(s), "big"),
}


@pytest.mark.parametrize("change", SIGNATURES.values(), ids=SIGNATURES)
def test_s7_a_changed_signature(
    change: Callable[[bytes, RSAPrivateKey], bytes], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """S7: cut, extended, shifted, or with a changed bit."""
    signing_input, _, signature = forge(hanko).rpartition(".")
    refuse(sandbox, f"{signing_input}.{b64(change(unb64(signature), genuine_key(hanko)))}", "signature_invalid")


PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)


@pytest.mark.parametrize(
    ("scheme", "digest"),
    [(padding.PKCS1v15(), hashes.SHA384()), (padding.PKCS1v15(), hashes.SHA512()), (PSS, hashes.SHA256())],
    ids=["sha384", "sha512", "pss"],
)
def test_s7_a_signature_of_another_kind_under_the_genuine_key(
    scheme: padding.AsymmetricPadding, digest: hashes.HashAlgorithm, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """S7: PSS, or another hash."""
    signing_input, _, _ = forge(hanko).rpartition(".")
    signature = genuine_key(hanko).sign(signing_input.encode(), scheme, digest)
    refuse(sandbox, f"{signing_input}.{b64(signature)}", "signature_invalid")


def test_s7_the_signature_of_another_token(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S7: one user's signature under another user's claims, and under another header."""
    header, payload, signature = forge(hanko).split(".")
    other = b64(compact({**session_claims(), "sub": str(uuid.uuid4())}))
    refuse(sandbox, f"{header}.{other}.{signature}", "signature_invalid")
    other = b64(compact({"kid": hanko.kids[0], "alg": "RS256"}))
    refuse(sandbox, f"{other}.{payload}.{signature}", "signature_invalid")


def test_s7_a_token_signed_by_a_stranger(sandbox: Sandbox, hanko: StandInHanko, own_key: RSAPrivateKey) -> None:
    """S7: under the genuine key's id."""
    refuse(sandbox, forge(hanko, key=own_key), "signature_invalid")


WEAK_KEYS: dict[str, tuple[int, int]] = {"rsa_1024": (65537, 1024), "rsa_2040": (65537, 2040), "exponent_3": (3, 2048)}


@pytest.mark.parametrize(("exponent", "bits"), WEAK_KEYS.values(), ids=WEAK_KEYS)
def test_s8_a_weak_key_of_the_set_verifies_nothing(
    exponent: int, bits: int, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """S8: CVE-2025-45768, CVE-2022-23541. Hanko itself publishes it, and the signature is right."""
    weak = rsa.generate_private_key(exponent, bits)
    hanko.extra_keys = [jwk(weak, "weak")]
    refuse(sandbox, forge(hanko, {"kid": "weak"}, key=weak), "key_unknown")


def test_s8_the_smallest_key_that_is_strong_enough(
    sandbox: Sandbox, hanko: StandInHanko, own_key: RSAPrivateKey
) -> None:
    """S8: RSA with 2,048 bits is accepted."""
    hanko.extra_keys = [jwk(own_key, "kms")]
    assert allow(sandbox, forge(hanko, {"kid": "kms"}, key=own_key)) == CONTEXT
