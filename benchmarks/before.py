"""An earlier build beside this one, in one paired run: warm, cold, and the bytes written for an allowed request.

BEFORE names the earlier revision. Its artifact is built from its own sources, with its own build script.
"""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.cold import starts
from benchmarks.contestants import ISSUER, NODE, Contestant, Field, event_of
from benchmarks.handlers import SIGNATURE, WARM_UP_ROUNDS, invoker
from benchmarks.paired import Ratio, Samples, ratio, report, take_turns
from benchmarks.peers import FOLDER, artifact
from local.build import ROOT
from local.hanko import StandInHanko

REVISION = os.environ.get("BEFORE", "f449938")
NEW, OLD, NEW_AGAIN, OLD_AGAIN, EMPTY = (
    "this build",
    "before",
    "this build again",
    "before again",
    "empty Python handler",
)
EMPTY_NODE = "empty Node handler"
WARM_ROUNDS, COLD_ROUNDS, POOL_SIZE = 150, 40, 1000
MEMORY_BAR = 0.9


class Start(NamedTuple):
    """A kind of cold start, and what its ratio to Node's must not exceed."""

    latency_ms: int
    node_bar: float
    what: str = ""


STARTS = (Start(0, 1.0), Start(30, 0.78))
BUNDLED = Start(30, 0.5, ", bundled keys")


def measure(field: Field) -> list[dict[str, object]]:
    """One report for the warm handler, one for each kind of cold start."""
    old = field.ours(_earlier_artifact(REVISION))
    new = field.ours(field.artifact)
    everybody = {NEW: new, OLD: old, NEW_AGAIN: new, OLD_AGAIN: old}
    others = {name: one for name, one in field.everybody().items() if name in (NODE, EMPTY, EMPTY_NODE)}
    others[SIGNATURE] = field.python_peer("signature")
    with ExitStack() as stack:
        hanko = stack.enter_context(StandInHanko(tls=True, issuer=ISSUER))
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        warm = _warm(everybody | others, hanko, logs)
        starting = everybody | ({NODE: others[NODE]} if NODE in others else {})
        cold = [_cold(starting, hanko, logs, kind) for kind in STARTS]
        return [warm, *cold, _cold_with_bundled_keys(field, starting, hanko, logs)]


def _earlier_artifact(revision: str) -> Path:
    """The artifact of that revision, built for the same Python and machine."""
    return artifact("before", earlier_sources(revision))


def earlier_sources(revision: str = REVISION) -> Path:
    """A folder with the sources of that revision."""
    sources = FOLDER / "before-sources"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S603, S607 - their git
    subprocess.run(["tar", "-x"], cwd=sources, input=archive, check=True)  # noqa: S607 - the developer's tar
    return sources


def _warm(contestants: dict[str, Contestant], hanko: StandInHanko, logs: Path) -> dict[str, object]:
    events = [event_of(hanko.mint(session=False)) for _ in range(POOL_SIZE)]
    with ExitStack() as stack:
        sandboxes = {
            name: stack.enter_context(one.sandbox(hanko, logs / f"warm-{number}"))
            for number, (name, one) in enumerate(contestants.items())
        }
        invokers = {name: invoker(sandbox.invoke, cycle(events)) for name, sandbox in sandboxes.items()}
        take_turns(invokers, WARM_UP_ROUNDS)
        sizes = {name: (logs / f"warm-{number}").stat().st_size for number, name in enumerate(contestants)}
        samples = take_turns(invokers, WARM_ROUNDS)
        written = {
            name: ((logs / f"warm-{number}").stat().st_size - sizes[name]) / (20 * WARM_ROUNDS)
            for number, name in enumerate(contestants)
        }
        memory = {name: sandbox.peak_memory_bytes for name, sandbox in sandboxes.items()}
    result = report("Handler, warm, tokens never seen before, RSA-4096", samples, _ratios(samples, bar=1.02))
    own_part = _own_part(samples)
    shrunk = memory[NEW] / memory[OLD]
    print(f"  peak memory: {memory[NEW] / 1e6:.1f} ÷ {memory[OLD] / 1e6:.1f} MB = {shrunk:.3f}   bar {MEMORY_BAR:g}")
    print(f"  bytes per allowed request: {written[NEW]:.0f} ÷ {written[OLD]:.0f} = {written[NEW] / written[OLD]:.3f}")
    return {**result, "bytes": written, "own_part": own_part, "memory": memory}


def _own_part(samples: Samples) -> float:
    """Print what each handler takes above an empty one; return the ratio of the new to the old build."""
    empty = {NEW: EMPTY, OLD: EMPTY, SIGNATURE: EMPTY} | ({NODE: EMPTY_NODE} if NODE in samples else {})
    own = {
        name: [one - floor for one, floor in zip(samples[name], samples[floors], strict=True)]
        for name, floors in empty.items()
    }
    own_part = ratio(own, NEW, OLD, 0.7)
    print(f"  own part (above the empty handler): {own_part.line}")
    for name, seconds in own.items():
        print(f"    {name}: {statistics.median(seconds) * 1e6:.0f} µs")
    return own_part.median


def _cold(contestants: dict[str, Contestant], hanko: StandInHanko, logs: Path, kind: Start) -> dict[str, object]:
    latency_seconds = kind.latency_ms / 1000
    hanko.accept_delay_seconds = latency_seconds
    hanko.behave("slow", delay_seconds=latency_seconds)
    number = iter(range(10_000))

    def sandbox(name: str) -> Any:  # noqa: ANN401 - a Sandbox that is not started yet
        return contestants[name].sandbox(hanko, logs / f"cold-{kind.latency_ms}-{next(number)}")

    runs = starts(sandbox, contestants, event_of(hanko.mint(session=False)))
    runs = {name.removesuffix(", answered"): run for name, run in runs.items() if name.endswith(", answered")}
    take_turns(runs, 2)
    samples = take_turns(runs, COLD_ROUNDS)
    title = f"Cold start to first answer, key server {kind.latency_ms} ms away{kind.what}"
    return report(title, samples, _ratios(samples, bar=1.02, node_bar=kind.node_bar))


def _cold_with_bundled_keys(
    field: Field, contestants: dict[str, Contestant], hanko: StandInHanko, logs: Path
) -> dict[str, object]:
    members = {"hanko_api_url": hanko.url, "fetched_at": int(time.time()), **hanko.jwks}
    files = [one.folder / "keys.json" for name, one in contestants.items() if name in (NEW, OLD)]
    bundled = {
        name: one if name == NODE else field.ours(one.folder, HANKO_KEYS_FILE="keys.json")
        for name, one in contestants.items()
    }
    for file in files:
        file.write_text(json.dumps(members))
    try:
        return _cold(bundled, hanko, logs, BUNDLED)
    finally:
        for file in files:
            file.unlink()


def _ratios(samples: Samples, bar: float, node_bar: float = 1.0) -> list[Ratio]:
    ours = [ratio(samples, NEW, OLD, bar), ratio(samples, NEW_AGAIN, NEW), ratio(samples, OLD_AGAIN, OLD)]
    others = [name for name in samples if name not in (NEW, OLD, NEW_AGAIN, OLD_AGAIN)]
    return ours + [ratio(samples, NEW, name, node_bar if name == NODE else None) for name in others]
