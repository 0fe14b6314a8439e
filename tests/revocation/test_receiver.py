"""The receiver of Hanko's webhooks, whole: statuses, records, and that nothing is lost."""

import base64
import json
import random
import runpy
import uuid
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
from aws import FAULTS, TABLE, Aws, every
from receiving import MakeReceiving, Receiving, url_event
from sandbox import NOW, SESSION, USER, Json, MakeSandbox, Time

from authorizer import __version__
from authorizer.emf import METRICS_NAMESPACE
from authorizer.errors import Misconfigured
from authorizer.hanko.jws import MAX_TIME
from authorizer.revocation.check import RevocationCheck
from authorizer.revocation.entry import Revocation
from authorizer.revocation.subject import session_subject, user_subject
from authorizer.revocation.table import BotocoreReader
from authorizer.revocation.webhook import MARGIN_SECONDS
from local.hanko import StandInHanko
from local.sign import event_with

ENDED = {"id": SESSION, "user_id": USER, "expires_at": "2027-01-15T20:00:00Z"}
EXPIRES_AT = NOW + 12 * 3600 + MARGIN_SECONDS
LOGOUT, DELETED, PASSWORD = "session.delete.explicit.logout", "user.delete", "user.update.password.update"


@pytest.fixture
def time_() -> Time:
    return Time(wall=NOW)


