"""Real faults in a local AWS, and what alarms and dashboard see of them.

The local AWS makes no metrics of records in the embedded metric format. So `publish` puts into its CloudWatch what AWS
would make of them. Lambda's own metrics it makes itself.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local.aws import LocalAws
from local.calls import call_http
from local.dashboard import Record, answer, own_records, queries, query_of, values, widgets
from local.hanko import StandInHanko
from local.sign import event_with

LOG_SECONDS = 20
NAMESPACE = "HankoAuthorizer"
USER = "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"
AT_ONCE = 1000  # values that CloudWatch takes in one PutMetricData


def pack_keys(aws: LocalAws, hanko: StandInHanko) -> None:
    """Have every artifact that is built from now on hold Hanko's keys of this moment, for HankoKeysFile."""
    file = Path(aws.folder) / "keys.json"
    file.write_text(json.dumps({"hanko_api_url": hanko.url, "fetched_at": int(time.time()), **hanko.jwks}))
    aws.environment["KEYS"] = str(file)


class Operated:
    """An authorizer with both session checks, and the receiver, in a stack of their own. Build with `pack_keys`."""

    def __init__(self, aws: LocalAws, hanko: StandInHanko, stack: str = "operated") -> None:
        """Deploy it."""
        self.aws, self.hanko = aws, hanko
        settings = {"HankoApiUrl": hanko.url, "HankoAudience": "localhost", "Architecture": "x86_64"}
        settings |= {"HankoSessionCheck": "strict", "HankoSessionOnOutage": "allow"}
        settings |= {"EnableRevocation": "true", "EnableRevocationTopic": "true"}
        self.outputs = aws.deploy("template.yaml", stack, settings)
        self.url = aws.function_url(self.outputs["WebhookUrl"])
        self.authorizer = self.outputs["FunctionArn"].rpartition(":")[2]
        functions = aws.client("lambda").list_functions()["Functions"]
        (self.receiver,) = [
            one["FunctionName"] for one in functions if one["FunctionName"].startswith(f"{stack}-WebhookFunction")
        ]
        self._published: dict[str, int] = {}

    def request(self, claims: Mapping[str, Any] | None = None, event: Any = None, *, key: str | None = None) -> None:  # noqa: ANN401 - any JSON
        """Send an event; by default a TOKEN event with a good token."""
        event = event or event_with("rest_token", self.hanko.mint(claims=claims, key=key))
        self.aws.invoke(self.outputs["AuthorizerArn"], event)

    def post(self, claims: Mapping[str, Any] | None = None, token: str = "") -> int:
        """Send the receiver a webhook; the status of its answer."""
        token = token or self.hanko.webhook_token("user.delete", {"id": USER}, claims=claims)
        body = json.dumps({"token": token, "event": "user.delete"})
        return call_http(self.url, {}, body, method="POST").status

    def restart(self, **variables: str) -> None:
        """The next request is a cold start, with these variables changed."""
        self.aws.new_sandbox(self.outputs["AuthorizerArn"], **variables)

    def records(self, function: str) -> list[Record]:
        """All records of a function so far, oldest first."""
        group = "WebhookLogGroupName" if function == self.receiver else "LogGroupName"
        return own_records(self.aws.logs(self.outputs[group]))

    def publish(self) -> None:
        """Put the metrics of all new records into CloudWatch."""
        for function in (self.authorizer, self.receiver):
            records = self.records(function)
            data = list(data_of(records[self._published.get(function, 0) :]))
            self._published[function] = len(records)
            for start in range(0, len(data), AT_ONCE):
                self.aws.client("cloudwatch").put_metric_data(
                    Namespace=NAMESPACE, MetricData=data[start : start + AT_ONCE]
                )

    def sum_of(
        self, namespace: str, name: str, dimensions: Iterable[Mapping[str, str]], statistic: str = "Sum"
    ) -> float:
        """A metric's statistic over the last hour, as CloudWatch has it."""
        self.publish()
        now = datetime.now(UTC)
        found: list[dict[str, float]] = self.aws.client("cloudwatch").get_metric_statistics(
            Namespace=namespace, MetricName=name, Dimensions=list(dimensions), Statistics=[statistic],
            StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1), Period=60,
        )["Datapoints"]  # fmt: skip
        return sum(point[statistic] for point in found)


