"""One JSON line in CloudWatch's embedded metric format (EMF), which is a log line and its metrics in one.

Source: CloudWatch, "Specification: Embedded metric format". Why not Powertools: docs/decisions/one-record.md.
"""

import json
import sys
import time
from contextlib import suppress

from authorizer import __version__
from authorizer.errors import Fault, Outcome, Reason

METRICS_NAMESPACE = "HankoAuthorizer"

_LEVEL = {
    Outcome.ALLOWED: "INFO",
    Outcome.RECEIVED: "INFO",
    Outcome.UNAVAILABLE: "ERROR",
    Outcome.MISCONFIGURED: "ERROR",
}
_OUTAGE_OF = (Fault.HANKO, Fault.AWS, Fault.AUTHORIZER)  # the outcome says whose business all others are
_UNIT = {"Duration": "Milliseconds", "KeySetAge": "Seconds"}  # all others are counts

Members = dict[str, object]  # in the log line alone
Metrics = dict[str, float | list[float]]  # in the log line and in CloudWatch's metrics; a list has at most 100 values

_encode = json.JSONEncoder(separators=(",", ":")).encode  # ASCII: a lone surrogate is escaped


def counted(reason: Reason, metrics: Metrics) -> Metrics:
    """The metrics, and those that the reason counts in: its outcome's, and whose business an outage is."""
    fault: Metrics = {f"{reason.fault.title()}Faults": 1} if reason.fault in _OUTAGE_OF else {}
    return {reason.counter: 1, **fault, **metrics}


def write_line(service: str, reason: Reason, members: Members, metrics: Metrics) -> None:
    """Write one record, in one go. A request is answered even if its record cannot be written."""
    with suppress(Exception):
        sys.stdout.write(_encode(record_of(service, reason, members, metrics)) + "\n")
        sys.stdout.flush()


def record_of(service: str, reason: Reason, members: Members, metrics: Metrics) -> Members:
    """The record. What is None or empty is left out."""
    definition = {
        "Namespace": METRICS_NAMESPACE,
        "Dimensions": [["service"]],
        "Metrics": [{"Name": name, "Unit": _UNIT.get(name, "Count")} for name in metrics],
    }
    record = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [definition]},
        "level": _LEVEL.get(reason.outcome, "WARNING"),
        "service": service,
        "version": __version__,
        "outcome": reason.outcome,
        "reason": reason,
        "fault": None if reason.fault is Fault.NOBODY else reason.fault,
        **members,
    }
    return {name: value for name, value in record.items() if value is not None and value != ""} | metrics
