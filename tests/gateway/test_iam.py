"""execute-api ARNs in, policies out: from validated parts alone, never from the caller's path."""

import json

import pytest

from authorizer.errors import Misconfigured, Reason
from authorizer.gateway.iam import CONNECT_ARN, MAX_POLICY_BYTES, Arn, parse_arn, policy
from authorizer.model import CredentialSources, Decision, EventKind, Grant, Request

STAGE_ARN = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod"


def request(stage_arn: str = STAGE_ARN) -> Request:
    return Request(EventKind.REST_REQUEST, CredentialSources(), "a1b2c3d4e5", "prod", stage_arn, "GET", "id")


def refused(arn: object) -> Reason:
    with pytest.raises(Misconfigured) as caught:
        parse_arn(arn)
    assert str(caught.value) == "arn_invalid"
    return caught.value.reason


@pytest.mark.parametrize(
    "path",
    [
        "",
        "items/42",
        "items/*",
        "items/?",
        "a:b/c:d",
        "arn:aws:execute-api:us-east-1:999999999999:zzz/prod/GET/",
        "ünï/%2e%2e/../..",
        "line\nbreak\r\n",
        "\0\ud800",
        "x" * 5000,
        '"}],"Effect":"Allow"',
    ],
)
def test_a_path_may_hold_anything_and_leads_nowhere(path: str) -> None:
    arn = parse_arn(f"{STAGE_ARN}/GET/{path}")
    assert arn == Arn(STAGE_ARN, "a1b2c3d4e5", "prod", "GET", f"/{path}")
    decision = Decision(Reason.ALLOWED, "user", {}, grant=Grant())
    assert policy(request(arn.stage_arn), decision) == policy(request(), decision)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-eusc"])
def test_every_partition_is_kept(partition: str) -> None:
    stage_arn = f"arn:{partition}:execute-api:xx-north-1:123456789012:abc/v1"
    assert parse_arn(f"{stage_arn}/DELETE/x") == Arn(stage_arn, "abc", "v1", "DELETE", "/x")


@pytest.mark.parametrize(
    ("account", "api_id"),
    [("random-account-id", "random-api-id"), ("000000000000", "my-custom_id"), ("123456789012", "1234567890")],
)
def test_the_ids_of_local_tools_are_accepted(account: str, api_id: str) -> None:
    """serverless-offline, LocalStack, SAM: what is in them is harmless in a policy's resource."""
    stage_arn = f"arn:aws:execute-api:eu-west-1:{account}:{api_id}/None"
    arn = parse_arn(f"{stage_arn}/GET/")
    assert arn == Arn(stage_arn, api_id, "None", "GET", "/")
    two = Decision(Reason.ALLOWED, "user", {}, grant=Grant(("*",), ("GET/a", "GET/b")))
    (_, deny) = policy(request(stage_arn), two)["policyDocument"]["Statement"]  # type: ignore[index]  # as built above
    assert deny["Resource"] == [f"arn:aws:execute-api:*:*:{api_id}/None/GET/{one}" for one in "ab"]


@pytest.mark.parametrize("stage", ["$default", "prod", "test-invoke-stage", "ESTestInvoke-stage", "v1_2", "x" * 128])
def test_a_stage_may_be_the_default_one(stage: str) -> None:
    stage_arn = f"arn:aws:execute-api:eu-west-1:123456789012:abc/{stage}"
    assert parse_arn(f"{stage_arn}/GET/") == Arn(stage_arn, "abc", stage, "GET", "/")


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "DELETE", "get", "M-SEARCH", "X" * 32]
)
def test_the_method_is_told(method: str) -> None:
    assert parse_arn(f"{STAGE_ARN}/{method}/").method == method


