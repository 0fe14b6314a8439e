"""`make ask-aws` against the local AWS, as far as that goes: it deploys, asks, tells and deletes."""

from collections.abc import Iterator

import pytest

from local.ask_aws import __main__ as ask_aws
from local.ask_aws.questions import OF_EVENTS, QUESTIONS
from local.aws import LocalAws
from local.build import ROOT
from local.command_line import CommandFailed


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    with LocalAws() as local:
        for name, value in local.environment.items():
            if name.startswith("AWS_"):
                monkeypatch.setenv(name, value)
        yield local


def stacks(aws: LocalAws) -> list[str]:
    summaries = aws.client("cloudformation").list_stacks()["StackSummaries"]
    return [one["StackStatus"] for one in summaries]


def test_it_deploys_asks_tells_and_deletes(aws: LocalAws, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandFailed, match="nothing was deployed"):
        ask_aws.main(["--without-events"], ask=lambda _: "n")
    assert stacks(aws) == []
    assert ask_aws.main(["--without-events", "--yes", "--only", "match"]) == 0
    assert set(stacks(aws)) == {"DELETE_COMPLETE"}
    told = capsys.readouterr().out
    assert "as assumed: Does * match region and account in a Deny?\n    403\n" in told
    assert "4 questions, 0 answered otherwise than assumed." in told


def test_an_answer_that_was_not_assumed_is_told_with_its_document(
    aws: LocalAws, capsys: pytest.CaptureFixture[str]
) -> None:
    """The local AWS decodes the paths of its ARNs."""
    assert ask_aws.main(["--without-events", "--yes", "--only", "The ARN of /q/a%2Fb, REST API"]) == 1
    told = capsys.readouterr().out
    assert "NOT AS ASSUMED: The ARN of /q/a%2Fb, REST API\n    /q/a/b, assumed: /q/a%2Fb (docs/rules.md)\n" in told
    assert set(stacks(aws)) == {"DELETE_COMPLETE"}


def test_questions_that_do_not_exist_are_told() -> None:
    with pytest.raises(CommandFailed, match="no question contains 'unheard of'"):
        ask_aws.main(["--only", "unheard of"])


def test_every_question_has_its_own_words_and_a_document_that_exists() -> None:
    every = [*QUESTIONS, *OF_EVENTS]
    assert len({one.text for one in every}) == len(every)
    assert all((ROOT / one.where).exists() for one in every)
