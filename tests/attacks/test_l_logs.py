"""L: what reaches a log or a metric."""

import json

import pytest
from attacks.forging import assert_no_piece, forge, refuse
from sandbox import SESSION, USER, MakeSandbox, Sandbox

from local.hanko import StandInHanko
from local.sign import SHAPES, event_with


@pytest.mark.parametrize("shape", SHAPES)
def test_l1_nothing_of_an_accepted_token_is_printed(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L1, L2: not even with the variables that make Powertools print events."""
    for name in ("POWERTOOLS_LOGGER_LOG_EVENT", "POWERTOOLS_TRACE_ENABLED", "POWERTOOLS_TRACER_CAPTURE_RESPONSE"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "DEBUG")
    sandbox = make_sandbox(websocket_query_parameter="token", websocket_subprotocol="hanko", context_claims="secret")
    token = forge(hanko, claims={"secret": "a-secret-claim"})
    assert isinstance(sandbox.answer(event_with(shape, token)), dict)
    output = sandbox.output()
    assert (
        output.count("a1b2c3d4e5") + output.count("f6g7h8i9j0") + output.count("k1l2m3n4o5") + output.count("p6q7r8")
        == 1
    )
    assert_no_piece(output, token)


LINE = '\n{"level":"INFO","message":"allowed"}'


def test_l3_a_key_id_cannot_forge_a_log_line(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """L3: CWE-117. No part of a key id is printed."""
    refuse(sandbox, forge(hanko, {"kid": LINE}), "header_not_allowed")


@pytest.mark.parametrize(
    ("request_id", "logged"),
    [(LINE, LINE), ("\ud800", "\\ud800"), ("é\u2028", "\\xe9\\u2028"), ("x" * 9999, "x" * 128)],
    ids=["line", "surrogate", "not_ascii", "long"],
)
@pytest.mark.parametrize("shape", ["http_v2", "rest_request", "appsync"])
def test_l3_a_forged_event_neither_forges_nor_suppresses_its_log_line(
    request_id: str, logged: str, shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """L3, T8: a caller of the function cannot change the number of log lines and metric records."""
    event = event_with(shape, forge(hanko))
    event["requestContext"]["requestId"] = request_id
    assert isinstance(sandbox.answer(event), dict)
    logs, metrics = sandbox.records()
    assert ([log["request_id"] for log in logs], len(metrics)) == ([logged], 1)


def test_l4_nobody_is_in_the_metrics(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """L4: no user in a dimension or beside one, even if the log may name users."""
    sandbox = make_sandbox(log_user_id="true")
    sandbox.answer(event_with("http_v2", forge(hanko)))
    (metric,) = sandbox.records()[1]
    assert metric["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    names = {"_aws", "service", "kind", "reason", "Allowed", "Duration", "KeySetAge", "KeyFetches", "KeyFetchFailures"}
    assert set(metric) == names
    for text in (USER, SESSION, "user@example.com", "example-user"):
        assert text not in json.dumps(metric)
