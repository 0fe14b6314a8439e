"""Header, cookie, subprotocol, query string → the one credential, or why there is none."""

from typing import Any

import pytest

from authorizer.config import Settings
from authorizer.credentials import find_token
from authorizer.errors import Reason, Unauthenticated
from authorizer.model import CredentialSources, EventKind, Request

SETTINGS = Settings.from_env({"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "example.com"})
EVERYTHING_ON: dict[str, Any] = {"websocket_query_parameter": "token", "websocket_subprotocol": "hanko"}
WITH_HEADERS = [EventKind.REST_REQUEST, EventKind.HTTP_API_V1, EventKind.HTTP_API_V2, EventKind.WEBSOCKET]
TOKEN = "aaa.bbb-_.ccc"
OTHER = "xxx.yyy.zzz"


def found(kind: EventKind = EventKind.REST_REQUEST, sources: CredentialSources | None = None, **settings: Any) -> str:  # noqa: ANN401 - any setting
    request = Request(kind, sources or CredentialSources(), "api", "prod", "arn", "GET", "id")
    return find_token(request, SETTINGS._replace(**settings))


def refused(
    kind: EventKind = EventKind.REST_REQUEST,
    sources: CredentialSources | None = None,
    **settings: Any,  # noqa: ANN401 - any setting
) -> Reason:
    with pytest.raises(Unauthenticated) as caught:
        found(kind, sources, **settings)
    assert str(caught.value) == caught.value.reason.value
    return caught.value.reason


def headers(**values: str | list[str]) -> CredentialSources:
    """Both maps of API Gateway: the last value of each header, and all of them."""
    all_values = {
        name.replace("_", "-"): [value] if isinstance(value, str) else value for name, value in values.items()
    }
    return CredentialSources(
        headers={name: last[-1] for name, last in all_values.items()}, multi_value_headers=all_values
    )


# --- the Authorization header


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer    "])
@pytest.mark.parametrize("kind", [*WITH_HEADERS, EventKind.REST_TOKEN, EventKind.APPSYNC])
def test_a_bearer_token_is_found(kind: EventKind, scheme: str) -> None:
    sources = headers(Authorization=scheme + TOKEN)._replace(token=scheme + TOKEN)
    assert found(kind, sources) == TOKEN


def test_appsync_clients_may_send_the_token_alone() -> None:
    assert found(EventKind.APPSYNC, CredentialSources(token=TOKEN)) == TOKEN
    assert refused(EventKind.REST_TOKEN, CredentialSources(token=TOKEN)) is Reason.TOKEN_MALFORMED
    assert refused(EventKind.REST_REQUEST, headers(Authorization=TOKEN)) is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("kind", [*WITH_HEADERS, EventKind.REST_TOKEN, EventKind.APPSYNC])
@pytest.mark.parametrize(
    "value",
    [
        " ",
        "Bearer ",
        f"Bearer\t{TOKEN}",
        f"Bearer\n{TOKEN}",
        f"Bearer\r\n{TOKEN}",
        f"Bearer\u00a0{TOKEN}",
        f"Bearer\u2003{TOKEN}",
        f"Bearer\u001c{TOKEN}",
        f"Bearer \t{TOKEN}",
        f" Bearer {TOKEN}",
        f"Bearer {TOKEN} ",
        f"Bearer {TOKEN}\n",
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer {TOKEN};",
        f"Bearer {TOKEN}=",
        f'Bearer "{TOKEN}"',
        f"Bearer: {TOKEN}",
        f"Bearer%20{TOKEN}",
        f"Bearer Bearer {TOKEN}",
        f"Basic {TOKEN}",
        f"Token {TOKEN}",
        f"DPoP {TOKEN}",
        "Bearer tökén",
        "Bearer \ud800",
        "ﬀearer " + TOKEN,
    ],
)
def test_nothing_but_one_bearer_token_is_a_credential(kind: EventKind, value: str) -> None:
    sources = headers(Authorization=value)._replace(token=value)
    assert refused(kind, sources) is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("kind", [*WITH_HEADERS, EventKind.REST_TOKEN, EventKind.APPSYNC])
@pytest.mark.parametrize(
    "value", [f"Bearer {TOKEN}, Bearer {OTHER}", f"Bearer {TOKEN},", f"Basic x,Bearer {TOKEN}", ","]
)
def test_a_comma_joins_two_headers(kind: EventKind, value: str) -> None:
    assert refused(kind, headers(Authorization=value)._replace(token=value)) is Reason.TOKEN_AMBIGUOUS


@pytest.mark.parametrize("kind", EventKind)
def test_nothing_offered_is_nothing_found(kind: EventKind) -> None:
    assert refused(kind, **EVERYTHING_ON) is Reason.TOKEN_MISSING
    assert (
        refused(kind, CredentialSources(token="", headers={}, multi_value_headers={}, cookies=[], query={}))
        is Reason.TOKEN_MISSING
    )


@pytest.mark.parametrize("name", ["authorization", "Authorization", "AUTHORIZATION", "aUTHORIZATION"])
@pytest.mark.parametrize("kind", WITH_HEADERS)
def test_a_headers_name_has_any_case(kind: EventKind, name: str) -> None:
    assert found(kind, CredentialSources(headers={name: f"Bearer {TOKEN}"})) == TOKEN
    both = CredentialSources(headers={name: f"Bearer {TOKEN}"}, multi_value_headers={name.title(): [f"Bearer {TOKEN}"]})
    assert found(kind, both) == TOKEN


@pytest.mark.parametrize("kind", WITH_HEADERS)
@pytest.mark.parametrize(
    ("single", "multiple"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, {"Authorization": [f"Bearer {TOKEN}", f"Bearer {TOKEN}"]}),
        ({"Authorization": f"Bearer {TOKEN}"}, {"Authorization": [f"Bearer {OTHER}", f"Bearer {TOKEN}"]}),
        ({"Authorization": f"Bearer {TOKEN}"}, {"Authorization": [f"Bearer {OTHER}"]}),
        ({"Authorization": f"Bearer {TOKEN}"}, {"Authorization": []}),
        ({"Authorization": f"Bearer {TOKEN}"}, {"Host": ["example.com"]}),
        ({"Host": "example.com"}, {"Authorization": [f"Bearer {TOKEN}"]}),
        ({}, {"Authorization": [f"Bearer {TOKEN}"]}),
        (None, {"Authorization": [f"Bearer {TOKEN}"]}),
        ({"Authorization": f"Bearer {TOKEN}", "authorization": f"Bearer {TOKEN}"}, None),
        ({"Authorization": f"Bearer {TOKEN}", "authorization": f"Bearer {OTHER}"}, None),
        (
            {"Authorization": f"Bearer {TOKEN}"},
            {"Authorization": [f"Bearer {TOKEN}"], "authorization": [f"Bearer {TOKEN}"]},
        ),
    ],
)
def test_two_headers_or_two_maps_that_disagree_are_ambiguous(kind: EventKind, single: object, multiple: object) -> None:
    assert refused(kind, CredentialSources(headers=single, multi_value_headers=multiple)) is Reason.TOKEN_AMBIGUOUS


@pytest.mark.parametrize("kind", WITH_HEADERS)
@pytest.mark.parametrize("value", [None, 7, True, [TOKEN], {"a": TOKEN}])
def test_a_header_that_is_no_text_is_malformed(kind: EventKind, value: object) -> None:
    assert refused(kind, CredentialSources(headers={"authorization": value})) is Reason.TOKEN_MALFORMED
    for values in (value, [value], [f"Bearer {TOKEN}", value]):
        if values != [TOKEN]:
            sources = CredentialSources({}, {"authorization": f"Bearer {TOKEN}"}, {"authorization": values})
            assert refused(kind, sources) is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("kind", WITH_HEADERS)
@pytest.mark.parametrize("not_a_map", [None, [], "", "authorization", 7, ["authorization"]])
def test_headers_that_are_no_map_hold_nothing(kind: EventKind, not_a_map: object) -> None:
    assert refused(kind, CredentialSources(headers=not_a_map, multi_value_headers=not_a_map)) is Reason.TOKEN_MISSING


@pytest.mark.parametrize("kind", [EventKind.REST_TOKEN, EventKind.APPSYNC])
@pytest.mark.parametrize("value", [7, True, [TOKEN], {"a": TOKEN}, [f"Bearer {TOKEN}"]])
def test_an_authorization_token_that_is_no_text_is_malformed(kind: EventKind, value: object) -> None:
    assert refused(kind, CredentialSources(token=value)) is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("kind", WITH_HEADERS)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", Reason.TOKEN_MISSING),
        ("x", Reason.TOKEN_MALFORMED),
        ("Basic eHg6eXk=", Reason.TOKEN_MALFORMED),
        ("x, y", Reason.TOKEN_AMBIGUOUS),
    ],
)
def test_a_header_decides_even_if_it_is_bad_and_everything_else_is_good(
    kind: EventKind, value: str, reason: Reason
) -> None:
    sources = headers(Authorization=value, Cookie=f"hanko={TOKEN}", Sec_WebSocket_Protocol=f"hanko, {TOKEN}")
    sources = sources._replace(cookies=[f"hanko={TOKEN}"], query={"token": [TOKEN]})
    assert refused(kind, sources, **EVERYTHING_ON) is reason


