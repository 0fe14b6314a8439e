"""RSA-4096 keys kept between runs, their JWKs, and tokens signed and verified with them, by PyJWT."""

import base64
import functools
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

POOL = Path(__file__).resolve().parents[2] / ".local" / "keys"  # git-ignored
_PYJWT = jwt.PyJWS()
KEY_BITS = 4096  # what Hanko makes (backend/crypto/jwk/local_db/generator_rsa.go)


@functools.cache
def pool_key(number: int, folder: Path = POOL) -> rsa.RSAPrivateKey:
    """Key `number` of the pool. It is made at its first use and kept, because an RSA-4096 key takes seconds."""
    path = folder / f"key-{number}.pem"
    if not path.exists():
        _make(path)
    # The file is our own: checking the primes again would cost every process a noticeable fraction of a second.
    key = serialization.load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{path} holds no RSA key: delete it")
    return key


def _make(path: Path) -> None:
    """Write a new key. If several processes race, all of them use the key of the first one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    pem = rsa.generate_private_key(65537, KEY_BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # created with mode 600
        file.write(pem)
        file.flush()
        try:
            os.link(file.name, path)  # atomic, and unlike a rename it never replaces a key that is in use
        except FileExistsError:
            return


def b64(data: bytes) -> str:
    """base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The inverse of `b64`. Raises ValueError for anything but base64url."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, str]:
    """The public half as Hanko publishes it."""
    numbers = key.public_key().public_numbers()
    n, e = (b64(value.to_bytes((value.bit_length() + 7) // 8, "big")) for value in (numbers.n, numbers.e))
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e}


def mint(claims: Mapping[str, Any], kid: str, key: rsa.RSAPrivateKey) -> str:
    """A token as Hanko makes it. PyJWT writes and signs it: an implementation that shares nothing with the verifier."""
    return _PYJWT.encode(_json(claims), key, algorithm="RS256", headers={"kid": kid}, sort_headers=True)


def sign(header: Mapping[str, Any], payload: bytes | Mapping[str, Any], key: rsa.RSAPrivateKey) -> str:
    """A compact JWS that PyJWT would not write: any header, any payload, always signed as RS256."""
    content = payload if isinstance(payload, bytes) else _json(payload)
    signing_input = f"{b64(_json(header))}.{b64(content)}"
    return f"{signing_input}.{b64(key.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def verified(token: str, keys: Mapping[str, rsa.RSAPrivateKey]) -> dict[str, Any]:
    """The payload of a token that the key with its kid signed, else ValueError. Checks the signature alone."""
    try:
        public_key = keys[jwt.get_unverified_header(token)["kid"]].public_key()
        payload = json.loads(_PYJWT.decode(token, public_key, algorithms=["RS256"]))
    except (jwt.PyJWTError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("not signed by a published key") from error
    if not isinstance(payload, dict):
        raise ValueError("the payload is no object")  # noqa: TRY004 - bad input like any other here, not a wrong call
    return payload
