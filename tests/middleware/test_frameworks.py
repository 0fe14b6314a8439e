"""Each framework's middleware, called in this process: what it hands on and refuses, and the authorizer's word."""

import asyncio
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import django
import pytest
import serverless_wsgi  # type: ignore[import-untyped]  # ships no types
from apig_wsgi import make_lambda_handler
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, APIGatewayRestResolver
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.test.utils import override_settings
from django.urls import path as django_path
from event_loops import current_event_loop
from fastapi import Depends, FastAPI, WebSocket
from flask import Flask, g
from mangum import Mangum
from sandbox import SESSION, USER
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from authorizer.errors import Misconfigured
from authorizer.middleware import HankoAuthenticator, Refused, Session, asgi, wsgi
from authorizer.middleware.asgi import HankoMiddleware
from authorizer.middleware.django import session_not_required
from authorizer.middleware.fastapi import HankoDependency, hanko_session
from authorizer.middleware.flask import protect
from authorizer.middleware.guard import Guard
from authorizer.middleware.powertools import HankoMiddleware as PowertoolsMiddleware
from local.hanko import StandInHanko

Json = dict[str, Any]
Answer = tuple[int, dict[str, str], Any]
MakeAuthenticator = Callable[..., HankoAuthenticator]
Call = Callable[..., Answer]
KINDS = ("asgi", "fastapi", "wsgi", "flask", "django", "django_asgi", "powertools")
GATEWAY = {"user_id": USER, "session_id": SESSION}


# --- calling an application without a server


def call_asgi(
    app: Any,  # noqa: ANN401 - each framework's own class
    method: str = "GET",
    path: str = "/me",
    headers: dict[str, str] | None = None,
    root_path: str = "",
) -> Answer:
    sent: list[Json] = []
    asked: list[bool] = []

    async def receive() -> Json:
        if asked:
            await asyncio.Event().wait()  # the client waits for its answer
        asked.append(True)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Json) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope: Json = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root_path,
        "scheme": "http",
        "headers": raw,
        "server": ("testserver", 80),
        "client": ("203.0.113.1", 1),
    }
    asyncio.run(app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    got = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], got, json.loads(body)


def call_wsgi(app: Any, method: str = "GET", path: str = "/me", headers: dict[str, str] | None = None) -> Answer:  # noqa: ANN401 - each framework's own class
    environ: Json = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()},
    }
    started: list[Any] = []
    body = b"".join(app(environ, lambda status, got, _=None: started.extend((status, got))))
    return int(started[0][:3]), {name.lower(): value for name, value in started[1]}, json.loads(body)


def call_powertools(
    app: APIGatewayHttpResolver,
    method: str = "GET",
    path: str = "/me",
    headers: dict[str, str] | None = None,
    stage: str = "$default",
) -> Answer:
    """As a Function URL invokes it: cookies in a list of their own."""
    headers = dict(headers or {})
    cookies = [headers.pop("Cookie")] if "Cookie" in headers else []
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.1"}
    event: Json = {"version": "2.0", "rawPath": path, "rawQueryString": "", "headers": headers, "cookies": cookies}
    event |= {"requestContext": {"http": http, "stage": stage}, "isBase64Encoded": False}
    answer = app.resolve(event, None)  # type: ignore[arg-type]  # no context is looked at
    return answer["statusCode"], {n.lower(): v for n, v in answer["headers"].items()}, json.loads(answer["body"])


# --- one application for each: `/` is open, `/me` says who is calling


def of_asgi(authenticator: HankoAuthenticator) -> Call:
    async def app(scope: Json, _receive: object, send: Any) -> None:  # noqa: ANN401 - ASGI's
        assert scope["hanko"] is scope["state"]["hanko"]
        body = json.dumps(scope["hanko"] and scope["hanko"].user_id).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    guarded = HankoMiddleware(app, authenticator, open_paths=["/"])  # type: ignore[arg-type]  # a narrower scope
    return lambda *arguments: call_asgi(guarded, *arguments)


