"""The stand-in Hanko over real HTTP, a clock in the test's hand, and a sandbox built of the real parts."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.gateway.raised import AuthorizerUnavailable, Unauthorized
from authorizer.handler import Authorizer
from authorizer.hanko.fetch import JWKS_PATH, HttpsClient
from authorizer.hanko.keys import KeyCache
from authorizer.hanko.tokens import TokenVerifier
from authorizer.telemetry import Telemetry
from local.hanko import StandInHanko

Json = dict[str, Any]


@dataclass
class Time:
    """Both clocks of a sandbox. They run together unless a test freezes or jumps one of them."""

    wall: float = field(default_factory=time.time)
    monotonic: float = 1000.0

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    @property
    def clock(self) -> Clock:
        return Clock(wall=lambda: self.wall, monotonic=lambda: self.monotonic)


class Sandbox:
    """One Lambda sandbox, as `lambda_function` builds it, but on the test's clock."""

    def __init__(
        self, settings: Settings, clock: Clock, capture: pytest.CaptureFixture[str], *, prefetch: bool
    ) -> None:
        self.settings = settings
        client = HttpsClient(settings, clock)
        self.keys = KeyCache(settings, client, clock, client.start(JWKS_PATH) if prefetch else None)
        self.verifier = TokenVerifier(settings, self.keys, clock)
        self._capture = capture

    @cached_property
    def authorizer(self) -> Authorizer:
        """Built with the first event: Powertools takes the stdout of the moment, and pytest's changes behind set-up."""
        return Authorizer(self.settings, self.keys, self.verifier, Telemetry(self.settings, f"test-{uuid.uuid4()}"))

    def answer(self, event: object) -> Json | str:
        """The answer; the text of the exception where the answer is given by raising."""
        try:
            return self.authorizer.handle(event, "invocation")
        except (Unauthorized, AuthorizerUnavailable) as raised:
            return str(raised)

    def output(self) -> str:
        """Everything that was written since the last call."""
        captured = self._capture.readouterr()
        return captured.out + captured.err

    def records(self) -> tuple[list[Json], list[Json]]:
        """The log lines and the metric records since the last call."""
        lines = [json.loads(line) for line in self.output().splitlines()]
        return [line for line in lines if "_aws" not in line], [line for line in lines if "_aws" in line]


MakeSettings = Callable[..., Settings]
MakeSandbox = Callable[..., Sandbox]


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
def make_sandbox(make_settings: MakeSettings, time_: Time, capsys: pytest.CaptureFixture[str]) -> MakeSandbox:
    """A new sandbox: `make_sandbox(http_api_response="policy")`, with `prefetch=True` as it starts in AWS."""

    def make(*, prefetch: bool = False, **variables: str) -> Sandbox:
        return Sandbox(make_settings(**variables), time_.clock, capsys, prefetch=prefetch)

    return make


@pytest.fixture
def sandbox(make_sandbox: MakeSandbox) -> Sandbox:
    return make_sandbox()
