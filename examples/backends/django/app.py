"""Django behind a REST API. The caller comes from the authorizer's context; without it only `/` is served."""

import os
from collections.abc import Callable

from apig_wsgi import make_lambda_handler
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from authorizer.middleware.django import session_not_required

MIDDLEWARE = [f"{__name__}.let_browsers_read_it", "authorizer.middleware.django.HankoMiddleware"]
settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=MIDDLEWARE)

View = Callable[[HttpRequest], HttpResponse]


def let_browsers_read_it(get_response: View) -> View:
    """Middleware: CORS. The preflight is API Gateway's."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Access-Control-Allow-Origin"] = os.environ["ALLOWED_ORIGIN"]
        response["Access-Control-Allow-Credentials"] = "true"
        return response

    return middleware


@session_not_required
@require_GET
def index(_: HttpRequest) -> HttpResponse:
    return JsonResponse({"open": True})


@require_GET
def me(request: HttpRequest) -> HttpResponse:
    return JsonResponse(dict(request.hanko.claims))


@require_GET
def admin(request: HttpRequest, page: str) -> HttpResponse:
    """rules.toml decides who is an administrator: the authorizer refuses all others."""
    return JsonResponse({**request.hanko.claims, "admin_page": page})


@require_POST
def pay(request: HttpRequest) -> HttpResponse:
    """No cookie leads here (see the template), so no foreign page can make a browser pay. Otherwise check for CSRF."""
    return JsonResponse({**request.hanko.claims, "paid": True})


urlpatterns = [
    path("", index),
    path("me", me),
    path("web/me", me),  # takes the cookie, too: see the template
    path("admin/<path:page>", admin),
    path("payments", pay),
]

handler = make_lambda_handler(get_wsgi_application())
