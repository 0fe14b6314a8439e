"""A sandbox built of the real parts, and time in the test's hand."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest
from aws import TABLE, Aws

from authorizer.clock import Clock
from authorizer.config import SessionMode, Settings
from authorizer.gateway.raised import AuthorizerUnavailable, Unauthorized
from authorizer.handler import Authorizer
from authorizer.hanko.client import JWKS_PATH, HttpsClient
from authorizer.hanko.keys import KeyCache
from authorizer.hanko.sessions import HankoSessions
from authorizer.hanko.tokens import TokenVerifier
from authorizer.revocation.check import RevocationCheck
from authorizer.revocation.table import BotocoreReader
from authorizer.rules.source import RulesProvider, rules_of
from authorizer.telemetry import Telemetry

Json = dict[str, Any]

FUNCTION_ARN = "arn:aws:lambda:eu-west-1:123456789012:function:authorizer:live"

# One known session, and what a backend receives of it.
NOW = 1_800_000_000
USER = "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"
SESSION = "5c1d2e3f-4a5b-4c6d-8e7f-8a9b0c1d2e3f"
CONTEXT = {
    "user_id": USER,
    "session_id": SESSION,
    "email": "user@example.com",
    "email_verified": True,
    "username": "example-user",
    "amr": "passkey",
    "issued_at": 1_800_000_000,
    "expires_at": 1_800_043_200,
}


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

    def __init__(  # noqa: PLR0913 - what a sandbox is made of
        self,
        settings: Settings,
        clock: Clock,
        capture: pytest.CaptureFixture[str],
        *,
        rules: str,
        prefetch: bool,
        aws: Aws | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """With `aws`, its table says what is revoked; `pause` waits before it is asked again."""
        self.settings = settings
        self.client = client = HttpsClient(settings, clock)
        self.keys = KeyCache(settings, client, clock, client.start(JWKS_PATH) if prefetch else None)
        self.verifier = TokenVerifier(settings, self.keys, clock)
        parsed = rules_of(rules)
        self.rules = RulesProvider(lambda: parsed, clock)
        off = settings.session_check is SessionMode.OFF
        self.session_checks = [] if off else [HankoSessions(settings, client)]
        self.revocations = [RevocationCheck(settings, BotocoreReader(aws.dynamodb, TABLE), clock, pause)] if aws else []
        self._capture = capture
        self.read_records = 0

    @cached_property
    def authorizer(self) -> Authorizer:
        """Built with the first event."""
        telemetry = Telemetry(self.settings, f"test-{uuid.uuid4()}")
        checks: list[RevocationCheck | HankoSessions] = [*self.revocations, *self.session_checks]
        return Authorizer(self.settings, self.keys, self.verifier, self.rules, telemetry, session_checks=checks)

    def answer(self, event: object) -> Json | str:
        """The answer; the text of the exception where the answer is given by raising."""
        try:
            return self.authorizer.handle(event, "invocation", FUNCTION_ARN)
        except (Unauthorized, AuthorizerUnavailable) as raised:
            return str(raised)

    def output(self) -> str:
        """Everything that was written since the last call."""
        captured = self._capture.readouterr()
        self.read_records += len(captured.out.splitlines())
        return captured.out + captured.err

    def records(self) -> list[Json]:
        """The records since the last call."""
        return [json.loads(line) for line in self.output().splitlines()]


MakeSettings = Callable[..., Settings]
MakeSandbox = Callable[..., Sandbox]
