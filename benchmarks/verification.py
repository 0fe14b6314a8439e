"""Verifying a token never seen before, RSA-4096, warm: ours against the bare signature check of cryptography.

python -m benchmarks.verification [FILE]      prints a table, and writes it as JSON to FILE
"""

import base64
import itertools
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.hanko.client import HttpsClient
from authorizer.hanko.keys import KeyCache
from authorizer.hanko.tokens import TokenVerifier
from benchmarks.paired import ratio, report, take_turns
from local.hanko import StandInHanko

POOL_SIZE = 2000  # more tokens than any cache could hold
CALLS_PER_ROUND = 20
ROUNDS = 600
BAR = 1.25

T = TypeVar("T")


def main() -> None:
    """Measure and print."""
    with StandInHanko() as hanko:
        settings = Settings.from_env({"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost"})
        keys = KeyCache(settings, HttpsClient(settings, Clock()), Clock())
        verifier = TokenVerifier(settings, keys, Clock())
        tokens = [hanko.mint(session=False) for _ in range(POOL_SIZE)]
        public_key = keys.find(hanko.kids[0])
        bare_padding, bare_hash = padding.PKCS1v15(), hashes.SHA256()
        samples = take_turns(
            {
                "cryptography": _timed(
                    lambda parts: public_key.verify(parts[0], parts[1], bare_padding, bare_hash), _taken_apart(tokens)
                ),
                "verify": _timed(verifier.verify, tokens),
                "verify again": _timed(verifier.verify, tokens[POOL_SIZE // 2 :] + tokens[: POOL_SIZE // 2]),
            },
            ROUNDS,
        )
    ratios = [ratio(samples, "verify", "cryptography", BAR), ratio(samples, "verify again", "verify")]
    result = report(f"Verification, Python {platform.python_version()}", samples, ratios)
    for file in sys.argv[1:]:
        Path(file).write_text(json.dumps(result))


def _taken_apart(tokens: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """The signature and the signed bytes, for the bare signature check."""
    pairs = [token.rsplit(".", 1) for token in tokens]
    return [(base64.urlsafe_b64decode(signature + "=="), signed.encode()) for signed, signature in pairs]


def _timed(verify: Callable[[T], object], pool: Sequence[T]) -> Callable[[], float]:
    """One round with the next tokens of the pool: seconds of CPU per call, which other programs hardly change."""
    endless = itertools.cycle(pool)

    def run() -> float:
        tokens = list(itertools.islice(endless, CALLS_PER_ROUND))
        started = time.thread_time()
        for token in tokens:
            verify(token)
        return (time.thread_time() - started) / CALLS_PER_ROUND

    return run


if __name__ == "__main__":
    main()
