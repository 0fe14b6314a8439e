"""The life of a process: outages, rotations, withdrawals, logouts, floods, wrong clocks, freezes, new sandboxes.

Over real HTTP, on clocks in the test's hand. Each token gets exactly what the model in lives.py says, with as many
fetches. `make soak` takes 100,000 steps.
"""

import json
import math
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aws import Aws
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lives import Clocks, Process, Token, World
from sandbox import MakeSandbox, Time
from servers import becomes, ends
from sizes import STEPS

from authorizer.clock import Clock
from authorizer.config import SessionMode, Settings
from authorizer.gateway.raised import AuthorizerUnavailable, Unauthorized
from authorizer.handler import Authorizer
from authorizer.hanko.client import JWKS_PATH, HttpsClient
from authorizer.hanko.failure import FetchFailed
from authorizer.hanko.keys import KeyCache
from authorizer.hanko.sessions import HankoSessions
from authorizer.hanko.tokens import TokenVerifier
from authorizer.rules.source import RulesProvider
from authorizer.telemetry import Telemetry
from local.hanko import StandInHanko
from local.hanko.keys import b64
from local.sign import event_with

STEPS_OF_A_LIFE = 50
MAX_ROTATIONS, MAX_LOGINS = 3, 6  # to make either takes long
MANY_STEPS = 10_000  # in which everything happens
STALLED_SECONDS = 2  # a machine that stood still is no failure of Hanko's, but a fetch would take it for one
SPANS = [*([0.5, 1, 2, 5.5, 9, 12, 29, 31, 36, 61] * 3), 300, 601, 601, 3_600, 43_000, 43_900]
NOW = 1_800_000_000.0
DAY_SECONDS = 86_400
ID, OTHER_ID = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
FAILURES: dict[str, dict[str, Any]] = {
    "500": {"mode": "status", "code": 500},
    "404": {"mode": "status", "code": 404},
    "junk": {"mode": "body", "data": "[]"},
}
HOW = [*FAILURES, *(["normal"] * 4)]
counted: Counter[str] = Counter()


