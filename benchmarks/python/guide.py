"""Hanko's Python guide as an authorizer: its steps for each request, with a new client, and with TLS verified."""

import json
import os
import ssl

import jwt


def handler(event: dict[str, dict[str, str]], _context: object) -> dict[str, object]:
    """Answer an HTTP API's event, payload 2.0, with a simple response."""
    scheme, _, token = event["headers"].get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise jwt.DecodeError
        url = os.environ["HANKO_API_URL"] + "/.well-known/jwks.json"
        client = jwt.PyJWKClient(url, ssl_context=ssl.create_default_context())
        key = client.get_signing_key_from_jwt(token).key
        claims = jwt.decode(token, key, algorithms=["RS256"], audience=os.environ["HANKO_AUDIENCE"])
    except (jwt.PyJWTError, OSError) as error:
        print(json.dumps({"outcome": "denied", "reason": type(error).__name__}))
        return {"isAuthorized": False}
    print(json.dumps({"outcome": "allowed"}))
    return {"isAuthorized": True, "context": {"user_id": claims["sub"]}}
