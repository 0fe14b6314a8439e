"""The HTTP side: sockets, TLS, Hanko's public routes and the hand-over to the admin API."""

import json
import re
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from local.hanko import admin, behaviour, browser
from local.hanko.loopback import LoopbackServer
from local.hanko.service import Service, StrangeClaims

Reply = tuple[int, Any]  # status and JSON; None for no content
MAX_BODY_BYTES = 1024 * 1024
UNREAD_TYPES = ("application/xml", "text/xml", "application/x-www-form-urlencoded", "multipart/form-data")
NO_COOKIE = "hanko=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict"  # also where tokens travel in X-Auth-Token


class Server(LoopbackServer):
    """Serves one stand-in on loopback."""

    def __init__(self, port: int, hanko: Service, tls: ssl.SSLContext | None) -> None:
        self.hanko = hanko
        self.stopped = threading.Event()
        super().__init__(port, Handler, tls)

    def admits(self) -> bool:
        """After the delay of a Hanko that is far away."""
        self.hanko.count_connection()
        return not self.closing.wait(self.hanko.accept_delay_seconds)

    def stop_listening(self) -> None:
        self.stopped.set()
        super().stop_listening()


class Handler(BaseHTTPRequestHandler):
    """One request per connection, except for session checks and for key requests with keep-alive."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a kept connection would wait 40 ms between head and body

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        """Hanko has no HEAD, not even where it has GET."""
        self._send(404, b"", {"Connection": "close"})

    def do_OPTIONS(self) -> None:
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
                self._answer_validate(*self._validate(self._credentials(), renew=False))
            case "POST", "/sessions/validate":
                self._answer_validate(*self._validate_body(content))
            case "POST", "/logout":
                self._logout()
            case "GET", "/me":
                self._reply(*self._me())
            case "OPTIONS", _:
                self._reply(204, None)
            case (("GET" | "POST"), "/sign-in") if self.server.hanko.allow_origins:
                self._sign_in(content)
            case _:
                self._reply(404, _error(404, "Not Found"))

    def _answer_in_mode(self, endpoint: str, payload: Any) -> None:  # noqa: ANN401 - any JSON
        answer = behaviour.Answer(json.dumps(payload).encode(), self.connection, self.server.closing)
        answer_in_mode = self.server.hanko.behaviour_of(endpoint)
        is_kept = answer_in_mode is behaviour.normal and self.headers.get("Connection") == "keep-alive"
        self.close_connection = not is_kept
        if answer_in_mode is behaviour.normal:
            behaviour.normal(answer, headers={**self._cors(), "Connection": "keep-alive" if is_kept else "close"})
        else:
            answer_in_mode(answer)

    def _answer_validate(self, status: int, payload: Any) -> None:  # noqa: ANN401 - any JSON
        if self.server.hanko.behaviour_of("validate") is behaviour.normal:
            self._reply(status, payload, keep_alive=True)
        else:
            self._answer_in_mode("validate", payload)

    def _credentials(self) -> list[str]:
        """The tokens of the headers, then those of the cookies: Hanko's own order, and as lenient as Hanko."""
        headers = "\n".join(self.headers.get_all("Authorization", []))
        cookies = "; ".join(self.headers.get_all("Cookie", []))
        return re.findall(r"(?mi)^Bearer +(\S+)$", headers) + re.findall(r'(?:^|; )hanko="?([^;"]+)', cookies)

    def _validate_body(self, content: bytes) -> Reply:
        """As echo's `BindBody`: JSON is read, XML and forms have no such field, and any other type is a 415."""
        kind, token = self.headers.get("Content-Type", ""), None
        if content and not kind.startswith(("application/json", *UNREAD_TYPES)):
            return 415, _error(415, "Unsupported Media Type")
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            token = None if kind.startswith(UNREAD_TYPES) else json.loads(content)["session_token"]
        if not isinstance(token, str) or not token:
            return 400, _error(400, "code=400, message=session_token is a required field")
        return self._validate([token], renew=True)

    def _validate(self, tokens: Sequence[str], *, renew: bool) -> Reply:
        try:
            return 200, self.server.hanko.validate(tokens, renew=renew)
        except StrangeClaims as error:
            return 400, _error(400, f"failed to parse token claims: {error}")

    def _logout(self) -> None:
        verdict = self._verdict()
        if not verdict["is_valid"]:
            self._reply(401, _error(401, "Unauthorized"))
            return
        self.server.hanko.end_session(verdict["claims"]["session_id"], "explicit.logout")
        self._send(204, b"", {"Set-Cookie": NO_COOKIE, "Connection": "close"})

    def _verdict(self) -> dict[str, Any]:
        try:
            return self.server.hanko.validate(self._credentials(), renew=False, count=False)
        except StrangeClaims:
            return {"is_valid": False}

    def _me(self) -> Reply:
        verdict = self._verdict()
        if not verdict["is_valid"]:
            return 401, _error(401, "Unauthorized")
        return 200, browser.me(self.server.hanko, verdict["claims"])

    def _sign_in(self, content: bytes) -> None:
        hanko = self.server.hanko
        if self.command == "GET":
            policy = f"frame-ancestors {' '.join(hanko.allow_origins)}"
            self._send(200, browser.page(), {"Content-Type": "text/html", "Content-Security-Policy": policy})
            return
        try:
            answer, headers = browser.sign_in(hanko, content)
        except (ValueError, KeyError, TypeError, RecursionError):
            self._reply(400, _error(400, "Bad Request"))
        else:
            self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json", **headers})

    def _admin(self, path: str, content: bytes) -> Reply:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in {"localhost", "127.0.0.1"}:  # a web page can reach loopback under another name
            return 403, {"error": "the admin API is for localhost"}
        return admin.answer(self.server.hanko, self.command, path, content)

    def _reply(self, status: int, payload: Any, *, keep_alive: bool = False) -> None:  # noqa: ANN401 - any JSON
        headers = {} if payload is None else {"Content-Type": "application/json"}
        content = b"" if payload is None else json.dumps(payload).encode()
        self._send(status, content, headers if keep_alive else {**headers, "Connection": "close"})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, **self._cors()}.items():
            self.send_header(name, value)
        length, framed = behaviour.framed(content)
        for name, value in length.items() if content else ():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(framed if content else b"")

    def _cors(self) -> dict[str, str]:
        asked = self.headers.get("Access-Control-Request-Headers")
        return browser.cors(self.server.hanko, self.headers.get("Origin"), self.command, asked)


def _error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}
