"""Authenticators for the stand-in Hanko, on the test's clock."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sandbox import Time

from authorizer.middleware import HankoAuthenticator
from local.hanko import StandInHanko

MakeAuthenticator = Callable[..., HankoAuthenticator]


@pytest.fixture
def make_authenticator(hanko: StandInHanko, time_: Time) -> Iterator[MakeAuthenticator]:
    """`make_authenticator(session_check="hybrid")`."""
    with ExitStack() as at_the_end:

        def make(**settings: str | float) -> HankoAuthenticator:
            values = {"api_url": hanko.url, "audience": "localhost", **settings}
            made = HankoAuthenticator(clock=time_.clock, **values)  # type: ignore[arg-type]  # mypy takes them for the clock, too
            at_the_end.callback(made.close)
            return made

        yield make


@pytest.fixture
def authenticator(make_authenticator: MakeAuthenticator) -> HankoAuthenticator:
    return make_authenticator()
