"""X: where a token may stand in a request, and where not."""

import json
import uuid
from collections.abc import Callable

import pytest
from attacks.forging import answers_to_refusal, forge, refuse_event
from sandbox import CONTEXT, USER, Json, MakeSandbox, Sandbox

from local.hanko import StandInHanko
from local.sign import SHAPES, event_with


@pytest.mark.parametrize(
    "separator", ["\t", "\n", "\r\n", "\xa0", "\u2003", "\x1c", "\x0b", "\0", "", ":", "="], ids=ascii
)
@pytest.mark.parametrize("shape", ["http_v2", "rest_request", "rest_token", "websocket"])
def test_x2_bearer_space_token_and_no_other_separator(
    separator: str, shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X2: str.split() accepts separators that RFC 9110 does not."""
    token = forge(hanko)
    event = json.loads(json.dumps(event_with(shape, token)).replace("Bearer ", json.dumps(f"Bearer{separator}")[1:-1]))
    refuse_event(sandbox, event, answers_to_refusal(shape, "token_malformed"), "token_malformed", token)


SCHEMES = {
    "none": "{0}", "basic": "Basic {0}", "token": "Token {0}", "dpop": "DPoP {0}", "twice": "Bearer Bearer {0}",
    "space_in_front": " Bearer {0}", "space_behind": "Bearer {0} ", "quotes": 'Bearer "{0}"', "two": "Bearer {0} {0}",
    "parameter": "Bearer token={0}", "newline_behind": "Bearer {0}\n", "cookie": "hanko={0}", "alone": "Bearer",
    "alone_with_space": "Bearer ", "look_alike": "Βearer {0}", "kelvin": "BEA\u212aER {0}",  # noqa: RUF001 - look-alikes on purpose
}  # fmt: skip


@pytest.mark.parametrize("value", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("shape", ["http_v2", "rest_token"])
def test_x2_no_other_scheme(value: str, shape: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """X2: anything but Bearer, spaces and one token is refused."""
    token = forge(hanko)
    event = json.loads(
        json.dumps(event_with(shape, "TOKEN")).replace("Bearer TOKEN", json.dumps(value.format(token))[1:-1])
    )
    refuse_event(sandbox, event, answers_to_refusal(shape, "token_malformed"), "token_malformed", token)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR   "])
def test_x2_the_scheme_in_any_case(scheme: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """X2: RFC 9110 11.1, schemes are case-insensitive."""
    event = event_with("http_v2", forge(hanko))
    event["headers"]["authorization"] = scheme + forge(hanko)
    assert sandbox.answer(event) == {"isAuthorized": True, "context": CONTEXT}


def rest_event(headers: object, multiple: object) -> Json:
    return event_with("rest_request", "x") | {"headers": headers, "multiValueHeaders": multiple}


TWO_HEADERS: dict[str, Callable[[str, str], Json]] = {
    "two_values": lambda a, b: rest_event({"Authorization": b}, {"Authorization": [a, b]}),
    "the_same_value_twice": lambda a, _: rest_event({"Authorization": a}, {"Authorization": [a, a]}),
    "two_spellings": lambda a, b: rest_event({"Authorization": a, "authorization": b}, None),
    "two_spellings_in_both": lambda a, b: rest_event(
        {"Authorization": a, "authorization": b}, {"Authorization": [a], "authorization": [b]}
    ),
    "the_maps_differ": lambda a, b: rest_event({"Authorization": a}, {"Authorization": [b]}),
    "in_one_map_only": lambda a, _: rest_event({"Authorization": a}, {"Accept": ["*/*"]}),
    "in_the_other_map_only": lambda a, _: rest_event({"Accept": "*/*"}, {"Authorization": [a]}),
    "joined_by_a_comma": lambda a, b: rest_event({"Authorization": f"{a}, {b}"}, {"Authorization": [f"{a}, {b}"]}),
}


@pytest.mark.parametrize("build", TWO_HEADERS.values(), ids=TWO_HEADERS)
@pytest.mark.parametrize("other", ["Bearer x", "", "genuine"])
def test_x3_x9_more_than_one_authorization(
    build: Callable[[str, str], Json], other: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X3, X9: RFC 9110 5.3, request smuggling. The authorizer does not choose between two."""
    token = forge(hanko)
    good = f"Bearer {token}"
    for pair in ((good, other or ""), (other or "", good)):
        one, two = (good if value == "genuine" else value for value in pair)
        if one == "" or (one == two and build is TWO_HEADERS["the_maps_differ"]):
            continue
        refuse_event(sandbox, build(one, two), "Unauthorized", "token_ambiguous", token)


@pytest.mark.parametrize("joined", ["{0},{0}", "{0}, Bearer x", "Bearer x,{0}", "{0},", ",{0}"])
def test_x3_headers_that_payload_2_has_joined(joined: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """X3: API Gateway joins two headers with a comma."""
    token = forge(hanko)
    event = event_with("http_v2", token)
    event["headers"]["authorization"] = joined.format(f"Bearer {token}")
    refuse_event(sandbox, event, answers_to_refusal("http_v2", "token_ambiguous"), "token_ambiguous", token)


COOKIES_THAT_ARE_TWO: dict[str, list[str]] = {
    "two_in_the_list": ["hanko={0}", "hanko=x"],
    "the_planted_one_first": ["hanko=x", "theme=dark", "hanko={0}"],
    "the_same_twice": ["hanko={0}", "hanko={0}"],
    "two_in_one_entry": ["hanko={0}; hanko=x"],
    "without_a_space": ["hanko={0};hanko=x"],
    "one_is_empty": ["hanko={0}", "hanko="],
}


@pytest.mark.parametrize("cookies", COOKIES_THAT_ARE_TWO.values(), ids=COOKIES_THAT_ARE_TWO)
def test_x4_h9_two_session_cookies(cookies: list[str], sandbox: Sandbox, hanko: StandInHanko) -> None:
    """X4, H9: cookie tossing. A sibling subdomain can plant a second one, and the browser chooses the order."""
    token = forge(hanko)
    placed = [cookie.format(token) for cookie in cookies]
    event = event_with("http_v2_cookie", token) | {"cookies": placed}
    refuse_event(sandbox, event, answers_to_refusal("http_v2", "token_ambiguous"), "token_ambiguous", token)
    line = "; ".join(placed)
    for headers, multiple in (({"Cookie": line}, {"Cookie": [line]}), ({"Cookie": placed[-1]}, {"Cookie": placed})):
        refuse_event(sandbox, rest_event(headers, multiple), "Unauthorized", "token_ambiguous", token)


def test_x4_h9_two_cookie_headers_in_two_spellings(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """X4, H9: the names of headers are case-insensitive."""
    token = forge(hanko)
    headers = {"Cookie": f"hanko={token}", "cookie": "hanko=x"}
    refuse_event(sandbox, rest_event(headers, None), "Unauthorized", "token_ambiguous", token)


@pytest.mark.parametrize(
    "cookie",
    [
        *("Hanko={0}", "HANKO={0}", "__Host-hanko={0}", "__Secure-hanko={0}", "hanko2={0}", "xhanko={0}", "hanko ={0}"),
        *("={0}", "{0}", "%68anko={0}", '"hanko"={0}', "theme=hanko={0}", "hanko", "session={0}", "hanko:{0}"),
    ],
)  # fmt: skip
def test_x4_a_cookie_of_another_name(cookie: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """X4: byte for byte; prefixes, case, quotes and percent signs make another name."""
    token = forge(hanko)
    event = event_with("http_v2_cookie", token) | {"cookies": [cookie.format(token)]}
    refuse_event(sandbox, event, answers_to_refusal("http_v2", "token_missing"), "token_missing", token)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("x", "token_malformed"),
        ("", "token_missing"),
        ("Bearer x", "token_malformed"),
        ("Basic eA==", "token_malformed"),
    ],
)
@pytest.mark.parametrize("shape", ["http_v2_cookie", "rest_request_cookie", "websocket_cookie"])
def test_x5_a_header_decides_even_when_the_cookie_is_good(
    header: str, reason: str, shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X5: API Gateway caches by the header. With a fall-back, every sender of `x` would get this user's policy."""
    token = forge(hanko)
    event = event_with(shape, token)
    event["headers"]["authorization"] = header
    if "multiValueHeaders" in event:
        event["multiValueHeaders"]["authorization"] = [header]
    refuse_event(sandbox, event, answers_to_refusal(shape, reason), reason, token)


ELSEWHERE: dict[str, Callable[[Json, str], None]] = {
    "query": lambda event, token: event.update(
        queryStringParameters={"token": token, "access_token": token, "hanko": token},
        multiValueQueryStringParameters={"token": [token], "access_token": [token], "hanko": [token]},
        rawQueryString=f"token={token}",
    ),
    "body": lambda event, token: event.update(body=f"access_token={token}"),
    "path": lambda event, token: event.update(path=f"/{token}", rawPath=f"/{token}", pathParameters={"id": token}),
    "x_auth_token": lambda event, token: event["headers"].update({"x-auth-token": token}),
    "proxy_authorization": lambda event, token: event["headers"].update({"proxy-authorization": f"Bearer {token}"}),
    "forwarded_header": lambda event, token: event["headers"].update({"x-forwarded-authorization": f"Bearer {token}"}),
    "identity_source": lambda event, token: event.update(identitySource=[f"Bearer {token}"]),
    "authorization_token": lambda event, token: event.update(authorizationToken=f"Bearer {token}"),
    "api_key": lambda event, token: event["requestContext"].update(identity={"apiKey": token}),
    "authorizer": lambda event, token: event["requestContext"].update(authorizer={"user_id": USER, "token": token}),
    "stage_variable": lambda event, token: event.update(stageVariables={"authorization": f"Bearer {token}"}),
    "subprotocol": lambda event, token: event["headers"].update({"sec-websocket-protocol": f"hanko, {token}"}),
}


@pytest.mark.parametrize("put", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("shape", ["http_v2", "rest_request", "websocket"])
def test_x7_tokens_in_other_places_are_not_seen(
    put: Callable[[Json, str], None], shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X7: RFC 6750 5.3, RFC 9700. Query and subprotocol are off unless switched on."""
    token = forge(hanko)
    event = event_with(shape, "")
    event.pop("multiValueHeaders", None)
    put(event, token)
    refuse_event(sandbox, event, answers_to_refusal(shape, "token_missing"), "token_missing", token)


@pytest.mark.parametrize("shape", ["http_v2", "rest_request"])
def test_x7_what_is_switched_on_for_websockets_is_on_for_websockets_alone(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """X7: query parameter and subprotocol count for $connect only."""
    sandbox = make_sandbox(websocket_query_parameter="token", websocket_subprotocol="hanko")
    token = forge(hanko)
    for place in ("query", "subprotocol"):
        event = event_with(shape, "")
        event.pop("multiValueHeaders", None)
        ELSEWHERE[place](event, token)
        refuse_event(sandbox, event, answers_to_refusal(shape, "token_missing"), "token_missing", token)


def websocket_event(cookie: str = "", protocols: str = "", query: list[str] | None = None) -> Json:
    event = event_with("websocket", "")
    for name, value in (("cookie", cookie), ("sec-websocket-protocol", protocols)):
        if value:
            event["headers"][name] = value
            event["multiValueHeaders"][name] = [value]
    return event | {"multiValueQueryStringParameters": {"token": query} if query else None}


SOCKETS_WITH_TWO: dict[str, Callable[[str, str], Json]] = {
    "cookie_and_query": lambda a, b: websocket_event(f"hanko={a}", query=[b]),
    "cookie_and_protocol": lambda a, b: websocket_event(f"hanko={a}", f"hanko, {b}"),
    "protocol_and_query": lambda a, b: websocket_event(protocols=f"hanko, {a}", query=[b]),
    "two_protocols": lambda a, b: websocket_event(protocols=f"hanko, {a}, hanko, {b}"),
    "two_in_the_query": lambda a, b: websocket_event(query=[a, b]),
}


@pytest.mark.parametrize("build", SOCKETS_WITH_TWO.values(), ids=SOCKETS_WITH_TWO)
def test_x3_places_of_a_websocket_that_do_not_agree(
    build: Callable[[str, str], Json], make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """X3, X4: RFC 6750 2, no more than one method. Two different tokens in one request are refused."""
    sandbox = make_sandbox(websocket_query_parameter="token", websocket_subprotocol="hanko")
    tokens = forge(hanko), forge(hanko, claims={"sub": str(uuid.uuid4())})
    for one, two in (tokens, tokens[::-1]):
        refuse_event(sandbox, build(one, two), "Unauthorized", "token_ambiguous", *tokens)


CROSS_KIND: dict[str, Callable[[str], Json]] = {
    "token_event_with_headers": lambda t: event_with("rest_token", "") | {"headers": {"authorization": f"Bearer {t}"}},
    "token_event_with_cookies": lambda t: event_with("rest_token", "") | {"cookies": [f"hanko={t}"]},
    "rest_with_cookies_of_payload_2": lambda t: event_with("rest_request", "") | {"authorizationToken": f"Bearer {t}"},
    "websocket_with_a_token": lambda t: event_with("websocket", "") | {"authorizationToken": f"Bearer {t}"},
}


@pytest.mark.parametrize("build", CROSS_KIND.values(), ids=CROSS_KIND)
def test_x1_a_kind_of_event_is_read_for_what_is_its_own(
    build: Callable[[str], Json], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X1: decided by type and version, never by which keys happen to be there."""
    token = forge(hanko)
    refuse_event(sandbox, build(token), "Unauthorized", "token_missing", token)


@pytest.mark.parametrize(
    "change",
    [{"type": "token"}, {"type": None}, {"type": "REQUEST "}, {"version": "2.1"}, {"version": 2}, {"version": ""}],
)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if not shape.startswith("appsync")])
def test_x1_an_event_of_no_known_kind_with_a_good_token(
    change: Json, shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X1: the token is not looked for."""
    token = forge(hanko)
    refuse_event(sandbox, event_with(shape, token) | change, "Authorizer unavailable", "event_unknown", token)
