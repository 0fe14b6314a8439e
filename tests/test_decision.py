"""Who asks, and may they: what is a verdict, and what is none."""

import pytest
from sandbox import MakeSandbox, MakeSettings, Sandbox

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.decision import decide
from authorizer.errors import AuthorizerError, Misconfigured, Outcome, Reason, Unauthenticated, Unavailable
from authorizer.hanko.tokens import TokenVerifier
from authorizer.model import CheckReport, Claims, CredentialSources, Decision, EventKind, Request
from authorizer.rules.evaluation import Rules
from authorizer.rules.source import RulesProvider
from local.hanko import StandInHanko

SETTINGS = Settings.from_env({"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "localhost"})


class Failing:
    """A key source that fails."""

    def __init__(self, error: AuthorizerError) -> None:
        self._error = error

    def find(self, _kid: str) -> None:
        raise self._error


def request(token: str) -> Request:
    return Request(EventKind.REST_TOKEN, CredentialSources(token=f"Bearer {token}"), "api", "prod", "arn", "GET", "")


def decided(token: str, error: AuthorizerError) -> Decision:
    verifier = TokenVerifier(SETTINGS, Failing(error), Clock())  # type: ignore[arg-type]  # finds nothing
    return decide(request(token), SETTINGS, verifier, RulesProvider(Rules, Clock()))


def test_a_valid_session_is_allowed_under_its_user_id(sandbox: Sandbox, hanko: StandInHanko) -> None:
    token = hanko.mint(claims={"sub": "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"})
    decision = decide(request(token), sandbox.settings, sandbox.verifier, sandbox.rules)
    assert (decision.allowed, decision.outcome, decision.reason) == (True, Outcome.ALLOWED, Reason.ALLOWED)
    assert decision.principal_id == decision.context["user_id"] == "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01"
    assert "user@example.com" not in repr(decision)


def test_what_we_know_to_be_refused_is_a_denying_decision(hanko: StandInHanko) -> None:
    decision = decided(hanko.mint(), Unauthenticated(Reason.KEY_UNKNOWN))
    assert decision == Decision(Reason.KEY_UNKNOWN)
    assert not decision.allowed


@pytest.mark.parametrize("error", [Unavailable(Reason.KEYS_UNAVAILABLE), Misconfigured(Reason.RULES_INVALID)])
def test_what_is_no_answer_passes(hanko: StandInHanko, error: AuthorizerError) -> None:
    with pytest.raises(type(error)) as caught:
        decided(hanko.mint(), error)
    assert caught.value is error


# --- session checks: the world behind them is each check's own test; here it is only who is heard


ENDED = Unauthenticated(Reason.SESSION_ENDED)
REVOKED = Unauthenticated(Reason.SESSION_REVOKED)
UNCHECKED = Unavailable(Reason.SESSION_UNCHECKED)


class Check:
    """A session check that raises, or finds the session alive."""

    def __init__(self, error: AuthorizerError | None = None) -> None:
        self.error, self.asked = error, list[tuple[Claims, str]]()

    def check(self, claims: Claims, token: str) -> None:
        self.asked.append((claims, token))
        if self.error:
            raise self.error

    def seconds_left(self, claims: Claims) -> float:  # noqa: ARG002 - the name is the protocol's
        return 0

    def take_report(self) -> CheckReport:
        return CheckReport("session")


def checked(sandbox: Sandbox, token: str, *checks: Check) -> Decision:
    return decide(request(token), sandbox.settings, sandbox.verifier, sandbox.rules, checks)


def test_a_session_that_every_check_finds_alive_is_allowed(sandbox: Sandbox, hanko: StandInHanko) -> None:
    token, first, second = hanko.mint(), Check(), Check()
    assert checked(sandbox, token, first, second) == checked(sandbox, token)
    assert first.asked == second.asked == [(sandbox.verifier.verify(token), token)]


def test_nobody_is_asked_about_a_token_that_is_not_valid(sandbox: Sandbox, hanko: StandInHanko) -> None:
    check = Check()
    assert checked(sandbox, hanko.mint(claims={"aud": ["example.org"]}), check).reason is Reason.AUDIENCE_NOT_ALLOWED
    assert check.asked == []


def test_the_first_check_to_refuse_decides(sandbox: Sandbox, hanko: StandInHanko) -> None:
    second = Check(ENDED)
    assert checked(sandbox, hanko.mint(), Check(REVOKED), second) == Decision(Reason.SESSION_REVOKED)
    assert second.asked == []


def test_a_check_that_cannot_be_made_is_no_answer(sandbox: Sandbox, hanko: StandInHanko) -> None:
    with pytest.raises(Unavailable) as caught:
        checked(sandbox, hanko.mint(), Check(UNCHECKED), Check())
    assert caught.value.reason is Reason.SESSION_UNCHECKED


def test_with_allow_the_token_alone_decides_and_the_decision_says_so(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox, token = make_sandbox(session_on_outage="allow"), hanko.mint()
    for checks in ([Check(UNCHECKED)], [Check(UNCHECKED), Check()], [Check(), Check(UNCHECKED)]):
        assert checked(sandbox, token, *checks) == checked(sandbox, token)._replace(session_unchecked=True)
    assert not checked(sandbox, token, Check()).session_unchecked


def test_with_allow_a_refusal_stands_and_so_does_what_is_wrong(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox, token = make_sandbox(session_on_outage="allow"), hanko.mint()
    ended = Decision(Reason.SESSION_ENDED)
    assert checked(sandbox, token, Check(UNCHECKED), Check(ENDED)) == ended
    assert checked(sandbox, token, Check(ENDED), Check(UNCHECKED)) == ended
    with pytest.raises(Misconfigured):
        checked(sandbox, token, Check(Misconfigured(Reason.SETTINGS_INVALID)))


def test_with_allow_keys_are_still_needed(hanko: StandInHanko, make_settings: MakeSettings) -> None:
    settings = make_settings(session_on_outage="allow")
    verifier = TokenVerifier(settings, Failing(Unavailable(Reason.KEYS_UNAVAILABLE)), Clock())  # type: ignore[arg-type]  # finds nothing
    with pytest.raises(Unavailable):
        decide(request(hanko.mint()), settings, verifier, RulesProvider(Rules, Clock()), [Check()])


class Lasting(Check):
    """A check whose answer holds for a while."""

    def seconds_left(self, claims: Claims) -> float:  # noqa: ARG002 - the name is the protocol's
        return 40


def test_only_appsync_is_told_how_long_and_never_of_a_session_that_was_not_checked(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = make_sandbox(session_on_outage="allow", appsync_ttl_seconds="60")
    token = hanko.mint()
    appsync = Request(EventKind.APPSYNC, CredentialSources(token=token), "api", "", "arn", "", "")

    def seconds(one: Request, *checks: Check) -> int:
        return decide(one, sandbox.settings, sandbox.verifier, sandbox.rules, checks).reuse_seconds

    assert (seconds(appsync), seconds(appsync, Lasting())) == (60, 40)
    assert seconds(appsync, Lasting(UNCHECKED)) == 0
    assert (
        seconds(request(token))
        == seconds(request(token), Lasting())
        == seconds(request(token), Lasting(UNCHECKED))
        == 0
    )


def test_an_api_key_may_have_one_character(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = make_sandbox(usage_plan_claim="api_key")
    assert checked(sandbox, hanko.mint(claims={"api_key": "k"})).usage_key == "k"


def test_no_reason_but_one_allows() -> None:
    assert [reason for reason in Reason if Decision(reason).allowed] == [Reason.ALLOWED]
    assert [reason for reason in Reason if reason.outcome is Outcome.ALLOWED] == [Reason.ALLOWED]
