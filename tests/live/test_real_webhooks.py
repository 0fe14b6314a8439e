"""The webhooks that a real Hanko sends, and what our receiver makes of them."""

import json

import pytest
from aws import Aws
from live.conftest import answer
from live.real_hanko import PASSWORD, Mails, RealHanko, Webhooks, bearer, call, claims_of, header_of
from sandbox import MakeSandbox
from servers import becomes

from authorizer.revocation.subject import session_subject, user_subject

pytestmark = [pytest.mark.live, pytest.mark.needs("admin", "webhooks")]


def test_what_one_looks_like(hanko: RealHanko, webhooks: Webhooks) -> None:
    """Signed like a session, for the same audience, no issuer, five minutes; nothing in the request's own headers."""
    token = hanko.new_session(hanko.new_user())
    session = claims_of(token)
    webhook = webhooks.wait("session.create.admin", session["session_id"])
    assert set(json.loads(webhook.body)) == {"token", "event"}
    assert header_of(json.loads(webhook.body)["token"]) == header_of(token)
    claims = webhook.claims
    assert set(claims) == {"aud", "data", "evt", "exp", "iat", "sub"}
    assert (claims["sub"], claims["evt"], claims["aud"]) == ("hanko webhooks", webhook.event, session["aud"])
    assert claims["exp"] - claims["iat"] == 300
    assert set(claims["data"]) >= {"id", "user_id", "created_at", "updated_at", "expires_at", "last_used"}
    assert claims["data"]["user_id"] == session["sub"]
    assert webhook.headers["User-Agent"] == "Go-http-client/1.1"
    assert webhook.headers["Content-Type"] == "application/json"
    assert {name.lower() for name in webhook.headers} == {
        *("host", "user-agent", "content-length", "content-type", "accept-encoding")
    }


def test_the_ends_of_sessions(hanko: RealHanko, webhooks: Webhooks, table: Aws) -> None:
    """Logout, revocation by the admin API, the limit: each has its event, and our receiver writes each down."""
    user = hanko.new_user()
    first, *_, revoked, logged_out = (hanko.new_session(user) for _ in range(6))
    hanko.revoke(revoked)
    hanko.logout(logged_out)
    for event, token in (
        ("session.delete.passive.limit", first),
        ("session.delete.admin.revoke", revoked),
        ("session.delete.explicit.logout", logged_out),
    ):
        session = claims_of(token)
        webhook = webhooks.wait(event, session["session_id"])
        assert webhook.claims["data"]["id"] == session["session_id"]
        subject = session_subject(session["session_id"])
        assert becomes(lambda subject=subject: subject in table.items)  # type: ignore[misc]  # bound by its default
        assert session["exp"] <= table.items[subject][1] <= session["exp"] + 3601


def test_a_webhook_ends_a_session_here(
    hanko: RealHanko, webhooks: Webhooks, table: Aws, make_sandbox: MakeSandbox
) -> None:
    """The whole way: logout there, webhook, table, 401 here."""
    sandbox, token = make_sandbox(aws=table), hanko.new_session(hanko.new_user())
    assert answer(sandbox, token) == "Allow"
    hanko.logout(token)
    webhooks.wait("session.delete.explicit.logout", claims_of(token)["session_id"])
    assert answer(sandbox, token) == "Unauthorized"


def test_a_deleted_user_is_one_webhook(
    hanko: RealHanko, webhooks: Webhooks, table: Aws, make_sandbox: MakeSandbox
) -> None:
    """`user.delete`, and none for the user's sessions."""
    sandbox, user = make_sandbox(aws=table), hanko.new_user()
    token = hanko.new_session(user)
    hanko.delete(user.user_id)
    assert webhooks.wait("user.delete", user.user_id).claims["data"]["id"] == user.user_id
    assert user_subject(user.user_id) in table.items
    assert answer(sandbox, token) == "Unauthorized"
    hanko.new_session(hanko.new_user())  # webhooks come in the order of the requests
    assert becomes(lambda: webhooks.names[-1] == "session.create.admin")
    assert not [name for name in webhooks.names if name.startswith("session.delete")]


@pytest.mark.needs("mail")
def test_recovery_ends_the_sessions_before_it(
    hanko: RealHanko, webhooks: Webhooks, mails: Mails, table: Aws, make_sandbox: MakeSandbox
) -> None:
    """The event has the second of the new session, as a rule: the new one lives, the old one does not."""
    sandbox, user = make_sandbox(aws=table), hanko.new_user(password=True)
    old = hanko.login(user)
    flow = hanko.offer_password(user).act("continue_to_passcode_confirmation_recovery")
    flow.act("verify_passcode", code=mails.code_for(user.address))
    new = flow.act("password_recovery", new_password=PASSWORD + "!").finish().token
    changed = webhooks.wait("user.update.password.update", user.user_id)
    assert changed.claims["iat"] <= claims_of(new)["iat"]
    assert user_subject(user.user_id) in table.items
    assert [answer(sandbox, token) for token in (old, new)] == ["Unauthorized", "Allow"]


def test_a_password_changed_by_the_admin_api_is_no_webhook(hanko: RealHanko, webhooks: Webhooks) -> None:
    user = hanko.new_user(password=True)
    call(f"{hanko.admin_url}/users/{user.user_id}/password", {"password": "another one"}, method="PUT")
    webhooks.wait("session.create.admin", claims_of(hanko.new_session(user))["session_id"])
    assert "user.update.password.update" not in webhooks.names


def test_it_is_sent_once(hanko: RealHanko, webhooks: Webhooks) -> None:
    """A 500 is not followed by another try; a hook that failed gets the next event all the same."""
    webhooks.respond = lambda _: 500
    first = claims_of(hanko.new_session(hanko.new_user()))["session_id"]
    webhooks.wait("session.create.admin", first)
    second = claims_of(hanko.new_session(hanko.new_user()))["session_id"]
    webhooks.wait("session.create.admin", second)
    assert len(webhooks.about("session.create.admin", first)) == 1


def test_its_token_opens_nothing(hanko: RealHanko, webhooks: Webhooks, make_sandbox: MakeSandbox) -> None:
    """Hanko's own answer is a 400 to /sessions/validate, both ways, and a 401 to /me. Ours is a 401, unasked."""
    session = claims_of(hanko.new_session(hanko.new_user()))["session_id"]
    token = json.loads(webhooks.wait("session.create.admin", session).body)["token"]
    assert (hanko.validate(token).status, hanko.touch(token).status) == (400, 400)
    assert "'subject' is not a uuid" in hanko.validate(token).json["message"]
    assert call(f"{hanko.url}/me", headers=bearer(token)).status == 401
    sandbox = make_sandbox(session_check="strict")
    assert answer(sandbox, token) == "Unauthorized"
    record = sandbox.records()[-1]
    assert (record["reason"], record.get("SessionChecks", 0)) == ("not_a_session", 0)
