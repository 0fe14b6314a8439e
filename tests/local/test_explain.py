"""`make explain` and `make check-token`: the number of the check that decided, and no token on the screen."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from authorizer.config import Settings
from authorizer.errors import Outcome, Reason
from local import explain as command
from local.build import ROOT
from local.command_line import CommandFailed
from local.explanation import CHECK_OF_FUNCTION, CHECK_OF_REASON, CHECKS, State, explain
from local.hanko import StandInHanko
from local.sign import DEFECTS, event_with, token_with

NO_RULES, RULES = ROOT / "rules.toml", ROOT / "examples" / "rules.toml"
AUDIENCE, ISSUER = "example.com", "https://hanko.example.com"
FAILS = {
    "none": None, "expired": 8, "not_yet_valid": 8, "wrong_audience": 9, "wrong_issuer": 11, "webhook": 11,
    "passkey_server": 11, "tampered": 6, "alg_none": 2, "hs256": 3, "unknown_kid": 5, "no_session_id": 12, "no_exp": 8,
    "missing": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def hanko() -> Iterator[StandInHanko]:
    with StandInHanko(audience=AUDIENCE, issuer=ISSUER) as started:
        yield started


def settings_of(hanko: StandInHanko, **more: str) -> Settings:
    return Settings.from_env({"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": AUDIENCE, "HANKO_ISSUER": ISSUER, **more})


def failed(states: tuple[Any, ...]) -> int | None:
    return next((step.number for step in states if step.state is State.FAILED), None)


def test_the_checks_are_those_of_security_md() -> None:
    numbers = re.findall(r"^\| (\d+) \|", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert list(CHECKS) == list(map(int, numbers))


def test_every_reason_to_refuse_a_session_has_its_check() -> None:
    """A webhook's reasons, those of the library's own and mistakes of the deployment have none."""
    of_webhooks = {Reason.WEBHOOK_MALFORMED, Reason.METHOD_NOT_ALLOWED, Reason.BODY_TOO_LARGE, Reason.NOT_A_WEBHOOK}
    others = {*of_webhooks, Reason.INTERNAL, Reason.REVOCATION_UNWRITTEN, Reason.ORIGIN_NOT_ALLOWED}
    refusing = {
        one for one in Reason if one.outcome in (Outcome.UNAUTHENTICATED, Outcome.FORBIDDEN, Outcome.UNAVAILABLE)
    }
    assert refusing - CHECK_OF_REASON.keys() - CHECK_OF_FUNCTION.keys() == others


def test_every_function_that_tells_checks_apart_exists() -> None:
    """They are named in the table by their text: a renamed one would no longer be found."""
    code = "".join(path.read_text() for path in (ROOT / "authorizer" / "hanko").glob("*.py"))
    named = {function for functions in CHECK_OF_FUNCTION.values() for function in functions}
    assert {function for function in named if f"def {function}(" not in code} == set()


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_check_that_failed_is_named(defect: str, hanko: StandInHanko) -> None:
    """Those before it passed or are off, those after it were not reached."""
    told = explain(event_with("rest_request", token_with(defect, hanko)), settings_of(hanko), NO_RULES)
    number = FAILS[defect]
    assert failed(told.steps) == number
    states = {step.number: step.state for step in told.steps}
    before = {states[one] for one in states if number is None or one < number}
    assert before <= {State.PASSED, State.OFF}
    assert {states[one] for one in states if number is not None and one > number} <= {State.NOT_REACHED}
    assert told.allowed == (number is None)


MALFORMED = {
    "two parts": ("a.b", 2),
    "a header that is no JSON": ("YQ.YQ.YQ", 4),
    "another member in the header": ({"x5u": "https://example.com"}, 4),
}


@pytest.mark.parametrize(("given", "number"), MALFORMED.values(), ids=MALFORMED)
def test_checks_that_share_a_reason_are_told_apart(given: Any, number: int, hanko: StandInHanko) -> None:  # noqa: ANN401 - a text or a header
    token = given if isinstance(given, str) else hanko.mint(header=given)
    assert failed(explain(event_with("http_v2", token), settings_of(hanko), NO_RULES).steps) == number


@pytest.mark.parametrize(("claims", "number"), [({"aud": 1}, 9), ({"aud": None}, 9), ({"exp": "soon"}, 8)])
def test_claims_of_another_type_are_told_apart(claims: dict[str, Any], number: int, hanko: StandInHanko) -> None:
    told = explain(event_with("http_v2", hanko.mint(claims=claims)), settings_of(hanko), NO_RULES)
    assert (told.reason, failed(told.steps)) == (Reason.CLAIMS_MALFORMED, number)


def test_a_header_that_is_no_bearer_token_fails_check_1(hanko: StandInHanko) -> None:
    event = event_with("rest_token", "x")
    event["authorizationToken"] = "Basic dXNlcjpwYXNz"
    told = explain(event, settings_of(hanko), NO_RULES)
    assert (told.reason, failed(told.steps)) == (Reason.TOKEN_MALFORMED, 1)


def test_an_event_that_no_api_sends_reaches_no_check(hanko: StandInHanko) -> None:
    told = explain({"type": "OTHER"}, settings_of(hanko), NO_RULES)
    assert {step.state for step in told.steps} == {State.NOT_REACHED}


def test_a_rule_that_is_not_met(hanko: StandInHanko) -> None:
    event = event_with("rest_request", hanko.mint())
    event["path"] = "/admin"
    event["methodArn"] = event["methodArn"].replace("items/42", "admin")
    told = explain(event, settings_of(hanko), RULES)
    assert (failed(told.steps), told.rule, told.caller_sees) == (14, "admins only", "403")
    assert told.steps[14].state is State.PASSED
    assert told.answer["policyDocument"]["Statement"]


def test_a_session_that_has_ended(hanko: StandInHanko) -> None:
    token = hanko.mint()
    hanko.end_session(jwt.decode(token, options={"verify_signature": False})["session_id"])
    told = explain(event_with("rest_request", token), settings_of(hanko, HANKO_SESSION_CHECK="strict"), NO_RULES)
    assert (told.reason, failed(told.steps)) == (Reason.SESSION_ENDED, 13)
    assert told.steps[12].seen == "it has ended"


def test_a_hanko_that_is_not_there() -> None:
    nowhere = Settings.from_env(
        {"HANKO_API_URL": "http://127.0.0.1:9", "HANKO_AUDIENCE": AUDIENCE, "HANKO_FETCH_TIMEOUT_SECONDS": "0.5"}
    )
    with StandInHanko() as hanko:
        told = explain(event_with("rest_request", hanko.mint()), nowhere, NO_RULES)
    assert (told.reason, failed(told.steps)) == (Reason.KEYS_UNAVAILABLE, 5)
    assert told.caller_sees.startswith("500")
    assert told.pyjwt == "was not asked: there are no keys"


def test_pyjwt_is_asked_beside_us(hanko: StandInHanko) -> None:
    """It has no check for what a session is: there the two differ, and it is said."""
    opinions = {}
    for defect in ("none", "expired", "no_session_id"):
        told = explain(event_with("rest_request", token_with(defect, hanko)), settings_of(hanko), NO_RULES)
        opinions[defect] = told.pyjwt
    assert opinions == {
        "none": "accepts it",
        "expired": "refuses it: ExpiredSignatureError",
        "no_session_id": "accepts it: it has no check 12 like ours",
    }


# --- what is on the screen


@pytest.mark.parametrize("defect", set(DEFECTS) - {"missing"})
@pytest.mark.parametrize("form", [(), ("--json",), ("--full",)], ids=["text", "json", "full"])
def test_no_token_and_no_signature_is_printed(  # noqa: PLR0913, PLR0917 - fixtures
    defect: str, form: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, hanko: StandInHanko,
) -> None:  # fmt: skip
    token = token_with(defect, hanko)
    use(hanko, token, tmp_path, monkeypatch)
    command.main(["rest_request", "--env", "dev", "--token", *form])
    printed = "".join(capsys.readouterr())
    assert not any(part and part in printed for part in token.split("."))
    assert token.split(".")[-1][:16] not in printed or not token.split(".")[-1]
    if form == ():
        assert max(map(len, printed.splitlines())) <= 100


def use(hanko: StandInHanko, token: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment for this Hanko, and the token on standard input."""
    file = folder / "samconfig.toml"
    overrides = f'HankoApiUrl = "{hanko.url}"\nHankoAudience = "{AUDIENCE}"\nHankoIssuer = "{ISSUER}"\n'
    file.write_text(f"version = 0.1\n[dev.deploy.parameters.parameter_overrides]\n{overrides}")
    monkeypatch.setenv("SAM_CONFIG_FILE", str(file))
    monkeypatch.setattr(sys, "stdin", io.StringIO(token))


