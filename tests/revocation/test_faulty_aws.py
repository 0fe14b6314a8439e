"""Four receivers at once, every second answer of AWS lost, wrong or late, and the receivers killed at random.

The receivers are processes of their own in front of a local AWS (MiniStack) over real HTTP. What was acknowledged is in
the table, or in the queue and then in the table, with both numbers at least as large as it said. `make soak` sends
10,000 webhooks.
"""

import json
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aws import TABLE
from faulty import FaultyAws, half
from receiving import url_event
from sizes import WEBHOOKS

from authorizer.clock import Clock
from authorizer.hanko.jws import MAX_TIME
from authorizer.revocation.subject import session_subject, user_subject
from authorizer.revocation.webhook import MARGIN_SECONDS
from authorizer.revocation.writer import RevocationWriter
from local.aws import LocalAws
from local.hanko import StandInHanko
from local.replay import replay
from local.runtime import lambda_environment

ROOT = Path(__file__).parent.parent.parent
RECEIVERS = 4
USERS = 40  # who come again and again, with times in any order
LIFETIME = 43_200
KILLED = max(0.01, 6 / WEBHOOKS)  # of the webhooks, while they are on their way
LONGEST_SECONDS = 0.5  # until a kill


@dataclass
class Webhook:
    """One webhook: what it says, and what the table must then say at least."""

    event: str
    subject: str
    issued_until: int
    expires_at: int


@dataclass
class Receiver:
    """One process of the receiver, started again when it was killed."""

    environment: dict[str, str]
    log: Path
    starts: int = 0
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def post(self, event: object, kill_after: float | None = None) -> int | None:
        """The status; None if it was killed before it had answered."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        killer = None if kill_after is None else threading.Timer(kill_after, process.kill)
        if killer:
            killer.start()
        try:
            process.stdin.write(json.dumps(event) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if killer:
            killer.join()
            self.stop()
        return int(line) if line else None

    def kill(self) -> None:
        """Whatever it is doing."""
        if self._process:
            self._process.kill()

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self.starts += 1
            program = str(ROOT / "tests" / "receiver_process.py")
            with self.log.open("a") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                    [sys.executable, program], env=self.environment, cwd=ROOT,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                )  # fmt: skip
        return self._process


@pytest.fixture(scope="module")
def local_aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def hanko() -> Iterator[StandInHanko]:
    """On the machine's own clock, as the receivers are."""
    with StandInHanko() as stand_in:
        yield stand_in


