"""What the demo does not show: the other ways to send a token, CORS, the log, and payload 2.0 with policies."""

import base64
import json

from local.calls import Headers, call_http, call_websocket
from local.deployment import ALIAS, QUERY_PARAMETER, SUBPROTOCOL, Api, Deployment

ORIGIN = "https://app.example.com"
HTTP_APIS = ("REST, TOKEN", "REST, REQUEST", "HTTP API 1.0", "HTTP API 2.0")


def lower(headers: Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


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
    seen = deployment.apis["HTTP API 2.0"].with_header(token).caller
    assert {name: seen[name] for name in expected} == expected
    # REST APIs, payload 1.0 and WebSockets turn every value into a string.
    strings = {name: json.dumps(value).strip('"') for name, value in expected.items()}
    for api in ("REST, TOKEN", "REST, REQUEST", "HTTP API 1.0", "WebSocket"):
        caller = deployment.apis[api].with_header(token).caller
        assert {name: caller[name] for name in strings} == strings, api
        assert caller["principalId"] == claims["sub"]


def test_the_open_page_needs_no_token(deployment: Deployment) -> None:
    for api in HTTP_APIS:
        seen = call_http(f"{deployment.apis[api].url}/", {})
        assert (seen.status, seen.caller) == (200, {"open": True}), api


def test_a_preflight_needs_no_token(deployment: Deployment) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    for api in HTTP_APIS:
        for path in ("/me", "/web/me", "/admin/x", "/payments"):
            seen = call_http(deployment.apis[api].url + path, asked, method="OPTIONS")
            headers = lower(seen.headers)
            assert seen.status == 204, (api, path)
            assert headers["access-control-allow-origin"] == ORIGIN
            assert "authorization" in headers["access-control-allow-headers"].lower()
            assert "GET" in headers["access-control-allow-methods"]


def test_answers_can_be_read_by_a_browser(deployment: Deployment) -> None:
    token = deployment.hanko.mint()
    for api in HTTP_APIS:
        seen = deployment.apis[api].ask("me", {"Authorization": f"Bearer {token}", "Origin": ORIGIN})
        assert (seen.status, lower(seen.headers)["access-control-allow-origin"]) == (200, ORIGIN), api


def test_rest_refusals_tell_browsers_and_clients_what_to_do(deployment: Deployment) -> None:
    """AWS puts the rules and the reasons into the body; the local AWS leaves the variables as they are."""
    token = deployment.hanko.mint()
    for api in ("REST, TOKEN", "REST, REQUEST"):
        refused, denied = deployment.apis[api].without(), deployment.apis[api].with_header(token, "admin")
        assert (refused.status, denied.status) == (401, 403)
        assert lower(refused.headers)["www-authenticate"].startswith("Bearer")
        for seen in (refused, denied):
            assert lower(seen.headers)["access-control-allow-origin"] == ORIGIN
        assert denied.caller == {
            "message": "Forbidden",
            "rule": "$context.authorizer.rule",
            "reason": "$context.authorizer.reason",
        }


def test_no_token_reaches_a_log(deployment: Deployment) -> None:
    good, bad = deployment.hanko.mint(), deployment.hanko.mint(claims={"aud": ["other.example.com"]})
    for api in deployment.apis.values():
        for token in (good, bad):
            for what in api.answers:
                api.with_header(token, what)
            api.with_cookie(token)
    pages = deployment.aws.client("logs").get_paginator("describe_log_groups").paginate()
    groups = [group["logGroupName"] for page in pages for group in page["logGroups"]]
    log = "\n".join(line for group in groups for line in deployment.aws.logs(group))
    assert deployment.outputs["LogGroupName"] in groups
    assert len([group for group in groups if "Backend" in group]) >= 5
    assert '"reason":"audience_not_allowed"' in log
    assert '"outcome":"allowed"' in log
    for token in (good, bad):
        assert not any(part in log for part in token.split("."))
    assert "user@example.com" not in log
    assert "example-user" not in log


def test_http_api_with_policies(deployment: Deployment, with_policies: Api) -> None:
    good, expired = deployment.hanko.mint(), deployment.hanko.mint(claims={"iat": 1, "exp": 2})
    assert [with_policies.with_header(token).status for token in (good, expired)] == [200, 403]
    assert with_policies.with_cookie(good).status == 200


def test_a_wrong_setting_is_a_500(deployment: Deployment) -> None:
    """The message that names it goes to the log of the start, which the local AWS does not keep: see test_handler."""
    settings = {"HankoApiUrl": deployment.hanko.url, "HankoAudience": "localhost", "HankoContextClaims": "email"}
    authorizer = deployment.aws.deploy("template.yaml", "misconfigured", settings)
    api = deployment.aws.deploy("examples/rest-token.yaml", "rest-misconfigured", {ALIAS: authorizer[ALIAS]})
    url = deployment.aws.rest_url(api["ApiId"], api["StageName"]) + "/me"
    assert call_http(url, {"Authorization": f"Bearer {deployment.hanko.mint()}"}).status == 500
