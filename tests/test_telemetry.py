"""One record per invocation: whole literals, valid EMF, and nothing of the caller but a hash."""

import io
import json
import math
import re
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import ANY

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics

from authorizer import __version__
from authorizer.config import Settings
from authorizer.emf import METRICS_NAMESPACE
from authorizer.errors import Misconfigured, Reason
from authorizer.hanko.failure import FetchFailure
from authorizer.hanko.keys import KeyReport
from authorizer.model import CheckReport, CredentialSources, Decision, EventKind, Request
from authorizer.telemetry import MAX_STACK_PLACES, Record, Telemetry, write_not_started

USER = "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"
REQUEST = Request(
    EventKind.HTTP_API_V2,
    CredentialSources(headers={"authorization": "SECRET"}),
    "api1",
    "$default",
    "arn",
    "GET",
    "request-1",
)
ALLOWED = Decision(Reason.ALLOWED, USER, {"user_id": USER, "email": "SECRET"})

BYTES_BEFORE = 857  # of build f449938, for such a request: log line and metric record

Json = dict[str, Any]
Write = Callable[..., Json]


def settings(**variables: str) -> Settings:
    required = {"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "example.com"}
    return Settings.from_env({**required, "HANKO_LOG_HASH_KEY": "a-hash-key-for-tests", **variables})


def record_of(
    decision: Decision | None, request: Request | None = REQUEST, invocation_id: str = "invocation-1"
) -> Record:
    """As the handler fills it in; without a decision, as it is at first."""
    record = Record(invocation_id)
    record.request, record.decision = request, decision or record.decision
    return record


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Callable[[], Json]:
    """The one record since the last call, and nothing else."""

    def read() -> Json:
        captured = capsys.readouterr()
        assert captured.err == ""
        (line,) = captured.out.splitlines()
        record: Json = json.loads(line)
        assert_emf(record)
        return record

    return read


@pytest.fixture
def write(written: Callable[[], Json]) -> Write:
    def call(
        decision: Decision | None = ALLOWED,
        keys: KeyReport | None = None,
        request: Request | None = REQUEST,
        checks: Sequence[CheckReport] = (),
        **variables: str,
    ) -> Json:
        telemetry = Telemetry(settings(**variables), f"function-{uuid.uuid4()}")
        telemetry.write(record_of(decision, request), keys or KeyReport(), checks)
        return written()

    return call


UNITS = {"Seconds", "Milliseconds", "Count"}  # those of CloudWatch's MetricDatum that we use


def assert_emf(record: Json) -> None:
    """Source: CloudWatch, "Specification: Embedded metric format"."""
    assert record.keys() >= {"_aws"}
    assert record["_aws"].keys() == {"Timestamp", "CloudWatchMetrics"}
    timestamp_ms = record["_aws"]["Timestamp"]
    assert type(timestamp_ms) is int
    assert abs(timestamp_ms / 1000 - time.time()) < 60  # CloudWatch takes 14 days back and 2 hours ahead
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
    assert re.fullmatch(r"[A-Za-z0-9._/#:-]{1,255}", directive["Namespace"])
    for dimensions in directive["Dimensions"]:
        assert len(dimensions) <= 30
        for name in dimensions:
            assert isinstance(record[name], str)
            assert 1 <= len(record[name]) <= 1024
    names = [metric["Name"] for metric in directive["Metrics"]]
    assert 1 <= len(names) == len(set(names)) <= 100
    assert not {name.lower() for name in names} & {name.lower() for name in record.keys() - set(names)}
    for metric in directive["Metrics"]:
        assert metric.keys() == {"Name", "Unit"}
        assert metric["Unit"] in UNITS
        assert type(record[metric["Name"]]) in (int, float)  # a boolean is no number
        assert math.isfinite(record[metric["Name"]])
    assert [name for name in record if name[0].isupper()] == names, "every metric is declared, and nothing else is"


def test_an_allowed_request_as_a_whole(write: Write) -> None:
    record = write()
    assert record == {
        "_aws": {
            "Timestamp": ANY,
            "CloudWatchMetrics": [
                {
                    "Namespace": "HankoAuthorizer",
                    "Dimensions": [["service"]],
                    "Metrics": [
                        {"Name": "Allowed", "Unit": "Count"},
                        {"Name": "Duration", "Unit": "Milliseconds"},
                        {"Name": "ProcessStarts", "Unit": "Count"},
                    ],
                }
            ],
        },
        "level": "INFO",
        "service": ANY,
        "version": __version__,
        "kind": "http_api_v2",
        "api_id": "api1",
        "stage": "$default",
        "method": "GET",
        "request_id": "request-1",
        "invocation_id": "invocation-1",
        "outcome": "allowed",
        "reason": "allowed",
        "user": "b1bc8d13bcb6513045d2ad37",
        "Allowed": 1,
        "Duration": ANY,
        "ProcessStarts": 1,
    }
    assert METRICS_NAMESPACE == "HankoAuthorizer"
    assert record["service"].startswith("function-")
    assert 0 <= record["Duration"] < 60_000


@pytest.mark.parametrize("checks", [(), (CheckReport("session", 1), CheckReport("revocation", 0, "throttled"))])
@pytest.mark.parametrize("reason", Reason)
def test_powertools_metrics_makes_the_same_record(
    reason: Reason, checks: Sequence[CheckReport], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second opinion on EMF. It writes each value as a list of one float."""
    monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE", raising=False)
    decision = Decision(reason, USER, session_unchecked=True, stale_rules="text")
    record = write(decision, KeyReport(12.4, 1, FetchFailure.TLS, stale=True), checks=checks)
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    emf = EphemeralMetrics(namespace=METRICS_NAMESPACE, service=record["service"])
    emf.set_timestamp(record["_aws"]["Timestamp"])
    for metric in directive["Metrics"]:
        emf.add_metric(metric["Name"], metric["Unit"], record[metric["Name"]])
    names = {metric["Name"] for metric in directive["Metrics"]}
    for name, value in record.items():
        if name not in {"_aws", "service", *names}:
            emf.add_metadata(name, value)
    theirs: Json = dict(emf.serialize_metric_set())
    assert record == {name: value[0] if name in names else value for name, value in theirs.items()}


def test_a_record_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda makes a log event of each write: in two, neither would be a record."""
    stream = Stream()
    monkeypatch.setattr(sys, "stdout", stream)
    Telemetry(settings(), "function").write(record_of(ALLOWED), KeyReport())
    (text,) = stream.writes
    assert text.endswith("}\n")
    assert text.count("\n") == 1


class Stream(io.StringIO):
    """Keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


@pytest.mark.parametrize(
    ("decision", "level", "fault", "metric"),
    [
        (Decision(Reason.ALLOWED), "INFO", None, "Allowed"),
        (Decision(Reason.TOKEN_EXPIRED), "WARNING", "caller", "Unauthenticated"),
        (Decision(Reason.RULE_NOT_MET), "WARNING", "caller", "Forbidden"),
        (Decision(Reason.KEYS_UNAVAILABLE), "ERROR", "hanko", "Unavailable"),
        (Decision(Reason.INTERNAL), "ERROR", "authorizer", "Unavailable"),
        (Decision(Reason.SESSION_ENDED), "WARNING", "caller", "Unauthenticated"),
        (Decision(Reason.KEY_UNCHECKED), "ERROR", "hanko", "KeyUnchecked"),
        (Decision(Reason.SESSION_UNCHECKED), "ERROR", "hanko", "Unavailable"),
        (Decision(Reason.REVOCATION_UNCHECKED), "ERROR", "aws", "Unavailable"),
        (Decision(Reason.ARN_INVALID), "ERROR", "deployment", "Misconfigured"),
    ],
)
def test_every_outcome_has_a_level_a_fault_and_a_metric(
    write: Write, decision: Decision, level: str, fault: str | None, metric: str
) -> None:
    """An outage also counts for whose business it is; the other outcomes say it by themselves."""
    record = write(decision)
    assert (record["level"], record["outcome"]) == (level, decision.outcome.value)
    assert (record["reason"], record.get("fault")) == (decision.reason.value, fault)
    assert "user" not in record
    outage = [f"{fault.title()}Faults"] if fault in {"hanko", "aws", "authorizer"} else []
    counted = [name for name in record if name[0].isupper() and name not in {"Duration", "ProcessStarts"}]
    assert counted == [metric, *outage]


def test_without_a_decision_it_is_an_internal_error(write: Write) -> None:
    record = write(None)
    assert (record["level"], record["outcome"], record["reason"]) == ("ERROR", "unavailable", "internal")
    assert record["Unavailable"] == 1


def test_without_a_request_the_kind_is_unknown(write: Write) -> None:
    record = write(Decision(Reason.EVENT_UNKNOWN), request=None)
    assert (record["kind"], record["invocation_id"]) == ("unknown", "invocation-1")
    assert not {"api_id", "stage", "method", "request_id"} & record.keys()


def test_what_an_api_kind_does_not_have_is_left_out(write: Write) -> None:
    record = write(request=Request(EventKind.APPSYNC, CredentialSources(), "api1", "", "", "", ""))
    assert (record["kind"], record["api_id"]) == ("appsync", "api1")
    assert not {"stage", "method", "request_id"} & record.keys()


@pytest.mark.parametrize(
    ("keys", "fields", "expected"),
    [
        (KeyReport(), {}, {}),
        (KeyReport(age_seconds=0.4, fetches=1), {}, {"KeySetAge": 0, "KeyFetches": 1}),
        (
            KeyReport(age_seconds=1000.6, fetches=2, failure=FetchFailure.TIMEOUT, stale=True),
            {"key_fetch_failure": "timeout"},
            {"KeySetAge": 1001, "KeyFetches": 2, "KeyFetchFailures": 1, "StaleKeys": 1},
        ),
        (
            KeyReport(fetches=1, failure=FetchFailure.TLS),
            {"key_fetch_failure": "tls"},
            {"KeyFetches": 1, "KeyFetchFailures": 1},
        ),
    ],
)
def test_the_key_set_is_reported(write: Write, keys: KeyReport, fields: Json, expected: Json) -> None:
    record = write(keys=keys)
    assert {name: value for name, value in record.items() if "key" in name} == fields
    assert {name: value for name, value in record.items() if "Key" in name} == expected


@pytest.mark.parametrize(
    ("checks", "fields", "expected"),
    [
        ([], {}, {}),
        ([CheckReport("session")], {}, {}),
        ([CheckReport("session", checks=1)], {}, {"SessionChecks": 1}),
        (
            [CheckReport("revocation", 1, "throttled"), CheckReport("session", 0, "circuit_open")],
            {"revocation_failure": "throttled", "session_failure": "circuit_open"},
            {
                "RevocationChecks": 1,
                "RevocationFailures": 1,
                "SessionFailures": 1,
                "CircuitOpen": 1,
            },
        ),
    ],
)
def test_the_session_checks_are_reported(write: Write, checks: list[CheckReport], fields: Json, expected: Json) -> None:
    record, names = write(checks=checks), ("session", "revocation")
    assert {name: value for name, value in record.items() if name.startswith(names)} == fields
    assert {
        name: value for name, value in record.items() if name.startswith(("Session", "Revocation", "Circuit"))
    } == expected


def test_a_session_that_passed_unchecked_is_marked_and_counted(write: Write) -> None:
    record = write(ALLOWED._replace(session_unchecked=True))
    assert (record["outcome"], record["Allowed"], record["SessionUnchecked"]) == ("allowed", 1, 1)
    assert "SessionUnchecked" not in write()


# --- the user


def test_a_hash_depends_on_its_key_and_on_the_user(write: Write) -> None:
    other = ALLOWED._replace(principal_id="5c1d2e3f-4a5b-4c6d-8e7f-8a9b0c1d2e3f")
    again, other_key, other_user = write(), write(HANKO_LOG_HASH_KEY="another-hash-key"), write(other)
    assert again["user"] == "b1bc8d13bcb6513045d2ad37"
    assert other_key["user"] != again["user"] != other_user["user"]


def test_without_a_key_every_process_has_a_hash_of_its_own(write: Write) -> None:
    users = {write(HANKO_LOG_HASH_KEY="")["user"] for _ in range(3)}
    assert len(users) == 3
    assert {len(user) for user in users} == {24}


def test_the_user_is_whole_only_where_the_deployer_says_so(write: Write) -> None:
    assert write(HANKO_LOG_USER_ID="true")["user"] == USER
    record = write(HANKO_LOG_USER_ID="false")
    assert USER not in json.dumps(record)


def test_neither_offers_nor_context_are_written(write: Write) -> None:
    assert "SECRET" not in json.dumps(write())


def test_one_function_writes_many_records(written: Callable[[], Json]) -> None:
    telemetry = Telemetry(settings(), f"function-{uuid.uuid4()}")
    telemetry.write(record_of(ALLOWED), KeyReport())
    assert written()["ProcessStarts"] == 1
    for decision in (ALLOWED, Decision(Reason.TOKEN_MISSING)):
        telemetry.write(record_of(decision), KeyReport())
        record = written()
        assert record[decision.outcome.value.title()] == 1
        assert record["reason"] == decision.reason.value
        assert len(record["_aws"]["CloudWatchMetrics"][0]["Metrics"]) == 2  # nothing is left of the one before


# --- unforeseen errors, and the function that does not start


HOSTILE = [
    'a","outcome":"allowed\n{"_aws":1}\\%s',
    "\ud800",
    "\udfff\ud800",
    "\x00\x1b[31m\x7f",
    "\u2028\u2029\x85",
    "x" * 300_000,
    '{"_aws":{"Timestamp":0,"CloudWatchMetrics":[]}}',
    "\U0010ffff\ufeff",
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_texts_from_outside_stay_texts(hostile: str, write: Write) -> None:
    """Whoever may invoke the function writes these: one line, one record, the same metrics, valid EMF."""
    request = REQUEST._replace(method=hostile, request_id=hostile, api_id=hostile, stage=hostile)
    record = write(Decision(Reason.RULE_NOT_MET, rule=hostile, stale_rules=hostile), request=request)
    names = ("api_id", "stage", "method", "request_id", "rule", "stale_rules")
    assert [record[name] for name in names] == [hostile] * 6
    assert record["outcome"] == "forbidden"
    assert record["Forbidden"] == 1


@pytest.mark.parametrize("invocation_id", [*HOSTILE, None, 7, [], {"a": float("nan")}], ids=lambda one: ascii(one)[:20])
def test_an_invocation_id_may_be_anything(invocation_id: str, written: Callable[[], Json]) -> None:
    Telemetry(settings(), "function").write(record_of(ALLOWED, invocation_id=invocation_id), KeyReport())
    assert written()["invocation_id"] == str(invocation_id)


def test_an_endless_recursion_leaves_a_short_trace() -> None:
    record = Record("invocation-1")
    try:
        endless()
    except RecursionError as error:
        record.trace(error)
    assert record.stack is not None
    assert len(record.stack) == MAX_STACK_PLACES + 1
    assert record.stack[-1] == "RecursionError"


@pytest.mark.parametrize("name", ["100%s", "\udc80", 'a"b'])
def test_a_function_may_have_any_name(name: str, written: Callable[[], Json]) -> None:
    Telemetry(settings(), name).write(record_of(ALLOWED), KeyReport())
    assert written()["service"] == name


def test_an_allowed_request_writes_fewer_bytes_than_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Log line and metric record were 857 bytes for such a request; see docs/decisions/one-record.md."""
    request = REQUEST._replace(api_id="f6g7h8i9j0", request_id="EXqgWgXxDoEFSkEg=")
    record = record_of(ALLOWED, request, "0b0c6f3e-0000-4000-8000-000000000000")
    telemetry = Telemetry(settings(), "hanko-authorizer-AuthorizerFunction-1A2B3C4D5E6F")
    telemetry.write(record, KeyReport())
    capsys.readouterr()  # the first of a process says that it has started
    telemetry.write(record, KeyReport())
    assert len(capsys.readouterr().out.encode()) <= BYTES_BEFORE * 0.7


def test_a_trace_tells_where_and_never_what(written: Callable[[], Json]) -> None:
    record = record_of(Decision(Reason.INTERNAL))
    try:
        fail("SECRET")
    except ValueError as error:
        record.trace(error)
    line_number = fail.__code__.co_firstlineno + 1
    assert record.stack == [ANY, f"test_telemetry.py:{line_number} fail", "ValueError"]
    assert record.stack[0].startswith("test_telemetry.py:")
    telemetry = Telemetry(settings(), f"function-{uuid.uuid4()}")
    telemetry.write(record, KeyReport())
    assert (line := written())["stack"] == record.stack
    assert "SECRET" not in json.dumps(line)


def endless() -> None:
    endless()


def fail(text: str) -> None:
    raise ValueError(text)


def test_a_function_that_does_not_start_says_what_is_wrong(written: Callable[[], Json]) -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_env({"HANKO_AUDIENCE": "example.com", "HANKO_LOG_USER_ID": "SECRET"})
    function = f"function-{uuid.uuid4()}"
    write_not_started(function, caught.value)
    record = written()
    assert record == {
        "_aws": ANY,
        "Misconfigured": 1,
        "level": "ERROR",
        "service": function,
        "version": __version__,
        "outcome": "misconfigured",
        "reason": "settings_invalid",
        "fault": "deployment",
        "mistakes": str(caught.value).splitlines()[1:],
    }
    assert [mistake.split()[0] for mistake in record["mistakes"]] == ["HANKO_API_URL", "HANKO_LOG_USER_ID"]
    assert "SECRET" not in json.dumps(record)
