"""One log line and one metric record (EMF) per request, written in one go; the only file that knows Powertools.

Both hold ids of AWS's, words of our own closed sets, and numbers. Of the caller they hold the user id alone, and that
as a keyed hash unless the deployer wants it whole: no token, no cookie, no e-mail, no claim, no text of an exception.
"""

import hashlib
import json
import logging
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics

from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason
from authorizer.exchange import CheckReport, Decision, Outcome, Request
from authorizer.hanko.keys import KeyReport

METRICS_NAMESPACE = "HankoAuthorizer"

# Whose business it is, for whoever reads the line at 3 a.m.; what is allowed is nobody's fault.
_FAULT = {
    Outcome.UNAUTHENTICATED: "caller",
    Outcome.FORBIDDEN: "caller",
    Outcome.UNAVAILABLE: "hanko",
    Outcome.MISCONFIGURED: "deployment",
}
_FAULT_BY_REASON = {
    Reason.INTERNAL: "authorizer",
    Reason.KEY_UNCHECKED: "caller",
    Reason.CONTEXT_INVALID: "caller",
    Reason.REVOCATION_UNCHECKED: "aws",
    Reason.REVOCATION_QUEUED: "aws",
    Reason.REVOCATION_UNWRITTEN: "aws",
    Reason.RULES_UNAVAILABLE: "aws",
}
# Anybody can send unknown key ids, and users can write long names: what that causes is counted away from the alarms.
_METRIC_BY_REASON = {Reason.KEY_UNCHECKED: "KeyUnchecked", Reason.CONTEXT_INVALID: "ContextInvalid"}
_LEVEL = {
    Outcome.ALLOWED: "INFO",
    Outcome.RECEIVED: "INFO",
    Outcome.UNAVAILABLE: "ERROR",
    Outcome.MISCONFIGURED: "ERROR",
}
_UNIT = {"Duration": "Milliseconds", "KeySetAge": "Seconds"}  # all others are counts

_compact = json.JSONEncoder(separators=(",", ":")).encode


class _Traced:
    """What records have in common."""

    def __init__(self, invocation_id: str) -> None:
        """It begins now."""
        self.invocation_id = invocation_id
        self.stack: list[str] | None = None
        self._started = time.perf_counter()

    def trace(self, error: Exception) -> None:
        """Keep where an unforeseen error came from, without its text."""
        frames = traceback.walk_tb(error.__traceback__)
        places = [f"{PurePath(frame.f_code.co_filename).name}:{line} {frame.f_code.co_name}" for frame, line in frames]
        self.stack = [*places, type(error).__name__]

    def duration_ms(self) -> float:
        """Since it began."""
        return round((time.perf_counter() - self._started) * 1000, 3)


class Record(_Traced):
    """What is known of one request, filled in as it becomes known."""

    def __init__(self, invocation_id: str, request: Request | None = None, decision: Decision | None = None) -> None:
        """It begins now."""
        super().__init__(invocation_id)
        self.request, self.decision = request, decision


class WebhookRecord(_Traced):
    """What is known of one webhook, filled in as it becomes known."""

    def __init__(self, invocation_id: str, request_id: str) -> None:
        """It begins now, and what nobody has said yet is a failure."""
        super().__init__(invocation_id)
        self.request_id, self.event = request_id, ""
        self.outcome, self.reason = Outcome.UNAVAILABLE, Reason.INTERNAL
        self.status: int | None = None


class Telemetry:
    """Writes the records of one function."""

    def __init__(self, settings: Settings, function_name: str) -> None:
        """`function_name` becomes the `service` of the log lines and the one dimension of the metrics."""
        self._whole_user_id = settings.log_user_id
        self._hash_key = settings.log_hash_key.encode() if settings.log_hash_key else os.urandom(32)
        self._writer = _Writer(function_name)

    def write(self, record: Record, keys: KeyReport, checks: Sequence[CheckReport] = ()) -> None:
        """Write the log line and the metric record of one request."""
        request, decision = record.request, record.decision or Decision(Outcome.UNAVAILABLE, Reason.INTERNAL)
        duration_ms = record.duration_ms()
        line = {
            "kind": request.kind.value if request else "unknown",
            "api_id": request and request.api_id,
            "stage": request and request.stage,
            "method": request and request.method,
            "request_id": request and request.request_id,
            "invocation_id": record.invocation_id,
            "rule": decision.rule,
            "stale_rules": decision.stale_rules,
            "user": decision.principal_id and self._user(decision.principal_id),
            "duration_ms": duration_ms,
            **_key_fields(keys),
            **_check_fields(checks),
            "session_unchecked": decision.session_unchecked or None,
            "stack": record.stack,
        }
        metrics = {"Duration": duration_ms, **_key_metrics(keys), **_check_metrics(checks)}
        if decision.stale_rules:
            metrics["StaleRules"] = 1
        if decision.session_unchecked:
            metrics["SessionUnchecked"] = 1
        self._writer.write(decision.outcome, decision.reason, line, metrics)

    def write_webhook(self, record: WebhookRecord, keys: KeyReport) -> None:
        """Write the log line and the metric record of one webhook: of what it says, the family of its event alone."""
        duration_ms = record.duration_ms()
        line = {
            "kind": "webhook",
            "event": record.event,
            "status": record.status,
            "request_id": record.request_id,
            "invocation_id": record.invocation_id,
            "duration_ms": duration_ms,
            **_key_fields(keys),
            "stack": record.stack,
        }
        self._writer.write(record.outcome, record.reason, line, {"Duration": duration_ms, **_key_metrics(keys)})

    def _user(self, user_id: str) -> str:
        if self._whole_user_id:
            return user_id
        return hashlib.blake2b(user_id.encode(), key=self._hash_key, digest_size=12).hexdigest()


