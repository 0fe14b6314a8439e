"""AWS Signature Version 4 for a POST to `/` without a query. A test holds it against botocore, byte for byte.

Source: AWS IAM User Guide, "Create a signed AWS API request".
"""

import hashlib
import hmac
import time
from collections.abc import Mapping


class Credentials:
    """What a request is signed with. A plain class: a tuple would show its fields wherever it is printed."""

    def __init__(self, access_key_id: str, secret_access_key: str, session_token: str) -> None:
        """`session_token` is "" for credentials that are not temporary."""
        self.access_key_id, self.secret_access_key = access_key_id, secret_access_key
        self.session_token = session_token


def sign(  # noqa: PLR0913, PLR0917 - all that a signature covers
    credentials: Credentials, region: str, service: str, headers: Mapping[str, str], body: bytes, wall_seconds: float
) -> dict[str, str]:
    """Return the headers and those that sign them. `headers` must have `Host`; `wall_seconds` is the time now."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall_seconds))
    signed = {**headers, "X-Amz-Date": stamp}
    if credentials.session_token:
        signed["X-Amz-Security-Token"] = credentials.session_token
    lines = sorted((name.lower(), value) for name, value in signed.items())
    names = ";".join(name for name, _ in lines)
    request = "\n".join(["POST", "/", "", *(f"{name}:{value}" for name, value in lines), "", names, _digest(body)])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{_digest(request.encode())}"
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in [*scope.split("/"), text]:
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"Credential={credentials.access_key_id}/{scope}"
    return {
        **signed,
        "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={key.hex()}",
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
