"""An authorizer with PyJWT: one PyJWKClient for the sandbox, filled at start."""

import json
import os

import jwt

_AUDIENCE = os.environ["HANKO_AUDIENCE"]
_client = jwt.PyJWKClient(
    os.environ["HANKO_API_URL"] + "/.well-known/jwks.json",
    timeout=3,
    lifespan=float(os.environ.get("PEER_MAX_AGE_SECONDS", "300")),
)
_client.get_jwk_set()


def handler(event: dict[str, dict[str, str]], _context: object) -> dict[str, object]:
    """Answer an HTTP API's event, payload 2.0, with a simple response."""
    try:
        token = event["headers"]["authorization"].removeprefix("Bearer ")
        key = _client.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token, key, algorithms=["RS256"], audience=_AUDIENCE, options={"require": ["exp", "iat", "sub"]}
        )
    except (KeyError, jwt.PyJWTError) as error:
        print(json.dumps({"outcome": "denied", "reason": type(error).__name__}))
        return {"isAuthorized": False}
    print(json.dumps({"outcome": "allowed"}))
    return {"isAuthorized": True, "context": {"user_id": claims["sub"], "session_id": claims["session_id"]}}
