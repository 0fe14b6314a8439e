"""The load on Hanko and DynamoDB, and the cost, as requests per second, sandboxes and users grow.

Assumptions, each a constant or a parameter here, so that others can be tried:
- Requests come at random. Every user sends one in 10 s, from one client, with one token, which is the cache's key.
- API Gateway remembers an answer for its TTL per token; what it does not remember is an invocation.
- An invocation takes 2 ms of a sandbox; where it may ask Hanko 20 ms, where it asks DynamoDB 6 ms. Lambda has as many
  sandboxes as are busy at once, with three standard deviations to spare (Erlang's square-root rule), chooses among them
  at random, and replaces each after two hours. In truth it prefers some: then fewer are warm, and what grows with them
  is smaller.
- A sandbox fetches the keys when it starts, and whenever it is invoked with a set that is 600 s old.
- Every user logs out once a day: one webhook, one write, one message to each subscriber of the topic. An item stays
  until the last token that it could concern has expired.
- Prices are list prices of us-east-1 for arm64, without free tiers: `PRICES` has the source of each, and the day on
  which it was read. 512 MB, a record of 680 bytes and 300 bytes of Lambda's own lines an invocation, two strongly
  consistent reads of DynamoDB on demand a question.
- With Lambda Managed Instances every environment has `PROCESSES_EACH` processes, and there are three environments at
  least, one in each zone (both as remembered of AWS's pages, unverified). Invocations are spread over all of them.

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
LOGS_PAGE = "amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards"
LAMBDA_PAGE = "https://aws.amazon.com/lambda/pricing/"
PRICES = {  # dollars, source, the day of the source
    "request": (0.20e-6, LAMBDA_PAGE, "2026-09-20"),
    # Its table is drawn by a script: the figure is that of https://cloudchipr.com/blog/aws-lambda-pricing (2024), and
    # of artillery 2.0.28's aws-lambda/prices.js, which names the page as its source.
    "GB-second": (13.3334e-6, LAMBDA_PAGE, "2024"),
    # https://aws.amazon.com/cloudwatch/pricing/ draws its figures by a script, too.
    "GB of logs": (0.50, f"https://www.factualminds.com/blog/{LOGS_PAGE}/", "2026"),
    # So does https://aws.amazon.com/dynamodb/pricing/on-demand/, and no other page with these two was found.
    "read": (0.125e-6, "from memory, unverified", ""),
    "write": (0.625e-6, "from memory, unverified", ""),
}
REQUEST_DOLLARS, GB_SECOND_DOLLARS, LOG_DOLLARS_PER_GB, READ_DOLLARS, WRITE_DOLLARS = (
    dollars for dollars, _, _ in PRICES.values()
)
MEMORY_GB = 0.5
LOG_GB = 0.68e-6 + 0.30e-6  # of one invocation
READS_PER_QUESTION = 2  # the session, the user

LOGOUTS_PER_SECOND = 1 / 86_400  # of one user
ITEM_LIFE_SECONDS = 43_200 + 3_600  # Hanko's default session, and the margin of webhook.py
PROCESSES_EACH, LEAST_ENVIRONMENTS = 16, 3

FETCH_SECONDS = 0.1  # a wait for Hanko 30 ms away: three round trips
START_SECONDS = 0.15  # a cold start, which is billed
REFRESH_SECONDS = 1.0  # the scheduled function's run: fetch the keys, deploy them


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
        key_fetches(sandboxes, invocations),
        sandboxes / KEYS_COOLDOWN_SECONDS,
        questions,
        reads,
        (dollars + reads * READ_DOLLARS) * MONTH_SECONDS,
    )


@dataclass(frozen=True, slots=True)
class FanOut:
    """What logouts make of one deployment with the revocation table, per second, but for `items`."""

    users: float
    writes: float
    messages: float
    items: float
    dollars_a_month: float


def fan_out(requests: float, subscribers: int) -> FanOut:
    """Of webhooks, whatever the TTL. The dollars are those of the writes: SNS's price is not looked up."""
    users = requests * REQUEST_PERIOD_SECONDS
    writes = users * LOGOUTS_PER_SECOND
    month = writes * WRITE_DOLLARS * MONTH_SECONDS
    return FanOut(users, writes, writes * subscribers, writes * ITEM_LIFE_SECONDS, month)


def managed_processes(processes: int) -> int:
    """How many processes Managed Instances run where so many are needed."""
    return PROCESSES_EACH * max(LEAST_ENVIRONMENTS, math.ceil(processes / PROCESSES_EACH))


def key_fetches(processes: int, invocations: float, life_seconds: float = SANDBOX_LIFE_SECONDS) -> float:
    """Per second: one at the start of each process, one whenever it is invoked with a set that is too old."""
    return processes * (renewals(KEYS_MAX_AGE_SECONDS, processes / invocations) + 1 / life_seconds)


def cheaper_from(refresh_every_seconds: float) -> float:
    """The number of busy processes from which a shared set is cheaper: bundled, and deployed anew on a schedule.

    Each deployment starts every process anew. Infinite where that costs more than the fetches that it saves.
    """
    saved = FETCH_SECONDS / KEYS_MAX_AGE_SECONDS - START_SECONDS / refresh_every_seconds
    gb_seconds = REFRESH_SECONDS + REQUEST_DOLLARS / (MEMORY_GB * GB_SECOND_DOLLARS)
    return gb_seconds / refresh_every_seconds / saved if saved > 0 else math.inf


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
    _print_more(demands)
    return [*map(asdict, demands), *fleet.measure()]


def _print_more(demands: list[Demand]) -> None:
    print("\nManaged Instances: processes, key fetches per hour (TTL 0, no checks)")
    for one in demands:
        if one.ttl_seconds == 0 and one.check == "off":
            processes = managed_processes(one.sandboxes)
            fetches = key_fetches(processes, one.invocations, math.inf) * 3600
            print(f"{one.requests:12,.5g}{processes:12,}{fetches:12,.5g}")
    print("\nLogouts, two subscribers: users, writes and messages per second, items, $ a month")
    for rate in RATES_PER_SECOND:
        print("".join(f"{cell:12,.5g}" for cell in asdict(fan_out(rate, 2)).values()))
    print("\nA shared key set is cheaper from so many processes")
    for seconds in (600, 3600, 86_400):
        print(f"  deployed every {seconds:6,} s: {cheaper_from(seconds):.3g}")
    print("\nPrices in dollars")
    for name, price in PRICES.items():
        print(f"  {name:12}{price[0]:<14g}{' '.join(price[1:])}")
    print()
