"""What the demo does not show: caching, the other ways to send a token, the log, and payload 2.0 with policies."""

import base64
import json

import pytest

from local.deployment import ALIAS, QUERY_PARAMETER, ROLE, SUBPROTOCOL, Deployment, call_http, call_websocket


@pytest.mark.parametrize("api", ["REST, TOKEN", "REST, REQUEST", "HTTP API"])
def test_a_cached_answer_does_not_lock_the_second_endpoint_out(deployment: Deployment, api: str) -> None:
    one, token = deployment.apis[api], deployment.hanko.mint()
    headers = {"Authorization": f"Bearer {token}"}
    other = one.url.removesuffix("/me") + "/orders/1"
    assert [call_http(url, headers).status for url in (one.url, other, one.url)] == [200, 200, 200]


def test_a_websocket_takes_the_token_from_the_subprotocol(deployment: Deployment) -> None:
    """That the backend accepts the marker cannot be seen here: the local AWS does not pass its headers on."""
    seen = call_websocket(deployment.apis["WebSocket"].url, {}, [SUBPROTOCOL, deployment.hanko.mint()])
    assert (seen.status, seen.caller["username"]) == (101, "example-user")


def test_a_websocket_takes_the_token_from_the_query_string(deployment: Deployment) -> None:
    token = deployment.hanko.mint()
    seen = call_websocket(f"{deployment.apis['WebSocket'].url}?{QUERY_PARAMETER}={token}", {})
    assert seen.status == 101


def test_two_different_tokens_are_refused(deployment: Deployment) -> None:
    one, other = deployment.hanko.mint(), deployment.hanko.mint()
    url = f"{deployment.apis['WebSocket'].url}?{QUERY_PARAMETER}={one}"
    assert call_websocket(url, {"Cookie": f"hanko={one}"}).status == 101
    assert call_websocket(url, {"Cookie": f"hanko={other}"}).status == 500  # 401 on AWS: see LOCAL_INSTEAD


def test_the_backend_learns_who_is_calling(deployment: Deployment) -> None:
    token = deployment.hanko.mint()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    expected = {
        "user_id": claims["sub"],
        "session_id": claims["session_id"],
        "email": "user@example.com",
        "email_verified": True,
        "username": "example-user",
        "amr": "passkey",
        "issued_at": claims["iat"],
        "expires_at": claims["exp"],
    }
    assert deployment.apis["HTTP API"].with_header(token).caller == expected
    # REST APIs and WebSockets turn every value into a string.
    strings = {name: json.dumps(value).strip('"') for name, value in expected.items()}
    for api in ("REST, TOKEN", "REST, REQUEST", "WebSocket"):
        caller = deployment.apis[api].with_header(token).caller
        assert {name: caller[name] for name in strings} == strings, api
        assert caller["principalId"] == claims["sub"]


def test_rest_refusals_tell_browsers_and_clients_what_to_do(deployment: Deployment) -> None:
    for api in ("REST, TOKEN", "REST, REQUEST"):
        headers = {name.lower(): value for name, value in deployment.apis[api].without().headers.items()}
        assert headers["www-authenticate"].startswith("Bearer")
        assert headers["access-control-allow-origin"] == "https://app.example.com"


def test_no_token_reaches_a_log(deployment: Deployment) -> None:
    good, bad = deployment.hanko.mint(), deployment.hanko.mint(claims={"aud": ["other.example.com"]})
    for api in deployment.apis.values():
        for token in (good, bad):
            api.with_header(token)
            api.with_cookie(token)
    log = "\n".join(deployment.aws.logs(deployment.outputs["LogGroupName"]))
    assert '"reason":"audience_not_allowed"' in log
    assert '"outcome":"allowed"' in log
    for token in (good, bad):
        assert not any(part in log for part in token.split("."))
    assert "user@example.com" not in log
    assert "example-user" not in log


def test_http_api_with_policies(deployment: Deployment) -> None:
    settings = {"HankoApiUrl": deployment.hanko.url, "HankoAudience": "localhost", "HankoHttpApiResponse": "policy"}
    authorizer = deployment.aws.deploy("template.yaml", "with-policies", settings)
    parameters = {ALIAS: authorizer[ALIAS], ROLE: authorizer[ROLE], "Response": "policy"}
    api = deployment.aws.deploy("examples/http-api.yaml", "http-api-policies", parameters)
    url = deployment.aws.http_url(api["ApiId"])
    good, expired = deployment.hanko.mint(), deployment.hanko.mint(claims={"iat": 1, "exp": 2})
    statuses = [
        call_http(f"{url}{path}", {"Authorization": f"Bearer {token}"}).status
        for token in (good, expired)
        for path in ("/me", "/orders/1")
    ]
    assert statuses == [200, 200, 403, 403]


def test_a_wrong_setting_is_a_500(deployment: Deployment) -> None:
    """The message that names it goes to the log of the start, which the local AWS does not keep: see test_handler."""
    settings = {"HankoApiUrl": deployment.hanko.url, "HankoAudience": "localhost", "HankoContextClaims": "email"}
    authorizer = deployment.aws.deploy("template.yaml", "misconfigured", settings)
    api = deployment.aws.deploy("examples/rest-token.yaml", "rest-misconfigured", {ALIAS: authorizer[ALIAS]})
    url = deployment.aws.rest_url(api["ApiId"], api["StageName"]) + "/me"
    assert call_http(url, {"Authorization": f"Bearer {deployment.hanko.mint()}"}).status == 500
