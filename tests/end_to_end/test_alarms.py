"""Each alarm's metric is driven over its threshold by a real fault, and read back.

The local AWS makes no metrics of records in the embedded metric format, and no metrics of Lambda and SQS. So each
alarm's own definition, as it is deployed, is held against the records in the log, and against the queue itself. Not
here: the two alarms on throttles, the one on the receiver's errors and the one on unanswered invocations watch
Lambda's own metrics; stale rules take five minutes, see tests/rules/test_source.py.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.aws import LocalAws
from local.calls import call_http
from local.dashboard import own_records, values
from local.hanko import StandInHanko
from local.sign import event_with

STACK = "alarms"
LOG_SECONDS = 20
USER = "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"


class Watched:
    """A stack of its own, and what CloudWatch would make of its records."""

    def __init__(self, aws: LocalAws, hanko: StandInHanko) -> None:
        self.aws, self.hanko = aws, hanko
        settings = {"HankoApiUrl": hanko.url, "HankoAudience": "localhost", "Architecture": "x86_64"}
        settings |= {"HankoSessionCheck": "strict", "HankoSessionOnOutage": "allow", "EnableRevocation": "true"}
        self.outputs = aws.deploy("template.yaml", STACK, settings)
        self.url = self.aws.function_url(self.outputs["WebhookUrl"])
        pages = self.aws.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=STACK)
        self.alarms: list[dict[str, Any]] = [alarm for page in pages for alarm in page["MetricAlarms"]]
        functions = self.aws.client("lambda").list_functions()["Functions"]
        (self.receiver,) = [
            one["FunctionName"] for one in functions if one["FunctionName"].startswith(f"{STACK}-WebhookFunction")
        ]

    def request(self, claims: dict[str, Any] | None = None, event: Any = None) -> None:  # noqa: ANN401 - any JSON
        event = event or event_with("rest_token", self.hanko.mint(claims=claims))
        self.aws.invoke(self.outputs["AuthorizerArn"], event)

    def post(self, claims: dict[str, Any] | None = None) -> int:
        token = self.hanko.webhook_token("user.delete", {"id": USER}, claims=claims)
        body = json.dumps({"token": token, "event": "user.delete"})
        return call_http(self.url, {}, body, method="POST").status

    def alarm(self, name: str) -> dict[str, Any]:
        """The alarm as it is deployed."""
        (found,) = [one for one in self.alarms if f"-{name}Alarm-" in one["AlarmName"] + "-"]
        assert f"#{name.lower()}alarm" in found["AlarmDescription"]
        return found

    def sum_of(self, alarm: dict[str, Any]) -> float:
        """The alarm's statistic over all records of its function."""
        assert (alarm["Namespace"], alarm["Statistic"]) == ("HankoAuthorizer", "Sum")
        (dimension,) = alarm["Dimensions"]
        group = "WebhookLogGroupName" if dimension["Value"] == self.receiver else "LogGroupName"
        records = own_records(self.aws.logs(self.outputs[group]))
        assert {record[dimension["Name"]] for record in records} <= {dimension["Value"]}
        return sum(value for record in records for value in values(record, alarm["MetricName"]))


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """A local AWS of its own: nobody else is to be without Hanko, and none of the examples is needed."""
    with StandInHanko() as hanko, LocalAws() as aws:
        yield Watched(aws, hanko)


def hanko_is_down_in_a_new_process(watched: Watched) -> None:
    watched.hanko.behave("down")
    watched.aws.new_sandbox(watched.outputs["AuthorizerArn"])
    watched.request()
    watched.hanko.behave("normal")


def sessions_cannot_be_asked(watched: Watched) -> None:
    watched.aws.new_sandbox(watched.outputs["AuthorizerArn"])
    watched.hanko.behave("status", endpoint="validate", code=500)
    watched.request()
    watched.hanko.behave("normal", endpoint="validate")


def the_audience_is_another(watched: Watched) -> None:
    watched.aws.new_sandbox(watched.outputs["AuthorizerArn"])
    watched.request({"aud": ["other.example.com"]})


def a_stranger_event(watched: Watched) -> None:
    watched.request(event={"Records": []})


def hanko_is_down_for_a_new_receiver(watched: Watched) -> None:
    """The stack's first webhook: the receiver has no keys yet."""
    watched.hanko.behave("down")
    watched.post()
    watched.hanko.behave("normal")


def a_webhook_for_another_audience(watched: Watched) -> None:
    deadline = time.monotonic() + LOG_SECONDS
    while watched.post({"aud": ["other.example.com"]}) == 503 and time.monotonic() < deadline:
        time.sleep(0.2)  # the fault before has opened the circuit breaker for a second or two


def keys_rotated_and_hanko_down(watched: Watched) -> None:
    watched.post()
    watched.hanko.rotate()
    watched.hanko.behave("down")
    watched.post()
    watched.hanko.behave("normal")


FAULTS: dict[str, Callable[[Watched], None]] = {
    "Unavailable": hanko_is_down_in_a_new_process,
    "KeyFetchFailures": hanko_is_down_in_a_new_process,
    "SessionUnchecked": sessions_cannot_be_asked,
    "AudienceNeverMatched": the_audience_is_another,
    "Misconfigured": a_stranger_event,
    "WebhooksUnavailable": hanko_is_down_for_a_new_receiver,
    "WebhooksMisconfigured": a_webhook_for_another_audience,
    "WebhooksUnchecked": keys_rotated_and_hanko_down,
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_drives_the_metric_over_the_threshold(name: str, watched: Watched) -> None:
    """In one period; an alarm of two periods wants the fault to last."""
    alarm = watched.alarm(name)
    before = watched.sum_of(alarm)
    FAULTS[name](watched)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert rises(watched, alarm, before) >= alarm["Threshold"]


def rises(watched: Watched, alarm: dict[str, Any], before: float) -> float:
    """By how much. The local AWS writes a Function URL's log after it has answered."""
    deadline = time.monotonic() + LOG_SECONDS
    while (risen := watched.sum_of(alarm) - before) == 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    return risen


def test_everyday_business_moves_none_of_them(watched: Watched) -> None:
    """A start, allowed requests, refusals and a webhook: nobody is woken."""
    watched.aws.new_sandbox(watched.outputs["AuthorizerArn"])
    alarms = [watched.alarm(name) for name in FAULTS]
    before = [watched.sum_of(alarm) for alarm in alarms]
    watched.request()
    watched.request({"exp": 1_700_000_000, "iat": 1_600_000_000})
    watched.request(event=event_with("rest_token", "not-a-token"))
    received = watched.alarm("WebhooksUnavailable") | {"MetricName": "Received"}
    earlier = watched.sum_of(received)
    assert watched.post() == 204
    assert rises(watched, received, earlier) == 1
    assert [watched.sum_of(alarm) for alarm in alarms] == before


def test_a_table_that_is_gone_fills_the_queue(watched: Watched) -> None:
    """The last test here: the stack's table is deleted."""
    alarm = watched.alarm("DeadLetters")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    watched.aws.client("dynamodb").delete_table(TableName=watched.outputs["RevocationTableName"])
    watched.post()
    attributes = watched.aws.client("sqs").get_queue_attributes(
        QueueUrl=watched.outputs["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    assert int(attributes["ApproximateNumberOfMessages"]) >= alarm["Threshold"]
    assert watched.outputs["DeadLetterQueueUrl"].rsplit("/", 1)[1] == alarm["Dimensions"][0]["Value"]
