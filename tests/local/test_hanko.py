"""The stand-in Hanko over real HTTP, seen by clients that are not ours: http.client, PyJWT, ssl."""

import base64
import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt
import pytest

from local.hanko import RemoteHanko, StandInHanko, pool_key

JWKS = "/.well-known/jwks.json"
TENANT = "0f6c9a0e-3c57-4b0e-8a55-6d2f1f0a7c11"
DEADLINE_SECONDS = 20


class Clock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hanko() -> Iterator[StandInHanko]:
    with StandInHanko() as running:
        yield running


def call(
    hanko: StandInHanko, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", hanko.port, timeout=DEADLINE_SECONDS)) as connection:
        content = body if isinstance(body, bytes | None) else json.dumps(body)
        connection.request(method, path, content, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def post(hanko: StandInHanko, path: str, body: object) -> tuple[int, Any]:
    status, _, content = call(hanko, "POST", path, body, {"Content-Type": "application/json"})
    return status, json.loads(content)


def is_valid(hanko: StandInHanko, token: str) -> bool:
    """Asked passively."""
    _, _, content = call(hanko, "GET", "/sessions/validate", headers={"Authorization": f"Bearer {token}"})
    return bool(json.loads(content)["is_valid"])


def payload_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def raw_answer(hanko: StandInHanko, path: str = JWKS) -> bytes:
    """Every byte until the server closes."""
    with socket.create_connection(("127.0.0.1", hanko.port), timeout=DEADLINE_SECONDS) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return b"".join(iter(lambda: client.recv(65536), b""))


# --- keys and tokens


def test_pyjwt_verifies_a_token_with_the_served_keys(hanko: StandInHanko) -> None:
    token = hanko.mint()
    status, headers, content = call(hanko, "GET", JWKS)

    assert status == 200
    assert headers["Cache-Control"] == "max-age=600"
    key = jwt.PyJWKSet.from_dict(json.loads(content))[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="localhost", options={"require": ["exp", "iat"]})
    assert claims == payload_of(token)


def test_tokens_are_what_pyjwt_writes(hanko: StandInHanko) -> None:
    """Byte for byte: our verifier is fed by an implementation that is not ours."""
    tokens = [hanko.mint(), hanko.webhook_token("user.delete", {"id": "x"}), hanko.passkey_server_token()]
    for token in tokens:
        headers = {"kid": hanko.kids[0]}
        assert (
            jwt.encode(payload_of(token), pool_key(0), algorithm="RS256", headers=headers, sort_headers=True) == token
        )


def test_keys_have_the_shape_that_hanko_publishes(hanko: StandInHanko) -> None:
    [key] = json.loads(call(hanko, "GET", JWKS)[2])["keys"]

    assert list(key) == ["kty", "use", "alg", "kid", "n", "e"]
    assert (key["kty"], key["use"], key["alg"], key["e"]) == ("RSA", "sig", "RS256", "AQAB")
    assert str(UUID(key["kid"])) == key["kid"]
    assert len(base64.urlsafe_b64decode(key["n"] + "==")) * 8 == 4096


def test_a_session_token_has_the_claims_of_hanko() -> None:
    clock = Clock()
    with StandInHanko(
        now=clock, audience=["a.example.com", "b.example.com"], issuer="https://hanko.example.com"
    ) as hanko:
        claims = payload_of(hanko.mint())

    assert claims == {
        "sub": str(UUID(claims["sub"])),
        "aud": ["a.example.com", "b.example.com"],
        "iat": 1_800_000_000,
        "exp": 1_800_000_000 + 43200,
        "iss": "https://hanko.example.com",
        "session_id": str(UUID(claims["session_id"], version=4)),
        "email": {"address": "user@example.com", "is_primary": True, "is_verified": True},
        "username": "example-user",
        "amr": ["passkey"],
    }


def test_mint_merges_claims_and_header_and_removes_what_is_none(hanko: StandInHanko) -> None:
    token = hanko.mint(claims={"role": "admin", "email": None}, header={"typ": None, "cty": "x"}, lifetime_seconds=60)
    claims = payload_of(token)

    assert claims["role"] == "admin"
    assert "email" not in claims
    assert "iss" not in claims
    assert claims["exp"] - claims["iat"] == 60
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header == {"alg": "RS256", "kid": hanko.kids[0], "cty": "x"}


def test_sign_takes_any_bytes_and_any_key(hanko: StandInHanko) -> None:
    token = hanko.sign({"alg": "RS256"}, b"\xff not json", pool_key(0))

    assert base64.urlsafe_b64decode(token.split(".")[1] + "==") == b"\xff not json"
    assert hanko.sign({"alg": "RS256"}, b"\xff not json", hanko.kids[0]) == token


def test_a_new_key_signs_at_once_and_old_keys_stay_until_withdrawn(hanko: StandInHanko) -> None:
    old_token, old = hanko.mint(), hanko.kids[0]
    new = hanko.rotate()

    assert hanko.kids == [new, old]
    assert jwt.get_unverified_header(hanko.mint())["kid"] == new
    assert is_valid(hanko, old_token)

    hanko.withdraw(old)
    assert [key["kid"] for key in json.loads(call(hanko, "GET", JWKS)[2])["keys"]] == [new]
    assert not is_valid(hanko, old_token)
    assert jwt.get_unverified_header(hanko.mint(key=old))["kid"] == old
    with pytest.raises(KeyError):
        hanko.withdraw(old)


def test_hostile_keys_are_published_as_they_are(hanko: StandInHanko) -> None:
    hanko.extra_keys.append({"kty": "oct", "kid": "x", "alg": "none"})

    assert json.loads(call(hanko, "GET", JWKS)[2])["keys"][1] == {"kty": "oct", "kid": "x", "alg": "none"}


def test_racing_processes_agree_on_one_key(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "keys"
    code = (
        "import sys, pathlib; from local.hanko import pool_key;"
        "print(pool_key(0, pathlib.Path(sys.argv[1])).public_key().public_numbers().n)"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own code
        for _ in range(2)
    ]
    printed = {racer.communicate(timeout=120)[0] for racer in racers}

    assert printed == {f"{pool_key(0, folder).public_key().public_numbers().n}\n"}
    assert [path.name for path in folder.iterdir()] == ["key-0.pem"]
    assert (folder.stat().st_mode & 0o777, (folder / "key-0.pem").stat().st_mode & 0o777) == (0o700, 0o600)


# --- tokens that are no sessions


def test_a_webhook_token_is_the_one_of_hanko() -> None:
    with StandInHanko(now=Clock(), issuer="https://hanko.example.com") as hanko:
        assert payload_of(hanko.webhook_token("user.update", {"id": "x"})) == {
            "sub": "hanko webhooks",
            "aud": ["localhost"],
            "iat": 1_800_000_000,
            "exp": 1_800_000_300,
            "data": {"id": "x"},
            "evt": "user.update",
        }


def test_a_passkey_server_token_has_no_session() -> None:
    with StandInHanko(now=Clock()) as hanko:
        claims = payload_of(hanko.passkey_server_token())

    assert sorted(claims) == ["aud", "cred", "exp", "iat", "sub"]
    assert claims["exp"] == 1_800_000_300


class Receiver(ThreadingHTTPServer):
    """Takes every webhook with 202, and keeps path and body."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hooks?x=1"

    @property
    def said(self) -> list[tuple[str, Any]]:
        """Event and data, as the tokens have them."""
        claims = [payload_of(body["token"]) for _, body in self.received]
        return [(one["evt"], one["data"]) for one in claims]


class ReceiverHandler(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append((self.path, body))
        self.send_response(202)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Silence."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        yield server
        server.shutdown()


def test_webhooks_are_posted_to_loopback_and_nowhere_else(hanko: StandInHanko, receiver: Receiver) -> None:
    assert hanko.send_webhook(receiver.url, "session.delete.explicit.logout", {"id": "s"}) == 202

    [(path, body)] = receiver.received
    assert (path, sorted(body), body["event"]) == ("/hooks?x=1", ["event", "token"], "session.delete.explicit.logout")
    assert payload_of(body["token"])["data"] == {"id": "s"}
    with pytest.raises(ValueError, match="localhost"):
        hanko.send_webhook("http://example.com/", "user.delete", {})
    with pytest.raises(ValueError, match="localhost"):
        hanko.subscribe("http://example.com/", ["user"])


def test_every_way_in_which_a_session_ends_is_told(receiver: Receiver) -> None:
    clock = Clock()
    with StandInHanko(now=clock, idle_timeout_seconds=600, session_limit=2) as hanko:
        hanko.subscribe(receiver.url, ["session.delete"])
        user = "8c1b0b0e-5f0c-4b7e-9a51-3f6f0a7c2d11"
        tokens = [hanko.mint(claims={"sub": user}) for _ in range(3)]  # one more than there may be
        ids = [payload_of(token)["session_id"] for token in tokens]
        call(hanko, "POST", "/logout", headers={"Authorization": f"Bearer {tokens[1]}"})
        hanko.end_session(payload_of(hanko.mint())["session_id"])
        hanko.end_session(payload_of(hanko.mint())["session_id"], "explicit.revoke")
        clock.seconds += 601
        assert not is_valid(hanko, tokens[2])
        hanko.webhooks.wait()

    assert [event for event, _ in receiver.said] == [
        "session.delete.passive.limit",
        "session.delete.explicit.logout",
        "session.delete.admin.revoke",
        "session.delete.explicit.revoke",
        "session.delete.passive.expire",
    ]
    assert [receiver.said[index][1]["id"] for index in (0, 1, 4)] == ids
    assert receiver.said[1][1] == {
        "id": ids[1],
        "user_id": user,
        "user_agent": "Example/1.0",
        "ip_address": "192.0.2.1",
        "created_at": "2027-01-15T08:00:00Z",
        "updated_at": "2027-01-15T08:00:00Z",
        "expires_at": "2027-01-15T20:00:00Z",
        "last_used": "2027-01-15T08:00:00Z",
    }


def test_a_deleted_user_has_no_sessions_and_is_told_of_once(hanko: StandInHanko, receiver: Receiver) -> None:
    hanko.subscribe(receiver.url, ["user.delete", "session"])
    token = hanko.mint()
    user = payload_of(token)["sub"]
    hanko.change_password(user)  # nobody asked for it
    hanko.delete_user(user)
    hanko.webhooks.wait()
    assert not is_valid(hanko, token)
    assert [(event, data["id"]) for event, data in receiver.said] == [("user.delete", user)]


def test_a_changed_password_is_told_and_ends_nothing(hanko: StandInHanko, receiver: Receiver) -> None:
    hanko.subscribe(receiver.url, ["user"])
    token = hanko.mint()
    hanko.change_password(payload_of(token)["sub"])
    hanko.webhooks.wait()
    ((event, data),) = receiver.said
    assert event == "user.update.password.update"
    assert data["metadata"].keys() == {"public_metadata", "private_metadata", "unsafe_metadata"}
    assert is_valid(hanko, token)


def test_webhooks_get_lost_come_twice_and_in_another_order(hanko: StandInHanko, receiver: Receiver) -> None:
    hanko.subscribe(receiver.url, ["user.delete"])
    for mode, users in {"lose": ["1"], "repeat": ["2"], "reorder": ["3", "4"], "normal": ["5"]}.items():
        hanko.webhooks.behave(mode)
        for user in users:
            hanko.delete_user(user)
    hanko.webhooks.wait()
    assert [data["id"] for _, data in receiver.said] == ["2", "2", "4", "3", "5"]
    assert [status for _, status in hanko.webhooks.delivered] == [None, 202, 202, 202, 202, 202]
    with pytest.raises(ValueError, match="unknown mode"):
        hanko.webhooks.behave("sleepy")


def test_a_webhook_that_nobody_takes_is_not_sent_again(hanko: StandInHanko, receiver: Receiver) -> None:
    hanko.subscribe("http://127.0.0.1:9/", ["user.delete"])
    hanko.subscribe(receiver.url, ["user.delete"])
    hanko.delete_user("1")
    hanko.webhooks.wait()
    assert hanko.webhooks.delivered == [("user.delete", None), ("user.delete", 202)]


# --- sessions


def test_validate_answers_as_hanko_does() -> None:
    clock = Clock()
    with StandInHanko(now=clock, idle_timeout_seconds=600) as hanko:
        token = hanko.mint(claims={"role": "admin", "email": None, "username": None, "amr": None})
        claims = payload_of(token)
        status, answer = post(hanko, "/sessions/validate", {"session_token": token})

    assert status == 200
    assert answer == {
        "is_valid": True,
        "claims": {
            "subject": claims["sub"],
            "audience": ["localhost"],
            "issued_at": "2027-01-15T08:00:00Z",
            "expiration": "2027-01-15T20:00:00Z",
            "session_id": claims["session_id"],
            "role": "admin",
        },
        "expiration_time": "2027-01-15T20:00:00Z",
        "user_id": claims["sub"],
        "idle_expires_at": "2027-01-15T08:10:00Z",
    }


def test_validate_names_the_user_beside_a_tenants_own_claims(hanko: StandInHanko) -> None:
    """Custom claims are flattened over the answer's `claims` alone (`MarshalJSON` in backend/dto/session.go)."""
    token = hanko.mint(claims={"sub": (user := str(uuid.uuid4())), "subject": "biology", "expiration": "never"})
    answer = post(hanko, "/sessions/validate", {"session_token": token})[1]
    assert answer["claims"]["subject"] == "biology"
    assert (answer["user_id"], answer["expiration_time"][-1:]) == (user, "Z")


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer {}"}, {"Cookie": "theme=dark; hanko={}"}])
def test_validate_reads_header_and_cookie(hanko: StandInHanko, headers: dict[str, str]) -> None:
    token = hanko.mint()
    filled = {name: value.format(token) for name, value in headers.items()}

    assert json.loads(call(hanko, "GET", "/sessions/validate", headers=filled)[2])["is_valid"] is True
    assert hanko.validate_requests == 1


def test_validate_takes_the_first_credential_that_verifies(hanko: StandInHanko) -> None:
    headers = {"Authorization": "Bearer junk", "Cookie": f"hanko={hanko.mint()}"}

    assert json.loads(call(hanko, "GET", "/sessions/validate", headers=headers)[2])["is_valid"] is True


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"session_token": 5}', b'{"session_token": ""}'])
def test_a_malformed_body_is_400(hanko: StandInHanko, body: bytes) -> None:
    assert call(hanko, "POST", "/sessions/validate", body, {"Content-Type": "application/json"})[0] == 400


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        (None, 415),
        ("text/plain", 415),
        ("application/octet-stream", 415),
        ("application/x-www-form-urlencoded", 400),
        ("text/xml", 400),
    ],
)
def test_validate_reads_a_body_that_says_it_is_json(hanko: StandInHanko, kind: str | None, status: int) -> None:
    """Echo's `BindBody`: XML and forms are read, and have no such field; every other type is unsupported."""
    headers = {} if kind is None else {"Content-Type": kind}
    body = json.dumps({"session_token": hanko.mint()}).encode()
    assert call(hanko, "POST", "/sessions/validate", body, headers)[0] == status


