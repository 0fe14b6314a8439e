"""What passes without a session, and whose page may send the cookie."""

from collections.abc import Callable, Iterable

import pytest

from authorizer.errors import Misconfigured, Reason
from authorizer.middleware import HankoAuthenticator, Refused
from authorizer.middleware.guard import Guard
from authorizer.middleware.incoming import Incoming
from local.hanko import StandInHanko

MakeAuthenticator = Callable[..., HankoAuthenticator]
Headers = list[tuple[str, str]]


def reason_of(guard: Guard, incoming: Incoming) -> Reason | None:
    """Why it is refused; None if it passes."""
    try:
        guard.session(incoming)
    except Refused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize("path", ["/", "/health", "/static/", "/static/a/b.css"])
def test_an_open_path_needs_no_session(authenticator: HankoAuthenticator, path: str) -> None:
    guard = Guard(authenticator, open_paths=["/", "/health", "/static/*"])
    assert guard.session(Incoming([], path=path)) is None


@pytest.mark.parametrize(
    "path",
    [
        "/me",
        "/health/",
        "/healthy",
        "//",
        "/static",
        "/static/../me",
        "/static/%2e%2e/me",
        "/static//me",
        "/static/;/me",
    ],
)
def test_every_other_path_needs_one(authenticator: HankoAuthenticator, path: str) -> None:
    """Whatever a backend may read as another path is not open."""
    guard = Guard(authenticator, open_paths=["/", "/health", "/static/*"])
    assert reason_of(guard, Incoming([], path=path)) is Reason.TOKEN_MISSING


@pytest.mark.parametrize("paths", ["/static/*", "/*", ["*"], [""], ["/", "health"], ["https://app.example.com/"]])
def test_no_slip_in_the_open_paths_opens_every_path(authenticator: HankoAuthenticator, paths: Iterable[str]) -> None:
    """A text is a list of characters to Python, and of these `*` alone would be every path."""
    with pytest.raises(Misconfigured, match="open_paths"):
        Guard(authenticator, open_paths=paths)


@pytest.mark.parametrize(
    "origins", ["https://app.example.com", ["app.example.com"], ["https://app.example.com/"], ["*"]]
)
def test_an_origin_that_can_never_match_is_told(authenticator: HankoAuthenticator, origins: Iterable[str]) -> None:
    with pytest.raises(Misconfigured, match="allowed_origins"):
        Guard(authenticator, allowed_origins=origins)


ASKED = ("access-control-request-method", "POST")
ORIGIN = ("origin", "https://app.example.com")


@pytest.mark.parametrize(
    ("method", "headers", "is_websocket", "passes"),
    [
        ("OPTIONS", [ORIGIN, ASKED], False, True),
        ("OPTIONS", [ORIGIN], False, False),
        ("OPTIONS", [ASKED], False, False),
        ("OPTIONS", [], False, False),
        ("GET", [ORIGIN, ASKED], False, False),
        ("OPTIONS", [ORIGIN, ASKED], True, False),
    ],
)
def test_a_cors_preflight_passes_and_nothing_that_looks_like_one(
    authenticator: HankoAuthenticator, method: str, headers: Headers, *, is_websocket: bool, passes: bool
) -> None:
    incoming = Incoming(headers, method, "/me", is_websocket=is_websocket)
    assert reason_of(Guard(authenticator), incoming) is (None if passes else Reason.TOKEN_MISSING)


HOST = ("host", "app.example.com")
OTHER = ("origin", "https://evil.example.com")


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ([HOST, ORIGIN], True),
        ([HOST, ("origin", "https://app.example.com:8443")], False),
        ([HOST, OTHER], False),
        ([HOST], False),
        ([HOST, ("origin", "null")], False),
        ([HOST, ("origin", "https://[")], False),
        ([HOST, ("origin", "https://app.example.com.evil.example.com")], False),
        ([HOST, ORIGIN, OTHER], False),
        ([HOST, OTHER, ORIGIN], False),
        ([ORIGIN], False),
        ([("host", ""), ("origin", "null")], False),
        ([HOST, ("origin", "https://web.example.com")], True),
    ],
)
@pytest.mark.parametrize(
    ("method", "is_websocket"), [("POST", False), ("DELETE", False), ("PATCH", False), ("GET", True)]
)
def test_the_cookie_counts_only_from_a_page_of_this_host_or_of_an_allowed_origin(  # noqa: PLR0913 - one row of a table
    authenticator: HankoAuthenticator,
    hanko: StandInHanko,
    headers: Headers,
    method: str,
    *,
    is_websocket: bool,
    passes: bool,
) -> None:
    guard = Guard(authenticator, allowed_origins=["https://web.example.com"])
    cookie = ("cookie", f"hanko={hanko.mint()}")
    incoming = Incoming([*headers, cookie], method, "/payments", is_websocket=is_websocket)
    assert reason_of(guard, incoming) is (None if passes else Reason.ORIGIN_NOT_ALLOWED)


def test_what_no_foreign_page_can_send_needs_no_origin(authenticator: HankoAuthenticator, hanko: StandInHanko) -> None:
    """A header; and a safe method changes nothing."""
    header, cookie = ("authorization", f"Bearer {hanko.mint()}"), ("cookie", f"hanko={hanko.mint()}")
    assert reason_of(Guard(authenticator), Incoming([HOST, OTHER, header], "POST", "/")) is None
    assert reason_of(Guard(authenticator), Incoming([HOST, OTHER, cookie], "GET", "/")) is None
    assert reason_of(Guard(authenticator), Incoming([HOST, OTHER], "POST", "/")) is Reason.TOKEN_MISSING
    assert reason_of(Guard(authenticator, check_origin=False), Incoming([HOST, OTHER, cookie], "POST", "/")) is None
