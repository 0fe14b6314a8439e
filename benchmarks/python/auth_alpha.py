"""An authorizer with Powertools' auth_alpha, which demands an issuer in every token."""

import json
import os

from aws_lambda_powertools.utilities.auth_alpha.exceptions import AuthError
from aws_lambda_powertools.utilities.auth_alpha.jwt import JWTVerifier

_verifier = JWTVerifier(
    issuer=os.environ["PEER_ISSUER"],
    audience=os.environ["HANKO_AUDIENCE"],
    algorithms=["RS256"],
    jwks_uri=os.environ["HANKO_API_URL"] + "/.well-known/jwks.json",
    required_claims=["sub", "session_id"],
    jwks_max_age_seconds=float(os.environ.get("PEER_MAX_AGE_SECONDS", "300")),
)
_verifier.prefetch()


def handler(event: dict[str, dict[str, str]], _context: object) -> dict[str, object]:
    """Answer an HTTP API's event, payload 2.0, with a simple response."""
    try:
        claims = _verifier.verify(event["headers"]["authorization"].removeprefix("Bearer "))
    except (KeyError, AuthError) as error:
        print(json.dumps({"outcome": "denied", "reason": type(error).__name__}))
        return {"isAuthorized": False}
    print(json.dumps({"outcome": "allowed"}))
    return {"isAuthorized": True, "context": {"user_id": claims["sub"], "session_id": claims["session_id"]}}
