"""Hanko's webhook → what it revokes, or the reason why not. The keys are a plain set here, as in test_tokens.py."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason, Unauthenticated
from authorizer.hanko.jws import MAX_TIME, Payload
from authorizer.revocation.entry import Revocation
from authorizer.revocation.webhook import MAX_BODY_BYTES, Webhook, WebhookVerifier
from local.hanko import pool_key
from local.hanko.keys import b64, sign

NOW = 1_800_000_000
USER_ID = "3f1f8bd5-9b8e-4b4f-8a39-4b1f5d0c6f52"
SESSION_ID = "9d6c1e0a-6d4c-4c0e-9f0e-0a3d3ff3b1c7"
MARGIN_SECONDS = 3600
UNTIL = NOW + 10  # a deleted user's sessions: with the clock skew's default
EXPIRES_AT = NOW + 3600
SESSION: dict[str, Any] = {"id": SESSION_ID, "user_id": USER_ID, "expires_at": "2027-01-15T09:00:00Z"}
USER: dict[str, Any] = {"id": USER_ID, "emails": [{"address": "user@example.com"}]}
LOGOUT, DELETED, PASSWORD = "session.delete.explicit.logout", "user.delete", "user.update.password.update"
SETTINGS = Settings.from_env({"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "example.com"})


class Keys:
    """A key source with one key."""

    def find(self, kid: str) -> RSAPublicKey:
        if kid != "key-0":
            raise Unauthenticated(Reason.KEY_UNKNOWN)
        return pool_key(0).public_key()

    def find_changed(self, _kid: str, unfit: RSAPublicKey) -> RSAPublicKey:
        return unfit


def token(evt: str, data: object, /, **claims: Any) -> str:  # noqa: ANN401 - any JSON; `...` removes a claim
    payload = {"sub": "hanko webhooks", "aud": ["example.com"], "iat": NOW, "exp": NOW + 300, "data": data, "evt": evt}
    payload = {name: value for name, value in {**payload, **claims}.items() if value is not ...}
    return sign({"alg": "RS256", "kid": "key-0", "typ": "JWT"}, payload, pool_key(0))


def body(evt: str, data: object, /, **claims: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps({"token": token(evt, data, **claims), "event": evt}).encode()


def verify(posted: bytes, now: float = NOW, **settings: Any) -> Webhook:  # noqa: ANN401 - any setting
    settings["revoke_on_password_change"] = settings.pop("on_password_change", False)
    clock = Clock(wall=lambda: now, monotonic=lambda: 0.0)
    return WebhookVerifier(SETTINGS._replace(**settings), Keys(), clock).verify(posted)


def refused(posted: bytes, now: float = NOW) -> Reason:
    with pytest.raises(Unauthenticated) as caught:
        verify(posted, now)
    assert str(caught.value) == caught.value.reason.value
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.reason


# --- what revokes


@pytest.mark.parametrize(
    "event",
    [
        LOGOUT,
        "session.delete.explicit.revoke",
        "session.delete.admin.revoke",
        "session.delete.passive.expire",
        "session.delete.passive.limit",
        "session.delete.of-a-kind.2-come",
    ],
)
def test_the_end_of_a_session_revokes_all_of_its_tokens(event: str) -> None:
    item = Revocation(f"session#{SESSION_ID}", MAX_TIME, EXPIRES_AT + MARGIN_SECONDS)
    assert verify(body(event, SESSION)) == Webhook("session.delete", item)


def test_the_end_of_a_user_revokes_what_was_issued_until_then() -> None:
    assert verify(body(DELETED, USER)) == Webhook(DELETED, Revocation(f"user#{USER_ID}", UNTIL, MAX_TIME))


@pytest.mark.parametrize("skew_seconds", [0, 60])
def test_of_a_deleted_user_nothing_is_left_by_another_clock(skew_seconds: int) -> None:
    """Hanko's machines may disagree, too. A changed password leaves the login that follows it alone."""
    item = verify(body(DELETED, USER), clock_skew_seconds=skew_seconds).revocation
    assert item == Revocation(f"user#{USER_ID}", NOW + skew_seconds, MAX_TIME)
    item = verify(body(PASSWORD, USER), clock_skew_seconds=skew_seconds, on_password_change=True).revocation
    assert item == Revocation(f"user#{USER_ID}", NOW - 1, MAX_TIME)


def test_with_a_limit_to_lifetimes_a_users_item_has_an_end() -> None:
    item = verify(body(DELETED, USER), max_token_lifetime_seconds=43_200).revocation
    assert item == Revocation(f"user#{USER_ID}", UNTIL, NOW + 43_200 + MARGIN_SECONDS)


def test_an_issue_time_with_a_fraction_covers_its_second() -> None:
    item = verify(body(DELETED, USER, iat=NOW - 0.5)).revocation
    assert item is not None
    assert item.issued_until == UNTIL