@pytest.mark.parametrize("kind", WITH_HEADERS)
def test_a_good_header_is_all_that_is_looked_at(kind: EventKind) -> None:
    two = [f"hanko={TOKEN}", f"hanko={OTHER}"]
    sources = headers(Authorization=f"Bearer {TOKEN}", Cookie="; ".join(two))
    assert found(kind, sources, **EVERYTHING_ON) == TOKEN
    assert found(kind, sources._replace(cookies=two, query={"token": [TOKEN, OTHER]}), **EVERYTHING_ON) == TOKEN


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize("name", ["X-Auth-Token", "Proxy-Authorization", "X-Authorization", "Authorization2", "Token"])
def test_no_other_header_carries_a_token(kind: EventKind, name: str) -> None:
    sources = CredentialSources(headers={name: f"Bearer {TOKEN}"}, multi_value_headers={name: [f"Bearer {TOKEN}"]})
    assert refused(kind, sources, **EVERYTHING_ON) is Reason.TOKEN_MISSING


@pytest.mark.parametrize("kind", [EventKind.REST_TOKEN, EventKind.APPSYNC])
def test_where_one_header_is_the_credential_no_other_place_is_looked_at(kind: EventKind) -> None:
    sources = headers(Authorization=f"Bearer {TOKEN}", Cookie=f"hanko={TOKEN}")
    sources = sources._replace(cookies=[f"hanko={TOKEN}"], query={"token": [TOKEN]})
    assert refused(kind, sources, **EVERYTHING_ON) is Reason.TOKEN_MISSING


