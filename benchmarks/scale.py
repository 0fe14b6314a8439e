"""The load on Hanko and DynamoDB, and the cost, as requests per second, sandboxes and users grow.

Assumptions, each a constant or a parameter here, so that others can be tried:
- Requests come at random. Every user sends one in 10 s, from one client, with one token, which is the cache's key.
- API Gateway remembers an answer for its TTL per token; what it does not remember is an invocation.
- An invocation takes 2 ms of a sandbox; where it may ask Hanko 20 ms, where it asks DynamoDB 6 ms. Lambda has as many
  sandboxes as are busy at once, with three standard deviations to spare (Erlang's square-root rule), chooses among them
  at random, and replaces each after two hours. In truth it prefers some: then fewer are warm, and what grows with them
  is smaller.
- A sandbox fetches the keys when it starts, and whenever it is invoked with a set that is 600 s old.
- Prices are those of us-east-1 for arm64 as remembered in 2026, unverified, without free tiers: requests, 512 MB,
  1.2 kB of logs an invocation, two strongly consistent reads of DynamoDB on demand a question.

fleet.py holds the fetches against a few hundred real key caches.
"""

import math
from dataclasses import asdict, dataclass

from benchmarks import fleet

RATES_PER_SECOND = (10, 1_000, 100_000)
TTLS_SECONDS = (0, 60, 300)
REQUEST_PERIOD_SECONDS = 10.0  # of one user
SERVICE_SECONDS = {"off": 0.002, "hybrid": 0.020, "strict": 0.020, "revocation": 0.006}
SANDBOX_LIFE_SECONDS = 7200
KEYS_MAX_AGE_SECONDS = 600
KEYS_COOLDOWN_SECONDS = 30
SESSION_MAX_AGE_SECONDS = 60

MONTH_SECONDS = 30 * 86_400
REQUEST_DOLLARS = 0.20e-6
GB_SECOND_DOLLARS = 13.3334e-6
MEMORY_GB = 0.5
LOG_DOLLARS_PER_GB = 0.50
LOG_GB = 1.2e-6  # of one invocation
READ_DOLLARS = 0.125e-6
READS_PER_QUESTION = 2  # the session, the user


@dataclass(frozen=True, slots=True)
class Demand:
    """The load that one deployment makes: per second, except for `sandboxes` and the month's dollars."""

    requests: float
    ttl_seconds: int
    check: str
    invocations: float
    sandboxes: int
    key_fetches: float
    key_fetches_in_a_flood: float
    session_questions: float
    table_reads: float
    dollars_a_month: float


def demand(requests: float, ttl_seconds: int, check: str) -> Demand:
    """The model. `check` is the logout mode: off, hybrid, strict, revocation."""
    users = requests * REQUEST_PERIOD_SECONDS
    invocations = users * renewals(ttl_seconds, REQUEST_PERIOD_SECONDS)
    seconds = SERVICE_SECONDS[check]
    busy = invocations * seconds
    sandboxes = math.ceil(busy + 3 * math.sqrt(busy))
    questions = {
        "off": 0.0,
        "hybrid": users * sandboxes * renewals(SESSION_MAX_AGE_SECONDS, users * sandboxes / invocations),
        "strict": invocations,
        "revocation": 0.0,
    }[check]
    reads = invocations * READS_PER_QUESTION if check == "revocation" else 0.0
    dollars = invocations * (REQUEST_DOLLARS + seconds * MEMORY_GB * GB_SECOND_DOLLARS + LOG_GB * LOG_DOLLARS_PER_GB)
    return Demand(
        requests,
        ttl_seconds,
        check,
        invocations,
        sandboxes,
        sandboxes * (renewals(KEYS_MAX_AGE_SECONDS, sandboxes / invocations) + 1 / SANDBOX_LIFE_SECONDS),
        sandboxes / KEYS_COOLDOWN_SECONDS,
        questions,
        reads,
        (dollars + reads * READ_DOLLARS) * MONTH_SECONDS,
    )


def renewals(lasts_seconds: float, period_seconds: float) -> float:
    """How often a thing with this lifetime is renewed, if it is used at random, once in a period on average."""
    return 1 / (lasts_seconds + period_seconds)


def measure() -> list[object]:
    """Print the table; check its fetches."""
    columns = (
        "requests",
        "TTL",
        "check",
        "invocations",
        "sandboxes",
        "key fetches",
        "in a flood",
        "questions",
        "reads",
    )
    print(f"\nDemand, per second\n{''.join(f'{column:>12}' for column in (*columns, '$ a month'))}")
    demands = [
        demand(rate, ttl, check) for rate in RATES_PER_SECOND for ttl in TTLS_SECONDS for check in SERVICE_SECONDS
    ]
    for one in demands:
        cells = (f"{cell:12}" if isinstance(cell, str) else f"{cell:12,.5g}" for cell in asdict(one).values())
        print("".join(cells))
    print()
    return [*map(asdict, demands), *fleet.measure()]
