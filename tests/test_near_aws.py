"""Whole functions and AWS's answers: a bad way to them, wrong shapes, throttling, dead kept connections.

DynamoDB, SQS and Systems Manager over real HTTP (http_aws.py). The entry modules are run as Lambda imports them, but
for the tests that move the clock.
"""

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from aws import TABLE
from entering import CONTEXT, Start, record, webhook_event
from http_aws import PARAMETER, THROTTLED, HttpAws, beside, table_and_queue
from sandbox import SESSION, USER, Json, Time
from servers import serving

from authorizer.assembly import build_authorizer
from authorizer.clock import Clock
from authorizer.gateway.raised import AuthorizerUnavailable
from authorizer.handler import Authorizer
from authorizer.revocation.check import READ_UNTIL_SECONDS
from authorizer.revocation.receiver import build_receiver
from authorizer.revocation.table import CONNECT_SECONDS, READ_SECONDS
from authorizer.rules.source import MAX_AGE_SECONDS
from authorizer.startup import Startup
from authorizer.startup import start as start_up
from local.hanko import StandInHanko
from local.sign import event_with

LONGER = 0.5  # seconds that a fault may add to an answer


@pytest.fixture
def time_() -> Time:
    """As the machine has it, until a test moves it."""
    return Time(wall=time.time(), monotonic=time.monotonic())