def test_what_is_no_live_session_is_not_valid(hanko: StandInHanko) -> None:
    now = int(time.time())
    tokens = {
        "no token": "",
        "junk": "a.b.c",
        "bad signature": hanko.mint()[:-8] + "AAAAAAAA",
        "expired": hanko.mint(claims={"exp": now - 1}),
        "from the future": hanko.mint(claims={"iat": now + 600}),
        "beyond the calendar": hanko.mint(claims={"exp": 1e300}),
        "passkey server": hanko.passkey_server_token(),
        "unknown session": hanko.mint(session=False),
        "payload is a list": hanko.sign({"alg": "RS256", "kid": hanko.kids[0]}, b"[]", hanko.kids[0]),
    }

    assert {name for name, token in tokens.items() if is_valid(hanko, token)} == set()


@pytest.mark.parametrize("headers", ["bearer {}", "Bearer  {}"])
def test_validate_is_as_lenient_as_hanko(hanko: StandInHanko, headers: str) -> None:
    """tests/live: the scheme in any case, more than one space, a cookie in quotes, the second cookie of a name."""
    token = hanko.mint()
    for sent in (
        {"Authorization": headers.format(token)},
        {"Cookie": f'hanko="{token}"'},
        {"Cookie": f"hanko=x; hanko={token}"},
        {"Authorization": "Bearer undefined", "Cookie": f"hanko={token}"},
    ):
        _, _, content = call(hanko, "GET", "/sessions/validate", headers=sent)
        assert json.loads(content)["is_valid"] is True


