"""What a browser needs besides: CORS, who is signed in, and a page to sign in on.

CORS: backend/middleware/cors.go. /me: backend/dto/profile.go. The page is not Hanko's: there passkeys, passwords and
passcodes lead through flows, here a click does. `local/hanko/sign_in.html` posts it to the page that embeds it.
"""

import html
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local.hanko.service import SESSION_LIFETIME_SECONDS, Service

Json = dict[str, Any]
PAGE = Path(__file__).with_name("sign_in.html")
HOUR_SECONDS = 3600
EXPOSED = (
    "Retry-After,X-RateLimit-Limit,X-RateLimit-Remaining,X-RateLimit-Reset,"
    "X-Session-Lifetime,X-Session-Retention,X-Auth-Token"
)
METHODS = "GET,POST,PUT,PATCH,DELETE,OPTIONS"


class Person(NamedTuple):
    """Somebody to sign in as. `age_seconds` is how long ago they did."""

    text: str
    claims: Mapping[str, Any] = {}
    name: str = "reader"
    age_seconds: int = 0
    lifetime_seconds: int = SESSION_LIFETIME_SECONDS


PEOPLE = {
    "passkey": Person("A reader, with a passkey"),
    "password": Person("A reader, with a password", {"amr": ["pwd"]}),
    "old": Person("A reader, with a passkey, an hour ago", age_seconds=HOUR_SECONDS),
    "admin": Person("An administrator, with a passkey", {"role": "admin"}, "admin"),
    "short": Person("A reader, for ten seconds", lifetime_seconds=10),
    "elsewhere": Person("A reader of another application", {"aud": ["https://elsewhere.example"]}),
}


def cors(hanko: Service, origin: str | None, command: str, asked_headers: str | None) -> dict[str, str]:
    """The headers of every answer. A page of another origin gets `Vary` alone."""
    if origin is None or origin not in hanko.allow_origins:
        return {"Vary": "Origin"}
    own = {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
    if command != "OPTIONS":
        return {**own, "Access-Control-Expose-Headers": EXPOSED, "Vary": "Origin"}
    return {
        **own,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Max-Age": "7200",
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        **({"Access-Control-Allow-Headers": asked_headers} if asked_headers else {}),
    }


def me(hanko: Service, claims: Json) -> Json:
    """The profile of a session's user, who may not see their private metadata."""
    user = hanko.user(claims["subject"])
    named = {"username": {"id": str(uuid.uuid4()), "username": claims["username"]}} if "username" in claims else {}
    return {
        **{name: user[name] for name in ("id", "created_at")},
        "user_id": user["id"],
        "updated_at": user["created_at"],
        "emails": [{"id": str(uuid.uuid4()), **claims["email"]}],
        "mfa_config": {"auth_app_set_up": False, "totp_enabled": False, "security_keys_enabled": False},
        "metadata": {name: value for name, value in user["metadata"].items() if name != "private_metadata"},
        **named,
    }


def sign_in(hanko: Service, content: bytes) -> tuple[Json, dict[str, str]]:
    """A new session, as a flow ends with it: the token is in a header. Raises KeyError or ValueError."""
    person = PEOPLE[json.loads(content)["as"]]
    address = f"{person.name}@example.com"
    issued_at = int(hanko.now()) - person.age_seconds
    expires_at = issued_at + person.lifetime_seconds
    own = {
        "sub": str(uuid.uuid5(uuid.NAMESPACE_DNS, address)),
        "email": {"address": address, "is_primary": True, "is_verified": True},
        "username": person.name,
        "iat": issued_at,
        "exp": expires_at,
    }
    token = hanko.mint(claims={**own, **person.claims})
    headers = {
        "X-Auth-Token": token,
        "X-Session-Lifetime": str(expires_at - int(hanko.now())),
        "X-Session-Retention": "persistent",
    }
    return hanko.validate([token], renew=False, count=False), headers


def page() -> bytes:
    """The list of people."""
    buttons = [
        f'<li><button value="{name}">{html.escape(person.text)}</button></li>' for name, person in PEOPLE.items()
    ]
    return PAGE.read_text().replace("<!-- people -->", "\n".join(buttons)).encode()