# --- the cookie


@pytest.mark.parametrize("kind", WITH_HEADERS)
@pytest.mark.parametrize(
    "line",
    [
        f"hanko={TOKEN}",
        f"a=b; hanko={TOKEN}; c=d",
        f"a=b;hanko={TOKEN};c=d",
        f"a=b;\thanko={TOKEN} ;",
        f"hanko; hanko={TOKEN}",
        f"=hanko; hanko={TOKEN}",
        f"hanko2={OTHER}; hanko={TOKEN}; Hanko={OTHER}; __Host-hanko={OTHER}; hanko ={OTHER}; %68anko={OTHER}",
    ],
)
def test_the_cookie_of_that_name_is_found(kind: EventKind, line: str) -> None:
    assert found(kind, headers(Cookie=line)) == TOKEN
    assert found(kind, CredentialSources(cookies=line.split("; "))) == TOKEN


@pytest.mark.parametrize("kind", WITH_HEADERS)
@pytest.mark.parametrize(
    "line",
    [
        "",
        "hanko",
        f"={TOKEN}",
        f"Hanko={TOKEN}",
        f"__Host-hanko={TOKEN}",
        f"__Secure-hanko={TOKEN}",
        f"hanko ={TOKEN}",
        f"hanko2={TOKEN}",
        f"xhanko={TOKEN}",
        f"Xhanko={TOKEN}",
        f"a=b, hanko={TOKEN}",
        f"a=hanko={TOKEN}",
        f"\u00a0hanko={TOKEN}",
        TOKEN,
    ],
)
def test_no_other_cookie_is_near_enough(kind: EventKind, line: str) -> None:
    assert refused(kind, headers(Cookie=line)) is Reason.TOKEN_MISSING
    assert refused(kind, CredentialSources(cookies=[line])) is Reason.TOKEN_MISSING


@pytest.mark.parametrize(
    ("line", "value"),
    [('hanko="a.b.c"', '"a.b.c"'), ("hanko=a%2Eb", "a%2Eb"), ("hanko=a=", "a="), ("hanko=", ""), ("hanko=XaX", "XaX")],
)
def test_a_cookies_value_is_taken_as_it_is(line: str, value: str) -> None:
    assert found(sources=headers(Cookie=line)) == value


