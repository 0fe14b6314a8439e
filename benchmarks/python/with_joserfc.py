"""An authorizer with joserfc, which has no client for keys: they are fetched once, at start."""

import json
import os
import urllib.request

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

_URL = os.environ["HANKO_API_URL"] + "/.well-known/jwks.json"
with urllib.request.urlopen(_URL, timeout=3) as _answer:  # noqa: S310 - the stand-in's URL
    _keys = KeySet.import_key_set(json.load(_answer))
_registry = jwt.JWTClaimsRegistry(
    aud={"essential": True, "value": os.environ["HANKO_AUDIENCE"]},
    exp={"essential": True},
    iat={"essential": True},
    sub={"essential": True},
)


def handler(event: dict[str, dict[str, str]], _context: object) -> dict[str, object]:
    """Answer an HTTP API's event, payload 2.0, with a simple response."""
    try:
        token = jwt.decode(event["headers"]["authorization"].removeprefix("Bearer "), _keys, algorithms=["RS256"])
        _registry.validate(token.claims)
    except (KeyError, ValueError, JoseError) as error:
        print(json.dumps({"outcome": "denied", "reason": type(error).__name__}))
        return {"isAuthorized": False}
    print(json.dumps({"outcome": "allowed"}))
    claims = token.claims
    return {"isAuthorized": True, "context": {"user_id": claims["sub"], "session_id": claims["session_id"]}}
