"""What stands around a real Hanko's answers: cookies, CORS, statuses, lengths, connections; and our tools beside it."""

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from live.conftest import variable
from live.real_hanko import RealHanko, bearer, call, claims_of
from servers import client_of

from authorizer.hanko.client import JWKS_PATH

pytestmark = [pytest.mark.live, pytest.mark.needs("admin")]
ROOT = Path(__file__).parents[2]


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
