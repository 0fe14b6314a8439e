"""The HTTPS client: one deadline for a whole fetch, no redirects, a size limit, every failure a `FetchFailed`.

docs/decisions/own-https-client.md says why. Importing this imports no TLS: the first fetch does, in fetch.py.
"""

import time
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from authorizer import __version__
from authorizer.clock import Clock
from authorizer.config import SessionMode, Settings

if TYPE_CHECKING:
    from authorizer.hanko.connection import Server
    from authorizer.hanko.fetch import Connections, Fetch
    from authorizer.hanko.tcp import EarlyConnection

JWKS_PATH = "/.well-known/jwks.json"
ATTEMPTS = 3  # of one fetch, after transient failures
RECEIVER_ATTEMPTS = 8  # as many as its 5 s have room for: the last begins after 4.5 s


class HttpsClient:
    """Sends requests below `HANKO_API_URL`. Plain http is only for the loopback hosts that the settings allow."""

    def __init__(
        self, settings: Settings, clock: Clock, early: "EarlyConnection | None" = None, attempts: int = ATTEMPTS
    ) -> None:
        """The first fetch goes over the `early` connection; behind a proxy there must be none."""
        self.clock, self._settings, self._early, self._attempts = clock, settings, early, attempts
        self._keeps = settings.session_check is not SessionMode.OFF

    @cached_property
    def server(self) -> "Server":
        """Where Hanko is, and the TLS context of all connections."""
        from authorizer.hanko.connection import hanko_server  # noqa: PLC0415 - see above

        return hanko_server(self._settings)

    @cached_property
    def _connections(self) -> "Connections":
        from authorizer.hanko.fetch import Connections  # noqa: PLC0415 - see above

        return Connections(self.server, self.clock, self._early, self._attempts, keeps=self._keeps)

    def start(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float | None = None,
    ) -> "Fetch":
        """Begin to fetch `path` (with its leading slash) in the background. `deadline` is that of an earlier fetch."""
        if deadline is None:
            deadline = time.monotonic() + self._settings.fetch_timeout_seconds
        all_headers = {
            "Accept": "application/json",
            "Cache-Control": "no-cache",  # a cached key set would lack a new key
            "Accept-Encoding": "identity",  # a compressed body could unpack to any size
            "User-Agent": f"hanko-authorizer/{__version__}",  # Cloudflare refuses Python's own
            "Connection": "keep-alive" if self._keeps else "close",
            **(headers or {}),
        }
        return self._connections.fetch(method, path, all_headers, body, deadline)

    def close(self) -> None:
        """Close the kept connection."""
        self._connections.close()
