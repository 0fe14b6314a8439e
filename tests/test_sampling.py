"""HANKO_LOG_ALLOWED: fewer records of allowed requests, and the same metrics."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from authorizer.config import LogAllowed, Settings
from authorizer.emf import Members, Metrics
from authorizer.errors import Reason
from authorizer.hanko.failure import FetchFailure
from authorizer.hanko.keys import KeyReport
from authorizer.model import CheckReport, CredentialSources, Decision, EventKind, Request
from authorizer.sampling import LOSS, MAX_HELD, MAX_HELD_NS
from authorizer.telemetry import Record, Telemetry

FUNCTION = "hanko-authorizer-AuthorizerFunction-1A2B3C4D5E6F"
REQUEST = Request(EventKind.REST_REQUEST, CredentialSources(), "f6g7h8i9j0", "prod", "arn", "GET", "EXqgWgXxDoEFSkEg=")
ALLOWED = Decision(Reason.ALLOWED, "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01")
REFUSED = Decision(Reason.TOKEN_EXPIRED)
CHECKED = (CheckReport("revocation", 1), CheckReport("session", 1))

Json = dict[str, Any]


class Timed(Record):
    """A record on the test's clock; the same durations in every run, so that the sums can be compared."""

    def __init__(self, decision: Decision, now_ns: int) -> None:
        super().__init__("0b0c6f3e-0000-4000-8000-000000000000")
        self.request, self.decision, self.started_ns = REQUEST, decision, now_ns

    def common(self, keys: KeyReport) -> tuple[Members, Metrics]:
        members, metrics = super().common(keys)
        return members, metrics | {"Duration": round(0.197 + self.started_ns % 7 / 1000, 3)}


class Process:
    """One process, with an allowed request every `step_ns` and the durations that the test says."""

    def __init__(self, log_allowed: LogAllowed, capture: pytest.CaptureFixture[str], step_ns: int = 1) -> None:
        required = {"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "example.com"}
        settings = Settings.from_env(required | {"HANKO_LOG_ALLOWED": log_allowed})
        self.telemetry, self.capture, self.step_ns = Telemetry(settings, FUNCTION), capture, step_ns
        self.now_ns = self.bytes = 0
        self.read_all: list[Json] = []

    def write(
        self,
        decision: Decision = ALLOWED,
        keys: KeyReport | None = None,
        checks: Sequence[CheckReport] = CHECKED,
    ) -> list[Json]:
        """What one request leaves in the log."""
        self.now_ns += self.step_ns
        record = Timed(decision, self.now_ns)
        self.telemetry.write(record, keys or KeyReport(), checks)
        text = self.capture.readouterr().out
        self.bytes += len(text.encode())
        written = [json.loads(line) for line in text.splitlines()]
        self.read_all += written
        return written


def sums(records: list[Json]) -> dict[str, tuple[float, int]]:
    """Each metric as CloudWatch adds it up: its sum, and of those that are listed the number of values."""
    totals: dict[str, tuple[float, int]] = {}
    for record in records:
        (directive,) = record["_aws"]["CloudWatchMetrics"]
        for name in (metric["Name"] for metric in directive["Metrics"]):
            values = record[name] if isinstance(record[name], list) else [record[name]]
            assert len(values) <= 100, "EMF takes no more"
            total, count = totals.get(name, (0, 0))
            totals[name] = (round(total + sum(values), 6), count + len(values))
    return {name: (total, count if name == "Duration" else 0) for name, (total, count) in totals.items()}


Start = Callable[..., Process]


@pytest.fixture
def start(capsys: pytest.CaptureFixture[str]) -> Start:
    def begin(log_allowed: LogAllowed, step_ns: int = 1) -> Process:
        return Process(log_allowed, capsys, step_ns)

    return begin


def run(process: Process) -> Process:
    """10,000 allowed requests, with a refusal now and then and at the end."""
    for number in range(10_000):
        process.write()
        if number % 1000 == 999:
            process.write(REFUSED)
    return process


@pytest.mark.parametrize("log_allowed", [LogAllowed.SAMPLED, LogAllowed.NONE])
def test_a_tenth_of_the_bytes_and_the_same_metrics(log_allowed: LogAllowed, start: Start) -> None:
    whole, thinned = run(start(LogAllowed.ALL)), run(start(log_allowed))
    assert sums(thinned.read_all) == sums(whole.read_all)
    assert sums(whole.read_all)["Allowed"] == (10_000, 0)
    assert thinned.bytes <= whole.bytes / 10, f"{thinned.bytes / whole.bytes:.3f}"


def test_a_busy_process_writes_one_in_a_hundred(start: Start) -> None:
    process = start(LogAllowed.SAMPLED)
    for _ in range(10_000):
        process.write()
    assert [len(process.write()) for _ in range(1000)].count(1) == 10
    assert process.read_all[-1]["request_id"] == REQUEST.request_id


def test_at_most_a_twentieth_is_lost_whenever_the_process_ends(start: Start) -> None:
    process, written = start(LogAllowed.SAMPLED), 0.0
    for number in range(1, 5000):
        written += sum(record["Allowed"] for record in process.write())
        assert 0 <= number - written <= min(number / LOSS, MAX_HELD), number


def test_nothing_is_held_back_for_longer_than_ten_seconds_while_requests_come(start: Start) -> None:
    process = start(LogAllowed.SAMPLED)
    for _ in range(10_000):
        process.write()
    process.write(REFUSED)
    assert process.write() == []
    process.now_ns += MAX_HELD_NS
    (record,) = process.write()
    assert record["Allowed"] == 2


@pytest.mark.parametrize(
    ("decision", "keys", "checks"),
    [
        (REFUSED, None, CHECKED),
        (Decision(Reason.RULE_NOT_MET), None, CHECKED),
        (Decision(Reason.KEYS_UNAVAILABLE), None, CHECKED),
        (Decision(Reason.WARM_UP), None, CHECKED),
        (ALLOWED._replace(session_unchecked=True), None, CHECKED),
        (ALLOWED._replace(stale_rules="text"), None, CHECKED),
        (ALLOWED._replace(left_out=("name",)), None, CHECKED),
        (ALLOWED, KeyReport(12, 1), CHECKED),
        (ALLOWED, KeyReport(12, 1, FetchFailure.TLS), CHECKED),
        (ALLOWED, KeyReport(12, stale=True), CHECKED),
        (ALLOWED, None, (CheckReport("session", 0, "circuit_open"),)),
    ],
)
def test_what_is_no_everyday_request_is_always_written(
    decision: Decision, keys: KeyReport | None, checks: Sequence[CheckReport], start: Start
) -> None:
    process = start(LogAllowed.NONE)
    for _ in range(1000):
        process.write()
    (record,) = process.write(decision, keys, checks)
    assert record["request_id"] == REQUEST.request_id


def test_none_writes_nothing_about_an_everyday_request_but_its_metrics(start: Start) -> None:
    process = start(LogAllowed.NONE)
    assert "user" in process.write()[0], "the first of a process says that it has started"
    (record,) = process.write()
    members = {name for name in record if not name[0].isupper()}
    assert members == {"_aws", "level", "service", "outcome", "reason"}


def test_nothing_is_held_back_unless_the_setting_says_so(start: Start) -> None:
    process = start(LogAllowed.ALL)
    assert {len(process.write()) for _ in range(200)} == {1}
