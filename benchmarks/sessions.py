"""The cost of a session check: for a warm invocation, with and without a cached answer, and for a cold start."""

import http.client
import json
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count, cycle
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.cold import UNTIL, starts
from benchmarks.contestants import FROM_SOURCE, environment_for, event_of
from benchmarks.handlers import CALLS_PER_ROUND, invoker
from benchmarks.paired import Ratio, Samples, ratio, report, take_turns
from benchmarks.runtime_api import Sandbox
from local.build import ROOT
from local.hanko import StandInHanko

POOL_SIZE = 500  # sessions, all alive
WARM_UP_ROUNDS = POOL_SIZE // CALLS_PER_ROUND  # everyone's answers are remembered then
ROUNDS = 150
COLD_ROUNDS = 25
BAR = 1.05  # of the whole handler
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
        tokens = [hanko.mint() for _ in range(POOL_SIZE)]
        events = [event_of(token) for token in tokens]
        numbers = count()

        def sandbox(mode: str) -> Sandbox:
            log = logs / str(next(numbers))
            return Sandbox((sys.executable, *FROM_SOURCE), ROOT, {**environment_for(hanko), **MODES[mode]}, log)

        contestants = {mode: invoker(stack.enter_context(sandbox(mode)).invoke, cycle(events)) for mode in MODES}
        contestants["off again"] = invoker(stack.enter_context(sandbox("off")).invoke, cycle(events))
        contestants["round trip"] = stack.enter_context(_round_trips(hanko, cycle(tokens)))
        take_turns(contestants, WARM_UP_ROUNDS)
        warm = _warm(take_turns(contestants, ROUNDS))
        return [warm, _cold(take_turns(starts(sandbox, MODES, events[0]), COLD_ROUNDS))]


def _warm(samples: Samples) -> dict[str, object]:
    samples["strict less off"] = [ours - off for ours, off in zip(samples["strict"], samples["off"], strict=True)]
    ratios = [
        ratio(samples, "hybrid", "off", BAR),
        ratio(samples, "off again", "off"),
        ratio(samples, "strict less off", "round trip"),
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


@contextmanager
def _round_trips(hanko: StandInHanko, tokens: Iterator[str]) -> Iterator[Callable[[], float]]:
    """The least that a question costs: sending it and reading its answer, on an open connection."""
    context = ssl.create_default_context(cafile=hanko.ca_file)
    parts = urlsplit(hanko.url)
    connection = http.client.HTTPSConnection(str(parts.hostname), parts.port, context=context)

    def ask() -> float:
        started = time.perf_counter()
        connection.request("GET", "/sessions/validate", headers={"Authorization": f"Bearer {next(tokens)}"})
        answer = connection.getresponse().read()
        seconds = time.perf_counter() - started
        if not json.loads(answer)["is_valid"]:
            raise RuntimeError("a session is over")
        return seconds

    with closing(connection):
        yield lambda: statistics.median(ask() for _ in range(CALLS_PER_ROUND))
