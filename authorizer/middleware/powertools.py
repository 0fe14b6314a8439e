"""Powertools for AWS Lambda: middleware of its Event Handler, for functions that answer by themselves (Function URLs).

`app.use([HankoMiddleware()])`, then `app.context["hanko"]` is who is calling.
"""

from typing import Any, Unpack

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import ApiGatewayResolver
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

from authorizer.middleware.authenticator import HankoAuthenticator
from authorizer.middleware.guard import Guard, GuardOptions
from authorizer.middleware.incoming import Incoming
from authorizer.middleware.refused import Refused


class HankoMiddleware:
    """Lets requests with a session pass."""

    __name__ = "HankoMiddleware"  # Powertools logs it

    def __init__(self, authenticator: HankoAuthenticator | None = None, **options: Unpack[GuardOptions]) -> None:
        """See `Guard`."""
        self._guard = Guard(authenticator, **options)

    def __call__(self, app: ApiGatewayResolver, next_middleware: NextMiddleware) -> Response[Any]:
        """One request."""
        try:
            event = app.current_event
            incoming = incoming_of(event.raw_event, event.http_method, app.context["_path"])
            app.append_context(hanko=self._guard.session(incoming))  # type: ignore[no-untyped-call]  # theirs
        except Refused as refused:
            headers: dict[str, str | list[str]] = {**refused.headers}
            return Response(refused.status, body=refused.body.decode(), headers=headers)
        return next_middleware(app)


def incoming_of(event: dict[str, Any], method: str, path: str) -> Incoming:
    """The request of an event: a REST API's, an HTTP API's, a Function URL's. Source: AWS, the pages of each.

    `method` and `path` are those by which Powertools finds the route: without an HTTP API's stage and `strip_prefixes`.
    """
    headers = [(name.lower(), value) for name, value in (event.get("headers") or {}).items()]
    several = event.get("multiValueHeaders")
    if several:
        headers = [(name.lower(), value) for name, values in several.items() for value in values]
    headers += [("cookie", cookie) for cookie in event.get("cookies") or ()]  # payload 2.0
    return Incoming(headers, method, path, request_context=event.get("requestContext"))
