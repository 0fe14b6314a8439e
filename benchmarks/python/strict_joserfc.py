"""As with_joserfc.py, with the checks that ours makes: header members, times, ids, issuer, sizes."""

import json
import os
import re

from joserfc import jwt
from joserfc.errors import JoseError
from with_joserfc import _keys  # type: ignore[import-not-found]  # beside this file, on the functions' path

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_MAX_CHARACTERS, _MAX_TIME = 16 * 1024, 4_102_444_800
_registry = jwt.JWTClaimsRegistry(
    leeway=10,
    aud={"essential": True, "value": os.environ["HANKO_AUDIENCE"]},
    iss={"essential": True, "value": os.environ["PEER_ISSUER"]},
    exp={"essential": True},
    iat={"essential": True},
    sub={"essential": True},
)


def handler(event: dict[str, dict[str, str]], _context: object) -> dict[str, object]:
    """Answer an HTTP API's event, payload 2.0, with a simple response."""
    try:
        claims = _verified(event["headers"]["authorization"].removeprefix("Bearer "))
    except (KeyError, ValueError, JoseError) as error:
        print(json.dumps({"outcome": "denied", "reason": type(error).__name__}))
        return {"isAuthorized": False}
    print(json.dumps({"outcome": "allowed"}))
    return {"isAuthorized": True, "context": {"user_id": claims["sub"], "session_id": claims["session_id"]}}


def _verified(text: str) -> dict[str, str]:
    if len(text) > _MAX_CHARACTERS or not text.isascii():
        raise ValueError("form")
    token = jwt.decode(text, _keys, algorithms=["RS256"])
    if not token.header.keys() <= {"alg", "kid", "typ"} or token.header.get("typ", "JWT") != "JWT":
        raise ValueError("header")
    claims = token.claims
    _registry.validate(claims)
    if not all(type(claims[name]) in (int, float) and 0 <= claims[name] <= _MAX_TIME for name in ("iat", "exp")):
        raise ValueError("times")
    if not all(isinstance(claims[name], str) and _UUID.fullmatch(claims[name]) for name in ("sub", "session_id")):
        raise ValueError("ids")
    return {name: claims[name] for name in ("sub", "session_id")}
