"""Hanko's webhooks, logouts above all: parse, verify, revoke; one boundary for every failure, as in handler.py.

Hanko tries once. So a webhook is answered with success only when its revocation is durable: in the table, or in the
dead-letter queue. A webhook that comes twice, late or in another order does no harm.
"""

from contextlib import suppress

from authorizer.clock import Clock
from authorizer.errors import AuthorizerError, Misconfigured, Reason, Unavailable
from authorizer.hanko.keys import KeyCache
from authorizer.revocation import function_url
from authorizer.revocation.entry import Revocation
from authorizer.revocation.table import connect_all
from authorizer.revocation.topic import RevocationTopic
from authorizer.revocation.webhook import MAX_BODY_BYTES, WebhookVerifier
from authorizer.revocation.writer import DeadLetterQueue, RevocationWriter
from authorizer.startup import Startup
from authorizer.telemetry import Telemetry, WebhookRecord


class Receiver:
    """Answers the requests to one Function URL."""

    def __init__(  # noqa: PLR0913, PLR0917 - everything that lives as long as the process
        self,
        keys: KeyCache,
        verifier: WebhookVerifier,
        writer: RevocationWriter,
        dead_letters: DeadLetterQueue,
        telemetry: Telemetry,
        clock: Clock,
        *,
        topic: RevocationTopic | None = None,
    ) -> None:
        self._keys, self._verifier, self._telemetry, self._clock = keys, verifier, telemetry, clock
        self._writer, self._dead_letters, self._topic = writer, dead_letters, topic

    def handle(self, event: object, invocation_id: str) -> dict[str, object]:
        """The answer to one request. Nothing is raised, whatever comes in."""
        record = WebhookRecord(invocation_id, function_url.request_id(event))
        try:
            self._receive(event, record)
        except AuthorizerError as error:
            record.reason = error.reason
        except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
            record.trace(error)
        status = function_url.status_of(record.reason)
        with suppress(Exception):  # a webhook is answered even if its record cannot be written
            self._telemetry.write_webhook(record, status, self._keys.take_report())
        return function_url.render(status)

    def _receive(self, event: object, record: WebhookRecord) -> None:
        came_at = self._clock.monotonic()
        webhook = self._verifier.verify(function_url.parse_body(event, MAX_BODY_BYTES))
        record.event = webhook.event
        if webhook.revocation is None:
            record.reason = Reason.EVENT_IGNORED
        else:
            record.reason = self._revoke(webhook.revocation, record, came_at)
            if self._topic:  # the revocation is durable by now, whether or not SNS takes the message
                record.published = self._topic.publish(webhook.revocation)
        if not webhook.is_for_us:
            raise Misconfigured(Reason.WEBHOOK_AUDIENCE)

    def _revoke(self, revocation: Revocation, record: WebhookRecord, came_at: float) -> Reason:
        try:
            self._writer.write(revocation, came_at)
        except Exception as error:  # noqa: BLE001 - whatever kept it from being written, it must not be lost
            if not isinstance(error, Unavailable):
                record.trace(error)
            self._dead_letters.put(revocation, came_at)
            return Reason.REVOCATION_QUEUED
        return Reason.REVOKED


def build_receiver(started: Startup) -> Receiver:
    settings, clock = started.settings, started.clock
    table, queue_url = settings.table_and_queue()
    topic_arn = settings.revocation_topic_arn
    dynamodb, sqs, *sns = connect_all("dynamodb", "sqs", *(["sns"] if topic_arn else []))
    keys = KeyCache(settings, started.client, clock, started.prefetch)
    return Receiver(
        keys,
        WebhookVerifier(settings, keys, clock),
        RevocationWriter(table, dynamodb, clock),
        DeadLetterQueue(queue_url, sqs, clock),
        Telemetry(settings, started.function_name),
        clock,
        topic=RevocationTopic(topic_arn, sns[0], clock) if topic_arn else None,
    )
