"""The HTTP side: sockets, TLS, Hanko's public routes and the hand-over to the admin API."""

import json
import re
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from local.hanko import admin, behaviour
from local.hanko.service import Service

Reply = tuple[int, Any]  # status and JSON; None for no content
MAX_BODY_BYTES = 1024 * 1024


class Server(ThreadingHTTPServer):
    """Serves one stand-in on loopback. Closing it ends the open connections too."""

    daemon_threads = True
    request_queue_size = 128  # tests open many connections at once

    def __init__(self, port: int, hanko: Service, tls: ssl.SSLContext | None) -> None:
        self.hanko = hanko
        self.stopped = threading.Event()
        self.closing = threading.Event()
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._idle = threading.Condition()
        super().__init__(("127.0.0.1", port), Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the types of the base class
        """Runs in the connection's own thread, so a client that never finishes its handshake does not block others."""
        connection = request
        if self._tls:
            connection = self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        self.hanko.count_connection()
        with self._idle:
            self._open.add(connection)
        try:
            if self.closing.wait(self.hanko.accept_delay_seconds):
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

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the types of the base class
        """Prints everything but an OSError: a client that goes away is expected here."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def stop_listening(self) -> None:
        """Refuse new connections from here on, answer the open requests, then end their connections."""
        self.stopped.set()
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


class Handler(BaseHTTPRequestHandler):
    """One request per connection, except for session checks and for key requests with keep-alive."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a kept connection would wait 40 ms between head and body

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Print nothing: tokens may be in the URL."""

    def _answer(self) -> None:
        hanko, path = self.server.hanko, urlsplit(self.path).path
        content = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_BODY_BYTES))
        if self.server.stopped.is_set():  # a request on a kept connection that is about to end
            self.close_connection = True
        elif path.startswith("/_admin/"):
            self._reply(*self._admin(path.removeprefix("/_admin"), content))
        elif not path.startswith(f"{hanko.prefix}/"):
            self._reply(404, _error(404, "Not Found"))
        else:
            self._public(path.removeprefix(hanko.prefix), content)

    def _public(self, path: str, content: bytes) -> None:
        match self.command, path:
            case "GET", "/.well-known/jwks.json":
                hanko = self.server.hanko
                hanko.count_jwks_request(dict(self.headers.items()))
                if not hanko.has_database:
                    self._reply(500, _error(500, "Internal Server Error"), keep_alive=True)
                else:
                    self._answer_in_mode("keys", hanko.jwks)
            case "GET", "/sessions/validate":
                self._answer_validate(200, self.server.hanko.validate(self._credentials(), renew=False))
            case "POST", "/sessions/validate":
                self._answer_validate(*self._validate_body(content))
            case "POST", "/logout":
                self._reply(*self._logout())
            case _:
                self._reply(404, _error(404, "Not Found"))

    def _answer_in_mode(self, endpoint: str, payload: Any) -> None:  # noqa: ANN401 - any JSON
        answer = behaviour.Answer(json.dumps(payload).encode(), self.connection, self.server.closing)
        answer_in_mode = self.server.hanko.behaviour_of(endpoint)
        if answer_in_mode is behaviour.normal and self.headers.get("Connection") == "keep-alive":
            behaviour.normal(answer, headers={"Connection": "keep-alive"})
        else:
            self.close_connection = True
            answer_in_mode(answer)

    def _answer_validate(self, status: int, payload: Any) -> None:  # noqa: ANN401 - any JSON
        if self.server.hanko.behaviour_of("validate") is behaviour.normal:
            self._reply(status, payload, keep_alive=True)
        else:
            self._answer_in_mode("validate", payload)

    def _credentials(self) -> list[str]:
        """The tokens of the headers, then those of the cookies: Hanko's own order."""
        headers = "\n".join(self.headers.get_all("Authorization", []))
        cookies = "; ".join(self.headers.get_all("Cookie", []))
        return re.findall(r"(?m)^Bearer (\S+)$", headers) + re.findall(r"(?:^|; )hanko=([^;]+)", cookies)

    def _validate_body(self, content: bytes) -> Reply:
        try:
            token = json.loads(content)["session_token"]
        except (ValueError, KeyError, TypeError, RecursionError):
            token = None
        if not isinstance(token, str) or not token:
            return 400, _error(400, "Bad Request")
        return 200, self.server.hanko.validate([token], renew=True)

    def _logout(self) -> Reply:
        for token in self._credentials():
            verdict = self.server.hanko.validate([token], renew=False, count=False)
            if verdict["is_valid"]:
                self.server.hanko.end_session(verdict["claims"]["session_id"], "explicit.logout")
                return 204, None
        return 401, _error(401, "Unauthorized")

    def _admin(self, path: str, content: bytes) -> Reply:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in {"localhost", "127.0.0.1"}:  # a web page can reach loopback under another name
            return 403, {"error": "the admin API is for localhost"}
        return admin.answer(self.server.hanko, self.command, path, content)

    def _reply(self, status: int, payload: Any, *, keep_alive: bool = False) -> None:  # noqa: ANN401 - any JSON
        content = b"" if payload is None else json.dumps(payload).encode()
        self.send_response(status)
        if payload is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
        if not keep_alive:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


def _error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}
