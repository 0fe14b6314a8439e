"""The authorizer's entry point. Its process state is built once: first startup.py, then assembly.py."""

import os

from authorizer.startup import after_restore, start

_started = start(os.environ)

from authorizer.assembly import build_authorizer  # noqa: E402 - the keys are on their way during this import

_authorizer = build_authorizer(_started)
after_restore(os.environ, lambda restarted: globals().update(_authorizer=build_authorizer(restarted)))


def lambda_handler(event: object, context: object) -> dict[str, object]:
    """Answer one event of API Gateway or AppSync. See `Authorizer.handle`."""
    invocation_id, function_arn = getattr(context, "aws_request_id", ""), getattr(context, "invoked_function_arn", "")
    return _authorizer.handle(event, invocation_id, function_arn)
