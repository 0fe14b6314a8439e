"""W: webhooks, and the table that they feed."""

import json
import uuid

import pytest
from attacks.forging import (
    allow,
    allowed,
    compact,
    fail,
    genuine_key,
    header_of,
    live_token,
    refuse,
    session_claims,
    signed,
)
from aws import FAULTS, TABLE, Aws
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from receiving import MakeReceiving, Receiving, url_event
from sandbox import CONTEXT, NOW, SESSION, USER, Json, MakeSandbox, Sandbox, Time

from authorizer.hanko.cooldown import BURST
from authorizer.hanko.jws import MAX_TIME
from local.hanko import StandInHanko
from local.hanko.keys import unb64
from local.sign import SHAPES, event_with, token_with

ENDED: Json = {"id": SESSION, "user_id": USER, "expires_at": "2027-01-15T20:00:00Z"}
LOGOUT, DELETED, PASSWORD = "session.delete.explicit.logout", "user.delete", "user.update.password.update"


def webhook(token: str, event: str = LOGOUT) -> str:
    return json.dumps({"token": token, "event": event})


def turned_away(receiving: Receiving, aws: Aws, body: str | bytes, status: int, reason: str) -> None:
    """Nothing is revoked, and nothing of it printed."""
    assert receiving.post(body) == status
    output = receiving.output()
    (line,) = output.splitlines()
    record = json.loads(line)
    assert (record["reason"], record["status"]) == (reason, status)
    assert not aws.requests
    assert USER not in output
    assert SESSION not in output


