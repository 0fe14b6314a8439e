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


LINE = '\n{"level":"INFO","outcome":"allowed"}'


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
    """L3, T8: whoever may invoke the function leaves one record, whatever the event holds."""
    event = event_with(shape, forge(hanko))
    event["requestContext"]["requestId"] = request_id
    assert isinstance(sandbox.answer(event), dict)
    assert [record["request_id"] for record in sandbox.records()] == [logged]


def test_l4_nobody_is_in_the_metrics(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """L4: the user is neither a dimension nor a metric; claims are nowhere, even where the log may name the user."""
    sandbox = make_sandbox(log_user_id="true")
    sandbox.answer(event_with("http_v2", forge(hanko)))
    (record,) = sandbox.records()
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["service"]]
    assert record.pop("user") == USER
    for text in (USER, SESSION, "user@example.com", "example-user"):
        assert text not in json.dumps(record)
