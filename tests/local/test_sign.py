"""The sample events, and the tokens signed into them by a stand-in Hanko over real HTTP."""

import base64
import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from local.command_line import CommandFailed
from local.hanko import RemoteHanko, StandInHanko
from local.sign import DEFECTS, SHAPES, event_with, find_event, main, token_with


@pytest.fixture(scope="module")
def hanko() -> Iterator[StandInHanko]:
    with StandInHanko() as running:
        yield running


def header_and_payload(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = token.split(".")
    return json.loads(base64.urlsafe_b64decode(header + "==")), json.loads(base64.urlsafe_b64decode(payload + "=="))


def verified(hanko: StandInHanko, token: str) -> dict[str, Any]:
    """By PyJWT, as a careful receiver of session tokens would, but for the claims that only Hanko has."""
    key = jwt.PyJWKSet.from_dict(RemoteHanko(hanko.url).jwks)[jwt.get_unverified_header(token)["kid"]]
    options: Any = {"require": ["exp", "iat", "sub", "aud", "session_id"]}
    return dict(jwt.decode(token, key, algorithms=["RS256"], audience="localhost", options=options))


# --- the samples


def test_every_shape_is_there() -> None:
    assert SHAPES == [
        "appsync",
        "appsync_events_connect",
        "appsync_events_publish",
        "appsync_events_subscribe",
        "console_test",
        "http_v1",
        "http_v2",
        "http_v2_cookie",
        "rest_request",
        "rest_request_cookie",
        "rest_token",
        "websocket",
        "websocket_cookie",
        "websocket_query",
        "websocket_subprotocol",
    ]


def places(value: Any, mark: str, path: str = "") -> set[str]:  # noqa: ANN401 - any part of an event
    """Where a text occurs in an event."""
    match value:
        case dict():
            return {found for name, part in value.items() for found in places(part, mark, f"{path}.{name}")}
        case list():
            return {found for part in value for found in places(part, mark, f"{path}[]")}
        case _:
            return {f"{path} = {value}"} if isinstance(value, str) and mark in value else set()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("appsync", {".authorizationToken = a.b.c", ".requestHeaders.authorization = a.b.c"}),
        *(
            (f"appsync_events_{name}", {".authorizationToken = a.b.c", f".requestHeaders.{header} = a.b.c"})
            for name, header in {
                "connect": "Authorization",
                "subscribe": "Authorization",
                "publish": "authorization",
            }.items()
        ),
        (
            "console_test",
            {".headers.Authorization = Bearer a.b.c", ".multiValueHeaders.Authorization[] = Bearer a.b.c"},
        ),
        (
            "http_v1",
            {
                ".identitySource = Bearer a.b.c",
                ".authorizationToken = Bearer a.b.c",
                ".headers.Authorization = Bearer a.b.c",
                ".multiValueHeaders.Authorization[] = Bearer a.b.c",
            },
        ),
        ("http_v2", {".identitySource[] = Bearer a.b.c", ".headers.authorization = Bearer a.b.c"}),
        ("http_v2_cookie", {".cookies[] = hanko=a.b.c"}),
        (
            "rest_request",
            {".headers.Authorization = Bearer a.b.c", ".multiValueHeaders.Authorization[] = Bearer a.b.c"},
        ),
        (
            "rest_request_cookie",
            {".headers.cookie = theme=dark; hanko=a.b.c", ".multiValueHeaders.cookie[] = theme=dark; hanko=a.b.c"},
        ),
        ("rest_token", {".authorizationToken = Bearer a.b.c"}),
        ("websocket", {".headers.Authorization = Bearer a.b.c", ".multiValueHeaders.Authorization[] = Bearer a.b.c"}),
        (
            "websocket_cookie",
            {".headers.Cookie = theme=dark; hanko=a.b.c", ".multiValueHeaders.Cookie[] = theme=dark; hanko=a.b.c"},
        ),
        (
            "websocket_query",
            {".queryStringParameters.token = a.b.c", ".multiValueQueryStringParameters.token[] = a.b.c"},
        ),
        (
            "websocket_subprotocol",
            {
                ".headers.Sec-WebSocket-Protocol = hanko, a.b.c",
                ".multiValueHeaders.Sec-WebSocket-Protocol[] = hanko, a.b.c",
            },
        ),
    ],
)
def test_the_token_is_where_the_shape_carries_it_and_nowhere_else(shape: str, expected: set[str]) -> None:
    event = event_with(shape, "a.b.c")

    assert places(event, "a.b.c") == expected
    assert places(event, "TOKEN") <= {".type = TOKEN"}


@pytest.mark.parametrize("shape", SHAPES)
def test_without_a_token_nothing_is_left_of_its_place(shape: str) -> None:
    event, without = event_with(shape, "a.b.c"), event_with(shape, "")

    assert places(without, "TOKEN") <= {".type = TOKEN"}
    assert places(without, "a.b.c") | places(without, "Bearer") | places(without, "hanko=") == set()
    top_level_places = {"authorizationToken", "identitySource"}
    assert set(event) - set(without) <= top_level_places


