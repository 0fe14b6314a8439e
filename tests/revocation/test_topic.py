"""What others are told of a revocation: after it is durable, in a documented form, with nothing but ids and times."""

import json
from typing import Any

import pytest
from aws import FAULTS, Aws, answers
from receiving import MakeReceiving
from sandbox import NOW, SESSION, USER, Json, Time

from local.hanko import StandInHanko


@pytest.fixture
def time_() -> Time:
    return Time(wall=NOW)


@pytest.fixture
def arn(aws: Aws) -> str:
    """A topic whose messages end in the test's queue."""
    topic: str = aws.sns.create_topic(Name="revoked")["TopicArn"]
    queue = aws.sqs.get_queue_attributes(QueueUrl=aws.queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    return topic


def published(aws: Aws) -> list[Json]:
    messages: list[Any] = []
    while batch := aws.sqs.receive_message(QueueUrl=aws.queue_url, MaxNumberOfMessages=10).get("Messages"):
        messages += [json.loads(one["Body"]) for one in batch]
    assert all(one["MessageAttributes"]["kind"]["Value"] == json.loads(one["Message"])["kind"] for one in messages)
    return [json.loads(one["Message"]) for one in messages]


def webhook(hanko: StandInHanko, event: str, data: Json) -> str:
    return json.dumps({"token": hanko.webhook_token(event, data), "event": event})


ENDED = {
    "id": SESSION,
    "user_id": USER,
    "user_agent": "Example/1.0",
    "ip_address": "192.0.2.1",
    "expires_at": "2027-01-15T20:00:00Z",
}


def test_a_revoked_session_is_told(make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, arn: str) -> None:
    """The whole message: no user, no address, no browser."""
    receiving = make_receiving(revocation_topic_arn=arn)
    assert receiving.post(webhook(hanko, "session.delete.explicit.logout", ENDED)) == 204
    assert published(aws) == [
        {
            "version": 1,
            "kind": "session",
            "id": SESSION,
            "issued_until": 4_102_444_800,
            "expires_at": aws.items[f"session#{SESSION}"][1],
        }
    ]


def test_a_deleted_user_is_told(make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, arn: str) -> None:
    receiving = make_receiving(revocation_topic_arn=arn)
    assert receiving.post(webhook(hanko, "user.delete", {"id": USER, "emails": []})) == 204
    (message,) = published(aws)
    assert (message["kind"], message["id"], message["issued_until"]) == ("user", USER, NOW + 10)


@pytest.mark.parametrize("event", ["user.update", "session.create"])
def test_an_event_that_revokes_nothing_is_not_told(
    event: str, make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, arn: str
) -> None:
    assert make_receiving(revocation_topic_arn=arn).post(webhook(hanko, event, {"id": USER})) == 204
    assert published(aws) == []


def test_a_strangers_webhook_is_not_told(
    make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, arn: str
) -> None:
    receiving = make_receiving(revocation_topic_arn=arn)
    body = json.dumps({"token": hanko.mint(), "event": "session.delete.explicit.logout"})
    assert receiving.post(body) == 401
    assert published(aws) == []


def test_what_waits_in_the_queue_is_told(
    make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, arn: str
) -> None:
    """The queue is durable: `make replay` need not tell it again."""
    receiving = make_receiving(revocation_topic_arn=arn)
    aws.fail("UpdateItem", FAULTS["down"])
    assert receiving.post(webhook(hanko, "session.delete.explicit.logout", ENDED)) == 204
    assert aws.requests[-2:] == ["SendMessage", "Publish"]


def test_what_is_not_durable_is_not_told(
    make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, arn: str
) -> None:
    receiving = make_receiving(revocation_topic_arn=arn)
    aws.fail("UpdateItem", FAULTS["down"])
    aws.fail("SendMessage", FAULTS["down"])
    assert receiving.post(webhook(hanko, "session.delete.explicit.logout", ENDED)) == 503
    assert "Publish" not in aws.requests


@pytest.mark.parametrize("fault", FAULTS)
def test_a_topic_that_fails_costs_no_revocation(
    fault: str, make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, arn: str
) -> None:
    """A few attempts, then the webhook is a success all the same, marked and counted."""
    receiving = make_receiving(revocation_topic_arn=arn)
    aws.fail("Publish", FAULTS[fault])
    assert receiving.post(webhook(hanko, "session.delete.explicit.logout", ENDED)) == 204
    assert f"session#{SESSION}" in aws.items
    assert aws.requests.count("Publish") == 3  # at once, once more, and after 0.1 s
    record = receiving.record()
    assert (record["reason"], record["published"], record["PublishFailures"]) == ("revoked", False, 1)


@pytest.mark.parametrize("parsed", [{}, {"MessageId": ""}, {"MessageId": None}], ids=str)
def test_an_answer_without_a_message_id_is_none(
    parsed: Json, make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, arn: str
) -> None:
    """A 200 can come from a proxy."""
    receiving = make_receiving(revocation_topic_arn=arn)
    aws.fail("Publish", answers(200, parsed))
    assert receiving.post(webhook(hanko, "session.delete.explicit.logout", ENDED)) == 204
    assert receiving.output().count('"published":false') == 1


def test_one_dead_connection_is_not_the_end(
    make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, arn: str
) -> None:
    receiving = make_receiving(revocation_topic_arn=arn)
    faults = [FAULTS["down"]]
    aws.fail("Publish", lambda: faults.pop()() if faults else None)
    assert receiving.post(webhook(hanko, "session.delete.explicit.logout", ENDED)) == 204
    record = receiving.record()
    assert (record["published"], "PublishFailures" in record) == (True, False)


def test_without_a_topic_nothing_is_said(make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws) -> None:
    receiving = make_receiving()
    assert receiving.post(webhook(hanko, "session.delete.explicit.logout", ENDED)) == 204
    record = receiving.record()
    assert "published" not in record
    assert "PublishFailures" not in record
    assert "Publish" not in aws.requests
