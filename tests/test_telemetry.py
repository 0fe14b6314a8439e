"""One log line and one metric record per request: whole literals, and nothing of the caller but a hash."""

import io
import json
import sys
import uuid
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import ANY

import pytest

from authorizer import __version__
from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason
from authorizer.hanko.failure import FetchFailure
from authorizer.hanko.keys import KeyReport
from authorizer.model import CheckReport, CredentialSources, Decision, EventKind, Outcome, Request
from authorizer.telemetry import METRICS_NAMESPACE, Record, Telemetry, write_not_started

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
ALLOWED = Decision(Outcome.ALLOWED, Reason.ALLOWED, USER, {"user_id": USER, "email": "SECRET"})

Json = dict[str, Any]
Written = tuple[Json, Json]
Write = Callable[..., Written]


def settings(**variables: str) -> Settings:
    required = {"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "example.com"}
    return Settings.from_env({**required, "HANKO_LOG_HASH_KEY": "a-hash-key-for-tests", **variables})


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Callable[[], Written]:
    """The log line and the metric record since the last call: one of each, and nothing else."""

    def read() -> Written:
        captured = capsys.readouterr()
        assert captured.err == ""
        first, second = (json.loads(line) for line in captured.out.splitlines())
        return (second, first) if "_aws" in first else (first, second)

    return read


@pytest.fixture
def write(written: Callable[[], Written]) -> Write:
    def call(
        decision: Decision | None = ALLOWED,
        keys: KeyReport | None = None,
        request: Request | None = REQUEST,
        checks: Sequence[CheckReport] = (),
        **variables: str,
    ) -> Written:
        telemetry = Telemetry(settings(**variables), f"function-{uuid.uuid4()}")
        telemetry.write(Record("invocation-1", request, decision), keys or KeyReport(), checks)
        return written()

    return call


def test_an_allowed_request_as_a_whole(write: Write) -> None:
    line, metrics = write(keys=KeyReport(age_seconds=12.4))
    assert line == {
        "level": "INFO",
        "message": "allowed",
        "timestamp": ANY,
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
        "key_set_age_seconds": 12,
        "key_fetches": 0,
        "stale_keys": False,
        "duration_ms": ANY,
    }
    assert metrics == {
        "_aws": {
            "Timestamp": ANY,
            "CloudWatchMetrics": [
                {
                    "Namespace": "HankoAuthorizer",
                    "Dimensions": [["service"]],
                    "Metrics": [
                        {"Name": "Allowed", "Unit": "Count"},
                        {"Name": "Duration", "Unit": "Milliseconds"},
                        {"Name": "KeySetAge", "Unit": "Seconds"},
                    ],
                }
            ],
        },
        "service": line["service"],
        "kind": "http_api_v2",
        "reason": "allowed",
        "Allowed": [1.0],
        "Duration": [line["duration_ms"]],
        "KeySetAge": [12.0],
    }
    assert METRICS_NAMESPACE == "HankoAuthorizer"
    assert line["service"].startswith("function-")
    assert 0 <= line["duration_ms"] < 60_000


@pytest.mark.parametrize(
    ("decision", "level", "fault", "metric"),
    [
        (Decision(Outcome.ALLOWED, Reason.ALLOWED), "INFO", None, "Allowed"),
        (Decision(Outcome.UNAUTHENTICATED, Reason.TOKEN_EXPIRED), "WARNING", "caller", "Unauthenticated"),
        (Decision(Outcome.FORBIDDEN, Reason.NOT_A_SESSION), "WARNING", "caller", "Forbidden"),
        (Decision(Outcome.UNAVAILABLE, Reason.KEYS_UNAVAILABLE), "ERROR", "hanko", "Unavailable"),
        (Decision(Outcome.UNAVAILABLE, Reason.INTERNAL), "ERROR", "authorizer", "Unavailable"),
        (Decision(Outcome.UNAUTHENTICATED, Reason.SESSION_ENDED), "WARNING", "caller", "Unauthenticated"),
        (Decision(Outcome.UNAVAILABLE, Reason.KEY_UNCHECKED), "ERROR", "caller", "KeyUnchecked"),
        (Decision(Outcome.UNAVAILABLE, Reason.SESSION_UNCHECKED), "ERROR", "hanko", "Unavailable"),
        (Decision(Outcome.UNAVAILABLE, Reason.REVOCATION_UNCHECKED), "ERROR", "aws", "Unavailable"),
        (Decision(Outcome.MISCONFIGURED, Reason.ARN_INVALID), "ERROR", "deployment", "Misconfigured"),
    ],
)
def test_every_outcome_has_a_level_a_fault_and_a_metric(
    write: Write, decision: Decision, level: str, fault: str | None, metric: str
) -> None:
    line, metrics = write(decision)
    assert (line["level"], line["message"], line["outcome"]) == (level, *[decision.outcome.value] * 2)
    assert (line["reason"], line.get("fault")) == (decision.reason.value, fault)
    assert "user" not in line
    counted = [name for name in metrics if metrics[name] == [1.0]]
    assert counted == [metric]
    assert metrics["reason"] == decision.reason.value


def test_without_a_decision_it_is_an_internal_error(write: Write) -> None:
    line, metrics = write(None)
    assert (line["level"], line["outcome"], line["reason"]) == ("ERROR", "unavailable", "internal")
    assert metrics["Unavailable"] == [1.0]


def test_without_a_request_the_kind_is_unknown(write: Write) -> None:
    line, metrics = write(Decision(Outcome.UNAUTHENTICATED, Reason.EVENT_UNKNOWN), request=None)
    assert (line["kind"], line["invocation_id"], metrics["kind"]) == ("unknown", "invocation-1", "unknown")
    assert not {"api_id", "stage", "method", "request_id"} & line.keys()


def test_what_an_api_kind_does_not_have_is_left_out(write: Write) -> None:
    line, _ = write(request=Request(EventKind.APPSYNC, CredentialSources(), "api1", "", "", "", ""))
    assert (line["kind"], line["api_id"]) == ("appsync", "api1")
    assert not {"stage", "method", "request_id"} & line.keys()


@pytest.mark.parametrize(
    ("keys", "fields", "expected"),
    [
        (
            KeyReport(),
            {"key_fetches": 0, "stale_keys": False},
            {},
        ),
        (
            KeyReport(age_seconds=0.4, fetches=1),
            {"key_set_age_seconds": 0, "key_fetches": 1, "stale_keys": False},
            {"KeySetAge": [0.0], "KeyFetches": [1.0], "KeyFetchFailures": [0.0]},
        ),
        (
            KeyReport(age_seconds=1000.6, fetches=2, failure=FetchFailure.TIMEOUT, stale=True),
            {"key_set_age_seconds": 1001, "key_fetches": 2, "key_fetch_failure": "timeout", "stale_keys": True},
            {"KeySetAge": [1001.0], "KeyFetches": [2.0], "KeyFetchFailures": [1.0], "StaleKeys": [1.0]},
        ),
        (
            KeyReport(fetches=1, failure=FetchFailure.TLS),
            {"key_fetches": 1, "key_fetch_failure": "tls", "stale_keys": False},
            {"KeyFetches": [1.0], "KeyFetchFailures": [1.0]},
        ),
    ],
)
def test_the_key_set_is_reported(write: Write, keys: KeyReport, fields: Json, expected: Json) -> None:
    line, metrics = write(keys=keys)
    assert {name: value for name, value in line.items() if "key" in name} == fields
    assert {name: value for name, value in metrics.items() if "Key" in name} == expected


@pytest.mark.parametrize(
    ("checks", "fields", "expected"),
    [
        ([], {}, {}),
        ([CheckReport("session")], {"session_checks": 0}, {}),
        (
            [CheckReport("session", checks=1)],
            {"session_checks": 1},
            {"SessionChecks": [1.0], "SessionFailures": [0.0]},
        ),
        (
            [CheckReport("revocation", 1, "throttled"), CheckReport("session", 0, "circuit_open")],
            {"revocation_checks": 1, "revocation_failure": "throttled"}
            | {"session_checks": 0, "session_failure": "circuit_open"},
            {"RevocationChecks": [1.0], "RevocationFailures": [1.0], "SessionChecks": [0.0], "SessionFailures": [1.0]},
        ),
    ],
)
def test_the_session_checks_are_reported(write: Write, checks: list[CheckReport], fields: Json, expected: Json) -> None:
    line, metrics = write(checks=checks)
    names = ("session", "revocation")
    assert {name: value for name, value in line.items() if name.startswith(names)} == fields
    assert {name: value for name, value in metrics.items() if name.lower().startswith(names)} == expected


def test_a_session_that_passed_unchecked_is_marked_and_counted(write: Write) -> None:
    line, metrics = write(ALLOWED._replace(session_unchecked=True))
    assert (line["outcome"], line["session_unchecked"]) == ("allowed", True)
    assert (metrics["Allowed"], metrics["SessionUnchecked"]) == ([1.0], [1.0])
    line, metrics = write()
    assert "session_unchecked" not in line
    assert "SessionUnchecked" not in metrics


# --- the user


def test_a_hash_depends_on_its_key_and_on_the_user(write: Write) -> None:
    other = ALLOWED._replace(principal_id="5c1d2e3f-4a5b-4c6d-8e7f-8a9b0c1d2e3f")
    again, other_key, other_user = write(), write(HANKO_LOG_HASH_KEY="another-hash-key"), write(other)
    assert again[0]["user"] == "b1bc8d13bcb6513045d2ad37"
    assert other_key[0]["user"] != again[0]["user"] != other_user[0]["user"]


def test_without_a_key_every_sandbox_has_a_hash_of_its_own(write: Write) -> None:
    users = {write(HANKO_LOG_HASH_KEY="")[0]["user"] for _ in range(3)}
    assert len(users) == 3
    assert {len(user) for user in users} == {24}


def test_the_user_is_whole_only_where_the_deployer_says_so(write: Write) -> None:
    assert write(HANKO_LOG_USER_ID="true")[0]["user"] == USER
    line, metrics = write(HANKO_LOG_USER_ID="false")
    assert USER not in json.dumps([line, metrics])


def test_neither_offers_nor_context_are_written(write: Write) -> None:
    assert "SECRET" not in json.dumps(write())


def test_one_function_writes_many_records(written: Callable[[], Written]) -> None:
    telemetry = Telemetry(settings(), f"function-{uuid.uuid4()}")
    for decision in (ALLOWED, Decision(Outcome.UNAUTHENTICATED, Reason.TOKEN_MISSING)):
        telemetry.write(Record("invocation-1", REQUEST, decision), KeyReport())
        line, metrics = written()
        assert metrics[decision.outcome.value.title()] == [1.0]
        assert metrics["reason"] == line["reason"] == decision.reason.value
        assert len(metrics["_aws"]["CloudWatchMetrics"][0]["Metrics"]) == 2  # nothing is left of the one before


# --- unforeseen errors, and the function that does not start


def test_texts_from_outside_stay_texts(write: Write) -> None:
    hostile = 'a","outcome":"allowed\n{"_aws":1}\\%s\ud800'
    request = REQUEST._replace(method=hostile, request_id=hostile, api_id=hostile, stage=hostile)
    line, metrics = write(ALLOWED._replace(rule=hostile, outcome=Outcome.FORBIDDEN), request=request)
    assert [line[name] for name in ("api_id", "stage", "method", "request_id", "rule")] == [hostile] * 5
    assert line["outcome"] == "forbidden"
    assert metrics["Forbidden"] == [1.0]


def test_a_stream_that_cannot_be_written_to_is_nobodys_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = io.StringIO()
    broken.close()
    monkeypatch.setattr(sys, "stdout", broken)
    Telemetry(settings(), f"function-{uuid.uuid4()}").write(Record("invocation-1", REQUEST, ALLOWED), KeyReport())
    assert "ValueError" in capsys.readouterr().err


def test_a_name_with_a_percent_sign_is_a_name(written: Callable[[], Written]) -> None:
    name = f"100%s-{uuid.uuid4()}"
    Telemetry(settings(), name).write(Record("invocation-1", REQUEST, ALLOWED), KeyReport())
    assert [record["service"] for record in written()] == [name, name]


def test_a_trace_tells_where_and_never_what(written: Callable[[], Written]) -> None:
    record = Record("invocation-1", REQUEST, Decision(Outcome.UNAVAILABLE, Reason.INTERNAL))
    try:
        fail("SECRET")
    except ValueError as error:
        record.trace(error)
    line_number = fail.__code__.co_firstlineno + 1
    assert record.stack == [ANY, f"test_telemetry.py:{line_number} fail", "ValueError"]
    assert record.stack[0].startswith("test_telemetry.py:")
    telemetry = Telemetry(settings(), f"function-{uuid.uuid4()}")
    telemetry.write(record, KeyReport())
    line, metrics = written()
    assert line["stack"] == record.stack
    assert "SECRET" not in json.dumps([line, metrics])


def fail(text: str) -> None:
    raise ValueError(text)


def test_a_function_that_does_not_start_says_what_is_wrong(written: Callable[[], Written]) -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_env({"HANKO_AUDIENCE": "example.com", "HANKO_LOG_USER_ID": "SECRET"})
    function = f"function-{uuid.uuid4()}"
    write_not_started(function, caught.value)
    line, metrics = written()
    assert line == {
        "level": "ERROR",
        "message": "misconfigured",
        "timestamp": ANY,
        "service": function,
        "version": __version__,
        "outcome": "misconfigured",
        "reason": "settings_invalid",
        "fault": "deployment",
        "mistakes": str(caught.value).splitlines()[1:],
    }
    assert [mistake.split()[0] for mistake in line["mistakes"]] == ["HANKO_API_URL", "HANKO_LOG_USER_ID"]
    assert (metrics["service"], metrics["reason"], metrics["Misconfigured"]) == (function, "settings_invalid", [1.0])
    assert "SECRET" not in json.dumps([line, metrics])
