"""A floor: one question to Hanko over a kept TLS connection, without a deadline and without a look at the answer."""

import http.client
import os
import ssl
from urllib.parse import urlsplit

_parts = urlsplit(os.environ["HANKO_API_URL"])
_context = ssl.create_default_context()
_connection = http.client.HTTPSConnection(str(_parts.hostname), _parts.port, context=_context)


def handler(event: dict[str, dict[str, str]], _context: object) -> dict[str, object]:
    """Ask about the token of an HTTP API's event, payload 2.0, and answer with a simple response."""
    _connection.request("GET", "/sessions/validate", headers={"Authorization": event["headers"]["authorization"]})
    return {"isAuthorized": b'"is_valid": true' in _connection.getresponse().read()}
