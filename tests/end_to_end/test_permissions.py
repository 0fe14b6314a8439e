"""Who may call what, through the local AWS with caching on: the right verdict on every route, in whatever order."""

import json
from collections import Counter
from itertools import permutations

import pytest

from local.calls import call_http
from local.demo import APIS
from local.deployment import Api, Deployment
from local.permissions import ASKED, CALLERS, Caller, verdict, verdicts

ORDERS = sorted(set(permutations(ASKED)))  # me twice: in any place, also behind a refusal
WITH_POLICIES = "HTTP API 2.0 with policies"


@pytest.fixture(scope="module")
def apis(deployment: Deployment, with_policies: Api) -> dict[str, Api]:
    return {**deployment.apis, WITH_POLICIES: with_policies}


def caller_called(name: str) -> Caller:
    return next(caller for caller in CALLERS if caller.name == name)


@pytest.mark.parametrize("api", [*(api for api in APIS if api != "WebSocket"), WITH_POLICIES])
@pytest.mark.parametrize("name", ["a user", "an administrator"])
def test_the_verdict_is_right_in_every_order(deployment: Deployment, apis: dict[str, Api], api: str, name: str) -> None:
    caller = caller_called(name)
    for order in ORDERS:
        token = caller.token(deployment)
        seen = {(at, what): verdict(caller, apis[api], what, token) for at, what in enumerate(order)}
        wrong = {at: str(one) for at, one in seen.items() if one and not one.passed}
        assert not wrong, order


def test_the_demo_shows_it_for_every_kind_of_api(deployment: Deployment) -> None:
    rows = [(name, list(cells)) for name, cells in verdicts(deployment)]
    assert len(rows) == len(CALLERS) * len(ASKED)
    assert [name for name, cells in rows if not all(cell is None or cell.passed for cell in cells)] == []
    assert [len([cell for cell in cells if cell]) for _, cells in rows] == [7, 5, 7, 5] * len(CALLERS)


@pytest.mark.parametrize(
    ("api", "invocations"),
    [("REST, TOKEN", 1), ("REST, REQUEST", 1), ("HTTP API 1.0", 1), ("HTTP API 2.0", 3), ("WebSocket", 2)],
)
def test_the_cache_is_on(deployment: Deployment, api: str, invocations: int) -> None:
    """One answer for all routes; for simple responses one for each route; WebSockets have no cache."""

    def lines() -> int:
        return sum('"outcome":' in line for line in deployment.aws.logs(deployment.outputs["LogGroupName"]))

    one, token, before = deployment.apis[api], deployment.hanko.mint(), lines()
    for what in ("me", "admin", "me", "pay"):
        if what in one.answers:
            one.with_header(token, what)
    assert lines() - before == invocations


@pytest.mark.parametrize("api", ["REST, TOKEN", "REST, REQUEST", "HTTP API 1.0", WITH_POLICIES, "WebSocket"])
def test_the_backend_is_told_what_the_caller_may_not(deployment: Deployment, apis: dict[str, Api], api: str) -> None:
    """The same on every route, so that a cached answer tells no other story."""
    token = caller_called("a user with a password").token(deployment)
    seen = apis[api].with_header(token).caller
    if api == "WebSocket":
        assert "rule" not in seen
        return
    assert seen["rule"] == "admins only; payments want a fresh, strong login"
    assert seen["reason"] == "rule_not_met; login_too_weak"


def test_a_step_up_refusal_has_a_reason_of_its_own(deployment: Deployment) -> None:
    reasons = Counter[str]()
    for name in ("a user with a password", "a login of ten minutes ago", "a session without amr"):
        seen = deployment.apis["REST, TOKEN"].with_header(caller_called(name).token(deployment)).caller
        reasons[seen["reason"].split("; ")[1]] += 1
    assert reasons == {"login_too_weak": 2, "login_too_old": 1}


def test_a_simple_response_for_a_catch_all_is_for_those_who_meet_every_rule(deployment: Deployment) -> None:
    """GET /{proxy+}: one answer for whatever is below it, so it is as strict as the strictest; 404 is the backend's."""
    url = f"{deployment.apis['HTTP API 2.0'].url}/anything"
    statuses = {
        name: call_http(url, {"Authorization": f"Bearer {caller_called(name).token(deployment)}"}).status
        for name in ("a user", "an administrator")
    }
    assert statuses == {"a user": 403, "an administrator": 404}


def test_the_log_line_names_the_rule(deployment: Deployment) -> None:
    deployment.apis["REST, TOKEN"].with_header(caller_called("a user").token(deployment), "admin")
    lines = [
        json.loads(line) for line in deployment.aws.logs(deployment.outputs["LogGroupName"]) if '"outcome"' in line
    ]
    assert [line["rule"] for line in lines if line["outcome"] == "forbidden"][-1] == "admins only"
