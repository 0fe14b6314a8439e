"""The peak memory of each contestant after a thousand calls, and the size of its zip file."""

import tempfile
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

from benchmarks.contestants import AGAIN, ISSUER, NODE, OURS, Field, event_of
from local.hanko import StandInHanko

CALLS = 1000
MEMORY_BAR, ZIP_BAR_MB = 0.75, 6.0


def measure(field: Field) -> dict[str, object]:
    """The memory of all contestants, and the sizes of their uploads."""
    rows: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        hanko = stack.enter_context(StandInHanko(tls=True, issuer=ISSUER))
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        events = [event_of(hanko.mint(session=False)) for _ in range(100)]
        for number, (name, contestant) in enumerate(field.everybody().items()):
            if name == AGAIN:
                continue
            with contestant.sandbox(hanko, logs / str(number)) as sandbox:
                for event in islice(cycle(events), CALLS):
                    sandbox.invoke(event)
                rows[name] = {"peak_memory_mb": sandbox.peak_memory_bytes / 1e6}
    for name, size_bytes in field.zipped_bytes().items():
        rows[name]["zip_mb"] = size_bytes / 1e6
    return _report(rows)


def _report(rows: dict[str, dict[str, float]]) -> dict[str, object]:
    print(f"\nPeak memory after {CALLS:,} calls, and the zip file\n{'':24}   MB   zipped MB")
    for name, row in rows.items():
        size = f"{row['zip_mb']:.2f}" if "zip_mb" in row else ""
        print(f"{name:24}{row['peak_memory_mb']:6.1f}{size:>10}")
    result: dict[str, object] = {"title": "Footprint", "rows": rows}
    if NODE in rows:
        result["memory_ratio"] = ratio = rows[OURS]["peak_memory_mb"] / rows[NODE]["peak_memory_mb"]
        print(f"  memory, {OURS} \u00f7 {NODE}: {ratio:.3f}   bar {MEMORY_BAR:g}: {_verdict(ratio <= MEMORY_BAR)}")
    print(f"  zip file of ours   bar {ZIP_BAR_MB:g} MB: {_verdict(rows[OURS]['zip_mb'] <= ZIP_BAR_MB)}")
    return result


def _verdict(met: bool) -> str:  # noqa: FBT001 - the one thing that it is about
    return "met" if met else "MISSED"
