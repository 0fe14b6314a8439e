"""Verifies a JWS of Hanko's, for sessions (tokens.py) and webhooks (webhook.py): cheap checks, key, signature, claims.

Follows RFC 8725 in its strict form. Nothing in the token chooses how it is verified: the algorithm is a constant, the
key is found by its exact id in the set of the configured Hanko, and the payload is parsed only after its signature was
verified. The numbers of the checks are those of SECURITY.md.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeGuard, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.hanko.jwk import KEY_ID
from authorizer.hanko.strict_json import BASE64URL, decode_unchecked, parse_object

MAX_TOKEN_CHARACTERS = 16 * 1024  # API Gateway accepts 10,240 bytes of headers
MAX_HEADER_CHARACTERS = 4 * 1024
EARLY_SECONDS = 60  # beyond the skew: an error of two clocks that soon passes
MAX_TIME = 4_102_444_800  # 2100-01-01: a larger number was meant in milliseconds

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_NIL_UUID = "00000000-0000-0000-0000-000000000000"
_NUMBERS = frozenset((int, float))
_PADDING, _HASH = PKCS1v15(), SHA256()
_HEADER_MEMBERS = frozenset(("alg", "kid", "typ"))  # all that Hanko ever sends


class KeySource(Protocol):
    """Finds the key of a key id: `KeyCache`, or in a test a plain set of keys."""

    def find(self, kid: str) -> RSAPublicKey:
        """The key, or an `AuthorizerError`."""

    def find_changed(self, kid: str, unfit: RSAPublicKey) -> RSAPublicKey:
        """Another key under the same id, after a signature did not fit `unfit`, or an `AuthorizerError`."""


class Payload(NamedTuple):
    """The verified payload of a token. Times are seconds since 1970; `claims` is the whole payload."""

    issued_at: float
    expires_at: float
    claims: dict[str, object]

    def __repr__(self) -> str:
        return "Payload(...)"


class SignatureVerifier:
    """Verifies what all tokens of one Hanko have in common: signature, times, and one of our audiences."""

    def __init__(
        self, settings: Settings, keys: KeySource, clock: Clock, max_characters: int = MAX_TOKEN_CHARACTERS
    ) -> None:
        self._keys, self._clock, self._max_characters = keys, clock, max_characters
        self._audiences = frozenset(settings.audiences)
        self._skew_seconds = settings.clock_skew_seconds
        self.audience_matched = False  # whether any token of this process was for us

    def verify(self, token: str) -> Payload:
        """Return the payload of a token that Hanko signed, for one of our audiences, and that is valid now.

        Raises `Unauthenticated` with the reason, `Unavailable(token_early)` if the token begins within a minute, or
        what `KeySource.find` raises. Sources: RFC 7515, 7518, 7519, 8725.
        """
        payload = self.verify_signature(token)
        try:
            members = parse_object(decode_unchecked(payload))  # check 7: strict JSON
        except ValueError:
            raise Unauthenticated(Reason.CLAIMS_MALFORMED) from None
        issued_at, expires_at = self.verify_times(members)
        if not self.is_for_us(members.get("aud")):
            raise Unauthenticated(Reason.AUDIENCE_NOT_ALLOWED)
        self.audience_matched = True
        return Payload(issued_at, expires_at, members)

    def verify_signature(self, token: str) -> bytes:
        """Return the payload of a token that Hanko signed, still as base64url of a checked alphabet."""
        if len(token) > self._max_characters or not token.isascii():  # check 2: the form
            raise Unauthenticated(Reason.TOKEN_MALFORMED)
        compact = token.encode()
        signed, _, signature = compact.rpartition(b".")
        header, _, payload = signed.partition(b".")
        if compact.translate(None, BASE64URL) != b".." or not (header and payload and signature):
            raise Unauthenticated(Reason.TOKEN_MALFORMED)
        kid = _unverified_key_id(header)
        key = self._keys.find(kid)  # check 5: the key with exactly this id
        # Check 6: the signature. Behind an alias of AWS KMS a key changes and keeps its id: this may be the old one.
        if not _fits(key, signed, signature) and not _fits(self._keys.find_changed(kid, key), signed, signature):
            raise Unauthenticated(Reason.SIGNATURE_INVALID)
        return payload

    def is_for_us(self, audience: object) -> bool:
        """Check 9: `aud` (RFC 7519 section 4.1.3), a string or a list of strings, one of which is ours.

        Raises `Unauthenticated(claims_malformed)` for anything else.
        """
        audiences = audience if isinstance(audience, list) else [audience]
        for one in audiences:
            if not isinstance(one, str):
                raise Unauthenticated(Reason.CLAIMS_MALFORMED)
        return not self._audiences.isdisjoint(audiences)

    def verify_times(self, payload: dict[str, object], *, at_any_time: bool = False) -> tuple[float, float]:
        """Check 8: `iat` and `exp` (RFC 7519 section 4.1), both required; `nbf` where it is there.

        Raises `Unauthenticated`, or `Unavailable(token_early)`; with `at_any_time` only `claims_malformed`.
        """
        issued_at, expires_at, not_before = _times(payload)
        starts_at = issued_at if issued_at > not_before else not_before
        if starts_at > expires_at:
            raise Unauthenticated(Reason.CLAIMS_MALFORMED)
        if at_any_time:
            return issued_at, expires_at
        now = self._clock.wall()
        if expires_at <= now - self._skew_seconds:
            raise Unauthenticated(Reason.TOKEN_EXPIRED)
        if starts_at > now + self._skew_seconds:
            if starts_at <= now + self._skew_seconds + EARLY_SECONDS:  # no refusal, which an HTTP API would cache
                raise Unavailable(Reason.TOKEN_EARLY)
            raise Unauthenticated(Reason.TOKEN_NOT_YET_VALID)
        return issued_at, expires_at


@lru_cache(maxsize=64)  # all tokens of one key have the same header
def _unverified_key_id(segment: bytes) -> str:
    if len(segment) > MAX_HEADER_CHARACTERS:
        raise Unauthenticated(Reason.TOKEN_MALFORMED)
    try:
        header = parse_object(decode_unchecked(segment))
    except ValueError:
        raise Unauthenticated(Reason.TOKEN_MALFORMED) from None
    if header.get("alg") != "RS256":  # check 3
        raise Unauthenticated(Reason.ALGORITHM_NOT_ALLOWED)
    kid, known = header.get("kid"), header.keys() <= _HEADER_MEMBERS and header.get("typ", "JWT") == "JWT"
    if not known or not isinstance(kid, str) or not KEY_ID.fullmatch(kid):  # check 4
        raise Unauthenticated(Reason.HEADER_NOT_ALLOWED)
    return kid


def _fits(key: RSAPublicKey, signed: bytes, encoded: bytes) -> bool:
    """Whether this is the key's RS256 signature: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3)."""
    try:
        signature = decode_unchecked(encoded)
    except ValueError:
        raise Unauthenticated(Reason.SIGNATURE_INVALID) from None
    if len(signature) != (key.key_size + 7) // 8:
        return False
    try:
        key.verify(signature, signed, _PADDING, _HASH)
    except (InvalidSignature, ValueError):
        return False
    return True


def is_uuid(value: object) -> TypeGuard[str]:
    """Whether it is a lower-case UUID, as Hanko writes them, but not the nil UUID."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None and value != _NIL_UUID


def _times(payload: Mapping[str, object]) -> tuple[float, float, float]:
    """`iat`, `exp` and `nbf` as NumericDates (RFC 7519 section 2): integers or floats, no booleans, until `MAX_TIME`.

    Raises `Unauthenticated(claims_malformed)`.
    """
    times = payload.get("iat"), payload.get("exp"), payload.get("nbf", 0)
    for time in times:
        if type(time) not in _NUMBERS or not 0 <= time <= MAX_TIME:  # type: ignore[operator]  # it is a number by then
            raise Unauthenticated(Reason.CLAIMS_MALFORMED)
    return cast("tuple[float, float, float]", times)
