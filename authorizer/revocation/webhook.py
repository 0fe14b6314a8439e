"""Verifies a webhook of Hanko, and says what it revokes. A session's token is refused here.

The opposite, a webhook's token sent as a session, is refused by check 12 in tokens.py.

`session.delete.*` revokes one session. `user.delete` revokes all sessions of a user, and so does
`user.update.password.update` if HANKO_REVOKE_ON_PASSWORD_CHANGE is true. Other events revoke nothing.

Hanko posts `{"token": "<JWT>", "event": "<name>"}` once (teamhanko/hanko, backend/webhooks). Only the JWT counts. It
has the keys and the audience of sessions, and never an issuer.
"""

import math
from datetime import datetime
from typing import NamedTuple

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason, Unauthenticated
from authorizer.hanko.jws import MAX_TIME, KeySource, Payload, SignatureVerifier, is_uuid
from authorizer.hanko.strict_json import decode_unchecked, parse_object
from authorizer.revocation.entry import Revocation
from authorizer.revocation.outline import parse_outline, sole_member
from authorizer.revocation.subject import session_subject, user_subject

MAX_BODY_BYTES = 256 * 1024  # in it are headers of a user's request, and the metadata that they write themselves
MARGIN_SECONDS = 3600  # tokens live on for HANKO_CLOCK_SKEW_SECONDS; far more than that costs nothing

_SENDER = "hanko webhooks"
# Its events: .explicit.logout, .explicit.revoke, .admin.revoke, .passive.expire, .passive.limit.
_SESSION_ENDED = "session.delete"
_USER_DELETED = "user.delete"
_PASSWORD_CHANGED = "user.update.password.update"  # noqa: S105 - an event, not a password


class Webhook(NamedTuple):
    """A verified webhook: the family of its event, and what it revokes. Events that revoke nothing have neither."""

    event: str = ""
    revocation: Revocation | None = None
    is_for_us: bool = True


class WebhookVerifier:
    """Verifies the webhooks of one Hanko for one set of audiences."""

    def __init__(self, settings: Settings, keys: KeySource, clock: Clock) -> None:
        self._signatures = SignatureVerifier(settings, keys, clock, MAX_BODY_BYTES)
        self._skew_seconds = settings.clock_skew_seconds
        self._max_lifetime_seconds = settings.max_token_lifetime_seconds
        self._revokes_on_password_change = settings.revoke_on_password_change

    def verify(self, body: bytes) -> Webhook:
        """Return what a genuine webhook revokes, whatever its age and its audience.

        An old webhook comes from a Hanko whose clock is behind, or is a replay: it can only end what it would have
        ended. One for another audience ends a session, whose id Hanko made. It says nothing about a user: tenants that
        share a key of AWS KMS choose their users' ids, through Hanko's admin API, and differ in the audience alone.

        Raises `Unauthenticated` with the reason if Hanko did not sign it or if it is no webhook, what `KeySource.find`
        raises, and `Misconfigured(webhook_unreadable)` if Hanko signed it and it has another form than in Hanko's
        source: every logout would be lost, so an alarm must tell.
        """
        event, token = _parse(body)
        verified, is_for_us = self._verify_payload(self._signatures.verify_signature(token))
        if not isinstance(verified.claims["evt"], str):
            raise Misconfigured(Reason.WEBHOOK_UNREADABLE)
        if verified.claims["evt"] != event:  # the event outside the token is anybody's to change
            raise Unauthenticated(Reason.WEBHOOK_MALFORMED)
        webhook = self._read(event, verified)
        return webhook if is_for_us else _for_others(webhook)

    def _verify_payload(self, encoded: bytes) -> tuple[Payload, bool]:
        """Return the payload, and whether it is for us. The user can write what lies below `data`: it is not judged."""
        try:
            members = parse_outline(decode_unchecked(encoded))
        except ValueError:
            raise Misconfigured(Reason.WEBHOOK_UNREADABLE) from None
        if members.get("sub") != _SENDER or "session_id" in members or "evt" not in members or "data" not in members:
            raise Unauthenticated(Reason.NOT_A_WEBHOOK)
        try:
            issued_at, expires_at = self._signatures.verify_times(members, at_any_time=True)
            return Payload(issued_at, expires_at, members), self._signatures.is_for_us(members.get("aud"))
        except Unauthenticated:
            raise Misconfigured(Reason.WEBHOOK_UNREADABLE) from None

    def _read(self, event: str, verified: Payload) -> Webhook:
        """Return what the webhook revokes. The data of an event that revokes nothing are not read."""
        data, issued_until = verified.claims["data"], math.ceil(verified.issued_at)
        expires_at = self._last_expiry(issued_until)
        if event.startswith(f"{_SESSION_ENDED}.") and not event.endswith("."):
            ended = Revocation(session_subject(_id_of(data)), MAX_TIME, _session_expiry(data) or expires_at)
            return Webhook(_SESSION_ENDED, ended)
        if event == _PASSWORD_CHANGED:  # recovery issues the new session with the same iat: that one must live
            issued_until -= 1
        if event == _USER_DELETED:  # by the clock of another of Hanko's machines a session may seem to begin after it
            issued_until += self._skew_seconds
        if event == _USER_DELETED or (event == _PASSWORD_CHANGED and self._revokes_on_password_change):
            return Webhook(event, Revocation(user_subject(_id_of(data)), issued_until, expires_at))
        return Webhook()

    def _last_expiry(self, issued_until: int) -> int:
        """Return when every token issued until then has expired. Without a limit to the lifetime: `MAX_TIME`."""
        if self._max_lifetime_seconds is None:
            return MAX_TIME
        return issued_until + self._max_lifetime_seconds + MARGIN_SECONDS


def _parse(body: bytes) -> tuple[str, str]:
    """Event and token, both still to be verified."""
    try:
        members = parse_object(body)
    except ValueError:
        raise Unauthenticated(Reason.WEBHOOK_MALFORMED) from None
    event, token = members.pop("event", None), members.pop("token", None)
    if not isinstance(event, str) or not isinstance(token, str):
        raise Unauthenticated(Reason.WEBHOOK_MALFORMED)
    return event, token


def _for_others(webhook: Webhook) -> Webhook:
    """What a webhook for another audience revokes here: a session, never a user."""
    return webhook._replace(is_for_us=False) if webhook.event == _SESSION_ENDED else Webhook(is_for_us=False)


def _id_of(data: object) -> str:
    identifier = sole_member(data, "id")
    if not is_uuid(identifier):
        raise Misconfigured(Reason.WEBHOOK_UNREADABLE)
    return identifier


def _session_expiry(data: object) -> int | None:
    """Return when the session's token expires, with a margin. None if the webhook has no such time that we can read."""
    text = sole_member(data, "expires_at")
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    if time.tzinfo is None or not 0 < time.timestamp() < MAX_TIME:  # Go writes a time that is not set as the year 1
        return None
    return math.ceil(time.timestamp()) + MARGIN_SECONDS