def of_fastapi(authenticator: HankoAuthenticator) -> Call:
    app, who = FastAPI(), HankoDependency(authenticator)

    @app.get("/")
    def index() -> None:
        return None

    @app.get("/me")
    @app.post("/me")
    @app.options("/me")
    def me(session: Annotated[Session, Depends(who)]) -> str:
        return session.user_id

    return lambda *arguments: call_asgi(app, *arguments)


def of_wsgi(authenticator: HankoAuthenticator) -> Call:
    def app(environ: Json, start_response: Any) -> list[bytes]:  # noqa: ANN401 - WSGI's
        start_response("200 OK", [])
        return [json.dumps(environ["hanko"] and environ["hanko"].user_id).encode()]

    guarded = wsgi.HankoMiddleware(app, authenticator, open_paths=["/"])
    return lambda *arguments: call_wsgi(guarded, *arguments)


def of_flask(authenticator: HankoAuthenticator) -> Call:
    app = Flask(__name__)
    protect(app, authenticator, open_paths=["/"])
    app.add_url_rule("/", "index", lambda: json.dumps(g.hanko))
    app.add_url_rule("/me", "me", lambda: json.dumps(g.hanko and g.hanko.user_id), methods=["GET", "POST", "OPTIONS"])
    return lambda *arguments: call_wsgi(app, *arguments)


@session_not_required
def open_view(request: HttpRequest) -> JsonResponse:
    return JsonResponse(request.hanko, safe=False)


def who_view(request: HttpRequest) -> JsonResponse:
    return JsonResponse(request.hanko and request.hanko.user_id, safe=False)


urlpatterns = [django_path("", open_view), django_path("me", who_view), django_path("admin", who_view)]


def of_django(authenticator: HankoAuthenticator, *, asgi: bool = False, script_name: str | None = None) -> Call:
    if not django_settings.configured:  # once in a process
        django_settings.configure()
    own: Json = {"MIDDLEWARE": ["authorizer.middleware.django.HankoMiddleware"], "ROOT_URLCONF": __name__}
    own |= {"ALLOWED_HOSTS": ["*"], "HANKO": {"authenticator": authenticator}, "FORCE_SCRIPT_NAME": script_name}
    django.setup()
    with override_settings(**own):
        handler = ASGIHandler() if asgi else WSGIHandler()

    def call(*arguments: Any) -> Answer:  # noqa: ANN401 - as `call_wsgi`
        with override_settings(**own):
            return (call_asgi if asgi else call_wsgi)(handler, *arguments)

    return call


def of_django_asgi(authenticator: HankoAuthenticator) -> Call:
    return of_django(authenticator, asgi=True)


def of_powertools(authenticator: HankoAuthenticator) -> Call:
    app = APIGatewayHttpResolver()
    app.use([PowertoolsMiddleware(authenticator, open_paths=["/"])])
    app.get("/")(lambda: json.dumps(app.context["hanko"]))
    who: Any = lambda: json.dumps(app.context["hanko"] and app.context["hanko"].user_id)  # noqa: E731 - a view
    app.get("/me")(who)
    app.post("/me")(who)
    app.route("/me", method="OPTIONS")(who)
    return lambda *arguments: call_powertools(app, *arguments)


@pytest.fixture(params=KINDS)
def call(request: pytest.FixtureRequest, authenticator: HankoAuthenticator) -> Call:
    made: Call = globals()[f"of_{request.param}"](authenticator)
    return made


# --- the same for all


def test_the_view_learns_who_is_calling(call: Call, hanko: StandInHanko) -> None:
    token = hanko.mint(claims={"sub": USER})
    assert call("GET", "/me", {"Authorization": f"Bearer {token}"})[::2] == (200, USER)
    assert call("GET", "/me", {"Cookie": f"hanko={token}"})[::2] == (200, USER)


def test_an_open_page_needs_no_session(call: Call) -> None:
    assert call("GET", "/")[::2] == (200, None)


