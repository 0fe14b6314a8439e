"""Every idea that we had of getting past a rule, through the whole handler and IAM's own way to read a policy.

The attacker has a genuine session of their own and is no admin. What is cached is always the answer to the most
harmless request that there is.
"""

from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from api_gateway import asked, lets
from sandbox import NOW, SESSION, USER, Json, MakeSandbox, Sandbox, Time

from authorizer.model import METHODS
from local.hanko import StandInHanko
from local.sign import event_with

RULES = """
default = "allow"
[[rule]]
name = "admins only"
routes = ["* /admin", "* /admin/*"]
fields = ["Query.admin"]
require = { role = "admin" }

[[rule]]
name = "fresh, strong login"
routes = ["POST /payments*"]
require = { amr = ["passkey"], email_verified = true }
max_age_seconds = 300
"""
POLICIES = ("rest_token", "rest_request", "http_v1", "http_v2")


@pytest.fixture
def ruled(make_sandbox: MakeSandbox) -> Sandbox:
    return make_sandbox(rules=RULES, http_api_response="policy")


@pytest.fixture
def simple(make_sandbox: MakeSandbox) -> Sandbox:
    return make_sandbox(rules=RULES)


def session(hanko: StandInHanko, **claims: Any) -> str:  # noqa: ANN401 - any JSON
    return hanko.mint(claims={"sub": USER, "session_id": SESSION, **claims})


@pytest.mark.parametrize("shape", POLICIES)
@pytest.mark.parametrize("method", METHODS)
def test_a_cached_policy_opens_no_guarded_route(shape: str, method: str, ruled: Sandbox, hanko: StandInHanko) -> None:
    """The most common hole: the cached answer for /me is reused for /admin."""
    token = session(hanko, amr=["pwd"])
    event, me = asked(shape, token, "GET", "/me")
    cached = ruled.answer(event)
    assert lets(cached, me)
    for path in ("/admin", "/admin/", "/admin/x", "/admin/x/y"):
        assert not lets(cached, asked(shape, token, method, path)[1])


@pytest.mark.parametrize("shape", POLICIES)
def test_a_cached_refusal_locks_nobody_out(shape: str, ruled: Sandbox, hanko: StandInHanko) -> None:
    """The answer to a refused route still allows the routes that the caller may use."""
    token = session(hanko, amr=["pwd"])
    event, admin = asked(shape, token, "GET", "/admin/x")
    cached = ruled.answer(event)
    assert not lets(cached, admin)
    assert lets(cached, asked(shape, token, "GET", "/me")[1])


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/%61dmin/x",
            "/admin%2Fx",
            "/admin%2fx",
            "/%2e%2e/admin",
            "/%252e/admin",
            "/admi%6e",
            "/admin%00",
            "/%C0%AF",
        ),
        *("//admin/x", "/x//admin", "/admin//x", "//", "/./admin/x", "/x/../admin/x", "/x/..", "/x/.", "/../admin"),
        *("/admin;a=b", "/admin;/x", "/x;/../admin", "/\\admin", "/x\\..\\admin", "/admin/", "/admin/x/", "/admin/a:b"),
        *("/admin/*", "/admin/?", "/admin\n", "/admin/\n", "/admin/\ud800"),
    ],
)
@pytest.mark.parametrize("shape", POLICIES)
def test_no_spelling_of_a_guarded_path_is_granted(shape: str, path: str, ruled: Sandbox, hanko: StandInHanko) -> None:
    """Gateways, frameworks and proxies read these spellings in different ways."""
    token = session(hanko, amr=["pwd"])
    cached = ruled.answer(asked(shape, token, "GET", "/me")[0])
    event, arn = asked(shape, token, "GET", path)
    if path != "/admin\n":  # for which IAM has no pattern: the next test
        assert not lets(cached, arn)
        assert not lets(ruled.answer(event), arn)


@pytest.mark.parametrize("path", ["/admin\n", "/admin\0", "/\radmin"])
def test_no_control_character_goes_around_a_rule(path: str, simple: Sandbox, hanko: StandInHanko) -> None:
    """The routes of Starlette and Powertools match before a line end."""
    answer: Any = simple.answer(asked("http_v2", session(hanko, amr=["pwd"]), "GET", path)[0])
    assert (answer["isAuthorized"], answer["context"]["reason"]) == (False, "rule_not_met")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "X-HTTP", "ANY", "$connect"])
@pytest.mark.parametrize("shape", POLICIES)
def test_no_method_that_nobody_expects_goes_around_a_rule(
    shape: str, method: str, ruled: Sandbox, hanko: StandInHanko
) -> None:
    """A method that no rule names is denied on a guarded path."""
    token = session(hanko, amr=["pwd"])
    event, arn = asked(shape, token, method, "/admin/x")
    assert not lets(ruled.answer(event), arn)
    assert not lets(ruled.answer(asked(shape, token, "GET", "/me")[0]), arn)