@dataclass
class Shop:
    """Table, queue, topic, the proxy in front of them, and the receivers behind it."""

    aws: LocalAws
    proxy: FaultyAws
    hanko: StandInHanko
    receivers: list[Receiver]
    queue_url: str

    def send(self, webhook: Webhook, receiver: Receiver, kill_after: float | None = None) -> int | None:
        data: dict[str, object] = {"id": webhook.subject.partition("#")[2]}
        claims = {"iat": webhook.issued_until, "exp": webhook.issued_until + 300}
        if webhook.event.startswith("session"):
            claims = {}
            data["expires_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(webhook.expires_at - MARGIN_SECONDS))
        elif webhook.event == "user.delete":
            claims = {name: value - 10 for name, value in claims.items()}  # the receiver adds the clock skew
        else:
            claims = {name: value + 1 for name, value in claims.items()}  # recovery's new session must live
        token = self.hanko.webhook_token(webhook.event, data, claims=claims)
        return receiver.post(url_event(json.dumps({"token": token, "event": webhook.event})), kill_after)

    def replayed(self) -> int:
        """How many entries were written from the queue, with an AWS that is well."""
        self.proxy.fault = lambda _: ""
        writer = RevocationWriter(TABLE, self.aws.client("dynamodb"), Clock())
        written, left = replay(self.aws.client("sqs"), self.queue_url, writer, 0)
        assert left == 0
        return written

    def items(self) -> dict[str, dict[str, int]]:
        pages = self.aws.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
        every = [item for page in pages for item in page["Items"]]
        return {
            item["subject"]["S"]: {name: int(value["N"]) for name, value in item.items() if "N" in value}
            for item in every
        }


@pytest.fixture
def shop(local_aws: LocalAws, hanko: StandInHanko, tmp_path: Path) -> Iterator[Shop]:
    dynamodb, sqs, sns = (local_aws.client(name) for name in ("dynamodb", "sqs", "sns"))
    dynamodb.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "subject", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "subject", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    queue_url = sqs.create_queue(QueueName=f"dead-letters-{uuid.uuid4()}")["QueueUrl"]
    topic_arn = sns.create_topic(Name="revocations")["TopicArn"]
    with FaultyAws(local_aws.endpoint, lambda _: "") as proxy:
        environment = {
            **lambda_environment("authorizer.webhook_function.webhook_handler", ROOT),
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "HANKO_API_URL": hanko.url,
            "HANKO_AUDIENCE": "localhost",
            "HANKO_MAX_TOKEN_LIFETIME_SECONDS": str(LIFETIME),
            "HANKO_REVOCATION_TABLE": TABLE,
            "HANKO_REVOCATION_QUEUE_URL": queue_url,
            "HANKO_REVOCATION_TOPIC_ARN": topic_arn,
            "HANKO_REVOKE_ON_PASSWORD_CHANGE": "true",
        }
        receivers = [Receiver(environment, tmp_path / f"log-{number}") for number in range(RECEIVERS)]
        try:
            yield Shop(local_aws, proxy, hanko, receivers, queue_url)
        finally:
            for receiver in receivers:
                receiver.stop()
            dynamodb.delete_table(TableName=TABLE)


def webhooks(dice: random.Random, number: int) -> list[Webhook]:
    """Sessions that end once, and users whose sessions end again and again, in any order."""
    now = int(time.time())
    users = [str(uuid.uuid4()) for _ in range(USERS)]

    def one() -> Webhook:
        issued_until = now - dice.randint(0, 3_000)
        if dice.random() < 0.5:
            return Webhook(
                "session.delete.explicit.logout",
                session_subject(str(uuid.uuid4())),
                MAX_TIME,
                issued_until + LIFETIME + MARGIN_SECONDS,
            )
        event = dice.choice(["user.delete", "user.update.password.update"])
        # The expiry counts from the time of issue as Hanko wrote it.
        return Webhook(event, user_subject(dice.choice(users)), issued_until, issued_until + LIFETIME)

    return [one() for _ in range(number)]


def test_nothing_that_was_acknowledged_is_lost_or_shortened(shop: Shop) -> None:
    dice, counted = random.Random(40), Counter[str]()  # noqa: S311 - no secret
    shop.proxy.fault = half(random.Random(41))  # noqa: S311 - no secret
    every = webhooks(dice, WEBHOOKS)
    acknowledged: list[Webhook] = []
    is_over = threading.Event()

    def serve(receiver: Receiver, mine: list[Webhook]) -> None:
        chance = random.Random(id(receiver))  # noqa: S311 - no secret
        for webhook in mine:
            if is_over.is_set():
                return
            kill_after = chance.uniform(0, LONGEST_SECONDS) if chance.random() < KILLED else None
            status = shop.send(webhook, receiver, kill_after)
            counted[str(status)] += 1
            if status is not None and status < 400:  # what Hanko takes for delivered
                acknowledged.append(webhook)

    with ThreadPoolExecutor(RECEIVERS) as pool:
        try:
            for done in [pool.submit(serve, one, every[i::RECEIVERS]) for i, one in enumerate(shop.receivers)]:
                done.result()
        finally:
            is_over.set()  # Ctrl-C need not wait for ten thousand
    counted["from the queue"] = shop.replayed()
    starts = [receiver.starts for receiver in shop.receivers]
    print(dict(counted), "starts:", starts, "AWS:", dict(shop.proxy.counted))  # noqa: T201 - what `make soak` is run for
    items = shop.items()
    for webhook in acknowledged:
        item = items[webhook.subject]
        assert item["issued_until"] >= webhook.issued_until, webhook
        assert item["expires_at"] >= webhook.expires_at, webhook
    assert len(acknowledged) > WEBHOOKS / 2


@pytest.mark.parametrize("killed_at", range(1, 4))
def test_a_receiver_that_is_killed_between_two_writes_leaves_what_was_there(shop: Shop, killed_at: int) -> None:
    """An item that already says more in one number is raised in the other alone, in requests of their own."""
    first, second = shop.receivers[:2]
    subject = user_subject(str(uuid.uuid4()))
    now = int(time.time())
    before = {"issued_until": now - 100, "expires_at": now + 10 * LIFETIME}
    key = {"subject": {"S": subject}}
    numbers: dict[str, Any] = {name: {"N": str(value)} for name, value in before.items()}
    shop.aws.client("dynamodb").put_item(TableName=TABLE, Item={**key, **numbers})
    requests = 0

    def kill(body: bytes) -> None:
        nonlocal requests
        requests += b"UpdateExpression" in body
        if requests == killed_at:
            first.kill()

    shop.proxy.after = kill
    later = Webhook("user.delete", subject, now, now + LIFETIME)
    assert shop.send(later, first) is None
    item = shop.items()[subject]
    assert item["expires_at"] == before["expires_at"]
    assert item["issued_until"] in {before["issued_until"], later.issued_until}
    shop.proxy.after = lambda _: None
    assert shop.send(later, second) == 204
    assert shop.items()[subject] == {"issued_until": later.issued_until, "expires_at": before["expires_at"]}