@pytest.mark.parametrize("kind", WITH_HEADERS)
@pytest.mark.parametrize("second", [TOKEN, OTHER, ""])
def test_two_cookies_of_that_name_are_ambiguous(kind: EventKind, second: str) -> None:
    one, other = f"hanko={TOKEN}", f"hanko={second}"
    assert refused(kind, headers(Cookie=f"{one}; {other}")) is Reason.TOKEN_AMBIGUOUS
    assert refused(kind, headers(Cookie=[one, other])) is Reason.TOKEN_AMBIGUOUS
    assert refused(kind, CredentialSources(cookies=[one, other])) is Reason.TOKEN_AMBIGUOUS
    assert refused(kind, CredentialSources(cookies=[f"{one};{other}"])) is Reason.TOKEN_AMBIGUOUS
    assert refused(kind, CredentialSources(headers={"cookie": one, "Cookie": other})) is Reason.TOKEN_AMBIGUOUS


def test_several_cookie_headers_are_read_together() -> None:
    assert found(sources=headers(Cookie=["a=b", f"hanko={TOKEN}", "c=d"])) == TOKEN


def test_a_list_of_cookies_stands_for_the_header() -> None:
    assert found(EventKind.HTTP_API_V2, headers(Cookie=f"hanko={OTHER}")._replace(cookies=[f"hanko={TOKEN}"])) == TOKEN


@pytest.mark.parametrize("cookies", [[7], [None], [f"hanko={TOKEN}", {}]])
def test_cookies_that_are_no_text_are_malformed(cookies: object) -> None:
    assert refused(EventKind.HTTP_API_V2, CredentialSources(cookies=cookies)) is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("cookies", [None, {}, {"hanko": TOKEN}, f"hanko={TOKEN}", 7])
def test_cookies_that_are_no_list_are_not_looked_at(cookies: object) -> None:
    assert refused(EventKind.HTTP_API_V2, CredentialSources(cookies=cookies)) is Reason.TOKEN_MISSING


def test_the_name_of_the_cookie_is_a_setting() -> None:
    sources = headers(Cookie=f"hanko={OTHER}; __Host-session={TOKEN}")
    assert found(sources=sources, cookie_name="__Host-session") == TOKEN
    assert refused(sources=sources, cookie_name="session") is Reason.TOKEN_MISSING


@pytest.mark.parametrize("kind", WITH_HEADERS)
def test_cookies_can_be_switched_off(kind: EventKind) -> None:
    sources = headers(Cookie=f"hanko={TOKEN}")._replace(cookies=[f"hanko={TOKEN}"])
    assert refused(kind, sources, cookie_name=None) is Reason.TOKEN_MISSING


# --- WebSocket: subprotocol and query string


@pytest.mark.parametrize(
    "line", [f"hanko, {TOKEN}", f"hanko,{TOKEN}", f"chat, hanko ,\t{TOKEN}, soap", f"{OTHER}, hanko, {TOKEN}"]
)
def test_the_entry_behind_the_marker_is_the_token(line: str) -> None:
    assert found(EventKind.WEBSOCKET, headers(Sec_WebSocket_Protocol=line), websocket_subprotocol="hanko") == TOKEN


def test_subprotocols_may_come_in_several_headers() -> None:
    sources = headers(Sec_WebSocket_Protocol=["chat, hanko", TOKEN])
    assert found(EventKind.WEBSOCKET, sources, websocket_subprotocol="hanko") == TOKEN


@pytest.mark.parametrize(
    "line",
    [
        "",
        TOKEN,
        "hanko",
        f"{TOKEN}, hanko",
        f"Hanko, {TOKEN}",
        f"hanko {TOKEN}",
        f"hanko2, {TOKEN}",
        f"XhankoX, {TOKEN}",
    ],
)
def test_without_the_marker_no_subprotocol_is_a_token(line: str) -> None:
    sources = headers(Sec_WebSocket_Protocol=line)
    assert refused(EventKind.WEBSOCKET, sources, websocket_subprotocol="hanko") is Reason.TOKEN_MISSING


@pytest.mark.parametrize(
    "line", [f"hanko, {TOKEN}, hanko, {TOKEN}", f"hanko, {TOKEN}, hanko, {OTHER}", f"hanko, hanko, {TOKEN}"]
)
def test_two_markers_are_ambiguous(line: str) -> None:
    sources = headers(Sec_WebSocket_Protocol=line)
    assert refused(EventKind.WEBSOCKET, sources, websocket_subprotocol="hanko") is Reason.TOKEN_AMBIGUOUS


def test_the_query_parameter_is_the_token() -> None:
    sources = CredentialSources(query={"x": ["y"], "token": [TOKEN]})
    assert found(EventKind.WEBSOCKET, sources, websocket_query_parameter="token") == TOKEN


