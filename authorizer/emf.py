"""One JSON line in CloudWatch's embedded metric format (EMF), which is a log line and its metrics in one.

Source: CloudWatch, "Specification: Embedded metric format". Why not Powertools: docs/decisions/one-record.md.
"""

import json
import sys
import time
from collections.abc import Mapping

from authorizer.errors import Fault, Outcome, Reason

METRICS_NAMESPACE = "HankoAuthorizer"

_LEVEL = {
    Outcome.ALLOWED: "INFO",
    Outcome.RECEIVED: "INFO",
    Outcome.UNAVAILABLE: "ERROR",
    Outcome.MISCONFIGURED: "ERROR",
}
_OUTAGE_OF = (Fault.HANKO, Fault.AWS, Fault.AUTHORIZER)  # for all other faults the outcome says who has to act
_UNIT = {"Duration": "Milliseconds", "KeySetAge": "Seconds"}  # all others are counts

Members = dict[str, object]  # in the log line alone
Metrics = dict[str, float]  # in the log line and in CloudWatch's metrics
Values = Mapping[str, float | list[float]]  # the same, or a list of at most 100 values

_encode = json.JSONEncoder(separators=(",", ":")).encode  # ASCII: a lone surrogate is escaped


def counted(reason: Reason, metrics: Metrics) -> Metrics:
    """Add the metrics of the reason: its counter, and for an outage also that of its fault, e.g. `HankoFaults`."""
    if reason.fault in _OUTAGE_OF:
        return {reason.counter: 1, f"{reason.fault.title()}Faults": 1, **metrics}
    return {reason.counter: 1, **metrics}


def write_line(service: str, reason: Reason, members: Members, metrics: Values) -> None:
    """Write one record in one write: Lambda makes a log event of each."""
    sys.stdout.write(_encode(record_of(service, reason, members, metrics)) + "\n")
    sys.stdout.flush()


def record_of(service: str, reason: Reason, members: Members, metrics: Values) -> Members:
    """The record. Members that are None or empty are left out."""
    definition = {
        "Namespace": METRICS_NAMESPACE,
        "Dimensions": [["service"]],
        "Metrics": [{"Name": name, "Unit": _UNIT.get(name, "Count")} for name in metrics],
    }
    record: Members = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [definition]},
        "level": _LEVEL.get(reason.outcome, "WARNING"),
        "service": service,
        "outcome": reason.outcome,
        "reason": reason,
    }
    if reason.fault is not Fault.NOBODY:
        record["fault"] = reason.fault
    for name, value in members.items():
        if value is not None and value != "":
            record[name] = value
    record |= metrics
    return record
