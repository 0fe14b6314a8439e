"""Authenticates requests: the front of the library, for threads and for asyncio."""

import logging
import os
import weakref
from collections.abc import Iterable, Mapping
from typing import Protocol, Self

from authorizer.clock import Clock
from authorizer.errors import AuthorizerError, Reason
from authorizer.middleware.behind import Gateway, parse_behind
from authorizer.middleware.incoming import Incoming
from authorizer.middleware.refused import Refused
from authorizer.middleware.session import Session

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

_log = logging.getLogger("hanko_authorizer")


class Source(Protocol):
    """Identifies the caller: by our own checks, or by the context of the authorizer in front."""

    def session(self, incoming: Incoming) -> Session:
        """Who is calling. It may wait for Hanko. Raises `Refused`, or an error of ours."""

    async def session_async(self, incoming: Incoming) -> Session:
        """The same. The event loop never waits for Hanko."""

    def key_fetch_failure(self) -> str | None:
        """Why a key fetch failed, for the log."""

    def disconnect(self) -> None:
        """Close the kept connections. Waits for no lock: in a child process they may be held for ever."""

    def close(self) -> None:
        """Close the kept connections, and let the threads end."""


class HankoAuthenticator:
    """Identifies callers by the tokens of one Hanko. One for the whole process: safe for threads, and safe to fork."""

    def __init__(
        self,
        api_url: str | None = None,
        audience: str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        **settings: str | float,
    ) -> None:
        """Connect to nothing yet. `settings` are those of docs/settings.md, without HANKO_.

        Raises `Misconfigured`, whose text names every mistake.
        """
        named = {"api_url": api_url, "audience": audience, **settings}
        given = {f"HANKO_{name.upper()}": _text(value) for name, value in named.items() if value is not None}
        variables = {**(environ or {}), **given}
        self._variables, self._clock = variables, clock
        self._source = self._open()
        _all.add(self)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **settings: str | float) -> Self:
        """Build it with the settings of the environment, which `settings` override. Raises `Misconfigured`."""
        return cls(environ=os.environ if environ is None else environ, **settings)  # type: ignore[arg-type]  # mypy takes `settings` for api_url, too

    def authenticate(
        self,
        headers: Headers,
        cookies: Mapping[str, str] | None = None,
        *,
        method: str = "",
        path: str = "",
        request_context: object = None,
    ) -> Session:
        """Who is calling `method` and `path`. `cookies` take the place of the Cookie header. It may wait for Hanko.

        Without both of them, whoever calls must meet every rule.

        Raises `Refused`.
        """
        given = headers.items() if isinstance(headers, Mapping) else headers
        try:
            pairs = [(name.lower(), value) for name, value in given]
        except Exception as error:  # noqa: BLE001 - as in `session`
            raise self._refused(error) from None
        return self.session(Incoming(pairs, method, path, request_context=request_context, cookies=cookies))

    def session(self, incoming: Incoming) -> Session:
        """Who is calling. It may wait for Hanko. Raises `Refused`."""
        try:
            return self._source.session(incoming)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request must not pass
            raise self._refused(error) from None

    async def session_async(self, incoming: Incoming) -> Session:
        """Who is calling. The event loop never waits for Hanko. Raises `Refused`."""
        try:
            return await self._source.session_async(incoming)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request must not pass
            raise self._refused(error) from None

    def close(self) -> None:
        """Close the kept connections, and let the threads end."""
        self._source.close()

    def after_fork(self) -> None:
        """Start anew in a child process: locks may be held, and connections are the parent's."""
        self._source.disconnect()
        self._source = self._open()

    def _open(self) -> Source:
        behind = parse_behind(self._variables)
        if behind is not None:
            return Gateway(behind)
        # cryptography is not installed where the authorizer is in front, and not needed there.
        from authorizer.middleware.engine import open_engine  # noqa: PLC0415 - see above

        return open_engine(self._variables, self._clock)

    def _refused(self, error: Exception) -> Refused:
        if isinstance(error, Refused):
            return error
        reason = error.reason if isinstance(error, AuthorizerError) else Reason.INTERNAL
        if reason is Reason.INTERNAL:
            _log.error("%s: %s", reason.value, type(error).__name__)  # its text may be personal
        else:
            _log.error("%s: %s", reason.value, self._source.key_fetch_failure() or reason.what_to_do)
        return Refused(reason)


_all: "weakref.WeakSet[HankoAuthenticator]" = weakref.WeakSet()


def start_anew() -> None:
    """Run first in a forked child process."""
    for authenticator in list(_all):
        authenticator.after_fork()


os.register_at_fork(after_in_child=start_anew)


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
