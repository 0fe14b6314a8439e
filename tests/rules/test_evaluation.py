"""Who may call what: verdicts, and policies that say the same of every route, whatever route they were issued for."""

import math
from dataclasses import replace
from typing import Any

import pytest
from api_gateway import lets
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authorizer.errors import Reason
from authorizer.gateway.iam import policy
from authorizer.model import (
    METHODS,
    Claims,
    CredentialSources,
    Decision,
    EventKind,
    Grant,
    Request,
    RulesResult,
    Scope,
)
from authorizer.rules.evaluation import MAX_UNMET_RULES_CHARACTERS, Caller, Requirement, Rule, Rules
from authorizer.rules.parser import parse_rules
from authorizer.rules.routes import UNUSUAL_PATHS, Route

STAGE_ARN = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod"
NOW = 1_800_000_000.0
ADMINS = """
default = "allow"
[[rule]]
name = "admins only"
routes = ["* /admin", "* /admin/*"]
fields = ["Query.admin"]
require = { role = "admin" }

[[rule]]
name = "payments want a fresh, strong login"
routes = ["POST /payments*"]
fields = ["Mutation.pay", "Query.admin"]
require = { amr = ["passkey", "security_key"], email_verified = true }
max_age_seconds = 300

[[rule]]
name = "people only"
routes = ["$connect"]
require = { amr = ["passkey", "pwd"] }
"""
GRANTS = """
default = "deny"
[[rule]]
name = "everybody"
routes = ["GET /me", "* /items/*", "$connect"]

[[rule]]
name = "admins only"
routes = ["* /admin/*", "GET /items/secret/*"]
require = { role = "admin" }
"""


def caller(age_seconds: float = 10, **payload: Any) -> Claims:  # noqa: ANN401 - any JSON
    return Claims("user", "session", NOW - age_seconds, NOW + 3600, payload)


USER = caller(amr=["pwd"], email={"address": "user@example.com", "is_verified": True})
ADMIN = caller(role="admin", amr=["passkey"], email={"is_verified": True})


def request(method: str = "GET", path: str = "/me", kind: EventKind = EventKind.REST_TOKEN) -> Request:
    return Request(kind, CredentialSources(), "a1b2c3d4e5", "prod", STAGE_ARN, method, "id", path)


CONNECT = request("$connect", "", EventKind.WEBSOCKET)
GRAPHQL = request("", "", EventKind.APPSYNC)


def judged(rules: str, claims: Claims, one: Request) -> RulesResult:
    return parse_rules(rules).evaluate(one, claims, NOW)


def verdict(rules: str, claims: Claims, method: str, path: str) -> tuple[Reason, str]:
    judgement = judged(rules, claims, request(method, path))
    return judgement.reason, judgement.rule


# --- does the caller meet a rule?


@pytest.mark.parametrize(
    ("asked", "claim", "met"),
    [
        ("admin", "admin", True),
        ("admin", "Admin", False),
        ("admin", " admin", False),
        ("admin", "administrator", False),
        ("admin", ["user", "admin"], True),
        ("admin", ["user"], False),
        ("admin", [["admin"]], False),
        ("admin", "user admin", False),
        ("admin", {"admin": True}, False),
        ("admin", None, False),
        ("admin", True, False),
        ("", "", False),  # an empty text is an absent claim
        ("", [""], False),
        ("", None, False),
        (True, True, True),
        (True, 1, False),
        (True, 1.0, False),
        (True, "true", False),
        (True, [True], True),
        (False, False, True),
        (False, 0, False),
        (False, None, False),
        (False, "", False),
        (1, 1, True),
        (1, 1.0, True),
        (1, True, False),
        (1, [True], False),
        (1, "1", False),
        (0, False, False),
        (0.5, 0.5, True),
        ("1", 1, False),
    ],
)
def test_a_claim_is_equal_or_contains_it_and_never_of_another_type(asked: Any, claim: object, met: bool) -> None:  # noqa: ANN401, FBT001 - any scalar; pytest passes it by name
    assert Requirement(("role",), (asked,)).is_met(Caller(caller(role=claim), NOW)) is met
    assert Requirement(("role",), ("something else", asked)).is_met(Caller(caller(role=claim), NOW)) is met
    assert Requirement(("a", "b"), (asked,)).is_met(Caller(caller(a={"b": claim}), NOW)) is met