def test_the_token_of_a_webhook_is_400(hanko: StandInHanko) -> None:
    """tests/live: no "not valid", as of an id that is no UUID. /me and /logout refuse it as they refuse any token."""
    headers = {"Authorization": f"Bearer {hanko.webhook_token('user.delete', {})}"}
    status, _, content = call(hanko, "GET", "/sessions/validate", headers=headers)
    assert (status, json.loads(content)["message"]) == (
        400,
        "failed to parse token claims: 'subject' is not a uuid",
    )
    assert post(hanko, "/sessions/validate", {"session_token": hanko.webhook_token("user.delete", {})})[0] == 400
    assert [call(hanko, *asked, headers=headers)[0] for asked in (("GET", "/me"), ("POST", "/logout"))] == [401, 401]


def test_a_hanko_without_its_database_knows_no_session(hanko: StandInHanko) -> None:
    """tests/live: a 200 that says so of every session, and 500 for the keys."""
    token = hanko.mint()
    hanko.has_database = False
    assert is_valid(hanko, token) is False
    assert call(hanko, "GET", JWKS)[0] == 500
    hanko.has_database = True
    assert is_valid(hanko, token) is True


@pytest.mark.parametrize("path", [JWKS, "/sessions/validate"])
def test_there_is_no_head(hanko: StandInHanko, path: str) -> None:
    assert call(hanko, "HEAD", path)[0] == 404


