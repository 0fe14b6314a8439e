"""A cold start: from starting the process to its first answer, with a key server beside it and one 30 ms away.

Every sample is a new process with the page cache warm. The key server waits 30 ms before it says a word on a new
connection, and again before it answers: so far away are the three round trips of TCP, TLS and HTTP at the least.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from benchmarks.contestants import AGAIN, ISSUER, NODE, OURS, Contestant, Field, event_of
from benchmarks.paired import Ratio, Samples, ratio, report, take_turns
from benchmarks.runtime_api import Sandbox
from local.hanko import StandInHanko

ROUNDS = 30
LATENCIES_MS = (0, 30)
UNTIL = ("ready", "answered")
BUNDLED = "ours, bundled keys"
BARS = {OURS: 1.0, BUNDLED: 0.7}  # for a key server 30 ms away


def measure(field: Field) -> list[dict[str, object]]:
    """Both distances."""
    with ExitStack() as stack:
        hanko = stack.enter_context(StandInHanko(tls=True, issuer=ISSUER))
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        members = {"hanko_api_url": hanko.url, "fetched_at": int(time.time()), **hanko.jwks}
        (field.artifact / "keys.json").write_text(json.dumps(members))
        stack.callback((field.artifact / "keys.json").unlink)
        bundled = {BUNDLED: field.ours(field.artifact, HANKO_KEYS_FILE="keys.json")}
        everybody = field.everybody() | bundled | field.without_tricks()
        return [_measure(hanko, logs, everybody, latency_ms) for latency_ms in LATENCIES_MS]


def starts(sandbox: Callable[[str], Sandbox], modes: Iterable[str], event: bytes) -> dict[str, Callable[[], float]]:
    """For each mode: a start until the sandbox is ready, and a start until its first answer, in seconds."""

    def start(mode: str, *, answers: bool) -> Callable[[], float]:
        def run() -> float:
            started = time.perf_counter()
            with sandbox(mode) as running:
                if answers:
                    running.invoke(event)
                return time.perf_counter() - started

        return run

    return {f"{mode}, {until}": start(mode, answers=until == "answered") for mode in modes for until in UNTIL}


def _measure(hanko: StandInHanko, logs: Path, everybody: dict[str, Contestant], latency_ms: int) -> dict[str, object]:
    hanko.accept_delay_seconds = latency_ms / 1000
    hanko.behave("slow", delay_seconds=latency_ms / 1000)
    event = event_of(hanko.mint())
    numbers = count()

    def start(contestant: Contestant) -> Callable[[], float]:
        return lambda: _seconds_to_first_answer(contestant, hanko, event, logs / f"{latency_ms}-{next(numbers)}")

    contestants = {name: start(one) for name, one in everybody.items()}
    take_turns(contestants, 1)  # so that all files are in the page cache
    samples = take_turns(contestants, ROUNDS)
    return report(f"Cold start to first answer, key server {latency_ms} ms away", samples, _ratios(samples, latency_ms))


def _ratios(samples: Samples, latency_ms: int) -> list[Ratio]:
    reference = NODE if NODE in samples else OURS
    bars = BARS if latency_ms and NODE in samples else {}
    return [ratio(samples, AGAIN, OURS)] + [
        ratio(samples, name, reference, bars.get(name)) for name in samples if name not in (reference, AGAIN)
    ]


def _seconds_to_first_answer(contestant: Contestant, hanko: StandInHanko, event: bytes, log: Path) -> float:
    started = time.perf_counter()
    with contestant.sandbox(hanko, log) as sandbox:
        ready_seconds = time.perf_counter() - started
        seconds, answer = sandbox.invoke(event)
    if json.loads(answer)["isAuthorized"] is not True:
        raise RuntimeError(f"refused: {answer.decode()} {log.read_text()[-500:]}")
    log.unlink()
    return ready_seconds + seconds