@pytest.mark.parametrize(
    "path", ["/*", "/me*", "/?dmin", '/"],"Effect":"Allow', "/x:a1b2c3d4e5/prod/GET/admin", "/$connect"]
)
def test_the_path_that_is_asked_for_changes_no_policy(path: str, ruled: Sandbox, hanko: StandInHanko) -> None:
    """The policy depends on the caller and the rules, so that a cached one fits every request."""
    token = session(hanko, amr=["pwd"])
    usual: Any = ruled.answer(asked("rest_request", token, "GET", "/me")[0])
    assert ruled.answer(asked("rest_request", token, "GET", path)[0]) == usual


@pytest.mark.parametrize(
    "path", ["/public/../internal", "/public/%2e%2e/internal", "/public/..;/internal", "/public//x"]
)
@pytest.mark.parametrize("shape", POLICIES)
def test_no_open_ended_grant_reaches_what_no_rule_grants(
    shape: str, path: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """A grant that ends in * does not cover a path that leaves it again."""
    rules = 'default = "deny"\n[[rule]]\nname = "everybody"\nroutes = ["* /public/*"]\n'
    sandbox = make_sandbox(rules=rules, http_api_response="policy")
    token = session(hanko)
    cached = sandbox.answer(asked(shape, token, "GET", "/public/x")[0])
    assert lets(cached, asked(shape, token, "GET", "/public/x")[1])
    assert not lets(cached, asked(shape, token, "GET", path)[1])
    assert not lets(sandbox.answer(asked(shape, token, "GET", path)[0]), asked(shape, token, "GET", path)[1])


@pytest.mark.parametrize(
    "claims",
    [
        {"role": "Admin"},
        {"role": "admin "},
        {"role": "\u0430dmin"},  # a Cyrillic a
        {"role": "administrator"},
        {"role": "user,admin"},
        {"role": "user admin"},
        {"role": '["admin"]'},
        {"role": {"admin": True}},
        {"role": [["admin"]]},
        {"role": True},
        {"role": None},
        {"Role": "admin"},
        {"metadata": {"role": "admin"}},
        {"rule": "admins only", "reason": "allowed"},
    ],
)
def test_a_claim_that_is_nearly_right_is_wrong(claims: Json, ruled: Sandbox, hanko: StandInHanko) -> None:
    """Claims are compared exactly: type, case, white space, nesting and name."""
    event, arn = asked("rest_request", session(hanko, **claims), "GET", "/admin/x")
    answer: Any = ruled.answer(event)
    assert not lets(answer, arn)
    assert answer["context"]["rule"].split("; ")[0] == "admins only"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"amr": None}, "login_too_weak"),  # a session that an administrator made
        ({"amr": "passkey!"}, "login_too_weak"),
        ({"amr": {"passkey": True}}, "login_too_weak"),
        ({"amr": ["PASSKEY"]}, "login_too_weak"),
        ({"email": {"address": "user@example.com", "is_verified": "true"}}, "rule_not_met"),
        ({"email": {"address": "user@example.com"}, "email_verified": True}, "rule_not_met"),
        ({"iat": NOW - 301}, "login_too_old"),
        ({"iat": NOW - 301, "auth_time": NOW}, "login_too_old"),
    ],
)
def test_a_login_is_as_strong_and_as_young_as_hanko_says(
    claims: Json, reason: str, ruled: Sandbox, hanko: StandInHanko
) -> None:
    """amr, email_verified and iat count only where and as Hanko writes them."""
    event, arn = asked("rest_token", session(hanko, **claims), "POST", "/payments/1")
    answer: Any = ruled.answer(event)
    assert not lets(answer, arn)
    assert answer["context"]["reason"].split("; ")[-1] == reason


def test_a_login_grows_old_while_its_token_lives(ruled: Sandbox, hanko: StandInHanko, time_: Time) -> None:
    """max_age_seconds is checked with every request."""
    event, arn = asked("rest_token", session(hanko), "POST", "/payments")
    assert lets(ruled.answer(event), arn)
    time_.advance(301)
    assert not lets(ruled.answer(event), arn)


# --- an HTTP API's simple response is a verdict on one route, and API Gateway may take it for others


def simple_event(token: str, route_key: str, path: str, sources: list[str] | None, **headers: str) -> Json:
    event = event_with("http_v2", token)
    method = route_key.split(" ", maxsplit=1)[0]
    method = method if method in METHODS else "GET"  # of ANY and $default, ARNs have the method of the request
    stage_arn = "/".join(event["routeArn"].split("/")[:2])
    event |= {"routeKey": route_key, "identitySource": sources, "routeArn": f"{stage_arn}/{method}{path}"}
    event["headers"] |= headers
    return event


