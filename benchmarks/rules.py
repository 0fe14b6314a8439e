"""Two hundred rules, compiled for one caller into a policy: ours against the bare signature check of cryptography.

python -m benchmarks.rules [FILE]      prints a table, and writes it as JSON to FILE
"""

import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from authorizer.errors import Reason
from authorizer.gateway.iam import policy
from authorizer.model import Claims, CredentialSources, Decision, EventKind, Request
from authorizer.rules.evaluation import Rules
from authorizer.rules.parser import parse_rules
from benchmarks.paired import ratio, report, take_turns
from local.hanko.keys import pool_key

RULES, ROUTES = 200, 50  # as many different routes as fit into an answer with room to spare
CALLS_PER_ROUND = 20
ROUNDS = 300
BAR = 5.0

STAGE_ARN = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod"
REQUEST = Request(EventKind.REST_TOKEN, CredentialSources(), "a1b2c3d4e5", "prod", STAGE_ARN, "GET", "id", "/me")
NOBODY = Claims("user", "session", 0, 1, {"amr": ["pwd"], "role": "user"})
EVERYBODY = Claims("user", "session", 0, 1, {"amr": ["passkey"], "role": [f"role-{n}" for n in range(10)]})


def main() -> None:
    """Measure and print."""
    key = pool_key(0)
    signed = b"x" * 600
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    public_key, bare_padding, bare_hash = key.public_key(), padding.PKCS1v15(), hashes.SHA256()
    rules, none = parse_rules(_text()), Rules()
    contestants = {
        "cryptography": _timed(lambda: public_key.verify(signature, signed, bare_padding, bare_hash)),
        "200 rules, none met": _timed(lambda: _policy(rules, NOBODY)),
        "200 rules, all met": _timed(lambda: _policy(rules, EVERYBODY)),
        "no rules": _timed(lambda: _policy(none, NOBODY)),
    }
    samples = take_turns(contestants, ROUNDS)
    ratios = [ratio(samples, name, "cryptography", BAR) for name in contestants if name != "cryptography"]
    result = report(f"Rules, judged and rendered, Python {platform.python_version()}", samples, ratios)
    for file in sys.argv[1:]:
        Path(file).write_text(json.dumps(result))


def _text() -> str:
    require = "{{ amr = 'passkey', role = 'role-{2}' }}"
    rule = f"[[rule]]\nname = 'rule {{0}}'\nroutes = ['GET /area-{{1}}/*']\nrequire = {require}\n"
    return 'default = "allow"\n' + "".join(rule.format(n, n % ROUTES, n % 10) for n in range(RULES))


def _policy(rules: Rules, claims: Claims) -> object:
    judged = rules.evaluate(REQUEST, claims, 0)
    return policy(REQUEST, Decision(Reason.ALLOWED, "user", judged.unmet_rules, grant=judged.grant))


def _timed(run: Callable[[], object]) -> Callable[[], float]:
    """Seconds of CPU per call: other programs hardly change them."""

    def calls() -> float:
        started = time.thread_time()
        for _ in range(CALLS_PER_ROUND):
            run()
        return (time.thread_time() - started) / CALLS_PER_ROUND

    return calls


if __name__ == "__main__":
    main()
