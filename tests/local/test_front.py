"""The front with TLS, what it adds in AWS's place, and what the stand-in Hanko offers a browser."""

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path

import pytest

from local.hanko import StandInHanko
from local.web.edge import cors_on_refusals, named_reasons, subprotocol
from local.web.front import Forward, Front, Headers, Place, Reply, Request
from local.web.page import content_security_policy, website
from local.web.places import Site, stand_in_config

PAGE = "https://app.example.com"
Get = Callable[..., http.client.HTTPResponse]


@pytest.fixture
def hanko() -> Iterator[StandInHanko]:
    with StandInHanko(allow_origins=[PAGE]) as stand_in:
        yield stand_in


@pytest.fixture
def front(hanko: StandInHanko, tmp_path: Path) -> Iterator[Front]:
    (tmp_path / "index.html").write_text("the page")
    with Front(["localhost"]) as front:
        places: dict[str, Place] = {
            "/hanko": Forward(hanko.url),
            "": website(tmp_path, stand_in_config(Site(front.port))),
        }
        front.serve({"localhost": places})
        yield front


@pytest.fixture
def get(front: Front) -> Get:
    """Ask the front. The answer is read."""
    trusting = ssl.create_default_context(cafile=front.ca_file)

    def ask(
        path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("localhost", front.port, timeout=30, context=trusting)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            response.content = response.read()  # type: ignore[attr-defined]  # kept beyond the connection
            return response
        finally:
            connection.close()

    return ask


def content(response: http.client.HTTPResponse) -> bytes:
    kept: bytes = response.content  # type: ignore[attr-defined]  # see above
    return kept


# --- the front


def test_a_place_gets_the_path_below_it(get: Get, hanko: StandInHanko) -> None:
    answer = get("/hanko/.well-known/jwks.json?x=1")
    assert json.loads(content(answer)) == hanko.jwks


def test_the_page_and_its_configuration(get: Get) -> None:
    assert content(get("/")) == b"the page"
    assert json.loads(content(get("/config.json")))["cookieName"] == "hanko"
    assert get("/none.js").status == 404


@pytest.mark.parametrize("path", ["/../front.py", "/%2e%2e/x", "//etc/passwd", "/..%2f..%2fetc/passwd"])
def test_the_website_is_its_folder_alone(get: Get, path: str) -> None:
    assert get(path).status == 404


def test_a_host_that_is_not_ours_gets_nothing(get: Get) -> None:
    """A foreign page can point a name of its own to this machine."""
    assert get("/config.json", headers={"Host": "attacker.example"}).status == 404


def test_the_admin_api_of_the_stand_in_cannot_be_reached_under_another_name(front: Front, hanko: StandInHanko) -> None:
    front.serve({"hanko.localhost": {"": Forward(hanko.url)}})
    trusting = ssl.create_default_context(cafile=front.ca_file)
    connection = http.client.HTTPSConnection("localhost", front.port, timeout=30, context=trusting)
    connection.request("GET", "/_admin/state", headers={"Host": "hanko.localhost"})
    assert connection.getresponse().status == 403
    connection.close()


def test_a_place_that_is_down_is_a_broken_connection(get: Get, hanko: StandInHanko) -> None:
    hanko.behave("down")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError)):
        get("/hanko/.well-known/jwks.json")


def test_a_port_that_is_taken(front: Front) -> None:
    with pytest.raises(OSError, match="in use"):
        Front(["localhost"], front.port)


def test_a_websocket_is_passed_on_in_both_directions(front: Front) -> None:
    with socket.create_server(("127.0.0.1", 0)) as behind:
        port = behind.getsockname()[1]
        front.serve({"localhost": {"/socket": Forward(f"http://127.0.0.1:{port}/base", subprotocol)}})
        trusting = ssl.create_default_context(cafile=front.ca_file)
        with (
            socket.create_connection(("localhost", front.port), timeout=30) as raw,
            trusting.wrap_socket(raw, server_hostname="localhost") as browser,
        ):
            browser.sendall(
                b"GET /socket?a=b HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Protocol: hanko, TOKEN\r\n\r\n"
            )
            served, _ = behind.accept()
            with served:
                assert served.recv(65536).startswith(b"GET /base/?a=b HTTP/1.1\r\n")
                served.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nfirst")
                head = browser.recv(65536)
                assert b"Sec-WebSocket-Protocol: hanko\r\n" in head
                assert head.endswith(b"\r\n\r\nfirst")
                browser.sendall(b"from the browser")
                assert served.recv(65536) == b"from the browser"
                served.sendall(b"to the browser")
                assert browser.recv(65536) == b"to the browser"


