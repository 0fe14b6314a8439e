"""Whatever comes in, the answer is one of ours, and no text of the caller's leaves in answer, log or metrics."""

import base64
import json
import os
import re
import string
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import pytest
from answers import RESOURCE, allows, is_flat, is_ours
from aws import Aws
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from receiving import Receiving, url_event
from sandbox import Json, MakeSandbox, Sandbox, Time

from authorizer.config import Settings
from authorizer.context import build_context
from authorizer.errors import AuthorizerError, Misconfigured, Reason
from authorizer.gateway.iam import parse_arn, policy
from authorizer.hanko.strict_json import MAX_INTEGER_DIGITS, MAX_NESTING, decode_base64url, parse_object
from authorizer.model import MAX_CONTEXT_BYTES, Claims, CredentialSources, Decision, EventKind, Grant, Request
from authorizer.setting_values import ClaimForm, ContextClaim
from local.hanko import StandInHanko
from local.hanko.keys import b64
from local.sign import SHAPES, event_with

Path = tuple[str | int, ...]

CANARY = "cAnArY-7f3a"  # of the alphabet of tokens, header values and cookie names alike
USER_ID, SESSION_ID = "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01", "5c1d2e3f-4a5b-4c6d-8e7f-8a9b0c1d2e3f"
STAGE_ARN = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod"

settings.register_profile(
    "here",
    deadline=None,  # the first example fetches keys over HTTP
    max_examples=200,
    derandomize="CI" in os.environ,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # one sandbox for all examples, as Lambda has one for many events
        HealthCheck.too_slow,  # says the same as the limit on the whole suite
    ],
)
HERE = settings.get_profile("here")

any_text = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates, too: JSON can hold them
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | any_text
any_json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4), max_leaves=12
)
with_canary = st.builds(lambda before, after: before + CANARY + after, any_text, any_text)
token_like = st.lists(st.text(string.ascii_letters + string.digits + "-_=", max_size=60), max_size=5).map(".".join)


# --- what an answer of ours looks like


def checked(sandbox: Sandbox, event: object, *secrets: str) -> Json | str:
    """The answer: one of ours, with one record, and no secret in either."""
    answer = sandbox.answer(event)
    output = sandbox.output()
    assert is_ours(answer)
    assert len([json.loads(line) for line in output.splitlines()]) == 1
    written = json.dumps(answer, ensure_ascii=False) + json.dumps(answer) + output
    for secret in secrets:
        assert secret not in written
    return answer


@pytest.fixture
def everything_on(make_sandbox: MakeSandbox) -> Sandbox:
    return make_sandbox(websocket_query_parameter="token", websocket_subprotocol="hanko")


@pytest.fixture
def session_sandboxes(make_sandbox: MakeSandbox) -> dict[str, Sandbox]:
    return {mode: make_sandbox(session_check="strict", session_on_outage=mode) for mode in ("fail", "allow")}


@pytest.fixture
def token(hanko: StandInHanko) -> str:
    return hanko.mint()


# --- events


@HERE
@given(event=any_json)
@example(event=None)
@example(event=[])
@example(event={"type": "TOKEN", "methodArn": f"{STAGE_ARN}/GET/"})
def test_any_json_gets_an_answer_and_no_access(sandbox: Sandbox, event: object) -> None:
    assert not allows(checked(sandbox, event))


def turned_away(receiving: Receiving, event: object) -> bool:
    """With a status of ours, one log line and one metric record."""
    answer = receiving.answer(event)
    assert len([json.loads(line) for line in receiving.output().splitlines()]) == 1
    return answer["statusCode"] in {400, 401, 405, 413}


@HERE
@given(event=any_json)
@example(event=None)
@example(event={"requestContext": {"requestId": "\ud800", "http": {"method": "POST"}}, "body": "{}"})
@example(event={"requestContext": {"http": []}, "body": "{}"})
def test_any_json_posted_to_the_receiver_revokes_nothing(receiving: Receiving, event: object, aws: Aws) -> None:
    assert turned_away(receiving, event)
    assert not aws.requests


