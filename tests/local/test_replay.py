"""The replay of dead letters, against moto; through the local AWS it is in end_to_end/test_logout.py."""

import pytest
from aws import FAULTS, TABLE, Aws, every
from sandbox import Time

from authorizer.hanko.revocations import DeadLetters, Revocation, RevocationWriter
from local import replay

ITEMS = [Revocation(f"user#{number}", 10 + number, 20 + number) for number in range(25)]


@pytest.fixture
def writer(aws: Aws, time_: Time) -> RevocationWriter:
    return RevocationWriter(TABLE, aws.dynamodb, time_.clock, time_.advance)


def queue_all(aws: Aws) -> None:
    for item in ITEMS:
        DeadLetters(aws.queue_url, aws.sqs).put(item)


def test_all_that_waits_is_written_and_the_queue_is_empty(aws: Aws, writer: RevocationWriter) -> None:
    queue_all(aws)
    aws.fail("UpdateItem", every(3, FAULTS["throttled"]))
    assert replay.replay(aws.sqs, aws.queue_url, writer, wait_seconds=0) == (25, 0)
    assert aws.items == {item.subject: (item.issued_until, item.expires_at) for item in ITEMS}
    assert aws.waiting == 0


def test_what_cannot_be_written_stays(aws: Aws, writer: RevocationWriter, capsys: pytest.CaptureFixture[str]) -> None:
    queue_all(aws)
    aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody="SECRET")
    aws.fail("UpdateItem", FAULTS["down"])
    assert replay.replay(aws.sqs, aws.queue_url, writer, wait_seconds=0) == (0, 26)
    assert aws.waiting == 26
    assert "SECRET" not in capsys.readouterr().err


def test_an_entry_that_was_overtaken_shortens_nothing(aws: Aws, writer: RevocationWriter) -> None:
    DeadLetters(aws.queue_url, aws.sqs).put(Revocation("user#1", 10, 20))
    writer.write(Revocation("user#1", 11, 21))
    assert replay.replay(aws.sqs, aws.queue_url, writer, wait_seconds=0) == (1, 0)
    assert aws.items == {"user#1": (11, 21)}


def test_the_stack_is_that_of_the_environment() -> None:
    assert replay.stack_of("prod") == "hanko-authorizer"
    for unknown in ("nowhere", "local"):
        with pytest.raises(SystemExit):
            replay.stack_of(unknown)
