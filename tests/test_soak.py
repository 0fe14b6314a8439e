"""One process for a very long time: it needs no more than after its first tenth. `make soak` runs a million."""

import json
import os
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from servers import becomes
from sizes import INVOCATIONS

from local.hanko import StandInHanko
from local.runtime import HANDLER, lambda_environment
from local.sign import SHAPES, event_with, token_with

ROOT = Path(__file__).parent.parent
PLACE = "a-place-for-a-token"  # invocations.py puts a stranger's there
SESSIONS = max(20, min(INVOCATIONS // 200, 5_000))  # with 5,000 what is remembered of them is full, and forgotten again
BAD = ["expired", "wrong_audience", "webhook", "tampered", "alg_none", "missing", "no_session_id"]
START_SECONDS = 120  # of pytest, on a machine that has much to do
MORE_BYTES = 2 * 1024 * 1024  # than after the first tenth: two bytes for each of a million invocations


def events(hanko: StandInHanko) -> dict[str, Any]:
    shapes = [shape for shape in SHAPES if not shape.startswith(("console", "websocket_"))]
    tokens = [hanko.mint() for _ in range(SESSIONS)]
    ended = str(uuid.uuid4())
    refused = [hanko.mint(claims={"session_id": ended}), *(token_with(defect, hanko) for defect in BAD)]
    hanko.end_session(ended)
    return {
        "good": [event_with(shapes[number % len(shapes)], token) for number, token in enumerate(tokens)],
        "bad": [event_with(shape, token) for token in refused for shape in shapes],
        "empty": [event_with(shape, PLACE) for shape in shapes],
        "invocations": INVOCATIONS,
    }


def test_a_process_needs_no_more_than_after_its_first_tenth(tmp_path: Path) -> None:
    """Keys come and go stale, sessions are asked about, strangers send what was never seen."""
    with StandInHanko() as hanko:
        environment = {
            **lambda_environment(HANDLER, ROOT),
            "PYTHONPATH": str(ROOT),
            "HANKO_API_URL": hanko.url,
            "HANKO_AUDIENCE": "localhost",
            "HANKO_KEYS_MAX_AGE_SECONDS": "60",
            "HANKO_KEYS_COOLDOWN_SECONDS": "1",
            "HANKO_SESSION_CHECK": "hybrid",
        }
        run = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, str(ROOT / "tests" / "invocations.py"), str(tmp_path / "needs")],
            input=json.dumps(events(hanko)), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
    every = [json.loads(line) for line in (tmp_path / "needs").read_text().splitlines()]
    first, *rest = every[9:]  # from the first tenth on
    print(*[first, *rest[9::10]], hanko.state, sep="\n")  # noqa: T201 - what `make soak` is run for
    assert len(rest) == 90
    last = rest[-1]
    assert not last.keys() & {"good: False", "bad: True", "unknown: True"}
    # Hanko answers too late where the machine stands still.
    assert last.get("good: None", 0) + last.get("unknown: None", 0) <= INVOCATIONS / 1000
    assert {(one["descriptors"], one["threads"]) for one in rest} == {(first["descriptors"], first["threads"])}
    assert max(one["memory"] for one in rest) <= first["memory"] + MORE_BYTES


def mentioned(path: Path) -> list[str]:
    """The command lines of all processes with this path in them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended this moment
            found.append((process / "cmdline").read_text())
    return [line for line in found if str(path) in line]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_leaves_no_process(tmp_path: Path, ended_by: signal.Signals) -> None:
    """`kill` of a soak test left its process at work, for hours."""
    test, folder = f"{__file__}::{test_a_process_needs_no_more_than_after_its_first_tenth.__name__}", tmp_path / "run"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={folder}", test]
    environment = {**os.environ, "INVOCATIONS": "100000"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as run:  # noqa: S603 - ours
        assert becomes(lambda: any(folder.rglob("needs")), START_SECONDS)  # it is at work
        run.send_signal(ended_by)
        run.wait(START_SECONDS)
    assert becomes(lambda: not mentioned(folder))
