"""Reads the revocation table without botocore, whose import and client take 150 ms of a cold start.

docs/decisions/signed-reads.md says where botocore reads instead: wherever more than a region and the credentials of
Lambda's environment decide how DynamoDB is reached.
"""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence

from authorizer import __version__
from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.hanko.client import HttpsClient
from authorizer.hanko.connection import Server
from authorizer.hanko.failure import FetchFailed
from authorizer.hanko.fetch import Connections
from authorizer.hanko.strict_json import parse_object
from authorizer.revocation.reader import ReadFailed, failure_of, request_items
from authorizer.revocation.sigv4 import Credentials, sign
from authorizer.setting_values import ServerUrl, split_url

ATTEMPT_SECONDS = 1  # as long as botocore's connect and read timeouts together: see table.py
_OK = 200

# The partitions aws and aws-us-gov: all their regions have the same form of endpoint.
_REGION = re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us|us-gov)-(?:north|south)?(?:central|east|west|north|south)-[0-9]")
# Variables that botocore reads and this reader does not.
_ONLY_BOTOCORE = frozenset((
    *("AWS_CA_BUNDLE", "AWS_CREDENTIAL_EXPIRATION", "AWS_DATA_PATH", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_PROFILE", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT", "AWS_ACCOUNT_ID_ENDPOINT_MODE"),
    *("REQUESTS_CA_BUNDLE", "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"),
))  # fmt: skip


class SignedReader:
    """Reads items by requests that it signs itself, over one kept connection."""

    def __init__(  # noqa: PLR0913, PLR0917 - where the table is, and who asks
        self, url: ServerUrl, region: str, credentials: Credentials, table: str, client: HttpsClient, clock: Clock
    ) -> None:
        """TLS is verified with the context that `client` has for Hanko."""
        self.url, self.table, self._region, self._credentials, self._clock = url, table, region, credentials, clock
        server = Server(url, client.server.tls, any_status=True)
        self._connections = Connections(server, clock, None, 1, keeps=True)
        self._headers = {
            "Host": url.netloc,
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.BatchGetItem",
        }

    def read(self, subjects: Sequence[str]) -> object:
        """As `TableReader.read`."""
        body = json.dumps({"RequestItems": request_items(self.table, subjects)}).encode()
        headers = sign(self._credentials, self._region, "dynamodb", self._headers, body, self._clock.wall())
        headers |= {"Accept-Encoding": "identity", "User-Agent": f"hanko-authorizer/{__version__}"}
        fetch = self._connections.fetch("POST", "/", headers, body, time.monotonic() + ATTEMPT_SECONDS)
        try:
            response = fetch.result()
        except FetchFailed:
            raise ReadFailed("connection") from None
        if response.status != _OK:
            raise ReadFailed(failure_of(_error_code(response.body), response.status))
        return parse_object(response.body)

    def close(self) -> None:
        """Close the kept connection."""
        self._connections.close()


def open_signed(
    environ: Mapping[str, str], settings: Settings, table: str, client: HttpsClient, clock: Clock
) -> SignedReader | None:
    """The reader for this environment; None where botocore must read."""
    credentials = _credentials(environ)
    region = environ.get("AWS_DEFAULT_REGION", "")
    url = _endpoint(environ, region)
    if credentials is None or url is None or not region or _is_configured_otherwise(environ):
        return None
    if url.path or (url.scheme == "https" and settings.ca_file):  # a CA of Hanko's own, which did not sign DynamoDB's
        return None
    return SignedReader(url, region, credentials, table, client, clock)


def _credentials(environ: Mapping[str, str]) -> Credentials | None:
    """The credentials in Lambda's environment. In a snapshot they would be as old as the snapshot."""
    key_id, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not key_id or not secret or environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        return None
    return Credentials(key_id, secret, environ.get("AWS_SESSION_TOKEN", ""))


def _endpoint(environ: Mapping[str, str], region: str) -> ServerUrl | None:
    """Where DynamoDB is. Source: AWS, "Service-specific endpoints", "Amazon DynamoDB endpoints and quotas"."""
    given = environ.get("AWS_ENDPOINT_URL_DYNAMODB") or environ.get("AWS_ENDPOINT_URL")
    if not given and not _REGION.fullmatch(region):
        return None
    try:
        return split_url(given or f"https://dynamodb.{region}.amazonaws.com")
    except ValueError:
        return None


def _is_configured_otherwise(environ: Mapping[str, str]) -> bool:
    """Whether a variable or a configuration file says what only botocore understands."""
    if any(value and name.upper() in _ONLY_BOTOCORE for name, value in environ.items()):
        return True
    return os.path.exists(os.path.expanduser(environ.get("AWS_CONFIG_FILE") or "~/.aws/config"))


def _error_code(body: bytes) -> str:
    """`ThrottlingException` of `{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}`; "" if unclear."""
    try:
        return str(parse_object(body).get("__type", "")).rpartition("#")[2]
    except ValueError:
        return ""