class Life(RuleBasedStateMachine):
    """One Hanko, and one process after the other."""

    capture: pytest.CaptureFixture[str]
    tokens: Bundle[Token] = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.clocks, self.world = Clocks(NOW, NOW), World()
        self.hanko = StandInHanko(now=lambda: self.clocks.hanko).start()
        self.world.published = self.hanko.kids
        self.known: list[Token] = []
        self.turn = self.rotations = 0
        self.is_over = False

    def teardown(self) -> None:
        self._end()
        self.hanko.close()
        counted["lives"] += 1

    @initialize(
        target=tokens,
        mode=st.sampled_from(["off", "hybrid", "strict"]),
        on_outage=st.sampled_from(["fail", "allow"]),
        prefetches=st.booleans(),
    )
    def born(self, mode: str, on_outage: str, *, prefetches: bool) -> Token:
        self.variables = {"mode": mode, "on_outage": on_outage}
        self.settings = Settings.from_env(
            {
                "HANKO_API_URL": self.hanko.url,
                "HANKO_AUDIENCE": "localhost",
                "HANKO_SESSION_CHECK": mode,
                "HANKO_SESSION_ON_OUTAGE": on_outage,
                "HANKO_FETCH_TIMEOUT_SECONDS": "5",
            }
        )
        self._start(prefetches=prefetches)
        return self._login(43_200)

    def _start(self, *, prefetches: bool) -> None:
        clock = Clock(wall=lambda: self.clocks.wall, monotonic=lambda: self.clocks.monotonic)
        self.client = HttpsClient(self.settings, clock, attempts=1)  # further ones only take real time
        began = time.monotonic()
        self.prefetch = self.client.start(JWKS_PATH) if prefetches else None
        assert self.prefetch is None or ends(self.prefetch)
        self._has_stalled(began)
        keys = KeyCache(self.settings, self.client, clock, self.prefetch)
        off = self.settings.session_check is SessionMode.OFF
        self.authorizer = Authorizer(
            self.settings,
            keys,
            TokenVerifier(self.settings, keys, clock),
            RulesProvider(lambda: None, clock),
            Telemetry(self.settings, "test"),
            session_checks=[] if off else [HankoSessions(self.settings, self.client)],
        )
        self.process = Process(self.clocks, self.world, **self.variables, prefetches=prefetches)

    def _end(self) -> None:
        with suppress(FetchFailed):
            if self.prefetch is not None:
                self.prefetch.result()
        self.client.close()

    # --- what happens

    @rule(prefetches=st.booleans())
    def a_new_sandbox(self, *, prefetches: bool) -> None:
        self._end()
        self._start(prefetches=prefetches)

    @rule(seconds=st.sampled_from(SPANS))
    def time_passes(self, seconds: float) -> None:
        self.clocks.hanko += seconds
        self.clocks.wall += seconds
        self.clocks.monotonic += seconds

    @rule(seconds=st.sampled_from(SPANS))
    def the_process_is_frozen(self, seconds: float) -> None:
        self.clocks.hanko += seconds
        self.clocks.wall += seconds

    @rule(seconds=st.sampled_from([-3_600, -65, -30, -5, 5, 15, 65, 3_600]))
    def the_clock_jumps(self, seconds: float) -> None:
        self.clocks.wall += seconds

    @rule()
    def the_clock_is_right_again(self) -> None:
        self.clocks.wall = self.clocks.hanko

    @precondition(lambda self: self.rotations < MAX_ROTATIONS)
    @rule()
    def hanko_signs_with_a_new_key(self) -> None:
        self.rotations += 1
        self.world.published = [self.hanko.rotate(), *self.world.published]

    @precondition(lambda self: len(self.world.published) > 1)
    @rule()
    def hanko_withdraws_its_oldest_key(self) -> None:
        self.hanko.withdraw(self.world.published[-1])
        self.world.published = self.world.published[:-1]

    @rule(keys=st.sampled_from(HOW), validate=st.sampled_from(HOW))
    def hanko_answers(self, keys: str, validate: str) -> None:
        self.world.is_down, self.world.keys, self.world.validate = False, keys, validate
        for endpoint, failure in (("keys", keys), ("validate", validate)):
            self.hanko.behave(**FAILURES.get(failure, {"mode": "normal"}), endpoint=endpoint)

    @rule()
    def hanko_is_well(self) -> None:
        self.hanko_answers("normal", "normal")

    @rule()
    def hanko_is_well_and_so_is_the_clock(self) -> None:
        self.hanko_is_well()
        self.the_clock_is_right_again()

    @rule()
    def hanko_is_down(self) -> None:
        self.hanko.behave("down")
        self.world.is_down = True

    @rule(token=tokens)
    def somebody_logs_out(self, token: Token) -> None:
        self.hanko.end_session(token.session_id)
        self.world.ended.add(token.session_id)
        self.a_user(token)

    @precondition(lambda self: len(self.known) < MAX_LOGINS)
    @rule(target=tokens, lifetime_seconds=st.sampled_from([600, 43_200]))
    def somebody_logs_in(self, lifetime_seconds: int) -> Token:
        return self._login(lifetime_seconds)

    def _login(self, lifetime_seconds: int) -> Token:
        user_id, session_id = str(uuid.uuid4()), str(uuid.uuid4())
        claims = {"sub": user_id, "session_id": session_id}
        issued_at = math.floor(self.clocks.hanko)
        text = self.hanko.mint(claims=claims, lifetime_seconds=lifetime_seconds)
        token = Token(text, self.world.published[0], session_id, user_id, issued_at, issued_at + lifetime_seconds)
        self.known.append(token)
        return token

    # --- who asks

    @invariant()
    def the_next_user(self) -> None:
        """After each event, in turns."""
        counted["steps"] += 1
        if self.known:
            self.turn += 1
            self.a_user(self.known[self.turn % len(self.known)])

    @rule(token=tokens)
    def a_user(self, token: Token) -> None:
        self._gets(token.text, token)

    @rule(token=tokens)
    def a_forger(self, token: Token) -> None:
        head, signature = token.text.rsplit(".", 1)
        self._gets(
            f"{head}.{signature[:-9]}{'B' if signature[-9] == 'A' else 'A'}{signature[-8:]}", token, is_forged=True
        )

    @rule(token=tokens, strangers=st.integers(1, 7))
    def a_flood(self, token: Token, strangers: int) -> None:
        """Of key ids that Hanko never had."""
        _, payload, signature = token.text.split(".")
        for _ in range(strangers):
            kid = str(uuid.uuid4())
            header = b64(json.dumps({"alg": "RS256", "kid": kid, "typ": "JWT"}).encode())
            self._gets(f"{header}.{payload}.{signature}", Token("", kid, "", "", 0, 0))

    def _has_stalled(self, began: float) -> bool:
        """Whether the machine stood still since then. This life is over: it is not known what a fetch came to."""
        if time.monotonic() - began > STALLED_SECONDS:
            counted["stalled"] += 1
            self.is_over = True
        return self.is_over

    def _gets(self, text: str, token: Token, *, is_forged: bool = False) -> None:
        if self.is_over:
            return
        began = time.monotonic()
        try:
            answer: Any = self.authorizer.handle(event_with("http_v1", text), "invocation")
            passed = answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
        except (Unauthorized, AuthorizerUnavailable):
            passed = False
        (record,) = map(json.loads, self.capture.readouterr().out.splitlines())
        if self._has_stalled(began):
            return
        expected = self.process.must_say(token, is_forged=is_forged)
        counted["questions"] += 1
        counted[expected] += 1
        assert record["reason"] == expected, record
        assert passed is (expected == "allowed")
        assert record.get("KeyFetches", 0) == self.process.fetches
        assert (record.get("SessionChecks", 0) > 0) is self.process.asks