def test_a_changed_password_revokes_only_where_that_is_wanted() -> None:
    assert verify(body(PASSWORD, USER)) == Webhook()
    item = Revocation(f"user#{USER_ID}", NOW - 1, MAX_TIME)  # recovery's new session has the same iat
    assert verify(body(PASSWORD, USER), on_password_change=True) == Webhook(PASSWORD, item)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-15T09:00:00.123456789Z", EXPIRES_AT + 1),
        ("2027-01-15T10:00:00+01:00", EXPIRES_AT),
        ("2020-01-01T00:00:00Z", 1_577_836_800),
        ("1970-01-01T00:00:01Z", 1),
        ("2099-12-31T23:59:59Z", MAX_TIME - 1),
    ],
)
def test_times_are_read_as_go_writes_them(text: str, expected: int) -> None:
    item = verify(body(LOGOUT, {**SESSION, "expires_at": text})).revocation
    assert item is not None
    assert item.expires_at == expected + MARGIN_SECONDS


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "never", 1_800_003_600, "2027-01-15T09:00:00", ["x"]),
        *("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
    ],
)
def test_a_session_without_a_readable_end_is_kept_as_long_as_a_token_can_live(text: object) -> None:
    posted = body(LOGOUT, {**SESSION, "expires_at": text})
    assert verify(posted).revocation == Revocation(f"session#{SESSION_ID}", MAX_TIME, MAX_TIME)
    item = verify(posted, max_token_lifetime_seconds=60).revocation
    assert item == Revocation(f"session#{SESSION_ID}", MAX_TIME, NOW + 60 + MARGIN_SECONDS)


# --- what does not


@pytest.mark.parametrize(
    "event",
    [
        *("session.delete", "session.delete.", "session.deleted", "session.deletes.x", "xsession.delete.x", "session"),
        *("user.delete.x", "user.deleted", "User.delete", "user.update.password", "user.create", "email.send", ""),
    ],
)
def test_other_events_revoke_nothing_and_their_data_are_not_read(event: str) -> None:
    for data in (SESSION, USER, None, "text", {"id": "none"}):
        assert verify(body(event, data), on_password_change=True) == ("", None, True)


# --- what is not genuine


@pytest.mark.parametrize(
    "posted",
    [
        *(b"", b"{}", b"[]", b"null", b"{", b'{"token": "a.b.c"}', b'{"event": "user.delete"}', b"\xff", b"token=a"),
        *(b'{"token": 1, "event": "user.delete"}', b'{"token": "a.b.c", "event": null}'),
        b'{"token": "a.b.c", "event": "user.create", "event": "user.delete"}',
        b'{"token": "a.b.c", "event": "user.delete"} {}',
        b"[" * 60_000,
        b'{"event":' * 40 + b"1" + b"}" * 40,
    ],
)
def test_a_body_that_is_none(posted: bytes) -> None:
    assert refused(posted) is Reason.WEBHOOK_MALFORMED


def test_what_stands_beside_token_and_event_is_of_no_account() -> None:
    posted = json.loads(body(DELETED, USER)) | {"id": SESSION_ID, "data": SESSION}
    assert verify(json.dumps(posted).encode()).revocation == Revocation(f"user#{USER_ID}", UNTIL, MAX_TIME)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": ...},
        {"sub": USER_ID},
        {"sub": "Hanko webhooks"},
        {"sub": "hanko webhooks "},
        {"session_id": SESSION_ID},
        {"session_id": None},
        {"evt": ...},
        {"data": ...},
    ],
)
def test_a_token_that_is_no_webhooks(claims: dict[str, Any]) -> None:
    assert refused(body(DELETED, USER, **claims)) is Reason.NOT_A_WEBHOOK


def test_the_token_of_a_session_is_no_webhooks() -> None:
    session = {"sub": USER_ID, "session_id": SESSION_ID, "evt": ..., "data": ...}
    assert refused(body(DELETED, USER, **session)) is Reason.NOT_A_WEBHOOK


@pytest.mark.parametrize("evt", [LOGOUT, "user.create", "user.delete.x", "USER.DELETE", ""])
def test_the_event_outside_must_be_the_one_inside(evt: object) -> None:
    posted = json.dumps({"token": token(LOGOUT, SESSION, evt=evt), "event": DELETED}).encode()
    assert refused(posted) is Reason.WEBHOOK_MALFORMED


@pytest.mark.parametrize("audience", [["other.example.com"], "other.example.com", []])
def test_a_webhook_for_another_audience_is_marked_and_ends_at_most_a_session(audience: object) -> None:
    """Hanko makes a session's id. A tenant with the same key can choose a user's."""
    ended = Revocation(f"session#{SESSION_ID}", MAX_TIME, MAX_TIME)
    assert verify(body(LOGOUT, {"id": SESSION_ID}, aud=audience)) == Webhook("session.delete", ended, is_for_us=False)
    for event in (DELETED, "user.create"):
        assert verify(body(event, USER, aud=audience)) == Webhook(is_for_us=False)


def test_an_old_webhook_ends_what_it_would_have_ended() -> None:
    found = verify(body(DELETED, USER, iat=NOW - 311, exp=NOW - 11))
    assert found == Webhook(DELETED, Revocation(f"user#{USER_ID}", UNTIL - 311, MAX_TIME))


