"""Django behind a REST API. The caller is who the authorizer says; without its word nothing but `/` is served."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from apig_wsgi import make_lambda_handler
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.let_browsers_read_it", f"{__name__}.identify"])

View = Callable[[HttpRequest], HttpResponse]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling. `claims` is all that the authorizer passed on; a REST API turns every value into a string."""

    user_id: str
    claims: dict[str, str]


def identify(get_response: View) -> View:
    """Middleware: `request.caller` for every path but the open one. Never from a header: anyone can send those."""

    def middleware(request: HttpRequest) -> HttpResponse:
        match request.environ.get("apig_wsgi.request_context"):
            case {"authorizer": {"user_id": str(user_id)} as claims} if user_id:
                request.caller = Identity(user_id, claims)
            case _ if request.path_info != "/":
                return HttpResponse(status=500)  # no authorizer in front of this route: never serve
        return get_response(request)

    return middleware


def let_browsers_read_it(get_response: View) -> View:
    """Middleware: CORS. The preflight is API Gateway's."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Access-Control-Allow-Origin"] = os.environ["ALLOWED_ORIGIN"]
        response["Access-Control-Allow-Credentials"] = "true"
        return response

    return middleware


@require_GET
def index(_: HttpRequest) -> HttpResponse:
    return JsonResponse({"open": True})


@require_GET
def me(request: HttpRequest) -> HttpResponse:
    return JsonResponse(request.caller.claims)


@require_GET
def admin(request: HttpRequest, page: str) -> HttpResponse:
    """Who is an administrator is decided by rules.toml, before anything gets here."""
    return JsonResponse({**request.caller.claims, "admin_page": page})


@require_POST
def pay(request: HttpRequest) -> HttpResponse:
    """No cookie leads here (see the template), so no foreign page can make a browser pay. Otherwise check for CSRF."""
    return JsonResponse({**request.caller.claims, "paid": True})


urlpatterns = [
    path("", index),
    path("me", me),
    path("web/me", me),  # takes the cookie, too: see the template
    path("admin/<path:page>", admin),
    path("payments", pay),
]

handler = make_lambda_handler(get_wsgi_application())