@pytest.mark.parametrize("query", [None, {}, [], "token", {"Token": [TOKEN]}, {"token": []}, {"tokens": [TOKEN]}, 7])
def test_no_other_query_parameter_is_near_enough(query: object) -> None:
    assert (
        refused(EventKind.WEBSOCKET, CredentialSources(query=query), websocket_query_parameter="token")
        is Reason.TOKEN_MISSING
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([TOKEN, TOKEN], Reason.TOKEN_AMBIGUOUS),
        ([TOKEN, OTHER], Reason.TOKEN_AMBIGUOUS),
        (TOKEN, Reason.TOKEN_MALFORMED),
        (None, Reason.TOKEN_MALFORMED),
        ([None], Reason.TOKEN_MALFORMED),
        ({"0": TOKEN}, Reason.TOKEN_MALFORMED),
    ],
)
def test_a_query_parameter_has_one_text(value: object, reason: Reason) -> None:
    sources = CredentialSources(query={"token": value})
    assert refused(EventKind.WEBSOCKET, sources, websocket_query_parameter="token") is reason


WEBSOCKET_OFFERS = headers(Sec_WebSocket_Protocol=f"hanko, {TOKEN}")._replace(query={"token": [TOKEN]})


def test_both_are_off_unless_switched_on() -> None:
    assert refused(EventKind.WEBSOCKET, WEBSOCKET_OFFERS) is Reason.TOKEN_MISSING


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind is not EventKind.WEBSOCKET])
def test_both_are_for_websockets_alone(kind: EventKind) -> None:
    assert refused(kind, WEBSOCKET_OFFERS, **EVERYTHING_ON) is Reason.TOKEN_MISSING


def test_places_that_agree_are_one_credential() -> None:
    sources = headers(Cookie=f"hanko={TOKEN}", Sec_WebSocket_Protocol=f"hanko, {TOKEN}")._replace(
        query={"token": [TOKEN]}
    )
    assert found(EventKind.WEBSOCKET, sources, **EVERYTHING_ON) == TOKEN


@pytest.mark.parametrize(
    ("cookie", "subprotocol", "query"),
    [(OTHER, TOKEN, TOKEN), (TOKEN, OTHER, TOKEN), (TOKEN, TOKEN, OTHER), (TOKEN, "", "")],
)
def test_places_that_differ_are_ambiguous(cookie: str, subprotocol: str, query: str) -> None:
    sources = headers(Cookie=f"hanko={cookie}", Sec_WebSocket_Protocol=f"hanko, {subprotocol}")
    assert (
        refused(EventKind.WEBSOCKET, sources._replace(query={"token": [query]}), **EVERYTHING_ON)
        is Reason.TOKEN_AMBIGUOUS
    )


# --- AppSync beside another mode: the prefix that keeps Cognito or OIDC from taking the token

APPSYNC_KINDS = [EventKind.APPSYNC, EventKind.APPSYNC_EVENTS]


@pytest.mark.parametrize("kind", APPSYNC_KINDS)
@pytest.mark.parametrize("value", [TOKEN, f"Bearer {TOKEN}", f"Hanko {TOKEN}"])
def test_appsync_takes_the_token_bare_with_bearer_and_with_hanko(kind: EventKind, value: str) -> None:
    assert found(kind, CredentialSources(token=value)) == TOKEN


@pytest.mark.parametrize("kind", APPSYNC_KINDS)
@pytest.mark.parametrize("prefix", ["hanko ", "HANKO ", "Hanko  ", "Hanko\t", "Hanko", " Hanko ", "Hanko Bearer "])
def test_the_prefix_hanko_is_exact(kind: EventKind, prefix: str) -> None:
    """The token's own characters begin at once behind the prefix; "Hanko" without a blank belongs to the token."""
    value = f"{prefix}{TOKEN}"
    if prefix == "Hanko":
        assert found(kind, CredentialSources(token=value)) == value
    else:
        assert refused(kind, CredentialSources(token=value)) is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("kind", [EventKind.REST_TOKEN, EventKind.REST_REQUEST, EventKind.HTTP_API_V2])
def test_no_other_kind_takes_the_prefix_hanko(kind: EventKind) -> None:
    sources = headers(Authorization=f"Hanko {TOKEN}")._replace(token=f"Hanko {TOKEN}")
    assert refused(kind, sources) is Reason.TOKEN_MALFORMED
