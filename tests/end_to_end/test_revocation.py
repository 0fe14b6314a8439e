"""Logout through it all: Hanko's webhook, the Function URL, the table, and the authorizer that looks there."""

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from authorizer.clock import Clock
from authorizer.revocation.entry import Revocation
from authorizer.revocation.writer import DeadLetterQueue
from local import replay
from local.aws import LocalAws
from local.calls import call_http
from local.command_line import CommandFailed
from local.deployment import ALIAS, Deployment
from local.hanko import StandInHanko

EVENTS = ["session.delete", "user.delete", "user.update.password.update"]


@dataclass(frozen=True)
class Protected:
    """An API whose authorizer looks into the table, without a cache in front of it."""

    aws: LocalAws
    hanko: StandInHanko
    outputs: dict[str, str]
    url: str

    def call(self, token: str) -> int:
        return call_http(self.url, {"Authorization": f"Bearer {token}"}).status

    def log(self, group: str) -> list[dict[str, Any]]:
        lines = self.aws.logs(self.outputs[group])
        return [json.loads(line) for line in lines if line.startswith("{")]

    @property
    def table(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.aws.client("dynamodb").scan(TableName=self.outputs["RevocationTableName"])[
            "Items"
        ]
        return items


@pytest.fixture(scope="module")
def protected(deployment: Deployment) -> Iterator[Protected]:
    aws = deployment.aws
    with StandInHanko() as hanko:  # of its own: nobody else is to be logged out
        settings = {"HankoApiUrl": hanko.url, "HankoAudience": "localhost", "EnableRevocation": "true"}
        settings |= {"HankoRevokeOnPasswordChange": "true", "Architecture": "x86_64"}
        outputs = aws.deploy("template.yaml", "with-revocation", settings)
        api = aws.deploy("examples/rest-request.yaml", "rest-with-revocation", {ALIAS: outputs[ALIAS]})
        hanko.subscribe(aws.function_url(outputs["WebhookUrl"]), EVENTS)
        yield Protected(aws, hanko, outputs, aws.rest_url(api["ApiId"], api["StageName"]) + "/web/me")


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def test_a_logout_is_heard_within_one_webhook(protected: Protected) -> None:
    token, other = protected.hanko.mint(), protected.hanko.mint()
    assert (protected.call(token), protected.call(other)) == (200, 200)
    status = call_http(f"{protected.hanko.url}/logout", {"Authorization": f"Bearer {token}"}, method="POST").status
    protected.hanko.webhooks.wait()
    assert (status, protected.hanko.webhooks.delivered[-1]) == (204, ("session.delete.explicit.logout", 204))
    assert (protected.call(token), protected.call(other)) == (401, 200)


def test_a_deleted_users_sessions_are_all_refused_and_a_later_users_is_not(
    protected: Protected, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, user = protected.hanko.now, str(uuid.uuid4())
    monkeypatch.setattr(protected.hanko, "now", lambda: now() - 20)
    tokens = [protected.hanko.mint(claims={"sub": user}) for _ in range(3)]
    assert [protected.call(token) for token in tokens] == [200, 200, 200]
    protected.hanko.delete_user(user)
    protected.hanko.webhooks.wait()
    assert [protected.call(token) for token in tokens] == [401, 401, 401]
    assert protected.hanko.webhooks.delivered[-1] == ("user.delete", 204)
    assert protected.call(protected.hanko.mint()) == 200
    monkeypatch.setattr(protected.hanko, "now", now)  # imported again under the old id, beyond the clock skew
    assert protected.call(protected.hanko.mint(claims={"sub": user})) == 200


def test_a_changed_password_ends_every_session(protected: Protected) -> None:
    """One of the same second lives: a recovery's own session has the webhook's `iat`."""
    token = protected.hanko.mint(claims={"iat": int(protected.hanko.now()) - 5})
    assert protected.call(token) == 200
    protected.hanko.change_password(claims_of(token)["sub"])
    protected.hanko.webhooks.wait()
    assert protected.call(token) == 401


def test_webhooks_twice_and_in_another_order_come_to_the_same(protected: Protected) -> None:
    tokens = [protected.hanko.mint() for _ in range(4)]
    for mode in ("repeat", "reorder", "normal"):
        protected.hanko.webhooks.behave(mode)
        if mode != "normal":
            for token in tokens[:2] if mode == "repeat" else tokens[2:]:
                protected.hanko.end_session(claims_of(token)["session_id"])
    protected.hanko.webhooks.wait()
    assert {status for _, status in protected.hanko.webhooks.delivered} == {204}
    assert [protected.call(token) for token in tokens] == [401] * 4


def test_a_lost_webhook_is_what_revocation_cannot_help(protected: Protected) -> None:
    token = protected.hanko.mint()
    protected.hanko.webhooks.behave("lose")
    protected.hanko.end_session(claims_of(token)["session_id"])
    protected.hanko.webhooks.behave("normal")
    assert protected.call(token) == 200


def test_strangers_get_nothing_done(protected: Protected) -> None:
    token = protected.hanko.mint()
    url = protected.aws.function_url(protected.outputs["WebhookUrl"])
    before = protected.table
    forged = json.dumps({"token": token, "event": "session.delete.explicit.logout"})
    for body, status in {forged: 401, "{}": 400, "x" * 1_000_000: 413}.items():
        assert call_http(url, {}, body, method="POST").status == status
    assert call_http(url, {}).status == 405
    assert protected.table == before
    assert protected.call(token) == 200


def test_the_replay_drains_the_queue(
    protected: Protected, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = protected.hanko.mint()
    entry = Revocation(f"session#{claims_of(token)['session_id']}", 4_102_444_800, 4_102_444_800)
    DeadLetterQueue(protected.outputs["DeadLetterQueueUrl"], protected.aws.client("sqs"), Clock()).put(entry)
    assert protected.call(token) == 200
    for name, value in protected.aws.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    assert replay.main(["--stack", "with-revocation"]) == 0
    assert capsys.readouterr().out == "1 written, 0 left\n"
    assert protected.call(token) == 401
    with pytest.raises(CommandFailed, match="EnableRevocation is off"):
        replay.main(["--stack", "authorizer"])


def test_no_token_and_no_id_reaches_the_receivers_log(protected: Protected) -> None:
    token = protected.hanko.mint()
    protected.hanko.end_session(claims_of(token)["session_id"])
    protected.hanko.webhooks.wait()
    log = json.dumps(protected.log("WebhookLogGroupName"))
    assert '"reason": "revoked"' in log
    assert claims_of(token)["sub"] not in log
    assert claims_of(token)["session_id"] not in log
    assert not any(part in log for part in token.split("."))
