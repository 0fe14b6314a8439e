"""Random rules, callers and routes: every kind of API gives the verdict that docs/rules.md states.

Through the whole handler, with real tokens. The rules are stated again in written_rules.py, IAM in api_gateway.py.
`make soak` asks for a million verdicts. What API Gateway reuses is in test_reuse.py, channels are in test_channels.py.
"""

from collections import Counter
from random import Random
from typing import Any

import pytest
from api_gateway import asked, lets, matches
from sandbox import MakeSandbox, Sandbox, Time
from sizes import VERDICTS
from written_rules import METHODS, Caller, OneRule, RuleSet

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Misconfigured
from authorizer.handler import Authorizer
from authorizer.hanko.keys import KeyCache
from authorizer.hanko.tokens import TokenVerifier
from authorizer.model import Claims
from authorizer.rules.evaluation import Rules
from authorizer.rules.parser import parse_rules
from authorizer.rules.source import RulesProvider
from authorizer.telemetry import Telemetry
from local.hanko import StandInHanko
from local.sign import event_with

CALLERS = 40
ROUTES = 16  # that one policy is held against
ASKED = 4  # that get a simple response, each of its own
PARTS = ["", "a", "b", "admin", "a+b", "a:b", "a,b", "Admin", "admin.json", "a*", "?", "*", "$connect"]
ODD_PARTS = ["%61", ".", "..", "a;b", "\\", "%2f", "é"]
BASES = ["/", "/a", "/a/", "/b", "/a/b", "/admin", "/admin/", "/adm", "/a+b", "/a:b", "/admin/a", "/$connect"]
FIELDS = ["Query.me", "Query.admin", "Mutation.pay"]
SAID = ["admin", "user", "", True, False, 1, 1.0, 0, None, ["admin", "user"], [], ["user"], [True], {"a": "admin"}]
WANTED = ["admin", "user", "pwd", True, False, 1, 0, 2.5]
CLAIMS = ["role", "amr", "role.a", "email_verified", "metadata.public.plan"]
AGES = [0, 60, 60, 61]  # the rules ask for 60
POLICIES = ("rest_token", "rest_request", "http_v1", "http_v2")

Caller_ = tuple[str, Caller]  # with the token


class VerifiedOnce(TokenVerifier):
    """Each token is verified once: RSA would take most of the time of a million verdicts."""

    def __init__(self, settings: Settings, keys: KeyCache, clock: Clock) -> None:
        super().__init__(settings, keys, clock)
        self._known: dict[str, Claims] = {}

    def verify(self, token: str) -> Claims:
        if token not in self._known:
            self._known[token] = super().verify(token)
        return self._known[token]


class Shop:
    """Two functions of one process, for policies and for simple responses, whose rules change."""

    def __init__(self, policies: Sandbox, simple: Sandbox, time: Time) -> None:
        self.rules = Rules()
        self._policies, self._simple = (self._authorizer(one, time) for one in (policies, simple))

    def _authorizer(self, sandbox: Sandbox, time: Time) -> Authorizer:
        rules = RulesProvider(lambda: self.rules, time.clock)
        telemetry = Telemetry(sandbox.settings, "test")
        verifier = VerifiedOnce(sandbox.settings, sandbox.keys, time.clock)
        return Authorizer(sandbox.settings, sandbox.keys, verifier, rules, telemetry)

    def policy(self, event: object) -> Any:  # noqa: ANN401 - an answer
        return self._policies.handle(event, "invocation", "arn:aws:lambda:eu-west-1:123456789012:function:f")

    def answer(self, event: object) -> Any:  # noqa: ANN401 - an answer
        return self._simple.handle(event, "invocation")


def callers(hanko: StandInHanko, random: Random) -> list[Caller_]:
    """Users with real tokens. The claim `role` holds what a rule may ask for, or nearly."""
    every = []
    for _ in range(CALLERS):
        claims = {
            "role": random.choice(SAID),
            "amr": random.choice([["pwd"], ["passkey"], [], None, "pwd"]),
            "email": random.choice([None, {"address": "a@example.com", "is_verified": random.choice(SAID)}]),
            "email_verified": random.choice([None, True]),  # a tenant's own: no rule looks at it
            "metadata": random.choice([None, {"public": {"plan": random.choice(SAID)}}]),
        }
        age = random.choice(AGES)
        token = hanko.mint(claims={**claims, "iat": int(hanko.now()) - age})
        every.append((token, Caller({name: one for name, one in claims.items() if one is not None}, age)))
    return every