@HERE
@given(token=token_like | any_text, event=any_text, extra=any_json, is_base64=st.booleans())
def test_any_webhook_of_a_strangers_revokes_nothing(  # noqa: PLR0913 - what a webhook is made of
    receiving: Receiving, token: str, event: str, extra: object, aws: Aws, *, is_base64: bool
) -> None:
    body = json.dumps({"token": token, "event": event, "extra": extra})
    posted = base64.b64encode(body.encode()).decode() if is_base64 else body
    assert turned_away(receiving, url_event(posted, is_base64=is_base64))
    assert not aws.requests


NAMES = ["type", "version", "methodArn", "routeArn", "authorizationToken", "headers", "multiValueHeaders", "cookies"]
VALUES = [
    *("TOKEN", "REQUEST", "1.0", "2.0", f"{STAGE_ARN}/GET/", f"{STAGE_ARN}/$connect"),
    *({"eventType": "CONNECT"}, {"queryString": "{me}", "apiId": "abc"}, {"authorization": ["Bearer a.b.c"]}),
]


@HERE
@given(event=st.dictionaries(st.sampled_from([*NAMES, "requestContext"]), st.sampled_from(VALUES) | any_json))
def test_any_mixture_of_known_members_gets_an_answer_and_no_access(sandbox: Sandbox, event: object) -> None:
    assert not allows(checked(sandbox, event))


def paths(value: Any, so_far: Path = ()) -> list[Path]:  # noqa: ANN401 - any part of an event
    """The way to every part of a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [so_far, *(path for name, part in members for path in paths(part, (*so_far, name)))]


def replaced(value: Any, path: Path, part: Any) -> Any:  # noqa: ANN401 - any part of an event
    if not path:
        return part
    items: Any = dict(value) if isinstance(value, dict) else list(value)
    items[path[0]] = replaced(items[path[0]], path[1:], part)
    return items


@HERE
@given(data=st.data(), shape=st.sampled_from(SHAPES), part=any_json)
def test_a_sample_event_with_any_part_replaced_gets_an_answer(
    everything_on: Sandbox, token: str, data: st.DataObject, shape: str, part: object
) -> None:
    event = event_with(shape, token)
    path = data.draw(st.sampled_from(paths(event)))
    checked(everything_on, replaced(event, path, part), *token.split("."))


@HERE
@given(data=st.data(), shape=st.sampled_from(SHAPES), text=with_canary)
def test_no_text_of_the_caller_leaves(
    everything_on: Sandbox, token: str, data: st.DataObject, shape: str, text: str
) -> None:
    """In place of any value but AWS's own ids, which the log line names."""
    event = event_with(shape, token)
    path = data.draw(st.sampled_from([path for path in paths(event) if is_the_callers(path)]))
    checked(everything_on, replaced(event, path, text), CANARY, *token.split("."))


def is_the_callers(path: Path) -> bool:
    return bool(path) and path[0] != "requestContext"


@HERE
@given(shape=st.sampled_from(SHAPES), text=with_canary | token_like.map(lambda text: f"{text}{CANARY}"))
def test_any_text_in_place_of_the_token_is_refused_and_does_not_leave(
    everything_on: Sandbox, shape: str, text: str
) -> None:
    assert not allows(checked(everything_on, event_with(shape, text), CANARY))


