"""The webhooks' receiver built of the real parts, on the test's clock, in front of the test's AWS."""

import base64
import json
import uuid
from collections.abc import Callable
from functools import cached_property

import pytest
from aws import TABLE, Aws
from sandbox import Json, Time

from authorizer.config import Settings
from authorizer.hanko.client import HttpsClient
from authorizer.hanko.keys import KeyCache
from authorizer.revocation.receiver import Receiver
from authorizer.revocation.topic import RevocationTopic
from authorizer.revocation.webhook import WebhookVerifier
from authorizer.revocation.writer import DeadLetterQueue, RevocationWriter
from authorizer.telemetry import Telemetry


def url_event(body: object, method: str = "POST", *, is_base64: bool = False) -> Json:
    """What Lambda makes of a request to a Function URL (payload 2.0), with what nobody here reads left out."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "example.lambda-url.eu-west-1.on.aws"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "example",
            "http": {"method": method, "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "Go"},
            "requestId": "request-1",
            "stage": "$default",
            "timeEpoch": 1_800_000_000_000,
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


class Receiving:
    """One sandbox of the receiver."""

    def __init__(self, settings: Settings, time: Time, aws: Aws, capture: pytest.CaptureFixture[str]) -> None:
        self._settings, self._time, self._aws, self._capture = settings, time, aws, capture
        self.keys = KeyCache(settings, HttpsClient(settings, time.clock), time.clock)

    @cached_property
    def receiver(self) -> Receiver:
        """Built with the first event, as in sandbox.py. A pause is time that passes."""
        clock, topic_arn = self._time.clock, self._settings.revocation_topic_arn
        return Receiver(
            self.keys,
            WebhookVerifier(self._settings, self.keys, clock),
            RevocationWriter(TABLE, self._aws.dynamodb, clock, self._time.advance),
            DeadLetterQueue(self._aws.queue_url, self._aws.sqs, clock, self._time.advance),
            Telemetry(self._settings, f"test-{uuid.uuid4()}"),
            clock,
            topic=RevocationTopic(topic_arn, self._aws.sns, clock, self._time.advance) if topic_arn else None,
        )

    def answer(self, event: object) -> Json:
        return self.receiver.handle(event, "invocation")

    def post(self, body: str | bytes) -> int:
        """The status of a POST. Bytes come in base64, as what is no text does."""
        is_base64 = isinstance(body, bytes)
        text = base64.b64encode(body).decode() if isinstance(body, bytes) else body
        status: int = self.answer(url_event(text, is_base64=is_base64))["statusCode"]
        return status

    def output(self) -> str:
        """Everything that was written since the last call."""
        captured = self._capture.readouterr()
        return captured.out + captured.err

    def record(self) -> Json:
        """The one record since the last call."""
        (line,) = self.output().splitlines()
        record: Json = json.loads(line)
        return record


MakeReceiving = Callable[..., Receiving]