def test_three_keys_come_in_chunks(hanko: StandInHanko) -> None:
    """tests/live: Go's server sends more than 2,048 bytes without their length. So are long claims."""
    hanko.rotate()
    assert call(hanko, "GET", JWKS)[1]["Content-Length"]
    hanko.rotate()
    _, headers, content = call(hanko, "GET", JWKS)
    assert (headers["Transfer-Encoding"], headers["Content-Length"]) == ("chunked", None)
    assert json.loads(content) == hanko.jwks
    assert is_valid(hanko, hanko.mint(claims={"long": "x" * 3000})) is True


def test_session_checks_may_keep_their_connection_until_hanko_goes_down(hanko: StandInHanko) -> None:
    headers = {"Authorization": f"Bearer {hanko.mint()}"}
    with closing(http.client.HTTPConnection("127.0.0.1", hanko.port, timeout=DEADLINE_SECONDS)) as client:
        for _ in range(3):
            client.request("GET", "/sessions/validate", headers=headers)
            assert json.load(client.getresponse())["is_valid"] is True
        assert (hanko.connections, hanko.validate_requests) == (1, 3)
        hanko.behave("down")
        assert client.sock.recv(1) == b""
        hanko.behave("normal")
        client.close()
        client.request("GET", "/sessions/validate", headers=headers)
        assert json.load(client.getresponse())["is_valid"] is True
        assert hanko.connections == 2


