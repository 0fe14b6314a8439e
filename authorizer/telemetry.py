"""One log line and one metric record (EMF) per request, written in one go; the only file that knows Powertools.

Both hold ids of AWS's, words of our own closed sets, and numbers. Of the caller they hold the user id alone, and that
as a keyed hash unless the deployer wants it whole: no token, no cookie, no e-mail, no claim, no text of an exception.
"""

import hashlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePath
from typing import TextIO

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from authorizer import __version__
from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason
from authorizer.hanko.keys import KeyReport
from authorizer.model import CheckReport, Decision, Outcome, Request

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
    Reason.REVOCATION_UNCHECKED: "aws",
    Reason.REVOCATION_QUEUED: "aws",
    Reason.REVOCATION_UNWRITTEN: "aws",
    Reason.RULES_UNAVAILABLE: "aws",
}
# Anybody can send unknown key ids: what that causes is counted away from the alarms.
_METRIC_BY_REASON = {Reason.KEY_UNCHECKED: "KeyUnchecked"}
_LEVEL = {
    Outcome.ALLOWED: "INFO",
    Outcome.RECEIVED: "INFO",
    Outcome.UNAVAILABLE: "ERROR",
    Outcome.MISCONFIGURED: "ERROR",
}
_UNIT = {"Duration": "Milliseconds", "KeySetAge": "Seconds"}  # all others are counts

Origin = tuple[str, str, str, str]  # kind, API, stage, method
_NOWHERE, _WEBHOOK = ("unknown", "", "", ""), ("webhook", "", "", "")
Metrics = dict[str, int | str]  # as they are written

_quoted = json.encoder.encode_basestring_ascii  # what every JSONEncoder writes texts with
_compact = json.JSONEncoder(separators=(",", ":")).encode


class _Traced:
    """What records have in common."""

    __slots__ = ("_started", "invocation_id", "stack")

    def __init__(self, invocation_id: str) -> None:
        """It begins now."""
        self.invocation_id = str(invocation_id)
        self.stack: list[str] | None = None
        self._started = time.perf_counter_ns()

    def trace(self, error: Exception) -> None:
        """Keep where an unforeseen error came from, without its text."""
        frames = traceback.walk_tb(error.__traceback__)
        places = [f"{PurePath(frame.f_code.co_filename).name}:{line} {frame.f_code.co_name}" for frame, line in frames]
        self.stack = [*places, type(error).__name__]

    def duration_ms(self) -> str:
        """Since it began, with three decimals: a float would be rounded once and written out twice, 2 us each."""
        microseconds = (time.perf_counter_ns() - self._started) // 1000
        return f"{microseconds // 1000}.{microseconds % 1000:03}"


class Record(_Traced):
    """What is known of one request, filled in as it becomes known."""

    __slots__ = ("decision", "request")

    def __init__(self, invocation_id: str, request: Request | None = None, decision: Decision | None = None) -> None:
        """It begins now."""
        super().__init__(invocation_id)
        self.request, self.decision = request, decision


class WebhookRecord(_Traced):
    """What is known of one webhook, filled in as it becomes known."""

    __slots__ = ("event", "outcome", "published", "reason", "request_id")

    def __init__(self, invocation_id: str, request_id: str) -> None:
        """It begins now, and what nobody has said yet is a failure."""
        super().__init__(invocation_id)
        self.request_id, self.event = request_id, ""
        self.outcome, self.reason = Outcome.UNAVAILABLE, Reason.INTERNAL
        self.published: bool | None = None  # None: there was nothing to publish, or there is no topic


