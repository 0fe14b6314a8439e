"""DynamoDB and SQS in process (moto), with the clients that run in AWS, and with injected faults."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError
from servers import running

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.hanko.client import HttpsClient
from authorizer.revocation.entry import Revocation
from authorizer.revocation.signed import SignedReader, open_signed
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
        self.connections = 0  # over HTTP
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

    @contextmanager
    def over_http(self) -> Iterator[str]:
        """The address of a DynamoDB that answers BatchGetItem as this one does, faults included."""
        aws = self
        aws.connections = 0

        class Handler(DynamoDbHandler):
            dynamodb = self.dynamodb

            def setup(self) -> None:
                aws.connections += 1
                super().setup()

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        with running(server):
            yield f"http://127.0.0.1:{server.server_address[1]}"


class DynamoDbHandler(BaseHTTPRequestHandler):
    """DynamoDB's protocol in front of a botocore client. A client that cannot connect closes the connection."""

    protocol_version = "HTTP/1.1"
    dynamodb: Any

    def do_POST(self) -> None:
        """Answer BatchGetItem."""
        assert self.headers["X-Amz-Target"] == "DynamoDB_20120810.BatchGetItem"
        assert self.headers["Content-Type"] == "application/x-amz-json-1.0"
        parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer, status = self.dynamodb.batch_get_item(**parameters), 200
        except ClientError as error:
            kind = f"com.amazonaws.dynamodb.v20120810#{error.response['Error']['Code']}"
            answer, status = {"__type": kind}, error.response["ResponseMetadata"]["HTTPStatusCode"]
        except BotoCoreError:
            self.close_connection = True
            return
        answer.pop("ResponseMetadata", None)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Silence."""


def signed_reader(url: str, settings: Settings, clock: Clock) -> SignedReader:
    """Our own reader, for the DynamoDB at that address."""
    environ = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_DYNAMODB": url,
        "AWS_CONFIG_FILE": "/nowhere",
    }
    reader = open_signed(environ, settings, TABLE, HttpsClient(settings, clock), clock)
    assert reader is not None
    return reader