def data_of(records: Iterable[Record]) -> Iterable[dict[str, Any]]:
    """What CloudWatch makes of records: MetricData of PutMetricData."""
    for record in records:
        for metric in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            yield {
                "MetricName": metric["Name"],
                "Unit": metric["Unit"],
                "Dimensions": [{"Name": "service", "Value": record["service"]}],
                "Timestamp": record["_aws"]["Timestamp"] / 1000,
                "Values": values(record, metric["Name"]),
            }


# --- the faults


def hanko_is_down_in_a_new_process(it: Operated) -> None:
    it.hanko.behave("down")
    it.restart()
    it.request()
    it.hanko.behave("normal")


def sessions_cannot_be_asked(it: Operated) -> None:
    """More than three times in a row: the circuit breaker opens."""
    it.restart()
    it.hanko.behave("status", endpoint="validate", code=500)
    for _ in range(5):
        it.request()
    it.hanko.behave("normal", endpoint="validate")


def the_audience_is_another(it: Operated) -> None:
    it.restart()
    it.request({"aud": ["other.example.com"]})


def a_stranger_event(it: Operated) -> None:
    it.request(event={"Records": []})


def a_rule_is_not_met(it: Operated) -> None:
    it.request(event=event_with("http_v2", it.hanko.mint()))  # its path is an administrator's


def a_ping(it: Operated) -> None:
    it.request(event={"warmer": True})


def a_new_key_that_cannot_be_looked_up(it: Operated) -> None:
    it.restart()
    it.request()
    it.hanko.behave("down")
    it.request(key=it.hanko.rotate())
    it.hanko.behave("normal")


def hanko_is_down_and_the_artifact_has_keys(it: Operated) -> None:
    it.hanko.behave("down")
    it.restart(HANKO_KEYS_FILE="keys.json")
    it.request(key=it.hanko.kids[0])
    it.hanko.behave("normal")
    it.restart(HANKO_KEYS_FILE="")


def the_table_cannot_be_read(it: Operated) -> None:
    it.restart(HANKO_SESSION_ON_OUTAGE="fail", HANKO_REVOCATION_TABLE="another-table")
    it.request()
    it.restart(HANKO_SESSION_ON_OUTAGE="allow", HANKO_REVOCATION_TABLE=it.outputs["RevocationTableName"])


def hanko_is_down_for_a_new_receiver(it: Operated) -> None:
    """The stack's first webhook: the receiver has no keys yet."""
    it.hanko.behave("down")
    it.post()
    it.hanko.behave("normal")


def a_webhook_for_another_audience(it: Operated) -> None:
    deadline = time.monotonic() + LOG_SECONDS
    while it.post({"aud": ["other.example.com"]}) == HTTPStatus.SERVICE_UNAVAILABLE and time.monotonic() < deadline:
        time.sleep(0.2)  # the fault before has opened the circuit breaker for a second or two


def a_webhook_that_is_none(it: Operated) -> None:
    it.post(token=it.hanko.mint())


def keys_rotated_and_hanko_down(it: Operated) -> None:
    it.post()
    it.hanko.rotate()
    it.hanko.behave("down")
    it.post()
    it.hanko.behave("normal")


def the_topic_is_gone(it: Operated) -> None:
    it.aws.client("sns").delete_topic(TopicArn=it.outputs["RevocationTopicArn"])
    it.post()


def an_invocation_times_out(it: Operated) -> None:
    """It leaves no record: Hanko is slower than the function may be."""
    _time_out(it, it.authorizer, it.request)


def the_receiver_times_out(it: Operated) -> None:
    """Invoked directly: the local AWS makes no metrics of what comes through a Function URL."""
    body = json.dumps({"token": it.hanko.webhook_token("user.delete", {"id": USER}), "event": "user.delete"})
    event = {"requestContext": {"http": {"method": "POST"}}, "body": body}
    _time_out(it, it.receiver, lambda: it.aws.invoke(it.receiver, event))


