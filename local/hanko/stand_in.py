"""StandInHanko: a Hanko on loopback, over real HTTP or HTTPS."""

import contextlib
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from local.hanko.certificates import write_certificates
from local.hanko.guard import guarded_folder
from local.hanko.server import Server
from local.hanko.service import Service


@dataclass(kw_only=True, eq=False)
class StandInHanko(Service):
    """A Hanko that listens on a port, a free one if it is 0, from `start` to `close`."""

    port: int = 0
    tls: bool = False
    certificate_names: Sequence[str] = ("localhost", "127.0.0.1")
    ca_file: Path | None = field(default=None, init=False)  # what a client must trust, with tls

    def __post_init__(self) -> None:
        super().__post_init__()
        self._server: Server | None = None
        self._tls_context: ssl.SSLContext | None = None
        self._cleanup = contextlib.ExitStack()
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> Self:
        """Listen. `port` and `url` are known from here on."""
        if self.tls:
            folder = self._cleanup.enter_context(guarded_folder("stand-in-hanko-"))
            self.ca_file, chain_file = write_certificates(folder, self.certificate_names)
            self._tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls_context.load_cert_chain(chain_file)
        self._listen()
        return self

    def close(self) -> None:
        """Stop at once, even in the middle of an answer."""
        self._closed.set()
        self._stop_listening(close=True)
        self._cleanup.close()

    def _listen(self) -> None:
        with self._lock:
            if self._server is None and not self._closed.is_set():
                self._server = Server(self.port, self, self._tls_context)
                self.port = self._server.port
                self._server.serve()

    def _stop_listening(self, *, close: bool) -> None:
        with self._lock:
            server, self._server = self._server, None
        if server:
            server.stop_listening()
            if close:
                server.close()

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The value for HANKO_API_URL."""
        return self.origin + self.prefix

    def behave(self, mode: str, *, endpoint: str = "keys", **options: Any) -> None:  # noqa: ANN401 - each mode has its own options
        """Answer requests for the keys, or for `validate`, in a mode of behaviour.py, or `down`: refuse connections.

        `down` ends kept connections, too, and lasts until the next `behave`, or for `seconds`.
        """
        if mode == "down":
            self._go_down(**options)
            return
        super().behave(mode, endpoint=endpoint, **options)
        self._listen()

    def _go_down(self, seconds: float | None = None) -> None:
        self._stop_listening(close=False)
        if seconds is not None:
            threading.Thread(target=self._come_back_after, args=(seconds,), daemon=True).start()

    def _come_back_after(self, seconds: float) -> None:
        if not self._closed.wait(seconds):
            self.behave("normal")
