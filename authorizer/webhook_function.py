"""The entry point of the webhooks' receiver, and its only global state: everything that is built once per sandbox."""

import os

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Misconfigured
from authorizer.hanko.fetch import JWKS_PATH, HttpsClient

_function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "hanko-webhooks")
try:
    _settings = Settings.from_env(os.environ)
    _table, _queue_url = _settings.logout.table_and_queue()
except Misconfigured as error:
    from authorizer.telemetry import write_not_started

    write_not_started(_function_name, error)
    raise
_clock = Clock()
_client = HttpsClient(_settings, _clock)
_prefetch = _client.start(JWKS_PATH)

# What takes its time to import: the keys are on their way meanwhile.
from authorizer.hanko.keys import KeyCache  # noqa: E402 - see above
from authorizer.hanko.revocations import DeadLetters, RevocationWriter, connect_both  # noqa: E402 - see above
from authorizer.hanko.webhook import WebhookVerifier  # noqa: E402 - see above
from authorizer.receiver import Receiver  # noqa: E402 - see above
from authorizer.telemetry import Telemetry  # noqa: E402 - see above

_dynamodb, _sqs = connect_both()
_keys = KeyCache(_settings, _client, _clock, _prefetch)
_receiver = Receiver(
    _keys,
    WebhookVerifier(_settings, _keys, _clock),
    RevocationWriter(_table, _dynamodb, _clock),
    DeadLetters(_queue_url, _sqs),
    Telemetry(_settings, _function_name),
)


def webhook_handler(event: object, context: object) -> dict[str, object]:
    """Answer one request to the Function URL. See `Receiver.handle`."""
    return _receiver.handle(event, getattr(context, "aws_request_id", ""))
