"""Events in: every kind recognised by what AWS documents to be in it, exactly; anything else is no event of ours."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from authorizer import gateway
from authorizer.config import Settings
from authorizer.errors import AuthorizerError, Misconfigured, Reason
from authorizer.model import METHODS, CredentialSources, Decision, EventKind, Request, Scope
from local.sign import SHAPES, event_with

SETTINGS = Settings.from_env({"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "example.com"})
REST_ID, HTTP_ID = "5e0b8b7c-3f1a-4c59-9d0e-2a6c1f4b7d80", "EXqgWgXxDoEFSkEg="
ACCOUNT = "arn:aws:execute-api:eu-west-1:123456789012"
REST = ("a1b2c3d4e5", "prod", f"{ACCOUNT}:a1b2c3d4e5/prod")
HTTP = ("f6g7h8i9j0", "$default", f"{ACCOUNT}:f6g7h8i9j0/$default")
SOCKET = ("k1l2m3n4o5", "prod", f"{ACCOUNT}:k1l2m3n4o5/prod")
USER = "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"
APPSYNC = ("p6q7r8s9t0u1v2w3x4y5z6a7b8", "", "")
V1_MAPS = ("headers", "multiValueHeaders", "multiValueQueryStringParameters")


def parse(what: object) -> Request:
    return gateway.parse(what, SETTINGS)


def event(shape: str, **changes: object) -> dict[str, Any]:
    """A sample event with other members; `...` removes one."""
    members = {**event_with(shape, "tok"), **changes}
    return {name: value for name, value in members.items() if value is not ...}


def refused(what: object) -> Reason:
    with pytest.raises(AuthorizerError) as caught:
        parse(what)
    assert type(caught.value) is Misconfigured  # no client can cause it
    assert str(caught.value) == caught.value.reason.value
    return caught.value.reason


def path_in(sample: dict[str, Any]) -> str:
    """What stands behind the method in the ARN; nothing behind $connect."""
    arn = sample["routeArn" if "routeArn" in sample else "methodArn"]
    return "".join(f"/{part}" for part in arn.split("/", 3)[3:])


def in_maps(sample: dict[str, Any]) -> CredentialSources:
    headers, multi_value_headers, query = (sample[name] for name in V1_MAPS)
    return CredentialSources(headers=headers, multi_value_headers=multi_value_headers, query=query)


# --- every kind


def test_a_rest_token_event() -> None:
    expected = Request(EventKind.REST_TOKEN, CredentialSources(token="Bearer tok"), *REST, "GET", "", "/items/42")
    assert parse(event("rest_token")) == expected


@pytest.mark.parametrize(
    ("shape", "kind", "place", "method", "request_id"),
    [
        ("rest_request", EventKind.REST_REQUEST, REST, "GET", REST_ID),
        ("rest_request_cookie", EventKind.REST_REQUEST, REST, "POST", REST_ID),
        ("http_v1", EventKind.HTTP_API_V1, HTTP, "GET", HTTP_ID),
        ("websocket", EventKind.WEBSOCKET, SOCKET, "$connect", HTTP_ID),
        ("websocket_cookie", EventKind.WEBSOCKET, SOCKET, "$connect", HTTP_ID),
        ("websocket_query", EventKind.WEBSOCKET, SOCKET, "$connect", HTTP_ID),
        ("websocket_subprotocol", EventKind.WEBSOCKET, SOCKET, "$connect", HTTP_ID),
    ],
)
def test_an_event_with_maps_of_headers(
    shape: str, kind: EventKind, place: tuple[str, str, str], method: str, request_id: str
) -> None:
    sample = event(shape)
    assert parse(sample) == Request(kind, in_maps(sample), *place, method, request_id, path_in(sample))


@pytest.mark.parametrize(
    ("shape", "method", "scope"),
    [("http_v2", "GET", Scope(METHODS, "/", open_ended=True, greedy=True)), ("http_v2_cookie", "POST", None)],
)
def test_an_http_api_event_of_format_2(shape: str, method: str, scope: Scope | None) -> None:
    sample = event(shape)
    sources = CredentialSources(headers=sample["headers"], cookies=sample.get("cookies"))
    assert parse(sample) == Request(EventKind.HTTP_API_V2, sources, *HTTP, method, HTTP_ID, path_in(sample), scope)


@pytest.mark.parametrize(
    ("key", "scope"),
    [
        ("GET /me", Scope(("GET",), "/me", open_ended=False)),
        ("GET /a b", Scope(("GET",), "/a b", open_ended=False)),
        ("POST /a/{b}/c", Scope(("POST",), "/a/", open_ended=True)),
        ("GET /a/{b}/c/{d+}", Scope(("GET",), "/a/", open_ended=True, greedy=True)),
        ("ANY /a/{proxy+}", Scope(METHODS, "/a/", open_ended=True, greedy=True)),
        ("$default", Scope(METHODS, "/", open_ended=True, greedy=True)),
    ],
)
def test_the_scope_of_a_simple_response_is_what_its_route_key_can_stand_for(key: str, scope: Scope) -> None:
    changes = {"routeKey": key, "identitySource": ["x", key], "routeArn": f"{ACCOUNT}:f6g7h8i9j0/prod/GET/me"}
    assert parse(event("http_v2", **changes, requestContext={"routeKey": key})).scope == scope


EVERY_ROUTE = Scope(METHODS, "/", open_ended=True, greedy=True)


@pytest.mark.parametrize("text", ["GET /me", "xGET /mex", "GET+/me", "GET%20/me", "GET%2B%2fme", "GET%252B/me"])
@pytest.mark.parametrize(
    "place",
    [
        lambda text: {"headers": {"x-tenant": text}},
        lambda text: {"cookies": ["a=b", text]},
        lambda text: {"queryStringParameters": {"tenant": text}},
        lambda text: {"rawQueryString": text},
        lambda text: {"requestContext": {"http": {"userAgent": text}, "routeKey": "GET /me"}},
    ],
    ids=["header", "cookie", "parameter", "query", "context"],
)
def test_a_client_that_sends_the_route_key_narrows_no_scope(
    place: Callable[[str], dict[str, object]], text: str
) -> None:
    """It could be the value of another identity source."""
    route = {"routeKey": "GET /me", "identitySource": ["x", "GET /me"], "requestContext": {"routeKey": "GET /me"}}
    assert parse(event("http_v2", **route)).scope == Scope(("GET",), "/me", open_ended=False)
    assert parse(event("http_v2", **route | place(text))).scope == EVERY_ROUTE


OFTEN_ENCODED = f"GET /%{'25' * 8}61"


@pytest.mark.parametrize(
    ("key", "sources"),
    [
        ("GET /me", "GET /me"),
        ("GET /me", {"GET /me": 1}),
        (7, [7]),
        (None, [None]),
        ("GET /a;b", ["GET /a;b"]),
        ("GET /a,b", ["GET /a,b"]),
        (OFTEN_ENCODED, [OFTEN_ENCODED]),
    ],
)
def test_a_route_key_that_could_be_read_otherwise_narrows_no_scope(key: object, sources: object) -> None:
    """Cookies and repeated headers are cut and joined at ; and comma. An encoding is not followed for ever."""
    route = {"routeKey": key, "identitySource": sources, "requestContext": {"routeKey": key}}
    assert parse(event("http_v2", **route)).scope == EVERY_ROUTE


@pytest.mark.parametrize(("encodings", "is_read"), [(7, True), (8, False)])
def test_an_encoding_within_an_encoding_is_followed_for_a_while(encodings: int, is_read: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """What is encoded even more often could be the route key, for all that is known."""
    sample, text = event("http_v2", routeKey="GET /me", identitySource=["x", "GET /me"]), "a b"
    for _ in range(encodings):
        text = quote(text, safe="")
    sample["headers"]["x-tenant"] = text
    narrow = Scope(("GET",), "/me", open_ended=False)
    assert parse(sample).scope == (narrow if is_read else EVERY_ROUTE)


def test_an_appsync_event() -> None:
    expected = Request(EventKind.APPSYNC, CredentialSources(token="tok"), *APPSYNC, "", REST_ID)
    assert parse(event("appsync")) == expected


@pytest.mark.parametrize(
    ("operation", "channel"),
    [("connect", ""), ("subscribe", f"/inbox/{USER}/*"), ("publish", "/chat/lobby")],
)
def test_an_appsync_events_event(operation: str, channel: str) -> None:
    kind, sources = EventKind.APPSYNC_EVENTS, CredentialSources(token="tok")
    expected = Request(kind, sources, *APPSYNC, operation.upper(), REST_ID, channel)
    assert parse(event(f"appsync_events_{operation}")) == expected


def test_the_consoles_test_is_a_request_like_any_other() -> None:
    stage = ("a1b2c3d4e5", "ESTestInvoke-stage", f"{ACCOUNT}:a1b2c3d4e5/ESTestInvoke-stage")
    sample = event("console_test")
    assert parse(sample) == Request(EventKind.REST_REQUEST, in_maps(sample), *stage, "GET", REST_ID, path_in(sample))


def test_what_the_caller_offers_is_not_printed() -> None:
    for shape in SHAPES:
        request = parse(event_with(shape, "SECRET"))
        assert "SECRET" not in f"{request!r} {request.sources!r}"


# --- maps and ids that are missing


@pytest.mark.parametrize("absent", [None, ...])
@pytest.mark.parametrize("shape", ["rest_request", "http_v1", "websocket", "http_v2", "http_v2_cookie"])
def test_any_map_may_be_null_or_absent(shape: str, absent: object) -> None:
    sample = event(shape, **dict.fromkeys([*V1_MAPS, "cookies", "identitySource", "pathParameters"], absent))
    assert parse(sample).sources == CredentialSources()


@pytest.mark.parametrize(
    "context", [None, ..., [], "x", {}, {"requestId": None}, {"requestId": 7}, {"requestId": ["x"]}]
)
@pytest.mark.parametrize("shape", ["rest_token", "rest_request", "http_v1", "http_v2"])
def test_a_request_id_may_be_missing(shape: str, context: object) -> None:
    assert parse(event(shape, requestContext=context)).request_id == ""


@pytest.mark.parametrize(("given", "kept"), [("x" * 129, "x" * 128), ("\ud800\xe9", "\\ud800\\xe9")])
def test_a_request_id_is_ascii_of_a_sane_length(given: str, kept: str) -> None:
    assert parse(event("http_v2", requestContext={"requestId": given})).request_id == kept


# --- which kind it is


@pytest.mark.parametrize(
    "what",
    [
        None,
        True,
        7,
        "",
        "event",
        [],
        [event("rest_token")],
        {},
        {"Records": []},
        {"source": "aws.events"},
        {"type": "TOKEN"},
        {"type": "REQUEST"},
        {"authorizationToken": "tok"},
        {"requestContext": {}},
        {"requestContext": {"eventType": "CONNECT"}},
    ],
)
def test_what_is_no_event_of_ours_is_refused(what: object) -> None:
    assert refused(what) is Reason.EVENT_UNKNOWN


@pytest.mark.parametrize(
    "type_", [..., None, "", "token", "Token", "TOKEN ", "request", "OTHER", 7, ["TOKEN"], {"TOKEN": 1}]
)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if not shape.startswith("appsync")])
def test_a_type_is_exactly_token_or_request(shape: str, type_: object) -> None:
    assert refused(event(shape, type=type_)) is Reason.EVENT_UNKNOWN


@pytest.mark.parametrize("version", ["", "1", "2", "1.0 ", "2.00", "3.0", 1.0, 2.0, True, ["2.0"], {}])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_version_is_exactly_1_0_or_2_0_or_absent(shape: str, version: object) -> None:
    assert refused(event(shape, version=version)) is Reason.EVENT_UNKNOWN


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("shape", ["rest_token", "appsync", "appsync_events_publish"])
def test_these_kinds_have_no_version(shape: str, version: str) -> None:
    assert refused(event(shape, version=version)) is Reason.EVENT_UNKNOWN


@pytest.mark.parametrize("arn", [None, ..., 7, [], {}])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if not shape.startswith("appsync")])
def test_an_event_without_its_arn_is_none(shape: str, arn: object) -> None:
    name = "routeArn" if shape.startswith("http_v2") else "methodArn"
    assert refused(event(shape, **{name: arn})) is Reason.EVENT_UNKNOWN


@pytest.mark.parametrize("arn", ["", "*", f"{ACCOUNT}:*/*/GET/", f"{ACCOUNT}:abc/prod", "arn:aws:lambda:x:1:y"])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if not shape.startswith("appsync")])
def test_an_impossible_arn_is_a_mistake_of_the_deployment(shape: str, arn: str) -> None:
    name = "routeArn" if shape.startswith("http_v2") else "methodArn"
    assert refused(event(shape, **{name: arn})) is Reason.ARN_INVALID


def test_the_arn_of_the_other_format_does_not_do() -> None:
    arn = f"{ACCOUNT}:f6g7h8i9j0/$default/GET/"
    assert refused(event("http_v2", routeArn=..., methodArn=arn)) is Reason.EVENT_UNKNOWN
    assert refused(event("http_v1", methodArn=..., routeArn=arn)) is Reason.EVENT_UNKNOWN


def test_only_the_event_type_makes_a_websocket() -> None:
    connect = f"{ACCOUNT}:k1l2m3n4o5/prod/$connect"
    assert refused(event("rest_request", methodArn=connect)) is Reason.ARN_INVALID
    for context in ({}, {"eventType": "connect"}, {"eventType": "MESSAGE"}, {"eventType": ["CONNECT"]}):
        assert refused(event("websocket", requestContext=context)) is Reason.ARN_INVALID
    rest_arn = f"{ACCOUNT}:k1l2m3n4o5/prod/GET/"
    assert refused(event("websocket", methodArn=rest_arn)) is Reason.ARN_INVALID
    assert parse(event("websocket", requestContext={}, methodArn=rest_arn)).kind is EventKind.REST_REQUEST


@pytest.mark.parametrize("api_id", [..., None, "", 7, ["abc"], "a-b", "a/b", "abc\n", "x" * 65, "*", "é"])
@pytest.mark.parametrize("shape", ["appsync", "appsync_events_connect"])
def test_an_appsync_event_names_its_api(shape: str, api_id: object) -> None:
    context = {**event(shape)["requestContext"], "apiId": api_id}
    sample = event(shape, requestContext={name: value for name, value in context.items() if value is not ...})
    assert refused(sample) is Reason.EVENT_UNKNOWN


@pytest.mark.parametrize("api_id", ["a", "a" * 64])
def test_the_name_of_an_appsync_api_may_be_short_or_long(api_id: str) -> None:
    context = {**event("appsync")["requestContext"], "apiId": api_id}
    assert parse(event("appsync", requestContext=context)).api_id == api_id


@pytest.mark.parametrize(("region", "known"), [("r", True), ("r" * 32, True), ("r" * 33, False)])
def test_an_appsync_api_is_where_the_function_is(region: str, known: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    function_arn = f"arn:aws:lambda:{region}:123456789012:function:authorizer"
    stage_arn = gateway.parse(event("appsync"), SETTINGS, function_arn).stage_arn
    assert stage_arn.startswith(f"arn:aws:appsync:{region}:") is known


@pytest.mark.parametrize("channel", [None, 7, "", "/inbox/x"])
def test_a_connection_to_an_event_api_has_no_channel_whatever_stands_there(channel: object) -> None:
    context = {**event("appsync_events_connect")["requestContext"], "channel": channel, "channelNamespaceName": channel}
    assert parse(event("appsync_events_connect", requestContext=context)).path == ""


@pytest.mark.parametrize("channel", [None, ..., 7, ["/chat/lobby"]])
@pytest.mark.parametrize("operation", ["subscribe", "publish"])
def test_a_subscription_or_publication_names_its_channel(operation: str, channel: object) -> None:
    context = {**event(f"appsync_events_{operation}")["requestContext"], "channel": channel}
    present = {name: value for name, value in context.items() if value is not ...}
    assert refused(event(f"appsync_events_{operation}", requestContext=present)) is Reason.EVENT_UNKNOWN


@pytest.mark.parametrize("operation", ["", "EVENT_DELETE", "event_connect", "SUBSCRIBE", None, ["EVENT_CONNECT"], 1])
def test_an_operation_of_an_event_api_is_one_of_three(operation: object) -> None:
    context = {**event("appsync_events_publish")["requestContext"], "operation": operation}
    assert refused(event("appsync_events_connect", requestContext=context)) is Reason.EVENT_UNKNOWN


@pytest.mark.parametrize(
    "account", [..., None, 7, "", "12345678901", "1234567890123", "123456789012\n", "x123456789012", "*"]
)
def test_an_appsync_event_with_an_odd_account_has_no_arn(account: object) -> None:
    """Then fields cannot be denied: rendering such a denial fails."""
    context = {**event("appsync")["requestContext"], "accountId": account}
    sample = event("appsync", requestContext={name: value for name, value in context.items() if value is not ...})
    function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:authorizer"
    assert gateway.parse(event("appsync"), SETTINGS, function_arn).stage_arn
    assert gateway.parse(sample, SETTINGS, function_arn).stage_arn == ""


def test_an_appsync_event_holds_a_graphql_document() -> None:
    context = event("appsync")["requestContext"]
    del context["queryString"]
    assert refused(event("appsync", requestContext=context)) is Reason.EVENT_UNKNOWN


@pytest.mark.parametrize("token", [None, ..., "", 7])
def test_an_appsync_event_without_a_token_is_still_one(token: object) -> None:
    offered = parse(event("appsync", authorizationToken=token)).sources.token
    assert offered == (None if token is ... else token)


def test_a_kind_without_an_answer_is_an_error_and_never_an_allow() -> None:
    request = parse(event("rest_token"))._replace(kind="other")  # type: ignore[arg-type]  # as a kind to come
    with pytest.raises(AssertionError):
        gateway.render(request, Decision(Reason.ALLOWED), SETTINGS)
