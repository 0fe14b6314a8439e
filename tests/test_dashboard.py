"""The dashboard and the saved queries: every metric is emitted, every field is in a record."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from authorizer.config import Settings
from authorizer.errors import Reason
from authorizer.hanko.failure import FetchFailure
from authorizer.hanko.keys import KeyReport
from authorizer.model import CheckReport, CredentialSources, Decision, EventKind, Request
from authorizer.telemetry import Record, Telemetry, WebhookRecord, write_not_started
from local import dashboard

REQUEST = Request(EventKind.REST_REQUEST, CredentialSources(), "api", "prod", "arn", "GET", "request-1")
REQUIRED = {"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "example.com"}
GIVEN = {"USER": "USER", "REQUEST_ID": "request-1"}  # what a person writes into a query before they run it

Json = dict[str, Any]


@pytest.fixture
def records(capsys: pytest.CaptureFixture[str]) -> list[Json]:
    """Every reason, with everything that can happen, from the authorizer's own code."""
    telemetry = Telemetry(Settings.from_env(REQUIRED | {"HANKO_LOG_USER_ID": "true"}), "AuthorizerFunction")
    failing = [CheckReport("session", 1, "circuit_open"), CheckReport("revocation", 1, "throttled")]
    keys = KeyReport(12.4, 1, FetchFailure.TLS, stale=True)
    for reason in Reason:
        record = Record("invocation-1")
        record.request = REQUEST
        record.decision = Decision(
            reason, "USER", rule="admins", session_unchecked=True, stale_rules="text", audience_never_matched=True
        )
        if reason is Reason.INTERNAL:
            record.stack = ["place"]
        telemetry.write(record, keys, failing)
    with pytest.raises(Exception, match="Wrong settings") as caught:
        Settings.from_env({})
    write_not_started("AuthorizerFunction", caught.value)  # type: ignore[arg-type]  # Misconfigured
    return read(capsys)


def read(capsys: pytest.CaptureFixture[str]) -> list[Json]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def emitted(records: Sequence[Json]) -> set[str]:
    return {metric["Name"] for record in records for metric in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]}


def test_every_metric_on_the_dashboard_is_emitted(records: list[Json], capsys: pytest.CaptureFixture[str]) -> None:
    shown = {name for widget in dashboard.widgets(revocation=False) for name, _ in dashboard.own_metrics(widget)}
    assert len(shown) >= 20
    assert shown - emitted(records) == set()
    telemetry = Telemetry(Settings.from_env(REQUIRED), "WebhookFunction")
    for reason in Reason:
        webhook = WebhookRecord("invocation-1", "request-1")
        webhook.reason, webhook.published = reason, False
        telemetry.write_webhook(webhook, 204, KeyReport())
    *_, receiver = dashboard.widgets(revocation=True)
    assert {name for name, _ in dashboard.own_metrics(receiver)} - emitted(read(capsys)) == set()


def test_every_metric_that_tells_of_a_fault_is_on_the_dashboard(records: list[Json]) -> None:
    shown = {name for widget in dashboard.widgets(revocation=False) for name, _ in dashboard.own_metrics(widget)}
    assert emitted(records) - shown - {"Received"} == set()  # Received is the receiver's


def fields_of(query: str) -> set[str]:
    """The fields of our records that a query names."""
    names = set(re.findall(r"([A-Za-z_][A-Za-z_.0-9]*) (?:in|=|>)", query))
    for listed in re.findall(r"(?:fields| by) (@?[A-Za-z_.0-9]+(?:, [A-Za-z_.0-9]+)*)", query):
        names |= set(listed.split(", "))
    return {name.partition(".")[0] for name in names} - {"@timestamp", "count"}


def every_query() -> dict[str, str]:
    logs = [one for one in dashboard.widgets(revocation=True) if one["type"] == "log"]
    return dashboard.queries() | {one["properties"]["title"]: dashboard.query_of(one) for one in logs}


def test_five_questions_are_saved() -> None:
    assert len(dashboard.queries()) == 5


@pytest.mark.parametrize("name", every_query())
def test_every_field_of_a_query_is_in_a_record_and_it_finds_rows(name: str, records: list[Json]) -> None:
    query = every_query()[name]
    members = {member for record in records for member in record}
    fields = fields_of(query)
    assert len(fields) >= 3
    assert fields - members == set()
    for placeholder, value in GIVEN.items():
        query = query.replace(f"'{placeholder}'", f"'{value}'")
    assert dashboard.answer(query, records) != []


def test_widgets_name_functions_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard.widgets(revocation=True):
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken
        taken |= cells
        for metric in widget["properties"].get("metrics", ()):
            assert len(metric) == 1 or re.fullmatch(r"\$\{(Authorizer|Webhook)Function\}", metric[3])
    assert max(x for x, _ in taken) == 23