def test_the_life_of_a_process_is_that_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    Life.capture = capsys
    lives = settings(
        max_examples=STEPS * 5 // 4 // STEPS_OF_A_LIFE,  # some lives are shorter
        stateful_step_count=STEPS_OF_A_LIFE,
        deadline=None,
        derandomize=STEPS < MANY_STEPS,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    counted.clear()
    run_state_machine_as_test(Life, settings=lives)
    with capsys.disabled():
        print(dict(counted))  # noqa: T201 - what `make soak` is run for
    every = {"allowed", "key_unknown", "key_unchecked", "keys_unavailable", "signature_invalid", "token_expired"}
    rare = {"session_ended", "session_unchecked", "token_early", "token_not_yet_valid"}
    assert (every | rare if STEPS >= MANY_STEPS else every) <= counted.keys()


@pytest.mark.parametrize("frozen", ["at rest", "during its first fetch"])
def test_a_process_that_was_frozen_for_a_day(
    frozen: str, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time, aws: Aws
) -> None:
    """Keys, verdicts and connections of yesterday do not count, and nothing of them is left over."""
    sockets = open_sockets()
    lives, over = (hanko.mint(lifetime_seconds=2 * DAY_SECONDS, claims={"session_id": one}) for one in (ID, OTHER_ID))
    if frozen == "during its first fetch":
        hanko.behave("slow", delay_seconds=0.3)
    sandbox = make_sandbox(session_check="hybrid", aws=aws, prefetch=True)
    if frozen == "at rest":
        assert all(isinstance(sandbox.answer(event_with("http_v2", one)), dict) for one in (lives, over))
        sandbox.output()
    time_.wall += DAY_SECONDS  # the monotonic clock stood still
    hanko.behave("normal")
    hanko.end_session(OTHER_ID)
    for token in (lives, over, lives):
        sandbox.answer(event_with("http_v2", token))
    records = sandbox.records()
    assert [one["reason"] for one in records] == ["allowed", "session_ended", "allowed"]
    fetches = [one.get("KeyFetches", 0) for one in records]
    assert fetches in ([1, 0, 0], [2, 0, 0])  # the first fetch is counted if it was over just before the freeze
    assert [one.get("SessionChecks", 0) for one in records] == [1, 2, 0]  # "not valid" is asked for again
    sandbox.client.close()
    assert becomes(lambda: threads_of_connections() == [] and open_sockets() == sockets)


def threads_of_connections() -> list[str]:
    """Ours that fetch, and the stand-in's that answer."""
    return [one.name for one in threading.enumerate() if "(_run)" in one.name or "(process_request_thread)" in one.name]


def open_sockets() -> int:
    """Those of this process, the stand-in's among them."""
    return sum(link_of(one).startswith("socket:") for one in Path("/proc/self/fd").iterdir())


def link_of(descriptor: Path) -> str:
    with suppress(OSError):  # it may be closed this very moment
        return str(descriptor.readlink())
    return ""
