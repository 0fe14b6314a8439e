"""`make deploy`: what it hands over, and what it says about the changes."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from samcli.cli.types import CfnParameterOverridesType  # type: ignore[import-untyped]  # ships no types
from samcli.commands.deploy.command import cli as sam_deploy  # type: ignore[import-untyped]  # as above

from local import deploy
from local.command_line import columns
from local.configuration import TEMPLATE, Environment, read_environment
from local.stack import Stack

FILE = """\
version = 0.1
[mine.deploy.parameters]
stack_name = "mine"
[mine.deploy.parameters.parameter_overrides]
HankoApiUrl = "https://auth.mine.dev"
HankoAudience = "mine.dev"
"""


def environment(folder: Path, more: str = "") -> Environment:
    (folder / "samconfig.toml").write_text(FILE + more)
    return read_environment("mine", folder / "samconfig.toml")


def test_every_parameter_is_handed_over(tmp_path: Path) -> None:
    mine = environment(tmp_path)
    assert deploy.handed_over(mine) == mine.values
    assert deploy.handed_over(mine).keys() == mine.parameters.keys()


def test_a_secret_gets_a_name_that_changes_with_it_and_does_not_tell_it(tmp_path: Path) -> None:
    names = []
    for key in ("first-key-of-mine", "other-key-of-mine", "first-key-of-mine"):
        values = deploy.handed_over(environment(tmp_path, f'HankoLogHashKey = "{key}"\n'))
        names.append(values["LogHashKeyId"])
        assert len(names[-1]) == 8
    assert names[0] == names[2] != names[1]
    named = environment(tmp_path, 'HankoLogHashKey = "first-key-of-mine"\nLogHashKeyId = "2"\n')
    assert deploy.handed_over(named)["LogHashKeyId"] == "2"


@given(st.text() | st.text(alphabet="'\"\\ a=,"))
@example("")
@example("'wrapped'")
@example('"wrapped"')
@example('""twice""')
@example("it's")
@example('a "b" c')
@example("back\\slash")
@example("back\\ slash")
@example('\\"')
@example("a=b")
@example("ParameterKey=A,ParameterValue=b")
@example("a, b")
@example("file://x")
@example("\N{GRINNING FACE}\x7f")
def test_sam_reads_what_is_handed_over_as_it_is(value: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = deploy.write_parameters(Path(folder), {"HankoIssuer": value})
        assert CfnParameterOverridesType().convert((f"file://{file}",), None, None) == {"HankoIssuer": value}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("""'"https://auth.mine.dev"'""", "https://auth.mine.dev"),
        ("""'""https://auth.mine.dev""'""", '"https://auth.mine.dev"'),
        ('''"\\"'https://auth.mine.dev'\\""''', "'https://auth.mine.dev'"),
    ],
)
def test_a_pair_of_quotes_in_a_table_is_sams_and_a_second_pair_is_the_values(
    written: str, value: str, tmp_path: Path
) -> None:
    mine = environment(tmp_path, f"HankoIssuer = {written}\n")
    assert mine.mistakes() == []
    assert read_by_sam(tmp_path / "samconfig.toml")["HankoIssuer"] == value == mine.values["HankoIssuer"]
    file = deploy.write_parameters(tmp_path, deploy.handed_over(mine))
    assert read_by_sam(tmp_path / "samconfig.toml", "--parameter-overrides", f"file://{file}") == mine.values


def read_by_sam(file: Path, *more: str) -> dict[str, str]:
    """What `sam deploy` itself makes of its file and command line, before it does anything."""
    options = ["--config-file", str(file), "--config-env", "mine", "--template-file", str(TEMPLATE), *more]
    overrides: dict[str, str] = sam_deploy.make_context("deploy", options).params["parameter_overrides"]
    return overrides


@pytest.mark.parametrize(
    ("name", "old", "new", "looser"),
    [
        ("HankoSessionOnOutage", "fail", "allow", True),
        ("HankoSessionOnOutage", "allow", "fail", False),
        ("HankoSessionCheck", "strict", "hybrid", True),
        ("HankoSessionCheck", "off", "hybrid", False),
        ("HankoSessionCheck", "gone", "hybrid", True),
        ("EnableRevocation", "true", "false", True),
        ("HankoIssuer", "https://auth.mine.dev", "", True),
        ("HankoMaxTokenLifetimeSeconds", "3600", "", True),
        ("HankoMaxTokenLifetimeSeconds", "3600", "600", False),
        ("HankoAudience", "other.dev", "mine.dev", True),
        ("HankoAudience", "mine.dev,other.dev", "mine.dev", False),
        ("HankoKeysMaxAgeSeconds", "600", "3600", True),
        ("HankoAppsyncTtlSeconds", "0", "60", True),
        ("MemorySize", "512", "1024", False),
    ],
)
def test_a_change_that_lets_more_pass_is_told_apart(
    name: str,
    old: str,
    new: str,
    looser: bool,  # noqa: FBT001 - a column of the table
    tmp_path: Path,
) -> None:
    more = "" if name == "HankoAudience" else f'{name} = "{new}"\n'
    mine = environment(tmp_path, more)
    assert deploy.changes(mine, {**mine.values, name: old}) == [deploy.Change(name, old, new, looser)]


def test_changes_that_let_more_pass_come_first_and_no_secret_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = environment(tmp_path, 'HankoSessionOnOutage = "allow"\nHankoLogHashKey = "sixteen-letters!"\n')
    deployed = {**mine.values, "HankoSessionOnOutage": "fail", "HankoCookieName": "", "HankoLogHashKey": "****"}
    deploy.say_changes(mine, Stack("mine", "UPDATE_COMPLETE", deployed, {}))
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "Stack mine: these settings change."
    assert [line.split() for line in lines[:2]] == [
        ["HankoSessionOnOutage", "fail", "→", "allow"],
        ["HankoCookieName", '""', "→", "hanko"],
    ]
    assert lines[-1] == "  The first of these let requests pass that were refused before."
    deploy.say_changes(mine, None)
    assert "sixteen-letters!" not in capsys.readouterr().out


def test_columns_fit_into_a_hundred_characters() -> None:
    assert columns([("a", "b"), ("long", "c")]) == ["  a     b", "  long  c"]
    assert max(map(len, columns([("x" * 90, "y" * 90, "z")]))) == 100


@pytest.mark.parametrize(
    ("variables", "target"),
    [
        ({}, "arm64"),
        ({"BUILD_TARGET": "arm64"}, "arm64"),
        ({"BUILD_TARGET": "host", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "host"),
    ],
)
def test_what_is_built_is_what_is_deployed(variables: dict[str, str], target: str, tmp_path: Path) -> None:
    assert deploy.target_of(environment(tmp_path), variables) == target


@pytest.mark.parametrize(
    ("more", "silent"), [("", True), ('AlarmTopicArn = "arn:aws:sns:eu-west-1:123456789012:alarms"\n', False)]
)
def test_a_stack_whose_alarms_nobody_hears_says_so(
    more: str,
    silent: bool,  # noqa: FBT001 - a column of the table
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = {"AuthorizerArn": "arn:aws:lambda:eu-west-1:123456789012:function:mine:live", "Version": "0.1.0"}
    deploy.say_end(environment(tmp_path, more), Stack("mine", "CREATE_COMPLETE", {}, outputs))
    assert (deploy.SILENT in capsys.readouterr().out.replace("\n", " ").replace("  ", " ")) == silent
