"""A real Hanko, spoken to over HTTP: its flows, its admin API, and the mail and the webhooks that it sends."""

import email
import json
import re
import socketserver
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from servers import becomes

from local.hanko.keys import unb64

Json = dict[str, Any]
TIMEOUT_SECONDS = 20
PASSWORD = "correct horse battery staple"


class Answer(NamedTuple):
    """What Hanko answered."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)

    @property
    def token(self) -> str:
        """The session token of a login: from the header if Hanko is configured so, else from the cookie."""
        cookie = re.search(r"(?:^|; )[\w-]+=([^;]+)", self.headers.get("Set-Cookie", ""))
        return self.headers.get("X-Auth-Token") or (cookie[1] if cookie else "")


def call(
    url: str, body: object = None, *, method: str | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request; any status is an answer."""
    data = None if body is None else json.dumps(body).encode()
    kind = {} if data is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, {**kind, **(headers or {})}, method=method)  # noqa: S310 - given by who runs it
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def claims_of(token: str) -> Json:
    """The payload, not verified."""
    claims: Json = json.loads(unb64(token.split(".")[1]))
    return claims


def header_of(token: str) -> Json:
    header: Json = json.loads(unb64(token.split(".", maxsplit=1)[0]))
    return header


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Flow:
    """One of Hanko's flows (`backend/flowpilot`), up to the state that the last action led to."""

    def __init__(self, url: str, name: str) -> None:
        """Begin. This client says that it has no passkeys."""
        self._url = url
        self._take(call(f"{url}/{name}", {}))
        self.act(
            "register_client_capabilities", webauthn_available=False, webauthn_conditional_mediation_available=False
        )

    def act(self, name: str, **inputs: object) -> "Flow":
        """Do it. Raises KeyError if this state does not offer it."""
        if name not in self.actions:
            raise KeyError(f"{self.state} offers {sorted(self.actions)}, not {name}")
        given = {"input_data": inputs, "csrf_token": self.answer.json["csrf_token"]}
        self._take(call(self._url + self.actions[name]["href"], given))
        return self

    def finish(self) -> Answer:
        """Skip what may be skipped; the last answer, which carries the session."""
        while "skip" in self.actions:
            self.act("skip")
        if self.state != "success":
            raise AssertionError(f"{self.state}: {self.answer.json.get('error')}")
        return self.answer

    def _take(self, answer: Answer) -> None:
        self.answer = answer
        self.state: str = answer.json["name"]
        self.actions: Json = answer.json["actions"]


@dataclass(frozen=True)
class User:
    """A user whom a test made."""

    user_id: str
    address: str


@dataclass(frozen=True)
class RealHanko:
    """Where it is. `admin_url` is the admin API, which has no credentials of its own: keep it away from the network."""

    url: str
    admin_url: str
    audience: str

    def new_user(self, *, password: bool = False) -> User:
        """By the admin API, with a verified address."""
        address = f"user-{uuid.uuid4().hex[:12]}@example.com"
        emails = [{"address": address, "is_primary": True, "is_verified": True}]
        user = User(call(f"{self.admin_url}/users", {"emails": emails}).json["id"], address)
        if password:
            call(f"{self.admin_url}/users/{user.user_id}/password", {"password": PASSWORD})
        return user

    def new_session(self, user: User) -> str:
        """A token by the admin API."""
        token: str = call(f"{self.admin_url}/sessions", {"user_id": user.user_id}).json["session_token"]
        return token

    def identify(self, user: User) -> Flow:
        """The login flow, after the user has said who they are."""
        flow = Flow(self.url, "login")
        name = next(iter(flow.actions["continue_with_login_identifier"]["inputs"]))
        return flow.act("continue_with_login_identifier", **{name: user.address})

    def offer_password(self, user: User) -> Flow:
        """The login flow, where it asks for the password."""
        flow = self.identify(user)
        return flow.act("continue_to_password_login") if "continue_to_password_login" in flow.actions else flow

    def login(self, user: User) -> str:
        return self.offer_password(user).act("password_login", password=PASSWORD).finish().token

    def validate(self, token: str) -> Answer:
        """Asked without renewing the session."""
        return call(f"{self.url}/sessions/validate", headers=bearer(token))

    def touch(self, token: str) -> Answer:
        """Asked so that it counts as use."""
        return call(f"{self.url}/sessions/validate", {"session_token": token})

    def logout(self, token: str) -> Answer:
        return call(f"{self.url}/logout", method="POST", headers=bearer(token))

    def revoke(self, token: str) -> int:
        claims = claims_of(token)
        url = f"{self.admin_url}/users/{claims['sub']}/sessions/{claims['session_id']}"
        return call(url, method="DELETE").status

    def delete(self, user_id: str) -> int:
        return call(f"{self.admin_url}/users/{user_id}", method="DELETE").status

    @property
    def key_set(self) -> Answer:
        return call(f"{self.url}/.well-known/jwks.json")


class Mailbox(socketserver.StreamRequestHandler):
    """An SMTP server's side of one connection: takes every mail (RFC 5321, as far as Hanko speaks it)."""

    def handle(self) -> None:
        self._say("220 ready")
        for line in self.rfile:
            match line[:4].upper():
                case b"DATA":
                    self._say("354 go on")
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    self.server.mails.append(email.message_from_bytes(b"".join(lines)))  # type: ignore[attr-defined]  # a server of `mailbox`
                    self._say("250 taken")
                case b"QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 well")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Mails(socketserver.ThreadingTCPServer):
    """The server that Hanko's `email_delivery` names."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.mails: list[Message] = []
        super().__init__(("0.0.0.0", port), Mailbox)  # noqa: S104 - Hanko may run in a container

    def code_for(self, address: str) -> str:
        """The newest passcode sent to that address, once it is there."""

        def codes() -> list[str]:
            subjects = [str(mail["Subject"]) for mail in self.mails if mail["To"] == address]
            return re.findall(r"\b\d{6}\b", " ".join(subjects))

        assert becomes(lambda: bool(codes())), f"Hanko sent no passcode to {address}: does email_delivery lead here?"
        return str(codes()[-1])


class Webhook(NamedTuple):
    """One that Hanko sent: when it came, its headers, its body, the claims of its token."""

    arrived: float
    headers: Message
    body: bytes
    event: str
    claims: Json


class Webhooks(ThreadingHTTPServer):
    """Takes Hanko's webhooks. `respond` gives the status."""

    daemon_threads = True

    def __init__(self, respond: Callable[[bytes], int]) -> None:
        self.respond = respond
        self.seen: list[Webhook] = []
        super().__init__(("0.0.0.0", 0), Incoming)  # noqa: S104 - Hanko may run in a container

    def about(self, event: str, identifier: str) -> list[Webhook]:
        """Those of an event about this user or session, so far."""
        return [one for one in self.seen if one.event == event and identifier in json.dumps(one.claims["data"])]

    def wait(self, event: str, identifier: str) -> Webhook:
        assert becomes(lambda: bool(self.about(event, identifier))), f"no {event} came, but {self.names}"
        return self.about(event, identifier)[-1]

    @property
    def names(self) -> list[str]:
        return [one.event for one in self.seen]


class Incoming(BaseHTTPRequestHandler):
    """One webhook."""

    server: Webhooks

    def do_POST(self) -> None:
        arrived, body = time.time(), self.rfile.read(int(self.headers["Content-Length"]))
        claims = claims_of(json.loads(body)["token"])
        status = self.server.respond(body)
        self.server.seen.append(Webhook(arrived, self.headers, body, json.loads(body)["event"], claims))
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Print nothing."""