def test_what_aws_leaves_behind_without_a_token() -> None:
    assert event_with("http_v2", "")["identitySource"] is None
    assert event_with("http_v2_cookie", "")["cookies"] == ["theme=dark"]
    assert event_with("websocket_query", "")["queryStringParameters"] == {}
    assert event_with("rest_token", "") == {
        "type": "TOKEN",
        "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/GET/items/42",
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_the_parts_of_an_event_agree(shape: str) -> None:
    event = event_with(shape, "a.b.c")
    context = event.get("requestContext", {})
    arn = event.get("methodArn") or event.get("routeArn")

    if arn and context:
        api_id, stage = arn.split(":")[5].split("/")[:2]
        assert api_id == context["apiId"]
        assert stage == context["stage"] or (stage, context["stage"]) == ("ESTestInvoke-stage", "test-invoke-stage")
    assert context.get("accountId", "123456789012") == "123456789012"
    if event.get("multiValueHeaders"):
        assert {name: [value] for name, value in event["headers"].items()} == event["multiValueHeaders"]


# --- the defects


def test_a_token_without_defect_verifies(hanko: StandInHanko) -> None:
    assert verified(hanko, token_with("none", hanko))["email"]["address"] == "user@example.com"


@pytest.mark.parametrize(
    ("defect", "error"),
    [
        ("expired", jwt.ExpiredSignatureError),
        ("not_yet_valid", jwt.ImmatureSignatureError),
        ("wrong_audience", jwt.InvalidAudienceError),
        ("webhook", jwt.MissingRequiredClaimError),
        ("passkey_server", jwt.MissingRequiredClaimError),
        ("tampered", jwt.InvalidSignatureError),
        ("hs256", jwt.InvalidAlgorithmError),
        ("unknown_kid", KeyError),
        ("no_session_id", jwt.MissingRequiredClaimError),
        ("no_exp", jwt.MissingRequiredClaimError),
    ],
)
def test_each_defect_is_the_one_that_it_says(hanko: StandInHanko, defect: str, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        verified(hanko, token_with(defect, hanko))
    assert raised.type is error


def test_the_wrong_issuer_is_all_that_is_wrong(hanko: StandInHanko) -> None:
    assert verified(hanko, token_with("wrong_issuer", hanko))["iss"] == "https://other.example.com"


def test_alg_none_has_the_payload_of_a_good_token_and_no_signature(hanko: StandInHanko) -> None:
    token = token_with("alg_none", hanko)
    header, payload = header_and_payload(token)

    assert header == {"alg": "none", "typ": "JWT"}
    assert payload["exp"] > time.time()
    assert token.endswith(".")


def test_hs256_is_signed_with_the_public_key_as_secret(hanko: StandInHanko) -> None:
    signing_input, _, signature = token_with("hs256", hanko).rpartition(".")
    key = jwt.PyJWK(hanko.jwks["keys"][0]).key
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    expected = hmac.digest(pem, signing_input.encode(), hashlib.sha256)

    assert base64.urlsafe_b64decode(signature + "==") == expected
    assert header_and_payload(f"{signing_input}.")[0]["kid"] == hanko.kids[0]


def test_a_missing_token_is_empty(hanko: StandInHanko) -> None:
    assert token_with("missing", hanko) == ""


@pytest.mark.parametrize("defect", sorted(DEFECTS.keys() - {"missing", "wrong_audience"}))
def test_another_audience_reaches_every_defect_over_the_admin_api(hanko: StandInHanko, defect: str) -> None:
    token = token_with(defect, RemoteHanko(hanko.url), audience="api.example.com")

    assert header_and_payload(token)[1]["aud"] == ["api.example.com"]


# --- the command


def test_the_command_prints_a_signed_event(hanko: StandInHanko, capsys: pytest.CaptureFixture[str]) -> None:
    main(["http_v2", "--hanko", hanko.url])
    event = json.loads(capsys.readouterr().out)

    assert verified(hanko, event["headers"]["authorization"].removeprefix("Bearer "))


def test_the_stand_in_may_come_from_the_environment(
    hanko: StandInHanko, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANKO_API_URL", hanko.url)
    main(["appsync", "--defect", "expired"])
    token = json.loads(capsys.readouterr().out)["authorizationToken"]

    assert header_and_payload(token)[1]["exp"] < time.time()


def test_a_missing_token_needs_no_hanko(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANKO_API_URL", raising=False)
    main(["websocket_query", "--defect", "missing"])

    assert json.loads(capsys.readouterr().out)["queryStringParameters"] == {}


def test_the_command_prints_the_token_alone(hanko: StandInHanko, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--token-only", "--hanko", hanko.url])

    assert verified(hanko, capsys.readouterr().out.strip())


def test_list_prints_the_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--list"])

    assert capsys.readouterr().out.split() == SHAPES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "EVENT= is missing"),
        (["rest_tokn"], "Did you mean rest_token?"),
        (["http_v2", "--defect", "expird"], "Did you mean expired?"),
        (["http_v2"], "make hanko"),
        (["http_v2", "--hanko", "https://hanko.example.com"], "no stand-in"),
        (["http_v2", "--hanko", "ftp://localhost"], "no stand-in"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANKO_API_URL", raising=False)
    with pytest.raises(CommandFailed, match=re.escape(message)):
        main(arguments)


def test_an_unreachable_stand_in_is_named() -> None:
    with StandInHanko() as gone:
        pass
    with pytest.raises(CommandFailed, match=re.escape(gone.url)):
        main(["http_v2", "--hanko", gone.url])


def test_an_event_may_come_from_a_pipe(tmp_path: Path) -> None:
    """It is read once. Its word TOKEN that names the type is no place for a token."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = json.dumps(event_with("rest_token", "a.b.c"))
    with ThreadPoolExecutor() as pool:
        pool.submit(pipe.write_text, text)
        sample = find_event(str(pipe))
    assert (sample.event, sample.has_place) == (json.loads(text), False)
    assert find_event("rest_token").has_place


def test_an_event_may_come_from_a_file(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text('{"type": "TOKEN", "authorizationToken": "Bearer TOKEN"}')
    assert find_event(str(own)).with_token("a.b.c") == {"type": "TOKEN", "authorizationToken": "Bearer a.b.c"}


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_a_file_that_holds_no_event_is_named(text: str, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text(text)
    with pytest.raises(CommandFailed, match=r"own\.json is no"):
        find_event(str(own))
