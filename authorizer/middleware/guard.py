"""What the middleware of every framework does: open paths, CORS preflights, the session, the Origin of a cookie's page.

Browsers send the cookie with requests from any page. So a request that may change something, and every WebSocket, must
come from a page of the same host, or of one of `allowed_origins`, unless it has an Authorization header, which no
foreign page can set. Sources: RFC 6454 section 7, Fetch section 3.1, RFC 6455 section 10.2.
"""

import re
from collections.abc import Container, Iterable, Sequence
from typing import TypedDict
from urllib.parse import urlsplit

from authorizer.errors import Misconfigured, Reason
from authorizer.middleware.authenticator import HankoAuthenticator
from authorizer.middleware.incoming import Incoming
from authorizer.middleware.refused import Refused
from authorizer.middleware.session import Session
from authorizer.rules.routes import is_unusual

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))  # RFC 9110 section 9.2.1; nobody needs TRACE


class GuardOptions(TypedDict, total=False):
    """The keyword arguments of `Guard`. The middleware of each framework takes the same."""

    open_paths: Iterable[str]
    allowed_origins: Iterable[str]
    check_origin: bool


class Guard:
    """Lets a request pass, or raises `Refused`."""

    def __init__(
        self,
        authenticator: HankoAuthenticator | None = None,
        *,
        open_paths: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        check_origin: bool = True,
    ) -> None:
        """Without an authenticator the settings of the environment apply.

        An open path needs no session; with * at its end it is every path that begins so. An origin is `https://host`.

        Raises `Misconfigured(settings_invalid)` for a path or an origin of another form.
        """
        self._authenticator = authenticator or HankoAuthenticator.from_env()
        paths, origins = list(open_paths), list(allowed_origins)
        check_arguments(paths, origins)
        self._open_paths = frozenset(path for path in paths if not path.endswith("*"))
        self._open_beginnings = tuple(path[:-1] for path in paths if path.endswith("*"))
        self._origins = frozenset(origins) if check_origin else None

    def session(self, incoming: Incoming) -> Session | None:
        """Who is calling; None for what needs no session. It may wait for Hanko. Raises `Refused`."""
        if self._is_open(incoming):
            return None
        session = self._authenticator.session(incoming)
        if self._origins is not None:
            check_origin_of(incoming, self._origins)
        return session

    async def session_async(self, incoming: Incoming) -> Session | None:
        """The same. The event loop never waits for Hanko."""
        if self._is_open(incoming):
            return None
        session = await self._authenticator.session_async(incoming)
        if self._origins is not None:
            check_origin_of(incoming, self._origins)
        return session

    def _is_open(self, incoming: Incoming) -> bool:
        path = incoming.path
        if path in self._open_paths or (path.startswith(self._open_beginnings) and not is_unusual(path)):
            return True
        if incoming.method != "OPTIONS" or incoming.is_websocket:
            return False
        # A preflight (Fetch section 4.8) has no credentials, and its answer only says what another origin may send.
        return bool(_header(incoming, "origin") and _header(incoming, "access-control-request-method"))


def check_origin_of(incoming: Incoming, allowed_origins: Container[str]) -> None:
    """Raise `Refused(origin_not_allowed)` if a page of another origin made the browser send this request."""
    if (incoming.method in _SAFE and not incoming.is_websocket) or _header(incoming, "authorization"):
        return
    origins, hosts = _header(incoming, "origin"), _header(incoming, "host")
    if len(origins) == 1 and (origins[0] in allowed_origins or hosts == _host(origins[0])):
        return
    raise Refused(Reason.ORIGIN_NOT_ALLOWED)


def check_arguments(paths: Sequence[str], origins: Sequence[str]) -> None:
    """Refuse a text in place of a list: read as a list, "/static/*" has the item "*", which would open every path.

    Raises `Misconfigured(settings_invalid)`.
    """
    mistakes = []
    if not all(path.startswith("/") for path in paths):
        mistakes.append("open_paths must be a list of paths, each with a / in front")
    if not all(map(_ORIGIN.fullmatch, origins)):
        mistakes.append("allowed_origins must be a list of origins like https://app.example.com")
    if mistakes:
        raise Misconfigured(Reason.SETTINGS_INVALID, "\n".join(["Wrong settings:", *mistakes]))


def _header(incoming: Incoming, name: str) -> list[str]:
    return [value for key, value in incoming.headers if key == name]


def _host(origin: str) -> list[str] | None:
    """The host and port of an origin; None for "null" and for anything else without a host."""
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return None
    return [host] if host else None