def test_a_simple_response_that_is_cached_for_every_route_needs_every_rule(
    simple: Sandbox, hanko: StandInHanko
) -> None:
    """Without the route key among the identity sources, API Gateway reuses one answer for every route."""
    token = session(hanko)
    answer: Any = simple.answer(simple_event(token, "GET /me", "/me", [f"Bearer {token}"]))
    assert (answer["isAuthorized"], answer["context"]["rule"]) == (False, "admins only")
    admin = session(hanko, role="admin")
    answer = simple.answer(simple_event(admin, "GET /me", "/me", [f"Bearer {admin}"]))
    assert answer["isAuthorized"] is True


def test_with_the_route_key_among_the_sources_it_needs_the_rules_of_that_route(
    simple: Sandbox, hanko: StandInHanko
) -> None:
    """The rules count for every path that the route key can stand for."""
    token = session(hanko, amr=["pwd"])
    for route_key, path, allowed in (
        ("GET /me", "/me", True),
        ("GET /items/{id}", "/items/1", True),
        ("GET /items/{proxy+}", "/items/1", False),  # /items/../admin may hide in it
        ("GET /admin/{proxy+}", "/admin/x", False),
        ("GET /{proxy+}", "/me", False),  # the same answer would be given for /admin/x
        ("$default", "/me", False),
        ("ANY /payments", "/payments", False),  # one of them is POST
    ):
        answer: Any = simple.answer(simple_event(token, route_key, path, [f"Bearer {token}", route_key]))
        assert answer["isAuthorized"] is allowed, route_key


def test_a_policy_does_not_care_for_sources_and_neither_does_its_log_line(ruled: Sandbox, hanko: StandInHanko) -> None:
    """A policy names its routes itself, so that the identity sources do not matter."""
    token = session(hanko, amr=["pwd"])
    event = simple_event(token, "GET /{proxy+}", "/me", [f"Bearer {token}"])
    assert lets(ruled.answer(event), event["routeArn"])
    assert '"outcome":"allowed"' in ruled.output()


