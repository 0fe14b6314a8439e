"""DynamoDB, SQS and Systems Manager over real HTTP, with faults, and the variables of a function beside them."""

import json
import socket
from collections.abc import Sequence

import pytest
from aws import TABLE
from entering import resolve
from sandbox import Json
from servers import read_head, resetting, whole

PARAMETER = "/hanko/rules"
THROTTLED = b'HTTP/1.1 400 Bad Request\r\nContent-Length: 33\r\n\r\n{"__type": "ThrottlingException"}'


class HttpAws:
    """Handles connections. One serves until it is closed, as AWS's do."""

    def __init__(self, resets: int = 0) -> None:
        """The first connections are reset. `faults` are for the next requests: an answer, or b"" for a reset.

        `says` is the body, of status 200, to every request of an operation (`BatchGetItem`).
        """
        self.resets, self.connections = resets, 0
        self.faults: list[bytes] = []
        self.says: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.items: dict[str, Json] = {}
        self.queued: list[Json] = []
        self.rules = ""

    def __call__(self, client: socket.socket) -> None:
        self.connections += 1
        if self.connections <= self.resets:
            resetting(client)
            return
        while request := _read(client):
            operation, body = request
            self.asked.append(operation)
            fault = self.faults.pop(0) if self.faults else whole(self._body(operation, body))
            if not fault:
                resetting(client)
                return
            client.sendall(fault)

    def _body(self, operation: str, request: Json) -> str:
        if operation in self.says:
            return self.says[operation].decode()
        match operation:
            case "UpdateItem":
                written = {name[1:]: value for name, value in request["ExpressionAttributeValues"].items()}
                self.items[request["Key"]["subject"]["S"]] = written
                return json.dumps({"Attributes": written})
            case "SendMessage":
                self.queued.append(json.loads(request["MessageBody"]))
                return json.dumps({"MessageId": "message-1"})
            case "GetParameter":
                return json.dumps({"Parameter": {"Name": PARAMETER, "Type": "String", "Value": self.rules}})
        subjects = [key["subject"]["S"] for key in request["RequestItems"][TABLE]["Keys"]]
        found = [{"subject": {"S": subject}, **self.items[subject]} for subject in subjects if subject in self.items]
        return json.dumps({"Responses": {TABLE: found}, "UnprocessedKeys": {}})


def _read(client: socket.socket) -> tuple[str, Json] | None:
    """The operation and the parameters of the next request; None if there is none."""
    head, _, body = read_head(client).partition("\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    named = {name.lower(): value for name, value in headers.items()}
    if not named:
        return None
    while len(body) < int(named["content-length"]):
        body += client.recv(65536).decode()
    return named["x-amz-target"].rpartition(".")[2], json.loads(body)


def beside(
    monkeypatch: pytest.MonkeyPatch, address: str, dead: Sequence[tuple[str, int]] = (), failures: int = 0
) -> dict[str, str]:
    """The variables of a function beside it. Looking up its name fails so often, and finds the dead addresses first."""
    port = int(address.partition(":")[2])
    resolve(monkeypatch, "aws.localhost", *dead, ("127.0.0.1", port), failures=failures)
    url = f"http://aws.localhost:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1"}
    return {**keys, **{f"AWS_ENDPOINT_URL_{service}": url for service in ("DYNAMODB", "SQS", "SSM")}}


def table_and_queue(address: str) -> dict[str, str]:
    """The settings that the receiver requires."""
    queue_url = f"http://aws.localhost:{address.partition(':')[2]}/123456789012/dead-letters"
    return {"HANKO_REVOCATION_TABLE": TABLE, "HANKO_REVOCATION_QUEUE_URL": queue_url}