def test_claims_are_shortened_unless_they_are_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hanko: StandInHanko
) -> None:
    token = hanko.mint(claims={"username": "somebody-special"})
    user_id = jwt.decode(token, options={"verify_signature": False})["sub"]
    for form, is_shown in (([], False), (["--full"], True)):
        use(hanko, f'"Bearer {token}"\n', tmp_path, monkeypatch)
        assert command.main(["rest_request", "--env", "dev", "--token", *form]) == 0
        printed = capsys.readouterr().out
        assert ("somebody-special" in printed, user_id in printed) == (is_shown, is_shown)


def test_an_event_with_its_own_token_needs_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hanko: StandInHanko
) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event_with("http_v2_cookie", hanko.mint())))
    use(hanko, "", tmp_path, monkeypatch)
    assert command.main([str(file), "--env", "dev", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"][0]["seen"] == "one, in the cookie or elsewhere"


def test_a_rest_event_with_its_own_token_needs_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hanko: StandInHanko
) -> None:
    """Its type is TOKEN, which is no place for one."""
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event_with("rest_token", hanko.mint())))
    use(hanko, "", tmp_path, monkeypatch)
    assert command.main([str(file), "--env", "dev", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][0]["seen"] == "one, in Authorization"


def test_an_event_with_its_own_token_needs_an_environment(tmp_path: Path) -> None:
    """The stand-in did not sign it."""
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event_with("http_v2_cookie", "a.b.c")))
    with pytest.raises(CommandFailed, match="has a token of its own: say whose it is with ENV="):
        command.main([str(file)])


