"""The whole handler, warm, with its record encoded by `json` and by Powertools Metrics; tokens never seen before.

python -m benchmarks.record [FILE]      prints a table, and writes it as JSON to FILE

In one process, in turns; before each call the processor's caches are filled with something else, as they are between
two invocations in Lambda. The runtime client is left out: it costs both the same, and would make the ratio smaller.
"""

import io
import itertools
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.metrics import EphemeralMetrics

from authorizer import emf
from authorizer.assembly import build_authorizer
from authorizer.errors import Reason
from authorizer.startup import start
from benchmarks.paired import ratio, report, take_turns
from local.hanko import StandInHanko
from local.sign import event_with

POOL_SIZE = 1000
CALLS_PER_ROUND = 5
WARM_UP_ROUNDS, ROUNDS = 40, 300
BAR = 1.1
OTHER_DATA = bytearray(32 << 20)  # larger than the caches

Events = Sequence[dict[str, Any]]


def main() -> None:
    """Measure and print."""
    with StandInHanko() as hanko:
        events = [event_with("http_v2", hanko.mint(session=False)) for _ in range(POOL_SIZE)]
        settings = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost", "HANKO_LOG_HASH_KEY": "a-key-for-hashes"}
        handle = build_authorizer(start(settings)).handle
        plain = emf.record_of
        contestants = {
            "json": _round(handle, plain, events),
            "json again": _round(handle, plain, events),
            "Powertools Metrics": _round(handle, with_powertools, events),
        }
        take_turns(contestants, WARM_UP_ROUNDS)
        samples = take_turns(contestants, ROUNDS)
    ratios = [ratio(samples, "Powertools Metrics", "json", BAR), ratio(samples, "json again", "json")]
    result = report(f"Record, Python {platform.python_version()}", samples, ratios)
    for file in sys.argv[1:]:
        Path(file).write_text(json.dumps(result))


@cache
def _metrics_of(service: str) -> EphemeralMetrics:
    """Made once, as the handler would."""
    return EphemeralMetrics(namespace=emf.METRICS_NAMESPACE, service=service)


def with_powertools(service: str, reason: Reason, members: emf.Members, metrics: emf.Metrics) -> emf.Members:
    """The same record by Powertools Metrics' public methods; they write floats in lists."""
    powertools = _metrics_of(service)
    more = {"level": "INFO", "outcome": reason.outcome, "reason": reason}
    for name, member in (members | more).items():
        if member is not None and member != "":
            powertools.add_metadata(name, member)
    for name, value in metrics.items():
        powertools.add_metric(name, "Count", value)
    record = dict(powertools.serialize_metric_set())
    powertools.clear_metrics()
    return record


def _round(handle: Callable[..., object], record_of: Callable[..., object], events: Events) -> Callable[[], float]:
    """One round: seconds of CPU per call."""
    endless = itertools.cycle(events)

    def run() -> float:
        emf.record_of, seconds = record_of, 0.0  # type: ignore[assignment]  # the contestant takes its place
        with redirect_stdout(io.StringIO()) as written:
            for event in itertools.islice(endless, CALLS_PER_ROUND):
                OTHER_DATA[:] = bytes(len(OTHER_DATA))
                started = time.thread_time()
                handle(event, "0b0c6f3e-0000-4000-8000-000000000000")
                seconds += time.thread_time() - started
        if len(written.getvalue().splitlines()) != CALLS_PER_ROUND:
            raise RuntimeError("a record is missing")
        return seconds / CALLS_PER_ROUND

    return run


if __name__ == "__main__":
    main()
