"""Our verdict beside PyJWT's, about the same tokens: PyJWT must agree with every token that we accept."""

import os
import time
from typing import Any

import jwt
from hypothesis import event, given, settings
from hypothesis import strategies as st

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Reason, Unauthenticated
from authorizer.hanko.tokens import TokenVerifier
from authorizer.model import Claims
from local.hanko import pool_key
from local.hanko.keys import sign

HOUR_SECONDS = 3600
AUDIENCES, ISSUER = ["example.com", "other.example.com"], "https://hanko.example.com"
UUIDS = ("3f1f8bd5-9b8e-4b4f-8a39-4b1f5d0c6f52", "9d6c1e0a-6d4c-4c0e-9f0e-0a3d3ff3b1c7")
KEYS = {"key-0": pool_key(0).public_key()}
# What we refuse and PyJWT, which was asked for no more than a plain RS256 token, accepts.
STRICTER = {
    Reason.HEADER_NOT_ALLOWED,  # a member that Hanko never sends
    Reason.NOT_A_SESSION,  # a webhook's or a passkey server's token
    Reason.CLAIMS_MALFORMED,  # times that are booleans or texts, an exp before the iat
}


class Keys:
    """A key set that needs no fetch."""

    def find(self, kid: str) -> Any:  # noqa: ANN401 - the type that KeySource asks for is cryptography's own
        if kid not in KEYS:
            raise Unauthenticated(Reason.KEY_UNKNOWN)
        return KEYS[kid]

    def find_changed(self, _kid: str, unfit: Any) -> Any:  # noqa: ANN401 - as above
        return unfit


OURS = TokenVerifier(
    Settings.from_env(
        {
            "HANKO_API_URL": "https://hanko.example.com",
            "HANKO_AUDIENCE": ",".join(AUDIENCES),
            "HANKO_ISSUER": ISSUER,
        }
    ),
    Keys(),
    Clock(),
)


def our_verdict(token: str) -> Claims | Reason:
    try:
        return OURS.verify(token)
    except Unauthenticated as error:
        return error.reason


def pyjwts_verdict(token: str) -> dict[str, Any] | None:
    """PyJWT reads the system's clock, so the offsets below are far from every limit."""
    try:
        key = KEYS[jwt.get_unverified_header(token)["kid"]]
        required = {"require": ["exp", "iat", "aud", "iss", "sub"]}
        options: Any = {"algorithms": ["RS256"], "audience": AUDIENCES, "issuer": ISSUER, "options": required}
        return dict(jwt.decode(token, key, leeway=10, **options))
    except (jwt.PyJWTError, KeyError):
        return None


HOURS = [sign_ * HOUR_SECONDS for sign_ in (-2, -1, 1, 2)]
HEADER: dict[str, object] = {"alg": "RS256", "kid": "key-0", "typ": "JWT"}
CLAIMS: dict[str, object] = {  # times are seconds from now
    "sub": UUIDS[0],
    "session_id": UUIDS[1],
    "aud": AUDIENCES[:1],
    "iss": ISSUER,
    "iat": -HOUR_SECONDS,
    "exp": 2 * HOUR_SECONDS,
}
# Other values of each member; every member can be missing, too.
OTHER_HEADERS: dict[str, list[object]] = {
    "alg": ["RS512", "HS256", "none", "rs256"],
    "kid": ["key-1", "KEY-0", 7],
    "typ": ["at+jwt", "jwt"],
    "crit": [["b64"], []],
    "jku": ["https://attacker.example.com"],
}
OTHER_CLAIMS: dict[str, list[object]] = {
    "sub": ["hanko webhooks", "", 7],
    "session_id": [UUIDS[1].upper(), 7],
    "aud": ["example.com", AUDIENCES, ["EXAMPLE.com"], "example.com.attacker.com", [7], []],
    "iss": [ISSUER + "/", [ISSUER], 7],
    "exp": [*HOURS, "soon", True],
    "iat": [*HOURS, "now", True],
    "nbf": [*HOURS, "now", False],
    "evt": ["user.delete"],
}


def changes(others: dict[str, list[object]]) -> st.SearchStrategy[dict[str, Any]]:
    """At most two members with other values; None is a value, `...` leaves the member out."""
    each = [(name, value) for name, values in others.items() for value in [*values, None, ...]]
    return st.lists(st.sampled_from(each), max_size=2).map(dict)


def changed(members: dict[str, object], others: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **others}.items() if value is not ...}


def from_now(claims: dict[str, Any]) -> dict[str, Any]:
    now = int(time.time())
    times = {
        name: now + value for name, value in claims.items() if name in {"exp", "iat", "nbf"} and type(value) is int
    }
    return {**claims, **times}


@settings(max_examples=300, deadline=None, derandomize="CI" in os.environ)
@given(header=st.just({}) | changes(OTHER_HEADERS), claims=changes(OTHER_CLAIMS), key=st.sampled_from([0, 0, 0, 1]))
def test_pyjwt_agrees(header: dict[str, Any], claims: dict[str, Any], key: int) -> None:
    """We accept nothing that PyJWT refuses. What only we refuse, we refuse for one of three reasons."""
    token = sign(changed(HEADER, header), from_now(changed(CLAIMS, claims)), pool_key(key))
    ours, theirs = our_verdict(token), pyjwts_verdict(token)
    event(f"ours: {ours if isinstance(ours, Reason) else 'accepted'}, PyJWT's: {bool(theirs)}")
    if isinstance(ours, Claims):
        assert theirs == ours.payload
    else:
        assert theirs is None or ours in STRICTER