def test_a_refusal_is_problem_details(call: Call, hanko: StandInHanko) -> None:
    status, headers, problem = call("GET", "/me")
    assert (status, problem["detail"]) == (401, "token_missing")
    assert headers["content-type"] == "application/problem+json"
    assert headers["www-authenticate"] == 'Bearer realm="hanko"'
    assert headers["cache-control"] == "no-store"
    token = hanko.mint(claims={"aud": ["other.example.com"]})
    status, headers, problem = call("GET", "/me", {"Authorization": f"Bearer {token}"})
    assert (status, problem["detail"]) == (401, "audience_not_allowed")
    assert 'error="invalid_token"' in headers["www-authenticate"]


def test_what_could_not_be_found_out_is_a_503(call: Call, hanko: StandInHanko) -> None:
    hanko.behave("status", code=404)
    status, headers, problem = call("GET", "/me", {"Authorization": f"Bearer {hanko.mint()}"})
    assert (status, problem["detail"]) == (503, "keys_unavailable")
    assert "www-authenticate" not in headers
    assert headers["retry-after"] == "1"


def test_the_cookie_of_a_foreign_page_is_a_403(call: Call, hanko: StandInHanko) -> None:
    headers = {"Cookie": f"hanko={hanko.mint(claims={'sub': USER})}", "Host": "app.example.com"}
    assert call("POST", "/me", {**headers, "Origin": "https://evil.example.com"})[0] == 403
    assert call("POST", "/me", {**headers, "Origin": "https://app.example.com"})[::2] == (200, USER)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "fastapi"])
def test_a_preflight_reaches_the_application(kind: str, authenticator: HankoAuthenticator) -> None:
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    assert globals()[f"of_{kind}"](authenticator)("OPTIONS", "/me", asked)[::2] == (200, None)


# --- paths that a framework reads as another one


GUARDED = """
default = "allow"
[[rule]]
name = "admins"
routes = ["* %s"]
require = { role = "admin" }
"""
GuardPath = Callable[[str], HankoAuthenticator]


@pytest.fixture
def guard_path(tmp_path: Path, make_authenticator: MakeAuthenticator) -> GuardPath:
    def guard(path: str) -> HankoAuthenticator:
        (tmp_path / "rules.toml").write_text(GUARDED % path)
        return make_authenticator(rules_file=str(tmp_path / "rules.toml"))

    return guard


def admin_of_fastapi(authenticator: HankoAuthenticator) -> Call:
    app = FastAPI()
    app.add_middleware(HankoMiddleware, authenticator=authenticator)
    app.get("/admin")(lambda: "in")
    return lambda *arguments, **more: call_asgi(app, *arguments, **more)


def admin_of_powertools(authenticator: HankoAuthenticator) -> Call:
    app = APIGatewayHttpResolver()
    app.use([PowertoolsMiddleware(authenticator)])
    app.get("/admin")(lambda: json.dumps("in"))
    return lambda *arguments, **more: call_powertools(app, *arguments, **more)


@pytest.mark.parametrize("admin_of", [admin_of_fastapi, admin_of_powertools])
def test_a_line_end_behind_the_path_goes_around_no_rule(
    admin_of: Callable[[HankoAuthenticator], Call], guard_path: GuardPath, hanko: StandInHanko
) -> None:
    """Both frameworks take `/admin%0A` for `/admin`: the `$` of their routes matches before a line end."""
    call = admin_of(guard_path("/admin"))
    user, admin = ({"Authorization": f"Bearer {hanko.mint(claims=role)}"} for role in ({}, {"role": "admin"}))
    for path in ("/admin", "/admin\n"):
        assert call("GET", path, admin)[0] == 200
        assert call("GET", path, user)[0] == 403


