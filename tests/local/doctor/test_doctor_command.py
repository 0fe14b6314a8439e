"""`make doctor` as a command: settings and the live Hanko, JSON, exit status, manners."""

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from authorizer.clock import Clock
from authorizer.config import Settings
from local.build import ROOT
from local.doctor import __main__ as doctor
from local.doctor.live import Live
from local.hanko import StandInHanko
from local.sign import token_with

ENVIRONMENT = """
version = 0.1
[dev.deploy.parameters]
stack_name = "hanko-authorizer-dev"
[dev.deploy.parameters.parameter_overrides]
HankoApiUrl = "{url}"
HankoAudience = "localhost"
{more}
"""


@pytest.fixture(scope="module")
def hanko() -> Iterator[StandInHanko]:
    with StandInHanko() as started:
        yield started


@pytest.fixture
def samconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "samconfig.toml"
    monkeypatch.setenv("SAM_CONFIG_FILE", str(file))
    return file


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Mapping[str, Any]]:
    status = doctor.main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_an_environment_that_is_well(hanko: StandInHanko, samconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samconfig.write_text(ENVIRONMENT.format(url=hanko.url, more=""))
    status, told = report(capsys, "--env", "dev")
    assert (status, told["findings"]) == (0, [])
    passed = "\n".join(told["passed"])
    assert "2 settings with values that the template and the function take" in passed
    assert "usable keys, without TLS" in passed
    assert "clock is +0 s" in passed
    assert "session endpoint answers" in passed


def test_settings_that_deploy_would_refuse(samconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are told, and Hanko is not asked: nobody knows where it is."""
    samconfig.write_text(ENVIRONMENT.format(url="https://auth.example.com", more='HankoSessionChek = "strict"'))
    status, told = report(capsys, "--env", "dev")
    assert status == 1
    assert [one["code"] for one in told["findings"]] == ["settings", "settings"]
    assert "did you mean HankoSessionCheck?" in told["findings"][0]["what"]


def test_a_keys_file_that_is_not_there(
    hanko: StandInHanko, samconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samconfig.write_text(ENVIRONMENT.format(url=hanko.url, more='HankoKeysFile = "none.json"'))
    status, told = report(capsys, "--env", "dev", "--offline")
    assert (status, [one["code"] for one in told["findings"]]) == (1, ["keys-file"])


def test_claims_that_users_write_are_named(
    hanko: StandInHanko, samconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samconfig.write_text(ENVIRONMENT.format(url=hanko.url, more='HankoContextClaims = "metadata.unsafe.plan=plan"'))
    status, told = report(capsys, "--env", "dev", "--offline")
    assert status == 0
    assert [(one["code"], one["level"]) for one in told["findings"]] == [("user-written-claim", "look")]


def test_a_finding_for_people_fits_and_names_the_way_out(samconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samconfig.write_text(ENVIRONMENT.format(url="https://auth.example.com", more=""))
    assert doctor.main(["--env", "dev", "--rules", "examples/rules.toml"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "wrong  samconfig.toml, dev  [settings]" in lines
    assert re.fullmatch(r"1 wrong, [1-9] to look at\.", lines[-1])


# --- the live Hanko


def codes(settings: Settings, clock: Clock | None = None) -> list[str]:
    return [one.code for one in Live(settings, clock).findings()]


def settings_for(url: str, **more: str) -> Settings:
    return Settings.from_env({"HANKO_API_URL": url, "HANKO_AUDIENCE": "localhost", **more})


def test_nobody_is_there() -> None:
    assert codes(settings_for("http://127.0.0.1:9", HANKO_FETCH_TIMEOUT_SECONDS="1")) == ["hanko-unreachable"]


def test_a_certificate_that_lambda_refuses() -> None:
    """As strict as the runtime: the stand-in's own authority is not trusted."""
    with StandInHanko(tls=True) as hanko:
        told = next(Live(settings_for(hanko.url)).findings())
    assert told.code == "hanko-unreachable"
    assert "tls_untrusted" in told.what


def test_a_clock_that_is_off(hanko: StandInHanko) -> None:
    ahead = Clock(lambda: time.time() + 60)
    assert codes(settings_for(hanko.url), ahead) == ["clock-offset"]
    behind = Clock(lambda: time.time() - 60)
    assert codes(settings_for(hanko.url), behind) == ["clock-offset"]


def test_a_session_endpoint_that_fails() -> None:
    """It is wrong where the settings ask it, and else only to be looked at."""
    with StandInHanko() as hanko:
        hanko.behave("status", endpoint="validate", code=500)
        levels = {}
        for mode in ("off", "strict"):
            found = Live(settings_for(hanko.url, HANKO_SESSION_CHECK=mode)).findings()
            levels[mode] = [(one.code, str(one.level)) for one in found]
    assert levels == {"off": [("session-endpoint", "look")], "strict": [("session-endpoint", "wrong")]}


def test_keys_that_are_skipped_or_none_at_all() -> None:
    with StandInHanko(extra_keys=[{"kty": "EC", "kid": "other"}]) as hanko:
        assert codes(settings_for(hanko.url)) == ["key-skipped"]
    with StandInHanko() as hanko:
        hanko.behave("body", data='{"keys": []}')
        assert codes(settings_for(hanko.url)) == ["no-usable-key"]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"Cache-Control": "no-store"}, ["short-cache-control"]),
        ({"Cache-Control": "public, max-age=5"}, ["short-cache-control"]),
        ({"Age": "30", "Date": None}, ["shared-cache", "no-date"]),
        ({"Date": None}, ["no-date"]),
    ],
)
def test_what_stands_before_hanko(headers: Mapping[str, str | None], found: list[str]) -> None:
    """A cache that keeps the keys, or lets none keep them; an answer without a time."""
    with StandInHanko() as hanko:
        hanko.behave("body", data=json.dumps(hanko.jwks), headers=headers)
        assert codes(settings_for(hanko.url)) == found


