"""One log line and one metric record (EMF) per request; the only file that knows Powertools.

Both hold ids of AWS's, words of our own closed sets, and numbers. Of the caller they hold the user id alone, and that
as a keyed hash unless the deployer wants it whole: no token, no cookie, no e-mail, no claim, no text of an exception.
"""

import hashlib
import os
import time
import traceback
from dataclasses import dataclass, field
from pathlib import PurePath

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason
from authorizer.exchange import Decision, Outcome, Request
from authorizer.hanko.keys import KeyReport

METRICS_NAMESPACE = "HankoAuthorizer"

# Whose business it is, for whoever reads the line at 3 a.m.; what is allowed is nobody's fault.
_FAULT = {
    Outcome.UNAUTHENTICATED: "caller",
    Outcome.FORBIDDEN: "caller",
    Outcome.UNAVAILABLE: "hanko",
    Outcome.MISCONFIGURED: "deployment",
}
_FAULT_BY_REASON = {Reason.INTERNAL: "authorizer", Reason.KEY_UNCHECKED: "caller"}
# Anybody can send unknown key ids: what that causes has a metric of its own, away from the alarm on `Unavailable`.
_METRIC_BY_REASON = {Reason.KEY_UNCHECKED: "KeyUnchecked"}


@dataclass(slots=True)
class Record:
    """What is known of one request, filled in as it becomes known."""

    invocation_id: str
    request: Request | None = None
    decision: Decision | None = None
    stack: list[str] | None = None
    started: float = field(default_factory=time.perf_counter)

    def trace(self, error: Exception) -> None:
        """Keep where an unforeseen error came from, without its text."""
        frames = traceback.walk_tb(error.__traceback__)
        places = [f"{PurePath(frame.f_code.co_filename).name}:{line} {frame.f_code.co_name}" for frame, line in frames]
        self.stack = [*places, type(error).__name__]


class Telemetry:
    """Writes the records of one function."""

    def __init__(self, settings: Settings, function_name: str) -> None:
        """`function_name` becomes the `service` of the log lines and the one dimension of the metrics."""
        self._whole_user_id = settings.log_user_id
        self._hash_key = settings.log_hash_key.encode() if settings.log_hash_key else os.urandom(32)
        self._logger = _logger(function_name)
        self._metrics = EphemeralMetrics(namespace=METRICS_NAMESPACE, service=function_name)

    def write(self, record: Record, keys: KeyReport) -> None:
        """Write the log line and the metric record of one request."""
        decision = record.decision or Decision(Outcome.UNAVAILABLE, Reason.INTERNAL)
        duration_ms = round((time.perf_counter() - record.started) * 1000, 3)
        fields = {**self._request_fields(record), **self._decision_fields(decision), **_key_fields(keys)}
        fields |= {"duration_ms": duration_ms, "stack": record.stack}
        log = self._logger.info if decision.allowed else self._logger.warning
        if decision.outcome in (Outcome.UNAVAILABLE, Outcome.MISCONFIGURED):
            log = self._logger.error
        log(decision.outcome.value, extra={name: value for name, value in fields.items() if value is not None})
        self._count(record, decision, keys, duration_ms)

    def _request_fields(self, record: Record) -> dict[str, object]:
        request = record.request
        if request is None:
            return {"kind": "unknown", "invocation_id": record.invocation_id}
        return {
            "kind": request.kind.value,
            "api_id": request.api_id,
            "stage": request.stage or None,
            "method": request.method or None,
            "request_id": request.request_id or None,
            "invocation_id": record.invocation_id,
        }

    def _decision_fields(self, decision: Decision) -> dict[str, object]:
        return {
            "outcome": decision.outcome.value,
            "reason": decision.reason.value,
            "fault": _FAULT_BY_REASON.get(decision.reason, _FAULT.get(decision.outcome)),
            "user": self._user(decision.principal_id) if decision.principal_id else None,
        }

    def _user(self, user_id: str) -> str:
        if self._whole_user_id:
            return user_id
        return hashlib.blake2b(user_id.encode(), key=self._hash_key, digest_size=12).hexdigest()

    def _count(self, record: Record, decision: Decision, keys: KeyReport, duration_ms: float) -> None:
        metrics = self._metrics
        metrics.add_metadata("kind", record.request.kind.value if record.request else "unknown")
        metrics.add_metadata("reason", decision.reason.value)
        outcome = _METRIC_BY_REASON.get(decision.reason, decision.outcome.value.title())
        metrics.add_metric(outcome, MetricUnit.Count, 1)
        metrics.add_metric("Duration", MetricUnit.Milliseconds, duration_ms)
        if keys.age_seconds is not None:
            metrics.add_metric("KeySetAge", MetricUnit.Seconds, round(keys.age_seconds))
        if keys.fetches:
            metrics.add_metric("KeyFetches", MetricUnit.Count, keys.fetches)
            metrics.add_metric("KeyFetchFailures", MetricUnit.Count, int(keys.failure is not None))
        if keys.stale:
            metrics.add_metric("StaleKeys", MetricUnit.Count, 1)
        metrics.flush_metrics()


def write_not_started(function_name: str, error: Misconfigured) -> None:
    """Write why the function does not start: its text names the settings and repeats none of their values."""
    fields = {"outcome": Outcome.MISCONFIGURED.value, "reason": error.reason.value, "fault": "deployment"}
    _logger(function_name).error(Outcome.MISCONFIGURED.value, extra={**fields, "mistakes": str(error).splitlines()[1:]})
    metrics = EphemeralMetrics(namespace=METRICS_NAMESPACE, service=function_name)
    metrics.add_metadata("reason", error.reason.value)
    metrics.add_metric(Outcome.MISCONFIGURED.value.title(), MetricUnit.Count, 1)
    metrics.flush_metrics()


def _logger(function_name: str) -> Logger:
    return Logger(service=function_name, utc=True, use_rfc3339=True, location=None, sampling_rate=None)


def _key_fields(keys: KeyReport) -> dict[str, object]:
    return {
        "key_set_age_seconds": None if keys.age_seconds is None else round(keys.age_seconds),
        "key_fetches": keys.fetches,
        "key_fetch_failure": keys.failure.value if keys.failure else None,
        "stale_keys": keys.stale,
    }
