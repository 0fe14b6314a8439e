"""One process of the real handler, invoked again and again. `test_soak.py` starts it.

Standard input holds the events, in groups by what must become of them, and the number of invocations. What the process
needs (memory, descriptors, threads) goes into the file that the first argument names, a line for each
hundredth of the invocations.
"""

import gc
import json
import random
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from authorizer.gateway.raised import AuthorizerUnavailable, Unauthorized
from authorizer.lambda_function import lambda_handler
from local.hanko.keys import b64

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:authorizer:live"
PLACE = "a-place-for-a-token"
PARTS = 100
SETTLE_SECONDS = 10  # for the thread of a fetch that has just ended


def passes(event: object, number: int) -> bool | None:
    """Whether it may pass; None if there is no answer."""
    context = SimpleNamespace(aws_request_id=f"invocation-{number}", invoked_function_arn=ARN)
    try:
        answer: dict[str, Any] = lambda_handler(event, context)
    except Unauthorized:
        return False
    except AuthorizerUnavailable:
        return None
    if "policyDocument" in answer:
        return bool(answer["policyDocument"]["Statement"][0]["Effect"] == "Allow")
    return bool(answer["isAuthorized"])


def of_a_stranger(event: Any, dice: random.Random) -> object:  # noqa: ANN401 - any event
    """The same event with a token that was never seen: a key id of its own, or plain junk."""
    header = b64(json.dumps({"alg": "RS256", "kid": str(uuid.UUID(int=dice.getrandbits(128))), "typ": "JWT"}).encode())
    token = f"{header}.{b64(b'{}')}.{b64(b'x' * 512)}" if dice.random() < 0.5 else dice.randbytes(30).hex()
    return json.loads(json.dumps(event).replace(PLACE, token))


def needs() -> dict[str, int]:
    """Bytes of resident memory, memory blocks of Python, open descriptors, threads."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    gc.collect()
    return {
        "memory": int(Path("/proc/self/statm").read_text().split()[1]) * 4096,
        "blocks": sys.getallocatedblocks(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
    }


def main() -> None:
    given = json.load(sys.stdin)
    good, bad, empty, total = given["good"], given["bad"], given["empty"], given["invocations"]
    dice, came = random.Random(5), Counter[str]()  # noqa: S311 - no secret
    with Path(sys.argv[1]).open("w", buffering=1) as report:
        for number in range(1, total + 1):
            kind = dice.random()
            if kind < 0.8:
                came[f"good: {passes(dice.choice(good), number)}"] += 1
            elif kind < 0.9:
                came[f"bad: {passes(dice.choice(bad), number)}"] += 1
            else:
                came[f"unknown: {passes(of_a_stranger(dice.choice(empty), dice), number)}"] += 1
            if number * PARTS % total == 0:
                report.write(json.dumps({"invocations": number, **came, **needs()}) + "\n")


if __name__ == "__main__":
    main()
