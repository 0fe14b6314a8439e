"""Each alarm's metric is driven over its threshold by a real fault, and read back from the local CloudWatch.

local/faults.py has the faults. The alarms are read as they are deployed; the one with metric math, which the local AWS
does not know, is read from the template. An alarm of two periods wants the fault to last: seen here is one period.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]  # ships no types
from sandbox import Time

from authorizer.assembly import build_authorizer
from authorizer.config import Settings
from authorizer.hanko.client import HttpsClient
from authorizer.startup import Startup
from local.aws import LocalAws
from local.build import ROOT
from local.dashboard import own_records
from local.faults import (
    ALSO_SEEN,
    FAULTS,
    LOG_SECONDS,
    WITHOUT_DATA,
    Operated,
    an_invocation_times_out,
    data_of,
    pack_keys,
    shown,
)
from local.hanko import StandInHanko
from local.sign import event_with

STACK = "alarms"
Alarm = Mapping[str, Any]


@pytest.fixture(scope="module")
def operated() -> Iterator[Operated]:
    """A local AWS of its own: nobody else is to be without Hanko, and none of the examples is needed."""
    with StandInHanko() as hanko, LocalAws() as aws:
        pack_keys(aws, hanko)
        yield Operated(aws, hanko, STACK)


@pytest.fixture(scope="module")
def alarms(operated: Operated) -> list[Alarm]:
    """As they are deployed."""
    pages = operated.aws.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=STACK)
    return [alarm for page in pages for alarm in page["MetricAlarms"]]


def named(alarms: list[Alarm], name: str) -> Alarm:
    (found,) = [one for one in alarms if f"-{name}Alarm-" in one["AlarmName"] + "-"]
    assert f"#{name.lower()}alarm" in found["AlarmDescription"]
    assert found["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    return found


def measured(operated: Operated, alarm: Alarm) -> float:
    """The alarm's own metric and statistic, with its own dimensions."""
    return operated.sum_of(alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"], alarm["Statistic"])


def rises(operated: Operated, alarm: Alarm, before: float) -> float:
    """By how much. The local AWS writes a Function URL's log after it has answered."""
    deadline = time.monotonic() + LOG_SECONDS
    while (risen := measured(operated, alarm) - before) == 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    return risen


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_drives_the_metric_over_the_threshold(name: str, operated: Operated, alarms: list[Alarm]) -> None:
    alarm = named(alarms, name)
    before = measured(operated, alarm)
    FAULTS[name](operated)
    assert rises(operated, alarm, before) >= alarm["Threshold"]


def test_everyday_business_moves_none_of_them(operated: Operated, alarms: list[Alarm]) -> None:
    """A start, allowed requests, refusals and a webhook: nobody is woken."""
    operated.restart()
    watching = [named(alarms, name) for name in FAULTS]
    before = [measured(operated, alarm) for alarm in watching]
    operated.request()
    operated.request({"exp": 1_700_000_000, "iat": 1_600_000_000})
    operated.request(event=event_with("rest_token", "not-a-token"))
    received = {**named(alarms, "WebhooksUnavailable"), "MetricName": "Received"}
    earlier = measured(operated, received)
    assert operated.post() == 204
    assert rises(operated, received, earlier) == 1
    assert [measured(operated, alarm) for alarm in watching] == before


def test_an_invocation_without_a_record_is_more_than_the_sum_of_the_records(operated: Operated) -> None:
    """A cold start that times out. The terms of the alarm's sum are read one by one."""
    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    alarm = resources["UnansweredAlarm"]["Properties"]
    expression, *terms = alarm["Metrics"]
    assert expression["Expression"]["Fn::If"][1].count("FILL(m") == len(terms) - 1

    def unanswered() -> float:
        values = {}
        for term in terms:
            metric = term["MetricStat"]["Metric"]
            dimensions = [{"Name": one["Name"], "Value": operated.authorizer} for one in metric["Dimensions"]]
            values[term["Id"]] = operated.sum_of(metric["Namespace"], metric["MetricName"], dimensions)
        return values.pop("invoked") - sum(values.values())

    before = unanswered()
    operated.request()
    assert unanswered() == before
    an_invocation_times_out(operated)
    assert unanswered() - before >= alarm["Threshold"]


def test_rules_that_cannot_be_read_again_are_stale(
    operated: Operated, alarms: list[Alarm], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five minutes must pass: the deployed function's own code, here, on the test's clock."""
    for name, value in operated.aws.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # Powertools' client is of the default session
    ssm, alarm, time_ = operated.aws.client("ssm"), named(alarms, "StaleRules"), Time()
    ssm.put_parameter(Name="rules", Type="String", Value=(ROOT / "examples" / "rules.toml").read_text())
    variables = {"HANKO_API_URL": operated.hanko.url, "HANKO_AUDIENCE": "localhost", "HANKO_RULES_PARAMETER": "rules"}
    settings = Settings.from_env(variables)
    client = HttpsClient(settings, time_.clock)
    authorizer = build_authorizer(Startup(operated.authorizer, settings, time_.clock, client, None, variables))
    authorizer.handle(event_with("http_v2", operated.hanko.mint()), "before")
    before = measured(operated, alarm)
    ssm.delete_parameter(Name="rules")
    time_.advance(301)
    authorizer.handle(event_with("http_v2", operated.hanko.mint()), "after")
    data = list(data_of(own_records(capsys.readouterr().out.splitlines())))
    operated.aws.client("cloudwatch").put_metric_data(Namespace=alarm["Namespace"], MetricData=data)
    assert measured(operated, alarm) - before >= alarm["Threshold"]


def test_a_table_that_is_gone_fills_the_queue(operated: Operated, alarms: list[Alarm]) -> None:
    """The local AWS makes no metrics of SQS: the queue itself is asked. The stack's table is deleted."""
    for fault in ALSO_SEEN:
        fault(operated)
    alarm = named(alarms, "DeadLetters")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    operated.aws.client("dynamodb").delete_table(TableName=operated.outputs["RevocationTableName"])
    operated.post()
    attributes = operated.aws.client("sqs").get_queue_attributes(
        QueueUrl=operated.outputs["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    assert int(attributes["ApproximateNumberOfMessages"]) >= alarm["Threshold"]
    assert operated.outputs["DeadLetterQueueUrl"].rsplit("/", 1)[1] == alarm["Dimensions"][0]["Value"]


def test_no_metric_and_no_query_of_the_dashboard_is_without_data(operated: Operated) -> None:
    """After all that is above. The local AWS can lose the lines of a process's first invocation."""
    deadline, missing = time.monotonic() + LOG_SECONDS, {""}
    while not missing <= set(WITHOUT_DATA) and time.monotonic() < deadline:
        operated.request(event=event_with("http_v2", "not-a-token"))
        missing = {name for name, value in shown(operated).items() if not value}
    assert missing <= set(WITHOUT_DATA)


def test_every_alarm_of_the_template_is_here() -> None:
    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    kinds = {name.removesuffix("Alarm") for name, one in resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    assert kinds == {*FAULTS, "Unanswered", "StaleRules", "DeadLetters"}
