"""What every command shares: how it ends, and what the user reads instead of a traceback."""

import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

STOPPED = 130  # what a shell reports of a program that Ctrl-C ended


class CommandFailed(Exception):
    """What went wrong and what to do about it, in one to three lines."""


def run(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with its status: 0 or what it returns, 1 if it failed, 130 if it was stopped."""
    signal.signal(signal.SIGTERM, _stop)  # as Ctrl-C: every `with` is left, so nothing is left behind
    try:
        sys.exit(command())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(STOPPED)
    except Exception as error:
        told = explain(error)
        if told is None:
            raise
        print(told, file=sys.stderr)
        sys.exit(1)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def explain(error: Exception) -> str | None:
    """What the user is told about an error that they can do something about; None for a fault of ours."""
    match error:
        case CommandFailed():
            return str(error)
        case BrokenPipeError():
            return ""
    return None


def numbered(things: int, name: str) -> str:
    """`1 mistake`, `2 mistakes`."""
    return f"{things} {name}{'' if things == 1 else 's'}"


def at_most(lines: list[str], limit: int) -> Iterator[str]:
    """The first lines, and how many more there are."""
    yield from lines[:limit]
    if len(lines) > limit:
        yield f"… and {len(lines) - limit} more"