def rule_set(random: Random) -> RuleSet:
    def route() -> str:
        if random.random() < 0.1:
            return "$connect"
        method = random.choice(["*", "GET", "GET", "POST", "HEAD", "DELETE", "PUT"])
        return f"{method} {random.choice(BASES)}{random.choice(['', '', '*'])}"

    def rule(default: str) -> OneRule:
        claims = random.sample(CLAIMS, random.choice([0, 1, 1, 1, 2]))
        max_age = random.choice([None, 60])
        if default == "allow" and not claims and max_age is None:
            claims = ["role"]
        fields = random.sample(FIELDS, random.choice([0, 0, 1, 2])) if default == "allow" else []
        routes = [route() for _ in range(random.randint(0 if fields else 1, 3))]
        require = {claim: random.sample(WANTED, random.choice([1, 1, 2])) for claim in claims}
        if {"role", "role.a"} <= require.keys():  # TOML cannot hold both
            del require["role.a"]
        return OneRule(routes, require, max_age, random.random() < 0.8, fields)

    default = random.choice(["allow", "deny"])
    return RuleSet([rule(default) for _ in range(random.randint(1, 4))], default, random.random() < 0.3)


def random_route(random: Random) -> tuple[str, str]:
    """A base, or a path near it, or anything; sometimes a method that API Gateway does not route."""
    parts = [*PARTS, *ODD_PARTS] if random.random() < 0.3 else PARTS
    path = random.choice(BASES)
    if random.random() < 0.6:
        path = "/".join([path.rstrip("/"), *random.choices(parts, k=random.randint(1, 2))])
    return random.choice([*METHODS, *METHODS, "TRACE", "get", "PROPFIND"]), path


def parsed(written: RuleSet) -> Rules | None:
    """None if an answer could become too large."""
    try:
        return parse_rules(written.text())
    except Misconfigured as error:
        if "is one too many" not in str(error):
            raise
        return None


def play(random: Random, shop: Shop, people: list[Caller_], counted: Counter[str]) -> None:
    """One set of rules, one caller, every kind of API."""
    written = rule_set(random)
    token, caller = random.choice(people)
    rules = parsed(written)
    if rules is None:
        counted["too large"] += 1
        return
    shop.rules = rules

    def held(kind: str, seen: object, expected: object, what: object) -> None:
        counted[f"{kind}: {expected if isinstance(expected, bool) else 'fields'}"] += 1
        assert seen == expected, (kind, what, caller, written.text())

    for shape in POLICIES:
        event, own = asked(shape, token, *random_route(random))
        policy = shop.policy(event)
        stage_arn = "/".join(own.split("/")[:2])
        for method, path in [random_route(random) for _ in range(ROUTES)]:
            held(
                "policy",
                lets(policy, f"{stage_arn}/{method}{path}"),
                written.allow(caller, method, path),
                (own, method, path),
            )
    for method, path in [random_route(random) for _ in range(ASKED)]:
        event = asked("http_v2", token, method, path)[0] | {"identitySource": None}
        held("simple", shop.answer(event)["isAuthorized"], written.allow(caller, method, path), (method, path))
    policy, connect = shop.policy(event_with("websocket", token)), event_with("websocket", "")["methodArn"]
    held("websocket", lets(policy, connect), written.connects(caller), "$connect")
    answer = shop.policy(event_with("appsync", token))
    held("appsync", answer["isAuthorized"], written.default == "allow", "Query")
    if answer["isAuthorized"]:
        fields = {"{3}.{5}".format(*arn.split("/")) for arn in answer.get("deniedFields", [])}
        held("appsync", fields, written.denied_fields(caller), "fields")


def test_every_route_gets_the_verdict_that_the_documents_state(
    make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    random = Random(1800)  # noqa: S311 - no secret
    time_.wall = float(int(time_.wall))
    policies, simple = make_sandbox(http_api_response="policy"), make_sandbox()
    shop, people, counted = Shop(policies, simple, time_), callers(hanko, random), Counter[str]()
    while sum(counted.values()) - counted["too large"] < VERDICTS:
        play(random, shop, people, counted)
        policies.output()
    print(dict(counted))  # noqa: T201 - what `make soak` is run for
    for kind in ("policy", "simple", "websocket", "appsync"):
        yes, no = counted[f"{kind}: True"], counted[f"{kind}: False"]
        assert min(yes, no) > (yes + no) / 5, kind  # nobody would learn anything from answers that are all the same


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a/*", "a/", True),
        ("a/*", "a", False),
        ("a/*", "a/b/c:d\n", True),
        ("a/?", "a//", True),
        ("a/?", "a/", False),
        ("*b*d", "abcbd", True),
        ("*b*d", "abcbde", False),
        ("*:*:a", "x:y:z:a", True),
        ("a.c", "abc", False),
        ("", "", True),
        ("", "a", False),
        ("**", "", True),
    ],
)
def test_the_matcher_itself(pattern: str, text: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert matches(pattern, text) is expected
