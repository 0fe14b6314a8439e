"""One record per invocation: a JSON line in CloudWatch's embedded metric format (EMF), log line and metrics in one.

emf.py writes it to standard output, which Lambda hands to CloudWatch Logs.

A record holds AWS ids, words of closed sets, numbers, and one value of the caller: the user id, as a keyed hash, or in
clear if HANKO_LOG_USER_ID says so. It never holds a token, a cookie, another claim or an exception text.
"""

import os
import time
import traceback
from _blake2 import blake2b  # hashlib's own; importing hashlib loads a second OpenSSL: 3 ms if TLS is not loaded
from collections.abc import Sequence
from contextlib import suppress

from authorizer import __version__
from authorizer.config import LogAllowed, Settings
from authorizer.emf import Members, Metrics, counted, write_line
from authorizer.errors import Misconfigured, Reason
from authorizer.hanko.keys import KeyReport
from authorizer.model import CheckReport, Decision, Request
from authorizer.sampling import HeldBack, is_everyday

CIRCUIT_OPEN = "circuit_open"  # the session check did not ask Hanko, because it has been failing
_FAILED = Decision(Reason.INTERNAL)
MAX_STACK_PLACES = 40  # the innermost: an endless recursion has a thousand


class Record:
    """What is known of one request. Its first decision is a failure, `internal`."""

    __slots__ = ("decision", "invocation_id", "request", "stack", "started_ns")

    def __init__(self, invocation_id: str) -> None:
        """Start to measure the duration."""
        self.started_ns = time.perf_counter_ns()
        self.invocation_id = str(invocation_id)
        self.request: Request | None = None
        self.decision = _FAILED
        self.stack: list[str] | None = None

    def trace(self, error: Exception) -> None:
        """Keep where an unforeseen error came from, without its text."""
        frames = ((frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__))
        places = [f"{os.path.basename(code.co_filename)}:{line} {code.co_name}" for code, line in frames]
        self.stack = [*places[-MAX_STACK_PLACES:], type(error).__name__]

    def common(self, keys: KeyReport) -> tuple[Members, Metrics]:
        """The members and metrics that the records of requests and webhooks have in common."""
        members: Members = {"invocation_id": self.invocation_id}
        metrics: Metrics = {"Duration": round((time.perf_counter_ns() - self.started_ns) / 1e6, 3)}
        if keys.age_seconds is not None:
            metrics["KeySetAge"] = round(keys.age_seconds)
        if keys.fetches:
            metrics["KeyFetches"] = keys.fetches
        if keys.failure is not None:
            members["key_fetch_failure"], metrics["KeyFetchFailures"] = keys.failure, 1
        if keys.stale:
            metrics["StaleKeys"] = 1
        if self.stack:
            members["stack"] = self.stack
        return members, metrics


class WebhookRecord(Record):
    """What is known of one webhook. Of its content, only the family of its event is kept."""

    __slots__ = ("event", "published", "reason", "request_id")

    def __init__(self, invocation_id: str, request_id: str) -> None:
        """Start to measure the duration."""
        super().__init__(invocation_id)
        self.request_id, self.event, self.reason = request_id, "", Reason.INTERNAL
        self.published: bool | None = None  # None: there was nothing to publish, or there is no topic


class Telemetry:
    """Writes the records of one function."""

    def __init__(self, settings: Settings, function_name: str) -> None:
        """`function_name` is the `service` of the records, and the one dimension of their metrics."""
        self._service, self._log_user_id = function_name, settings.log_user_id
        self._held_back = HeldBack() if settings.log_allowed is not LogAllowed.ALL else None
        self._leaves_out_members, self._is_first = settings.log_allowed is LogAllowed.NONE, True
        self._hash_key = settings.log_hash_key.reveal().encode() if settings.log_hash_key else os.urandom(32)

    def write(self, record: Record, keys: KeyReport, checks: Sequence[CheckReport] = ()) -> None:
        """Write the record of one request."""
        request, decision = record.request, record.decision
        members, metrics = record.common(keys)
        members["kind"] = "unknown" if request is None else request.kind
        if request is not None:
            members["api_id"], members["stage"] = request.api_id, request.stage
            members["method"], members["request_id"] = request.method, request.request_id
        members["user"], members["rule"] = self._user(decision.principal_id), decision.rule
        for check in checks:
            if check.checks:
                metrics[f"{check.name.title()}Checks"] = check.checks
            if check.failure:
                members[f"{check.name}_failure"], metrics[f"{check.name.title()}Failures"] = check.failure, 1
            if check.failure == CIRCUIT_OPEN:
                metrics["CircuitOpen"] = 1
        _mark(decision, members, metrics)
        self._write(decision.reason, members, metrics, record.started_ns)

    def write_webhook(self, record: WebhookRecord, status: int, keys: KeyReport) -> None:
        """Write the record of one webhook that was answered with `status`."""
        members, metrics = record.common(keys)
        members |= {"kind": "webhook", "event": record.event, "request_id": record.request_id, "status": status}
        members["published"] = record.published
        if record.published is False:
            metrics["PublishFailures"] = 1
        self._write(record.reason, members, metrics, record.started_ns)

    def _write(self, reason: Reason, members: Members, metrics: Metrics, now_ns: int) -> None:
        """Write the record, or hold it back: see sampling.py."""
        metrics = counted(reason, metrics)
        if self._is_first:
            self._is_first, metrics["ProcessStarts"], members["version"] = False, 1, __version__
        if self._held_back is None:
            write_line(self._service, reason, members, metrics)
            return
        if is_everyday(metrics):
            if self._held_back.hold(metrics, now_ns):
                return
            if self._leaves_out_members:
                members = {}
        write_line(self._service, reason, members, self._held_back.release(metrics))

    def _user(self, user_id: str) -> str:
        if self._log_user_id or not user_id:
            return user_id
        return blake2b(user_id.encode(), key=self._hash_key, digest_size=12).hexdigest()


def _mark(decision: Decision, members: Members, metrics: Metrics) -> None:
    """Add what an operator should know about an answered request."""
    if decision.stale_rules:
        members["stale_rules"], metrics["StaleRules"] = decision.stale_rules, 1
    if decision.session_unchecked:
        metrics["SessionUnchecked"] = 1
    if decision.left_out:
        members["context_left_out"], metrics["ContextLeftOut"] = " ".join(decision.left_out), 1
    if decision.replaced_characters:
        members["context_replaced"], metrics["ContextReplaced"] = decision.replaced_characters, 1
    if decision.audience_never_matched:
        metrics["AudienceNeverMatched"] = 1


def write_not_started(function_name: str, error: Misconfigured) -> None:
    """Write why the function does not start: its text names the mistakes and repeats no value."""
    members: Members = {"version": __version__, "mistakes": str(error).splitlines()[1:]}
    with suppress(Exception):  # the error itself is raised even if its record cannot be written
        write_line(function_name, error.reason, members, counted(error.reason, {}))
