"""Django: `request.hanko` in every view. Like Django's own LoginRequiredMiddleware, it guards every view not exempted.

The setting HANKO is a dict with the arguments of `Guard`, and is optional. Under ASGI Django runs it in a thread.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from authorizer.middleware import asgi, wsgi
from authorizer.middleware.guard import Guard
from authorizer.middleware.incoming import Incoming
from authorizer.middleware.refused import Refused

View = TypeVar("View", bound=Callable[..., Any])


def session_not_required(view: View) -> View:
    """A view that everybody may call; `request.hanko` is None there."""
    view.hanko_session_required = False  # type: ignore[attr-defined]  # functions take attributes
    return view


class HankoMiddleware(MiddlewareMixin):  # type: ignore[misc]  # Django ships no types
    """Refuses requests without a session before their view is called."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Reads the setting HANKO."""
        super().__init__(get_response)
        self._guard = Guard(**getattr(settings, "HANKO", {}))

    def process_request(self, request: HttpRequest) -> None:
        """Set `request.hanko` to None, until the session is known."""
        request.hanko = None

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: object, _kwargs: object
    ) -> HttpResponse | None:
        """Set `request.hanko`, or return the refusal."""
        if not getattr(view, "hanko_session_required", True):
            return None
        try:
            request.hanko = self._guard.session(_incoming_of(request))
        except Refused as refused:
            return HttpResponse(refused.body, status=refused.status, headers=refused.headers)
        return None


def _incoming_of(request: HttpRequest) -> Incoming:
    """The request, with the path by which Django has found the view."""
    scope = getattr(request, "scope", None)  # an ASGIRequest
    incoming = wsgi.incoming_of(request.environ) if scope is None else asgi.incoming_of(scope)
    return incoming._replace(path=request.path_info)
