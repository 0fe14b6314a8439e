"""H: tokens of Hanko's that are no sessions."""

import uuid

import pytest
from attacks.forging import allow, answers_to_refusal, forge, genuine_key, refuse, refuse_event, session_claims
from sandbox import CONTEXT, SESSION, USER, Json, MakeSandbox, Sandbox, Time

from local.hanko import StandInHanko
from local.hanko.keys import jwk
from local.sign import SHAPES, event_with


def test_what_is_forged_here_is_good_but_for_what_is_forged(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """The unchanged token is accepted, so that each attack below fails for its own reason."""
    assert allow(sandbox, forge(hanko)) == CONTEXT


WEBHOOK_LOOKALIKES: dict[str, Json] = {
    "as_hanko_sends_it": {},
    "with_a_user_for_its_subject": {"sub": USER},
    "with_a_session_id": {"session_id": SESSION},
    "with_both": {"sub": USER, "session_id": SESSION},
    "with_both_and_an_email": {**session_claims()},
    "with_evt_alone": {"sub": USER, "session_id": SESSION, "data": None},
    "with_data_alone": {"sub": USER, "session_id": SESSION, "evt": None},
}


@pytest.mark.parametrize("claims", WEBHOOK_LOOKALIKES.values(), ids=WEBHOOK_LOOKALIKES)
def test_h1_a_webhook_token_is_no_session(claims: Json, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """H1, C5, C6: same keys, same audience, and every receiver of webhooks holds some."""
    refuse(sandbox, hanko.webhook_token("user.update", {"id": USER}, claims=claims), "not_a_session")


@pytest.mark.parametrize(
    "event", ["user", "user.create", "user.delete", "session.delete.explicit.logout", "email.send", "sms.send"]
)
def test_h1_no_webhook_of_any_event_is_a_session(event: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """H1: whatever the event is."""
    refuse(sandbox, hanko.webhook_token(event, {"id": USER, "user_id": USER}), "not_a_session")


@pytest.mark.parametrize("member", ["evt", "data"])
@pytest.mark.parametrize("value", [None, "", "user.update", {}, [], 0, False], ids=str)
def test_h1_a_session_with_a_member_of_webhooks_is_none(
    member: str, value: object, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """H1: the member's presence decides, whatever it holds."""
    refuse(sandbox, forge(hanko, claims={member: value}), "not_a_session")


@pytest.mark.parametrize("shape", SHAPES)
def test_h1_a_webhook_token_is_refused_by_every_kind_of_api(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """H1: in every place that a token can come from."""
    sandbox = make_sandbox(websocket_query_parameter="token", websocket_subprotocol="hanko")
    refuse(sandbox, hanko.webhook_token("user.update", {}), "not_a_session", shape)


def test_h1_a_webhook_token_has_no_issuer(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """H1, C7: not even when sessions have one."""
    refuse(make_sandbox(issuer="https://hanko.example.com"), hanko.webhook_token("user", {}), "issuer_not_allowed")


def test_h2_what_hanko_itself_calls_valid_may_be_for_another_app(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """H2: Hanko checks neither audience nor issuer; the authorizer does."""
    token = hanko.mint(claims={"aud": ["other.example.com"]})
    assert hanko.validate([token], renew=False)["is_valid"] is True
    refuse(sandbox, token, "audience_not_allowed")


def test_h4_tenants_that_share_a_key_are_told_apart_by_the_audience(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """H4: with AWS KMS for its key store, Hanko signs for every tenant with one key, whose id can be an ARN."""
    kid = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    hanko.extra_keys = [jwk(genuine_key(hanko), kid)]
    sandbox = make_sandbox()
    assert allow(sandbox, forge(hanko, {"kid": kid})) == CONTEXT
    refuse(sandbox, forge(hanko, {"kid": kid}, {"aud": ["other-tenant.example.com"]}), "audience_not_allowed")


def test_h5_the_token_does_not_choose_the_tenant(make_sandbox: MakeSandbox, attacker: StandInHanko) -> None:
    """H5: whatever tenant a token, its issuer or the request's path names, keys come from the configured one."""
    sandbox = make_sandbox()
    tenant = str(uuid.uuid4())
    attacker.tenant = tenant
    claims = {"iss": attacker.url, "tenant_id": tenant, "sub": USER, "session_id": SESSION}
    token = attacker.mint(claims=claims)
    event = event_with("http_v2_cookie", token) | {"rawPath": f"/{tenant}/.well-known/jwks.json"}
    refuse_event(sandbox, event, answers_to_refusal("http_v2", "key_unknown"), "key_unknown", token)
    assert attacker.jwks_requests == 0


def test_h7_a_withdrawn_key_stops_working_with_the_next_fetch(
    sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """H6, H7, J9: at the latest after the ten minutes that Hanko's own Cache-Control says."""
    token = forge(hanko)
    hanko.rotate()
    allow(sandbox, token)
    hanko.withdraw(hanko.kids[-1])
    time_.advance(600)
    allow(sandbox, token)
    time_.advance(1)
    refuse(sandbox, token, "key_unknown")


def test_h6_hanko_cannot_lengthen_the_life_of_its_keys_here(sandbox: Sandbox, hanko: StandInHanko, time_: Time) -> None:
    """H6: the maximum age is ours, whatever Cache-Control says."""
    token = forge(hanko)
    hanko.rotate()
    hanko.behave("normal", headers={"Cache-Control": "max-age=31536000, immutable"})
    allow(sandbox, token)
    hanko.withdraw(hanko.kids[-1])
    time_.advance(601)
    refuse(sandbox, token, "key_unknown")


@pytest.mark.parametrize("claims", [{}, {"aud": ["localhost"]}, {"trans": {}}], ids=str)
def test_h8_a_token_of_the_passkey_server_is_no_session(claims: Json, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """H8, C6: a passkey token lacks only the session id, even if keys and audience are the same."""
    refuse(sandbox, hanko.passkey_server_token(claims=claims), "not_a_session")


def test_h10_sessions_of_old_hanko_versions_are_refused(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """H10: they have no session id."""
    refuse(sandbox, forge(hanko, without="session_id"), "not_a_session")
