"""The replay of dead letters, against moto; through the local AWS it is in end_to_end/test_logout.py."""

import json
from dataclasses import asdict

import pytest
from aws import FAULTS, TABLE, Aws, every
from sandbox import Json, Time

from authorizer.clock import Clock
from authorizer.revocation.entry import Revocation
from authorizer.revocation.writer import DeadLetterQueue, RevocationWriter
from local import replay

ITEMS = [Revocation(f"user#{number}", 10 + number, 20 + number) for number in range(25)]


@pytest.fixture
def writer(aws: Aws, time_: Time) -> RevocationWriter:
    return RevocationWriter(TABLE, aws.dynamodb, time_.clock, time_.advance)


def queue_all(aws: Aws) -> None:
    for item in ITEMS:
        DeadLetterQueue(aws.queue_url, aws.sqs, Clock()).put(item)


def test_all_that_waits_is_written_and_the_queue_is_empty(aws: Aws, writer: RevocationWriter) -> None:
    queue_all(aws)
    aws.fail("UpdateItem", every(3, FAULTS["throttled"]))
    assert replay.replay(aws.sqs, aws.queue_url, writer, wait_seconds=0) == (25, 0)
    assert aws.items == {item.subject: (item.issued_until, item.expires_at) for item in ITEMS}
    assert aws.waiting == 0


def test_what_cannot_be_written_stays_and_nothing_else_is_tried(aws: Aws, writer: RevocationWriter) -> None:
    queue_all(aws)
    aws.fail("UpdateItem", FAULTS["down"])
    assert replay.replay(aws.sqs, aws.queue_url, writer, wait_seconds=0) == (0, 1)
    assert aws.requests.count("UpdateItem") > 1  # for one entry
    assert aws.waiting == 25


def test_what_is_no_entry_stays_and_keeps_no_other_waiting(
    aws: Aws, writer: RevocationWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody="SECRET")
    queue_all(aws)
    assert replay.replay(aws.sqs, aws.queue_url, writer, wait_seconds=0) == (25, 2)
    assert aws.waiting == 2
    assert "SECRET" not in capsys.readouterr().err


class ImpatientQueue:
    """SQS, handing out again at once whatever was not deleted, as it does a minute later; for ever."""

    def __init__(self, *bodies: str) -> None:
        self.bodies = dict(enumerate(bodies))

    def receive_message(self, **_: object) -> Json:
        found = [{"MessageId": f"id-{n}", "Body": body, "ReceiptHandle": n} for n, body in self.bodies.items()]
        return {"Messages": found[:10]} if found else {}

    def delete_message(self, ReceiptHandle: int, **_: object) -> None:  # noqa: N803 - SQS's
        del self.bodies[ReceiptHandle]


def test_what_comes_round_again_is_the_end_and_counts_once(aws: Aws, writer: RevocationWriter) -> None:
    entries = [json.dumps(asdict(item)) for item in ITEMS]
    queue = ImpatientQueue("none", *entries[:4], "none", *entries[4:6])
    assert replay.replay(queue, "queue", writer, wait_seconds=0) == (6, 2)
    assert len(aws.items) == 6
    aws.fail("UpdateItem", FAULTS["down"])
    assert replay.replay(ImpatientQueue(*entries), "queue", writer, wait_seconds=0) == (0, 1)


def test_what_sqs_hands_out_twice_is_written_twice(aws: Aws, writer: RevocationWriter) -> None:
    """At least once is all that it promises; the second time is no reason to leave the others."""
    entries = [json.dumps(asdict(item)) for item in ITEMS]

    class Twice(ImpatientQueue):
        def receive_message(self, **options: object) -> Json:
            found = super().receive_message(**options).get("Messages", [])
            return {"Messages": [*found, *found]} if found else {}

        def delete_message(self, ReceiptHandle: int, **_: object) -> None:  # noqa: N803 - SQS's
            self.bodies.pop(ReceiptHandle, None)

    assert replay.replay(Twice(*entries), "queue", writer, wait_seconds=0) == (50, 0)
    assert len(aws.items) == 25


def test_an_entry_that_was_overtaken_shortens_nothing(aws: Aws, writer: RevocationWriter) -> None:
    DeadLetterQueue(aws.queue_url, aws.sqs, Clock()).put(Revocation("user#1", 10, 20))
    writer.write(Revocation("user#1", 11, 21))
    assert replay.replay(aws.sqs, aws.queue_url, writer, wait_seconds=0) == (1, 0)
    assert aws.items == {"user#1": (11, 21)}