def test_a_root_path_goes_around_no_rule(guard_path: GuardPath, hanko: StandInHanko) -> None:
    """Where the server's root path is `/api`, `/admin` and `/api/admin` are one to Starlette. Rules name the former."""
    call = admin_of_fastapi(guard_path("/admin"))
    user, admin = ({"Authorization": f"Bearer {hanko.mint(claims=role)}"} for role in ({}, {"role": "admin"}))
    for path in ("/api/admin", "/admin"):
        assert call("GET", path, admin, root_path="/api")[0] == 200
        assert call("GET", path, user, root_path="/api")[0] == 403


@pytest.mark.parametrize(
    ("root_path", "path", "routed"),
    [
        ("", "/admin", "/admin"),
        ("/", "/admin", "/admin"),
        ("/api", "/admin", "/admin"),
        ("/api", "/api/admin", "/admin"),
        ("/api/", "/api//admin", "/admin"),  # of uvicorn, which puts the root path in front
        ("/api", "/api/api/admin", "/api/admin"),
        ("/api", "/api", "/"),
        ("/api", "/apiadmin", ""),  # to Quart `/admin`
        ("/api", "/x/api/admin", ""),  # to Litestar `/admin`
        ("/api", "/x/api", ""),
    ],
)
def test_the_path_is_the_one_by_which_frameworks_find_a_route(root_path: str, path: str, routed: str) -> None:
    """Where they differ there is none, and no rule grants it. Tried with Litestar 2.25 and Quart 0.22."""
    scope = {"type": "http", "method": "GET", "headers": [], "path": path, "root_path": root_path}
    assert asgi.incoming_of(scope).path == routed


@pytest.mark.parametrize(
    ("root_path", "path", "routed"),
    [("", "/api/admin", "/api/admin"), ("/api", "/admin", "/admin"), ("/api", "/api/admin", ""), ("/api", "/api", "")],
)
def test_in_litestars_own_list_of_middleware_no_root_path_is_taken_off_twice(
    root_path: str, path: str, routed: str
) -> None:
    """Of `/api/api/admin`, the view of `/api/admin`, Litestar leaves `/api/admin` there. Tried with Litestar 2.25."""
    scope = {"type": "http", "method": "GET", "headers": [], "path": path, "root_path": root_path}
    assert asgi.incoming_of({**scope, "route_handler": object()}).path == routed


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_fastapis_own_root_path_goes_around_no_rule(guard_path: GuardPath, hanko: StandInHanko) -> None:
    """It is unknown outside of FastAPI, and so is refused there, with other middleware between, too."""
    app, authenticator = FastAPI(root_path="/pay"), guard_path("/admin")
    app.get("/admin")(lambda: "in")
    for around in (app, CORSMiddleware(app), CORSMiddleware(GZipMiddleware(app))):
        with pytest.raises(Misconfigured, match="add_middleware"):
            HankoMiddleware(around, authenticator)
    app.add_middleware(HankoMiddleware, authenticator=authenticator)
    user = {"Authorization": f"Bearer {hanko.mint()}"}
    assert [call_asgi(app, "GET", path, user)[0] for path in ("/admin", "/pay/admin")] == [403, 403]


def test_an_application_that_is_its_own_app_does_not_hold_up_the_start(authenticator: HankoAuthenticator) -> None:
    class Own:
        @property
        def app(self) -> Any:  # noqa: ANN401 - any application
            return self

    HankoMiddleware(Own(), authenticator)  # type: ignore[arg-type]  # it is never called


@pytest.mark.parametrize("asgi_", [False, True])
def test_the_root_path_of_djangos_settings_goes_around_no_rule(
    guard_path: GuardPath, hanko: StandInHanko, *, asgi_: bool
) -> None:
    """Under ASGI, FORCE_SCRIPT_NAME is taken off the path: `/me` and `/api/me` are one view."""
    call = of_django(guard_path("/me"), asgi=asgi_, script_name="/api")
    user, admin = ({"Authorization": f"Bearer {hanko.mint(claims=role)}"} for role in ({}, {"role": "admin"}))
    for path in ("/me", "/api/me") if asgi_ else ("/me",):
        assert call("GET", path, admin)[0] == 200
        assert call("GET", path, user)[0] == 403


