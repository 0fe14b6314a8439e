"""What stands around a real Hanko's answers: cookies, CORS, statuses, lengths, connections; and our tools beside it."""

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from live.conftest import WITHOUT, variable
from live.real_hanko import Json, RealHanko, bearer, call, claims_of
from servers import client_of

from authorizer.hanko.client import JWKS_PATH
from local.hanko import StandInHanko

pytestmark = [pytest.mark.live, pytest.mark.needs("admin")]
ROOT = Path(__file__).parents[2]
OF_THE_SERVER = {"Connection", "Content-Length", "Date", "Server", "Transfer-Encoding", "X-Request-Id"}


def test_a_login_sets_the_cookie_or_the_header(hanko: RealHanko) -> None:
    """Path=/, HttpOnly, no Expires, no Domain unless configured; lifetime and retention in headers of their own."""
    flow = hanko.offer_password(hanko.new_user(password=True))
    headers = flow.act("password_login", password="correct horse battery staple").finish().headers
    lifetime = int(headers["X-Session-Lifetime"])
    assert headers["X-Session-Retention"] in {"persistent", "session"}
    if headers["X-Auth-Token"]:
        assert headers["Set-Cookie"] is None
        return
    name_value, *attributes = headers["Set-Cookie"].split("; ")
    claims = claims_of(name_value.partition("=")[2])
    assert claims["exp"] - claims["iat"] == lifetime
    assert {"Path=/", f"Max-Age={lifetime}", "HttpOnly"} <= set(attributes)
    assert not [one for one in attributes if one.startswith("Expires")]


@pytest.mark.parametrize("path", ["/sessions/validate", JWKS_PATH, "/me"])
def test_there_is_no_head(hanko: RealHanko, path: str) -> None:
    """404 to HEAD, also where GET is a 200: a health check that uses HEAD sees a Hanko that is down."""
    assert call(hanko.url + path, method="HEAD").status == 404


@pytest.mark.parametrize("path", ["/sessions/validate/", "//sessions/validate", f"{JWKS_PATH}/"])
def test_a_slash_too_many_is_another_path(hanko: RealHanko, path: str) -> None:
    assert call(hanko.url + path).status == 404


def test_a_page_may_read_a_401(hanko: RealHanko) -> None:
    """CORS headers stand on errors, too, and X-Auth-Token can be read only where it is switched on."""
    origin = variable("PAGE_ORIGIN", "https://app.example.localhost:8443")
    answered = call(f"{hanko.url}/me", headers={"Origin": origin})
    assert answered.status == 401
    assert answered.headers["Access-Control-Allow-Origin"] == origin
    assert answered.headers["Access-Control-Allow-Credentials"] == "true"
    assert answered.headers["Vary"] == "Origin"
    exposed = answered.headers["Access-Control-Expose-Headers"].split(",")
    assert {"Retry-After", "X-Session-Lifetime", "X-Session-Retention"} <= set(exposed)


def test_a_strange_origin_is_told_nothing(hanko: RealHanko) -> None:
    """A preflight from elsewhere is a 204 without CORS headers, and a request is answered without them."""
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    strange = {"Origin": "https://elsewhere.example.com", **asks}
    for answered in (
        call(f"{hanko.url}/me", headers=strange, method="OPTIONS"),
        call(f"{hanko.url}{JWKS_PATH}", headers=strange),
    ):
        assert answered.status in {200, 204}
        assert answered.headers["Access-Control-Allow-Origin"] is None
    own = call(
        f"{hanko.url}/me",
        headers={**asks, "Origin": variable("PAGE_ORIGIN", "https://app.example.localhost:8443")},
        method="OPTIONS",
    )
    assert (own.status, own.headers["Access-Control-Max-Age"]) == (204, "7200")
    assert own.headers["Access-Control-Allow-Headers"] == "authorization"


def test_a_wrong_password_too_often_is_a_429_in_the_body(hanko: RealHanko) -> None:
    """Five a minute by default. The wait is `payload.retry_after`; no Retry-After header comes."""
    flow = hanko.offer_password(hanko.new_user(password=True))
    for _ in range(6):
        flow.act("password_login", password="a wrong password")
    assert flow.answer.status == 429
    assert flow.answer.headers["Retry-After"] is None
    assert 0 < flow.answer.json["payload"]["retry_after"] <= 60


def test_an_answer_beyond_two_kilobytes_has_no_length(hanko: RealHanko) -> None:
    """Go's server sends it in chunks: a key set of three keys or more. Ours reads both."""
    answered = hanko.key_set
    is_long = len(answered.body) > 2048
    assert answered.headers["Transfer-Encoding"] == ("chunked" if is_long else None)
    assert (answered.headers["Content-Length"] is None) == is_long
    assert json.loads(client_of(hanko.url).start(JWKS_PATH).result().body) == answered.json


