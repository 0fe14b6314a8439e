"""The cost of the revocation table: for a warm invocation, with and without a cached answer, and for a cold start.

DynamoDB is MiniStack's, over loopback, so the cost of a question is a ratio to that of a bare one, and what the table
adds to a cold start is a ratio to what it adds to that of an earlier build (see before.py).
"""

import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import count, cycle
from pathlib import Path
from typing import Any

from benchmarks.before import earlier_sources
from benchmarks.cold import UNTIL, starts
from benchmarks.contestants import FROM_SOURCE, environment_for, event_of
from benchmarks.handlers import CALLS_PER_ROUND, invoker
from benchmarks.paired import Samples, ratio, report, take_turns
from benchmarks.runtime_api import Sandbox
from local.aws import LocalAws
from local.build import ROOT
from local.hanko import StandInHanko

TABLE = "revoked"
POOL_SIZE = 20  # sessions: each is asked about anew once a minute, and remembered in between
WARM_UP_ROUNDS, ROUNDS, COLD_ROUNDS = 10, 150, 25
BAR = 1.05  # of the whole handler
BEFORE = "before: "
ON = {"HANKO_REVOCATION_TABLE": TABLE}
MODES: dict[str, dict[str, str]] = {
    "off": {},
    "remembered": {**ON, "HANKO_REVOCATION_CACHE_SECONDS": "60"},
    "asked": ON,
}


def measure() -> list[dict[str, object]]:
    """Warm and cold."""
    with ExitStack() as stack:
        hanko = stack.enter_context(StandInHanko(tls=True))
        aws = stack.enter_context(LocalAws())
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        tokens = [hanko.mint() for _ in range(POOL_SIZE)]
        events = [event_of(token) for token in tokens]
        numbers = count()

        earlier = earlier_sources()

        def sandbox(mode: str) -> Sandbox:
            sources = earlier if mode.startswith(BEFORE) else ROOT
            environment = {**environment_for(hanko), **aws.environment, **MODES[mode.removeprefix(BEFORE)]}
            environment["PYTHONPATH"] = str(sources)
            return Sandbox((sys.executable, *FROM_SOURCE), sources, environment, logs / str(next(numbers)))

        client = _client_with_table(aws)
        contestants = {mode: invoker(stack.enter_context(sandbox(mode)).invoke, cycle(events)) for mode in MODES}
        contestants["off again"] = invoker(stack.enter_context(sandbox("off")).invoke, cycle(events))
        contestants["bare BatchGetItem"] = lambda: statistics.median(_ask(client) for _ in range(CALLS_PER_ROUND))
        take_turns(contestants, WARM_UP_ROUNDS)
        warm = _warm(take_turns(contestants, ROUNDS))
        starting = starts(sandbox, ("off", "asked", f"{BEFORE}off", f"{BEFORE}asked"), events[0])
        take_turns(starting, 1)  # so that all bytecode is written
        return [warm, _cold(take_turns(starting, COLD_ROUNDS))]


def _warm(samples: Samples) -> dict[str, object]:
    samples["asked less off"] = [ours - off for ours, off in zip(samples["asked"], samples["off"], strict=True)]
    ratios = [
        ratio(samples, "remembered", "off", BAR),
        ratio(samples, "off again", "off"),
        ratio(samples, "asked less off", "bare BatchGetItem"),
    ]
    return report("Revocation table, a warm invocation", samples, ratios)


def _cold(samples: Samples) -> dict[str, object]:
    for build in ("", BEFORE):
        asked, off = samples[f"{build}asked, answered"], samples[f"{build}off, answered"]
        samples[f"{build}the table"] = [one - other for one, other in zip(asked, off, strict=True)]
    ratios = [ratio(samples, f"asked, {until}", f"off, {until}") for until in UNTIL]
    added = statistics.median(samples["the table"]) / statistics.median(samples[f"{BEFORE}the table"])
    print(f"  the table adds ÷ what it added before: {added:.3f} (medians)")
    return report("Revocation table, a cold start: until ready, until the first answer", samples, ratios)


def _client_with_table(aws: LocalAws) -> Any:  # noqa: ANN401 - botocore makes its clients' methods at run time
    client = aws.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "subject", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "subject", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def _ask(client: Any) -> float:  # noqa: ANN401 - as above
    """The least that a question costs with botocore."""
    keys = [{"subject": {"S": f"{kind}#0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"}} for kind in ("session", "user")]
    started = time.perf_counter()
    client.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})
    return time.perf_counter() - started