# --- headers by which a client would choose the path


def proxied_flask(authenticator: HankoAuthenticator) -> Any:  # noqa: ANN401 - a WSGI application
    """As Flask's "Tell Flask it is Behind a Proxy" has it."""
    app = Flask(__name__)
    protect(app, authenticator, open_paths=["/static/*"])
    app.add_url_rule("/admin", "admin", lambda: json.dumps("in"))
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)  # type: ignore[method-assign]  # theirs
    return app


def proxied_wsgi(authenticator: HankoAuthenticator) -> Any:  # noqa: ANN401 - a WSGI application
    def app(_environ: Json, start_response: Any) -> list[bytes]:  # noqa: ANN401 - WSGI's
        start_response("200 OK", [])
        return [b'"in"']

    return ProxyFix(wsgi.HankoMiddleware(app, authenticator, open_paths=["/static/*"]), x_prefix=1)


def proxied_django(authenticator: HankoAuthenticator) -> Any:  # noqa: ANN401 - a WSGI application
    own: Json = {"MIDDLEWARE": ["authorizer.middleware.django.HankoMiddleware"], "ROOT_URLCONF": __name__}
    own |= {"HANKO": {"authenticator": authenticator, "open_paths": ["/static/*"]}, "ALLOWED_HOSTS": ["*"]}
    if not django_settings.configured:
        django_settings.configure()
    django.setup()
    with override_settings(**own):
        handler = WSGIHandler()

    def app(environ: Json, start_response: Any) -> Any:  # noqa: ANN401 - WSGI's
        with override_settings(**own):
            return handler(environ, start_response)

    return ProxyFix(app, x_prefix=1)


@pytest.mark.parametrize("proxied", [proxied_flask, proxied_wsgi, proxied_django])
def test_no_header_moves_the_path_of_rules_and_open_paths(
    proxied: Callable[[HankoAuthenticator], Any], guard_path: GuardPath, hanko: StandInHanko
) -> None:
    """ProxyFix takes SCRIPT_NAME from the client where no proxy sets the header; routes are found without it."""
    app, user = proxied(guard_path("/admin")), {"Authorization": f"Bearer {hanko.mint()}"}
    for prefix in ("/static", "/static/", "/other", "/static/x", "//", "/%2e"):
        chosen = {"X-Forwarded-Prefix": prefix, "X-Script-Name": prefix, "Forwarded": f"for=1;path={prefix}"}
        assert call_wsgi(app, "GET", "/admin", chosen)[0] == 401, prefix
        assert call_wsgi(app, "GET", "/admin", {**chosen, **user})[0] == 403, prefix


def test_gunicorns_script_name_moves_no_path(authenticator: HankoAuthenticator) -> None:
    """Its header SCRIPT_NAME counts from a proxy on the same machine, which may pass on the client's."""
    seen = wsgi.incoming_of({"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/static", "PATH_INFO": "/admin"})
    assert seen.path == "/admin"
    assert wsgi.incoming_of({"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/static", "PATH_INFO": ""}).path == "/"
    with pytest.raises(Refused):
        Guard(authenticator, open_paths=["/static/*"]).session(seen)


def test_rules_name_paths_without_the_stage(guard_path: GuardPath, hanko: StandInHanko) -> None:
    """An HTTP API writes a stage other than $default in front of the path, and Powertools takes it off."""
    call, user = admin_of_powertools(guard_path("/admin")), {"Authorization": f"Bearer {hanko.mint()}"}
    assert call("GET", "/prod/admin", user, stage="prod")[0] == 403


