"""Where the rules come from: the file, or a parameter of Systems Manager, whose last good text outlives its outages."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from sandbox import MakeSettings, Time
from servers import Act, Script, resetting, saying, serving, until_hung_up, whole

from authorizer.errors import Misconfigured, Reason, Unavailable
from authorizer.model import Claims, CredentialSources, EventKind, Request
from authorizer.rules.evaluation import Rules
from authorizer.rules.source import PAUSES_SECONDS, ParameterRules, open_rules, read_parameter, rules_of

ROOT = Path(__file__).parent.parent.parent
DENY = 'default = "deny"'
RULES = 'default = "allow"\n[[rule]]\nname = "a"\nroutes = ["GET /a"]\nmax_age_seconds = 60\n'
NAME = "/hanko/rules"
# As docs/rules.md states them.
MAX_AGE_SECONDS = 300
RETRY_SECONDS, RETRY_WITHOUT_RULES_SECONDS = 10, 2


@pytest.fixture(autouse=True)
def whole_seconds(time_: Time) -> None:
    """So that the end of a range can be hit exactly."""
    time_.wall = float(int(time_.wall))


class Text:
    """A parameter's text, which can be out of reach; how often it was read."""

    def __init__(self, text: str | None = RULES) -> None:
        self.text, self.reads = text, 0

    def __call__(self) -> str:
        self.reads += 1
        if self.text is None:
            raise Unavailable(Reason.RULES_UNAVAILABLE)
        return self.text


def test_the_file_beside_the_code(tmp_path: Path, make_settings: MakeSettings, time_: Time) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("# nothing")
    request = Request(EventKind.REST_TOKEN, CredentialSources(), "api", "prod", "arn", "GET", "id", "/a")
    old, young = (Claims("u", "s", time_.wall - age, time_.wall + 60, {}) for age in (61, 60))
    assert open_rules(make_settings(), time_.clock, file).evaluate(request, old).reason is Reason.ALLOWED
    file.write_text(RULES)
    book = open_rules(make_settings(), time_.clock, file)
    assert book.evaluate(request, young).reason is Reason.ALLOWED
    assert book.evaluate(request, old).reason is Reason.LOGIN_TOO_OLD
    time_.advance(1)
    assert book.evaluate(request, young).reason is Reason.LOGIN_TOO_OLD


@pytest.mark.parametrize("text", ["", "\n \n", "# a", "  # a\n\n#b = 1\n"])
def test_a_text_of_comments_holds_no_rules(text: str) -> None:
    assert rules_of(text) is None


def test_comments_and_empty_lines_beside_rules_take_none_away() -> None:
    rules = rules_of("# a\n\n" + RULES)
    assert rules is not None
    assert rules == rules_of(RULES)


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (b"\xff\xfe", "rules.toml is missing, or no UTF-8"),
        (None, "rules.toml is missing, or no UTF-8"),
        (b"default = 'maybe'", "the file: default must be"),
    ],
)
def test_a_wrong_file_stops_the_function(
    content: bytes | None, mistake: str, tmp_path: Path, make_settings: MakeSettings, time_: Time
) -> None:
    file = tmp_path / "rules.toml"
    if content is not None:  # else a broken artifact: no rules is what an empty file says
        file.write_bytes(content)
    with pytest.raises(Misconfigured, match=f"^Wrong rules:\n{mistake}") as caught:
        open_rules(make_settings(), time_.clock, file)
    assert caught.value.reason is Reason.RULES_INVALID


def test_a_parameter_is_read_again_when_it_is_old(time_: Time) -> None:
    text = Text()
    rules = ParameterRules(text, time_.clock)
    assert rules.current() == rules_of(RULES)
    time_.advance(MAX_AGE_SECONDS - 1)
    text.text = DENY
    assert rules.current() == rules_of(RULES)
    assert text.reads == 1
    time_.advance(1)
    assert rules.current() == rules_of(DENY)
    assert (text.reads, rules.current().stale) == (2, "")