def test_nothing_is_compressed(hanko: RealHanko) -> None:
    answered = call(f"{hanko.url}{JWKS_PATH}", headers={"Accept-Encoding": "gzip, br"})
    assert answered.headers["Content-Encoding"] is None


def test_a_kept_connection_stays_for_minutes(hanko: RealHanko) -> None:
    """No Connection header, no Keep-Alive: HTTP/1.1's default. Hanko sets no idle time: 65 s are nothing."""
    parts = urlsplit(hanko.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=20)
    token = hanko.new_session(hanko.new_user())
    try:
        for pause in (0, 65):
            time.sleep(pause)
            connection.request("GET", f"{parts.path}/sessions/validate", headers=bearer(token))
            with connection.getresponse() as response:
                assert (response.status, response.headers["Connection"], response.headers["Keep-Alive"]) == (200,) + (
                    None,
                ) * 2
                response.read()
            assert connection.sock is not None
    finally:
        connection.close()


def test_the_stand_in_answers_alike(hanko: RealHanko) -> None:
    """Statuses, headers and the members of the JSON, for all that a page or the authorizer asks."""
    user, origin = hanko.new_user(), variable("PAGE_ORIGIN", "https://app.example.localhost:8443")
    metadata = {
        "public_metadata": {"plan": "gold"},
        "private_metadata": {"note": "x"},
        "unsafe_metadata": {"theme": "y"},
    }
    call(f"{hanko.admin_url}/users/{user.user_id}/metadata", metadata, method="PATCH")
    token = hanko.new_session(user)
    with StandInHanko(allow_origins=[origin], idle_timeout_seconds=0 if "idle" in WITHOUT else 30) as stand_in:
        same_claims = {**dict.fromkeys(("amr", "iss", "username")), **claims_of(token)}
        twin = stand_in.mint(claims=same_claims)
        for headers in ({}, {"Origin": origin}, {"Origin": "https://elsewhere.example.com"}):
            assert _outlines(stand_in.url, twin, headers) == _outlines(hanko.url, token, headers)
        for _ in ("good", "over"):
            ends = [
                call(f"{url}/logout", method="POST", headers=bearer(one))
                for url, one in ((hanko.url, token), (stand_in.url, twin))
            ]
            assert ends[0].status == ends[1].status
            assert ends[0].headers["Set-Cookie"] == ends[1].headers["Set-Cookie"]


def _outlines(url: str, token: str, headers: dict[str, str]) -> Json:
    """Answers to each question, without what differs from answer to answer."""
    signed = {**headers, **bearer(token)}
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    answers = {
        "keys": call(url + JWKS_PATH, headers=headers),
        "is it valid": call(f"{url}/sessions/validate", headers=signed),
        "renew it": call(f"{url}/sessions/validate", {"session_token": token}, headers=headers),
        "is none valid": call(f"{url}/sessions/validate", headers=headers),
        "renew none": call(f"{url}/sessions/validate", {}, headers=headers),
        "me": call(f"{url}/me", headers=signed),
        "nobody": call(f"{url}/me", headers=headers),
        "nowhere": call(f"{url}/nowhere", headers=signed),
        **({"preflight": call(f"{url}/me", headers={**headers, **asks}, method="OPTIONS")} if headers else {}),
    }
    return {
        name: (
            answer.status,
            {
                name: ", ".join(answer.headers.get_all(name, [])).removesuffix(",X-Auth-Token")  # only where it comes
                for name in set(answer.headers) - OF_THE_SERVER
            },
            _members(answer.json) if answer.body else None,
        )
        for name, answer in answers.items()
    }


def _members(value: object) -> object:
    """Names and types."""
    if isinstance(value, dict):
        return {name: _members(member) for name, member in sorted(value.items())}
    return [_members(value[0])] if isinstance(value, list) else type(value).__name__


def test_init_doctor_and_check_token_take_it(hanko: RealHanko, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a finding, and the token passes."""
    file = tmp_path / "samconfig.toml"
    file.write_text("version = 0.1\n")
    monkeypatch.setenv("SAM_CONFIG_FILE", str(file))
    token = hanko.new_session(hanko.new_user())
    _run("local.init", "live", "--yes", "--api-url", hanko.url, "--audience", hanko.audience, "--region", "eu-west-1")
    report = json.loads(_run("local.doctor", "--rules", "rules.toml", "--env", "live", "--json"))
    assert report["findings"] == []
    _run("local.explain", "rest_request", "--env", "live", "--token", "--rules", "rules.toml", given=token)


def _run(*arguments: str, given: str = "") -> str:
    """One of our commands; what it printed."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - our own modules
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