@pytest.mark.parametrize(
    ("prefix", "path"),
    [("/pay", "/pay/admin"), (re.compile(r"^/v[0-9]+"), "/v1/admin"), (re.compile("/static"), "/static/admin")],
)
def test_rules_name_paths_without_the_prefixes_that_powertools_strips(
    guard_path: GuardPath, hanko: StandInHanko, prefix: str | re.Pattern[str], path: str
) -> None:
    app = APIGatewayHttpResolver(strip_prefixes=[prefix])
    app.use([PowertoolsMiddleware(guard_path("/admin"), open_paths=["/static/*"])])
    app.get("/admin")(lambda: json.dumps("in"))
    user, admin = ({"Authorization": f"Bearer {hanko.mint(claims=role)}"} for role in ({}, {"role": "admin"}))
    for same in ("/admin", path):
        assert [call_powertools(app, "GET", same, who)[0] for who in ({}, user, admin)] == [401, 403, 200], same


@pytest.mark.parametrize("method", ["get", "Get"])
def test_a_method_in_small_letters_goes_around_no_rule(guard_path: GuardPath, hanko: StandInHanko, method: str) -> None:
    """Powertools and Django take it for GET."""
    user = {"Authorization": f"Bearer {hanko.mint()}"}
    assert admin_of_powertools(guard_path("/admin"))(method, "/admin", user)[0] == 403
    assert of_django(guard_path("/me"))(method, "/me", user)[0] == 403


# --- FastAPI


def test_fastapi_shows_the_padlock() -> None:
    app = FastAPI()

    @app.get("/me")
    def me(session: Annotated[Session, Depends(hanko_session)]) -> str:
        return session.user_id

    document = app.openapi()
    assert document["paths"]["/me"]["get"]["security"] == [{"HankoToken": []}, {"HankoCookie": []}]
    assert "parameters" not in document["paths"]["/me"]["get"]
    assert document["components"]["securitySchemes"].keys() == {"HankoToken", "HankoCookie"}


def test_a_fastapi_endpoint_for_options_gets_no_preflight_through(authenticator: HankoAuthenticator) -> None:
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    assert of_fastapi(authenticator)("OPTIONS", "/me", asked)[0] == 401


def test_the_dependency_takes_what_the_middleware_has_found(
    authenticator: HankoAuthenticator, hanko: StandInHanko
) -> None:
    """And asks nothing a second time: this one has settings of its own, which are wrong."""
    app = FastAPI()
    app.add_middleware(HankoMiddleware, authenticator=authenticator)

    @app.get("/me")
    def me(session: Annotated[Session, Depends(hanko_session)]) -> str:
        return session.user_id

    token = hanko.mint(claims={"sub": USER})
    assert call_asgi(app, "GET", "/me", {"Authorization": f"Bearer {token}"})[::2] == (200, USER)


def test_a_dependency_with_settings_of_its_own_asks_by_them(
    make_authenticator: MakeAuthenticator, hanko: StandInHanko
) -> None:
    """A strict one on what is dear, behind a middleware that asks Hanko nothing."""
    app, strict = FastAPI(), HankoDependency(make_authenticator(session_check="strict"))
    app.add_middleware(HankoMiddleware, authenticator=make_authenticator())

    @app.get("/me")
    def me(session: Annotated[Session, Depends(hanko_session)]) -> str:
        return session.user_id

    @app.get("/dear")
    def dear(session: Annotated[Session, Depends(strict)]) -> str:
        return session.user_id

    token = hanko.mint(claims={"sub": USER, "session_id": SESSION})
    headers = {"Authorization": f"Bearer {token}"}
    assert call_asgi(app, "GET", "/dear", headers)[::2] == (200, USER)
    hanko.end_session(SESSION)
    assert call_asgi(app, "GET", "/me", headers)[::2] == (200, USER)
    assert call_asgi(app, "GET", "/dear", headers)[0] == 401