@pytest.mark.parametrize(
    "payload", [{}, {"a": None}, {"a": "b"}, {"a": {}}, {"a": {"c": 1}}, {"a": [{"b": 1}]}, {"a.b": 1}]
)
def test_a_path_that_leads_nowhere_is_not_met(payload: dict[str, Any]) -> None:
    assert not Requirement(("a", "b"), (1,)).is_met(Caller(caller(**payload), NOW))


@pytest.mark.parametrize(
    "email", [None, {}, {"is_verified": "true"}, {"is_verified": 1}, "x@example.com", {"is_verified": False}]
)
def test_an_address_is_verified_only_if_hanko_says_so_and_not_a_claim_of_that_name(email: object) -> None:
    claims = caller(amr=["passkey"], email=email, email_verified=True)
    assert verdict(ADMINS, claims, "POST", "/payments") == (Reason.RULE_NOT_MET, "payments want a fresh, strong login")


def test_a_login_may_be_as_old_as_the_rule_says() -> None:
    strong = {"amr": ["passkey"], "email": {"is_verified": True}}
    for age, reason in (
        (0, Reason.ALLOWED),
        (300, Reason.ALLOWED),
        (300.001, Reason.LOGIN_TOO_OLD),
        (-5, Reason.ALLOWED),
    ):
        assert verdict(ADMINS, caller(age, **strong), "POST", "/payments")[0] is reason


@pytest.mark.parametrize(
    ("payload", "age", "reason"),
    [
        ({}, 10, Reason.RULE_NOT_MET),
        ({"email": {"is_verified": True}}, 10, Reason.LOGIN_TOO_WEAK),  # an administrator's session has no amr
        ({"email": {"is_verified": True}, "amr": []}, 10, Reason.LOGIN_TOO_WEAK),
        ({"email": {"is_verified": True}, "amr": "passkey-ish"}, 10, Reason.LOGIN_TOO_WEAK),
        ({"email": {"is_verified": True}, "amr": ["pwd", "otp"]}, 1000, Reason.LOGIN_TOO_WEAK),
        ({"email": {"is_verified": True}, "amr": ["pwd", "security_key"]}, 1000, Reason.LOGIN_TOO_OLD),
        ({"amr": ["pwd"]}, 1000, Reason.RULE_NOT_MET),  # what no new login mends goes first
    ],
)
def test_a_step_up_has_its_own_reason(payload: dict[str, Any], age: float, reason: Reason) -> None:
    assert verdict(ADMINS, caller(age, **payload), "POST", "/payments/1")[0] is reason


# --- which routes does it guard?


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/x", "/admin/x/y", "/admin/a:b", "/admin/x*", "/admin/?"])
def test_a_guarded_route_is_refused_to_whom_the_rule_is_not_met_alone(method: str, path: str) -> None:
    assert verdict(ADMINS, USER, method, path) == (Reason.RULE_NOT_MET, "admins only")
    assert verdict(ADMINS, ADMIN, method, path) == (Reason.ALLOWED, "")


@pytest.mark.parametrize(
    "path", ["/", "/me", "/administrator", "/x/admin", "/x/admin/y", "/Admin", "/ADMIN/x", "/adminx/y"]
)
def test_other_routes_are_not(path: str) -> None:
    """/Admin is another path to API Gateway, see docs/rules.md; /x/admin must not be swallowed by a method's *."""
    assert verdict(ADMINS, USER, "GET", path) == (Reason.ALLOWED, "")


def test_methods_count() -> None:
    assert verdict(ADMINS, USER, "GET", "/payments") == (Reason.ALLOWED, "")
    assert verdict(ADMINS, USER, "POST", "/paymentsfoo") == (
        Reason.LOGIN_TOO_WEAK,
        "payments want a fresh, strong login",
    )


HEADS = """
default = "allow"
[[rule]]
name = "a"
routes = ["GET /x*", "POST /y"]
require = { role = "admin" }
"""


def test_a_rule_for_get_guards_head_with_it() -> None:
    """Frameworks run the code of GET for HEAD, and its answer tells what is there."""
    for method in ("GET", "HEAD"):
        assert verdict(HEADS, USER, method, "/x/1") == (Reason.RULE_NOT_MET, "a")
        assert verdict(HEADS, ADMIN, method, "/x/1") == (Reason.ALLOWED, "")
    assert verdict(HEADS, USER, "HEAD", "/y") == (Reason.ALLOWED, "")


