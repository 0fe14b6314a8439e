"""WSGI middleware, for whatever speaks WSGI (PEP 3333)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Unpack

from authorizer.middleware.authenticator import HankoAuthenticator
from authorizer.middleware.guard import Guard, GuardOptions
from authorizer.middleware.incoming import Incoming
from authorizer.middleware.refused import Refused

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class HankoMiddleware:
    """Lets requests with a session pass: `environ["hanko"]`."""

    def __init__(
        self, app: "WSGIApplication", authenticator: HankoAuthenticator | None = None, **options: Unpack[GuardOptions]
    ) -> None:
        """See `Guard`."""
        self._app = app
        self._guard = Guard(authenticator, **options)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """One request."""
        try:
            environ["hanko"] = self._guard.session(incoming_of(environ))
        except Refused as refused:
            start_response(refused.status_line, [*refused.headers.items(), ("Content-Length", str(len(refused.body)))])
            return [refused.body]
        return self._app(environ, start_response)


def incoming_of(environ: "WSGIEnvironment") -> Incoming:
    """The request of an environ. apig-wsgi and serverless-wsgi put the event of API Gateway beside it.

    Routes are found by PATH_INFO. SCRIPT_NAME is no part of the path: gunicorn and ProxyFix take it from a header.
    """
    headers = [
        (name[5:].replace("_", "-").lower(), value) for name, value in environ.items() if name.startswith("HTTP_")
    ]
    event = environ.get("serverless.event")
    context = environ.get("apig_wsgi.request_context", event.get("requestContext") if isinstance(event, dict) else None)
    return Incoming(headers, environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/", request_context=context)