class Telemetry:
    """Writes the records of one function."""

    def __init__(self, settings: Settings, function_name: str) -> None:
        """`function_name` becomes the `service` of the log lines and the one dimension of the metrics."""
        self._whole_user_id = settings.log_user_id
        self._hash_key = settings.log_hash_key.reveal().encode() if settings.log_hash_key else os.urandom(32)
        self._writer = _Writer(function_name)

    def write(self, record: Record, keys: KeyReport, checks: Sequence[CheckReport] = ()) -> None:
        """Write the log line and the metric record of one request."""
        request, decision = record.request, record.decision or Decision(Outcome.UNAVAILABLE, Reason.INTERNAL)
        line, metrics = _common(record, keys)
        origin = _NOWHERE
        if request is not None:
            origin = (request.kind.value, request.api_id, request.stage, request.method)
            _add(line, "request_id", request.request_id)
        _add(line, "user", decision.principal_id and self._user(decision.principal_id))
        _add(line, "rule", decision.rule)
        _add(line, "stale_rules", decision.stale_rules)
        for check in checks:
            _add_check(line, metrics, check)
        if decision.stale_rules:
            metrics["StaleRules"] = 1
        if decision.session_unchecked:
            line.append('"session_unchecked":true')
            metrics["SessionUnchecked"] = 1
        _add_context(line, metrics, decision)
        self._writer.write(decision.outcome, decision.reason, origin, line, metrics)

    def write_webhook(self, record: WebhookRecord, status: int, keys: KeyReport) -> None:
        """Write the log line and the metric record of one webhook, answered with this status.

        Of what it says they hold the family of its event alone.
        """
        line, metrics = _common(record, keys)
        _add(line, "event", record.event)
        _add(line, "request_id", record.request_id)
        line.append(f'"status":{status}')
        if record.published is not None:
            line.append(f'"published":{"true" if record.published else "false"}')
            metrics["PublishFailures"] = int(not record.published)
        self._writer.write(record.outcome, record.reason, _WEBHOOK, line, metrics)

    def _user(self, user_id: str) -> str:
        if self._whole_user_id:
            return user_id
        return hashlib.blake2b(user_id.encode(), key=self._hash_key, digest_size=12).hexdigest()


def write_not_started(function_name: str, error: Misconfigured) -> None:
    """Write why the function does not start: its text names the settings and repeats none of their values."""
    line = [f'"mistakes":{_compact(str(error).splitlines()[1:])}']
    _Writer(function_name).write(Outcome.MISCONFIGURED, error.reason, ("", "", "", ""), line, {})


class _Writer:
    """Powertools' Logger and Metrics with one write for both."""

    def __init__(self, function_name: str) -> None:
        self._service = function_name
        self._metrics = EphemeralMetrics(namespace=METRICS_NAMESPACE, service=function_name)
        self._templates: dict[tuple[str, ...], str] = {}
        # Handed to the handler as a record of its own, a line costs a quarter of `Logger.info`, which looks for its
        # caller, its levels and filters first; and no AWS_LAMBDA_LOG_LEVEL silences the metrics.
        self._record = logging.LogRecord(function_name, logging.INFO, __file__, 0, (), None, None)
        self._lines = _Lines(sys.stdout)
        Logger(service=__name__, logger_handler=self._lines, sampling_rate=0)  # a name that nobody else logs under

    def write(self, outcome: Outcome, reason: Reason, origin: Origin, line: Sequence[str], metrics: Metrics) -> None:
        """Write a log line of these JSON members, and a metric record with the outcome counted."""
        now = datetime.now(UTC)
        head, counter, properties = _skeleton(self._service, outcome, reason, origin)
        metrics = {counter: 1, **metrics}
        record = self._template(tuple(metrics)) % (now.timestamp() * 1000, properties, *metrics.values())
        tail = ",".join(line)
        self._record.msg = f'{head}"timestamp":"{now.isoformat(timespec="milliseconds")}",{tail}}}\n{record}'
        self._lines.emit(self._record)

    def _template(self, names: tuple[str, ...]) -> str:
        """A record of these metrics in EMF, with places for the time stamp, the properties and the values."""
        if names not in self._templates:
            metrics = {name: {"Unit": _UNIT.get(name, "Count"), "Value": [0]} for name in names}
            emf = _compact(self._metrics.serialize_metric_set(metrics=metrics)["_aws"]["CloudWatchMetrics"])
            values = ",".join(f'"{name}":[%s]' for name in names)  # names of ours, and numbers
            service = _quoted(self._service).replace("%", "%%")
            head = f'{{"_aws":{{"Timestamp":%d,"CloudWatchMetrics":{emf}}},"service":{service}'
            self._templates[names] = f"{head},%s,{values}}}"
        return self._templates[names]


