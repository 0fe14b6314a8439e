"""execute-api ARNs and policy documents, written by hand: libraries echo the path, forget partitions, split at colons.

The path of an incoming ARN is the caller's text: it never reaches a policy.
"""

import re
from typing import NamedTuple

from authorizer.errors import Misconfigured, Reason, Unauthenticated
from authorizer.exchange import Decision, Request

# arn:{partition}:execute-api:{region}:{account}:{api}/{stage}/..., where the stage of an HTTP API can be $default.
_STAGE = (
    r"(arn:aws(?:-[a-z]+)*:execute-api:[a-z0-9-]{1,32}:[0-9]{12}:([A-Za-z0-9]{1,64})/([A-Za-z0-9_-]{1,128}|\$default))"
)
# .../{method}/{path}: the caller's method and path; the path may hold anything, colons and slashes included.
ROUTE_ARN = re.compile(_STAGE + r"/([!#$%&'+.^_`|~0-9A-Za-z-]{1,32})/.*", re.ASCII | re.DOTALL)
CONNECT_ARN = re.compile(_STAGE + r"/(\$connect)", re.ASCII)


class Arn(NamedTuple):
    """The parts of an execute-api ARN. `stage_arn` is all up to the stage; `method` is $connect for a WebSocket."""

    stage_arn: str
    api_id: str
    stage: str
    method: str


def parse_arn(arn: object, form: re.Pattern[str] = ROUTE_ARN) -> Arn:
    """Take an execute-api ARN apart.

    Raises `Unauthenticated(event_unknown)` where there is none, `Misconfigured(arn_invalid)` for what is unlike one.
    Source: AWS, "Amazon API Gateway Amazon Resource Name (ARN) reference".
    """
    if not isinstance(arn, str):
        raise Unauthenticated(Reason.EVENT_UNKNOWN)
    match = form.fullmatch(arn)
    if match is None:
        raise Misconfigured(Reason.ARN_INVALID)
    return Arn(*match.groups())


def policy(request: Request, decision: Decision) -> dict[str, object]:
    """Allow or deny the whole stage: API Gateway caches the answer and goes by it for every route of the API."""
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if decision.allowed else "Deny",
        "Resource": f"{request.stage_arn}/*",
    }
    return {
        "principalId": decision.principal_id or "unknown",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": dict(decision.context) if decision.allowed else {"reason": decision.reason.value},
    }