def test_without_an_environment_a_stand_in_signs(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["websocket"]) == 0
    assert command.main(["appsync", "--defect", "expired"]) == 1
    assert "Check 8 failed (times):" in capsys.readouterr().out


def test_a_token_is_wanted_on_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hanko: StandInHanko
) -> None:
    use(hanko, " \n", tmp_path, monkeypatch)
    with pytest.raises(CommandFailed, match="there is no token on standard input"):
        command.main(["rest_request", "--env", "dev", "--token"])


MISTAKES = {
    "no event": ([], "EVENT= is missing"),
    "a misspelt event": (["rest_tokn"], "Did you mean rest_token?"),
    "a misspelt environment": (["rest_token", "--env", "prdo"], "did you mean prod?"),
    "rules that are not there": (["rest_token", "--rules", "none.toml"], "none.toml is missing"),
}


@pytest.mark.parametrize(("arguments", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_without_a_traceback(arguments: list[str], told: str) -> None:
    finished = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "local.explain", *arguments],
        cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert finished.returncode == 1
    assert told in finished.stderr
    assert len(finished.stderr.splitlines()) <= 5
    assert "Traceback" not in finished.stderr


def test_ctrl_c_while_it_waits_for_the_token_ends_clean() -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "local.explain", "rest_request", "--env", "dev", "--token"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with running:
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(4)
        running.send_signal(signal.SIGTERM)
        _, told = running.communicate(timeout=20)
    assert (running.returncode, told) == (130, "stopped\n")
