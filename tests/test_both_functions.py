"""Authorizer and receiver together, each as Lambda starts it, between one Hanko and one table over real HTTP.

Hanko's clock is 312 s behind. Its sessions pass all the same. Its webhooks, which live for 300 s, are over when they
come.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from entering import CONTEXT, Handler, Start, record, webhook_event
from http_aws import HttpAws, beside, table_and_queue
from sandbox import SESSION, USER, Json
from servers import serving

from local.hanko import StandInHanko
from local.sign import event_with

BEHIND_SECONDS = 312
PASSWORD = "user.update.password.update"


class Both(NamedTuple):
    """Hanko, the two functions, and the records of both."""

    hanko: StandInHanko
    authorizer: Handler
    receiver: Handler
    aws: HttpAws
    capsys: pytest.CaptureFixture[str]

    def post(self, webhook: Json) -> tuple[int, str, int]:
        """The status of the answer to a webhook, the reason, and how often it counts as an alarm."""
        self.capsys.readouterr()
        status = self.receiver(webhook, CONTEXT)["statusCode"]
        line = record(self.capsys)
        return status, line["reason"], line.get("Misconfigured", 0)

    def reason(self, token: str) -> str:
        """Why the authorizer answers as it does."""
        self.capsys.readouterr()
        answer = self.authorizer(event_with("http_v2", token), CONTEXT)
        why: str = record(self.capsys)["reason"]
        assert answer["isAuthorized"] is (why == "allowed")
        return why


@pytest.fixture
def both(start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Both]:
    with StandInHanko(now=lambda: time.time() - BEHIND_SECONDS) as hanko, serving(aws := HttpAws()) as address:
        variables = {**beside(monkeypatch, address), **table_and_queue(address)}
        variables["HANKO_REVOKE_ON_PASSWORD_CHANGE"] = "true"
        receiver = start(hanko.url, "webhook_function", **variables)
        yield Both(hanko, start(hanko.url, **variables), receiver, aws, capsys)


def session(hanko: StandInHanko, **claims: object) -> str:
    return hanko.mint(claims={"sub": USER, "session_id": SESSION, **claims})


def test_a_logout_of_a_hanko_whose_clock_is_behind(both: Both) -> None:
    token, other = session(both.hanko), both.hanko.mint(claims={"sub": USER})
    assert both.reason(token) == "allowed"
    assert both.post(webhook_event(both.hanko)) == (204, "revoked", 0)
    assert (both.reason(token), both.reason(other)) == ("session_revoked", "allowed")


def test_a_genuine_webhook_for_another_audience_ends_the_session_and_is_an_alarm(both: Both) -> None:
    """HANKO_AUDIENCE is wrong. Six failures would make Hanko switch the webhook off, so it gets a success."""
    token = session(both.hanko)
    for _ in range(6):
        webhook = webhook_event(both.hanko, aud=["other.example.com"])
        assert both.post(webhook) == (204, "webhook_audience", 1)
    assert both.reason(token) == "session_revoked"


def test_a_strangers_webhook_is_no_alarm_and_ends_nothing(both: Both) -> None:
    token = session(both.hanko)
    with StandInHanko(first_key=1) as stranger:
        for audience in ("localhost", "other.example.com"):
            assert both.post(webhook_event(stranger, aud=[audience])) == (401, "key_unknown", 0)
    assert both.reason(token) == "allowed"
    assert both.aws.items == {}


def test_the_session_of_a_password_recovery_lives_and_older_ones_do_not(both: Both) -> None:
    """Hanko sends the webhook and issues the session in one request, with one `iat`."""
    issued_at = int(both.hanko.now())
    old, new = session(both.hanko, iat=issued_at - 1), both.hanko.mint(claims={"sub": USER, "iat": issued_at})
    webhook = webhook_event(both.hanko, PASSWORD, {"id": USER}, iat=issued_at)
    assert both.post(webhook) == (204, "revoked", 0)
    assert (both.reason(old), both.reason(new)) == ("session_revoked", "allowed")
