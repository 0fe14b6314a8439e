"""What Hanko knows and does: keys, tokens, sessions, webhooks. server.py is how it is reached."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from local.hanko import keys
from local.hanko.behaviour import Answer, behaviour
from local.hanko.sessions import Session, Sessions
from local.hanko.webhooks import Delivery, Webhooks

Json = dict[str, Any]
Overrides = Mapping[str, Any] | None  # merged over the defaults; a value of None removes the member

SESSION_LIFETIME_SECONDS = 12 * 3600  # session.lifespan's default
WEBHOOK_LIFETIME_SECONDS = 5 * 60  # backend/webhooks/manager.go
LAST_RFC3339_SECOND = 253402300799  # the end of the year 9999
ENDPOINTS = ("keys", "validate")  # what can be told to misbehave
PASSKEY_LIFETIME_SECONDS = 5 * 60  # teamhanko/passkeys server/crypto/jwt/jwt.go


class StrangeClaims(ValueError):
    """A token with a good signature, and an id that is none: a webhook's."""


@dataclass(kw_only=True, eq=False)
class Service:
    """One Hanko, without a network. `now` is its clock, in seconds."""

    audience: str | Sequence[str] = "localhost"
    issuer: str | None = None
    tenant: str | None = None  # with one, every public route is below `/<tenant>`
    allow_origins: Sequence[str] = ()  # cors.allow_origins; pages there may also sign people in (browser.py)
    idle_timeout_seconds: float = 0  # 0: none
    session_limit: int = 5  # per user
    now: Callable[[], float] = time.time
    first_key: int = 0  # of the pool; two stand-ins that must not share keys start at different numbers
    first_kid: str | None = None  # of the first key; a new one if None
    accept_delay_seconds: float = 0  # before the first byte on every connection, as from far away
    extra_keys: list[Any] = field(default_factory=list)  # published as they are, hostile or not
    has_database: bool = True  # without it no session is valid, and the key set is a 500

    jwks_requests: int = field(default=0, init=False)
    validate_requests: int = field(default=0, init=False)
    connections: int = field(default=0, init=False)
    last_jwks_headers: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.prefix = f"/{self.tenant}" if self.tenant else ""
        self._lock = threading.RLock()
        self._keys: dict[str, rsa.RSAPrivateKey] = {}  # every key ever made: withdrawn ones can still sign
        self._published: list[str] = []  # kids, the newest first
        self.webhooks = Webhooks(self.webhook_token)
        self._sessions = Sessions(self.now, self.idle_timeout_seconds, self.session_limit, self._session_ended)
        self._modes = dict.fromkeys(ENDPOINTS, behaviour("normal", {}))
        self._publish(self.first_kid or str(uuid.uuid4()))

    # --- tokens

    def mint(
        self,
        *,
        lifetime_seconds: float = SESSION_LIFETIME_SECONDS,
        claims: Overrides = None,
        header: Overrides = None,
        key: str | None = None,
        session: bool = True,
    ) -> str:
        """A session token of a new user, as Hanko issues it. /sessions/validate knows it if `session` is true."""
        payload = {
            "sub": str(uuid.uuid4()),
            **self._issued(lifetime_seconds),
            "iss": self.issuer,
            "session_id": str(uuid.uuid4()),
            "email": {"address": "user@example.com", "is_primary": True, "is_verified": True},
            "username": "example-user",
            "amr": ["passkey"],
        }
        payload = _merged(payload, claims)
        session_id, user_id = payload.get("session_id"), payload.get("sub")
        if session and isinstance(session_id, str) and isinstance(user_id, str):
            expires_at = payload.get("exp")
            self._sessions.add(session_id, user_id, expires_at if isinstance(expires_at, int) else None)
        return self._signed(payload, header, key)

    def webhook_token(self, event: str, data: Any, *, claims: Overrides = None) -> str:  # noqa: ANN401 - any JSON
        """A token for webhook receivers: same keys, same audience, never an issuer, no session."""
        payload = {"sub": "hanko webhooks", **self._issued(WEBHOOK_LIFETIME_SECONDS), "data": data, "evt": event}
        return self._signed(_merged(payload, claims))

    def passkey_server_token(self, *, claims: Overrides = None) -> str:
        """A token of the separate passkey server, but signed with the same keys as a session token."""
        payload = {"sub": str(uuid.uuid4()), **self._issued(PASSKEY_LIFETIME_SECONDS), "cred": keys.b64(b"credential")}
        return self._signed(_merged(payload, claims))

    def sign(self, header: Mapping[str, Any], payload: bytes | Mapping[str, Any], key: str | rsa.RSAPrivateKey) -> str:
        """A token of any header and any payload, byte for byte, signed by the key with this kid, or by any key."""
        return keys.sign(header, payload, self._keys[key] if isinstance(key, str) else key)

    def _issued(self, lifetime_seconds: float) -> Json:
        issued_at = int(self.now())
        audience = [self.audience] if isinstance(self.audience, str) else list(self.audience)
        return {"aud": audience, "iat": issued_at, "exp": issued_at + int(lifetime_seconds)}

    def _signed(self, payload: Json, header: Overrides = None, key: str | None = None) -> str:
        with self._lock:
            kid = key or self._published[0]
        if header is None:
            return keys.mint(payload, kid, self._keys[kid])
        return self.sign(_merged({"alg": "RS256", "kid": kid, "typ": "JWT"}, header), payload, kid)

    # --- keys

    @property
    def jwks(self) -> Json:
        """The key set that is served now."""
        with self._lock:
            return {"keys": [keys.jwk(self._keys[kid], kid) for kid in self._published] + list(self.extra_keys)}

    @property
    def kids(self) -> list[str]:
        """The published key ids, the signing one first."""
        with self._lock:
            return list(self._published)

    def rotate(self) -> str:
        """Make a new key that signs at once, and return its kid. Old keys stay published."""
        return self._publish(str(uuid.uuid4()))

    def _publish(self, kid: str) -> str:
        with self._lock:
            self._keys[kid] = keys.pool_key(self.first_key + len(self._keys))
            self._published.insert(0, kid)
            return kid

    def withdraw(self, kid: str) -> None:
        """Stop publishing that key. Raises KeyError if it is not published. `mint(key=kid)` can still sign with it."""
        with self._lock:
            if kid not in self._published:
                raise KeyError(kid)
            self._published.remove(kid)

    # --- sessions

    def validate(self, tokens: Sequence[str], *, renew: bool, count: bool = True) -> Json:
        """The answer of /sessions/validate: about the first token that belongs to a live session."""
        if count:
            with self._lock:
                self.validate_requests += 1
        for token in tokens if self.has_database else ():
            if (claims := self._live_claims(token)) is None:
                continue
            if session := self._sessions.find(claims["session_id"], renew=renew):
                return self._valid(claims, session)
        return {"is_valid": False}

    def _live_claims(self, token: str) -> Json | None:
        """The claims, if signature, exp and iat are right and there is a session_id: Hanko checks no audience here.

        Raises `StrangeClaims` where Hanko answers 400 (`GetClaimsFromToken` in backend/dto/session.go).
        """
        with self._lock:
            published = {kid: self._keys[kid] for kid in self._published}
        try:
            claims = keys.verified(token, published)
            if not claims["iat"] <= self.now() < claims["exp"] <= LAST_RFC3339_SECOND:
                return None
        except (ValueError, KeyError, TypeError):
            return None
        for name, shown in (("sub", "subject"), ("session_id", "session_id")):
            if name in claims and not _is_uuid(claims[name]):
                raise StrangeClaims(f"'{shown}' is not a uuid")
        return claims if "session_id" in claims else None

    def _valid(self, claims: Json, session: Session) -> Json:
        renamed = {"sub": "subject", "iat": "issued_at", "exp": "expiration", "aud": "audience", "iss": "issuer"}
        fixed = {**claims, "iat": _rfc3339(claims["iat"]), "exp": _rfc3339(claims["exp"])}
        shown = {shown_as: fixed[name] for name, shown_as in renamed.items() if name in fixed}
        shown |= {name: value for name, value in fixed.items() if name not in renamed}
        answer = {
            "is_valid": True,
            "claims": shown,
            "expiration_time": fixed["exp"],  # no custom claim gets into these two
            "user_id": claims.get("sub"),
        }
        if self.idle_timeout_seconds:
            idle_expires_at = min(session.last_used + self.idle_timeout_seconds, claims["exp"])
            answer["idle_expires_at"] = _rfc3339(idle_expires_at)
        return answer

    def end_session(self, session_id: str, why: str = "admin.revoke") -> bool:
        """End a session; whether there was one. `why` is in the event's name, `explicit.logout` for example."""
        return self._sessions.end(session_id, why)

    def end_user(self, user_id: str) -> int:
        return self._sessions.end_user(user_id)

    def delete_user(self, user_id: str) -> None:
        self._sessions.forget_user(user_id)
        self.webhooks.trigger("user.delete", self.user(user_id))

    def change_password(self, user_id: str) -> None:
        """Send the event. The user's sessions go on, as in Hanko."""
        self.webhooks.trigger("user.update.password.update", self.user(user_id))

    # --- webhooks

    def subscribe(self, url: str, events: Sequence[str]) -> None:
        """Send these events, and all below them, to a receiver on loopback. `webhooks.delivered` has the results."""
        self.webhooks.subscribe(url, events)

    def send_webhook(self, url: str, event: str, data: Any, *, claims: Overrides = None) -> int:  # noqa: ANN401 - any JSON
        """Post one event to a receiver on loopback, and return the receiver's status."""
        return Delivery(url, event, self.webhook_token(event, data, claims=claims)).post()

    def _session_ended(self, session: Session, why: str) -> None:
        data = {
            "id": session.session_id,
            "user_id": session.user_id,
            "user_agent": "Example/1.0",
            "ip_address": "192.0.2.1",
            "created_at": _rfc3339(session.created_at),
            "updated_at": _rfc3339(session.last_used),
            "expires_at": None if session.expires_at is None else _rfc3339(session.expires_at),
            "last_used": _rfc3339(session.last_used),
        }
        self.webhooks.trigger(f"session.delete.{why}", data)

    def user(self, user_id: str) -> Json:
        """A user in a webhook (backend/dto/admin/user.go). Users write `unsafe_metadata` themselves: any JSON."""
        email = {"id": str(uuid.uuid4()), "address": "user@example.com", "is_primary": True, "is_verified": True}
        metadata = {
            "public_metadata": {"plan": "example"},
            "private_metadata": {"note": "example"},
            "unsafe_metadata": {"theme": "dark"},
        }
        created_at = _rfc3339(self.now())
        return {"id": user_id, "emails": [email], "username": None, "created_at": created_at, "metadata": metadata}

    # --- how it is answered

    def behave(self, mode: str, *, endpoint: str = "keys", **options: Any) -> None:  # noqa: ANN401 - each mode has its own options
        """Answer requests for the keys, or for `validate`, in a mode of behaviour.py."""
        if endpoint not in ENDPOINTS:
            raise ValueError(f"unknown endpoint {endpoint!r}; there are: {', '.join(ENDPOINTS)}")
        answer_in_mode = behaviour(mode, options)
        with self._lock:
            self._modes[endpoint] = answer_in_mode

    def behaviour_of(self, endpoint: str) -> Callable[[Answer], None]:
        with self._lock:
            return self._modes[endpoint]

    def count_jwks_request(self, headers: dict[str, str]) -> None:
        with self._lock:
            self.jwks_requests += 1
            self.last_jwks_headers = headers

    def count_connection(self) -> None:
        with self._lock:
            self.connections += 1

    @property
    def state(self) -> Json:
        with self._lock:
            return {
                "jwks_requests": self.jwks_requests,
                "validate_requests": self.validate_requests,
                "connections": self.connections,
                "last_jwks_headers": self.last_jwks_headers,
                "kids": list(self._published),
                "webhooks": list(self.webhooks.delivered),
            }


def _is_uuid(value: object) -> bool:
    try:
        return bool(uuid.UUID(value if isinstance(value, str) else ""))
    except ValueError:
        return False


def _merged(defaults: Json, overrides: Overrides) -> Json:
    return {name: value for name, value in {**defaults, **(overrides or {})}.items() if value is not None}


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
