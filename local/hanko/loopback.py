"""An HTTP server on loopback, with or without TLS, each connection in a thread of its own."""

import argparse
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_PORT = 65535


def port_number(text: str) -> int:
    """A command's argument."""
    if text.isdecimal() and int(text) <= MAX_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to {MAX_PORT}")


class LoopbackServer(ThreadingHTTPServer):
    """Closing it ends the open connections too."""

    daemon_threads = True
    request_queue_size = 128  # tests open many connections at once

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> None:
        """Listen on the port, on a free one if it is 0."""
        self.closing = threading.Event()
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._idle = threading.Condition()
        super().__init__(("127.0.0.1", port), handler)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.server_address[1]
        return port

    def serve(self) -> None:
        """Answer from now on, in a thread."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the types of the base class
        """Runs in the connection's own thread, so a client that never finishes its handshake does not block others."""
        connection = request
        if self._tls:
            connection = self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        with self._idle:
            self._open.add(connection)
        try:
            if not self.admits():
                return
            if self._tls:
                connection.do_handshake()
            super().finish_request(connection, client_address)
        finally:
            if connection is not request:
                connection.close()
            with self._idle:
                self._open.discard(connection)
                self._idle.notify_all()

    def admits(self) -> bool:
        """Whether a new connection is served."""
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the types of the base class
        """Prints everything but an OSError: a client that goes away is expected here."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def stop_listening(self) -> None:
        """Refuse new connections from here on, answer the open requests, then end their connections."""
        self.shutdown()
        self.server_close()
        self._end_connections(socket.SHUT_RD)

    def close(self) -> None:
        """End every open connection, and wait until their threads have ended."""
        self.closing.set()
        self._end_connections(socket.SHUT_RDWR)
        with self._idle:
            self._idle.wait_for(lambda: not self._open, timeout=5)

    def _end_connections(self, how: int) -> None:
        with self._idle:
            for connection in self._open:
                try:
                    socket.socket.shutdown(connection, how)
                except OSError:
                    continue  # it closed by itself meanwhile