def test_w1_a_genuine_webhook_ends_a_session_through_the_whole_handler(
    make_sandbox: MakeSandbox, receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    """The genuine webhook works, so that each attack below fails for its own reason."""
    sandbox, token = make_sandbox(aws=aws), live_token(hanko)
    assert allow(sandbox, token) == CONTEXT
    assert receiving.post(webhook(hanko.webhook_token(LOGOUT, ENDED))) == 204
    sandbox.output()
    refuse(sandbox, token, "session_revoked")


def test_w1_a_webhook_signed_by_a_stranger(
    receiving: Receiving, hanko: StandInHanko, attacker: StandInHanko, aws: Aws
) -> None:
    """W1: under the genuine key's id."""
    kid = {"alg": "RS256", "kid": hanko.kids[0], "typ": "JWT"}
    claims = {"sub": "hanko webhooks", "aud": ["localhost"], "iat": NOW, "exp": NOW + 300, "evt": LOGOUT, "data": ENDED}
    forged = attacker.sign(kid, claims, attacker.kids[0])
    turned_away(receiving, aws, webhook(forged), 401, "signature_invalid")
    turned_away(receiving, aws, webhook(attacker.webhook_token(LOGOUT, ENDED)), 401, "key_unknown")


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512"])
def test_w1_a_webhook_with_another_algorithm(
    algorithm: str, receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    """W1: RS256 alone, as for sessions."""
    header = {"alg": algorithm, "kid": hanko.kids[0], "typ": "JWT"}
    claims = {"sub": "hanko webhooks", "aud": ["localhost"], "iat": NOW, "exp": NOW + 300, "evt": LOGOUT, "data": ENDED}
    token = hanko.sign(header, claims, hanko.kids[0])
    turned_away(receiving, aws, webhook(token), 401, "algorithm_not_allowed")


def test_w2_a_session_logs_nobody_out(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """W2: the mirror of H1. Every user holds a token of these keys for this audience."""
    turned_away(receiving, aws, webhook(live_token(hanko)), 401, "not_a_webhook")
    dressed_up = live_token(hanko, evt=LOGOUT, data=ENDED)  # a JWT template can add claims
    turned_away(receiving, aws, webhook(dressed_up), 401, "not_a_webhook")
    disguised = live_token(hanko, evt=LOGOUT, data=ENDED, sub="hanko webhooks")
    turned_away(receiving, aws, webhook(disguised), 401, "not_a_webhook")


def test_w2_a_token_of_the_passkey_server_logs_nobody_out(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """W2: the mirror of H8."""
    token = hanko.passkey_server_token(claims={"evt": LOGOUT, "data": ENDED})
    turned_away(receiving, aws, webhook(token), 401, "not_a_webhook")


def test_w3_a_webhook_for_another_app(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """W3: it ends what our own Hanko ended, nothing else, and the deployer hears of it; a session's token does not."""
    claims = {"aud": ["other.example.com"]}
    assert receiving.post(webhook(hanko.webhook_token(LOGOUT, ENDED, claims=claims))) == 204
    assert receiving.record()["reason"] == "webhook_audience"
    assert aws.items.keys() == {f"session#{SESSION}"}
    assert receiving.post(webhook(live_token(hanko, evt=LOGOUT, data=ENDED, **claims))) == 401
    assert receiving.record()["reason"] == "not_a_webhook"


@pytest.mark.parametrize("event", [DELETED, PASSWORD])
def test_w3_h4_a_tenant_with_our_key_logs_none_of_our_users_out(
    event: str, make_sandbox: MakeSandbox, make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws
) -> None:
    """W3, H4: tenants of one AWS KMS key differ in their audience alone, and choose the ids of their own users."""
    sandbox, receiving = make_sandbox(aws=aws), make_receiving(revoke_on_password_change="true")
    theirs = hanko.webhook_token(event, {"id": USER}, claims={"aud": ["other.example.com"]})
    assert receiving.post(webhook(theirs, event)) == 204
    assert receiving.record()["reason"] == "webhook_audience"
    assert not aws.requests
    assert allow(sandbox, live_token(hanko)) == CONTEXT


def test_w4_an_old_webhook(receiving: Receiving, hanko: StandInHanko, aws: Aws, time_: Time) -> None:
    """W4: whoever kept one ends what it would have ended: that session, or what was issued up to its own time."""
    logout, deleted = hanko.webhook_token(LOGOUT, ENDED), hanko.webhook_token(DELETED, {"id": USER})
    time_.advance(30 * 86_400)
    assert [receiving.post(webhook(logout)), receiving.post(webhook(deleted, DELETED))] == [204, 204]
    assert {subject: until for subject, (until, _) in aws.items.items()} == {
        f"session#{SESSION}": MAX_TIME,
        f"user#{USER}": NOW + 10,
    }


def test_w5_a_webhook_replayed_within_its_time(
    make_sandbox: MakeSandbox, receiving: Receiving, hanko: StandInHanko, aws: Aws, time_: Time
) -> None:
    """W5: other receivers hold such tokens. A replay revokes the same sessions up to the same moment."""
    sandbox, body = make_sandbox(aws=aws), webhook(hanko.webhook_token(DELETED, {"id": USER}), DELETED)
    assert receiving.post(body) == 204
    before = aws.items
    time_.advance(60)
    for _ in range(3):
        assert receiving.post(body) == 204
    assert aws.items == before
    sandbox.output()
    # The user came back, imported under the same id; a new user has another id anyway.
    assert allowed(sandbox.answer(event_with("http_v2", live_token(hanko, session_id=str(uuid.uuid4())))))
    assert allowed(sandbox.answer(event_with("http_v2", hanko.mint())))


def test_w5_sessions_from_before_stay_refused_whatever_comes_after(
    make_sandbox: MakeSandbox, receiving: Receiving, hanko: StandInHanko, aws: Aws, time_: Time
) -> None:
    """W5: an older webhook that arrives last does not undo a newer one."""
    sandbox, token = make_sandbox(aws=aws), live_token(hanko)
    older = webhook(hanko.webhook_token(DELETED, {"id": USER}, claims={"iat": NOW - 100}), DELETED)
    assert receiving.post(webhook(hanko.webhook_token(DELETED, {"id": USER}), DELETED)) == 204
    assert receiving.post(older) == 204
    receiving.output()
    refuse(sandbox, token, "session_revoked")
    time_.advance(43_199)
    refuse(sandbox, token, "session_revoked")


@pytest.mark.parametrize("event", [DELETED, "user.create", "session.delete", "session.delete.admin.revoke", ""])
def test_w6_the_event_outside_the_token(event: str, receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """W6: the event in the body is not signed, so that it decides nothing."""
    turned_away(receiving, aws, webhook(hanko.webhook_token(LOGOUT, ENDED), event), 400, "webhook_malformed")


@pytest.mark.parametrize(
    "event",
    [
        *("session.deleted", "session.delete", "session.delete.", "session.deletex.y", "sessions.delete.x"),
        *(
            " session.delete.x",
            "SESSION.delete.x",
            "user.deleted",
            "user.delete.x",
            "user",
            "session",
            "session.create",
        ),
        "user.update.password.update",  # unless it is switched on
    ],
)
def test_w6_an_event_almost_right_revokes_nothing(
    event: str, receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    """W6: event names are compared exactly."""
    assert receiving.post(webhook(hanko.webhook_token(event, ENDED), event)) == 204
    assert receiving.record()["reason"] == "event_ignored"
    assert not aws.requests


def test_w7_a_body_of_a_megabyte(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """W7: the size is limited before anything is parsed."""
    for body in (" " * 1_000_000, b" " * 1_000_000, webhook(hanko.webhook_token(LOGOUT, ENDED)) + " " * 262_144):
        turned_away(receiving, aws, body, 413, "body_too_large")
    assert hanko.jwks_requests == 0


@pytest.mark.parametrize("body", ["[" * 60_000, '{"event":' * 6_000, '{"token":"a.b.c","event":"' + "\\u0041" * 9_000])
def test_w7_deep_and_endless_json(body: str, receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """W7: JSON that is too deep or not complete is refused."""
    turned_away(receiving, aws, body, 400, "webhook_malformed")
    assert hanko.jwks_requests == 0


def test_w7_deep_json_inside_the_token(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """W7: Hanko signed it, so that it raises an alarm. See W11."""
    data: object = SESSION
    for _ in range(40):
        data = [data]
    turned_away(receiving, aws, webhook(hanko.webhook_token(LOGOUT, data)), 503, "webhook_unreadable")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "post", "", None])
def test_w7_another_method(method: str, receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """W7: POST alone."""
    body = webhook(hanko.webhook_token(LOGOUT, ENDED))
    assert receiving.answer(url_event(body, method))["statusCode"] == 405
    assert not aws.requests


def test_w8_a_flood_of_strangers_costs_hanko_a_burst_of_fetches(
    receiving: Receiving, hanko: StandInHanko, aws: Aws, own_key: RSAPrivateKey
) -> None:
    """W8: genuine webhooks are still accepted in between."""
    assert receiving.post(webhook(hanko.webhook_token(LOGOUT, ENDED))) == 204
    statuses = set()
    for _ in range(20):
        claims = {"sub": "hanko webhooks", "aud": ["localhost"], "iat": NOW, "exp": NOW + 300}
        token = signed(compact({"alg": "RS256", "kid": str(uuid.uuid4()), "typ": "JWT"}), compact(claims), own_key)
        statuses.add(receiving.post(webhook(token)))
    assert statuses == {401}
    assert hanko.jwks_requests == 1 + BURST
    assert receiving.post(webhook(hanko.webhook_token(DELETED, {"id": USER}), DELETED)) == 204
    assert len(aws.items) == 2


def test_w8_strangers_do_not_keep_a_new_key_from_being_found(
    make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, own_key: RSAPrivateKey, time_: Time
) -> None:
    """W8: Hanko signs with a new key at once. With the template's cool-down a flood costs at most 2 s of webhooks."""
    receiving = make_receiving(keys_cooldown_seconds="2")  # see test_template.py
    lost_seconds = 0
    for second in range(20):
        forged = signed(compact({"alg": "RS256", "kid": str(uuid.uuid4()), "typ": "JWT"}), b"{}", own_key)
        assert receiving.post(webhook(forged)) == 401
        if second == 11:  # the burst is used up
            hanko.rotate()
        ended = {**ENDED, "id": str(uuid.uuid4())}
        lost_seconds += receiving.post(webhook(hanko.webhook_token(LOGOUT, ended))) != 204
        time_.advance(1)
    assert lost_seconds <= 2
    assert len(aws.items) == 20 - lost_seconds
    assert hanko.jwks_requests <= 1 + BURST + 10  # and every other second


def test_w8_nor_a_key_that_changes_under_its_id(
    make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, own_key: RSAPrivateKey, time_: Time
) -> None:
    """W8: an alias of AWS KMS is pointed at another key while forged signatures under its id use up the fetches."""
    receiving, kid = make_receiving(keys_cooldown_seconds="2"), hanko.kids[0]
    header = {"alg": "RS256", "kid": kid, "typ": "JWT"}
    claims = {"sub": "hanko webhooks", "aud": ["localhost"], "iat": NOW, "exp": NOW + 300, "evt": LOGOUT}
    lost_seconds = 0
    for second in range(20):
        assert receiving.post(webhook(signed(compact(header), b"{}", own_key))) == 401
        if second == 11:
            hanko.rotate()
            hanko.behave("body", data=json.dumps({"keys": [{**hanko.jwks["keys"][0], "kid": kid}]}))
        genuine = hanko.sign(header, {**claims, "data": {**ENDED, "id": str(uuid.uuid4())}}, hanko.kids[0])
        lost_seconds += receiving.post(webhook(genuine)) != 204
        time_.advance(1)
    assert lost_seconds <= 2
    assert len(aws.items) == 20 - lost_seconds
    assert hanko.jwks_requests <= 1 + 10  # every other second


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_w9_no_table_no_entry(fault: str, shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko, aws: Aws) -> None:
    """W9: while the table fails, no request is allowed and none is answered with 401."""
    sandbox = make_sandbox(aws=aws, websocket_query_parameter="token", websocket_subprotocol="hanko")
    aws.fail("BatchGetItem", FAULTS[fault])
    assert sandbox.answer(event_with(shape, live_token(hanko))) == "Authorizer unavailable"
    (record,) = sandbox.records()
    assert (record["reason"], record["fault"], record["RevocationChecks"]) == (
        "revocation_unchecked",
        "aws",
        5 if fault in {"throttled", "failing", "down"} else 1,
    )
    assert (record["Unavailable"], record["RevocationFailures"]) == (1, 1)


@pytest.mark.parametrize("fault", FAULTS)
def test_w9_allow_lets_in_what_the_token_says_marked_and_counted(
    fault: str, make_sandbox: MakeSandbox, receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    """W9: with `allow` the token alone decides, and record and metric say so."""
    sandbox, token, revoked = make_sandbox(aws=aws, session_on_outage="allow"), live_token(hanko), hanko.mint()
    claims = sandbox.verifier.verify(revoked)
    assert receiving.post(webhook(hanko.webhook_token(LOGOUT, {"id": claims.session_id}))) == 204
    receiving.output()
    refuse(sandbox, revoked, "session_revoked")
    aws.fail("BatchGetItem", FAULTS[fault])
    assert allowed(sandbox.answer(event_with("http_v2", token)))
    (record,) = sandbox.records()
    assert (record["SessionUnchecked"], record["Allowed"]) == (1, 1)
    refuse(sandbox, revoked, "session_revoked")  # remembered: an outage forgets nothing


def test_w9_a_table_that_holds_nonsense_is_no_answer(make_sandbox: MakeSandbox, hanko: StandInHanko, aws: Aws) -> None:
    """W9: an unreadable item of the user is a failure. A readable item of the session still counts."""
    aws.dynamodb.put_item(TableName=TABLE, Item={"subject": {"S": f"user#{USER}"}})
    assert fail(make_sandbox(aws=aws), live_token(hanko), "revocation_unchecked")["revocation_failure"] == "malformed"
    sandbox = make_sandbox(aws=aws, session_on_outage="allow")
    assert allowed(sandbox.answer(event_with("http_v2", live_token(hanko))))
    assert sandbox.records()[0]["SessionUnchecked"] == 1
    revoked = {"subject": {"S": f"session#{SESSION}"}, "issued_until": {"N": str(NOW)}}
    aws.dynamodb.put_item(TableName=TABLE, Item=revoked)
    refuse(sandbox, live_token(hanko), "session_revoked")


def test_w10_the_table_is_not_asked_about_what_is_no_valid_token(
    make_sandbox: MakeSandbox, hanko: StandInHanko, aws: Aws
) -> None:
    """W10: forged tokens cause no reads."""
    sandbox = make_sandbox(aws=aws, session_on_outage="allow")
    for defect in ("expired", "not_yet_valid", "wrong_audience", "webhook", "tampered", "alg_none"):
        assert not allowed(sandbox.answer(event_with("http_v2", token_with(defect, hanko))))
    assert not aws.requests


# What users may write into their own metadata, in 3,000 characters. Go hands it through as it is (json.RawMessage).
UNSAFE_METADATA = {
    "nested": '{"a":' * 40 + "1" + "}" * 40,
    "nested_to_the_limit": "[" * 1_500 + "]" * 1_500,
    "lone_surrogate": r'{"a":"\ud800"}',
    "a_name_twice": '{"a":1,"a":2,"id":"x","id":"y"}',
    "integer_of_41_digits": '{"a":' + "9" * 41 + "}",
    "integer_of_2999_digits": "-" + "9" * 2_999,
    "number_without_end": '{"a":1e999}',
    "brackets_in_strings": r'{"a\"}}":"]]\\","]":"\\\"{{"}',
    "another_webhook": '{"data":{"id":"x"},"sub":"x","evt":"x","session_id":"x"}',
}


def token_of_a_user(hanko: StandInHanko, event: str, unsafe_metadata: str) -> str:
    """The webhook about a user who has written this into their own metadata."""
    _, payload, _ = hanko.webhook_token(event, hanko.user(USER)).split(".")
    text = unb64(payload).decode()
    plain = json.dumps({"theme": "dark"}, separators=(",", ":"))
    assert text.count(plain) == 1
    return signed(compact(header_of(hanko)), text.replace(plain, unsafe_metadata).encode(), genuine_key(hanko))


@pytest.mark.parametrize("text", UNSAFE_METADATA.values(), ids=UNSAFE_METADATA)
def test_w11_what_a_user_writes_about_himself_does_not_keep_him_in(
    text: str, make_sandbox: MakeSandbox, make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws
) -> None:
    """W11: the user's own text is in the webhook. Text that cannot be parsed must not prevent the revocation."""
    sandbox, token = make_sandbox(aws=aws), live_token(hanko)
    receiving = make_receiving(revoke_on_password_change="true")
    assert allow(sandbox, token) == CONTEXT
    for event in (PASSWORD, DELETED):
        assert receiving.post(webhook(token_of_a_user(hanko, event, text), event)) == 204
        assert aws.items.keys() == {f"user#{USER}"}
    receiving.output()
    refuse(sandbox, token, "session_revoked")


@pytest.mark.parametrize("text", UNSAFE_METADATA.values(), ids=UNSAFE_METADATA)
def test_w11_nor_does_he_make_hanko_give_up(text: str, receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """Hanko stops sending after more than five failures in a row: users must not cause any."""
    assert receiving.post(webhook(token_of_a_user(hanko, "user.update", text), "user.update")) == 204
    assert receiving.record()["reason"] == "event_ignored"
    assert not aws.requests


@pytest.mark.parametrize("text", list(UNSAFE_METADATA.values())[:-2], ids=list(UNSAFE_METADATA)[:-2])
def test_w11_a_session_with_such_claims_is_as_strictly_read_as_ever(
    text: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """W11: the lenient reading is for webhooks alone."""
    payload = compact(session_claims())[:-1] + f',"metadata":{text}}}'.encode()
    refuse(sandbox, signed(compact(header_of(hanko)), payload, genuine_key(hanko)), "claims_malformed")


def test_w11_a_webhook_may_be_large(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """W11: it holds the browser's User-Agent, which may be as long as Hanko's server accepts."""
    token = hanko.webhook_token(LOGOUT, {**ENDED, "user_agent": "M" * 150_000})
    assert receiving.post(webhook(token)) == 204
    assert aws.items.keys() == {f"session#{SESSION}"}