def test_a_rule_can_leave_head_alone() -> None:
    rules = f"{HEADS}guard_head = false\n"
    assert verdict(rules, USER, "GET", "/x/1") == (Reason.RULE_NOT_MET, "a")
    assert verdict(rules, USER, "HEAD", "/x/1") == (Reason.ALLOWED, "")


def test_a_grant_of_get_is_none_of_head() -> None:
    assert verdict(GRANTS, USER, "GET", "/me") == (Reason.ALLOWED, "")
    assert verdict(GRANTS, USER, "HEAD", "/me") == (Reason.NO_RULE_GRANTS, "")
    assert verdict(GRANTS, USER, "HEAD", "/items/secret/1") == (Reason.RULE_NOT_MET, "admins only")


UNUSUAL = [
    "/%61dmin/x",
    "/admin%2Fx",
    "//admin/x",
    "/x//y",
    "/./admin/x",
    "/x/../admin/x",
    "/x/..",
    "/x/.",
    "/admin;a=b/x",
    "/a\\b",
    "/admin\n",
    "/admin\0x",
    "/x\x7f",
]


@pytest.mark.parametrize("path", UNUSUAL)
def test_a_path_that_could_be_read_as_another_is_guarded_by_every_rule(path: str) -> None:
    assert verdict(ADMINS, USER, "GET", path)[0] is not Reason.ALLOWED
    assert verdict(GRANTS, USER, "GET", f"/items{path}")[0] is not Reason.ALLOWED
    assert verdict(ADMINS, ADMIN, "GET", path)[0] is Reason.ALLOWED
    assert verdict(f"allow_unusual_paths = true\n{ADMINS}", USER, "GET", path)[0] is Reason.ALLOWED


@pytest.mark.parametrize("path", ["", "admin"])
def test_a_path_that_is_not_known_is_guarded_by_every_rule_whatever_may_pass(path: str) -> None:
    """The library has none where frameworks read a path in different ways, and no rule could name it."""
    for spellings in ("", "allow_unusual_paths = true\n"):
        assert verdict(spellings + ADMINS, USER, "GET", path)[0] is Reason.RULE_NOT_MET
        assert verdict(spellings + ADMINS, ADMIN, "GET", path)[0] is Reason.ALLOWED
        assert verdict(spellings + GRANTS, ADMIN, "GET", path)[0] is Reason.NO_RULE_GRANTS


@pytest.mark.parametrize(
    "path", [one.replace("/admin", "/items") for one in UNUSUAL] + [f"/items{one}" for one in UNUSUAL]
)
def test_with_deny_nothing_spelt_unusually_is_granted_to_anybody(path: str) -> None:
    """Under an open-ended grant, /items/../admin would be what no rule grants."""
    for claims in (USER, ADMIN):
        assert verdict(GRANTS, claims, "GET", path)[0] is not Reason.ALLOWED
    assert verdict(f"allow_unusual_paths = true\n{GRANTS}", ADMIN, "GET", "/items/../x") == (Reason.ALLOWED, "")


@pytest.mark.parametrize("route", ["/admin", "/admin/"])
def test_a_slash_at_the_end_of_a_rule_makes_no_difference_to_what_it_guards(route: str) -> None:
    rules = f"default = 'allow'\n[[rule]]\nname = 'a'\nroutes = ['* {route}']\nrequire = {{ role = 'admin' }}"
    for path in ("/admin", "/admin/"):
        assert verdict(rules, USER, "GET", path) == (Reason.RULE_NOT_MET, "a")
    assert verdict(rules, USER, "GET", "/admin/x") == (Reason.ALLOWED, "")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "PROPFIND", "ANY", "*", "$connect"])
def test_a_method_that_is_none_is_guarded_by_every_rule(method: str) -> None:
    assert verdict(ADMINS, USER, method, "/me")[0] is not Reason.ALLOWED
    assert verdict(ADMINS, ADMIN, method, "/me")[0] is Reason.ALLOWED


# --- default = "deny"