def test_session_checks_misbehave_apart_from_the_keys(hanko: StandInHanko) -> None:
    token, other = hanko.mint(), hanko.mint()
    headers = {"Authorization": f"Bearer {token}"}
    hanko.behave("status", endpoint="validate", code=500)
    status, answered, content = call(hanko, "GET", "/sessions/validate", headers=headers)
    assert (status, answered["Connection"]) == (500, "close")
    assert json.loads(content)["claims"]["session_id"] == payload_of(token)["session_id"]
    assert call(hanko, "GET", JWKS)[0] == 200
    hanko.behave("body", endpoint="validate", data=json.dumps(hanko.validate([other], renew=False, count=False)))
    assert (
        json.loads(call(hanko, "GET", "/sessions/validate", headers=headers)[2])["user_id"] == payload_of(other)["sub"]
    )
    hanko.behave("normal", endpoint="validate")
    assert is_valid(hanko, token)
    with pytest.raises(ValueError, match="unknown endpoint"):
        hanko.behave("normal", endpoint="logout")


def test_post_renews_an_idle_session_and_get_does_not() -> None:
    clock = Clock()
    with StandInHanko(now=clock, idle_timeout_seconds=100) as hanko:
        renewed, watched = hanko.mint(), hanko.mint()
        clock.seconds += 60
        assert post(hanko, "/sessions/validate", {"session_token": renewed})[1]["is_valid"]
        assert is_valid(hanko, watched)
        clock.seconds += 60

        assert (is_valid(hanko, renewed), is_valid(hanko, watched)) == (True, False)
        clock.seconds -= 60
        assert not is_valid(hanko, watched), "an idle session has ended for good"


def test_the_sixth_session_of_a_user_ends_the_oldest(hanko: StandInHanko) -> None:
    user = "7b0c51e6-58a4-4a59-a0a4-0d0b0f4f1e11"
    other = hanko.mint()
    tokens = [hanko.mint(claims={"sub": user}) for _ in range(6)]

    assert [is_valid(hanko, token) for token in tokens] == [False, True, True, True, True, True]
    assert is_valid(hanko, other)
    assert hanko.end_user(user) == 5
    assert not any(is_valid(hanko, token) for token in tokens)


def test_logout_ends_the_session(hanko: StandInHanko) -> None:
    token = hanko.mint()
    headers = {"Authorization": f"Bearer {token}"}

    status, answered, _ = call(hanko, "POST", "/logout", headers=headers)
    assert (status, answered["Set-Cookie"].split("; ")[:3]) == (204, ["hanko=", "Path=/", "Max-Age=0"])
    assert not is_valid(hanko, token)
    status, answered, _ = call(hanko, "POST", "/logout", headers=headers)
    assert (status, answered["Set-Cookie"]) == (401, None)


