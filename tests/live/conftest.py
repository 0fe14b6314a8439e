"""A real Hanko that somebody runs: where it is, and our product in front of it.

docs/real-hanko.md says what each variable is. What this Hanko cannot do is named in WITHOUT, or its tests fail.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from aws import Aws
from live.real_hanko import Mails, RealHanko, Webhooks, call
from receiving import MakeReceiving
from sandbox import MakeSettings, Sandbox, Time
from servers import running

from authorizer.clock import Clock
from authorizer.config import Settings
from local.sign import event_with

WITHOUT = set(filter(None, os.environ.get("WITHOUT", "").split(",")))
KINDS = ("admin", "mail", "webhooks", "idle", "template", "rotation", "database", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what WITHOUT names, and nothing else."""
    if wrong := WITHOUT - set(KINDS):
        raise pytest.UsageError(f"WITHOUT names {', '.join(sorted(wrong))}; there are: {', '.join(KINDS)}")
    for item in items:
        marker = item.get_closest_marker("needs")
        if marker and (missing := WITHOUT & set(marker.args)):
            item.add_marker(pytest.mark.skip(reason=f"WITHOUT={','.join(sorted(missing))}"))


def variable(name: str, default: str | None = None) -> str:
    """From the environment. Fails if it is not there."""
    value = os.environ.get(name) or default
    if value is None:
        pytest.fail(f"{name} is not set: see docs/real-hanko.md", pytrace=False)
    return value


class RealTime(Time):
    """Time that nobody holds."""

    @property
    def clock(self) -> Clock:
        return Clock()

    def advance(self, seconds: float) -> None:
        """A pause is one."""
        time.sleep(seconds)


@pytest.fixture
def time_() -> Time:
    return RealTime()


@pytest.fixture(scope="session")
def hanko() -> RealHanko:
    url = variable("HANKO_API_URL").rstrip("/")
    admin_url = "" if "admin" in WITHOUT else variable("ADMIN_URL").rstrip("/")
    return RealHanko(url, admin_url, variable("HANKO_AUDIENCE"))


@pytest.fixture
def make_settings(hanko: RealHanko) -> MakeSettings:
    def make(**variables: str) -> Settings:
        named = {f"HANKO_{name.upper()}": value for name, value in variables.items()}
        given = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": hanko.audience, "HANKO_FETCH_TIMEOUT_SECONDS": "5"}
        return Settings.from_env({**given, **named})

    return make


@pytest.fixture(scope="session")
def mails() -> Iterator[Mails]:
    """The server at MAIL_PORT, to which Hanko's `email_delivery` leads."""
    with Mails(int(variable("MAIL_PORT", "2525"))) as server, running(server):
        yield server


@pytest.fixture
def receive() -> list[Callable[[bytes], int]]:
    """What answers webhooks, if a test puts something in."""
    return []


@pytest.fixture
def webhooks(hanko: RealHanko, receive: list[Callable[[bytes], int]]) -> Iterator[Webhooks]:
    """A webhook for all events, registered by the admin API for the time of one test."""
    with Webhooks(lambda body: receive[-1](body) if receive else 200) as server, running(server):
        callback = f"http://{variable('CALLBACK_HOST', '127.0.0.1')}:{server.server_port}/hanko"
        registered = call(f"{hanko.admin_url}/webhooks", {"callback": callback, "events": ["user", "session"]})
        assert registered.status == 201, registered.body
        try:
            yield server
        finally:
            call(f"{hanko.admin_url}/webhooks/{registered.json['id']}", method="DELETE")


@pytest.fixture
def table(make_receiving: MakeReceiving, aws: Aws, receive: list[Callable[[bytes], int]]) -> Aws:
    """The revocation table, and our receiver behind `webhooks`, which writes it."""
    receive.append(make_receiving(revoke_on_password_change="true").post)
    return aws


@pytest.fixture
def rotate() -> Callable[[], object]:
    """Run ROTATE, the command that gives this Hanko another key and returns when it is up again."""
    return lambda: run("ROTATE")


@pytest.fixture
def no_database() -> Callable[[], AbstractContextManager[None]]:
    """Run DATABASE_DOWN, and at the end DATABASE_UP, the commands that stop and start this Hanko's database."""

    @contextmanager
    def without() -> Iterator[None]:
        run("DATABASE_DOWN")
        try:
            yield
        finally:
            run("DATABASE_UP")

    return without


def run(name: str) -> None:
    """The command in that variable."""
    subprocess.run(shlex.split(variable(name)), check=True, timeout=120, stdout=subprocess.DEVNULL)  # noqa: S603 - of who runs this


def answer(sandbox: Sandbox, token: str) -> str:
    """What a REST API's caller gets: "Allow", or the word that API Gateway makes a status of."""
    given = sandbox.answer(event_with("rest_request", token))
    if isinstance(given, str):
        return given
    effect: str = given["policyDocument"]["Statement"][0]["Effect"]
    return effect


def reason(sandbox: Sandbox) -> str:
    """The reason in the last record."""
    return str(sandbox.records()[-1]["reason"])
