"""The one reader of samconfig.toml: what it reads is what `sam deploy` reads, and what SAM would lose is a mistake."""

from pathlib import Path

import click
import pytest
from samcli.commands.deploy.command import cli as sam_deploy  # type: ignore[import-untyped]  # ships no types

from local import configuration
from local.command_line import CommandFailed
from local.configuration import Environment, environments, read_environment

REQUIRED = 'HankoApiUrl = "https://auth.mine.dev", HankoAudience = "mine.dev"'
# The required two and one more, in every form that SAM's documentation and its parser know.
FORMS = {
    "a list": '["HankoApiUrl=https://auth.mine.dev", "HankoAudience=mine.dev", "MemorySize=1024"]',
    "several in one item": '["HankoApiUrl=https://auth.mine.dev HankoAudience=mine.dev", "MemorySize=1024"]',
    "a string": '"HankoApiUrl=https://auth.mine.dev HankoAudience=mine.dev MemorySize=1024"',
    "a string with quotes": """'HankoApiUrl="https://auth.mine.dev" HankoAudience="mine.dev" MemorySize="1024"'""",
    "the long form": '"ParameterKey=HankoApiUrl,ParameterValue=https://auth.mine.dev '
    'ParameterKey=HankoAudience,ParameterValue=mine.dev ParameterKey=MemorySize,ParameterValue=1024"',
    "the long form, a list": '["ParameterKey=HankoApiUrl,ParameterValue=https://auth.mine.dev", '
    '"ParameterKey=HankoAudience,ParameterValue=mine.dev", "ParameterKey=MemorySize,ParameterValue=1024"]',
    "a table": '{HankoApiUrl = "https://auth.mine.dev", HankoAudience = "mine.dev", MemorySize = 1024}',
    "a table with a list": '{HankoApiUrl = "https://auth.mine.dev", HankoAudience = ["mine.dev"], MemorySize = "1024"}',
    "tables and texts in a list": '[{HankoApiUrl = "https://auth.mine.dev"}, "HankoAudience=mine.dev MemorySize=1024"]',
    "a file": '"file://{folder}/more.yaml"',
    "a file in a list": '["HankoApiUrl=https://auth.mine.dev", "file://{folder}/more.yaml"]',
}
READ = {"HankoApiUrl": "https://auth.mine.dev", "HankoAudience": "mine.dev", "MemorySize": "1024"}


def written(folder: Path, overrides: str) -> Path:
    """A samconfig.toml with one environment."""
    (folder / "more.yaml").write_text("HankoApiUrl: https://auth.mine.dev\nHankoAudience: mine.dev\nMemorySize: 1024\n")
    file = folder / "samconfig.toml"
    file.write_text(
        f'version = 0.1\n[mine.deploy.parameters]\nstack_name = "mine"\n'
        f"parameter_overrides = {overrides.replace('{folder}', str(folder))}\n"
    )
    return file


def read(folder: Path, overrides: str) -> Environment:
    return read_environment("mine", written(folder, overrides))


def read_by_sam(file: Path) -> dict[str, str]:
    """What `sam deploy` itself makes of the file, before it does anything."""
    options = ["--config-file", str(file), "--config-env", "mine", "--template-file", str(configuration.TEMPLATE)]
    overrides: dict[str, str] = sam_deploy.make_context("deploy", options).params["parameter_overrides"]
    return overrides


@pytest.mark.parametrize("form", FORMS)
def test_every_form_that_sam_accepts_is_read_as_sam_reads_it(form: str, tmp_path: Path) -> None:
    environment = read(tmp_path, FORMS[form])
    assert environment.given == READ == read_by_sam(tmp_path / "samconfig.toml")
    assert environment.mistakes() == []


def test_what_the_file_does_not_say_is_the_templates_default(tmp_path: Path) -> None:
    environment = read(tmp_path, FORMS["a list"])
    assert environment.values.keys() == environment.parameters.keys()
    assert environment.values["HankoSessionOnOutage"] == "fail"
    assert environment.values["MemorySize"] == "1024"
    assert environment.variables["HANKO_CLOCK_SKEW_SECONDS"] == "10"