def test_me_is_what_users_may_see_of_themselves(hanko: StandInHanko) -> None:
    """tests/live compares the whole answer with a real Hanko's."""
    for username in ("somebody", None):
        token = hanko.mint(claims={"username": username})
        _, _, content = call(hanko, "GET", "/me", headers={"Authorization": f"Bearer {token}"})
        profile = json.loads(content)
        assert set(profile["metadata"]) == {"public_metadata", "unsafe_metadata"}
        assert profile.get("username", {}).get("username") == username


@pytest.mark.parametrize("path", [JWKS, "/me", "/nowhere"])
def test_cors_is_that_of_hanko(path: str) -> None:
    """Methods and headers are for preflights; every answer says that it depends on the origin."""
    page = "https://app.example.com"
    with StandInHanko(allow_origins=[page]) as hanko:
        _, answered, _ = call(hanko, "GET", path, headers={"Origin": page})
        preflight = {"Origin": page, "Access-Control-Request-Headers": "authorization"}
        _, allowed, _ = call(hanko, "OPTIONS", path, headers=preflight)
        _, strange, _ = call(hanko, "GET", path, headers={"Origin": "https://elsewhere.example.com"})
    assert (answered["Access-Control-Allow-Origin"], answered["Access-Control-Allow-Methods"]) == (page, None)
    assert "X-Auth-Token" in answered["Access-Control-Expose-Headers"].split(",")
    assert (allowed["Access-Control-Allow-Headers"], allowed["Access-Control-Expose-Headers"]) == (
        "authorization",
        None,
    )
    assert (strange["Access-Control-Allow-Origin"], strange["Vary"]) == (None, "Origin")


def test_with_a_tenant_every_public_route_is_below_it() -> None:
    with StandInHanko(tenant=TENANT) as hanko:
        assert hanko.url == f"http://127.0.0.1:{hanko.port}/{TENANT}"
        assert call(hanko, "GET", f"/{TENANT}{JWKS}")[0] == 200
        assert call(hanko, "POST", f"/{TENANT}/logout")[0] == 401
        for path in (JWKS, f"/{TENANT}", f"/other{JWKS}", f"/{TENANT}/unknown"):
            assert call(hanko, "GET", path)[0] == 404


# --- how the key set is answered


def test_requests_for_the_keys_are_counted_and_their_headers_kept(hanko: StandInHanko) -> None:
    call(hanko, "GET", JWKS, headers={"User-Agent": "first"})
    call(hanko, "GET", JWKS, headers={"User-Agent": "second"})

    assert hanko.jwks_requests == 2
    assert hanko.last_jwks_headers["User-Agent"] == "second"


def test_answers_that_are_whole_but_not_the_usual_ones(hanko: StandInHanko) -> None:
    jwks = json.dumps(hanko.jwks).encode()

    hanko.behave("normal", headers={"Cache-Control": None, "Age": "5"})
    status, headers, body = call(hanko, "GET", JWKS)
    assert (status, headers["Cache-Control"], headers["Age"], body) == (200, None, "5", jwks)

    hanko.behave("slow", delay_seconds=0.01)
    assert call(hanko, "GET", JWKS)[2] == jwks

    hanko.behave("drip", pause_seconds=0)
    assert call(hanko, "GET", JWKS)[2] == jwks

    hanko.behave("header_drip", pause_seconds=0)
    assert call(hanko, "GET", JWKS)[2] == jwks

    hanko.behave("status", code=299)
    status, _, body = call(hanko, "GET", JWKS)
    assert (status, body) == (299, jwks)

    hanko.behave("body", data="[]", headers={"Content-Type": "text/plain"})
    status, headers, body = call(hanko, "GET", JWKS)
    assert (status, headers["Content-Type"], body) == (200, "text/plain", b"[]")

    hanko.behave("redirect", location="https://example.com/keys")
    status, headers, _ = call(hanko, "GET", JWKS)
    assert (status, headers["Location"]) == (302, "https://example.com/keys")

    hanko.behave("normal")
    assert call(hanko, "GET", JWKS)[1]["Cache-Control"] == "max-age=600"