LONG, DEEP = "x = " + "9" * 5000, "x." * 5000 + "x = 1"
EMPTIED = ["", "\n# all of it commented out\n", 'default = "allow"']


@pytest.mark.parametrize("wrong", [None, "default = 'maybe'", "\0", LONG, DEEP, *EMPTIED])
def test_the_last_good_rules_stay_while_there_are_no_better_ones(wrong: str | None, time_: Time) -> None:
    text = Text()
    rules = ParameterRules(text, time_.clock)
    text.text = wrong
    time_.advance(MAX_AGE_SECONDS)
    assert rules.current() == rules_of(RULES)
    assert rules.current().stale.startswith("Wrong rules:\n" if wrong is not None else "rules_unavailable")
    assert text.reads == 2  # and nobody waits for the next attempt
    time_.advance(RETRY_SECONDS - 1)
    assert rules.current().stale
    assert text.reads == 2
    time_.advance(1)
    assert rules.current().stale
    assert text.reads == 3
    text.text = DENY
    time_.advance(RETRY_SECONDS)
    assert rules.current() == rules_of(DENY)
    assert not rules.current().stale


def test_the_reason_in_every_log_line_is_short(time_: Time) -> None:
    text = Text()
    rules = ParameterRules(text, time_.clock)
    text.text = "\n".join(f"x{number} = 1" for number in range(100))
    time_.advance(MAX_AGE_SECONDS)
    assert len(rules.current().stale) == 500


def test_a_frozen_sandbox_or_a_restored_snapshot_reads_it_again(time_: Time) -> None:
    text = Text()
    rules = ParameterRules(text, time_.clock)
    time_.wall += MAX_AGE_SECONDS
    rules.current()
    assert text.reads == 2


def test_without_any_rules_nobody_is_let_in(time_: Time) -> None:
    text = Text(None)
    rules = ParameterRules(text, time_.clock)
    for _ in range(3):
        with pytest.raises(Unavailable) as caught:
            rules.current()
        assert caught.value.reason is Reason.RULES_UNAVAILABLE
    assert text.reads == 1
    text.text = RULES
    time_.advance(RETRY_SECONDS)
    assert rules.current() == rules_of(RULES)


@pytest.mark.parametrize("wrong", ["default = 'maybe'", *EMPTIED])
def test_wrong_rules_stop_the_function_and_later_the_request(wrong: str, time_: Time) -> None:
    """A parameter without a rule is one that somebody emptied: it opens nothing."""
    with pytest.raises(Misconfigured):
        ParameterRules(Text(wrong), time_.clock)
    text = Text(None)
    rules = ParameterRules(text, time_.clock)
    text.text = "default = 'maybe'"
    time_.advance(RETRY_SECONDS)
    with pytest.raises(Misconfigured):
        rules.current()


# --- the real thing, as far as moto is it


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("ssm")


def test_a_parameter_of_systems_manager(ssm: Any, make_settings: MakeSettings, time_: Time, tmp_path: Path) -> None:  # noqa: ANN401 - boto3 makes its clients' methods at run time
    file = tmp_path / "rules.toml"
    file.write_text("default = 'maybe'")  # the parameter goes first: this is not even read
    ssm.put_parameter(Name=NAME, Type="String", Value=DENY)
    read = read_parameter(NAME)
    assert rules_of(read()) == Rules(default_allows=False)
    ssm.put_parameter(Name=NAME, Type="String", Value=RULES, Overwrite=True)
    assert read() == RULES  # nothing was kept
    book = open_rules(make_settings(rules_parameter=NAME), time_.clock, file)
    request = Request(EventKind.REST_TOKEN, CredentialSources(), "api", "prod", "arn", "GET", "id", "/a")
    assert book.evaluate(request, Claims("u", "s", 0, 1, {})).reason is Reason.LOGIN_TOO_OLD
    ssm.delete_parameter(Name=NAME)
    with pytest.raises(Unavailable):
        read()


