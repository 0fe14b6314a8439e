"""What an answer of ours looks like, whatever came in."""

import json
import re
from typing import Any

from authorizer.errors import Reason

RESOURCE = re.compile(
    r"arn:aws[a-z-]*:execute-api:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9]+/(?:[A-Za-z0-9_-]+|\$default)/\*", re.ASCII
)
Json = dict[str, Any]
REASONS = {reason.value for reason in Reason}


def is_ours(answer: Any) -> bool:  # noqa: ANN401 - to be found out
    match answer:
        case "Unauthorized" | "Authorizer unavailable":
            return True
        case {"isAuthorized": False}:
            return is_refusal(answer)
        case {"isAuthorized": True, "context": context}:
            return len(answer) == 2 and is_flat(context)
        case {"isAuthorized": True, "resolverContext": context} | {"isAuthorized": True, "handlerContext": context}:
            return len(answer) == 3 and is_flat(context) and answer["ttlOverride"] == 0
        case {"principalId": principal, "policyDocument": document, "context": context}:
            (statement,) = document["Statement"]
            allowed = statement["Effect"] == "Allow" and is_flat(context) and context["user_id"] == principal
            denied = statement["Effect"] == "Deny" and principal == "unknown" and context["reason"] in REASONS
            return len(answer) == 3 and (allowed or denied) and RESOURCE.fullmatch(statement["Resource"]) is not None
    return False


def is_refusal(answer: Json) -> bool:
    return answer == {"isAuthorized": False, "ttlOverride": 0} or answer["context"]["reason"] in REASONS


def is_flat(context: Json) -> bool:
    return "claims" not in context and all(type(value) in (str, int, float, bool) for value in context.values())


def allows(answer: Json | str) -> bool:
    return "Allow" in json.dumps(answer) or (isinstance(answer, dict) and answer.get("isAuthorized") is True)
