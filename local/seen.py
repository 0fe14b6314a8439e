"""What each check expected and saw, as text that is safe on a screen: no token, no signature, claims cut."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from authorizer.config import SessionMode, Settings
from authorizer.credentials import find_token
from authorizer.errors import AuthorizerError, Reason
from authorizer.hanko.jws import MAX_TOKEN_CHARACTERS, is_uuid
from authorizer.hanko.strict_json import decode_base64url, parse_object
from authorizer.model import Decision, EventKind, Request

SHOWN = 8  # characters of an id
SHOWN_OF_CLAIM = 2
MAX_SHOWN = 60
OURS = {"issued_at", "expires_at", "email_verified", "amr", "left_out", "reason", "rule"}  # not personal
CONTEXTS = {"context", "resolverContext", "handlerContext"}

_LIVES = {
    Reason.SESSION_ENDED: "it has ended",
    Reason.SESSION_REVOKED: "it was revoked",
    Reason.SESSION_UNCHECKED: "Hanko could not be asked",
}

Texts = dict[int, tuple[str, str]]


def expected_and_seen(  # noqa: PLR0913 - all that was observed
    request: Request | None, token: str | None, decision: Decision, settings: Settings, now: float, *, full: bool
) -> Texts:
    """By the number of the check."""
    return {
        1: (_places(request, settings), _place(request, token, settings)),
        **_of_token(token or "", settings),
        **_of_claims(_payload(token or ""), settings, now, full=full),
        **_of_decision(decision, settings),
    }


def _places(request: Request | None, settings: Settings) -> str:
    places = ["Authorization"]
    if request is not None and request.kind not in (EventKind.REST_TOKEN, EventKind.APPSYNC, EventKind.APPSYNC_EVENTS):
        places += [f"cookie {settings.cookie_name}"] if settings.cookie_name else []
        if request.kind is EventKind.WEBSOCKET:
            places += ["subprotocol"] if settings.websocket_subprotocol else []
            places += ["query string"] if settings.websocket_query_parameter else []
    return "one token: " + " or ".join(places)


def _place(request: Request | None, token: str | None, settings: Settings) -> str:
    if request is None or token is None:
        return "none, several, or another form than Bearer TOKEN"
    alone = request._replace(sources=request.sources._replace(cookies=None, query=None))
    without_cookie = {
        "headers": _without(alone.sources.headers, "cookie"),
        "multi_value_headers": _without(alone.sources.multi_value_headers, "cookie"),
    }
    with suppress(AuthorizerError):
        bare = settings._replace(websocket_subprotocol=None)
        find_token(alone._replace(sources=alone.sources._replace(**without_cookie)), bare)
        return "one, in Authorization"
    return "one, in the cookie or elsewhere"


def _without(headers: object, name: str) -> object:
    return {key: value for key, value in headers.items() if key.lower() != name} if isinstance(headers, dict) else None


def _of_token(token: str, settings: Settings) -> Texts:
    header, parts = _header(token), token.split(".")
    kid = _short(header.get("kid"))
    return {
        2: (
            f"3 base64url parts, at most {MAX_TOKEN_CHARACTERS}",
            f"{len(parts)} parts, {len(token)} characters",
        ),
        3: ("RS256", _visible(header.get("alg", "none"))),
        4: ("alg, kid, at most typ: JWT", ", ".join(_visible(name) for name in list(header)[:6]) or "no JSON object"),
        5: (f"a key of {settings.api_url}", f"kid {kid}"),
        6: ("RS256 of that key", f"{3 * len(parts[-1]) // 4} bytes"),
    }


def _of_claims(payload: Mapping[str, Any], settings: Settings, now: float, *, full: bool) -> Texts:
    skew, longest = settings.clock_skew_seconds, settings.max_token_lifetime_seconds
    issued_at, expires_at = payload.get("iat"), payload.get("exp")
    are_numbers = isinstance(issued_at, int | float) and isinstance(expires_at, int | float)
    lifetime = f"{expires_at - issued_at:g} s" if are_numbers else "unknown"  # type: ignore[operator]  # see above
    ids = " ".join(f"{name} {_visible(payload[name]) if full else _id(payload[name])}" for name in _ids(payload))
    of_others = [name for name in ("evt", "data") if name in payload]
    return {
        7: ("one JSON object, each name once", f"{len(payload)} members" if payload else "no strict JSON object"),
        8: (f"begun, not over, at {_time(now)} ±{skew} s", _times(payload, now)),
        9: (" or ".join(settings.audiences), _audience(payload.get("aud"))),
        10: ("any" if longest is None else f"at most {longest} s", lifetime),
        11: ("any" if settings.issuer is None else settings.issuer, _visible(payload.get("iss", "none"))),
        12: ("UUIDs in sub, session_id; no evt, data", ", ".join([ids or "neither", *of_others])),
    }


def _ids(payload: Mapping[str, Any]) -> list[str]:
    return [name for name in ("sub", "session_id") if name in payload]


def _id(value: object) -> str:
    return f"{value[:SHOWN]}…" if is_uuid(value) else f"no UUID ({type(value).__name__})"


def _of_decision(decision: Decision, settings: Settings) -> Texts:
    mode = settings.session_check
    session = "not asked" if mode is SessionMode.OFF else f"a yes of Hanko's ({mode})"
    lives = _LIVES.get(decision.reason, "it lives")
    if decision.session_unchecked:
        lives = "Hanko could not be asked, and HankoSessionOnOutage lets it pass"
    rule = f"{decision.reason}: {decision.rule}" if decision.rule else str(decision.reason)
    changed = [f"left out: {' '.join(decision.left_out)}"] if decision.left_out else []
    changed += [f"{decision.replaced_characters} characters replaced"] if decision.replaced_characters else []
    denied = len(decision.grant.denied + decision.grant.denied_fields) if decision.grant else 0
    return {
        13: (session, lives),
        14: ("every rule of this route", rule + (f"; {denied} patterns denied" if denied else "")),
        15: ("flat, at most 4 KiB", ", ".join([f"{len(decision.context)} values", *changed])),
    }


# --- the parts of a token, unverified


def _header(token: str) -> Mapping[str, Any]:
    with suppress(ValueError, RecursionError):
        return parse_object(decode_base64url(token.partition(".")[0].encode()))
    return {}


def _payload(token: str) -> Mapping[str, Any]:
    with suppress(ValueError, IndexError, RecursionError):
        return parse_object(decode_base64url(token.split(".")[1].encode()))
    return {}


# --- words


def _times(payload: Mapping[str, Any], now: float) -> str:
    """`iat -2 s, exp +3598 s`, beside now."""
    return ", ".join(f"{name} {_beside(payload[name], now)}" for name in ("iat", "nbf", "exp") if name in payload)


def _beside(value: object, now: float) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value - now:+.0f} s" if is_number else f"({type(value).__name__})"  # type: ignore[operator]  # see above


def _time(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%H:%M:%SZ}"


def _audience(value: object) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join(_visible(one) for one in values[:4]) + (" …" if len(values) > 4 else "")  # noqa: PLR2004 - as many fit


def _visible(value: object) -> str:
    """A text of the header, an audience or issuer, without what could move a cursor; other types by their name."""
    if not isinstance(value, str):
        return f"({type(value).__name__})"
    text = ascii(value)[1:-1]
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _short(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
        return f"({type(value).__name__})"
    return value if len(value) <= SHOWN else f"{value[:SHOWN]}…"


# --- the answer


def shortened(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as it goes out, with what is personal cut to a few characters."""
    told = dict(answer)
    for name in CONTEXTS & told.keys():
        told[name] = {key: value if key in OURS else _cut(key, value) for key, value in told[name].items()}
    if "principalId" in told:
        told["principalId"] = _cut("user_id", told["principalId"])
    if "usageIdentifierKey" in told:
        told["usageIdentifierKey"] = "****"
    return told


def _cut(key: str, value: object) -> object:
    if not isinstance(value, str):
        return value if key in OURS else f"... ({type(value).__name__})"
    shown = SHOWN if key in ("user_id", "session_id") else SHOWN_OF_CLAIM
    return f"{ascii(value[:shown])[1:-1]}... ({len(value)} characters)" if value else value
