"""R: the answer: policy, context and failure."""

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
from attacks.forging import (
    allow,
    fail,
    forge,
)
from cryptography.hazmat.primitives.asymmetric import rsa
from sandbox import CONTEXT, USER, Json, MakeSandbox, Sandbox, Time

from authorizer.errors import Misconfigured
from authorizer.hanko.tokens import TokenVerifier
from local.hanko import StandInHanko
from local.sign import SHAPES, event_with, token_with

PATHS = [
    "*",
    "items/*",
    "items/?",
    "*/*/*",
    "items/4:2",
    "a:b:c",
    "items/%2a",
    "~",
    "a,b",
    "ä",
    "a b",
    "\n",
    "../../x",
    "",
]
HTTP_STAGE = "arn:aws:execute-api:eu-west-1:123456789012:f6g7h8i9j0/$default"


@pytest.mark.parametrize("path", PATHS, ids=ascii)
def test_r4_r5_the_path_never_reaches_the_policy(path: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """R4, R5, R6: a request for `/items/*` must not put that into a policy, nor make it fail by a colon."""
    sandbox = make_sandbox(http_api_response="policy")
    event = event_with("http_v2", forge(hanko)) | {"routeArn": f"{HTTP_STAGE}/GET/{path}"}
    assert sandbox.answer(event) == {
        "principalId": USER,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": "arn:aws:execute-api:eu-west-1:123456789012:f6g7h8i9j0/$default/*",
                }
            ],
        },
        "context": CONTEXT,
    }


ARNS = {
    "star": "*", "empty": "", "lambda": "arn:aws:lambda:eu-west-1:123456789012:function:x/prod/GET/",
    "any_account": "arn:aws:execute-api:eu-west-1:*:a1b2c3d4e5/prod/GET/",
    "any_api": "arn:aws:execute-api:eu-west-1:123456789012:*/prod/GET/",
    "any_region": "arn:aws:execute-api:*:123456789012:a1b2c3d4e5/prod/GET/",
    "any_stage": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/*/GET/",
    "any_method": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/*/",
    "any_character": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e?/prod/GET/",
    "any_partition": "arn:*:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/GET/",
    "variable": "arn:aws:execute-api:eu-west-1:123456789012:${aws:x}/prod/GET/",
    "no_account": "arn:aws:execute-api:eu-west-1::a1b2c3d4e5/prod/GET/",
    "no_stage": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5//GET/",
    "no_method": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod",
    "space_in_front": " arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/GET/",
    "newline_in_the_stage": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod\n/GET/",
    "wide_digits": "arn:aws:execute-api:eu-west-1:１23456789012:a1b2c3d4e5/prod/GET/",  # noqa: RUF001 - a look-alike on purpose
}  # fmt: skip


@pytest.mark.parametrize("arn", ARNS.values(), ids=ARNS)
@pytest.mark.parametrize("shape", ["rest_token", "rest_request", "http_v1", "http_v2", "websocket"])
def test_r4_no_policy_for_an_arn_that_is_not_exactly_one(
    arn: str, shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """R3, R4, T8: a caller of the function with an event of their own gets no policy for everything."""
    event = event_with(shape, forge(hanko))
    event["routeArn" if shape == "http_v2" else "methodArn"] = arn
    assert sandbox.answer(event) == "Authorizer unavailable"
    assert sandbox.records()[0]["reason"] == "arn_invalid"


@pytest.mark.parametrize("behind", ["\n", "/x", "x", "*", "/*"], ids=ascii)
def test_r4_the_arn_of_a_websocket_ends_with_connect(behind: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """R4: an ARN with anything else behind the stage is no $connect request."""
    event = event_with("websocket", forge(hanko))
    event["methodArn"] += behind
    assert sandbox.answer(event) == "Authorizer unavailable"
    assert sandbox.records()[0]["reason"] == "arn_invalid"


SHADOWS: Json = {
    "principalId": "admin",
    "user_id": "admin",
    "email_verified": True,
    "issued_at": 0,
    "expires_at": 2**31,
    "claims": {"sub": "admin"},
    "reason": "none",
    "isAuthorized": True,
    "context": {"user_id": "admin"},
    "policyDocument": {"Statement": []},
    "role": "admin",
}


def test_r7_r9_claims_do_not_become_keys_of_the_context(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """R7, R9, H3: a jwt_template can hold any claim, and a user can choose the text in some."""
    token = forge(hanko, claims=SHADOWS)
    assert allow(sandbox, token) == CONTEXT
    policy = sandbox.answer(event_with("rest_request", token))
    assert isinstance(policy, dict)
    assert (policy["principalId"], policy["context"]) == (USER, CONTEXT)


@pytest.mark.parametrize(
    "name", ["user_id", "session_id", "email_verified", "claims", "principalId", "expires_at", "amr"]
)
def test_r9_nor_can_a_deployer_let_them_by_mistake(name: str, make_sandbox: MakeSandbox) -> None:
    """R9: such a name in HANKO_CONTEXT_CLAIMS stops the start."""
    for claims in (name, f"role={name}", f"metadata.x={name}"):
        with pytest.raises(Misconfigured, match="HANKO_CONTEXT_CLAIMS"):
            make_sandbox(context_claims=claims)


TEMPLATED: dict[str, tuple[Json, Json]] = {
    "email_is_text": ({"email": "admin@example.com"}, {}),
    "email_is_a_list": ({"email": [{"address": "admin@example.com", "is_verified": True}]}, {}),
    "address_is_an_object": ({"email": {"address": {"x": 1}, "is_verified": True}}, {}),
    "verified_is_text": ({"email": {"address": "a@example.com", "is_verified": "true"}}, {"email_verified": False}),
    "verified_is_a_number": ({"email": {"address": "a@example.com", "is_verified": 1}}, {"email_verified": False}),
    "username_is_an_object": ({"username": {"x": 1}}, {}),
    "username_is_true": ({"username": True}, {}),
    "amr_is_text": ({"amr": "passkey otp"}, {}),
    "amr_holds_a_number": ({"amr": ["passkey", 1]}, {}),
    "amr_is_an_object": ({"amr": {"passkey": True}}, {}),
}


@pytest.mark.parametrize(("claims", "more"), TEMPLATED.values(), ids=TEMPLATED)
def test_r8_h3_a_user_does_not_choose_the_type_of_a_context_value(
    claims: Json, more: Json, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """R8, H3: templated text that looks like true, {…} or […] becomes that; what is not of its type is left out."""
    context = allow(sandbox, forge(hanko, claims=claims))
    (claim,) = claims
    gone = {"email", "email_verified"} if claim == "email" else {claim}
    expected = {name: value for name, value in CONTEXT.items() if name not in gone}
    assert context == expected | ({"email": "a@example.com"} | more if more else {})


@pytest.mark.parametrize("amr", [["passkey totp"], ["passkey", ""], ["a\tb"], ["a\u2003b"], ["\n"]], ids=ascii)
def test_r8_a_list_cannot_be_lengthened_from_inside_a_word(
    amr: list[str], make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """R8: "passkey totp" as one word would read as two ways of logging in."""
    sandbox = make_sandbox(context_claims="groups")
    context = allow(sandbox, forge(hanko, claims={"amr": amr, "groups": amr}))
    assert [unquote(word) for word in context["amr"].split()] == [word for word in amr if word]
    assert json.loads(context["groups"]) == amr


@pytest.mark.parametrize("control", ["\0", "\n", "\r\n", "\t", "\x1b[2J", "\x7f", "\x85"], ids=ascii)
@pytest.mark.parametrize("claim", ["username", "about"])
def test_r8_no_control_character_reaches_the_backend(
    claim: str, control: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """R8, H3: a backend that gets the context as headers would take a line end for the start of another header."""
    sandbox = make_sandbox(context_claims="about")
    text = f"x{control}X-Role: admin"
    for claims in ({claim: text}, {"email": {"address": text, "is_verified": True}}):
        context = allow(sandbox, forge(hanko, claims=claims))
        assert not any(re.search(r"[\x00-\x1f\x7f-\x9f]", str(value)) for value in context.values())
        assert any("\ufffd" in str(value) for value in context.values())


def test_r8_a_context_too_large_loses_what_makes_it_large_and_says_so(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """R8: a user fills up the context, but pushes nothing out of it that is smaller than what they fill it with."""
    sandbox = make_sandbox(context_claims="about,role")
    context = allow(sandbox, forge(hanko, claims={"about": "é" * 1800, "role": "user"}))
    assert (context["role"], "left_out" in context) == ("user", False)
    for about in ("€" * 1400, "x" * 4096, ["x"] * 2048, {"x": "x" * 4096}):
        context = allow(sandbox, forge(hanko, claims={"about": about, "role": "user"}))
        assert (context["role"], context["left_out"], "about" in context) == ("user", "about", False)


def test_r8_a_user_who_pushes_out_the_largest_claim_cannot_hide_that(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """R8: with two claims of their own a user pushes out a larger one. `left_out` names it, and no claim can."""
    sandbox = make_sandbox(context_claims="about,bio,denied,more.left_out=shown")
    claims = {"about": "a" * 1400, "bio": "b" * 1400, "denied": ["d" * 15] * 95, "more": {"left_out": "bio"}}
    answer: Any = sandbox.answer(event_with("http_v2", forge(hanko, claims={**claims, "left_out": "bio"})))
    context = answer["context"]
    assert ("denied" in context, context["left_out"], context["shown"]) == (False, "denied", "bio")


@pytest.mark.parametrize(
    "value", [{"x": [None, 1.5]}, ["a", 1], [None], [["a"]], 1.5, 10**39, True, "\xa0\u2028 <x>"], ids=ascii
)
@pytest.mark.parametrize("shape", SHAPES)
def test_r8_whatever_a_claim_holds_the_answer_is_flat_json(
    value: object, shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """R8, and the runtime's traps: no null, no object, no NaN, nothing that UTF-8 cannot say."""
    sandbox = make_sandbox(context_claims="x", websocket_query_parameter="token", websocket_subprotocol="hanko")
    answer = sandbox.answer(event_with(shape, forge(hanko, claims={"x": value})))
    assert isinstance(answer, dict)
    json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()
    context = answer.get("context") or answer.get("resolverContext") or answer["handlerContext"]
    assert {type(part) for part in context.values()} <= {str, int, float, bool}
    assert "x" in context


class BrokenKeys:
    """A KeySource with a bug, whose message holds what must not leave."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def find(self, _kid: str, _unfit: rsa.RSAPublicKey | None = None) -> rsa.RSAPublicKey:
        raise self.error

    find_changed = find


@pytest.mark.parametrize(
    "error", [RuntimeError, MemoryError, RecursionError, KeyError, UnicodeError, StopIteration, OSError]
)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if not shape.startswith("websocket_")])
def test_r1_l5_whatever_breaks_nobody_gets_in_and_nothing_gets_out(
    error: type[Exception], shape: str, sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """R1, R3, L5: a bug is a failure with one constant text, without the exception's own."""
    token = forge(hanko)
    sandbox.verifier = TokenVerifier(sandbox.settings, BrokenKeys(error(token, "\ud800")), time_.clock)
    fail(sandbox, token, "internal", shape)


@pytest.mark.parametrize("defect", ["expired", "wrong_audience", "webhook", "tampered", "alg_none", "missing"])
def test_r11_the_console_gets_no_short_cut(defect: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """R11: the test of API Gateway's console needs a valid token, too."""
    assert sandbox.answer(event_with("console_test", token_with(defect, hanko))) == "Unauthorized"
