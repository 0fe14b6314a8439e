"""Tells others what was revoked: an SNS topic, for open connections, caches and audits.

A message says no more than ids and times. Its form is documented in docs/connections.md; a change that could break a
reader gets another version.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress

from authorizer.clock import Clock, attempts
from authorizer.revocation.entry import Revocation
from authorizer.revocation.reader import MALFORMED, PAUSES_SECONDS
from authorizer.revocation.table import FAILURES, Client

VERSION = 1
PUBLISH_AGAIN_SECONDS = 0.3  # a dead connection fails at once; a silent one takes 1 s, and Hanko waits 10 s for it all


class RevocationTopic:
    """The topic that `HANKO_REVOCATION_TOPIC_ARN` names."""

    def __init__(self, arn: str, client: Client, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        self._arn, self._client, self._clock, self._pause = arn, client, clock, pause

    def publish(self, revocation: Revocation) -> bool:
        """Publish what was revoked; whether SNS took it. Never raises: the revocation itself is durable by now."""
        kind, _, identifier = revocation.subject.partition("#")
        times = {"issued_until": revocation.issued_until, "expires_at": revocation.expires_at}
        message = json.dumps({"version": VERSION, "kind": kind, "id": identifier, **times})
        attributes = {"kind": {"DataType": "String", "StringValue": kind}}
        for _ in attempts(self._clock, PAUSES_SECONDS, self._clock.monotonic() + PUBLISH_AGAIN_SECONDS, self._pause):
            with suppress(*FAILURES, *MALFORMED):
                answer = self._client.publish(TopicArn=self._arn, Message=message, MessageAttributes=attributes)
                if answer["MessageId"]:
                    return True
        return False