def test_a_webhook_from_the_future_is_one_of_a_hanko_whose_clock_is_ahead() -> None:
    for ahead_seconds in (11, 60, 3600):
        posted = body(DELETED, USER, iat=NOW + ahead_seconds, exp=NOW + ahead_seconds + 300)
        assert verify(posted).revocation == Revocation(f"user#{USER_ID}", UNTIL + ahead_seconds, MAX_TIME)


def test_a_signature_of_somebody_else() -> None:
    forged = sign({"alg": "RS256", "kid": "key-0", "typ": "JWT"}, {"evt": DELETED}, pool_key(1))
    assert refused(json.dumps({"token": forged, "event": DELETED}).encode()) is Reason.SIGNATURE_INVALID


def test_a_webhook_needs_no_issuer_and_lives_longer_than_some_sessions_may() -> None:
    assert verify(body(DELETED, USER), issuer="https://auth.example.com", max_token_lifetime_seconds=60).revocation


def test_a_token_may_fill_the_body() -> None:
    large = body(DELETED, {**USER, "metadata": "x" * 190_000})
    assert 250_000 < len(large) < MAX_BODY_BYTES == 262_144
    assert verify(large).revocation


@pytest.mark.parametrize("event", [LOGOUT, DELETED, PASSWORD])
@pytest.mark.parametrize(
    "data", [None, [], "text", {}, {"id": None}, {"id": USER_ID.upper()}, {"id": "42"}, {"ID": USER_ID}]
)
def test_a_genuine_webhook_that_we_cannot_read_is_not_passed_over(event: str, data: object) -> None:
    assert unreadable(body(event, data))


def unreadable(posted: bytes) -> bool:
    with pytest.raises(Misconfigured) as caught:
        verify(posted, on_password_change=True)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.reason is Reason.WEBHOOK_UNREADABLE


@pytest.mark.parametrize(
    "claims",
    [
        *({"aud": ...}, {"aud": None}, {"aud": [["example.com"]]}, {"aud": ["example.com", 1]}, {"aud": {}}),
        *({"exp": ...}, {"exp": str(NOW + 300)}, {"exp": NOW - 1}, {"exp": 10**40}, {"exp": math.inf}),
        *({"iat": ...}, {"iat": True}, {"iat": None}, {"iat": [NOW]}, {"iat": NOW + 301}, {"nbf": "x"}),
        *({"evt": None}, {"evt": 1}, {"evt": [DELETED]}, {"evt": {"evt": DELETED}}),
    ],
    ids=lambda claims: str(claims)[:40],
)
def test_nor_is_one_whose_own_members_have_another_shape(claims: Mapping[str, Any]) -> None:
    assert unreadable(body(DELETED, USER, **claims))


def signed(payload: bytes, event: str = DELETED) -> bytes:
    """A body whose token has this payload, byte for byte."""
    posted = {"token": sign({"alg": "RS256", "kid": "key-0", "typ": "JWT"}, payload, pool_key(0)), "event": event}
    return json.dumps(posted).encode()


def payload(evt: str = DELETED, data: str = f'{{"id":"{USER_ID}"}}', more: str = "") -> bytes:
    """The text of a payload, with whatever stands in `data`, and behind it."""
    text = f'{{"sub":"hanko webhooks","aud":["example.com"],"iat":{NOW},"exp":{NOW + 300},"data":{data},"evt":"{evt}"'
    return f"{text}{more}}}".encode()


@pytest.mark.parametrize("member", ["sub", "evt", "aud", "iat", "exp", "data"])
def test_nor_is_one_that_says_something_twice(member: str) -> None:
    said = json.loads(payload())[member]
    assert verify(signed(payload())).revocation
    assert unreadable(signed(payload(more=f',"{member}":{json.dumps(said)}')))


@pytest.mark.parametrize("first", [USER_ID, SESSION_ID, None])
def test_nor_is_one_that_names_two(first: str | None) -> None:
    """Nor the same one twice; below, the ids of other things are nobody's business."""
    data = f'{{"id":{json.dumps(first)},"id":"{USER_ID}"}}'
    assert unreadable(signed(payload(data=data)))
    assert verify(signed(payload("user.create", data), "user.create")) == Webhook()
    data = f'{{"id":"{USER_ID}","emails":[{{"id":1,"id":2}}]}}'
    assert verify(signed(payload(data=data))).revocation == Revocation(f"user#{USER_ID}", UNTIL, MAX_TIME)


@pytest.mark.parametrize("text", [b"[]", b"null", b"{", b'{"data":"', b'{"sub":"hanko webhooks"}}', b"\xff"])
def test_nor_is_one_that_is_no_object(text: bytes) -> None:
    assert unreadable(signed(text))


def test_nor_is_one_that_is_no_canonical_base64() -> None:
    header, good, _ = token(DELETED, USER).split(".")
    loose = f"{header}.{good[: len(good) // 4 * 4]}A"
    signature = pool_key(0).sign(loose.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert unreadable(json.dumps({"token": f"{loose}.{b64(signature)}", "event": DELETED}).encode())


def test_what_is_in_a_payload_is_not_printed() -> None:
    assert repr(Payload(1, 2, {"email": "user@example.com"})) == "Payload(...)"