def started(
    monkeypatch: pytest.MonkeyPatch, hanko: StandInHanko, clock: Clock, variables: Json, *, is_receiver: bool = False
) -> Startup:
    """What an entry module starts with, on a clock of the test's."""
    for name, value in {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost", **variables}.items():
        monkeypatch.setenv(name, value)
    return start_up(os.environ, is_receiver=is_receiver)._replace(clock=clock)


# --- a bad way to the table


class BadWay(NamedTuple):
    """AWS behind a fault, the variables of a function beside it, and the attempts that this takes."""

    aws: HttpAws
    variables: dict[str, str]
    attempts: int


@pytest.fixture(params=["its look-up fails once", "reset once", "reset twice", "its first address leads nowhere"])
def bad_way(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, nowhere: tuple[str, int]
) -> Iterator[BadWay]:
    resets = {"reset once": 1, "reset twice": 2}.get(request.param, 0)
    failures = int(request.param == "its look-up fails once")
    dead = [nowhere] if request.param == "its first address leads nowhere" else []
    aws = HttpAws(resets)
    with serving(aws) as address:
        variables = beside(monkeypatch, address, dead, failures) | table_and_queue(address)
        yield BadWay(aws, variables, 1 + resets + failures)


def test_a_cold_authorizer_on_a_bad_way_to_its_table(
    start: Start, hanko: StandInHanko, bad_way: BadWay, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is revoked stays out, everybody else gets in, and nobody waits long."""
    revoked = hanko.mint(claims={"sub": USER})
    bad_way.aws.items[f"user#{USER}"] = {"issued_until": {"N": "4102444800"}}
    handler = start(hanko.url, **bad_way.variables)
    began = time.monotonic()
    assert handler(event_with("http_v2", revoked), CONTEXT)["context"]["reason"] == "session_revoked"
    assert time.monotonic() - began < READ_UNTIL_SECONDS + CONNECT_SECONDS + READ_SECONDS + LONGER
    assert record(capsys)["RevocationChecks"] == bad_way.attempts
    assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True


def test_a_cold_receiver_on_a_bad_way_to_its_table(start: Start, hanko: StandInHanko, bad_way: BadWay) -> None:
    """Written to the table, and not to the queue: nobody has to replay it."""
    handler = start(hanko.url, "webhook_function", **bad_way.variables)
    assert handler(webhook_event(hanko), CONTEXT)["statusCode"] == 204
    assert bad_way.aws.items.keys() == {f"session#{SESSION}"}
    assert (bad_way.aws.connections, bad_way.aws.queued) == (bad_way.aws.resets + 1, [])


# --- answers of the wrong shape

NO_ANSWERS = [
    b"",
    b"null",
    b"[]",
    b'"x"',
    b"{}",
    b"<html></html>",
    b"[" * 100_000,
    b'{"Responses": {"%s": {}}}' % TABLE.encode(),
]
SAID = {"fail": ("revocation_unchecked", None), "allow": ("allowed", 1)}


@pytest.mark.parametrize("outage", SAID)
def test_what_is_no_answer_of_the_table_is_an_outage(
    outage: str, start: Start, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A proxy, a wrong endpoint: 500, or with `allow` the token decides, and the record says so."""
    with serving(aws := HttpAws()) as address:
        variables = beside(monkeypatch, address) | {"HANKO_REVOCATION_TABLE": TABLE}
        handler = start(hanko.url, HANKO_SESSION_ON_OUTAGE=outage, **variables)
        for aws.says["BatchGetItem"] in NO_ANSWERS:
            if outage == "allow":
                assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True
            else:
                with pytest.raises(AuthorizerUnavailable):
                    handler(event_with("http_v2", hanko.mint()), CONTEXT)
            line = record(capsys)
            assert (line["reason"], line.get("SessionUnchecked")) == SAID[outage]
            assert line["revocation_failure"] == "malformed"


OLDER = b'{"Attributes": {"issued_until": {"N": "1"}, "expires_at": {"N": "1"}}}'
NO_WRITES = [b"", b"null", b"[]", b"{}", b'{"Attributes": {}}', b"<html></html>", b"[" * 100_000, OLDER]


def in_a_hurry() -> Clock:
    """Time that runs twenty times as fast from now on: the 5 s of the writes are over in 0.25."""
    began = time.monotonic()
    return Clock(monotonic=lambda: began + 20 * (time.monotonic() - began))


@pytest.mark.parametrize("body", NO_WRITES, ids=lambda body: repr(body[:20]))
def test_a_write_whose_answer_does_not_say_so_waits_in_the_queue(
    body: bytes, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 200 may be a proxy's. What may not be written is queued, and what may not be queued is a 503."""
    with serving(aws := HttpAws()) as address:
        variables = {**beside(monkeypatch, address), **table_and_queue(address)}
        receiver = build_receiver(started(monkeypatch, hanko, in_a_hurry(), variables, is_receiver=True))
        aws.says["UpdateItem"] = body
        assert receiver.handle(webhook_event(hanko), "invocation-1")["statusCode"] == 204
        assert record(capsys)["reason"] == "revocation_queued"
        assert [letter["subject"] for letter in aws.queued] == [f"session#{SESSION}"]
        aws.says["SendMessage"] = body
        assert receiver.handle(webhook_event(hanko), "invocation-1")["statusCode"] == 503
        assert record(capsys)["reason"] == "revocation_unwritten"


# --- rules in a parameter

ADMINS = 'default = "allow"\n[[rule]]\nname = "admins"\nroutes = ["* /*"]\nrequire = { role = "admin" }\n'


@pytest.mark.parametrize(
    "faults",
    [[b""], [THROTTLED], [THROTTLED, THROTTLED], [b"", THROTTLED]],
    ids=["reset", "throttled", "throttled twice", "reset and throttled"],
)
def test_a_cold_start_whose_rules_come_at_a_later_attempt(
    faults: list[bytes], start: Start, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One throttled call at the start was 10 s of 500."""
    with serving(aws := HttpAws()) as address:
        aws.rules, aws.faults = ADMINS, list(faults)
        handler = start(hanko.url, HANKO_RULES_PARAMETER=PARAMETER, **beside(monkeypatch, address))
        for role, is_allowed in (("admin", True), ("user", False)):
            answer = handler(event_with("http_v2", hanko.mint(claims={"role": role})), CONTEXT)
            assert answer["isAuthorized"] is is_allowed
    assert aws.asked == ["GetParameter"] * (len(faults) + 1)


def answered(authorizer: Authorizer, token: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, bool]:
    """The reason in the record, and whether the record marks the rules as stale."""
    authorizer.handle(event_with("http_v2", token), "invocation-1", "")
    line = record(capsys)
    return line["reason"], "stale_rules" in line


def test_rules_are_read_again_although_the_kept_connection_died(
    hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], time_: Time
) -> None:
    """The process was frozen: its connection to Systems Manager is dead. No alarm, and the new rules count at once."""
    user: Json = {"role": "user"}
    with serving(aws := HttpAws()) as address:
        aws.rules = ADMINS
        variables = {**beside(monkeypatch, address), "HANKO_RULES_PARAMETER": PARAMETER}
        authorizer = build_authorizer(started(monkeypatch, hanko, time_.clock, variables))
        assert answered(authorizer, hanko.mint(claims=user), capsys) == ("rule_not_met", False)
        aws.rules, aws.faults = ADMINS.replace('"admin"', '"user"'), [b""]
        time_.advance(MAX_AGE_SECONDS)
        assert answered(authorizer, hanko.mint(claims=user), capsys) == ("allowed", False)
        assert (aws.connections, len(aws.asked)) == (2, 3)
