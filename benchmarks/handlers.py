"""The whole handler through the Lambda runtime client, warm, its records included, beside every peer's.

New tokens (RSA-4096, which Hanko makes, and RSA-2048), one token again and again, and ours with rules.
"""

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.contestants import AGAIN, ISSUER, NODE, OURS, RUST, Field, event_of
from benchmarks.paired import Ratio, Samples, ratio, report, take_turns
from benchmarks.runtime_api import Sandbox
from local.hanko import StandInHanko
from local.hanko.keys import jwk, unb64

POOL_SIZE = 2000  # more tokens than any cache could hold
CALLS_PER_ROUND = 20
WARM_UP_ROUNDS = 50  # V8 needs them
ROUNDS = 100
BARRED_ROUNDS = 300  # where a bar is near: a hundred leave the median of the ratios uncertain by 1 %
BAR = 0.9
RULED = "ours, with rules"
SIGNATURE = "empty, but a signature"
RULES = """default = "allow"

[[rule]]
name = "admins only"
routes = ["* /admin", "* /admin/*"]
require = { email_verified = true }

[[rule]]
name = "payments want a strong login"
routes = ["POST /payments*"]
require = { amr = ["passkey", "security_key"], email_verified = true }
"""


def measure(field: Field) -> list[dict[str, object]]:
    """One report for each kind of token."""
    everybody = field.everybody() | {RULED: field.ours(field.artifact_with(RULES))}
    everybody[SIGNATURE] = field.python_peer("signature")
    with ExitStack() as stack:
        small = rsa.generate_private_key(65537, 2048)
        hanko = stack.enter_context(StandInHanko(tls=True, issuer=ISSUER, extra_keys=[jwk(small, "small")]))
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        print(f"signing {POOL_SIZE} tokens …", flush=True)
        tokens = [hanko.mint(session=False) for _ in range(POOL_SIZE)]
        new = [event_of(token) for token in tokens]
        payloads = [unb64(token.split(".")[1]) for token in tokens]
        new_2048 = [
            event_of(hanko.sign({"alg": "RS256", "kid": "small", "typ": "JWT"}, one, small)) for one in payloads
        ]
        sandboxes = {
            name: stack.enter_context(one.sandbox(hanko, logs / str(number)))
            for number, (name, one) in enumerate(everybody.items())
        }
        return [
            _measure("a token never seen before, RSA-4096", sandboxes, new, {OURS: BAR}),
            _measure("a token never seen before, RSA-2048", sandboxes, new_2048, {}),
            _measure("one token again and again, RSA-4096", sandboxes, new[:1], {}),
        ]


def _measure(
    what: str, sandboxes: dict[str, Sandbox], events: list[bytes], bars: dict[str, float]
) -> dict[str, object]:
    rounds = BARRED_ROUNDS if bars else ROUNDS
    contestants = {name: invoker(sandbox.invoke, cycle(events)) for name, sandbox in sandboxes.items()}
    take_turns(contestants, WARM_UP_ROUNDS)
    lines = {name: sandbox.lines for name, sandbox in sandboxes.items()}
    samples = take_turns(contestants, rounds)
    for name, sandbox in sandboxes.items():  # a contestant that writes nothing would win
        if not name.startswith(("empty", RUST)) and sandbox.lines - lines[name] < CALLS_PER_ROUND * rounds:
            raise RuntimeError(f"{name} did not log every event")
    return report(f"Handler, warm, {what}", samples, _ratios(samples, bars))


def _ratios(samples: Samples, bars: dict[str, float]) -> list[Ratio]:
    reference = NODE if NODE in samples else OURS
    others = [name for name in samples if name not in (reference, AGAIN, RULED)]
    ours = [ratio(samples, AGAIN, OURS), ratio(samples, RULED, OURS)]
    return [*ours, *(ratio(samples, name, reference, bars.get(name)) for name in others)]


def invoker(invoke: Callable[[bytes], tuple[float, bytes]], events: Iterator[bytes]) -> Callable[[], float]:
    """One round: the median of its calls, because single calls are interrupted by other programs."""

    def run() -> float:
        calls = []
        for event in islice(events, CALLS_PER_ROUND):
            seconds, answer = invoke(event)
            if json.loads(answer)["isAuthorized"] is not True:
                raise RuntimeError(f"refused: {answer.decode()}")
            calls.append(seconds)
        return statistics.median(calls)

    return run