@pytest.mark.parametrize(
    "empty",
    ['{HankoCookieName = ""}', """['HankoCookieName=""']""", "\"ParameterKey=HankoCookieName,ParameterValue=''\""],
)
def test_an_empty_value_is_empty_and_no_default(empty: str, tmp_path: Path) -> None:
    environment = read(tmp_path, empty)
    assert environment.values["HankoCookieName"] == "" == read_by_sam(tmp_path / "samconfig.toml")["HankoCookieName"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ('["HankoSessionChek=x"]', "HankoSessionChek is no parameter of template.yaml; did you mean HankoSessionC"),
        ('["Bogus=1"]', "Bogus is no parameter of template.yaml"),
        ('["HankoContextClaims=role, metadata.plan"]', "HankoContextClaims would be cut at a blank or a quote"),
        ("""['HankoIssuer=a"b']""", "HankoIssuer would be cut at a blank or a quote"),
        ('"ParameterKey=MemorySize,ParameterValue=512 Tracing=Active"', "MemorySize would be cut"),
        ('["MemorySize=512", "MemorySize=1024"]', "MemorySize is given twice, with two values"),
        ('["MemorySize=lots"]', "MemorySize is wrong: it must be a number"),
        ('["MemorySize=64"]', "MemorySize is wrong: it must be 256 to 3008"),
        ('["Architecture=arm"]', "Architecture is wrong: it must be arm64 or x86_64"),
        ("{EnableRevocation = true}", "EnableRevocation is wrong: it must be false or true, in quotes"),
        ('["HankoApiUrl=mine.dev"]', "HankoApiUrl is wrong: it must be an https URL without user"),
        ('["HankoApiUrl=http://auth.mine.dev"]', "HankoApiUrl is wrong: it must be an https URL without user"),
        ('["HankoAudience=example.com"]', "HankoAudience is still the example's: make init ENV=mine"),
        ('["HankoApiUrl=https://auth.example.com/x"]', "HankoApiUrl is still the example's: make init ENV=mine"),
        ("{}", "HankoApiUrl is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_mistake(overrides: str, said: str, tmp_path: Path) -> None:
    assert [mistake for mistake in read(tmp_path, overrides).mistakes() if mistake.startswith(said)]


def test_what_only_the_function_would_refuse_is_a_mistake_of_the_parameter(tmp_path: Path) -> None:
    environment = read(tmp_path, f'{{{REQUIRED}, HankoContextClaims = "a b"}}')
    (mistake,) = environment.mistakes()
    assert mistake.startswith("HankoContextClaims")


def test_a_secret_is_in_no_mistake(tmp_path: Path) -> None:
    environment = read(tmp_path, '{HankoLogHashKey = "hush"}')
    assert [one for one in environment.mistakes() if one.startswith("HankoLogHashKey is wrong")]
    assert "hush" not in str(environment.mistakes())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 0.1\n[mine.deploy.parameters\n", r"^samconfig\.toml:2: "),
        ("version = 0.1\nversion = 0.1\n", r"^samconfig\.toml.*version"),
        ("[mine.deploy.parameters]\n", r"^samconfig\.toml: 'version' key is not present"),
        ("version = 0.1\n[mine]\ndeploy = 1\n", r"^samconfig\.toml: \[mine\.deploy\.parameters\] must be a table$"),
        ("version = 0.1\n[other.deploy.parameters]\n", r"^no environment mine in samconfig\.toml \(other\); make init"),
        ("version = 0.1\n[min.deploy.parameters]\n", r"did you mean min\?$"),
        ("version = 0.1\n[mine.deploy.parameters]\nparameter_overrides = 7\n", r"^samconfig\.toml, mine: 7 is invalid"),
        ("version = 0.1\n[mine.deploy.parameters]\nparameter_overrides = ['A']\n", r"^samconfig\.toml, mine: A is not"),
        ("version = 0.1\n[mine.deploy.parameters]\nparameter_overrides = ['A=']\n", r'^A has no value: .* A = ""'),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "samconfig.toml"
    file.write_text(text)
    with pytest.raises(CommandFailed, match=said) as failed:
        read_environment("mine", file)
    assert "\n" not in str(failed.value)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "samconfig.toml"
    with pytest.raises(CommandFailed, match="there is no "):
        read_environment("mine", file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(CommandFailed, match=r"samconfig\.toml is not UTF-8"):
        read_environment("mine", file)


def test_the_shipped_file_is_all_examples_and_otherwise_right() -> None:
    assert environments() == ["dev", "staging", "prod", "local"]
    for name in ("dev", "staging", "prod"):
        mistakes = read_environment(name).mistakes()
        assert mistakes
        assert all("is still the example's" in mistake for mistake in mistakes)


def test_an_environment_without_a_stack_is_said_to_have_none() -> None:
    assert read_environment("prod").stack() == "hanko-authorizer"
    with pytest.raises(CommandFailed, match="names no stack for local"):
        read_environment("local").stack()


def test_sam_itself_refuses_what_the_reader_refuses(tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter):
        read_by_sam(written(tmp_path, '["A="]'))
