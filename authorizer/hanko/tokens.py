"""Verifies session tokens. Check 12 refuses the token of a webhook or of the passkey server.

jws.py has the checks that sessions and webhooks have in common.
"""

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Reason, Unauthenticated
from authorizer.hanko.jws import KeySource, SignatureVerifier, is_uuid
from authorizer.model import Claims


class TokenVerifier:
    """Verifies the session tokens of one Hanko for one set of audiences."""

    def __init__(self, settings: Settings, keys: KeySource, clock: Clock) -> None:
        self._signatures, self._clock = SignatureVerifier(settings, keys, clock), clock
        self._issuer = settings.issuer
        self._max_lifetime_seconds = settings.max_token_lifetime_seconds

    def verify(self, token: str) -> Claims:
        """Return the claims of a valid session token.

        Raises `Unauthenticated` with the reason, or what `KeySource.find` raises. Sources: Hanko's
        backend/session/session.go and backend/webhooks/manager.go.
        """
        issued_at, expires_at, payload = self._signatures.verify(token)  # checks 2 to 9 of SECURITY.md
        if self._max_lifetime_seconds is not None and expires_at - issued_at > self._max_lifetime_seconds:
            raise Unauthenticated(Reason.TOKEN_LIFETIME_TOO_LONG)  # check 10
        if self._issuer is not None and payload.get("iss") != self._issuer:
            raise Unauthenticated(Reason.ISSUER_NOT_ALLOWED)  # check 11
        # Check 12: webhook tokens have the keys and audience of sessions, passkey-server tokens almost their claims.
        user_id, session_id = payload.get("sub"), payload.get("session_id")
        if "evt" in payload or "data" in payload or not (is_uuid(user_id) and is_uuid(session_id)):
            raise Unauthenticated(Reason.NOT_A_SESSION)
        return Claims(user_id, session_id, issued_at, expires_at, payload)

    @property
    def audience_matched(self) -> bool:
        return self._signatures.audience_matched

    def seconds_left(self, claims: Claims) -> float:
        """How long the token is valid, by `exp` alone."""
        return claims.expires_at - self._clock.wall()
