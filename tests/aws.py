"""DynamoDB and SQS in process (moto), with the clients that run in AWS, and with injected faults."""

import json
from collections.abc import Callable
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError

from authorizer.revocation.entry import Revocation
from authorizer.revocation.table import connect_all

Json = dict[str, Any]
Fault = Callable[[], object]  # called before each request of an operation: raises, or returns what botocore is to see
TABLE = "revoked"


def answers(status: int, parsed: Json) -> Fault:
    """DynamoDB or SQS answers."""
    return lambda: (AWSResponse("", status, HTTPHeaders(), None), parsed)


def refuses(code: str, status: int = 400) -> Fault:
    """DynamoDB or SQS answers with an error."""
    return answers(status, {"Error": {"Code": code, "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": status}})


def refuses_connections() -> object:
    """The connection is refused."""
    raise EndpointConnectionError(endpoint_url="https://dynamodb.eu-west-1.amazonaws.com")


FAULTS: dict[str, Fault] = {
    "throttled": refuses("ProvisionedThroughputExceededException"),
    "denied": refuses("AccessDeniedException"),
    "refused": refuses("ResourceNotFoundException"),
    "failing": refuses("InternalServerError", 500),
    "down": refuses_connections,
}


def every(nth: int, fault: Fault) -> Fault:
    """That fault, for each nth request."""
    count = 0

    def call() -> object:
        nonlocal count
        count += 1
        return fault() if count % nth == 0 else None

    return call


class Aws:
    """One table and one queue."""

    def __init__(self) -> None:
        """Needs moto at work, and region and credentials in the environment."""
        self.dynamodb, self.sqs, self.sns = connect_all("dynamodb", "sqs", "sns")
        self._faults: dict[str, Fault] = {}
        self.requests: list[str] = []
        for client in (self.dynamodb, self.sqs, self.sns):
            client.meta.events.register("before-call", self._before)

    def create(self) -> None:
        """Empty, as the template makes them."""
        self.dynamodb.create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": "subject", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "subject", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.queue_url: str = self.sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
        self._faults.clear()
        self.requests.clear()

    def fail(self, operation: str, fault: Fault | None) -> None:
        """Make an operation fail from now on, or no longer."""
        self._faults[operation] = fault or (lambda: None)

    def _before(self, model: Any, **_: object) -> object:  # noqa: ANN401 - botocore's
        self.requests.append(model.name)
        fault = self._faults.get(model.name)
        return fault() if fault else None

    @property
    def items(self) -> dict[str, tuple[int, int]]:
        """What the table holds: subject → issued_until, expires_at."""
        items = self.dynamodb.get_paginator("scan").paginate(TableName=TABLE).build_full_result()["Items"]
        return {
            one["subject"]["S"]: (int(one["issued_until"]["N"]), int(one.get("expires_at", {"N": 0})["N"]))
            for one in items
        }

    @property
    def queued(self) -> list[Revocation]:
        """What the queue holds."""
        bodies = []
        while batch := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            bodies += [json.loads(message["Body"]) for message in batch]
        return [Revocation(**body) for body in bodies]

    @property
    def waiting(self) -> int:
        """The number of messages, those in flight included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        numbers = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]
        return sum(map(int, numbers.values()))