# --- what it adds


def request(**headers: str) -> Request:
    message: Message[str, str] = Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return Request("GET", "/", message)


def test_reasons_are_the_authorizers_own() -> None:
    asked = []

    def ask(authorization: str) -> dict[str, object]:
        asked.append(authorization)
        return {"context": {"reason": 'login_too_old; "x"', "left": "out"}}

    body = b'{"reason":"$context.authorizer.reason","rule":"$context.authorizer.rule"}'
    reply = named_reasons(ask)(request(Authorization="Bearer t"), Reply(403, [], body))
    assert json.loads(reply.body) == {"reason": 'login_too_old; "x"', "rule": ""}
    assert asked == ["Bearer t"]
    untouched = Reply(403, [], b"{}")
    assert named_reasons(ask)(request(), untouched) is untouched
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("origin", "headers", "added"),
    [(PAGE, [], True), ("https://attacker.example", [], False), (PAGE, [("access-control-allow-origin", "x")], False)],
)
def test_refusals_get_cors_headers_for_one_origin(origin: str, headers: Headers, added: bool) -> None:  # noqa: FBT001 - a table's column
    reply = cors_on_refusals(PAGE)(request(Origin=origin), Reply(403, headers, b""))
    assert (("Access-Control-Allow-Origin", PAGE) in reply.headers) is added


def test_a_refused_websocket_gets_no_subprotocol() -> None:
    refused = Reply(500, [], b"")
    assert subprotocol(request(Sec_WebSocket_Protocol="hanko, t"), refused) is refused


def test_the_page_may_call_hanko_and_the_apis_and_nobody_else() -> None:
    policy = content_security_policy(stand_in_config(Site(8443)))
    assert "connect-src 'self' https://api.elsewhere.localhost:8443 https://api.example.localhost:8443" in policy
    assert "wss://ws.example.localhost:8443" in policy
    assert "script-src" not in policy  # so it is that of default-src: the page's own files
    assert policy.startswith("default-src 'self'; ")


# --- the stand-in, as a browser sees it


def test_hanko_lets_the_page_read_its_answers(get: Get) -> None:
    preflight = get(
        "/hanko/sessions/validate",
        "OPTIONS",
        headers={"Origin": PAGE, "Access-Control-Request-Headers": "authorization,x-language"},
    )
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Headers"] == "authorization,x-language"
    answer = get("/hanko/sessions/validate", headers={"Origin": PAGE})
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "X-Auth-Token" in answer.headers["Access-Control-Expose-Headers"]
    foreign = get("/hanko/sessions/validate", headers={"Origin": "https://attacker.example"})
    assert foreign.headers["Access-Control-Allow-Origin"] is None


def test_a_login_is_answered_with_the_token_in_a_header(get: Get, hanko: StandInHanko) -> None:
    answer = get("/hanko/sign-in", "POST", b'{"as": "admin"}', {"Origin": PAGE})
    assert json.loads(content(answer))["claims"]["role"] == "admin"
    bearer = {"Authorization": f"Bearer {answer.headers['X-Auth-Token']}"}
    me = json.loads(content(get("/hanko/me", headers=bearer)))
    assert me["emails"][0]["address"] == "admin@example.com"
    assert get("/hanko/logout", "POST", headers=bearer).status == 204
    assert get("/hanko/me", headers=bearer).status == 401
    assert get("/hanko/logout", "POST", headers=bearer).status == 401
    assert hanko.validate_requests == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"as": "nobody"}', b'{"as": []}'])
def test_nobody_else_can_sign_in(get: Get, body: bytes) -> None:
    assert get("/hanko/sign-in", "POST", body).status == 400


def test_the_list_of_people_may_be_shown_by_the_page_alone(get: Get) -> None:
    answer = get("/hanko/sign-in")
    assert answer.headers["Content-Security-Policy"] == f"frame-ancestors {PAGE}"
    assert content(answer).count(b"<button") == 6


def test_a_stand_in_without_pages_has_no_list(get: Get, hanko: StandInHanko) -> None:
    hanko.allow_origins = []
    assert get("/hanko/sign-in").status == 404
