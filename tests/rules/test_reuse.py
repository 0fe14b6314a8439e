"""HTTP APIs with simple responses: API Gateway reuses a verdict for every request with the same identity sources.

Random rules, APIs, callers and requests against an oracle: a gateway with a cache, and the rules as docs/rules.md
states them (written_rules.py). Both are written without a look at the product. `make soak` runs the full number.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import pytest
from sizes import REUSED
from written_rules import METHODS, Caller, OneRule, RuleSet

from authorizer.config import HttpApiResponse
from authorizer.errors import Reason
from authorizer.gateway import http_api
from authorizer.model import Claims
from authorizer.rules.evaluation import Rules
from authorizer.rules.parser import parse_rules

REQUESTS = 12  # of one API
NOW = 1_800_000_000.0
PATHS = ["/", "/me", "/a", "/a/", "/a/1", "/a/b/c", "/a+b", "/a+b/1", "/admin", "/admin/x", "/a/admin", "/b/1"]
UNUSUAL = ["/a/%61", "/a/../admin", "/a//b", "/a/b;c", "/a/.", "/%61dmin/x", "/a/b\\c"]
ROUTE_KEYS = [
    *("GET /me", "ANY /a", "GET /a", "POST /a", "HEAD /a", "GET /a/{id}", "ANY /a/{id}", "GET /a/{proxy+}"),
    *("ANY /a/{proxy+}", "GET /a+b", "GET /a+b/{proxy+}", "ANY /admin", "GET /admin/{proxy+}", "GET /{proxy+}"),
    *("POST /a+b", "GET /a+b/{id}", "ANY /{proxy+}", "$default", "GET /a/{id}/c", "ANY /", "POST /{x}/{y}"),
]
Coder = Callable[[str], str]
ENCODERS: list[Coder] = [
    str,
    quote,
    quote_plus,
    lambda text: quote(text, safe=""),
    lambda text: quote(quote_plus(text)),
]
DECODERS: list[Coder] = [str, unquote, unquote_plus, lambda text: unquote_plus(unquote(text))]
SOURCES = [*(["header.x-tenant", "query.tenant", "header.cookie"] * 3), "stage.name", "context.method"]


# --- API Gateway, with its cache


@dataclass
class Sent:
    """A request of a client, as it is sent."""

    method: str
    path: str
    role: str
    tenant: str
    query: str
    cookie: str


@dataclass
class Gateway:
    """An HTTP API: its route keys, the identity sources of its authorizer, and how it decodes parameters."""

    route_keys: list[str]
    sources: list[str]
    decode_source: Coder
    decode_event: Coder
    cache: dict[tuple[str, ...], bool] = field(default_factory=dict)

    def route(self, sent: Sent) -> str | None:
        """The most specific route key: full paths, then parameters, then greedy ones, then $default."""

        def rank(key: str) -> tuple[int, bool, int]:
            kind = 3 if key == "$default" else 2 if "+}" in key else int("{" in key)
            return kind, key.startswith("ANY"), -len(key)

        fitting = [key for key in self.route_keys if fits(key, sent)]
        return min(fitting, key=rank) if fitting else None

    def values(self, key: str, sent: Sent) -> list[str]:
        every = {
            "header.authorization": f"Bearer {sent.role}",
            "context.routeKey": key,
            "header.x-tenant": sent.tenant,
            "query.tenant": self.decode_source(sent.query),
            "header.cookie": sent.cookie,
            "stage.name": "blue",
            "context.method": sent.method,
        }
        return [every[source] for source in self.sources]

    def event(self, key: str, sent: Sent) -> dict[str, object]:
        return {
            "version": "2.0",
            "type": "REQUEST",
            "routeArn": f"arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/{sent.method}{sent.path}",
            "identitySource": self.values(key, sent) or None,
            "routeKey": key,
            "rawPath": sent.path,
            "rawQueryString": f"tenant={sent.query}" if sent.query else "",
            "headers": {"authorization": f"Bearer {sent.role}", "x-tenant": sent.tenant, "accept": "*/*"},
            "cookies": [one.strip() for one in sent.cookie.split(";")],
            "queryStringParameters": {"tenant": self.decode_event(sent.query)},
            "stageVariables": {"name": "blue"},
            "requestContext": {"routeKey": key, "requestId": "id", "http": {"method": sent.method, "path": sent.path}},
        }


def fits(key: str, sent: Sent) -> bool:
    if key == "$default":
        return True
    method, path = key.split(" ")
    pattern = re.sub(r"\\\{\w+\\\+\\\}", ".+", re.escape(path))
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", pattern)
    return method in ("ANY", sent.method) and bool(re.fullmatch(pattern, sent.path, re.DOTALL))


# --- random examples


def rule_set(random: Random) -> RuleSet:
    def route() -> str:
        path = random.choice(PATHS[1:]) if random.random() < 0.9 else "/"
        return f"{random.choice(['*', 'GET', 'GET', 'POST', 'HEAD', 'DELETE'])} {path}{random.choice(['', '*'])}"

    default = random.choice(["allow", "allow", "deny"])
    roles = ["admin", "editor"] if default == "allow" else ["admin", "editor", None]
    rules = [
        OneRule(
            [route() for _ in range(random.randint(1, 3))],
            {"role": [role]} if (role := random.choice(roles)) else {},
            guard_head=random.random() < 0.8,
        )
        for _ in range(random.randint(1, 3))
    ]
    return RuleSet(rules, default, random.random() < 0.4)


def gateway(random: Random) -> Gateway:
    sources = ["header.authorization", *random.sample(SOURCES, random.choice([0, 1, 1, 1, 2]))]
    sources += ["context.routeKey"] if random.random() < 0.5 else []
    random.shuffle(sources)
    keys = random.sample(ROUTE_KEYS, random.randint(2, 8))
    return Gateway(keys, sources if random.random() < 0.95 else [], random.choice(DECODERS), random.choice(DECODERS))


def requests(random: Random, route_keys: list[str]) -> list[Sent]:
    """Those of a few clients, who always send the same texts: so answers are reused.

    Some send a route key as their text, and call its route first: that is the verdict that they want for others.
    """
    key = random.choice(route_keys)
    texts = [random.choice(["blue", key, key, random.choice(ENCODERS)(key)]) for _ in range(3)]
    every = [request(random, random.choice([texts, ["blue", "blue", "blue"]])) for _ in range(REQUESTS)]
    fitting = [one for one in (request(random, texts) for _ in range(REQUESTS)) if fits(key, one)]
    return fitting[:1] + every


def request(random: Random, texts: list[str]) -> Sent:
    path = random.choice(UNUSUAL) if random.random() < 0.15 else random.choice(PATHS)
    method = random.choice(["GET", "GET", "GET", "POST", *METHODS])
    return Sent(method, path, random.choice(["admin", "user", "user", "user"]), *texts)


def verdict(rules: Rules, event: dict[str, object], role: str) -> bool:
    """The product's."""
    claims = Claims(role, role, NOW - 10, NOW + 3600, {"role": role})
    return rules.evaluate(http_api.parse_v2(event, HttpApiResponse.SIMPLE), claims, NOW).reason is Reason.ALLOWED


