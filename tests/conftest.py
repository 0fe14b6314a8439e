"""The stand-in Hanko over real HTTP, and what tests build on it."""

import functools
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from aws import Aws
from entering import Start, entry_modules
from moto import mock_aws
from receiving import MakeReceiving, Receiving
from sandbox import MakeSandbox, MakeSettings, Sandbox, Time
from servers import drops_every_syn

from authorizer.config import Settings
from local.deployment import Deployment
from local.hanko import StandInHanko


def pytest_configure() -> None:
    """A run that is ended with SIGTERM ends as with Ctrl-C: every `with` is left, and no process stays behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture
def time_() -> Time:
    return Time()


@pytest.fixture
def hanko(time_: Time) -> Iterator[StandInHanko]:
    with StandInHanko(now=lambda: time_.wall) as stand_in:
        yield stand_in


@pytest.fixture
def make_settings(hanko: StandInHanko) -> MakeSettings:
    """Settings for the stand-in; keyword arguments are more variables, without their HANKO_ prefix."""

    def make(**variables: str) -> Settings:
        named = {f"HANKO_{name.upper()}": value for name, value in variables.items()}
        return Settings.from_env({"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost", **named})

    return make


@pytest.fixture
def make_sandbox(make_settings: MakeSettings, time_: Time, capsys: pytest.CaptureFixture[str]) -> Iterator[MakeSandbox]:
    """A new sandbox: `make_sandbox(http_api_response="policy")`, with `prefetch=True` as it starts in AWS.

    With `aws=` it looks into the revocation table there.
    """
    with ExitStack() as at_the_end:

        def make(*, rules: str = "", prefetch: bool = False, aws: Aws | None = None, **variables: str) -> Sandbox:
            settings = make_settings(**variables)
            sandbox = Sandbox(
                settings, time_.clock, capsys, rules=rules, prefetch=prefetch, aws=aws, pause=time_.advance
            )
            at_the_end.callback(sandbox.client.close)
            return sandbox

        yield make


@pytest.fixture
def sandbox(make_sandbox: MakeSandbox) -> Sandbox:
    return make_sandbox()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """An empty revocation table and an empty queue."""
    with mock_aws():  # which brings credentials of its own
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        shared = _aws_clients()
        shared.create()
        yield shared


@pytest.fixture
def make_receiving(
    make_settings: MakeSettings, time_: Time, aws: Aws, capsys: pytest.CaptureFixture[str]
) -> MakeReceiving:
    """A new sandbox of the webhooks' receiver; keyword arguments are settings."""
    return lambda **variables: Receiving(make_settings(**variables), time_, aws, capsys)


@pytest.fixture
def receiving(make_receiving: MakeReceiving) -> Receiving:
    return make_receiving()


@pytest.fixture
def nowhere() -> Iterator[tuple[str, int]]:
    with drops_every_syn("127.0.0.2") as address:
        yield address


@pytest.fixture
def nowhere_ipv6() -> Iterator[tuple[str, int]]:
    with drops_every_syn("::1") as address:
        yield address


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    with entry_modules(monkeypatch) as start:
        yield start


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """One local AWS with everything deployed, for tests/end_to_end and tests/browser."""
    with Deployment(print) as deployed:
        yield deployed


@functools.cache
def _aws_clients() -> Aws:
    """A client takes longer to make than most tests to run."""
    return Aws()