@pytest.mark.parametrize("route_key", ["ANY /payments", "$default", "ANY /{proxy+}"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_verdict_on_any_holds_for_post_too(route_key: str, method: str, simple: Sandbox, hanko: StandInHanko) -> None:
    """API Gateway's ARN has the method of the request, and the answer is reused for every other method of the route."""
    token = session(hanko, role="admin", amr=["pwd"])
    event = simple_event(token, route_key, "/payments", [f"Bearer {token}", route_key])
    event["routeArn"] = event["routeArn"].replace("/GET/", f"/{method}/")
    answer: Any = simple.answer(event)
    assert (answer["isAuthorized"], answer["context"]["rule"]) == (False, "fresh, strong login")
    event |= {"routeKey": f"{method} /payments", "identitySource": [f"Bearer {token}", f"{method} /payments"]}
    assert simple.answer(event)["isAuthorized"] is True  # type: ignore[index]  # an answer


def sent_as(text: str) -> list[Json]:
    """Where a client can put a text so that it may be the value of an identity source, in every encoding."""
    encoded = [
        text,
        quote(text),
        quote(text, safe=""),
        quote_plus(text),
        quote(quote_plus(text)),
        text.replace(" ", "+"),
    ]
    encoded += ["".join(f"%{byte:02x}" for byte in text.encode())]
    for _ in range(20):
        encoded.append(quote(encoded[-1], safe=""))
    return [
        place
        for one in encoded
        for place in (
            {"headers": {"x-tenant": one}},
            {"headers": {"x-tenant": f"a,{one}"}},
            {"headers": {"x-tenant": one.replace(",", ", ")}},
            {"queryStringParameters": {"tenant": one}},
            {"queryStringParameters": {"tenant": f"a,{one}"}},
            {"rawQueryString": f"tenant={one}"},
            {"cookies": [one]},
            {"cookies": ["a=b", f"x={one}"]},
            {"requestContext": {"authentication": {"clientCert": {"subjectDN": f"CN={one}"}}}},
            {"stageVariables": {"tenant": one}},
        )
    ]


CUT = {"GET /me;a", "GET /me,a"}  # where cookies, and headers sent twice, are cut and joined


@pytest.mark.parametrize("route_key", ["GET /me", "GET /me/{proxy+}", "GET /a+b", "GET /me;a", "GET /me,a"])
def test_a_client_cannot_pretend_that_the_route_key_is_a_source(
    route_key: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """With another header among the sources, the client would choose under what its answer is cached."""
    simple = make_sandbox(rules=f"allow_unusual_paths = true\n{RULES}")
    token = session(hanko)
    event = simple_event(token, route_key, "/me/x", [f"Bearer {token}", route_key])
    assert simple.answer(event)["isAuthorized"] is (route_key not in CUT)  # type: ignore[index]  # an answer
    for sent in sent_as(route_key):
        (name,) = sent
        there = event.get(name)
        pretended = {**event, name: there | sent[name] if isinstance(there, dict) else sent[name]}
        answer: Any = simple.answer(pretended)
        assert answer["isAuthorized"] is False, sent


@pytest.mark.parametrize("sources", ["GET /me", {"routeKey": "GET /me"}, 7, True, ["GET /ME"], [["GET /me"]], [None]])
def test_sources_that_make_no_sense_are_the_widest(sources: Any, simple: Sandbox, hanko: StandInHanko) -> None:  # noqa: ANN401 - any JSON
    """An unreadable list of identity sources is treated as if the answer were cached for every route."""
    assert isinstance(answer := simple.answer(simple_event(session(hanko), "GET /me", "/me", sources)), dict)
    assert answer["isAuthorized"] is False


@pytest.mark.parametrize("path", ["/%61dmin/x", "//admin", "/x/../admin/x", "/admin/x", "/admin;x"])
def test_without_any_source_nothing_is_cached_and_the_path_itself_decides(
    path: str, simple: Sandbox, hanko: StandInHanko
) -> None:
    """Without identity sources API Gateway caches nothing, and the answer is for this path alone."""
    token = session(hanko)
    for asked_path, allowed in (("/me", True), (path, False)):
        answer: Any = simple.answer(simple_event(token, "GET /{proxy+}", asked_path, None))
        assert answer["isAuthorized"] is allowed


# --- AppSync


@pytest.mark.parametrize("query", ["{ admin }", "query { me: admin }", "fragment f on Query { admin } { ...f }", ""])
def test_no_query_goes_around_a_denied_field(query: str, ruled: Sandbox, hanko: StandInHanko) -> None:
    """The field is denied whatever the query calls it: AppSync looks at what it resolves."""
    event = event_with("appsync", session(hanko))
    event["requestContext"]["queryString"] = query
    answer: Any = ruled.answer(event)
    assert [arn.split("/types/")[1] for arn in answer["deniedFields"]] == ["Query/fields/admin"]


def test_nothing_of_path_or_claims_reaches_the_log(ruled: Sandbox, hanko: StandInHanko) -> None:
    """A refusal by a rule logs the name of the rule."""
    token = session(hanko, role="a-secret-role")
    ruled.answer(asked("rest_request", token, "GET", "/admin/a-secret-path")[0])
    output = ruled.output()
    assert '"rule":"admins only"' in output
    assert "a-secret" not in output


# --- channels of Event APIs

INBOXES = """
default = "allow"
[[rule]]
name = "own inbox"
channels = ["SUBSCRIBE /inbox/{user_id}/*", "PUBLISH /inbox/{user_id}/*"]
"""
OTHER = "11111111-2222-4333-8444-555555555555"


@pytest.mark.parametrize("default", ["allow", "deny"])
@pytest.mark.parametrize(
    "channel",
    [
        "/*",
        "*",
        "/inbox/*",
        "inbox/*",
        f"/inbox/{OTHER}/*",
        f"/inbox/{OTHER}/mail",
        f"inbox/{OTHER}/mail/",
        f"//inbox/{OTHER}/mail",
        f"/inbox//{OTHER}/mail",
        f"/inbox/./{OTHER}/mail",
        f"/inbox/{USER}/../{OTHER}/mail",
        f"/inbox/{USER}/*/{OTHER}",
        "/inbox/*/mail",
        f"/%69nbox/{OTHER}/mail",
        f"/inbox/{OTHER[:-1]}%35/mail",
        f"/inbox\\{OTHER}\\mail",
        f"/inbox/{OTHER}/mail\0",
        f"\n/inbox/{OTHER}/mail",
        "/inbox/{user_id}/mail",
        "/inbox/**",
        "",
    ],
)
def test_a_channel_of_somebody_else_however_it_is_spelt(
    channel: str, default: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """A wildcard above one's own inbox would read everybody's."""
    sandbox = make_sandbox(rules=INBOXES.replace('"allow"', f'"{default}"'), appsync_ttl_seconds="300")
    for operation in ("subscribe", "publish"):
        event = event_with(f"appsync_events_{operation}", session(hanko))
        event["requestContext"]["channel"] = channel
        answer = sandbox.answer(event)
        assert isinstance(answer, dict)
        assert (answer["isAuthorized"], "handlerContext" in answer) == (False, False)


def test_a_namespace_that_differs_from_the_channels_changes_nothing(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """The channel decides, whatever the event says its namespace is."""
    sandbox = make_sandbox(rules=INBOXES)
    event = event_with("appsync_events_subscribe", session(hanko))
    event["requestContext"] |= {"channel": f"/inbox/{OTHER}/mail", "channelNamespaceName": "chat"}
    assert sandbox.answer(event) == {"isAuthorized": False, "ttlOverride": 0}