def play(seed: int, counted: Counter[str]) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    ruled, api = rule_set(random), gateway(random)
    rules = parse_rules(ruled.text())
    for sent in requests(random, api.route_keys):
        key = api.route(sent)
        if key is None or not all(api.values(key, sent)):
            continue  # 404, or 401 for a missing identity source: the authorizer is not asked
        cached_under = tuple(api.values(key, sent))
        reused = bool(cached_under) and cached_under in api.cache
        allowed = api.cache[cached_under] if reused else verdict(rules, api.event(key, sent), sent.role)
        api.cache[cached_under] = allowed
        # docs/rules.md: unusual spellings in the place of {id} share the answer of the route.
        shares = reused and "{" in key and "+}" not in key
        counted[f"{'allowed' if allowed else 'refused'}{', reused' if reused else ''}"] += 1
        if allowed:
            assert ruled.allow(Caller({"role": sent.role}), sent.method, sent.path, unusual_is_fine=shares), (
                seed,
                sent,
                api,
                ruled.text(),
            )


def test_no_verdict_is_reused_beyond_its_scope() -> None:
    counted: Counter[str] = Counter()
    for seed in range(REUSED):
        play(seed, counted)
    print(REUSED, dict(counted))  # noqa: T201 - what `make soak` is run for
    assert len(counted) == 4
    assert min(counted.values()) > REUSED / 10  # nobody would learn anything from answers that are all the same


@pytest.mark.parametrize("key", ROUTE_KEYS)
def test_an_honest_client_gets_the_verdict_on_its_route_key(key: str) -> None:
    """The scope is that of the route key, and not of every route, where no client plays tricks."""
    method = next((one for one in METHODS if key.startswith(one)), "GET")
    sent = next(one for path in PATHS if fits(key, one := Sent(method, path, "user", "blue", "blue", "blue")))
    api = Gateway([key], ["header.authorization", "context.routeKey"], str, str)
    rules = parse_rules(
        'default = "allow"\n[[rule]]\nname = "x"\nroutes = ["* /elsewhere*"]\nrequire = { role = "x" }\n'
    )
    assert verdict(rules, api.event(key, sent), "user") is not ("+}" in key or key in ("$default", "POST /{x}/{y}"))
