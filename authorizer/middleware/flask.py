"""Flask: `g.hanko` before every view. CORS headers and the like of `after_request` are in refusals, too."""

from typing import Unpack

from flask import Flask, Response, g, request

from authorizer.middleware.authenticator import HankoAuthenticator
from authorizer.middleware.guard import Guard, GuardOptions
from authorizer.middleware.refused import Refused
from authorizer.middleware.wsgi import incoming_of


def protect(app: Flask, authenticator: HankoAuthenticator | None = None, **options: Unpack[GuardOptions]) -> None:
    """Let requests with a session pass: `g.hanko` is who is calling, None on an open path. See `Guard`."""
    guard = Guard(authenticator, **options)

    def authenticate() -> Response | None:
        try:
            g.hanko = guard.session(incoming_of(request.environ))
        except Refused as refused:
            return Response(refused.body, refused.status, refused.headers)
        return None

    app.before_request(authenticate)