def webhook(hanko: StandInHanko, event: str, data: object, **claims: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps({"token": hanko.webhook_token(event, data, claims=claims), "event": event})


# --- the answer, the item, the record


def test_a_logout_as_a_whole(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    body = webhook(hanko, LOGOUT, ENDED)
    assert receiving.answer(url_event(body)) == {"statusCode": 204, "headers": {"Cache-Control": "no-store"}}
    assert aws.items == {session_subject(SESSION): (MAX_TIME, EXPIRES_AT)}
    record = receiving.record()
    assert record.pop("_aws")["CloudWatchMetrics"][0]["Namespace"] == METRICS_NAMESPACE
    assert record == {
        "level": "INFO",
        "service": ANY,
        "version": __version__,
        "outcome": "received",
        "reason": "revoked",
        "kind": "webhook",
        "event": "session.delete",
        "status": 204,
        "request_id": "request-1",
        "invocation_id": "invocation",
        "Received": 1,
        "Duration": ANY,
        "KeySetAge": 0,
        "KeyFetches": 1,
        "ProcessStarts": 1,
    }


def test_what_comes_in_base64_is_the_same(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    body = base64.b64encode(webhook(hanko, DELETED, {"id": USER}).encode()).decode()
    assert receiving.answer(url_event(f"!{body}", is_base64=True))["statusCode"] == 400
    assert aws.items == {}
    assert receiving.answer(url_event(body, is_base64=True))["statusCode"] == 204
    assert aws.items == {user_subject(USER): (NOW + 10, MAX_TIME)}


def test_other_events_are_welcome_and_ignored(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    for event in ("user.create", PASSWORD, "email.send", "session.create.flow"):
        assert receiving.post(webhook(hanko, event, {"id": USER})) == 204
        record = receiving.record()
        assert (record["outcome"], record["reason"], "event" in record) == ("received", "event_ignored", False)
        assert record["Received"] == 1
    assert aws.requests == []


def test_a_changed_password_where_it_counts(make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws) -> None:
    receiving = make_receiving(revoke_on_password_change="true")
    assert receiving.post(webhook(hanko, PASSWORD, {"id": USER})) == 204
    assert aws.items == {user_subject(USER): (NOW - 1, MAX_TIME)}
    assert receiving.record()["event"] == PASSWORD


@pytest.mark.parametrize(
    ("event", "status", "reason"),
    [
        (url_event("{"), 400, "webhook_malformed"),
        (url_event(None), 400, "webhook_malformed"),
        (url_event("\ud800"), 400, "webhook_malformed"),
        (url_event("no base64!", is_base64=True), 400, "webhook_malformed"),
        (url_event("x" * 262_144), 400, "webhook_malformed"),
        (url_event('{"token": "a.b.c", "event": "user.delete"}'), 401, "token_malformed"),
        (url_event("{}", "GET"), 405, "method_not_allowed"),
        (url_event("{}", "post"), 405, "method_not_allowed"),
        ({}, 405, "method_not_allowed"),
        (None, 405, "method_not_allowed"),
        (url_event("x" * 262_145), 413, "body_too_large"),
        (url_event("x" * 349_528, is_base64=True), 413, "body_too_large"),
        (url_event("x" * 1_000_000, is_base64=True), 413, "body_too_large"),
        (url_event("é" * 140_000), 413, "body_too_large"),
    ],
)
def test_each_fault_has_its_status(receiving: Receiving, event: Any, status: int, reason: str, aws: Aws) -> None:  # noqa: ANN401 - any event
    answer = receiving.answer(event)
    assert answer["statusCode"] == status
    assert answer["headers"].get("Allow") == ("POST" if status == 405 else None)
    record = receiving.record()
    assert (record["reason"], record["fault"], record["status"]) == (reason, "caller", status)
    assert record.get("request_id") == ("request-1" if event else None)
    assert record["Unauthenticated"] == 1
    assert aws.requests == []


def test_a_webhook_that_cannot_be_verified_may_have_been_good(receiving: Receiving, hanko: StandInHanko) -> None:
    hanko.behave("down")
    assert receiving.post(webhook(hanko, LOGOUT, ENDED)) == 503
    record = receiving.record()
    assert (record["reason"], record["fault"], record["Unavailable"]) == ("keys_unavailable", "hanko", 1)


def test_a_receiver_without_keys_asks_again_within_its_cool_down(
    make_receiving: MakeReceiving, hanko: StandInHanko, time_: Time
) -> None:
    """However long Hanko was away: each pause costs the webhooks that come in it. The template's cool-down is 2 s."""
    receiving, body = make_receiving(keys_cooldown_seconds="2"), webhook(hanko, LOGOUT, ENDED)
    hanko.behave("status", code=500)
    for _ in range(6):
        assert receiving.post(body) == 503
        time_.advance(2)
    assert (receiving.post(body), hanko.jwks_requests) == (503, 7)
    hanko.behave("normal")
    assert (receiving.post(body), hanko.jwks_requests) == (503, 7)
    time_.advance(2)
    assert receiving.post(body) == 204


def test_a_genuine_webhook_that_names_nobody_is_heard_of(receiving: Receiving, hanko: StandInHanko) -> None:
    assert receiving.post(webhook(hanko, LOGOUT, {"ID": SESSION})) == 503
    record = receiving.record()
    assert (record["reason"], record["fault"], record["Misconfigured"]) == ("webhook_unreadable", "deployment", 1)


def test_whatever_breaks_is_a_503_with_the_places_in_the_log(
    receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    def breaks() -> object:
        raise RuntimeError("SECRET")

    aws.fail("UpdateItem", FAULTS["down"])
    aws.fail("SendMessage", breaks)
    assert receiving.post(webhook(hanko, LOGOUT, ENDED)) == 503
    output = receiving.output()
    record = json.loads(output)
    assert (record["outcome"], record["reason"], record["stack"][-1]) == ("unavailable", "internal", "RuntimeError")
    assert "SECRET" not in output


def test_what_breaks_the_writing_is_queued_and_seen(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    def breaks() -> object:
        raise RuntimeError("SECRET")

    aws.fail("UpdateItem", breaks)
    assert receiving.post(webhook(hanko, LOGOUT, ENDED)) == 204
    record = receiving.record()
    assert (record["reason"], record["stack"][-1], record["Received"]) == ("revocation_queued", "RuntimeError", 1)
    assert aws.queued == [Revocation(session_subject(SESSION), MAX_TIME, EXPIRES_AT)]


# --- faults of AWS


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_table_does_not_take_waits_in_the_queue(
    receiving: Receiving, hanko: StandInHanko, aws: Aws, fault: str
) -> None:
    aws.fail("UpdateItem", FAULTS[fault])
    assert receiving.post(webhook(hanko, LOGOUT, ENDED)) == 204
    assert aws.items == {}
    assert aws.queued == [Revocation(session_subject(SESSION), MAX_TIME, EXPIRES_AT)]
    record = receiving.record()
    assert (record["outcome"], record["reason"], record["fault"]) == ("received", "revocation_queued", "aws")
    assert record["Received"] == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_what_nobody_takes_is_a_503(receiving: Receiving, hanko: StandInHanko, aws: Aws, fault: str) -> None:
    aws.fail("UpdateItem", FAULTS[fault])
    aws.fail("SendMessage", FAULTS[fault])
    assert receiving.post(webhook(hanko, LOGOUT, ENDED)) == 503
    record = receiving.record()
    assert (record["reason"], record["fault"], record["Unavailable"]) == ("revocation_unwritten", "aws", 1)
    assert (aws.items, aws.queued) == ({}, [])


@pytest.mark.parametrize(("count", "failing_for_good"), [(1000, 0.0), (300, 0.5)])
def test_nothing_lost(receiving: Receiving, hanko: StandInHanko, aws: Aws, count: int, failing_for_good: float) -> None:
    """While DynamoDB fails every third write, or more than that, every webhook is in the table or in the queue."""
    throttled, chance = every(3, FAULTS["throttled"]), random.Random(4)  # noqa: S311 - no secret
    is_down = False

    def fault() -> object:
        return FAULTS["down"]() if is_down else throttled()

    aws.fail("UpdateItem", fault)
    expected = set()
    for number in range(count):
        is_down = chance.random() < failing_for_good
        identifier = str(uuid.UUID(int=number, version=4))
        event = DELETED if number % 2 else LOGOUT
        assert receiving.post(webhook(hanko, event, {**ENDED, "id": identifier})) == 204
        expected.add(user_subject(identifier) if event is DELETED else session_subject(identifier))
    queued, items = aws.queued, aws.items
    assert items.keys() | {one.subject for one in queued} == expected
    assert len(queued) == pytest.approx(count * failing_for_good, abs=count * 0.05)
    assert all(all(numbers) for numbers in items.values())


# --- with the authorizer behind it


def test_from_the_answer_to_the_webhook_on_the_session_is_refused(
    make_sandbox: MakeSandbox, receiving: Receiving, hanko: StandInHanko, aws: Aws, time_: Time
) -> None:
    sandbox = make_sandbox()
    check = RevocationCheck(sandbox.settings, BotocoreReader(aws.dynamodb, TABLE), time_.clock, time_.advance)
    token = hanko.mint()
    claims = sandbox.verifier.verify(token)
    check.check(claims, token)
    ended = {"id": claims.session_id, "user_id": claims.user_id, "expires_at": "2027-01-15T20:00:00Z"}
    assert receiving.post(webhook(hanko, LOGOUT, ended)) == 204
    with pytest.raises(Exception, match="session_revoked"):
        check.check(claims, token)
    other = hanko.mint(claims={"sub": claims.user_id})
    check.check(sandbox.verifier.verify(other), other)


# --- the entry point


def start(hanko: StandInHanko, aws: Aws, monkeypatch: pytest.MonkeyPatch, **environ: str) -> Any:  # noqa: ANN401 - a handler
    required = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost", "HANKO_REVOCATION_TABLE": TABLE}
    required |= {"HANKO_REVOCATION_QUEUE_URL": aws.queue_url, "AWS_LAMBDA_FUNCTION_NAME": f"function-{uuid.uuid4()}"}
    for name, value in {**required, **environ}.items():
        monkeypatch.setenv(name, value)
    return runpy.run_module("authorizer.webhook_function")["webhook_handler"]


def test_the_function_as_it_starts(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with StandInHanko() as hanko:  # on the machine's own clock
        handler = start(hanko, aws, monkeypatch, AWS_LAMBDA_FUNCTION_NAME="my-webhooks")
        answer = handler(url_event(webhook(hanko, DELETED, {"id": USER})), SimpleNamespace(aws_request_id="one"))
    assert answer["statusCode"] == 204
    assert aws.items.keys() == {user_subject(USER)}
    lines: list[Json] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["service"] for one in lines] == ["my-webhooks"]


def test_the_function_as_it_starts_with_a_topic(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = aws.sns.create_topic(Name="revoked")["TopicArn"]
    with StandInHanko() as hanko:
        handler = start(hanko, aws, monkeypatch, HANKO_REVOCATION_TOPIC_ARN=topic)
        handler(url_event(webhook(hanko, DELETED, {"id": USER})), SimpleNamespace(aws_request_id="one"))
    record = json.loads(capsys.readouterr().out)
    assert (record["reason"], record["published"]) == ("revoked", True)


@pytest.mark.parametrize("missing", ["HANKO_REVOCATION_TABLE", "HANKO_REVOCATION_QUEUE_URL", "HANKO_AUDIENCE"])
def test_without_what_it_needs_it_does_not_start(
    missing: str, hanko: StandInHanko, aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing listens there: such a process has connected, and sent nothing (test_startup.py)."""
    with pytest.raises(Misconfigured):
        start(hanko, aws, monkeypatch, **{missing: "", "HANKO_API_URL": "http://127.0.0.1:9"})
    record = json.loads(capsys.readouterr().out)
    assert (record["reason"], missing in record["mistakes"][0]) == ("settings_invalid", True)


def test_a_dead_letter_is_what_would_have_been_written() -> None:
    assert asdict(Revocation("user#1", 2, 3)) == {"subject": "user#1", "issued_until": 2, "expires_at": 3}


# --- genuine, though late or for another audience


@pytest.mark.parametrize("seconds", [311, 600, 86_400])
def test_an_old_genuine_webhook_revokes_what_it_names(
    seconds: int, receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    """Hanko's clock is behind: its webhook is over when it comes, and can only end what it would have ended."""
    body = webhook(hanko, LOGOUT, ENDED, iat=NOW - seconds, exp=NOW - seconds + 300)
    assert receiving.post(body) == 204
    assert aws.items == {session_subject(SESSION): (MAX_TIME, EXPIRES_AT)}
    assert receiving.record()["reason"] == "revoked"
    assert receiving.post(webhook(hanko, DELETED, {"id": USER}, iat=NOW - seconds, exp=NOW - seconds + 300)) == 204
    assert aws.items[user_subject(USER)] == (NOW - seconds + 10, MAX_TIME)


def test_a_genuine_webhook_for_another_audience_is_an_alarm_and_revokes(
    receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    """Hanko counts it as delivered, so that six of them do not switch the webhook off."""
    for event in (LOGOUT, "user.create"):
        assert receiving.post(webhook(hanko, event, ENDED, aud=["other.example.com"])) == 204
        record = receiving.record()
        assert (record["reason"], record["fault"], record["level"]) == ("webhook_audience", "deployment", "ERROR")
        assert record["Misconfigured"] == 1
    assert aws.items == {session_subject(SESSION): (MAX_TIME, EXPIRES_AT)}


def test_a_strangers_webhook_raises_no_alarm(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    with StandInHanko(now=lambda: NOW) as stranger:
        forged = webhook(stranger, LOGOUT, ENDED, aud=["other.example.com"])
    session = hanko.mint(claims={"aud": ["other.example.com"]})
    for body in (forged, json.dumps({"token": session, "event": LOGOUT})):
        assert receiving.post(body) == 401
        record = receiving.record()
        assert (record["fault"], record["Unauthenticated"]) == ("caller", 1)
        assert "Misconfigured" not in record
    assert aws.requests == []


def test_the_session_of_a_password_recovery_lives(
    make_receiving: MakeReceiving, make_sandbox: MakeSandbox, hanko: StandInHanko, aws: Aws
) -> None:
    """Hanko sends the webhook and issues the new session in one request, with one `iat`."""
    before = hanko.mint(claims={"sub": USER, "iat": NOW - 1})
    assert make_receiving(revoke_on_password_change="true").post(webhook(hanko, PASSWORD, {"id": USER})) == 204
    sandbox, new = make_sandbox(aws=aws), hanko.mint(claims={"sub": USER})
    assert sandbox.answer(event_with("rest_request", before)) == "Unauthorized"
    answer = sandbox.answer(event_with("http_v2", new))
    assert isinstance(answer, dict)
    assert answer["isAuthorized"] is True
