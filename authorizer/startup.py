"""The start of a process: settings, early connection, key fetch. All that is imported before the first byte to Hanko.

The rest (cryptography, our own checks) is imported by assembly.py while the keys are on their way.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Misconfigured
from authorizer.hanko.tcp import EarlyConnection

if TYPE_CHECKING:
    from authorizer.hanko.fetch import Fetch, HttpsClient


class Startup(NamedTuple):
    """What a started process has. `prefetch` is None where the sandbox is kept as a snapshot."""

    function_name: str
    settings: Settings
    clock: Clock
    client: "HttpsClient"
    prefetch: "Fetch | None"


def start(environ: Mapping[str, str], *, is_receiver: bool = False) -> Startup:
    """Read the settings and start to fetch Hanko's keys.

    The webhooks' receiver requires more settings, and tries a fetch more often, because Hanko sends a webhook once.

    A snapshot must not hold a connection or keys: restored from one, a process fetches with its first token.

    Raises `Misconfigured(settings_invalid)` after it has written why the function does not start.
    """
    function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME", "hanko-authorizer")
    try:
        settings = Settings.from_env(environ)
        if is_receiver:
            settings.table_and_queue()
    except Misconfigured as error:
        report_not_started(function_name, error)
        raise
    is_snapshot = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"
    connects_early = not (is_snapshot or settings.proxy or settings.keys_file)
    early = EarlyConnection(settings.api_url, settings.fetch_timeout_seconds) if connects_early else None
    # ssl takes as long to import as the TCP connection takes to open: 10 % of a cold start.
    from authorizer.hanko.fetch import ATTEMPTS, JWKS_PATH, RECEIVER_ATTEMPTS, HttpsClient  # noqa: PLC0415 - see above

    clock = Clock()
    client = HttpsClient(settings, clock, early, RECEIVER_ATTEMPTS if is_receiver else ATTEMPTS)
    return Startup(function_name, settings, clock, client, None if is_snapshot else client.start(JWKS_PATH))


def report_not_started(function_name: str, error: Misconfigured) -> None:
    """Write the record of a function that does not start."""
    from authorizer.telemetry import write_not_started  # noqa: PLC0415 - a good start imports it later

    write_not_started(function_name, error)
