"""JSON Web Keys (RFC 7517): parses a JWK set into the public keys that are usable for RS256."""

import re
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from authorizer.hanko.strict_json import decode_base64url, parse_object

# A UUID, or with AWS KMS as key store a key id, an ARN or an alias (Hanko: backend/crypto/jwk).
KEY_ID = re.compile(r"[A-Za-z0-9._:/@+=-]{1,256}", re.ASCII)
MIN_KEY_BITS, MAX_KEY_BITS = 2048, 8192  # RFC 7518 section 3.3; larger keys take too long to verify with
MIN_EXPONENT, MAX_EXPONENT_BITS = 65537, 64  # NIST SP 800-56B; OpenSSL's own limit for long keys
_PRIVATE_MEMBERS = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


def parse_keys(body: bytes) -> dict[str, RSAPublicKey]:
    """Parse the body of an answer as `parse_jwk_set` does."""
    return parse_jwk_set(parse_object(body))


def parse_jwk_set(key_set: Mapping[str, object]) -> dict[str, RSAPublicKey]:
    """The usable RS256 keys of a JWK set (RFC 7517), by key id. A bad key is left out, the others stay.

    All keys are read: Hanko publishes every key that it ever had, in no promised order.

    Raises ValueError if there is no set, or no usable key.
    """
    jwks = key_set.get("keys")
    if not isinstance(jwks, list):
        raise ValueError("not a JWK set")  # noqa: TRY004 - wrong input is a ValueError here
    keys: dict[str, RSAPublicKey] = {}
    ambiguous = set()
    for kid, key in filter(None, map(_parse_key, jwks)):
        if keys.setdefault(kid, key) != key:
            ambiguous.add(kid)  # one key id, two keys: neither is trusted
    usable = {kid: key for kid, key in keys.items() if kid not in ambiguous}
    if not usable:
        raise ValueError("no usable key")
    return usable


def _parse_key(jwk: object) -> tuple[str, RSAPublicKey] | None:
    """The key id and key of one JWK, built from `n` and `e` alone; None unless it is a public RS256 signature key."""
    if not isinstance(jwk, dict) or not _is_for_rs256(jwk):
        return None
    kid, n, e = jwk.get("kid"), jwk.get("n"), jwk.get("e")
    if not (isinstance(kid, str) and KEY_ID.fullmatch(kid) and isinstance(n, str) and isinstance(e, str)):
        return None
    try:
        return kid, _public_key(_parse_integer(n), _parse_integer(e))
    except ValueError:
        return None


def _is_for_rs256(jwk: dict[str, object]) -> bool:
    return (
        jwk.get("kty") == "RSA"
        and jwk.get("alg") == "RS256"
        and jwk.get("use", "sig") == "sig"
        and jwk.get("key_ops", ["verify"]) == ["verify"]
        and not _PRIVATE_MEMBERS & jwk.keys()
    )


def _public_key(modulus: int, exponent: int) -> RSAPublicKey:
    if not MIN_KEY_BITS <= modulus.bit_length() <= MAX_KEY_BITS or modulus % 2 == 0:
        raise ValueError("modulus")
    if exponent < MIN_EXPONENT or exponent.bit_length() > MAX_EXPONENT_BITS or exponent % 2 == 0:
        raise ValueError("exponent")
    return RSAPublicNumbers(exponent, modulus).public_key()


def _parse_integer(text: str) -> int:
    """A Base64urlUInt (RFC 7518 section 2): big-endian, in as few bytes as possible."""
    data = decode_base64url(text.encode("ascii"))
    if data[:1] == b"\0":
        raise ValueError("padded")
    return int.from_bytes(data, "big")