def test_an_address_where_nobody_answers_is_no_more_than_unavailable(
    monkeypatch: pytest.MonkeyPatch, make_settings: MakeSettings, time_: Time, tmp_path: Path
) -> None:
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    book = open_rules(make_settings(rules_parameter=NAME), time_.clock, tmp_path / "rules.toml")
    with pytest.raises(Unavailable):
        book.evaluate(
            Request(EventKind.APPSYNC, CredentialSources(), "api", "", "", "", ""), Claims("u", "s", 0, 1, {})
        )


@pytest.mark.parametrize(("text", "loaded"), [("# nothing\n", False), (RULES, True)])
def test_a_toml_parser_is_loaded_for_rules_alone_and_boto3_for_a_parameter_alone(text: str, loaded: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    program = f"import sys, authorizer.rules.source as source; source.rules_of({text!r}); print(*sys.modules)"
    command = [sys.executable, "-c", program]
    modules = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()  # noqa: S603 - our own interpreter
    assert ("tomllib" in modules) is loaded
    assert "boto3" not in modules


# --- Systems Manager over real sockets


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "eu-west-1")


def parameter(text: str) -> bytes:
    return whole(json.dumps({"Parameter": {"Name": NAME, "Type": "String", "Value": text}}))


THROTTLED = b'HTTP/1.1 400 Bad Request\r\nContent-Length: 33\r\n\r\n{"__type": "ThrottlingException"}'


@pytest.mark.parametrize(
    "acts",
    [
        [saying(then=resetting), saying(parameter(RULES))],
        [saying(THROTTLED, parameter(RULES))],
        [saying(THROTTLED, THROTTLED, parameter(RULES))],
        [saying(then=None), saying(then=resetting), saying(parameter(RULES))],
    ],
    ids=["reset", "throttled", "throttled_twice", "closed_and_reset"],
)
@pytest.mark.usefixtures("credentials")
def test_what_passes_by_itself_is_tried_again(acts: list[Act], monkeypatch: pytest.MonkeyPatch, time_: Time) -> None:
    with serving(Script(*acts)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", f"http://{server}")
        assert ParameterRules(read_parameter(NAME), time_.clock).current() == rules_of(RULES)


@pytest.mark.usefixtures("credentials")
def test_a_kept_connection_that_died_is_replaced(monkeypatch: pytest.MonkeyPatch, time_: Time) -> None:
    """No alarm: the rules are not stale."""
    with serving(Script(saying(parameter(RULES), then=resetting), saying(parameter(DENY)))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", f"http://{server}")
        rules = ParameterRules(read_parameter(NAME), time_.clock)
        time_.advance(MAX_AGE_SECONDS)
        assert rules.current() == rules_of(DENY)


@pytest.mark.usefixtures("credentials")
def test_the_time_of_all_calls_of_one_read_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(*[saying(then=until_hung_up)] * 9)
    with serving(script) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", f"http://{server}")
        read, began = read_parameter(NAME), time.monotonic()
        with pytest.raises(Unavailable):
            read()
        assert 2 < time.monotonic() - began < 4  # 1 s each, and none begins after 2 s
    assert script.connections == 2


@pytest.mark.usefixtures("credentials")
def test_one_read_makes_three_calls_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(accumulate(PAUSES_SECONDS)) == [0, 0.1, 0.5]
    script = Script(*[saying(then=resetting)] * 9)
    with serving(script) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", f"http://{server}")
        with pytest.raises(Unavailable):
            read_parameter(NAME)()
    assert script.connections == 3


def test_without_any_rules_the_next_read_is_soon(time_: Time) -> None:
    text = Text(None)
    rules = ParameterRules(text, time_.clock)
    text.text = RULES
    time_.advance(RETRY_WITHOUT_RULES_SECONDS - 1)
    with pytest.raises(Unavailable):
        rules.current()
    time_.advance(1)
    assert rules.current() == rules_of(RULES)
