"""The webhook receiver's entry point, where logouts arrive. Its state is built once: startup.py, then the receiver."""

import os

from authorizer.startup import start

_started = start(os.environ, is_receiver=True)

from authorizer.revocation.receiver import build_receiver  # noqa: E402 - the keys are on their way during this import

_receiver = build_receiver(_started)


def webhook_handler(event: object, context: object) -> dict[str, object]:
    """Answer one request to the Function URL. See `Receiver.handle`."""
    return _receiver.handle(event, getattr(context, "aws_request_id", ""))