@pytest.mark.parametrize(
    ("region", "api_id", "stage", "method"), [("r", "a", "s", "M"), ("r" * 32, "a" * 64, "s" * 128, "M" * 32)]
)
def test_each_part_of_an_arn_may_be_short_or_long(region: str, api_id: str, stage: str, method: str) -> None:
    stage_arn = f"arn:aws:execute-api:{region}:123456789012:{api_id}/{stage}"
    assert parse_arn(f"{stage_arn}/{method}/") == Arn(stage_arn, api_id, stage, method, "/")


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "*",
        "arn",
        STAGE_ARN,
        f"{STAGE_ARN}/",
        f"{STAGE_ARN}/GET",
        f"{STAGE_ARN}//items",
        f"{STAGE_ARN}/*/items",
        f"{STAGE_ARN}/G T/items",
        f"{STAGE_ARN}/G?T/items",
        f"{STAGE_ARN}/GÉT/items",
        f"{STAGE_ARN}/" + "X" * 33 + "/items",
        f"{STAGE_ARN}/$connect",
        f" {STAGE_ARN}/GET/",
        f"x{STAGE_ARN}/GET/",
        f"{STAGE_ARN}\n/GET/",
        "arn:aws:execute-api:eu-west-1:123456789012:*/prod/GET/",
        "arn:aws:execute-api:eu-west-1:123456789012:a?c/prod/GET/",
        "arn:aws:execute-api:eu-west-1:123456789012:/prod/GET/",
        "arn:aws:execute-api:eu-west-1:123456789012:abc//GET/",
        "arn:aws:execute-api:eu-west-1:123456789012:abc/*/GET/",
        "arn:aws:execute-api:eu-west-1:123456789012:abc/pr*d/GET/",
        "arn:aws:execute-api:eu-west-1:123456789012:abc/$other/GET/",
        "arn:aws:execute-api:eu-west-1:123456789012:abc/" + "x" * 129 + "/GET/",
        "arn:aws:execute-api:eu-west-1:123456789012:" + "x" * 65 + "/prod/GET/",
        "arn:aws:execute-api:" + "x" * 33 + ":123456789012:abc/prod/GET/",
        "arn:aws:execute-api:eu-west-1:*:abc/prod/GET/",
        "arn:aws:execute-api:eu-west-1::abc/prod/GET/",
        "arn:aws:execute-api:eu-west-1:12345678901:abc/prod/GET/",
        "arn:aws:execute-api:eu-west-1:1234567890123:abc/prod/GET/",
        "arn:aws:execute-api:eu-west-1:١٢٣٤٥٦٧٨٩٠١٢:abc/prod/GET/",
        "arn:aws:execute-api:*:123456789012:abc/prod/GET/",
        "arn:aws:execute-api::123456789012:abc/prod/GET/",
        "arn:aws:lambda:eu-west-1:123456789012:abc/prod/GET/",
        "arn:*:execute-api:eu-west-1:123456789012:abc/prod/GET/",
        "arn:evil:execute-api:eu-west-1:123456789012:abc/prod/GET/",
        "arn:aws-:execute-api:eu-west-1:123456789012:abc/prod/GET/",
        "ARN:aws:execute-api:eu-west-1:123456789012:abc/prod/GET/",
        "arn:aws:appsync:eu-west-1:123456789012:apis/abc",
    ],
)
def test_what_is_unlike_an_execute_api_arn_is_refused(arn: str) -> None:
    assert refused(arn) is Reason.ARN_INVALID


def test_a_websocket_has_no_method_but_its_route() -> None:
    assert parse_arn(f"{STAGE_ARN}/$connect", CONNECT_ARN) == Arn(STAGE_ARN, "a1b2c3d4e5", "prod", "$connect", "")
    for other in ("/$disconnect", "/$default", "/GET/", "/$connect/", "/$connect\n", ""):
        with pytest.raises(Misconfigured):
            parse_arn(STAGE_ARN + other, CONNECT_ARN)


@pytest.mark.parametrize("arn", [None, 7, True, [], {}, [f"{STAGE_ARN}/GET/"], b"arn"])
def test_without_an_arn_it_is_no_event_of_ours(arn: object) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_arn(arn)
    assert caught.value.reason is Reason.EVENT_UNKNOWN


def test_a_policy_allows_the_whole_stage_and_nothing_else() -> None:
    decision = Decision(Reason.ALLOWED, "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01", {"user_id": "u", "n": 1}, grant=Grant())
    assert policy(request(), decision) == {
        "principalId": "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/*",
                }
            ],
        },
        "context": {"user_id": "u", "n": 1},
    }


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.ALLOWED])
def test_every_other_reason_denies_the_whole_stage_and_is_all_that_is_told(reason: Reason) -> None:
    decision = Decision(reason, context={"user_id": "u"})
    assert policy(request(), decision) == {
        "principalId": "unknown",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Deny",
                    "Resource": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/*",
                }
            ],
        },
        "context": {"reason": reason.value},
    }


def test_a_policy_is_a_copy() -> None:
    context: dict[str, str | int | float | bool] = {"user_id": "u"}
    policy(request(), Decision(Reason.ALLOWED, "u", context, grant=Grant()))["context"] = None
    assert context == {"user_id": "u"}


def test_a_policy_may_be_as_long_as_the_limit_and_not_a_byte_longer() -> None:
    """Measured in UTF-8, as API Gateway receives it."""

    def answer(characters: int) -> dict[str, object]:
        two = Grant(("*",), ("GET/a", "GET/" + "x" * characters))
        return policy(request(), Decision(Reason.ALLOWED, "user", {"name": "é"}, grant=two))

    def size(characters: int) -> int:
        return len(json.dumps(answer(characters), ensure_ascii=False).encode())

    longest = MAX_POLICY_BYTES - size(0)
    assert size(longest) == 7840  # 8 KB less the room for an API key
    with pytest.raises(Misconfigured) as caught:
        answer(longest + 1)
    assert caught.value.reason is Reason.ANSWER_TOO_LARGE


@pytest.mark.parametrize("denied", [(), ("GET/a",)])
def test_a_policy_that_grants_too_much_is_too_large_whatever_it_denies(denied: tuple[str, ...]) -> None:
    """The rules are measured with a stage name of ten characters; this one has the 128 that are possible."""
    stage_arn = f"arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/{'x' * 128}"
    many = Grant(tuple(f"GET/{number}" for number in range(50)), denied)
    with pytest.raises(Misconfigured) as caught:
        policy(request(stage_arn), Decision(Reason.ALLOWED, "user", {}, grant=many))
    assert caught.value.reason is Reason.ANSWER_TOO_LARGE


def test_two_long_patterns_are_too_large() -> None:
    two = Grant(("*",), ("GET/" + "x" * MAX_POLICY_BYTES,))
    with pytest.raises(Misconfigured) as caught:
        policy(request(), Decision(Reason.ALLOWED, "user", {}, grant=two))
    assert caught.value.reason is Reason.ANSWER_TOO_LARGE
