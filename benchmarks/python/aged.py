"""Ours, with a clock that is 601 seconds ahead from the second call on: its keys are beyond their maximum age."""

import time
from importlib import import_module

_ahead_seconds = 0.0
_wall = time.time
time.time = lambda: _wall() + _ahead_seconds

lambda_handler = import_module("authorizer.lambda_function").lambda_handler  # after the clock


def handler(event: object, context: object) -> dict[str, object]:
    """Answer, then let the time pass."""
    global _ahead_seconds  # noqa: PLW0603 - the function's one clock
    answer: dict[str, object] = lambda_handler(event, context)
    _ahead_seconds = 601.0
    return answer