@pytest.mark.parametrize("announce", [True, False])
def test_an_oversized_answer_is_valid_json_of_exactly_that_size(hanko: StandInHanko, announce: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    hanko.behave("oversize", size_bytes=300_000, announce=announce)
    _, headers, body = call(hanko, "GET", JWKS)

    assert len(body) == 300_000
    assert json.loads(body) == hanko.jwks
    assert headers["Content-Length"] == ("300000" if announce else None)


def test_a_truncated_answer_is_shorter_than_announced(hanko: StandInHanko) -> None:
    hanko.behave("truncated", missing_bytes=7)

    with pytest.raises(http.client.IncompleteRead, match="7 more expected"):
        call(hanko, "GET", JWKS)


def test_garbage_is_sent_as_it_is(hanko: StandInHanko) -> None:
    hanko.behave("garbage", data=b"\x00\xff")

    assert raw_answer(hanko) == b"\x00\xff"


def test_reset_ends_the_connection_without_an_answer(hanko: StandInHanko) -> None:
    hanko.behave("reset")

    with pytest.raises(ConnectionResetError):
        raw_answer(hanko)
    assert hanko.jwks_requests == 1


def test_while_down_connections_are_refused_and_then_the_port_is_the_same(hanko: StandInHanko) -> None:
    port = hanko.port
    hanko.behave("down")
    with pytest.raises(ConnectionRefusedError):
        call(hanko, "GET", JWKS)

    hanko.behave("down")  # once more does no harm
    hanko.behave("normal")
    assert hanko.port == port
    assert call(hanko, "GET", JWKS)[0] == 200


def test_unknown_modes_and_options_are_refused_at_once(hanko: StandInHanko) -> None:
    with pytest.raises(ValueError, match="there are: normal, slow"):
        hanko.behave("sleepy")
    with pytest.raises(TypeError, match="delay_seconds"):
        hanko.behave("slow")


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("slow", {"delay_seconds": 3600}),
        ("drip", {"pause_seconds": 3600}),
        ("header_drip", {"pause_seconds": 3600}),
        ("continue_forever", {}),
    ],
)
def test_closing_ends_every_wait(mode: str, options: dict[str, Any]) -> None:
    answers: list[bytes] = []
    with StandInHanko() as hanko:
        hanko.behave(mode, **options)
        client = threading.Thread(target=lambda: answers.append(raw_answer(hanko)))
        client.start()
        wait_until(lambda: hanko.jwks_requests == 1)
        started = time.monotonic()
    client.join(DEADLINE_SECONDS)

    assert time.monotonic() - started < 5
    assert len(answers) == 1, "the client's connection ended, too"


def test_closing_ends_a_connection_that_never_sent_anything() -> None:
    with (
        StandInHanko() as hanko,
        socket.create_connection(("127.0.0.1", hanko.port), timeout=DEADLINE_SECONDS) as client,
    ):
        call(hanko, "GET", JWKS)  # connections are accepted in order: the silent one is being served by now
        hanko.close()
        assert client.recv(1) == b""


def wait_until(condition: Any) -> None:  # noqa: ANN401 - any callable without arguments
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


# --- TLS


def test_tls_is_trusted_with_its_own_authority_only() -> None:
    with StandInHanko(tls=True) as hanko:
        assert hanko.ca_file
        ca_file = hanko.ca_file
        trusting = ssl.create_default_context(cafile=str(ca_file))
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
        for host in ("localhost", "127.0.0.1"):
            with closing(http.client.HTTPSConnection(host, hanko.port, timeout=10, context=trusting)) as connection:
                connection.request("GET", JWKS)
                assert json.load(connection.getresponse()) == hanko.jwks
        with pytest.raises(ssl.SSLCertVerificationError):
            tls_connect(hanko, ssl.create_default_context())
    assert hanko.url.startswith("https://127.0.0.1:")
    assert not ca_file.exists()


def test_a_certificate_for_another_name_is_refused() -> None:
    with StandInHanko(tls=True, certificate_names=["hanko.example.com"]) as hanko:
        trusting = ssl.create_default_context(cafile=str(hanko.ca_file))
        with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
            tls_connect(hanko, trusting)


def tls_connect(hanko: StandInHanko, context: ssl.SSLContext) -> None:
    with closing(http.client.HTTPSConnection("127.0.0.1", hanko.port, timeout=10, context=context)) as connection:
        connection.connect()


# --- the admin API and the process


