"""Every kind of API x every outcome, against whole answers, whole log lines and whole metric records.

Only time stamps, durations and the service's name are ANY. Nothing of ours is patched: what fails is injected.
"""

import gc
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from sandbox import CONTEXT, FUNCTION_ARN, NOW, SESSION, USER, Json, MakeSandbox, Sandbox, Time

from authorizer import __version__
from authorizer.clock import Clock
from authorizer.errors import Reason, Unavailable
from authorizer.gateway.raised import AuthorizerUnavailable, Unauthorized
from authorizer.hanko.tokens import TokenVerifier
from authorizer.model import METHODS
from authorizer.rules.evaluation import Rules
from authorizer.rules.source import RulesProvider
from local.hanko import StandInHanko
from local.runtime import LambdaRuntime
from local.sign import SHAPES, event_with, token_with

ROOT = Path(__file__).parent.parent
HASH_KEY = "a-hash-key-for-tests"
USER_HASH = "b1bc8d13bcb6513045d2ad37"  # BLAKE2b of USER with HASH_KEY, 12 bytes
UNAUTHORIZED = (Unauthorized, "Unauthorized")
UNAVAILABLE = (AuthorizerUnavailable, "Authorizer unavailable")


@pytest.fixture
def time_() -> Time:
    return Time(wall=NOW)


# --- the kinds of API