@HERE
@given(
    shape=st.sampled_from(["rest_request", "http_v1", "http_v2", "websocket"]),
    headers=st.dictionaries(
        st.sampled_from(["authorization", "Authorization", "cookie", "Cookie", "sec-websocket-protocol"]),
        with_canary | with_canary.map(lambda text: f"Bearer {text}") | with_canary.map(lambda text: f"hanko={text}"),
    ),
    cookies=st.none() | st.lists(with_canary | with_canary.map(lambda text: f"hanko={text}"), max_size=3),
    query=st.none() | st.dictionaries(st.just("token"), st.lists(with_canary, max_size=3)),
)
def test_any_headers_cookies_and_parameters_are_refused_and_do_not_leave(
    everything_on: Sandbox,
    shape: str,
    headers: dict[str, str],
    cookies: list[str] | None,
    query: Any,  # noqa: ANN401 - any map
) -> None:
    maps = {"headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}
    event = {**event_with(shape, ""), **maps, "cookies": cookies, "multiValueQueryStringParameters": query}
    assert not allows(checked(everything_on, event, CANARY))


@HERE
@given(path=any_text)
def test_no_path_leaves(everything_on: Sandbox, token: str, path: str) -> None:
    arn = f"{STAGE_ARN}/GET/{path}{CANARY}"
    answer = checked(
        everything_on, {"type": "TOKEN", "authorizationToken": f"Bearer {token}", "methodArn": arn}, CANARY
    )
    assert allows(answer)


# --- tokens

ALPHABET = string.ascii_letters + string.digits + "-_"


@HERE
@given(
    position=st.integers(0, 2000),
    removed=st.integers(0, 4),
    inserted=st.text(ALPHABET + ".=+/ \n", max_size=4),
)
@example(position=0, removed=0, inserted="")
def test_a_good_token_has_no_twin(sandbox: Sandbox, token: str, position: int, removed: int, inserted: str) -> None:
    position %= len(token) + 1
    mutated = token[:position] + inserted + token[position + removed :]
    answer = checked(sandbox, event_with("http_v2", mutated), *token.split("."))
    assert allows(answer) == (mutated.lstrip(" ") == token)  # spaces in front are the header's: "Bearer" 1*SP token


@HERE
@given(order=st.lists(st.integers(0, 2), max_size=5))
def test_the_segments_of_good_tokens_do_not_mix(sandbox: Sandbox, hanko: StandInHanko, order: list[int]) -> None:
    tokens = [hanko.mint().split(".") for _ in range(3)]
    mixed = ".".join(tokens[number][place % 3] for place, number in enumerate(order))
    answer = checked(sandbox, event_with("http_v2", mixed), *(part for segments in tokens for part in segments[1:]))
    assert allows(answer) == (mixed in map(".".join, tokens))


CLAIM_NAMES = ["sub", "session_id", "aud", "iat", "exp", "nbf", "iss", "email", "username", "amr", "evt", "data", "x"]
CLAIM_VALUES = [
    None,
    True,
    0,
    1,
    1e10,
    "",
    "localhost",
    ["localhost"],
    USER_ID,
    USER_ID.upper(),
    {"address": "a"},
    ["a b"],
]


@settings(HERE, max_examples=100)  # each signs with RSA-4096
@given(
    claims=st.dictionaries(
        st.sampled_from(CLAIM_NAMES) | any_text, st.sampled_from(CLAIM_VALUES) | any_json, max_size=4
    )
)
def test_any_signed_claims_get_an_answer(sandbox: Sandbox, hanko: StandInHanko, claims: Json) -> None:
    """Whom it lets in has a user id, a session id, an audience and times, whatever else the token says."""
    issued_at = int(hanko.now())
    good = {"sub": USER_ID, "session_id": SESSION_ID, "aud": ["localhost"], "iat": issued_at, "exp": issued_at + 60}
    payload = {**good, **claims}
    text = hanko.sign({"alg": "RS256", "kid": hanko.kids[0]}, json.dumps(payload).encode(), hanko.kids[0])
    if allows(checked(sandbox, event_with("http_v2", text), *text.split("."))):
        assert {"evt", "data"}.isdisjoint(payload)
        assert payload["aud"] in ("localhost", ["localhost"]) or "localhost" in payload["aud"]
        assert re.fullmatch(r"[0-9a-f-]{36}", payload["sub"])
        assert re.fullmatch(r"[0-9a-f-]{36}", payload["session_id"])
        assert payload["iat"] - 10 <= hanko.now() < payload["exp"] + 10


@settings(HERE, max_examples=100)  # each signs with RSA-4096
@given(header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk"]) | any_text, any_json, max_size=3))
def test_any_signed_header_gets_an_answer(sandbox: Sandbox, hanko: StandInHanko, header: Json) -> None:
    whole = {"alg": "RS256", "kid": hanko.kids[0], "typ": "JWT", **header}
    _, payload, _ = hanko.mint().split(".")
    text = hanko.sign(whole, decode_base64url(payload.encode()), hanko.kids[0])
    answer = checked(sandbox, event_with("http_v2", text), *text.split("."))
    assert allows(answer) == (whole == {"alg": "RS256", "kid": hanko.kids[0], "typ": "JWT"})


# --- what Hanko says of a session

VERDICT: Json = {"is_valid": True, "claims": {"session_id": SESSION_ID, "subject": USER_ID}, "user_id": USER_ID}
ids = st.sampled_from([SESSION_ID, USER_ID])
near_verdicts = st.fixed_dictionaries(
    {},
    optional={
        "is_valid": st.booleans() | scalars,
        "claims": st.fixed_dictionaries(dict.fromkeys(("session_id", "subject"), ids | scalars)) | any_json,
        "user_id": ids | scalars,
    },
)


@settings(HERE, max_examples=300)
@given(
    body=any_json.map(json.dumps) | near_verdicts.map(json.dumps) | st.binary(max_size=80),
    code=st.just(200) | st.integers(100, 999),
    mode=st.sampled_from(["fail", "allow"]),
)
@example(body=json.dumps(VERDICT), code=200, mode="fail")
@example(body=json.dumps(VERDICT), code=500, mode="fail")
@example(body='{"is_valid": false}', code=200, mode="allow")
def test_whatever_hanko_says_of_a_session_the_answer_is_one_of_ours(  # noqa: PLR0913, PLR0917 - fixtures
    session_sandboxes: dict[str, Sandbox], hanko: StandInHanko, time_: Time, body: str | bytes, code: int, mode: str
) -> None:
    """And whom it lets in, in spite of a check, is who Hanko says: this session and this user, in an answer of 200."""
    time_.advance(31)  # beyond any pause, and no two tokens have the same time of issue
    token = hanko.mint(claims={"sub": USER_ID, "session_id": SESSION_ID, "iat": int(time_.wall)})
    hanko.behave("body", endpoint="validate", data=body, code=code)
    answer = checked(session_sandboxes[mode], event_with("http_v2", token), *token.split("."))
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    said = said if isinstance(said, dict) and code == 200 else {}
    claims = said.get("claims")
    named = (claims.get("session_id"), claims.get("subject")) if isinstance(claims, dict) else ()
    about_it = named == (SESSION_ID, USER_ID) and said.get("user_id") in (None, USER_ID)
    if mode == "fail":
        assert allows(answer) == (said.get("is_valid") is True and about_it)
    elif said.get("is_valid") is False and about_it:
        assert not allows(answer)


# --- parsers


@HERE
@given(data=st.binary())
def test_base64url_round_trip(data: bytes) -> None:
    assert decode_base64url(b64(data).encode()) == data


@HERE
@given(text=st.binary() | st.text(ALPHABET + "=+/.\n", max_size=20).map(str.encode))
def test_base64url_has_one_text_for_one_value(text: bytes) -> None:
    with suppress(ValueError):
        assert b64(decode_base64url(text)).encode() == text


@HERE
@given(value=st.dictionaries(any_text, any_json, max_size=5), ascii_only=st.booleans())
def test_an_object_comes_back_as_it_was(value: Json, *, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        data = text.encode()
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate is no text
        with pytest.raises(ValueError):  # noqa: PT011 - the contract is ValueError
            parse_object(text.encode("utf-8", "surrogatepass"))
        return
    assume(all(len(digits) <= MAX_INTEGER_DIGITS for digits in re.findall(r"\d+", text)))
    assert parse_object(data) == value == json.loads(data)


json_like = st.lists(
    st.sampled_from(
        [*'{}[]":,\\ \n', '{"', '":', '",', '"a"', "\\u", "d800", "0", "1", "-", "e9", "true", "null", "NaN"]
    ),
    max_size=40,
).map("".join)


@HERE
@given(data=st.binary() | json_like.map(str.encode) | json_like.map(lambda text: f'{{"a":{text}}}'.encode()))
@example(data=b'{"a": 1, "a": 2}')
@example(data=b"\xef\xbb\xbf{}")
def test_what_is_accepted_means_the_same_to_pythons_parser(data: bytes) -> None:
    with suppress(ValueError):
        value = parse_object(data)
        assert value == json.loads(data.decode("utf-8"))
        assert parse_object(json.dumps(value).encode()) == value


@HERE
@given(depth=st.integers(0, 3 * MAX_NESTING), opening=st.sampled_from(["[", '{"a":']))
def test_depth_decides_and_nothing_else(depth: int, opening: str) -> None:
    text = f'{{"a":{opening * depth}1{("]" if opening == "[" else "}") * depth}}}'
    try:
        parse_object(text.encode())
    except ValueError:
        assert depth >= MAX_NESTING
    else:
        assert depth < MAX_NESTING


@HERE
@given(
    text=any_text | any_text.map(lambda text: f"{STAGE_ARN}/GET/{text}") | any_text.map(lambda text: f"arn:{text}/GET/")
)
def test_an_arn_is_taken_apart_exactly_or_refused(text: str) -> None:
    with suppress(AuthorizerError):
        arn = parse_arn(text)
        assert text == f"{arn.stage_arn}/{arn.method}{arn.path}"
        assert arn.stage_arn.endswith(f":{arn.api_id}/{arn.stage}")
        assert RESOURCE.fullmatch(f"{arn.stage_arn}/*")


@HERE
@given(path=any_text)
def test_a_policy_never_echoes_the_path(path: str) -> None:
    arn = parse_arn(f"{STAGE_ARN}/GET/{path}")
    request = Request(EventKind.REST_REQUEST, CredentialSources(), arn.api_id, arn.stage, arn.stage_arn, arn.method, "")
    document = policy(request, Decision(Reason.ALLOWED, USER_ID, grant=Grant()))["policyDocument"]
    assert document == {
        "Version": "2012-10-17",
        "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{STAGE_ARN}/*"}],
    }


# --- the context and the settings


@HERE
@given(
    payload=st.dictionaries(st.sampled_from(["email", "username", "amr", "a", "b"]), any_json | st.just("x" * 5000)),
    paths_=st.lists(st.lists(st.sampled_from(["a", "b", "address"]), min_size=1, max_size=3), max_size=3),
    form=st.sampled_from(["", "json", "b64"]),
)
def test_a_context_is_flat_and_bounded_whatever_the_token_says(
    payload: Json, paths_: list[list[str]], form: ClaimForm
) -> None:
    payload = json.loads(json.dumps(payload).encode().replace(b"\\ud", b"\\u0"))  # tokens hold no lone surrogates
    extra = [ContextClaim(tuple(path), f"claim_{number}", form) for number, path in enumerate(paths_)]
    context, left_out, _ = build_context(Claims(USER_ID, SESSION_ID, 1.5, 2.5, payload), extra)
    assert is_flat(context)
    assert not any(re.search(r"[\x00-\x1f\x7f]", str(value)) for value in context.values())
    fixed = {"user_id", "session_id", "email", "email_verified", "username", "amr", "issued_at", "expires_at"}
    assert context.keys() <= {*fixed, *(claim.name for claim in extra), *(["left_out"] if left_out else [])}
    assert (context["user_id"], context["session_id"]) == (USER_ID, SESSION_ID)
    assert len(json.dumps(context, ensure_ascii=False, allow_nan=False).encode()) <= MAX_CONTEXT_BYTES


words = st.text(st.sampled_from('ab %[{"]\\\n\x7f\u00a0\u00e9'), max_size=4)


@HERE
@given(groups=st.lists(words, max_size=4), amr=st.lists(words, max_size=4))
def test_no_two_lists_of_a_user_look_the_same_to_the_backend(groups: list[str], amr: list[str]) -> None:
    extra = [ContextClaim(("groups",), "groups")]
    context = build_context(Claims(USER_ID, SESSION_ID, 1.5, 2.5, {"groups": groups, "amr": amr}), extra).values
    shown, logins = str(context["groups"]), str(context["amr"])
    assert (json.loads(shown) if shown.startswith("[") else shown.split()) == groups
    assert [unquote(word) for word in logins.split()] == [word for word in amr if word]


VARIABLES = [
    "API_URL",
    "AUDIENCE",
    "ISSUER",
    "COOKIE_NAME",
    "CLOCK_SKEW_SECONDS",
    "CONTEXT_CLAIMS",
    "LOG_HASH_KEY",
    "FETCH",
]


@HERE
@given(
    environ=st.dictionaries(
        st.sampled_from([f"HANKO_{name}" for name in VARIABLES] + ["HTTPS_PROXY", "SSL_CERT_FILE"]),
        any_text.filter(lambda text: "\0" not in text).map(lambda text: f"\t{CANARY} é{text}"),
        min_size=1,
    )
)
def test_wrong_settings_are_told_without_their_values(environ: dict[str, str]) -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_env(environ)
    assert CANARY not in str(caught.value)
    assert all(name in str(caught.value) for name in environ)
