"""`make init`: one environment is written, checked, and nothing else in the file changes."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import tomlkit

from local import init
from local.command_line import CommandFailed
from local.configuration import read_environment
from local.hanko import StandInHanko

OTHER = """\
# A comment that stays.
version = 0.1

[other.deploy.parameters]   # and this one
stack_name = "other"
parameter_overrides = ["HankoApiUrl=https://auth.other.dev",  "HankoAudience=other.dev"]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "samconfig.toml"
    file.write_text(OTHER)
    monkeypatch.setenv("SAM_CONFIG_FILE", str(file))
    return file


def answering(*answers: str) -> Callable[[str], str]:
    """Somebody at a terminal."""
    waiting = iter(answers)
    return lambda _question: next(waiting)


def test_a_new_environment_is_added_and_the_rest_is_the_same_text(file: Path, hanko: StandInHanko) -> None:
    assert init.main(["mine"], answering(f"{hanko.url}/", "localhost", "y")) == 0
    assert file.read_text().startswith(OTHER)
    environment = read_environment("mine")
    assert environment.given == {"HankoApiUrl": hanko.url, "HankoAudience": "localhost"}
    assert environment.stack_name == "hanko-authorizer-mine"
    assert environment.mistakes() == []


def test_an_environment_that_is_there_keeps_its_other_settings(file: Path, hanko: StandInHanko) -> None:
    more = '\n[mine.deploy.parameters]\nstack_name = "kept"\n[mine.deploy.parameters.parameter_overrides]\n'
    more += 'MemorySize = "1024"  # measured\nHankoIssuer = "https://auth.example.com"\n'
    file.write_text(OTHER + more)
    init.main(["mine", "--yes", "--api-url", hanko.url, "--audience", "localhost", "--region", "eu-west-1"])
    environment = read_environment("mine")
    assert environment.given == {"MemorySize": "1024", "HankoApiUrl": hanko.url, "HankoAudience": "localhost"}
    assert (environment.stack_name, environment.region) == ("kept", "eu-west-1")
    assert "# measured" in file.read_text()
    assert file.read_text().startswith(OTHER)


def test_a_list_becomes_a_table_of_the_same_values(file: Path, hanko: StandInHanko) -> None:
    file.write_text(OTHER.replace('"HankoAudience=other.dev"', '"HankoAudience=other.dev MemorySize=1024"'))
    init.main(["other", "--yes", "--api-url", hanko.url, "--audience", "localhost"])
    assert read_environment("other").given == {
        "HankoApiUrl": hanko.url,
        "HankoAudience": "localhost",
        "MemorySize": "1024",
    }
    assert isinstance(tomlkit.parse(file.read_text())["other"]["deploy"]["parameters"]["parameter_overrides"], dict)


def test_a_pasted_token_gives_audience_and_issuer_and_is_said_to_be_unverified(
    file: Path, hanko: StandInHanko, capsys: pytest.CaptureFixture[str]
) -> None:
    token = hanko.mint(claims={"aud": ["https://app.mine.dev", "mine.dev"], "iss": "mine"})
    assert init.main(["mine"], answering(token, hanko.url, "y")) == 0
    given = read_environment("mine").given
    assert given["HankoAudience"] == "https://app.mine.dev,mine.dev"
    assert given["HankoIssuer"] == "mine"
    printed = capsys.readouterr().out
    assert "NOT verified" in printed
    assert token not in printed + file.read_text()


def test_a_pasted_token_cannot_write_to_the_terminal(hanko: StandInHanko, capsys: pytest.CaptureFixture[str]) -> None:
    """Its claims are shown before anybody has verified them."""
    init.read_claims(hanko.mint(claims={"aud": ["app\x1b]0;title\x07\x1b[2J\x9b31m"], "iss": "\ta\rb\u202ec"}))
    shown = capsys.readouterr().out
    assert "app" in shown
    assert not [one for one in shown if one != "\n" and not one.isprintable()]


def test_the_file_stays_as_readable_as_it_was(file: Path, hanko: StandInHanko) -> None:
    """It can hold the key of the hash of user ids."""
    file.chmod(0o600)
    init.main(["mine", "--yes", "--api-url", hanko.url, "--audience", "localhost"])
    assert "mine" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_token_on_standard_input_is_for_scripts(
    file: Path, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(hanko.mint() + "\n"))
    init.main(["mine", "--token", "--api-url", hanko.url, "--yes"])
    assert read_environment("mine").given["HankoAudience"] == "localhost"
    assert file.is_file()


def test_an_answer_that_is_empty_keeps_what_is_there(file: Path, hanko: StandInHanko) -> None:
    init.main(["mine", "--yes", "--api-url", hanko.url, "--audience", "localhost"])
    before = file.read_text()
    init.main(["mine"], answering("", "", "y"))
    assert file.read_text() == before


def test_a_no_writes_nothing(file: Path, hanko: StandInHanko) -> None:
    with pytest.raises(CommandFailed, match="nothing was written"):
        init.main(["mine"], answering(hanko.url, "localhost", "n"))
    assert file.read_text() == OTHER
