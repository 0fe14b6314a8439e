"""FastAPI: a dependency with the security schemes of OpenAPI, so that /docs has its padlock.

Alone it guards the endpoints that ask for it. Behind `asgi.HankoMiddleware` it returns what that has found. Its own
arguments count there, too, since they may be stricter: its authenticator is asked, its origins are checked.
"""

from collections.abc import Iterable
from typing import Annotated

from fastapi import HTTPException, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import HTTPConnection

from authorizer.errors import Reason
from authorizer.middleware.asgi import HankoMiddleware, incoming_of
from authorizer.middleware.authenticator import HankoAuthenticator
from authorizer.middleware.guard import Guard, check_arguments, check_origin_of
from authorizer.middleware.refused import Refused
from authorizer.middleware.session import Session

__all__ = ["HankoDependency", "HankoMiddleware", "RefusedHTTPException", "Session", "hanko_session"]


class RefusedHTTPException(HTTPException):
    """A refusal as FastAPI's own handler answers it: a body with `detail` only, the reason."""

    def __init__(self, refused: Refused) -> None:
        """Of the same status, reason and headers."""
        super().__init__(refused.status, refused.reason.value, refused.headers)


class _Bearer(HTTPBearer):
    """The header in /docs. It looks at no request: that is the guard's business, and a WebSocket has no Request."""

    async def __call__(self) -> None:  # type: ignore[override]  # see above
        """Nothing."""


class _Cookie(APIKeyCookie):
    """The cookie in /docs."""

    async def __call__(self) -> None:  # type: ignore[override]  # see above
        """Nothing."""


_BEARER = _Bearer(scheme_name="HankoToken", bearerFormat="JWT", description="A Hanko session token")
_COOKIE = _Cookie(scheme_name="HankoCookie", name="hanko", description="The cookie that Hanko sets")


class HankoDependency:
    """`Depends(HankoDependency(authenticator))`: who is calling."""

    def __init__(
        self,
        authenticator: HankoAuthenticator | None = None,
        *,
        allowed_origins: Iterable[str] = (),
        check_origin: bool | None = None,
    ) -> None:
        """See `Guard`. Without an authenticator the environment is read when the first request comes.

        Behind the middleware, `allowed_origins` or `check_origin=True` check the origin here, too.

        Raises `Misconfigured(settings_invalid)` if an origin is of another form.
        """
        origins = list(allowed_origins)
        check_arguments((), origins)
        self._authenticator, self._allowed_origins = authenticator, origins
        self._check_origin = check_origin is not False
        self._checks_origin_again = check_origin or (check_origin is None and bool(origins))
        self._made: Guard | None = None

    async def __call__(
        self,
        connection: HTTPConnection,
        _bearer: Annotated[None, Security(_BEARER)],
        _cookie: Annotated[None, Security(_COOKIE)],
    ) -> Session:
        """The session. Raises `RefusedHTTPException`."""
        session, incoming = connection.scope.get("hanko"), incoming_of(connection.scope)
        try:
            if isinstance(session, Session) and self._authenticator is None:
                if self._checks_origin_again:
                    check_origin_of(incoming, self._allowed_origins)
                return session
            found = await self._guard.session_async(incoming)
        except Refused as refused:
            raise RefusedHTTPException(refused) from None
        if found is None:  # a CORS preflight, of an endpoint for OPTIONS
            raise RefusedHTTPException(Refused(Reason.TOKEN_MISSING))
        return found

    @property
    def _guard(self) -> Guard:
        if self._made is None:
            self._made = Guard(
                self._authenticator, allowed_origins=self._allowed_origins, check_origin=self._check_origin
            )
        return self._made


hanko_session = HankoDependency()