def write_not_started(function_name: str, error: Misconfigured) -> None:
    """Write why the function does not start: its text names the settings and repeats none of their values."""
    line = {"mistakes": str(error).splitlines()[1:]}
    _Writer(function_name).write(Outcome.MISCONFIGURED, error.reason, line, {})


class _Writer:
    """Powertools' Logger and Metrics with one write for both."""

    def __init__(self, function_name: str) -> None:
        self._service = function_name
        self._metrics = EphemeralMetrics(namespace=METRICS_NAMESPACE, service=function_name)
        self._heads: dict[tuple[Outcome, Reason], tuple[str, str, str]] = {}
        self._metric_heads: dict[tuple[str, ...], str] = {}
        Logger(service=function_name, logger_formatter=_Lines(), sampling_rate=0)  # sets up the logger of that name
        # Handed to the handler as a record of its own, a line costs a quarter of `Logger.info`, which looks for its
        # caller, its levels and filters first; and no AWS_LAMBDA_LOG_LEVEL silences the metrics.
        self._record = logging.LogRecord(function_name, logging.INFO, __file__, 0, (), None, None)
        (handler,) = logging.getLogger(function_name).handlers
        self._emit = handler.emit

    def write(self, outcome: Outcome, reason: Reason, line: Mapping[str, object], metrics: Mapping[str, float]) -> None:
        """Write a log line, without what is None or "" in it, and a metric record with the outcome counted."""
        now = datetime.now(UTC)
        if (outcome, reason) not in self._heads:
            self._heads[outcome, reason] = self._head(outcome, reason)
        head, counter, reason_ = self._heads[outcome, reason]
        tail = _compact({name: value for name, value in line.items() if value is not None and value != ""})
        kind = f'"kind":"{line["kind"]}",' if "kind" in line else ""
        self._record.msg = (
            f'{head}"timestamp":"{now.isoformat(timespec="milliseconds")}",{tail[1:]}',
            self._metric_record(now, kind + reason_, {counter: 1, **metrics}),
        )
        self._emit(self._record)

    def _head(self, outcome: Outcome, reason: Reason) -> tuple[str, str, str]:
        """What all lines of an outcome and reason begin with, the metric that counts them, the reason in its record."""
        fields = {
            "level": _LEVEL.get(outcome, "WARNING"),
            "message": outcome.value,
            "service": self._service,
            "outcome": outcome.value,
            "reason": reason.value,
        }
        if fault := _FAULT_BY_REASON.get(reason, _FAULT.get(outcome)):
            fields["fault"] = fault
        counter = _METRIC_BY_REASON.get(reason, outcome.value.title())
        return f"{_compact(fields)[:-1]},", counter, f'"reason":"{reason}"'

    def _metric_record(self, now: datetime, properties: str, metrics: Mapping[str, float]) -> str:
        """The record in EMF. What follows the time stamp is the same for the same metrics, so it is made once."""
        names = tuple(metrics)
        if names not in self._metric_heads:
            self._metric_heads[names] = self._metric_head(names)
        values = ",".join([f'"{name}":[{value}]' for name, value in metrics.items()])  # names of ours, and numbers
        milliseconds = int(now.timestamp() * 1000)
        return f'{{"_aws":{{"Timestamp":{milliseconds},{self._metric_heads[names]},{properties},{values}}}'

    def _metric_head(self, names: tuple[str, ...]) -> str:
        metrics = {name: {"Unit": _UNIT.get(name, "Count"), "Value": [0]} for name in names}
        emf = self._metrics.serialize_metric_set(metrics=metrics)
        return f'"CloudWatchMetrics":{_compact(emf["_aws"]["CloudWatchMetrics"])}}},"service":{_compact(self._service)}'


class _Lines(LambdaPowertoolsFormatter):
    """What is logged are lines of JSON, complete, in one write."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(record.msg)


def _key_fields(keys: KeyReport) -> dict[str, object]:
    return {
        "key_set_age_seconds": None if keys.age_seconds is None else round(keys.age_seconds),
        "key_fetches": keys.fetches,
        "key_fetch_failure": keys.failure.value if keys.failure else None,
        "stale_keys": keys.stale,
    }


def _key_metrics(keys: KeyReport) -> dict[str, float]:
    metrics: dict[str, float] = {}
    if keys.age_seconds is not None:
        metrics["KeySetAge"] = round(keys.age_seconds)
    if keys.fetches:
        metrics |= {"KeyFetches": keys.fetches, "KeyFetchFailures": int(keys.failure is not None)}
    if keys.stale:
        metrics["StaleKeys"] = 1
    return metrics


def _check_fields(checks: Sequence[CheckReport]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for check in checks:
        fields |= {f"{check.name}_asks": check.asks, f"{check.name}_failure": check.failure}
    return fields


def _check_metrics(checks: Sequence[CheckReport]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for check in checks:
        if check.asks or check.failure:
            name = check.name.title()
            metrics |= {f"{name}Asks": check.asks, f"{name}Failures": int(check.failure is not None)}
    return metrics
