"""`python -m benchmarks`: measure everything, print it, and write it to .local/bench/results.json."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime

from benchmarks import handlers, peers, revocations, sessions
from local.build import ROOT

RESULTS = peers.FOLDER / "results.json"


def main() -> None:
    """Measure."""
    peers.FOLDER.mkdir(parents=True, exist_ok=True)
    pythons, node = peers.pythons(), peers.node_peer()
    started = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "load": os.getloadavg()[0]}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {started['load']:.1f}"
    print(f"{machine}. Ratios are medians of paired rounds (a tenth of them is below, a tenth above the range).")
    alone = [_alone(module, python) for module in ("verification", "rules") for python in pythons]
    results = [*alone, handlers.measure(pythons, node), *sessions.measure(), *revocations.measure()]
    RESULTS.write_text(json.dumps({**started, "machine": machine, "results": results}, indent=2))
    print(f"\nwritten to {RESULTS.relative_to(ROOT)}")


def _alone(module: str, python: str) -> object:
    """In a process of its own, on that Python; it prints its report itself, and leaves it as JSON in a file."""
    file = peers.FOLDER / f"{module}.json"
    command = [python, "-m", f"benchmarks.{module}", str(file)]
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - ourselves
    return json.loads(file.read_text())


if __name__ == "__main__":
    main()
