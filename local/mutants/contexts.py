"""A pytest plugin under `coverage run`: which test executes which line, and how long each test takes."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage

BUSY = 8  # a test can take so many times as long on a busy machine

SECONDS: dict[str, float] = {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if coverage := Coverage.current():
        coverage.switch_context(item.nodeid)
    began, cpu_began = time.monotonic(), time.process_time()
    result = yield
    SECONDS[item.nodeid] = max(time.process_time() - cpu_began, (time.monotonic() - began) / BUSY)
    return result


def pytest_sessionfinish() -> None:
    Path(os.environ["MUTANTS_SECONDS"]).write_text(json.dumps(SECONDS))
