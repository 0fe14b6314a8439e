"""Parses execute-api ARNs and renders policies for the whole stage.

Written by hand: libraries echo the path, drop the partition, split at colons.

The path of an incoming ARN is the caller's text. Rules read it, and it never gets into a policy.
"""

import json
import re
from typing import NamedTuple

from authorizer.errors import Misconfigured, Reason
from authorizer.model import MAX_ANSWER_BYTES, Decision, Grant, Request

# arn:{partition}:execute-api:{region}:{account}:{api}/{stage}/...; an HTTP API's stage can be $default.
# Local tools have words for account and API, e.g. random-account-id and random-api-id of serverless-offline.
_ACCOUNT = r"(?:[0-9]{12}|[a-z]+(?:-[a-z]+)*)"
_STAGE = (
    rf"(arn:aws(?:-[a-z]+)*:execute-api:[a-z0-9-]{{1,32}}:{_ACCOUNT}:([A-Za-z0-9][A-Za-z0-9_-]{{0,63}})"
    r"/([A-Za-z0-9_-]{1,128}|\$default))"
)
# .../{method}/{path}: the caller's method and path; the path may hold anything, colons and slashes included.
ROUTE_ARN = re.compile(_STAGE + r"/([!#$%&'+.^_`|~0-9A-Za-z-]{1,32})(/.*)", re.ASCII | re.DOTALL)
CONNECT_ARN = re.compile(_STAGE + r"/(\$connect)()", re.ASCII)

_REGION_AND_ACCOUNT = re.compile(rf"(?<=:execute-api):[a-z0-9-]+:{_ACCOUNT}:", re.ASCII)
MAX_POLICY_BYTES = MAX_ANSWER_BYTES - 160  # leaves room for the API key of a usage plan
_NOBODY = Grant((), ("*",))


class Arn(NamedTuple):
    """The parts of an execute-api ARN. `stage_arn` ends behind the stage; a WebSocket's method is $connect."""

    stage_arn: str
    api_id: str
    stage: str
    method: str
    path: str


def parse_arn(arn: object, form: re.Pattern[str] = ROUTE_ARN) -> Arn:
    """Split an execute-api ARN into its parts.

    Raises `Misconfigured`: `event_unknown` if it is no string, `arn_invalid` if it is no such ARN.
    Source: AWS, "Amazon API Gateway Amazon Resource Name (ARN) reference".
    """
    if not isinstance(arn, str):
        raise Misconfigured(Reason.EVENT_UNKNOWN)
    match = form.fullmatch(arn)
    if match is None:
        raise Misconfigured(Reason.ARN_INVALID)
    return Arn(*match.groups())


def policy(request: Request, decision: Decision) -> dict[str, object]:
    """A policy for the whole stage: API Gateway caches it and applies it to every route of the API.

    Raises `Misconfigured(answer_too_large)`: the rules are measured with a stage name of ten characters.
    """
    grant, everywhere = decision.grant or _NOBODY, request.stage_arn
    if len(grant.denied) > 1:  # same meaning within one API, and a quarter shorter
        everywhere = _REGION_AND_ACCOUNT.sub(":*:*:", everywhere)
    statements = [
        *_statement("Allow", [f"{request.stage_arn}/{one}" for one in grant.allowed]),
        *_statement("Deny", [f"{everywhere}/{one}" for one in grant.denied]),
    ]
    answer: dict[str, object] = {
        "principalId": decision.principal_id or "unknown",
        "policyDocument": {"Version": "2012-10-17", "Statement": statements},
        "context": dict(decision.context) if decision.grant else {"reason": decision.reason.value},
    }
    patterns = len(grant.allowed) + len(grant.denied)
    if patterns > 1 and len(json.dumps(answer, ensure_ascii=False).encode()) > MAX_POLICY_BYTES:
        raise Misconfigured(Reason.ANSWER_TOO_LARGE)
    return answer


def _statement(effect: str, resources: list[str]) -> list[dict[str, object]]:
    resource = resources if len(resources) > 1 else "".join(resources)
    return [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}] if resource else []
