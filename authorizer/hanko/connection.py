"""The TCP connection to Hanko, opened while Python still imports what will speak TLS and HTTP on it."""

import socket
import threading
from urllib.parse import urlsplit


class EarlyConnection:
    """One connection, under way in a thread of its own: a name's look-up knows no time limit."""

    def __init__(self, api_url: str, timeout_seconds: float) -> None:
        """Start at once."""
        url = urlsplit(api_url)
        self._address = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        self._timeout_seconds = timeout_seconds
        self._socket: socket.socket | None = None
        self._failure: OSError | ValueError = TimeoutError()
        self._thread = threading.Thread(target=self._open, daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            self._socket = socket.create_connection(self._address, self._timeout_seconds)
        except (OSError, ValueError) as failure:  # a name that cannot be one is a UnicodeError
            self._failure = failure

    def answer(self, *_address_and_options: object) -> socket.socket:
        """In the place of `socket.create_connection`: the open connection, or the error that there is instead."""
        self._thread.join(self._timeout_seconds)
        if self._socket is None:
            raise self._failure
        return self._socket
