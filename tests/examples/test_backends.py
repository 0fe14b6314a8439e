"""The backends of the examples: who is calling is what the authorizer says, and without its word nothing is served."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from event_loops import current_event_loop

ROOT = Path(__file__).parent.parent.parent
BACKENDS = ROOT / "examples" / "backends"
NAMES = ("flask", "django", "fastapi")
USER = "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"
SESSION = "5c1d2e3f-4a5b-4c6d-8e7f-8a9b0c1d2e3f"
BEARER = {"Authorization": "Bearer a.b.c"}
GUARDED = [("GET", "/me"), ("GET", "/admin/x"), ("GET", "/admin/x/y"), ("POST", "/payments")]
Json = dict[str, Any]


@pytest.fixture(scope="module", params=NAMES)
def backend(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """Loaded as the runtime does, but under a name of its own, since all three are called `app`."""
    name = f"{request.param}_app"
    spec = importlib.util.spec_from_file_location(name, BACKENDS / request.param / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with current_event_loop(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANKO_BEHIND", "api-gateway")
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(autouse=True)
def allowed_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_ORIGIN", "https://app.example.com")


def rest_event(method: str, path: str, context: Json, headers: dict[str, str]) -> Json:
    """A REST API's proxy event."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"resourcePath": "/{proxy+}", "httpMethod": method, "stage": "v1", **context},
        "body": None,
        "isBase64Encoded": False,
    }


def http_event(method: str, path: str, context: Json, headers: dict[str, str]) -> Json:
    """An HTTP API's proxy event, payload 2.0."""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.10", "userAgent": "test"}
    return {
        "version": "2.0",
        "routeKey": "ANY /{proxy+}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {"http": http, "stage": "$default", **context},
        "isBase64Encoded": False,
    }


def call(backend: ModuleType, method: str, path: str, context: Json, headers: dict[str, str] | None = None) -> Json:
    """The answer of the Lambda function; `context` is put into the request context."""
    event = http_event if backend.__name__ == "fastapi_app" else rest_event
    answer: Json = backend.handler(event(method, path, context, headers or {}), None)
    return answer


def told(backend: ModuleType, claims: Json) -> Json:
    """The request context in which that API kind hands these claims on."""
    return {"authorizer": {"lambda": claims} if backend.__name__ == "fastapi_app" else claims}


def test_the_open_page_needs_nobody(backend: ModuleType) -> None:
    answer = call(backend, "GET", "/", {})
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"open": True})


def test_the_caller_is_who_the_authorizer_says(backend: ModuleType) -> None:
    claims = {"user_id": USER, "session_id": SESSION, "email": "user@example.com", "email_verified": "true"}
    more: list[Json] = [{}, {"admin_page": "x"}, {"admin_page": "x/y"}, {"paid": True}]
    for (method, path), extra in zip(GUARDED, more, strict=True):
        answer = call(backend, method, path, told(backend, claims), BEARER)
        assert (answer["statusCode"], json.loads(answer["body"])) == (200, {**claims, **extra}), path


@pytest.mark.parametrize(("method", "path"), [*GUARDED, ("GET", "/web/me"), ("GET", "/nowhere")])
@pytest.mark.parametrize(
    "context",
    [
        {},
        {"authorizer": None},
        {"authorizer": {}},
        {"authorizer": USER},
        {"authorizer": [USER]},
        {"authorizer": {"principalId": USER}},
        {"authorizer": {"claims": {"user_id": USER, "sub": USER}}},
        {"authorizer": {"jwt": {"claims": {"user_id": USER, "sub": USER}}}},
        {"authorizer": {"lambda": None}},
        {"authorizer": {"lambda": USER}},
        {"authorizer": {"lambda": [{"user_id": USER}]}},
        {"user_id": USER},
        {"lambda": {"user_id": USER}},
    ],
    ids=json.dumps,
)
def test_without_the_authorizers_word_nothing_is_served(
    backend: ModuleType, context: Json, method: str, path: str
) -> None:
    status = call(backend, method, path, context)["statusCode"]
    # Flask asks for the caller before it looks for the route, the others when they have found it.
    assert status == (404 if path == "/nowhere" and backend.__name__ != "flask_app" else 500)


