"""`python -m benchmarks [section ...]`: measure, print, and keep the figures in .local/bench/results.json.

Sections: before, verification, rules, handlers, emulator, cold, storms, footprint, sessions, revocations, scale,
library. Without one, all are measured. The figures of sections that are not measured stay in the file.
"""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchmarks import (
    before,
    cold,
    emulator,
    footprint,
    handlers,
    peers,
    picture,
    revocations,
    scale,
    sessions,
    storms,
)
from benchmarks.contestants import Field
from local.build import ROOT
from local.command_line import run

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = peers.FOLDER / "results.json"


def main() -> None:
    """Measure the sections that the arguments name."""
    peers.FOLDER.mkdir(parents=True, exist_ok=True)
    field = Field()
    sections = _sections(field)
    if unknown := set(sys.argv[1:]) - set(sections):
        sys.exit(f"no section {', '.join(sorted(unknown))}; there are: {', '.join(sections)}")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, this Python {platform.python_version()}"
    machine += f"; functions run on {field.runtimes}"
    print(f"{machine}. Ratios are medians of paired rounds (a tenth of them is below, a tenth above the range).")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in sys.argv[1:] or sections:
        started = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "load": round(os.getloadavg()[0], 2)}
        results[name] = {**started, "machine": machine, "results": sections[name]()}
        RESULTS.write_text(json.dumps(results, indent=2))
    print(f"\nwritten to {RESULTS.relative_to(ROOT)}")
    picture.draw(results, RESULTS.with_name("speed.svg"))


def _sections(field: Field) -> "dict[str, Callable[[], Any]]":
    return {
        "verification": lambda: [_alone("verification", python) for python in peers.pythons()],
        "rules": lambda: [_alone("rules", python) for python in peers.pythons()],
        "handlers": lambda: handlers.measure(field),
        "emulator": lambda: emulator.measure(field),
        "cold": lambda: cold.measure(field),
        "before": lambda: before.measure(field),
        "storms": lambda: storms.measure(field),
        "footprint": lambda: footprint.measure(field),
        "sessions": sessions.measure,
        "revocations": revocations.measure,
        "scale": scale.measure,
        "library": lambda: _alone("library", peers.lambda_python()),
    }


def _alone(module: str, python: peers.Python) -> object:
    """Run a module in a process of its own, on that Python. It prints its report, and writes it to a file."""
    file = peers.FOLDER / f"{module}.json"
    command = [*python.command, "-m", f"benchmarks.{module}", str(file)]
    own = {**os.environ, "PYTHONPATH": str(python.packages)}
    subprocess.run(command, cwd=ROOT, check=True, env=own)  # noqa: S603 - ourselves
    return json.loads(file.read_text())


if __name__ == "__main__":
    run(main)