def policy_allowing(stage: str) -> Json:
    return {
        "principalId": USER,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": f"arn:aws:execute-api:eu-west-1:123456789012:{stage}/*",
                }
            ],
        },
        "context": CONTEXT,
    }


def policy_denying(reason: str) -> Json:
    return {
        "principalId": "unknown",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Deny",
                    "Resource": "arn:aws:execute-api:eu-west-1:123456789012:f6g7h8i9j0/$default/*",
                }
            ],
        },
        "context": {"reason": reason},
    }


def raised_401(_reason: str) -> object:
    return UNAUTHORIZED


def simple_refusal(reason: str) -> Json:
    return {"isAuthorized": False, "context": {"reason": reason}}


def appsync_refusal(_reason: str) -> Json:
    return {"isAuthorized": False, "ttlOverride": 0}


REST_ID, HTTP_ID = "5e0b8b7c-3f1a-4c59-9d0e-2a6c1f4b7d80", "EXqgWgXxDoEFSkEg="
REST_LOG = {"kind": "rest_request", "api_id": "a1b2c3d4e5", "stage": "prod", "method": "GET", "request_id": REST_ID}
HTTP_LOG = {"kind": "http_api_v2", "api_id": "f6g7h8i9j0", "stage": "$default", "method": "GET", "request_id": HTTP_ID}
SOCKET_LOG = {
    "kind": "websocket",
    "api_id": "k1l2m3n4o5",
    "stage": "prod",
    "method": "$connect",
    "request_id": HTTP_ID,
}


@dataclass(frozen=True)
class Kind:
    """One shape of events/, how it is answered and what its log line says of it."""

    shape: str
    allowed: Json
    refused: Callable[[str], object]
    log: Json
    settings: dict[str, str] = field(default_factory=dict)
    twice: str = "{0}, Bearer {0}"  # the token text that makes the place of the credential hold two

    @property
    def name(self) -> str:
        return "_".join([self.shape, *(v for k, v in self.settings.items() if k == "http_api_response")])


TWO_COOKIES, TWO_PROTOCOLS = "{0}; hanko={0}", "{0}, hanko, {0}"
SIMPLE = {"isAuthorized": True, "context": CONTEXT}
REST, SOCKET = policy_allowing("a1b2c3d4e5/prod"), policy_allowing("k1l2m3n4o5/prod")
HTTP = policy_allowing("f6g7h8i9j0/$default")
CONSOLE = policy_allowing("a1b2c3d4e5/ESTestInvoke-stage")
AS_POLICY = {"http_api_response": "policy"}
REST_TOKEN_LOG = {"kind": "rest_token", "api_id": "a1b2c3d4e5", "stage": "prod", "method": "GET"}
APPSYNC_LOG = {"kind": "appsync", "api_id": "p6q7r8s9t0u1v2w3x4y5z6a7b8", "request_id": REST_ID}
EVENTS_LOG = {**APPSYNC_LOG, "kind": "appsync_events"}
# AWS documents texts for the values.
TEXTS = {"email_verified": "true", "issued_at": "1800000000", "expires_at": "1800043200"}
EVENTS = {"isAuthorized": True, "handlerContext": {**CONTEXT, **TEXTS}, "ttlOverride": 0}

KINDS = [
    Kind("rest_token", REST, raised_401, REST_TOKEN_LOG),
    Kind("rest_request", REST, raised_401, REST_LOG),
    Kind("rest_request_cookie", REST, raised_401, {**REST_LOG, "method": "POST"}, twice=TWO_COOKIES),
    Kind("console_test", CONSOLE, raised_401, {**REST_LOG, "stage": "ESTestInvoke-stage"}),
    Kind("http_v1", HTTP, policy_denying, {**HTTP_LOG, "kind": "http_api_v1"}),
    Kind("http_v2", SIMPLE, simple_refusal, HTTP_LOG),
    Kind("http_v2_cookie", SIMPLE, simple_refusal, {**HTTP_LOG, "method": "POST"}, twice=TWO_COOKIES),
    Kind("http_v2", HTTP, policy_denying, HTTP_LOG, AS_POLICY),
    Kind("http_v2_cookie", HTTP, policy_denying, {**HTTP_LOG, "method": "POST"}, AS_POLICY, TWO_COOKIES),
    Kind("websocket", SOCKET, raised_401, SOCKET_LOG),
    Kind("websocket_cookie", SOCKET, raised_401, SOCKET_LOG, twice=TWO_COOKIES),
    Kind("websocket_query", SOCKET, raised_401, SOCKET_LOG, {"websocket_query_parameter": "token"}),
    Kind("websocket_subprotocol", SOCKET, raised_401, SOCKET_LOG, {"websocket_subprotocol": "hanko"}, TWO_PROTOCOLS),
    Kind("appsync", {"isAuthorized": True, "resolverContext": CONTEXT, "ttlOverride": 0}, appsync_refusal, APPSYNC_LOG),
    *(
        Kind(f"appsync_events_{operation.lower()}", EVENTS, appsync_refusal, {**EVENTS_LOG, "method": operation})
        for operation in ("CONNECT", "SUBSCRIBE", "PUBLISH")
    ),
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def test_no_shape_is_left_out() -> None:
    assert {kind.shape for kind in KINDS} == set(SHAPES)


# --- what is sent and what comes back


def answer_of(sandbox: Sandbox, event: object) -> object:
    """The answer, or type and text of the exception; nothing may hang on to it that the runtime could print."""
    try:
        return sandbox.authorizer.handle(event, "invocation", FUNCTION_ARN)
    except Exception as error:  # noqa: BLE001 - whatever leaves the handler is an answer
        raised = error
    assert (raised.__cause__, raised.__context__) == (None, None)
    return type(raised), str(raised)


def sandbox_for(kind: Kind, make_sandbox: MakeSandbox, **settings: str) -> Sandbox:
    """`settings` are variables without HANKO_; `rules` is the text of the rules."""
    return make_sandbox(**{"log_hash_key": HASH_KEY, **kind.settings, **settings})


def session_token(hanko: StandInHanko, **claims: Any) -> str:  # noqa: ANN401 - any JSON
    return hanko.mint(claims={"sub": USER, "session_id": SESSION, **claims})


def event_with_two(kind: Kind, token: str) -> Json:
    event = event_with(kind.shape, kind.twice.format(token))
    if kind.shape == "websocket_query":
        event["multiValueQueryStringParameters"]["token"] = [token, token]
    return event


NO_KEYS: Json = {}
CACHED: Json = {}
FETCHED: Json = {"KeySetAge": 0, "KeyFetches": 1}
FAULTS = {"unauthenticated": "caller", "forbidden": "caller", "misconfigured": "deployment"}


def assert_recorded(sandbox: Sandbox, request: Json, outcome: str, reason: str, keys: Json, **more: object) -> None:
    """One record was written, and this is all that it says."""
    level = {"allowed": "INFO", "unauthenticated": "WARNING", "forbidden": "WARNING"}.get(outcome, "ERROR")
    fault = {"fault": FAULTS[outcome]} if outcome in FAULTS else {}
    said = {"outcome": outcome, "reason": reason, **fault, **keys, **more}
    is_first = sandbox.read_records == 0
    metrics = metrics_of(said, is_first=is_first)
    definition = {
        "Namespace": "HankoAuthorizer",
        "Dimensions": [["service"]],
        "Metrics": [{"Name": name, "Unit": UNITS.get(name, "Count")} for name in metrics],
    }
    record = {
        "_aws": {"Timestamp": ANY, "CloudWatchMetrics": [definition]},
        "level": level,
        "service": ANY,
        "invocation_id": "invocation",
        **request,
        **said,
        **metrics,
        **({"version": __version__} if is_first else {}),
    }
    assert sandbox.records() == [record]


UNITS = {"Duration": "Milliseconds", "KeySetAge": "Seconds"}


def metrics_of(said: Json, *, is_first: bool) -> Json:
    """What is counted: the outcome, whose business an outage is, and what the record says in upper case."""
    counter = {"key_unchecked": "KeyUnchecked"}.get(said["reason"], said["outcome"].title())
    fault = str(said.get("fault"))
    outage = {f"{fault.title()}Faults": 1} if fault in {"hanko", "aws", "authorizer"} else {}
    metrics = {name: value for name, value in said.items() if name[0].isupper()}
    return {counter: 1, **outage, "Duration": ANY, **metrics, **({"ProcessStarts": 1} if is_first else {})}


# --- every kind x every outcome


@every_kind
def test_allowed(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox)
    assert answer_of(sandbox, event_with(kind.shape, session_token(hanko))) == kind.allowed
    assert_recorded(sandbox, kind.log, "allowed", "allowed", FETCHED, user=USER_HASH)
    assert answer_of(sandbox, event_with(kind.shape, session_token(hanko))) == kind.allowed
    assert_recorded(sandbox, kind.log, "allowed", "allowed", CACHED, user=USER_HASH)


@every_kind
def test_token_missing(kind: Kind, make_sandbox: MakeSandbox) -> None:
    sandbox = sandbox_for(kind, make_sandbox)
    assert answer_of(sandbox, event_with(kind.shape, "")) == kind.refused("token_missing")
    assert_recorded(sandbox, kind.log, "unauthenticated", "token_missing", NO_KEYS)


@every_kind
def test_token_ambiguous(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox)
    assert answer_of(sandbox, event_with_two(kind, session_token(hanko))) == kind.refused("token_ambiguous")
    assert_recorded(sandbox, kind.log, "unauthenticated", "token_ambiguous", NO_KEYS)


Mint = Callable[[StandInHanko], str]
REFUSED_BEFORE_THE_KEY: dict[str, Mint] = {
    "token_malformed": lambda _: "not-a-token",
    "algorithm_not_allowed": lambda hanko: token_with("hs256", hanko),
    "header_not_allowed": lambda hanko: hanko.mint(header={"typ": "at+jwt"}),
}
REFUSED_WITH_THE_KEY: dict[str, Mint] = {
    "key_unknown": lambda hanko: token_with("unknown_kid", hanko),
    "signature_invalid": lambda hanko: token_with("tampered", hanko),
    "claims_malformed": lambda hanko: token_with("no_exp", hanko),
    "audience_not_allowed": lambda hanko: token_with("wrong_audience", hanko),
    "issuer_not_allowed": lambda hanko: token_with("wrong_issuer", hanko),
    "token_expired": lambda hanko: token_with("expired", hanko),
    "token_not_yet_valid": lambda hanko: token_with("not_yet_valid", hanko),
    "token_lifetime_too_long": lambda hanko: hanko.mint(lifetime_seconds=86_401),
    "not_a_session": lambda hanko: hanko.webhook_token("user.update", {}, claims={"iss": ISSUER}),
}
ISSUER = "https://hanko.example.com"
LIMITS = {"issuer": ISSUER, "max_token_lifetime_seconds": "86400"}


@every_kind
@pytest.mark.parametrize("reason", REFUSED_BEFORE_THE_KEY)
def test_refused_without_asking_for_keys(
    kind: Kind, reason: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = sandbox_for(kind, make_sandbox)
    token = REFUSED_BEFORE_THE_KEY[reason](hanko)
    assert answer_of(sandbox, event_with(kind.shape, token)) == kind.refused(reason)
    assert_recorded(sandbox, kind.log, "unauthenticated", reason, NO_KEYS)
    assert hanko.jwks_requests == 0


@every_kind
@pytest.mark.parametrize("reason", REFUSED_WITH_THE_KEY)
def test_refused_after_looking_closer(kind: Kind, reason: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    hanko.issuer = ISSUER
    sandbox = sandbox_for(kind, make_sandbox, **LIMITS)
    token = REFUSED_WITH_THE_KEY[reason](hanko)
    assert answer_of(sandbox, event_with(kind.shape, token)) == kind.refused(reason)
    more = {"AudienceNeverMatched": 1} if reason == "audience_not_allowed" else {}
    assert_recorded(sandbox, kind.log, "unauthenticated", reason, FETCHED, **more)


@every_kind
def test_keys_unavailable(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox)
    hanko.behave("status", code=503)
    assert answer_of(sandbox, event_with(kind.shape, session_token(hanko))) == UNAVAILABLE
    keys = {"KeyFetches": 1, "key_fetch_failure": "status", "KeyFetchFailures": 1}
    assert_recorded(sandbox, kind.log, "unavailable", "keys_unavailable", keys, fault="hanko")
    gc.collect()  # pytest makes an error of a socket that was left open


@every_kind
def test_key_unchecked(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox)
    sandbox.answer(event_with(kind.shape, session_token(hanko)))
    hanko.behave("down")
    assert answer_of(sandbox, event_with(kind.shape, token_with("unknown_kid", hanko))) == UNAVAILABLE
    sandbox.records()
    # The first unknown key id caused a fetch, which failed; the second comes before it is tried again.
    assert answer_of(sandbox, event_with(kind.shape, token_with("unknown_kid", hanko))) == UNAVAILABLE
    assert_recorded(sandbox, kind.log, "unavailable", "key_unchecked", CACHED, fault="hanko")


@every_kind
def test_stale_keys(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time) -> None:
    sandbox = sandbox_for(kind, make_sandbox)
    token = session_token(hanko)
    sandbox.answer(event_with(kind.shape, token))
    sandbox.records()
    hanko.behave("status", code=500)
    time_.advance(601)
    assert answer_of(sandbox, event_with(kind.shape, token)) == kind.allowed
    keys = {"KeySetAge": 601, "KeyFetches": 1, "key_fetch_failure": "status", "KeyFetchFailures": 1, "StaleKeys": 1}
    assert_recorded(sandbox, kind.log, "allowed", "allowed", keys, user=USER_HASH)


class BrokenKeys:
    """A KeySource with a bug, whose message holds what must not leave."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def find(self, _kid: str, _unfit: RSAPublicKey | None = None) -> RSAPublicKey:
        raise self.error

    find_changed = find


@every_kind
def test_internal(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time) -> None:
    sandbox = sandbox_for(kind, make_sandbox)
    sandbox.verifier = TokenVerifier(sandbox.settings, BrokenKeys(RuntimeError("a secret")), time_.clock)
    assert answer_of(sandbox, event_with(kind.shape, session_token(hanko))) == UNAVAILABLE
    stack = {"fault": "authorizer", "stack": ANY}
    output = sandbox.output()
    assert "a secret" not in output
    assert answer_of(sandbox, event_with(kind.shape, session_token(hanko))) == UNAVAILABLE
    assert_recorded(sandbox, kind.log, "unavailable", "internal", NO_KEYS, **stack)


ASKED: Json = {"SessionChecks": 1}
ASKED_IN_VAIN: Json = {"SessionChecks": 1, "session_failure": "status", "SessionFailures": 1}


@every_kind
@pytest.mark.parametrize("mode", ["strict", "hybrid"])
def test_session_ended(kind: Kind, mode: str, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time) -> None:
    variables = {"session_check": mode, "session_max_age_seconds": "5", "clock_skew_seconds": "0"}
    sandbox = sandbox_for(kind, make_sandbox, **variables)
    event = event_with(kind.shape, session_token(hanko))
    assert answer_of(sandbox, event) == kind.allowed
    assert_recorded(sandbox, kind.log, "allowed", "allowed", FETCHED, user=USER_HASH, **ASKED)
    hanko.end_session(SESSION)
    if mode == "hybrid":
        time_.advance(4.9)
        assert answer_of(sandbox, event) == kind.allowed
        assert_recorded(sandbox, kind.log, "allowed", "allowed", CACHED, user=USER_HASH)
        time_.advance(0.1)
    for asked in ({"SessionChecks": 2}, {}):  # on the kept connection and on a new one; then it is remembered
        assert answer_of(sandbox, event) == kind.refused("session_ended")
        assert_recorded(sandbox, kind.log, "unauthenticated", "session_ended", CACHED, **asked)


@every_kind
def test_session_unchecked(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox, session_check="strict")
    hanko.behave("status", endpoint="validate", code=500)
    event = event_with(kind.shape, session_token(hanko))
    assert answer_of(sandbox, event) == UNAVAILABLE
    more = {"fault": "hanko", **ASKED_IN_VAIN}
    assert_recorded(sandbox, kind.log, "unavailable", "session_unchecked", FETCHED, **more)
    gc.collect()  # pytest makes an error of a socket that was left open


@every_kind
def test_session_unchecked_and_allowed(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox, session_check="strict", session_on_outage="allow")
    hanko.behave("status", endpoint="validate", code=500)
    event = event_with(kind.shape, session_token(hanko))
    more = {"user": USER_HASH}
    for keys in (FETCHED, CACHED, CACHED):
        assert answer_of(sandbox, event) == kind.allowed
        assert_recorded(sandbox, kind.log, "allowed", "allowed", keys, **more, **ASKED_IN_VAIN, SessionUnchecked=1)
    assert answer_of(sandbox, event) == kind.allowed  # at once: nobody waits for a Hanko that fails
    left_alone = {"session_failure": "circuit_open", "SessionFailures": 1, "CircuitOpen": 1, "SessionUnchecked": 1}
    assert_recorded(sandbox, kind.log, "allowed", "allowed", CACHED, **more, **left_alone)
    hanko.end_session(SESSION)
    hanko.behave("normal", endpoint="validate")
    assert answer_of(sandbox, event) == kind.allowed  # the price of allow, for up to 30 s


WITH_ARN = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if not kind.shape.startswith("appsync")], ids=lambda kind: kind.name
)
ARN_OF_SOMETHING_ELSE = "arn:aws:s3:::bucket/key"


@WITH_ARN
def test_arn_invalid(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox)
    event = event_with(kind.shape, session_token(hanko))
    event["routeArn" if "routeArn" in event else "methodArn"] = ARN_OF_SOMETHING_ELSE
    assert answer_of(sandbox, event) == UNAVAILABLE
    assert_recorded(sandbox, {"kind": "unknown"}, "misconfigured", "arn_invalid", NO_KEYS)


@every_kind
def test_no_users_own_data_keeps_them_out(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox, context_claims="about,groups,groups=all:json,groups=safe:b64,none")
    claims = {
        "amr": ["ext:My IdP"],
        "username": "a\nb",
        "groups": ["Domain Users", ""],
        "none": "",
        "about": "x" * 4096,
    }
    changed = {"amr": "ext:My%20IdP", "username": "a\ufffdb", "left_out": "about"}
    changed |= {"groups": '["Domain Users",""]', "all": '["Domain Users",""]', "safe": "WyJEb21haW4gVXNlcnMiLCIiXQ"}
    key = next(name for name in ("context", "resolverContext", "handlerContext") if name in kind.allowed)
    answer = answer_of(sandbox, event_with(kind.shape, session_token(hanko, **claims)))
    assert answer == {**kind.allowed, key: {**kind.allowed[key], **changed}}
    more = {"context_left_out": "about", "ContextLeftOut": 1, "context_replaced": 1, "ContextReplaced": 1}
    assert_recorded(sandbox, kind.log, "allowed", "allowed", FETCHED, user=USER_HASH, **more)


# --- rules: what the caller may call, for every kind

RULES = """
default = "allow"
[[rule]]
name = "admins only"
routes = ["* /items/42", "$connect"]
fields = ["Query.admin"]
channels = ["CONNECT", "PUBLISH /chat/*", "SUBSCRIBE /inbox/*"]
require = { role = "admin" }

[[rule]]
name = "fresh logins"
routes = ["POST /payments*", "$connect"]
fields = ["Mutation.pay"]
max_age_seconds = 300
"""
WITH_SLASH = [f"{method}/items/42{slash}" for method in METHODS for slash in ("", "/")]
EVERYTHING_UNUSUAL = ["*%*", "*//*", "*/./*", "*/../*", "*;*", r"*\*", "*/.", "*/.."]
TOLD = {"rule": "admins only", "reason": "rule_not_met"}


def policy_without_the_admins(stage: str) -> Json:
    here, anywhere = "arn:aws:execute-api:eu-west-1:123456789012", "arn:aws:execute-api:*:*"
    statements = [
        {
            "Action": "execute-api:Invoke",
            "Effect": "Allow",
            "Resource": [f"{here}:{stage}/{method}/*" for method in METHODS],
        },
        {
            "Action": "execute-api:Invoke",
            "Effect": "Deny",
            "Resource": [f"{anywhere}:{stage}/{route}" for route in WITH_SLASH + EVERYTHING_UNUSUAL],
        },
    ]
    return {
        "principalId": USER,
        "policyDocument": {"Version": "2012-10-17", "Statement": statements},
        "context": {**CONTEXT, **TOLD},
    }


def policy_refusing_to_connect() -> Json:
    stage = "arn:aws:execute-api:eu-west-1:123456789012:k1l2m3n4o5/prod"
    deny = {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": f"{stage}/*"}
    return {
        "principalId": USER,
        "policyDocument": {"Version": "2012-10-17", "Statement": [deny]},
        "context": {**CONTEXT, **TOLD},
    }


def ruled(kind: Kind) -> Json:
    """The answer to a caller who is no admin."""
    if kind.shape == "appsync":
        fields = "arn:aws:appsync:eu-west-1:123456789012:apis/p6q7r8s9t0u1v2w3x4y5z6a7b8/types/Query/fields/admin"
        return {
            "isAuthorized": True,
            "resolverContext": {**CONTEXT, **TOLD},
            "deniedFields": [fields],
            "ttlOverride": 0,
        }
    if kind.allowed is EVENTS:
        return {"isAuthorized": False, "ttlOverride": 0}
    if kind.shape.startswith("websocket"):
        return policy_refusing_to_connect()
    if kind.allowed is SIMPLE:
        return {"isAuthorized": False, "context": {**CONTEXT, **TOLD}}
    return policy_without_the_admins(kind.allowed["policyDocument"]["Statement"][0]["Resource"].split(":")[5][:-2])


@every_kind
def test_a_rule_that_is_not_met(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox, rules=RULES)
    assert answer_of(sandbox, event_with(kind.shape, session_token(hanko))) == ruled(kind)
    if kind.shape in ("appsync", "console_test"):  # AppSync is told which fields; the console asks for /
        assert_recorded(sandbox, kind.log, "allowed", "allowed", FETCHED, user=USER_HASH)
    else:
        rule = {"rule": "admins only", "user": USER_HASH}
        assert_recorded(sandbox, kind.log, "forbidden", "rule_not_met", FETCHED, **rule)


@every_kind
def test_every_rule_is_met(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox, rules=RULES)
    assert answer_of(sandbox, event_with(kind.shape, session_token(hanko, role="admin"))) == kind.allowed
    assert_recorded(sandbox, kind.log, "allowed", "allowed", FETCHED, user=USER_HASH)


@every_kind
def test_no_rule_grants(kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = sandbox_for(kind, make_sandbox, rules='default = "deny"')
    answer = answer_of(sandbox, event_with(kind.shape, session_token(hanko)))
    if kind.shape.startswith("appsync"):
        assert answer == {"isAuthorized": False, "ttlOverride": 0}
    elif kind.allowed is SIMPLE:
        assert answer == {"isAuthorized": False, "context": {**CONTEXT, "reason": "no_rule_grants"}}
    else:
        (statement,) = kind.allowed["policyDocument"]["Statement"]
        document = {"Version": "2012-10-17", "Statement": [{**statement, "Effect": "Deny"}]}
        assert answer == {"principalId": USER, "policyDocument": document, "context": CONTEXT}
    assert_recorded(sandbox, kind.log, "forbidden", "no_rule_grants", FETCHED, user=USER_HASH)


def test_rules_that_could_not_be_read_again_are_marked(
    make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    sandbox = make_sandbox(log_hash_key=HASH_KEY)
    stale = Rules(stale="Wrong rules:\nthe file: x")
    sandbox.rules = RulesProvider(lambda: stale, time_.clock)
    sandbox.answer(event_with("rest_token", session_token(hanko)))
    (record,) = sandbox.records()
    assert (record["stale_rules"], record["StaleRules"]) == ("Wrong rules:\nthe file: x", 1)


def test_rules_unavailable(make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time) -> None:
    def current() -> Rules:
        raise Unavailable(Reason.RULES_UNAVAILABLE)

    sandbox = make_sandbox(log_hash_key=HASH_KEY)
    sandbox.rules = RulesProvider(current, time_.clock)
    assert answer_of(sandbox, event_with("rest_token", session_token(hanko))) == UNAVAILABLE
    assert_recorded(sandbox, REST_TOKEN_LOG, "unavailable", "rules_unavailable", FETCHED, fault="aws")


def test_a_long_stage_name_and_many_rules_are_a_failure_and_no_cut_policy(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    rules = [f"[[rule]]\nname = '{n}'\nroutes = ['POST /{n:03}*']\nrequire = {{ role = 'x' }}\n" for n in range(60)]
    sandbox = make_sandbox(log_hash_key=HASH_KEY, rules="\n".join(['default = "allow"', *rules]))
    event = event_with("rest_token", session_token(hanko))
    assert len(answer_of(sandbox, event)["policyDocument"]["Statement"][1]["Resource"]) == 68  # type: ignore[index]  # a policy
    sandbox.records()
    stage = "x" * 128
    event["methodArn"] = event["methodArn"].replace("/prod/", f"/{stage}/")
    assert answer_of(sandbox, event) == UNAVAILABLE
    assert_recorded(sandbox, {**REST_TOKEN_LOG, "stage": stage}, "misconfigured", "answer_too_large", CACHED)


def test_with_a_long_stage_name_a_user_with_much_data_gets_in_with_less_of_it(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    rules = [f"[[rule]]\nname = '{n}'\nroutes = ['POST /{n:03}*']\nrequire = {{ role = 'x' }}\n" for n in range(60)]
    sandbox = make_sandbox(rules="\n".join(['default = "allow"', *rules]), context_claims="about,plan")
    event = event_with("rest_token", session_token(hanko, about="x" * 1200, plan="gold"))
    small: Any = answer_of(sandbox, event)
    assert (len(small["context"]["about"]), small["context"]["plan"]) == (1200, "gold")
    event["methodArn"] = event["methodArn"].replace("/prod/", f"/{'x' * 25}/")
    answer: Any = answer_of(sandbox, event)
    assert (answer["context"]["left_out"], answer["context"]["plan"]) == ("about", "gold")
    assert len(json.dumps(answer)) <= 8000


def test_a_users_own_alphabet_is_no_reason_to_fail(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """What is counted are the bytes that go out: the runtime escapes nothing."""
    sandbox = make_sandbox(log_hash_key=HASH_KEY, rules=RULES, context_claims="bio")
    for bio in ("x" * 3600, "\u4e2d" * 1200, "\U0001f600" * 900):
        answer: Any = answer_of(sandbox, event_with("rest_token", session_token(hanko, bio=bio)))
        assert answer["context"]["bio"] == bio


@pytest.mark.parametrize("account", [None, "", "12345678901", 123456789012, "*"])
def test_a_field_that_cannot_be_named_is_a_failure_and_not_allowed(
    account: object, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = make_sandbox(log_hash_key=HASH_KEY, rules=RULES)
    event = event_with("appsync", session_token(hanko))
    event["requestContext"]["accountId"] = account
    assert answer_of(sandbox, event) == UNAVAILABLE
    assert_recorded(sandbox, APPSYNC_LOG, "misconfigured", "arn_invalid", FETCHED)
    event["authorizationToken"] = session_token(hanko, role="admin")
    allowed = {"isAuthorized": True, "resolverContext": CONTEXT, "ttlOverride": 0}
    assert answer_of(sandbox, event) == allowed  # who is denied nothing


@pytest.mark.parametrize(
    ("claims", "key"),
    [
        ({"metadata": {"key": "a-key-of-a-usage-plan"}}, "a-key-of-a-usage-plan"),
        ({"metadata": {"key": "x" * 128}}, "x" * 128),
        ({"metadata": {"key": "x" * 129}}, None),
        ({"metadata": {"key": "two words"}}, None),
        ({"metadata": {"key": "line\n"}}, None),
        ({"metadata": {"key": ""}}, None),
        ({"metadata": {"key": 7}}, None),
        ({"metadata": {"key": ["x"]}}, None),
        ({"metadata": "key"}, None),
        ({}, None),
    ],
)
def test_a_usage_plan_gets_the_callers_key_from_rest_apis_alone(
    claims: Json, key: str | None, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = make_sandbox(log_hash_key=HASH_KEY, usage_plan_claim="metadata.key", http_api_response="policy")
    with_key = {"usageIdentifierKey": key} if key else {}
    for shape in SHAPES:
        answer: Any = answer_of(sandbox, event_with(shape, session_token(hanko, **claims)))
        if shape.startswith(("rest_", "console")):
            assert {name: value for name, value in answer.items() if name == "usageIdentifierKey"} == with_key
        elif not shape.startswith("websocket_"):  # whose other places for a token are off
            assert "usageIdentifierKey" not in answer
    assert "a-key-of-a-usage-plan" not in sandbox.output()


# --- what is no event of ours

NO_EVENTS: dict[str, object] = {
    "None": None,
    "list": [],
    "list_of_events": [{"type": "TOKEN"}],
    "number": 42,
    "text": "event",
    "true": True,
    "empty": {},
    "unknown_type": {"type": "CUSTOM"},
    "type_in_lower_case": {"type": "request"},
    "type_is_a_list": {"type": ["TOKEN"]},
    "unknown_version": {"type": "REQUEST", "version": "3.0"},
    "version_is_a_number": {"type": "REQUEST", "version": 2.0},
    "token_with_a_version": {"type": "TOKEN", "version": "2.0", "authorizationToken": "x"},
    "token_without_arn": {"type": "TOKEN", "authorizationToken": "x"},
    "request_alone": {"type": "REQUEST"},
    "arn_is_null": {"type": "REQUEST", "methodArn": None},
    "payload_1_alone": {"type": "REQUEST", "version": "1.0"},
    "payload_2_alone": {"type": "REQUEST", "version": "2.0"},
    "payload_2_with_the_arn_of_1": {"type": "REQUEST", "version": "2.0", "methodArn": "arn"},
    "websocket_without_arn": {"type": "REQUEST", "requestContext": {"eventType": "CONNECT"}},
    "authorization_alone": {"authorizationToken": "x"},
    "context_is_a_list": {"requestContext": ["queryString"]},
    "appsync_without_api": {"authorizationToken": "x", "requestContext": {"queryString": "query"}},
    "appsync_api_is_no_id": {"authorizationToken": "x", "requestContext": {"queryString": "query", "apiId": "../x"}},
    "proxy_event": {"version": "2.0", "routeKey": "$default", "headers": {"authorization": "Bearer x"}},
    "sqs": {"Records": [{"body": "Bearer x"}]},
    "ping_of_a_stranger": {"source": "aws.s3", "warmer": 1, "warmup": "true"},
    **{
        f"ping_with_{name}": {"warmer": True, name: "x"}
        for name in ("methodArn", "routeArn", "type", "authorizationToken", "requestContext")
    },
}


@pytest.mark.parametrize("event", NO_EVENTS.values(), ids=NO_EVENTS)
def test_what_is_no_event_is_the_deployers_business(event: object, sandbox: Sandbox) -> None:
    """No client of an API can send it."""
    assert answer_of(sandbox, event) == UNAVAILABLE
    assert_recorded(sandbox, {"kind": "unknown"}, "misconfigured", "event_unknown", NO_KEYS)


PINGS: dict[str, object] = {
    "serverless_plugin_warmup": {"source": "serverless-plugin-warmup"},
    "event_bridge_rule": {"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
    "event_bridge_schedule": {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}"},
    "lambda_warmer": {"warmer": True, "concurrency": 3},
    "own": {"warmup": True},
}


@pytest.mark.parametrize("event", PINGS.values(), ids=PINGS)
def test_a_warm_up_ping_is_answered_quietly(event: object, sandbox: Sandbox) -> None:
    """No error, no alarm, a counter; and no answer that would let anybody pass."""
    assert sandbox.answer(event) == {}
    (record,) = [json.loads(line) for line in sandbox.output().splitlines()]
    assert (record["level"], record["reason"], record["WarmUp"]) == ("INFO", "warm_up", 1)
    assert not {"fault", "Misconfigured", "Unavailable", "Received"} & record.keys()


@pytest.mark.parametrize("shape", SHAPES)
def test_no_request_of_a_client_is_a_ping(shape: str, sandbox: Sandbox) -> None:
    """Whatever else stands in it."""
    assert sandbox.answer({**event_with(shape, ""), "warmer": True, "source": "aws.events"}) != {}


NULLS: dict[str, Json] = {
    "rest_token": {"authorizationToken": None},
    "rest_request": {"headers": None, "multiValueHeaders": None, "requestContext": None},
    "console_test": {"headers": None, "multiValueHeaders": None, "requestContext": None},
    "http_v1": {"headers": None, "multiValueHeaders": None, "requestContext": []},
    "http_v2": {"headers": None, "cookies": None, "requestContext": 1},
    "websocket": {"headers": [], "multiValueHeaders": [], "multiValueQueryStringParameters": None},
    "appsync": {"authorizationToken": None, "requestHeaders": None},
}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.shape in NULLS], ids=lambda kind: kind.name)
def test_parts_that_are_null_or_of_another_type_hold_no_token(
    kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = sandbox_for(kind, make_sandbox)
    event = {**event_with(kind.shape, session_token(hanko)), **NULLS[kind.shape]}
    log = {k: v for k, v in kind.log.items() if k != "request_id" or "requestContext" not in NULLS[kind.shape]}
    assert answer_of(sandbox, event) == kind.refused("token_missing")
    assert_recorded(sandbox, log, "unauthenticated", "token_missing", NO_KEYS)


@pytest.mark.parametrize("token", [7, ["x"], {"x": 1}, True], ids=str)
@pytest.mark.parametrize("shape", ["rest_token", "appsync"])
def test_a_token_that_is_no_text_is_malformed(shape: str, token: object, sandbox: Sandbox) -> None:
    kind = next(kind for kind in KINDS if kind.shape == shape)
    assert answer_of(sandbox, {**event_with(shape, "x"), "authorizationToken": token}) == kind.refused(
        "token_malformed"
    )
    assert_recorded(sandbox, kind.log, "unauthenticated", "token_malformed", NO_KEYS)


# --- what the backend receives


def test_the_context_of_a_session_with_nothing_optional_in_it(sandbox: Sandbox, hanko: StandInHanko) -> None:
    token = session_token(hanko, email=None, username=None, amr=None)
    context = {"user_id": USER, "session_id": SESSION, "issued_at": 1_800_000_000, "expires_at": 1_800_043_200}
    assert answer_of(sandbox, event_with("http_v2", token)) == {"isAuthorized": True, "context": context}


@every_kind
def test_named_claims_are_in_the_context_of_every_kind(
    kind: Kind, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = sandbox_for(kind, make_sandbox, context_claims="role,metadata.plan=plan,groups,metadata,absent")
    token = session_token(hanko, role="editor", groups=["a", "b"], metadata={"plan": 2.5, "is": [None]})
    extra = {"role": "editor", "plan": 2.5, "groups": "a b", "metadata": '{"plan":2.5,"is":[null]}'}
    key = next(name for name in ("context", "resolverContext", "handlerContext") if name in kind.allowed)
    texts = {"plan": "2.5"} if kind.allowed is EVENTS else {}
    assert answer_of(sandbox, event_with(kind.shape, token)) == {
        **kind.allowed,
        key: {**kind.allowed[key], **extra, **texts},
    }


# --- the log line and the metrics


def test_the_user_is_in_the_log_as_a_hash_that_differs_between_sandboxes(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    users = set()
    for sandbox in (make_sandbox(), make_sandbox()):
        for _ in range(2):
            sandbox.answer(event_with("http_v2", session_token(hanko)))
            output = sandbox.output()
            assert USER not in output
            users.add(output.partition('"user":"')[2].partition('"')[0])
    assert len(users) == 2
    assert USER_HASH not in users
    assert all(len(user) == 24 for user in users)


def test_the_user_is_in_the_log_whole_where_the_deployer_wants_it(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = make_sandbox(log_user_id="true", log_hash_key=HASH_KEY)
    sandbox.answer(event_with("http_v2", session_token(hanko)))
    assert_recorded(sandbox, HTTP_LOG, "allowed", "allowed", FETCHED, user=USER)


def test_the_user_of_a_refused_token_is_not_in_the_log(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = make_sandbox(log_user_id="true")
    sandbox.answer(event_with("http_v2", session_token(hanko, aud=["other.example.com"])))
    marked = {"AudienceNeverMatched": 1}
    assert_recorded(sandbox, HTTP_LOG, "unauthenticated", "audience_not_allowed", FETCHED, **marked)


def test_an_internal_error_is_traced_without_its_text(
    make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    sandbox = make_sandbox()
    sandbox.verifier = TokenVerifier(sandbox.settings, BrokenKeys(KeyError("a secret")), time_.clock)
    sandbox.answer(event_with("http_v2", session_token(hanko)))
    logs = sandbox.records()
    *places, error = logs[0]["stack"]
    assert error == "KeyError"
    files = ["handler.py", "decision.py", "tokens.py", "jws.py", "jws.py", "test_handler.py"]
    assert [place.split(":")[0] for place in places] == files
    assert places[-1].endswith(" find")


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), OverflowError(), UnicodeError(), AssertionError()])
def test_whatever_fails_there_is_no_answer(
    error: Exception, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    sandbox = make_sandbox()
    sandbox.verifier = TokenVerifier(sandbox.settings, BrokenKeys(error), time_.clock)
    assert answer_of(sandbox, event_with("http_v2", session_token(hanko))) == UNAVAILABLE


@pytest.mark.parametrize("shape", ["http_v2", "rest_request"])
def test_a_record_that_cannot_be_written_is_no_answer_either(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    sandbox = make_sandbox()
    sandbox.answer(event_with(shape, session_token(hanko)))
    time_.monotonic = None  # type: ignore[assignment]  # a clock that fails, also when the age of the keys is recorded
    assert answer_of(sandbox, event_with(shape, session_token(hanko))) == UNAVAILABLE


@pytest.mark.parametrize("shape", ["http_v2", "rest_request"])
def test_a_request_is_answered_even_if_its_record_cannot_be_written(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox()
    allowed = sandbox.answer(event_with(shape, session_token(hanko)))
    with open(os.devnull) as not_writable:  # noqa: PTH123 - any stream that refuses to be written
        monkeypatch.setattr(sys, "stdout", not_writable)
        assert sandbox.answer(event_with(shape, session_token(hanko))) == allowed


def test_a_clock_that_fails_is_an_internal_error(make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time) -> None:
    def fails() -> float:
        raise OSError("a secret")

    sandbox = make_sandbox()
    sandbox.verifier = TokenVerifier(
        sandbox.settings, sandbox.keys, Clock(wall=fails, monotonic=lambda: time_.monotonic)
    )
    assert answer_of(sandbox, event_with("http_v2", session_token(hanko))) == UNAVAILABLE
    assert_recorded(sandbox, HTTP_LOG, "unavailable", "internal", FETCHED, fault="authorizer", stack=ANY)


# --- wrong settings

REQUIRED = {"HANKO_API_URL": "https://hanko.example.com", "HANKO_AUDIENCE": "example.com"}
API_URL = "an https URL without user, query or fragment (http only for loopback hosts and host.docker.internal)"
AUDIENCE = "one audience or more, comma-separated, of visible ASCII characters"
VISIBLE = "1 to 512 visible ASCII characters, or empty"
CLAIMS = (
    "claim paths, comma-separated, each with =name if its key is reserved or shall differ, "
    "and :json or :b64 behind it for another form (role, metadata.plan=plan, groups=groups:json)"
)
MISTAKES = [
    ("HANKO_API_URL", None, f"is missing: it must be {API_URL}"),
    ("HANKO_API_URL", "", f"is blank: it must be {API_URL}"),
    ("HANKO_API_URL", "s3cret", f"is not valid: it must be {API_URL}"),
    ("HANKO_API_URL", "https://s3cret:s3cret@hanko.example.com", f"is not valid: it must be {API_URL}"),
    ("HANKO_API_URL", "http://s3cret.example.com", f"is not encrypted: it must be {API_URL}"),
    ("HANKO_API_URL", "https://s3cret.example.com:65536", f"has a port out of range: it must be {API_URL}"),
    ("HANKO_API_URL", "https://[1::2::3]", f"is not valid: it must be {API_URL}"),
    ("HANKO_AUDIENCE", None, f"is missing: it must be {AUDIENCE}"),
    ("HANKO_AUDIENCE", "", f"is blank: it must be {AUDIENCE}"),
    ("HANKO_AUDIENCE", "s3cret,,", f"has a blank or unreadable audience: it must be {AUDIENCE}"),
    ("HANKO_ISSUER", "s3cret issuer", f"is not valid: it must be {VISIBLE}"),
    ("HANKO_COOKIE_NAME", "s3cret;", "is not valid: it must be a cookie name of at most 64 characters, or empty"),
    (
        *("HANKO_CLOCK_SKEW_SECONDS", "s3cret"),
        "is not a whole number of seconds: it must be a whole number of seconds from 0 to 60",
    ),
    (
        *("HANKO_API_URL", "https://s3cret.example.com/.well-known/jwks.json"),
        f"is the address of the key set, leave out /.well-known/jwks.json: it must be {API_URL}",
    ),
    ("HANKO_CLOCK_SKEW_SECONDS", "61", "is out of range: it must be a whole number of seconds from 0 to 60"),
    (
        *("HANKO_MAX_TOKEN_LIFETIME_SECONDS", "59"),
        "is out of range: it must be a whole number of seconds from 60 to 31536000, or empty",
    ),
    ("HANKO_KEYS_MAX_AGE_SECONDS", "3601", "is out of range: it must be a whole number of seconds from 60 to 3600"),
    ("HANKO_KEYS_MAX_STALE_SECONDS", "86401", "is out of range: it must be a whole number of seconds from 0 to 86400"),
    ("HANKO_KEYS_COOLDOWN_SECONDS", "0", "is out of range: it must be a whole number of seconds from 1 to 300"),
    (
        "HANKO_FETCH_TIMEOUT_SECONDS",
        "s3cret",
        "is not a number of seconds: it must be a number of seconds from 0.5 to 5",
    ),
    ("HANKO_FETCH_TIMEOUT_SECONDS", "5.001", "is out of range: it must be a number of seconds from 0.5 to 5"),
    ("HANKO_CONTEXT_CLAIMS", "s3cret..x", f"has an item that is not valid: it must be {CLAIMS}"),
    ("HANKO_CONTEXT_CLAIMS", "s3cret=user_id", f"has a name that is reserved or used twice: it must be {CLAIMS}"),
    (
        "HANKO_CONTEXT_CLAIMS",
        "s3cret-x",
        f"has a claim that needs a name of letters, digits and _: it must be {CLAIMS}",
    ),
    (
        *("HANKO_WEBSOCKET_QUERY_PARAMETER", "s3cret&"),
        "is not valid: it must be a parameter's name of at most 64 letters, digits, _ . -, or empty",
    ),
    (
        *("HANKO_WEBSOCKET_SUBPROTOCOL", "s3cret,"),
        "is not valid: it must be a subprotocol of at most 64 characters, or empty",
    ),
    ("HANKO_HTTP_API_RESPONSE", "s3cret", "is not one of the choices: it must be simple or policy"),
    ("HANKO_LOG_USER_ID", "s3cret", "is not one of the choices: it must be false or true"),
    ("HANKO_LOG_HASH_KEY", "s3cret", "is not valid: it must be 16 to 64 visible ASCII characters, or empty"),
    (
        *("HTTPS_PROXY", "https://s3cret:8080"),
        "is not valid: it must be http://host:port or http://user:password@host:port, or empty",
    ),
    ("SSL_CERT_FILE", "/s3cret", "cannot be read: it must be a readable file of CA certificates in PEM form, or empty"),
    (
        "SSL_CERT_FILE",
        "/dev/null",
        "holds no certificate: it must be a readable file of CA certificates in PEM form, or empty",
    ),
]


def start(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Import the entry point in a process of its own, as the Lambda runtime does."""
    return subprocess.run(
        [sys.executable, "-c", "import authorizer.lambda_function"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "wrong"), MISTAKES, ids=[f"{name} {wrong.partition(':')[0]}" for name, _, wrong in MISTAKES]
)
def test_a_wrong_setting_stops_the_function_and_is_named(name: str, value: str | None, wrong: str) -> None:
    environment = {k: v for k, v in {**REQUIRED, name: value}.items() if v is not None}
    process = start(environment)
    assert process.returncode == 1
    assert process.stderr.endswith(f"\nauthorizer.errors.Misconfigured: Wrong settings:\n{name} {wrong}\n")
    assert "s3cret" not in process.stdout + process.stderr


def test_an_unknown_setting_stops_the_function_and_is_named() -> None:
    process = start({**REQUIRED, "HANKO_AUDIENCES": "s3cret"})
    assert process.returncode == 1
    assert process.stderr.endswith(":\n'HANKO_AUDIENCES' is not a setting of the authorizer\n")
    assert "s3cret" not in process.stdout + process.stderr


def test_right_settings_start_the_function() -> None:
    process = start({"HANKO_API_URL": "http://127.0.0.1:9", "HANKO_AUDIENCE": "example.com"})
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


ALL_WRONG = {
    "HANKO_API_URL": "s3cret",
    "HANKO_AUDIENCE": ",",
    "HANKO_CLOCK_SKEW_SECONDS": "-1",
    "HANKO_LOG_USER_ID": "yes",
    "HANKO_TYPO": "s3cret",
}
ALL_MISTAKES = [
    f"HANKO_API_URL is not valid: it must be {API_URL}",
    f"HANKO_AUDIENCE has a blank or unreadable audience: it must be {AUDIENCE}",
    "HANKO_CLOCK_SKEW_SECONDS is not a whole number of seconds: it must be a whole number of seconds from 0 to 60",
    "HANKO_LOG_USER_ID is not one of the choices: it must be false or true",
    "'HANKO_TYPO' is not a setting of the authorizer",
]


# --- under the real runtime client


def runtime(environment: dict[str, str]) -> LambdaRuntime:
    """The checkout in place of a built artifact: its packages come from this interpreter's environment."""
    packages = sysconfig.get_path("purelib")
    return LambdaRuntime(ROOT, {"PYTHONPATH": f"{ROOT}:{packages}", **environment})


def test_what_api_gateway_gets_when_settings_are_wrong() -> None:
    """Any error but `Unauthorized` is a 500 for its client, who reads none of this: no 401, no log-out, no allow."""
    with runtime(ALL_WRONG) as function:
        answer = function.invoke(event_with("rest_request", "x"))
        assert answer["errorType"] == "Misconfigured"
        assert answer["errorMessage"] == "\n".join(["Wrong settings:", *ALL_MISTAKES])
        assert "s3cret" not in function.log
        record = function.records[0]
    definition = {
        "Namespace": "HankoAuthorizer",
        "Dimensions": [["service"]],
        "Metrics": [{"Name": "Misconfigured", "Unit": "Count"}],
    }
    assert record == {
        "_aws": {"Timestamp": ANY, "CloudWatchMetrics": [definition]},
        "Misconfigured": 1,
        "level": "ERROR",
        "service": "authorizer",
        "version": __version__,
        "outcome": "misconfigured",
        "reason": "settings_invalid",
        "fault": "deployment",
        "mistakes": ALL_MISTAKES,
    }


def test_what_api_gateway_gets_when_rules_are_wrong(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "authorizer", tmp_path / "authorizer", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "rules.toml").write_text('default = "allow"\n[[rule]]\nname = "a"\nroutes = ["GET /a"]\nrequire = {}\n')
    environment = {"HANKO_API_URL": "http://127.0.0.1:9", "HANKO_AUDIENCE": "example.com"}
    with LambdaRuntime(
        tmp_path, {"PYTHONPATH": f"{tmp_path}:{sysconfig.get_path('purelib')}", **environment}
    ) as function:
        answer = function.invoke(event_with("rest_request", "x"))
    assert (answer["errorType"], answer["errorMessage"]) == (
        "Misconfigured",
        "Wrong rules:\nline 2, rule 'a': require must be a table of claims and values, and not empty",
    )


def test_what_api_gateway_gets_from_a_function_that_runs() -> None:
    """One sandbox for all: each answer is exactly what API Gateway tells 200, 401, 403 and 500 by."""
    with StandInHanko() as hanko, runtime({"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost"}) as function:
        token = hanko.mint()
        allowed = function.invoke(event_with("http_v2", token))
        refused = function.invoke(event_with("http_v2", ""))
        unauthorized = function.invoke(event_with("rest_request", ""))
        unknown = [function.invoke(event_with("rest_request", token_with("unknown_kid", hanko)))]
        hanko.behave("down")
        unknown.append(function.invoke(event_with("rest_request", token_with("unknown_kid", hanko))))
        again = function.invoke(event_with("http_v2", token))
        records, log = function.records, function.log
    assert allowed == again
    assert allowed["isAuthorized"] is True
    assert refused == {"isAuthorized": False, "context": {"reason": "token_missing"}}
    raised = [(answer["errorType"], answer["errorMessage"]) for answer in (unauthorized, *unknown)]
    assert raised == [
        ("Unauthorized", "Unauthorized"),
        ("Unauthorized", "Unauthorized"),
        ("AuthorizerUnavailable", "Authorizer unavailable"),
    ]
    reasons = ["allowed", "token_missing", "token_missing", "key_unknown", "key_unchecked", "allowed"]
    assert [record["reason"] for record in records] == reasons
    assert {record["service"] for record in records} == {"authorizer"}
    assert hanko.jwks_requests == 2, "one sandbox for all six: a raised answer ends nothing"
    assert token.split(".")[1] not in log


def test_an_audience_that_is_never_ours_is_seen(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """Hanko signed every token that this process has seen, and none is for us: HANKO_AUDIENCE is wrong."""
    sandbox = make_sandbox()
    other = event_with("http_v2", hanko.mint(claims={"aud": ["https://app.example.com"]}))
    for _ in range(2):
        sandbox.answer(other)
        (record,) = sandbox.records()
        assert (record["reason"], record["Unauthenticated"]) == ("audience_not_allowed", 1)
        assert record["AudienceNeverMatched"] == 1
    sandbox.answer(event_with("http_v2", hanko.mint()))
    sandbox.answer(other)
    assert not [record for record in sandbox.records() if "AudienceNeverMatched" in record]
    with StandInHanko() as stranger:
        fresh = make_sandbox()
        fresh.answer(event_with("http_v2", stranger.mint(claims={"aud": ["https://app.example.com"]})))
    assert "AudienceNeverMatched" not in fresh.records()[0]
