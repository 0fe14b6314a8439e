"""The commands for what is deployed, at the local AWS: smoke, status, logs, rollback, destroy."""

from collections.abc import Iterator, Mapping

import pytest

from local import destroy, logs, replay, rollback, smoke, status
from local.command_line import CommandFailed
from local.configuration import read_environment
from local.deployment import Deployment
from local.stack import Aws, Stack

NAME = "commands"


@pytest.fixture(scope="module")
def outputs(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A stack with two published versions, and the file that it belongs to."""
    file = tmp_path_factory.mktemp("commands") / "samconfig.toml"
    file.write_text(
        f'version = 0.1\n[mine.deploy.parameters]\nstack_name = "{NAME}"\n'
        f"[mine.deploy.parameters.parameter_overrides]\n"
        f'HankoApiUrl = "{deployment.hanko.url}"\nHankoAudience = "localhost"\n'
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in deployment.aws.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SAM_CONFIG_FILE", str(file))
        deployment.deploy_authorizer(NAME, HankoSessionOnOutage="fail")
        yield deployment.deploy_authorizer(NAME, HankoSessionOnOutage="allow", EnableRevocation="true")


def test_smoke_sees_refusals_and_your_token_pass(
    deployment: Deployment,
    outputs: Mapping[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert smoke.main(["mine"]) == 0
    assert capsys.readouterr().out.count("refused (401)  should be refused (401)") == 2
    stack = Stack.of(Aws("eu-west-1"), read_environment("mine"))
    url = deployment.apis["REST, TOKEN"].url + "/me"
    seen = list(smoke.results(Aws("eu-west-1"), stack, url, deployment.hanko.mint()))
    assert [(one.came, one.passed) for one in seen] == [
        *(("refused (401)", True), ("refused (401)", True), ("allowed", True)),
        *(("401", True), ("401", True), ("200", True)),
    ]
    assert outputs["AuthorizerArn"] == stack.alias


def test_smoke_fails_if_a_call_is_not_as_it_should_be(
    outputs: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert outputs
    assert smoke.main(["mine", "--url", "http://127.0.0.1:9/me"]) == 1
    assert "2 of 4 not as they should be: make logs ENV=mine" in capsys.readouterr().out


def test_status_says_version_settings_and_what_the_file_says_otherwise(
    outputs: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    status.main(["mine"])
    printed = " ".join(capsys.readouterr().out.split())
    for line in (f"release {outputs['Version']}", "live → version 2", "HankoSessionOnOutage allow", "none of"):
        assert line in printed
    assert "The file says otherwise of" in printed
    assert "**" not in printed


def test_logs_are_one_line_for_a_record(outputs: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert outputs
    smoke.main(["mine"])
    capsys.readouterr()
    logs.main(["mine"])
    assert "unauthenticated token_missing (fault: caller) rest_request GET" in capsys.readouterr().out


def test_rollback_goes_to_the_version_before_and_says_what_changes(
    outputs: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert outputs
    with pytest.raises(CommandFailed, match="nothing was changed"):
        rollback.main(["mine"], lambda _question: "n")
    rollback.main(["mine"], lambda _question: "y")
    printed = capsys.readouterr().out
    assert "version 2 → 1" in printed
    assert "HANKO_SESSION_ON_OUTAGE" in printed
    assert "may no longer read" in printed  # the table
    status.main(["mine"])
    assert "the stack deployed version 2" in capsys.readouterr().out
    with pytest.raises(CommandFailed, match="version 1 is the oldest"):
        rollback.main(["mine"])
    with pytest.raises(CommandFailed, match="there is no version 7"):
        rollback.main(["mine", "--version", "7"])
    rollback.main(["mine", "--version", "2", "--yes"])


def test_replay_finds_the_queue_of_the_environment(
    outputs: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert outputs["DeadLetterQueueUrl"]
    assert replay.main(["--env", "mine"]) == 0
    assert capsys.readouterr().out == "0 written, 0 left\n"


def test_destroy_says_what_stays_and_asks_for_the_name(
    deployment: Deployment, outputs: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The last one of this file."""
    with pytest.raises(CommandFailed, match="nothing was deleted"):
        destroy.main(["mine"], lambda _question: "y")
    destroy.main(["mine"], lambda _question: NAME)
    assert outputs["RevocationTableName"] in capsys.readouterr().out
    tables = deployment.aws.client("dynamodb").list_tables()["TableNames"]
    assert outputs["RevocationTableName"] in tables
    with pytest.raises(CommandFailed, match=f"there is no stack {NAME}"):
        status.main(["mine"])