@pytest.mark.parametrize(
    ("own", "of_the_host", "of_another"),
    [
        ({}, 200, 200),
        ({"allowed_origins": ["https://web.example.com"]}, 200, 403),
        ({"check_origin": True}, 200, 403),
        ({"allowed_origins": ["https://evil.example.com"]}, 200, 200),
        ({"allowed_origins": ["https://web.example.com"], "check_origin": False}, 200, 200),
    ],
)
def test_a_dependency_that_names_origins_checks_them_behind_a_middleware_that_does_not(
    authenticator: HankoAuthenticator, hanko: StandInHanko, own: Json, of_the_host: int, of_another: int
) -> None:
    """Without an authenticator of its own, too. One without arguments leaves the check to the middleware."""
    app = FastAPI()
    app.add_middleware(HankoMiddleware, authenticator=authenticator, check_origin=False)

    @app.post("/me")
    def me(session: Annotated[Session, Depends(HankoDependency(**own))]) -> str:
        return session.user_id

    headers = {"Cookie": f"hanko={hanko.mint()}", "Host": "app.example.com"}
    assert call_asgi(app, "POST", "/me", {**headers, "Origin": "https://app.example.com"})[0] == of_the_host
    assert call_asgi(app, "POST", "/me", {**headers, "Origin": "https://evil.example.com"})[0] == of_another


@pytest.mark.parametrize(
    ("own", "status"),
    [({}, 403), ({"allowed_origins": ["https://web.example.com"]}, 200), ({"check_origin": False}, 200)],
)
def test_a_dependency_with_an_authenticator_of_its_own_knows_no_origins_of_the_middleware(
    authenticator: HankoAuthenticator, hanko: StandInHanko, own: Json, status: int
) -> None:
    web, app = "https://web.example.com", FastAPI()
    app.add_middleware(HankoMiddleware, authenticator=authenticator, allowed_origins=[web])

    @app.post("/dear")
    def dear(session: Annotated[Session, Depends(HankoDependency(authenticator, **own))]) -> str:
        return session.user_id

    headers = {"Cookie": f"hanko={hanko.mint()}", "Host": "app.example.com", "Origin": web}
    assert call_asgi(app, "POST", "/dear", headers)[0] == status


def test_a_dependency_tells_an_origin_of_another_form_at_start() -> None:
    with pytest.raises(Misconfigured, match="allowed_origins"):
        HankoDependency(allowed_origins="https://web.example.com")


# --- WebSockets


def connect(app: Any, headers: dict[str, str], query: str = "", **more: object) -> list[Json]:  # noqa: ANN401 - ASGI's
    """What the application answers to a handshake."""
    sent: list[Json] = []

    async def receive() -> Json:
        return {"type": "websocket.connect"} if not sent else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Json) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "path": "/socket", "query_string": query.encode(), "headers": raw, "root_path": ""}
    asyncio.run(app({**scope, "subprotocols": [], "scheme": "ws", "http_version": "1.1", **more}, receive, send))
    return sent


def socket_app(authenticator: HankoAuthenticator, *, dependency: bool) -> FastAPI:
    app = FastAPI()
    if not dependency:
        app.add_middleware(HankoMiddleware, authenticator=authenticator)

    @app.websocket("/socket")
    async def socket(
        websocket: WebSocket, session: Annotated[Session, Depends(HankoDependency(authenticator))]
    ) -> None:
        await websocket.accept()
        await websocket.send_text(session.user_id)

    return app


@pytest.mark.parametrize("dependency", [False, True])
def test_a_websocket_with_a_session_is_accepted(
    authenticator: HankoAuthenticator, hanko: StandInHanko, *, dependency: bool
) -> None:
    app = socket_app(authenticator, dependency=dependency)
    headers = {"Cookie": f"hanko={hanko.mint(claims={'sub': USER})}", "Host": "app.example.com"}
    sent = connect(app, {**headers, "Origin": "https://app.example.com"})
    assert [message["type"] for message in sent[:2]] == ["websocket.accept", "websocket.send"]
    assert sent[1]["text"] == USER


def test_a_websocket_of_a_foreign_page_is_refused(authenticator: HankoAuthenticator, hanko: StandInHanko) -> None:
    app = socket_app(authenticator, dependency=False)
    headers = {"Cookie": f"hanko={hanko.mint()}", "Host": "app.example.com", "Origin": "https://evil.example.com"}
    assert connect(app, headers) == [{"type": "websocket.close", "code": 1008}]