@pytest.mark.parametrize(
    "claims", [{"user_id": value, "session_id": SESSION} for value in (None, "", 1, True, [USER], {"id": USER})]
)
def test_a_user_id_of_another_kind_is_nobody(backend: ModuleType, claims: Json) -> None:
    assert call(backend, "GET", "/me", told(backend, claims))["statusCode"] == 500


def test_the_place_of_the_other_api_kind_is_not_looked_at(backend: ModuleType) -> None:
    """Attached to another kind of API, a backend serves nobody rather than guess."""
    claims = {"user_id": USER, "session_id": SESSION}
    other = {"authorizer": claims if backend.__name__ == "fastapi_app" else {"lambda": claims}}
    assert call(backend, "GET", "/me", other)["statusCode"] == 500


def test_no_header_says_who_is_calling(backend: ModuleType) -> None:
    names = ("Authorization", "Cookie", "X-User-Id", "User-Id", "User_Id", "Remote-User", "X-Amzn-Oidc-Identity")
    headers = {
        **dict.fromkeys(names, USER),
        "authorizer": json.dumps({"user_id": USER}),
        "apig_wsgi.request_context": json.dumps({"authorizer": {"user_id": USER}}),
        "X-Amzn-Request-Context": json.dumps({"authorizer": {"lambda": {"user_id": USER}}}),
    }
    for method, path in GUARDED:
        assert call(backend, method, path, {}, headers)["statusCode"] == 500
        answer = call(
            backend, method, path, told(backend, {"user_id": "somebody else", "session_id": SESSION}), headers
        )
        assert USER not in answer["body"]


def test_what_is_no_event_of_an_api_is_not_answered(backend: ModuleType) -> None:
    with pytest.raises((KeyError, RuntimeError)):
        backend.handler({}, None)


def test_browsers_may_read_the_answers_of_a_rest_api(backend: ModuleType) -> None:
    """An HTTP API adds these headers itself."""
    if backend.__name__ == "fastapi_app":
        return
    for context in ({}, told(backend, {"user_id": USER, "session_id": SESSION})):
        headers = call(backend, "GET", "/me", context)["multiValueHeaders"]
        assert headers["Access-Control-Allow-Origin"] == ["https://app.example.com"]


def build(name: str, target: str, artifacts: Path) -> None:
    command = ["make", "-s", "-C", str(BACKENDS), f"build-{name.title()}Backend", f"ARTIFACTS_DIR={artifacts}"]
    subprocess.run([*command, f"BUILD_TARGET={target}"], check=True)  # noqa: S603 - our own Makefile


@pytest.mark.parametrize(("target", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_the_artifact_is_for_the_architecture(tmp_path: Path, target: str, machine: str) -> None:
    build("fastapi", target, tmp_path)
    assert [path.suffixes[0] for path in tmp_path.rglob("*.so")] == [f".cpython-313-{machine}-linux-gnu"]


@pytest.mark.parametrize("name", NAMES)
def test_the_artifact_holds_all_that_it_needs(tmp_path: Path, name: str) -> None:
    """In the local AWS it could find our own packages, too; here it has itself and the standard library."""
    build(name, "host", tmp_path)
    assert (tmp_path / "app.py").read_text() == (BACKENDS / name / "app.py").read_text()
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import app; assert callable(app.handler)"
    command = [sys.executable, "-I", "-S", "-c", program]
    subprocess.run(command, check=True, env={"HANKO_BEHIND": "api-gateway"})  # noqa: S603 - our own interpreter


@pytest.mark.parametrize("name", NAMES)
def test_what_is_deployed_is_pinned_and_is_what_is_tested_here(name: str) -> None:
    """Hashes and heads are in tests/local/test_lock.py, for every lock."""
    pins = re.findall(r"^[a-z0-9-]+==\S+", (BACKENDS / name / "requirements.txt").read_text(), re.MULTILINE)
    dev = "\n" + (ROOT / "requirements-dev.txt").read_text()
    assert pins
    assert [pin for pin in pins if f"\n{pin} " not in dev] == []
