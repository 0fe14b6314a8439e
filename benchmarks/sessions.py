"""The cost of a session check: for a warm invocation, with and without a cached answer, and for a cold start."""

import sys
import tempfile
from contextlib import ExitStack
from itertools import count, cycle
from pathlib import Path

from benchmarks.cold import UNTIL, starts
from benchmarks.contestants import environment_for, event_of
from benchmarks.handlers import CALLS_PER_ROUND, invoker
from benchmarks.paired import Ratio, Samples, ratio, report, take_turns
from benchmarks.runtime_api import Sandbox
from local.build import ROOT
from local.hanko import StandInHanko
from local.runtime import HANDLER, lambda_environment

POOL_SIZE = 500  # sessions, all alive
WARM_UP_ROUNDS = POOL_SIZE // CALLS_PER_ROUND  # everyone's answers are remembered then
ROUNDS = 150
COLD_ROUNDS = 25
BAR = 1.05  # of the whole handler
STRICT_BAR = 1.3
FLOORS = {name: f"benchmarks.python.{name}.handler" for name in ("empty", "round_trip")}
DIFFERENCES = {"strict less off": ("strict", "off"), "bare round trip": ("round_trip", "empty")}
MODES: dict[str, dict[str, str]] = {
    "off": {},
    "hybrid": {"HANKO_SESSION_CHECK": "hybrid", "HANKO_SESSION_MAX_AGE_SECONDS": "3600"},
    "strict": {"HANKO_SESSION_CHECK": "strict"},
}


def measure() -> list[dict[str, object]]:
    """Warm and cold."""
    with ExitStack() as stack:
        hanko = stack.enter_context(StandInHanko(tls=True))
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        events = [event_of(hanko.mint()) for _ in range(POOL_SIZE)]
        numbers = count()

        def sandbox(name: str) -> Sandbox:
            handler = FLOORS.get(name, HANDLER)
            own = {**environment_for(hanko), **lambda_environment(handler, ROOT), **MODES.get(name, {})}
            return Sandbox((sys.executable, "-m", "awslambdaric", handler), ROOT, own, logs / str(next(numbers)))

        contestants = {
            name: invoker(stack.enter_context(sandbox(name)).invoke, cycle(events))
            for name in (*MODES, "off again", *FLOORS)
        }
        take_turns(contestants, WARM_UP_ROUNDS)
        warm = _warm(take_turns(contestants, ROUNDS))
        return [warm, _cold(take_turns(starts(sandbox, MODES, events[0]), COLD_ROUNDS))]


def _warm(samples: Samples) -> dict[str, object]:
    for difference, (whole, part) in DIFFERENCES.items():
        samples[difference] = [more - less for more, less in zip(samples[whole], samples[part], strict=True)]
    ratios = [
        ratio(samples, "hybrid", "off", BAR),
        ratio(samples, "off again", "off"),
        ratio(samples, "strict less off", "bare round trip", STRICT_BAR),
    ]
    return report(
        "Session check, a warm invocation: hybrid remembers, strict asks, TLS kept as in the bare round trip",
        samples,
        ratios,
    )


def _cold(samples: Samples) -> dict[str, object]:
    ratios: list[Ratio] = [
        ratio(samples, f"{mode}, {until}", f"off, {until}") for until in UNTIL for mode in list(MODES)[1:]
    ]
    return report("Session check, a cold start: until ready, until the first answer", samples, ratios)