@pytest.mark.parametrize(("claims", "told"), [({}, "passes: allowed"), ({"aud": ["x"]}, "check 9, audience")])
def test_a_sample_token_is_tried(  # noqa: PLR0913, PLR0917 - fixtures
    claims: Mapping[str, Any], told: str, hanko: StandInHanko, samconfig: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    samconfig.write_text(ENVIRONMENT.format(url=hanko.url, more=""))
    monkeypatch.setattr("sys.stdin", io.StringIO(hanko.mint(claims=claims)))
    status, found = report(capsys, "--env", "dev", "--token")
    assert told in json.dumps(found)
    assert found["unchecked"] == []
    assert status == (0 if told.startswith("passes") else 1)


@pytest.mark.parametrize("arguments", [[], ["--offline", "--token"], ["--token"]])
def test_an_audience_that_no_token_shows_is_not_called_well(
    arguments: list[str], hanko: StandInHanko, samconfig: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Without a token, or with one that is refused before its audience is compared."""
    samconfig.write_text(ENVIRONMENT.format(url=hanko.url, more=""))
    monkeypatch.setattr("sys.stdin", io.StringIO(token_with("expired", hanko)))
    _, found = report(capsys, "--env", "dev", *arguments)
    (unchecked,) = found["unchecked"]
    assert "HankoAudience, localhost" in unchecked
    assert "TOKEN=- < token" in unchecked
    doctor.main(["--env", "dev", "--offline"])
    lines = capsys.readouterr().out.splitlines()
    assert [line[:18] for line in lines if line.startswith("?")] == ["?      not known: "]
    assert max(map(len, lines)) <= 100


# --- manners


MISTAKES = {
    "no such environment": (["--env", "prdo"], "did you mean prod?"),
    "no such template": (["--template", "none.yaml"], "none.yaml cannot be read: No such file"),
    "no template": (["--template", "pyproject.toml"], "pyproject.toml"),
    "a template without an API": (["--template", "template.yaml"], "has no API with a Lambda authorizer"),
    "a stack without a region": (["--stack", "my-api"], "no AWS region"),
    "a parameter without a value": (["--template", "examples/http-api.yaml", "--parameter", "Payload"], "NAME=VALUE"),
}


@pytest.mark.parametrize(("arguments", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_without_a_traceback(arguments: list[str], told: str) -> None:
    finished = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "local.doctor", *arguments],
        cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert finished.returncode == 1
    assert told in finished.stderr
    assert len(finished.stderr.splitlines()) <= 4  # with what it is doing
    assert "Traceback" not in finished.stderr
