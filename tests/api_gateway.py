"""API Gateway as far as tests need it: the event of a request for any route, and IAM's reading of a policy."""

import functools
import json
import re
from typing import Any

from local.sign import event_with

Json = dict[str, Any]
ARN = {"rest_token": "methodArn", "rest_request": "methodArn", "http_v1": "methodArn", "http_v2": "routeArn"}


@functools.lru_cache(maxsize=1024)
def _text(shape: str, token: str) -> str:
    return json.dumps(event_with(shape, token))


def asked(shape: str, token: str, method: str, path: str) -> tuple[Json, str]:
    """The event of a request for this route, and the route's ARN."""
    event: Json = json.loads(_text(shape, token))
    stage_arn = "/".join(event[ARN[shape]].split("/")[:2])
    event[ARN[shape]] = f"{stage_arn}/{method}{path}"
    return event, event[ARN[shape]]


def lets(answer: Any, arn: str) -> bool:  # noqa: ANN401 - whatever came back
    """What a policy, cached or not, means for a request: a Deny wins, and without an Allow there is none.

    Source: AWS, "Policy evaluation logic" and "IAM JSON policy elements: Resource".
    """
    effects = set()
    for statement in answer["policyDocument"]["Statement"]:
        assert statement.keys() == {"Action", "Effect", "Resource"}
        assert statement["Action"] == "execute-api:Invoke"
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        if any(matches(resource, arn) for resource in resources):
            effects.add(statement["Effect"])
    return effects == {"Allow"}


def matches(pattern: str, text: str) -> bool:
    """`*` is any number of characters, `?` one; slashes and colons are characters like any other."""
    return _compiled(pattern).fullmatch(text) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(one) or re.escape(one) for one in pattern), re.DOTALL)
