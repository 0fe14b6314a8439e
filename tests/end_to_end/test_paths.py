"""Spellings of a guarded path, raw, by callers who may not go there: whoever serves them the admin page has failed.

What the local AWS makes of them (AWS does not say what it does: unverified there): a REST API decodes the whole path
once, an HTTP API all of it but %25, and both put it into the ARN without the slashes at its beginning. Case, a slash at
the end, dots, semicolons and backslashes stay as they are.
"""

import pytest

from local.calls import Seen, call_http
from local.deployment import Api, Deployment

GUARDED = ("/admin", "/admin/", "/admin/x", "/admin/x/", "/admin/a:b", "/admin/x?y=z", "/admin/%E2%82%AC")
ENCODED = (
    "/%61dmin/x",
    "/admin%2Fx",
    "/admin%2fx",
    "/%2Fadmin/x",
    "/admin/%2e%2e/admin/x",
    "/%2e/admin/x",
    "/admin%3B/x",
)
TWICE_ENCODED = ("/%2561dmin/x", "/admin%252Fx", "/%25252561dmin/x")
SLASHES = ("//admin/x", "///admin/x", "/admin//x", "/x//admin/x")
DOTS = ("/./admin/x", "/x/../admin/x", "/admin/..", "/admin/.", "/admin/../admin/x", "/x/../admin")
OTHERS = ("/admin;/x", "/admin;a=b/x", "/;/admin/x", "/admin%5Cx", "/\\admin/x", "/admin\\x")
DENIED = (*GUARDED, *ENCODED, *TWICE_ENCODED, *SLASHES, *DOTS, *OTHERS)
# Other paths to every gateway and backend here. Where a backend thinks otherwise, `default` must be "deny".
ELSEWHERE = (
    "/Admin/x",
    "/ADMIN/x",
    "/%41dmin/x",
    "/admin%20/x",
    "/admin%00/x",
    "/admin%3Fx",
    "/admin%23x",
    "/administrator",
)
# What the backends take for /admin/...: these are what the rules must hold. Flask's adapter decodes a second time, and
# Flask skips slashes at the beginning.
EVERYWHERE = {"/admin/x", "/admin/x/", "/admin/a:b", "/admin/x?y=z", "/%61dmin/x", "/admin%2Fx", "/admin%2fx"}
EVERYWHERE |= {"/admin/..", "/admin/.", "/admin/../admin/x", "/admin/%2e%2e/admin/x"}
SERVED = {
    "REST, TOKEN": EVERYWHERE | {"//admin/x", "///admin/x", "/%2Fadmin/x", "/%2561dmin/x", "/admin%252Fx"},
    "HTTP API 2.0 with policies": EVERYWHERE | {"/admin/", "/admin//x", "/admin/%E2%82%AC"},
}


@pytest.fixture(params=SERVED)
def api(request: pytest.FixtureRequest, deployment: Deployment, with_policies: Api) -> Api:
    """Behind one route that takes all paths, /{proxy+}."""
    name: str = request.param
    return {**deployment.apis, with_policies.name: with_policies}[name]


def call(deployment: Deployment, api: Api, path: str, method: str = "GET", **claims: str) -> Seen:
    return call_http(api.url + path, {"Authorization": f"Bearer {deployment.hanko.mint(claims=claims)}"}, method=method)


@pytest.mark.parametrize("path", DENIED)
def test_a_spelling_of_a_guarded_path_is_denied(deployment: Deployment, api: Api, path: str) -> None:
    assert call(deployment, api, path).status == 403


@pytest.mark.parametrize("path", ELSEWHERE)
def test_another_path_is_another_path_to_the_backend_too(deployment: Deployment, api: Api, path: str) -> None:
    assert call(deployment, api, path).status == 404


def test_what_the_backends_take_for_the_admin_page(deployment: Deployment, api: Api) -> None:
    served = {
        path for path in (*DENIED, *ELSEWHERE) if "admin_page" in call(deployment, api, path, role="admin").caller
    }
    assert served == SERVED[api.name]


@pytest.mark.parametrize("path", [*DENIED, *ELSEWHERE])
def test_no_api_serves_the_admin_page(deployment: Deployment, path: str) -> None:
    for name in ("REST, TOKEN", "REST, REQUEST", "HTTP API 1.0", "HTTP API 2.0"):
        assert "admin_page" not in call(deployment, deployment.apis[name], path).caller, name


@pytest.mark.parametrize(
    "method", ["HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "get", "Get", "QUERY", "PROPFIND"]
)
def test_no_method_leads_to_the_admin_page(deployment: Deployment, api: Api, method: str) -> None:
    seen = call(deployment, api, "/admin/x", method)
    assert "admin_page" not in seen.caller
    assert seen.status != 200
