"""When a process connects, and what it shows of itself. test_lambda_function.py and test_snapshot.py have the rest."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from authorizer.errors import Misconfigured
from authorizer.startup import start
from local.build import ROOT

HANG_GUARD_SECONDS = 15
START = (
    "import os, sys\n"
    "from authorizer.startup import start\n"
    "assert 'authorizer.config' not in sys.modules\n"
    "start(os.environ, is_receiver=sys.argv[1:] == ['receiver'])\n"
    "sys.exit('started')"
)
WRONG = {"HANKO_CLOCK_SKEW_SECONDS": "much"}  # so that no fetch begins: whoever connects does it early


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(HANG_GUARD_SECONDS)
        yield server


def refused_start(listener: socket.socket, *arguments: str, **environ: str) -> str:
    """Start a process whose settings are wrong, with Hanko at this listener. What it says is wrong."""
    port = listener.getsockname()[1]
    given = {"HANKO_API_URL": f"http://127.0.0.1:{port}", "HANKO_AUDIENCE": "localhost", **environ}
    own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")} | given
    process = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", START, *arguments], cwd=ROOT, env=own, capture_output=True, text=True, check=False
    )
    record = json.loads(process.stdout)
    assert record["reason"] == "settings_invalid", process.stderr
    return str(record["mistakes"])


@pytest.mark.parametrize(
    ("arguments", "environ", "wrong"),
    [([], WRONG, "HANKO_CLOCK_SKEW_SECONDS"), (["receiver"], {}, "HANKO_REVOCATION_TABLE")],
    ids=["authorizer", "receiver"],
)
def test_the_connection_opens_before_the_settings_are_read(
    listener: socket.socket, arguments: list[str], environ: dict[str, str], wrong: str
) -> None:
    """It costs nothing but that: where the settings are wrong, not one byte is sent."""
    assert wrong in refused_start(listener, *arguments, **environ)
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(HANG_GUARD_SECONDS)
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTPS_PROXY": "http://127.0.0.1:9"},
        {"https_proxy": "http://127.0.0.1:9"},
        {"HANKO_KEYS_FILE": "keys.json"},
        {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"},
        {"HANKO_API_URL": "http://hanko.example.com"},
        {"HANKO_API_URL": ""},
    ],
    ids=["proxy", "proxy in small letters", "bundled keys", "snapshot", "not encrypted", "no URL"],
)
def test_nothing_connects_early(listener: socket.socket, environ: dict[str, str]) -> None:
    """A proxy is spoken to first, bundled keys may do without, a snapshot has no socket, a URL must be right."""
    refused_start(listener, **WRONG, **environ)
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_url_that_is_wrong_is_told_with_all_other_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Misconfigured):
        start({"HANKO_API_URL": "http://hanko.example.com", "HANKO_AUDIENCE": " "})
    told = json.loads(capsys.readouterr().out)["mistakes"]
    assert [line.split()[0] for line in told] == ["HANKO_API_URL", "HANKO_AUDIENCE"]


def test_what_a_process_has_shows_no_credentials() -> None:
    secret = "wJalr-secret"
    environ = {
        "HANKO_API_URL": "https://hanko.example.com",
        "HANKO_AUDIENCE": "app.example.com",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",  # connects to nothing
        "AWS_SECRET_ACCESS_KEY": secret,
    }
    started = start(environ)
    assert started.prefetch is None
    assert secret not in repr(started)
