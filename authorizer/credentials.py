"""Finds the one token of a request: Authorization header, cookie, subprotocol or query string.

If there is an Authorization header, it decides alone, because API Gateway may cache the answer by that header. All
other places must agree. Two values in one place, or different tokens in two places, are refused as ambiguous.
"""

import re
from itertools import pairwise

from authorizer.config import Settings
from authorizer.errors import Reason, Unauthenticated
from authorizer.model import CredentialSources, EventKind, Request

# RFC 9110 section 11.4: the scheme in any case, one space or more, one token. str.split() would also split at tab, CR,
# LF and NBSP.
_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._-]+)", re.ASCII)
# AppSync's own clients send the bare token. Where the API has a Cognito or OIDC mode beside Lambda, AppSync would take
# that for a token of theirs, so clients put "Hanko " before it.
_APPSYNC = re.compile(r"(?:(?i:bearer) +|Hanko )?([A-Za-z0-9._-]+)", re.ASCII)


def find_token(request: Request, settings: Settings) -> str:
    """The request's token, not yet verified: check 1 of SECURITY.md.

    Raises `Unauthenticated` with `token_missing`, `token_ambiguous` or `token_malformed`. Sources: RFC 6750 section 2,
    RFC 6265 sections 4.1 and 5.4.
    """
    sources = request.sources
    match request.kind:
        case EventKind.REST_TOKEN:
            tokens = _from_authorization(_strings([sources.token or ""]), _BEARER)
        case EventKind.APPSYNC | EventKind.APPSYNC_EVENTS:
            tokens = _from_authorization(_strings([sources.token or ""]), _APPSYNC)
        case _:
            tokens = _from_authorization(_header(sources, "authorization"), _BEARER)
            tokens = tokens or _from_elsewhere(request.kind, sources, settings)
    if not tokens:
        raise Unauthenticated(Reason.TOKEN_MISSING)
    return tokens[0]


def _from_elsewhere(kind: EventKind, sources: CredentialSources, settings: Settings) -> list[str]:
    """Cookie, and for a WebSocket the sources that are switched on, since browsers cannot send headers there."""
    tokens = _from_cookies(sources, settings.cookie_name)
    if kind is EventKind.WEBSOCKET:
        tokens += _from_subprotocols(sources, settings.websocket_subprotocol)
        tokens += _from_query(sources, settings.websocket_query_parameter)
    return _at_most_one(list(dict.fromkeys(tokens)))


def _from_authorization(values: list[str], form: re.Pattern[str]) -> list[str]:
    if not values:
        return []
    if len(values) > 1 or "," in values[0]:  # payload 2.0 joins repeated headers with commas
        raise Unauthenticated(Reason.TOKEN_AMBIGUOUS)
    match = form.fullmatch(values[0])
    if match is None:
        raise Unauthenticated(Reason.TOKEN_MALFORMED if values[0] else Reason.TOKEN_MISSING)
    return [match[1]]


def _from_cookies(sources: CredentialSources, name: str | None) -> list[str]:
    """The value of the cookie `name`, byte for byte: no unquoting, no decoding, no prefixes."""
    if name is None:
        return []
    # Payload 2.0 removes the Cookie header and has a list instead.
    lines = _strings(sources.cookies) if isinstance(sources.cookies, list) else _header(sources, "cookie")
    pairs = (pair.strip(" \t").partition("=") for line in lines for pair in line.split(";"))
    return _at_most_one([value for key, equals, value in pairs if equals and key == name])


def _from_subprotocols(sources: CredentialSources, marker: str | None) -> list[str]:
    """The entry after `marker` in Sec-WebSocket-Protocol: the client offers `marker, token`."""
    if marker is None:
        return []
    entries = [entry.strip(" \t") for line in _header(sources, "sec-websocket-protocol") for entry in line.split(",")]
    return _at_most_one([after for entry, after in pairwise(entries) if entry == marker])


def _from_query(sources: CredentialSources, parameter: str | None) -> list[str]:
    if parameter is None or not isinstance(sources.query, dict):
        return []
    return _at_most_one(_strings(sources.query.get(parameter, [])))


def _header(sources: CredentialSources, name: str) -> list[str]:
    """All values of a header, its name in any case. API Gateway's two maps must agree."""
    single = _strings(_named(name, sources.headers))
    if not sources.multi_value_headers:
        return single
    multiple = [value for values in _named(name, sources.multi_value_headers) for value in _strings(values)]
    if bool(single) != bool(multiple) or not set(single) <= set(multiple):
        raise Unauthenticated(Reason.TOKEN_AMBIGUOUS)
    return multiple


def _at_most_one(values: list[str]) -> list[str]:
    if len(values) > 1:
        raise Unauthenticated(Reason.TOKEN_AMBIGUOUS)
    return values


def _named(name: str, headers: object) -> list[object]:
    return [value for key, value in headers.items() if key.lower() == name] if isinstance(headers, dict) else []


def _strings(values: object) -> list[str]:
    if not isinstance(values, list) or [value for value in values if not isinstance(value, str)]:
        raise Unauthenticated(Reason.TOKEN_MALFORMED)
    return values
