"""Ours, with a clock that is 601 seconds ahead from the second call on: its keys are beyond their maximum age."""

import time

_ahead_seconds = 0.0
_wall = time.time
time.time = lambda: _wall() + _ahead_seconds

from authorizer.lambda_function import lambda_handler  # noqa: E402 - after the clock


def handler(event: object, context: object) -> dict[str, object]:
    """Answer, then let the time pass."""
    global _ahead_seconds  # noqa: PLW0603 - the function's one clock
    answer = lambda_handler(event, context)
    _ahead_seconds = 601.0
    return answer