@pytest.mark.parametrize(
    ("claims", "method", "path", "expected"),
    [
        (USER, "GET", "/me", (Reason.ALLOWED, "")),
        (USER, "POST", "/me", (Reason.NO_RULE_GRANTS, "")),
        (USER, "GET", "/me/", (Reason.NO_RULE_GRANTS, "")),
        (USER, "GET", "/me/x", (Reason.NO_RULE_GRANTS, "")),
        (USER, "PUT", "/items/1", (Reason.ALLOWED, "")),
        (USER, "GET", "/items", (Reason.NO_RULE_GRANTS, "")),
        (USER, "GET", "/items/secret/1", (Reason.RULE_NOT_MET, "admins only")),
        (USER, "PUT", "/items/secret/1", (Reason.ALLOWED, "")),
        (USER, "GET", "/admin/x", (Reason.RULE_NOT_MET, "admins only")),
        (USER, "GET", "/", (Reason.NO_RULE_GRANTS, "")),
        (ADMIN, "GET", "/items/secret/1", (Reason.ALLOWED, "")),
        (ADMIN, "DELETE", "/admin/x", (Reason.ALLOWED, "")),
        (ADMIN, "GET", "/other", (Reason.NO_RULE_GRANTS, "")),
        (ADMIN, "TRACE", "/admin/x", (Reason.NO_RULE_GRANTS, "")),
    ],
)
def test_with_deny_only_what_a_met_rule_names_is_granted(
    claims: Claims, method: str, path: str, expected: tuple[Reason, str]
) -> None:
    assert verdict(GRANTS, claims, method, path) == expected


def test_with_deny_and_no_rule_nothing_is_granted() -> None:
    judgement = judged('default = "deny"', ADMIN, request())
    assert (judgement.reason, judgement.grant) == (Reason.NO_RULE_GRANTS, Grant((), ("*",)))


# --- WebSocket and AppSync


def test_connect_is_a_route_of_its_own() -> None:
    nobody = caller()
    assert judged(ADMINS, USER, CONNECT).grant == Grant(("*",))
    refused = judged(ADMINS, nobody, CONNECT)
    assert (refused.reason, refused.rule, refused.grant) == (Reason.LOGIN_TOO_WEAK, "people only", Grant((), ("*",)))
    assert refused.unmet_rules == {
        "rule": "people only",
        "reason": "login_too_weak",
    }  # the other rules do not concern it
    assert judged(GRANTS, USER, CONNECT).reason is Reason.ALLOWED
    assert judged('default = "deny"', USER, CONNECT).reason is Reason.NO_RULE_GRANTS


def test_appsync_is_told_which_fields_to_deny() -> None:
    judgement = judged(ADMINS, USER, GRAPHQL)
    assert (judgement.reason, judgement.rule) == (Reason.ALLOWED, "")
    assert judgement.grant.denied_fields == ("Query.admin", "Mutation.pay")
    assert judged(ADMINS, ADMIN, GRAPHQL).grant.denied_fields == ()


def test_appsync_knows_no_other_way_to_deny_what_no_rule_grants() -> None:
    for claims in (USER, ADMIN):
        assert judged(GRANTS, claims, GRAPHQL).reason is Reason.NO_RULE_GRANTS


# --- what is told


def test_the_same_is_told_whatever_route_was_asked_for() -> None:
    paths = ("/me", "/admin/x", "/payments", "/%61")
    unmet_rules = [judged(ADMINS, USER, request("POST", path)) for path in paths]
    assert {str(one.unmet_rules) for one in unmet_rules} == {
        "{'rule': 'admins only; payments want a fresh, strong login', 'reason': 'rule_not_met; login_too_weak'}"
    }
    assert len({one.grant for one in unmet_rules}) == 1
    assert judged(ADMINS, ADMIN, request()).unmet_rules == {}


def test_more_than_fits_is_counted() -> None:
    rule = Rule("x" * 64, (Route(METHODS, "/", open_ended=True),), (), (Requirement(("role",), ("admin",)),), None)
    rules = Rules(tuple(replace(rule, name=f"{'x' * 60}{number}") for number in range(100)))
    unmet_rules = rules.evaluate(request(), USER, NOW).unmet_rules
    assert unmet_rules["rule"].endswith("; and 94 more")
    assert unmet_rules["reason"] == "; ".join(["rule_not_met"] * 6 + ["and 94 more"])
    assert sum(map(len, unmet_rules.values())) < MAX_UNMET_RULES_CHARACTERS + 40


# --- an HTTP API's simple response, which may be taken for other routes