@lru_cache(maxsize=64)  # for the routes in use; whatever else callers ask for pushes out what is older
def _skeleton(service: str, outcome: Outcome, reason: Reason, origin: Origin) -> tuple[str, str, str]:
    """What such log lines begin with, the metric that counts them, and what their metric records say beside numbers."""
    kind, api_id, stage, method = origin
    fields = {
        "level": _LEVEL.get(outcome, "WARNING"),
        "message": outcome.value,
        "service": service,
        "version": __version__,
        "outcome": outcome.value,
        "reason": reason.value,
        "fault": _FAULT_BY_REASON.get(reason, _FAULT.get(outcome)),
        "kind": kind,
        "api_id": api_id,
        "stage": stage,
        "method": method,
    }
    present = {name: value for name, value in fields.items() if value}
    properties = {name: present[name] for name in ("kind", "reason") if name in present}
    counter = _METRIC_BY_REASON.get(reason, outcome.value.title())
    return f"{_compact(present)[:-1]},", counter, _compact(properties)[1:-1]


class _Lines(logging.StreamHandler[TextIO]):
    """What is logged are lines of JSON, complete, in one write. No lock: there is one invocation at a time."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.stream.write(f"{record.msg}\n")
            self.stream.flush()
        except Exception:  # noqa: BLE001 - as in every handler: who cannot log answers all the same
            self.handleError(record)


def _common(record: _Traced, keys: KeyReport) -> tuple[list[str], Metrics]:
    """What every record has: the members of its line, and its metrics."""
    duration_ms = record.duration_ms()
    line = [
        f'"duration_ms":{duration_ms},"key_fetches":{keys.fetches},"stale_keys":{"true" if keys.stale else "false"}'
    ]
    metrics: Metrics = {"Duration": duration_ms}
    _add(line, "invocation_id", record.invocation_id)
    if keys.age_seconds is not None:
        age_seconds = round(keys.age_seconds)
        line.append(f'"key_set_age_seconds":{age_seconds}')
        metrics["KeySetAge"] = age_seconds
    if keys.fetches:
        metrics |= {"KeyFetches": keys.fetches, "KeyFetchFailures": int(keys.failure is not None)}
    _add(line, "key_fetch_failure", keys.failure)
    if keys.stale:
        metrics["StaleKeys"] = 1
    if record.stack:
        line.append(f'"stack":{_compact(record.stack)}')
    return line, metrics


def _add(line: list[str], name: str, text: str | None) -> None:
    """Add a member to a log line, unless there is nothing to say."""
    if text:
        line.append(f'"{name}":{_quoted(text)}')


def _add_context(line: list[str], metrics: Metrics, decision: Decision) -> None:
    """What could not be passed on as it is: the keys that were left out, which the deployer chose, and a number."""
    if decision.left_out:
        _add(line, "context_left_out", " ".join(decision.left_out))
        metrics["ContextLeftOut"] = 1
    if decision.replaced_characters:
        line.append(f'"context_replaced":{decision.replaced_characters}')
        metrics["ContextReplaced"] = 1


def _add_check(line: list[str], metrics: Metrics, check: CheckReport) -> None:
    line.append(f'"{check.name}_checks":{check.checks}')
    _add(line, f"{check.name}_failure", check.failure)
    if check.checks or check.failure:
        name = check.name.title()
        metrics |= {f"{name}Checks": check.checks, f"{name}Failures": int(check.failure is not None)}