def _time_out(it: Operated, function: str, call: Callable[[], object]) -> None:
    it.hanko.behave("slow", delay_seconds=2.5)
    client = it.aws.client("lambda")
    seconds = client.get_function_configuration(FunctionName=function)["Timeout"]
    client.update_function_configuration(FunctionName=function, Timeout=1)
    it.restart()
    call()
    client.update_function_configuration(FunctionName=function, Timeout=seconds)
    it.hanko.behave("normal")
    it.restart()


def too_many_requests(it: Operated) -> None:
    """More at once than the reserved concurrency lets in."""
    event = event_with("rest_token", it.hanko.mint())
    _throttle(it, it.authorizer, lambda: it.aws.invoke(it.authorizer, event))  # locally an alias is not throttled


def too_many_webhooks(it: Operated) -> None:
    _throttle(it, it.receiver, it.post)


def _throttle(it: Operated, function: str, call: Callable[[], object]) -> None:
    client = it.aws.client("lambda")
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
    it.hanko.behave("slow", delay_seconds=1)
    client.update_function_configuration(FunctionName=function, Description="a new process, which fetches the keys")
    with ThreadPoolExecutor(3) as callers:
        answers = [callers.submit(call) for _ in range(3)]
    for one in answers:
        with suppress(ClientError):  # that it was throttled, after boto3's own retries
            one.result()
    client.delete_function_concurrency(FunctionName=function)
    it.hanko.behave("normal")


# Those of one alarm each, by its name. In this order: one has to be the receiver's first webhook, one takes its topic.
FAULTS: dict[str, Callable[[Operated], None]] = {
    "Unavailable": hanko_is_down_in_a_new_process,
    "KeyFetchFailures": hanko_is_down_in_a_new_process,
    "SessionUnchecked": sessions_cannot_be_asked,
    "AudienceNeverMatched": the_audience_is_another,
    "Misconfigured": a_stranger_event,
    "Throttles": too_many_requests,
    "WebhooksUnavailable": hanko_is_down_for_a_new_receiver,
    "WebhooksMisconfigured": a_webhook_for_another_audience,
    "WebhooksUnchecked": keys_rotated_and_hanko_down,
    "WebhooksLost": the_receiver_times_out,
    "WebhooksThrottled": too_many_webhooks,
}
# More, without an alarm of their own.
ALSO_SEEN: tuple[Callable[[Operated], None], ...] = (
    *(
        a_rule_is_not_met,
        a_ping,
        a_new_key_that_cannot_be_looked_up,
        hanko_is_down_and_the_artifact_has_keys,
        the_table_cannot_be_read,
    ),
    *(a_webhook_that_is_none, the_topic_is_gone),
)


# --- what the dashboard shows of them

WITHOUT_DATA = {
    "AuthorizerFaults": "a bug of ours, which no request is known to cause",
    "StaleRules": "comes five minutes after the parameter has gone: tests/end_to_end/test_alarms.py",
    "ConcurrentExecutions": "the local AWS does not make this metric of Lambda's",
}


def shown(it: Operated) -> dict[str, float]:
    """What each metric of the dashboard has summed up to, and how many rows each query finds."""
    found: dict[str, float] = {}
    functions = {"${AuthorizerFunction}": it.authorizer, "${WebhookFunction}": it.receiver}
    records = it.records(it.authorizer)
    for widget in widgets(revocation=True):
        for namespace, name, dimension, function, *_ in (
            one for one in widget["properties"].get("metrics", ()) if len(one) > 1
        ):
            whose = "" if function == "${AuthorizerFunction}" else " of webhooks"
            dimensions = [{"Name": dimension, "Value": functions[function]}]
            found[name + whose] = it.sum_of(namespace, name, dimensions)
        if "query" in widget["properties"]:
            found[widget["properties"]["title"]] = len(answer(query_of(widget), records))
    asked = {
        placeholder: next((one[member] for one in records if member in one), "")
        for placeholder, member in (("USER", "user"), ("REQUEST_ID", "request_id"))
    }
    for name, query in queries().items():
        for placeholder, value in asked.items():
            query = query.replace(f"'{placeholder}'", f"'{value}'")  # noqa: PLW2901 - filled in
        found[name] = len(answer(query, records))
    return found
