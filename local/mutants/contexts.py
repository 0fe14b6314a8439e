"""A pytest plugin under `coverage run`: which test executes which line, and how long each test takes."""

import json
import os
from pathlib import Path

import pytest
from coverage import Coverage

SECONDS: dict[str, float] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    if coverage := Coverage.current():
        coverage.switch_context(item.nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    SECONDS[report.nodeid] = SECONDS.get(report.nodeid, 0) + report.duration


def pytest_sessionfinish() -> None:
    Path(os.environ["MUTANTS_SECONDS"]).write_text(json.dumps(SECONDS))
