"""Logout means logout: through a real gateway, a real deployment, real HTTP to the stand-in Hanko."""

import http.client
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from local.calls import Seen, call_http
from local.deployment import ALIAS, Deployment

Call = Callable[[str], Seen]


@pytest.fixture(scope="module")
def apis(deployment: Deployment) -> dict[str, Call]:
    """GET /web/me of a REST API, never cached, by how its authorizer treats an outage; Hanko is asked every time."""

    def deploy(on_outage: str) -> Call:
        settings = {
            "HankoApiUrl": deployment.hanko.url,
            "HankoAudience": "localhost",
            "HankoSessionCheck": "strict",
            "HankoSessionOnOutage": on_outage,
        }
        authorizer = deployment.aws.deploy("template.yaml", f"strict-{on_outage}", settings)
        api = deployment.aws.deploy("examples/rest-request.yaml", f"rest-{on_outage}", {ALIAS: authorizer[ALIAS]})
        url = deployment.aws.rest_url(api["ApiId"], api["StageName"]) + "/web/me"
        return lambda token: call_http(url, {"Authorization": f"Bearer {token}"})

    with ThreadPoolExecutor() as pool:
        return dict(zip(("fail", "allow"), pool.map(deploy, ("fail", "allow")), strict=True))


@pytest.fixture
def outage(deployment: Deployment) -> Iterator[Callable[[str], None]]:
    """Let the session checks misbehave, until the test is over."""

    def begin(mode: str) -> None:
        options = {} if mode == "down" else {"code": 500}
        deployment.hanko.behave(mode, endpoint="validate", **options)

    yield begin
    deployment.hanko.behave("normal", endpoint="validate")


def log_out(deployment: Deployment, token: str) -> None:
    with closing(http.client.HTTPConnection(urlsplit(deployment.hanko.url).netloc, timeout=30)) as connection:
        connection.request("POST", "/logout", headers={"Authorization": f"Bearer {token}"})
        assert connection.getresponse().status == 204


def test_after_logout_not_one_more_request_passes(deployment: Deployment, apis: dict[str, Call]) -> None:
    token, other = deployment.hanko.mint(), deployment.hanko.mint()
    for call in apis.values():
        assert [call(token).status, call(other).status] == [200, 200]
    log_out(deployment, token)
    for call in apis.values():
        assert [call(token).status, call(other).status, call(token).status] == [401, 200, 401]


def test_a_deleted_user_is_out_with_all_sessions(deployment: Deployment, apis: dict[str, Call]) -> None:
    user, new = "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01", "7b0c51e6-58a4-4a59-a0a4-0d0b0f4f1e11"
    tokens = [deployment.hanko.mint(claims={"sub": user}) for _ in range(2)]
    assert [apis["fail"](token).status for token in tokens] == [200, 200]
    deployment.hanko.end_user(user)
    assert [apis["fail"](token).status for token in tokens] == [401, 401]
    assert apis["fail"](deployment.hanko.mint(claims={"sub": new})).status == 200


@pytest.mark.parametrize("mode", ["down", "status"])
def test_an_outage_fails_or_is_let_pass_as_the_setting_says(
    deployment: Deployment, apis: dict[str, Call], outage: Callable[[str], None], mode: str
) -> None:
    known, new = deployment.hanko.mint(), deployment.hanko.mint()
    for call in apis.values():
        assert call(known).status == 200  # and the keys are there
    outage(mode)
    for token in (known, new):
        assert apis["allow"](token).status == 200
    assert apis["fail"](known).status == 500
    log = [json.loads(line) for line in deployment.aws.logs("/aws/lambda/strict-allow-authorizer") if '"kind"' in line]
    marked = [line for line in log if line.get("SessionUnchecked")]
    assert {line["reason"] for line in marked} == {"allowed"}
    assert {line["session_failure"] for line in marked} <= {"connection", "status", "circuit_open"}