def test_the_admin_api_does_what_the_methods_do(hanko: StandInHanko) -> None:
    claims = payload_of(
        post(hanko, "/_admin/tokens", {"claims": {"role": "admin"}, "lifetime_seconds": 60})[1]["token"]
    )
    assert (claims["role"], claims["exp"] - claims["iat"]) == ("admin", 60)

    _, rotated = post(hanko, "/_admin/keys/rotate", {})
    assert rotated == {"kid": hanko.kids[0]}
    _, left = post(hanko, "/_admin/keys/withdraw", {"kid": hanko.kids[1]})
    assert left == {"kids": [rotated["kid"]]}

    token = hanko.mint()
    assert post(hanko, "/_admin/sessions/end", {"session_id": payload_of(token)["session_id"]})[1] == {"ended": 1}
    assert not is_valid(hanko, token)
    user = payload_of(hanko.mint())["sub"]
    assert post(hanko, "/_admin/sessions/end", {"user_id": user})[1] == {"ended": 1}

    _, webhook = post(hanko, "/_admin/webhooks", {"event": "user.delete", "data": {"id": "x"}})
    assert payload_of(webhook["token"])["evt"] == "user.delete"
    assert post(hanko, "/_admin/webhooks/subscribe", {"url": "http://127.0.0.1:9", "events": ["user"]})[0] == 200
    assert post(hanko, "/_admin/webhooks/behave", {"mode": "lose"})[0] == 200
    for command in ("delete", "password"):
        assert post(hanko, f"/_admin/users/{command}", {"user_id": user})[0] == 200

    assert post(hanko, "/_admin/behave", {"mode": "status", "code": 503}) == (200, {"mode": "status"})
    assert call(hanko, "GET", JWKS)[0] == 503
    state = json.loads(call(hanko, "GET", "/_admin/state")[2])
    assert (state["jwks_requests"], state["validate_requests"], state["kids"]) == (1, 1, [rotated["kid"]])
    assert state["webhooks"] == [["user.delete", None], ["user.update.password.update", None]]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/_admin/unknown", {}, 404),
        ("/_admin/tokens", [], 400),
        ("/_admin/tokens", b"{", 400),
        ("/_admin/tokens", {"unknown": 1}, 400),
        ("/_admin/tokens", {"kind": "gold"}, 400),
        ("/_admin/keys/withdraw", {"kid": "unknown"}, 400),
        ("/_admin/sessions/end", {}, 400),
        ("/_admin/webhooks", {"event": "user.delete", "data": {}, "url": "http://example.com/"}, 400),
        ("/_admin/webhooks/subscribe", {"url": "http://example.com/", "events": []}, 400),
        ("/_admin/webhooks/behave", {"mode": "sleepy"}, 400),
        ("/_admin/users/delete", {}, 400),
        ("/_admin/behave", {"mode": "down"}, 400),
        ("/_admin/behave", {"mode": "sleepy"}, 400),
    ],
)
def test_the_admin_api_says_what_is_wrong(hanko: StandInHanko, path: str, body: object, status: int) -> None:
    answered, content = post(hanko, path, body)

    assert (answered, list(content)) == (status, ["error"])


def test_the_admin_api_is_not_for_other_host_names(hanko: StandInHanko) -> None:
    assert call(hanko, "GET", "/_admin/state", headers={"Host": "attacker.example.com"})[0] == 403


def test_down_over_the_admin_api_ends_by_itself(hanko: StandInHanko) -> None:
    assert post(hanko, "/_admin/behave", {"mode": "down", "seconds": 0.05})[0] == 200

    def is_up() -> bool:
        try:
            return call(hanko, "GET", JWKS)[0] == 200
        except ConnectionError:
            return False

    wait_until(is_up)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_process_prints_its_url_first_and_ends_on_a_signal(stop: signal.Signals) -> None:
    command = [sys.executable, "-m", "local.hanko", "--audience", "api.example.com", "--tenant", TENANT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            assert urlsplit(url).path == f"/{TENANT}"
            remote = RemoteHanko(url)
            assert payload_of(remote.mint())["aud"] == ["api.example.com"]
            assert remote.state["kids"] == [key["kid"] for key in remote.jwks["keys"]]
        finally:
            process.send_signal(stop)
        assert process.wait(DEADLINE_SECONDS) == 0


def test_remote_hanko_refuses_what_is_no_stand_in(hanko: StandInHanko) -> None:
    with pytest.raises(ValueError, match="no stand-in"):
        RemoteHanko("https://hanko.example.com")
    with pytest.raises(ValueError, match="answered 400"):
        RemoteHanko(hanko.url).command("behave", mode="sleepy")
    hanko.close()
    with pytest.raises(ConnectionError, match="make hanko"):
        RemoteHanko(hanko.url).mint()