def scoped(rules: str, claims: Claims, path: str, scope: Scope) -> Reason:
    one = request("GET", path, EventKind.HTTP_API_V2)._replace(scope=scope)
    return judged(rules, claims, one).reason


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope(("GET",), "/me", open_ended=False), True),
        (Scope(("GET",), "/items/", open_ended=True), True),
        (Scope(("GET",), "/", open_ended=True), False),  # GET /{proxy+}: /admin is below it
        (Scope(("GET",), "/adm", open_ended=True), False),
        (Scope(("GET",), "/admin/users/", open_ended=True), False),
        (Scope(("GET",), "/admin", open_ended=False), False),
        (Scope(("GET",), "/admin/", open_ended=False), False),
        (Scope(METHODS, "/payments", open_ended=False), False),  # ANY /payments
        (Scope(("GET",), "/payments", open_ended=False), True),
        (Scope(METHODS, "/", open_ended=True), False),  # cached for every route
        (Scope(("GET",), "/items/", open_ended=True, greedy=True), False),  # /items/../admin may hide in it
    ],
)
def test_it_must_hold_for_everything_that_it_may_be_taken_for(scope: Scope, allowed: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    assert (scoped(ADMINS, USER, scope.path, scope) is Reason.ALLOWED) is allowed
    assert scoped(ADMINS, ADMIN, scope.path, scope) is Reason.ALLOWED


def test_the_path_itself_counts_too() -> None:
    assert scoped(ADMINS, USER, "/admin/x", Scope(("GET",), "/me", open_ended=False)) is Reason.RULE_NOT_MET


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope(("GET",), "/me", open_ended=False), True),
        (Scope(METHODS, "/me", open_ended=False), False),
        (Scope(("PUT",), "/items/", open_ended=True), True),
        (Scope(("PUT",), "/items/", open_ended=True, greedy=True), False),
        (Scope(("GET",), "/items/", open_ended=True), False),  # /items/secret/ is below it
        (Scope(METHODS, "/", open_ended=True), False),
        (Scope(("GET",), "/me", open_ended=True), False),
    ],
)
def test_with_deny_all_of_it_must_be_granted(scope: Scope, allowed: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    one = request(scope.methods[0], scope.path, EventKind.HTTP_API_V2)._replace(scope=scope)
    assert (judged(GRANTS, USER, one).reason is Reason.ALLOWED) is allowed


# --- the policy says the same as the rules, for every route, whatever route it was issued for

SEGMENTS = ["", "a", "b", "admin", "%61", ".", "..", "a:b", "a;b", "A", "*", "?", "a*"]
paths = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
plain = st.lists(st.sampled_from(["a", "b", "admin", "a:b", "A"]), max_size=3).map(lambda parts: "/" + "/".join(parts))
routes = st.builds(
    Route,
    st.sampled_from([METHODS, ("GET",), ("POST",), ("GET", "DELETE")]),
    st.one_of(plain, plain.map(lambda path: path.rstrip("/") + "/")),
    st.booleans(),
)
claim_values = st.sampled_from(["admin", "user", True, 1, None, ["admin", "user"], [], {"a": "admin"}])
requirements = st.builds(
    Requirement,
    st.sampled_from([("role",), ("a",), ("role", "a"), ("amr",)]),
    st.lists(st.sampled_from(["admin", "user", True, 1]), min_size=1, max_size=2).map(tuple),
)
one_rule = st.builds(
    Rule,
    st.sampled_from(["one", "two", "three"]),
    st.lists(routes, min_size=1, max_size=3).map(tuple),
    st.just(()),
    st.lists(requirements, max_size=2).map(tuple),
    st.sampled_from([None, 5, 100]),
)
rule_sets = st.builds(Rules, st.lists(one_rule, max_size=4).map(tuple), st.booleans(), st.booleans())
payloads = st.dictionaries(st.sampled_from(["role", "a", "amr"]), claim_values)
asked = st.tuples(st.sampled_from([*METHODS, "TRACE", "get"]), paths)


@settings(max_examples=500, deadline=None)
@given(rules=rule_sets, payload=payloads, issued_for=asked, asked_for=st.lists(asked, min_size=1, max_size=5))
@example(
    rules=parse_rules(ADMINS), payload={}, issued_for=("GET", "/me"), asked_for=[("GET", "/admin"), ("GET", "/x/admin")]
)
def test_a_policy_gives_the_rules_verdict_on_every_route_whatever_route_it_was_issued_for(
    rules: Rules, payload: dict[str, Any], issued_for: tuple[str, str], asked_for: list[tuple[str, str]]
) -> None:
    claims = caller(**payload)
    judgement = rules.evaluate(request(*issued_for), claims, NOW)
    decision = Decision(judgement.reason, "user", {}, grant=judgement.grant)
    document = policy(request(*issued_for), decision)
    for method, path in [issued_for, *asked_for]:
        expected = rules.evaluate(request(method, path), claims, NOW).reason is Reason.ALLOWED
        assert lets(document, f"{STAGE_ARN}/{method}{path}") is expected, (method, path)


@given(
    rules=rule_sets,
    payload=payloads,
    methods=st.sampled_from([METHODS, ("GET",)]),
    path=paths,
    open_ended=st.booleans(),
    rest=paths,
)
def test_a_simple_response_never_allows_what_the_rules_refuse_elsewhere_in_its_scope(  # noqa: PLR0913, PLR0917 - drawn
    rules: Rules,
    payload: dict[str, Any],
    methods: tuple[str, ...],
    path: str,
    open_ended: bool,  # noqa: FBT001 - drawn
    rest: str,
) -> None:
    scope = Scope(methods, path, open_ended)
    claims = caller(**payload)
    one = request("GET", path, EventKind.HTTP_API_V2)._replace(scope=scope)
    if rules.evaluate(one, claims, NOW).reason is Reason.ALLOWED:
        usual = replace(rules, allow_unusual_paths=True)  # what no scope can see: docs/rules.md says so
        other = path + rest if open_ended else path
        assert all(usual.evaluate(request(method, other), claims, NOW).reason is Reason.ALLOWED for method in methods)


# --- the grant, pattern by pattern


def granted(rules: str, claims: Claims, one: Request | None = None) -> Grant:
    return judged(rules, claims, one or request()).grant


OPEN_TO_ALL = """
default = "deny"
[[rule]]
name = "everybody"
routes = ["GET /me", "$connect"]
"""


def test_a_denying_set_grants_what_its_rules_name_but_for_a_websockets_route() -> None:
    assert granted(OPEN_TO_ALL, USER) == Grant(("GET/me",), UNUSUAL_PATHS)


def test_unusual_paths_are_denied_unless_the_rules_allow_them() -> None:
    assert granted("allow_unusual_paths = true\n" + OPEN_TO_ALL, USER) == Grant(("GET/me",))
    assert granted("allow_unusual_paths = true\n" + ADMINS, USER).denied
    assert not set(granted("allow_unusual_paths = true\n" + ADMINS, USER).denied) & set(UNUSUAL_PATHS)


def test_an_answer_stays_right_until_the_first_login_is_too_old() -> None:
    rules = 'default = "allow"\n' + "".join(
        f'[[rule]]\nname = "{age}"\nroutes = ["GET /{age}"]\nmax_age_seconds = {age}\n' for age in (300, 200, 400)
    )
    assert judged(rules, caller(age_seconds=50), request()).seconds_left == 150


def test_rules_that_name_no_channel_leave_an_answer_about_one_as_long_as_the_token() -> None:
    channel = request("CONNECT", "", EventKind.APPSYNC_EVENTS)
    assert judged(ADMINS, USER, channel).seconds_left == math.inf


def test_a_short_stage_name_leaves_the_claims_all_their_room() -> None:
    """STAGE_CHARACTERS are counted already; each further one costs a byte in each pattern."""
    rules = parse_rules(OPEN_TO_ALL)
    room = [rules.evaluate(request()._replace(stage="s" * length), USER, NOW).context_bytes for length in (4, 10, 11)]
    assert room == [rules.context_bytes, rules.context_bytes, rules.context_bytes - 1 - len(UNUSUAL_PATHS)]


def told_of(names: list[str]) -> str:
    rules = [f'[[rule]]\nname = "{name}"\nroutes = ["GET /x"]\nrequire = {{ role = "admin" }}\n' for name in names]
    return judged('default = "allow"\n' + "".join(rules), USER, request()).unmet_rules["rule"]


def test_unmet_rules_are_named_up_to_the_last_character_of_their_room() -> None:
    """Each takes its name, its reason and two separators: 50 characters of 500."""
    names = [f"rule {number:02} of exactly {'x' * 15}" for number in range(10)]
    assert [len(name) + len(Reason.RULE_NOT_MET) + 2 * len("; ") for name in names] == [50] * 10
    assert told_of(names) == "; ".join(names)
    assert told_of([*names[:9], names[9] + "y"]) == "; ".join([*names[:9], "and 1 more"])
    assert told_of([*names, "z"]) == "; ".join([*names, "and 1 more"])