def test_a_websocket_hears_why_where_the_server_can_say_it(authenticator: HankoAuthenticator) -> None:
    app = socket_app(authenticator, dependency=False)
    start, body = connect(app, {}, extensions={"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert json.loads(body["body"])["detail"] == "token_missing"


def test_a_lifespan_passes(authenticator: HankoAuthenticator) -> None:
    seen: list[str] = []

    async def app(scope: Json, _receive: object, _send: object) -> None:
        seen.append(scope["type"])

    guarded: Any = HankoMiddleware(app, authenticator)  # type: ignore[arg-type]  # a narrower scope
    asyncio.run(guarded({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]


def test_a_kind_of_connection_that_is_not_known_does_not_pass(authenticator: HankoAuthenticator) -> None:
    """As the ASGI specification asks for: "applications must raise an exception"."""

    async def app(_scope: Json, _receive: object, _send: object) -> None:
        pytest.fail("reached")

    guarded: Any = HankoMiddleware(app, authenticator)  # type: ignore[arg-type]  # a narrower scope
    with pytest.raises(NotImplementedError, match="webtransport"):
        asyncio.run(guarded({"type": "webtransport", "path": "/me", "headers": []}, None, None))


# --- behind API Gateway: where each adapter has its word


def rest_event(context: Json) -> Json:
    headers = {"Host": "api.example.com"}
    return {
        "resource": "/me",
        "path": "/me",
        "httpMethod": "GET",
        "headers": headers,
        "body": None,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "isBase64Encoded": False,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"resourcePath": "/me", "httpMethod": "GET", "stage": "v1", "identity": {}, **context},
    }


def http_event(context: Json) -> Json:
    http = {"method": "GET", "path": "/me", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.1", "userAgent": "test"}
    return {
        "version": "2.0",
        "routeKey": "GET /me",
        "rawPath": "/me",
        "rawQueryString": "",
        "isBase64Encoded": False,
        "headers": {"host": "api.example.com"},
        "requestContext": {"http": http, "stage": "$default", **context},
    }


EVENTS: dict[str, tuple[Callable[[Json], Json], Json]] = {
    "rest": (rest_event, {"authorizer": GATEWAY}),
    "http": (http_event, {"authorizer": {"lambda": GATEWAY}}),
}


def handlers() -> dict[str, Callable[[Json, Any], Json]]:
    """The same applications behind each adapter."""
    front = HankoAuthenticator(behind="api-gateway")
    flask = Flask(__name__)
    protect(flask, front)
    flask.add_url_rule("/me", "me", lambda: g.hanko.user_id)
    fastapi = FastAPI()
    fastapi.add_middleware(HankoMiddleware, authenticator=front)

    @fastapi.get("/me")
    def me(session: Annotated[Session, Depends(hanko_session)]) -> str:
        return session.user_id

    made: dict[str, Callable[[Json, Any], Json]] = {
        "mangum": Mangum(fastapi, lifespan="off"),
        "apig-wsgi": make_lambda_handler(flask),
        "serverless-wsgi": lambda event, context: serverless_wsgi.handle_request(flask, event, context),
    }
    for name, app in (("powertools rest", APIGatewayRestResolver()), ("powertools http", APIGatewayHttpResolver())):
        app.use([PowertoolsMiddleware(front)])
        app.get("/me")(lambda app=app: app.context["hanko"].user_id)
        made[name] = app.resolve
    return made


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("adapter", ["mangum", "apig-wsgi", "serverless-wsgi", "powertools"])
def test_the_authorizers_word_is_found_behind_every_adapter(adapter: str, kind: str) -> None:
    """And without it the request does not pass."""
    event, context = EVENTS[kind]
    with current_event_loop():
        handler = handlers()[f"powertools {kind}" if adapter == "powertools" else adapter]
        answer = handler(event(context), None)
        assert (answer["statusCode"], answer["body"].strip('"')) == (200, USER)
        assert handler(event({}), None)["statusCode"] == 500
