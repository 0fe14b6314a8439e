"""Who asks, and may they: what is a verdict, and what is none."""

import pytest
from sandbox import Sandbox

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.decision import decide
from authorizer.errors import AuthorizerError, Forbidden, Misconfigured, Reason, Unauthenticated, Unavailable
from authorizer.exchange import Decision, EventKind, Offers, Outcome, Request
from authorizer.hanko.tokens import TokenVerifier
from authorizer.rules import Rules
from authorizer.rules_source import RuleBook
from local.hanko import StandInHanko

SETTINGS = Settings.from_env({"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "localhost"})


class Failing:
    """A key source that fails."""

    def __init__(self, error: AuthorizerError) -> None:
        self._error = error

    def find(self, _kid: str) -> None:
        raise self._error


def request(token: str) -> Request:
    return Request(EventKind.REST_TOKEN, Offers(token=f"Bearer {token}"), "api", "prod", "arn", "GET", "")


def decided(token: str, error: AuthorizerError) -> Decision:
    verifier = TokenVerifier(SETTINGS, Failing(error), Clock())  # type: ignore[arg-type]  # finds nothing
    return decide(request(token), SETTINGS, verifier, RuleBook(Rules, Clock()))


def test_a_valid_session_is_allowed_under_its_user_id(sandbox: Sandbox, hanko: StandInHanko) -> None:
    token = hanko.mint(claims={"sub": "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"})
    decision = decide(request(token), sandbox.settings, sandbox.verifier, sandbox.rules)
    assert (decision.allowed, decision.outcome, decision.reason) == (True, Outcome.ALLOWED, Reason.ALLOWED)
    assert decision.principal_id == decision.context["user_id"] == "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"
    assert "user@example.com" not in repr(decision)


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (Unauthenticated(Reason.KEY_UNKNOWN), Decision(Outcome.UNAUTHENTICATED, Reason.KEY_UNKNOWN, "", {})),
        (Forbidden(Reason.NOT_A_SESSION), Decision(Outcome.FORBIDDEN, Reason.NOT_A_SESSION, "", {})),
    ],
)
def test_what_we_know_to_be_refused_is_a_denying_decision(
    hanko: StandInHanko, error: AuthorizerError, decision: Decision
) -> None:
    assert decided(hanko.mint(), error) == decision
    assert not decision.allowed


@pytest.mark.parametrize("error", [Unavailable(Reason.KEYS_UNAVAILABLE), Misconfigured(Reason.CONTEXT_INVALID)])
def test_what_is_no_answer_passes(hanko: StandInHanko, error: AuthorizerError) -> None:
    with pytest.raises(type(error)) as caught:
        decided(hanko.mint(), error)
    assert caught.value is error


def test_no_outcome_but_one_allows() -> None:
    assert [outcome for outcome in Outcome if Decision(outcome, Reason.ALLOWED).allowed] == [Outcome.ALLOWED]
