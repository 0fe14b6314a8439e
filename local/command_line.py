"""What every command shares: how it prints, how it ends, and what the user reads instead of a traceback."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from authorizer.errors import Misconfigured

WIDTH = 100  # the most that a line has, but for names that must stay whole
STOPPED = 130  # what a shell reports of a program that Ctrl-C ended
END_SECONDS = 5
MISTAKES_SHOWN = 10
NO_CREDENTIALS = {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}


class CommandFailed(Exception):
    """What went wrong and what to do about it, in one to three lines."""


def mistaken(what: str, mistakes: Sequence[str]) -> CommandFailed:
    """The error that tells what is mistaken, and each mistake in a line of its own."""
    return CommandFailed("\n".join([what, *(f"  {one}" for one in at_most(mistakes, MISTAKES_SHOWN))]))


def misconfigured(error: Misconfigured) -> CommandFailed:
    """The same for settings or rules: the error's text begins with what is mistaken."""
    what, *mistakes = str(error).splitlines()
    return mistaken(what, mistakes)


def run(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with its status: 0 or what it returns, 1 if it failed, 130 if it was stopped."""
    signal.signal(signal.SIGTERM, _stop)  # as Ctrl-C: every `with` is left, so nothing is left behind
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see local/__init__.py
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(STOPPED)
    except BrokenPipeError:  # the reader of our output has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        told = explain(error)
        if told is None:
            raise
        for line in told.splitlines():
            say(textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False), "red", error=True)
        sys.exit(1)
    sys.exit(status)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise KeyboardInterrupt


# --- printing


def say(text: str = "", style: str | None = None, *, error: bool = False) -> None:
    """Print a line. Colours go to a terminal only, and not there if NO_COLOR is set.

    Control characters are shown escaped: a token or a record may hold them, and no terminal shall obey a stranger.
    """
    from rich.console import Console  # noqa: PLC0415 - only commands that run through need it

    safe = "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)
    Console(stderr=error, highlight=False, soft_wrap=True).print(safe, style=style, markup=False)


def columns(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows as lines of aligned columns, none wider than WIDTH: the longest texts are cut."""
    texts = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) + len(indent) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    return [indent + "  ".join(map(_fit, row, widths)).rstrip() for row in texts]


def _fit(text: str, width: int) -> str:
    return f"{text:<{width}}" if len(text) <= width else f"{text[: width - 1]}…"


def at_most(lines: Sequence[str], limit: int) -> list[str]:
    """The first lines, and how many more there are."""
    return [*lines[:limit], f"… and {len(lines) - limit} more"] if len(lines) > limit else list(lines)


def confirmed(question: str, ask: Callable[[str], str], *, yes: bool, answer: str = "y") -> bool:
    """Whether the user wants it. Without a terminal nobody can be asked, so --yes is needed."""
    if yes:
        return True
    if ask is input and not sys.stdin.isatty():
        raise CommandFailed("there is no terminal to ask at: give YES=1 (--yes)")
    try:
        return ask(question).strip().lower() == answer.lower()
    except EOFError:
        return False


def read_token() -> str:
    """A session token from standard input, as it is copied: with Bearer or quotes around it, say."""
    if sys.stdin.isatty():
        raise CommandFailed("give the session token on standard input, so that no history keeps it: … < token")
    try:
        token = re.sub(r"^bearer +", "", sys.stdin.read().strip().strip("\"'"), flags=re.IGNORECASE)
    except UnicodeDecodeError:
        raise CommandFailed("what is on standard input is no text, so no token") from None
    if not token:
        raise CommandFailed("there is no token on standard input")
    return token


# --- other programs


def run_program(command: Sequence[str], folder: Path, environment: Mapping[str, str], *, asks: bool = False) -> int:
    """Run a program to its end and return its status. Its child processes end with this command.

    `asks` leaves it the terminal, where Ctrl-C reaches it as well.
    """
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=None if asks else subprocess.DEVNULL, start_new_session=not asks
    )
    try:
        return process.wait()
    except BaseException:
        _end(process, group=not asks)
        raise


def _end(process: subprocess.Popen[bytes], *, group: bool) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if group:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


# --- errors


def explain(error: Exception) -> str | None:
    """The message for an error that the user can correct; None for a bug of ours."""
    if isinstance(error, CommandFailed):
        return str(error)
    if isinstance(error, PermissionError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if "botocore.exceptions" in sys.modules:
        return _explain_aws(error)
    return None


def _explain_aws(error: Exception) -> str | None:
    import botocore.exceptions as aws  # noqa: PLC0415 - only if something else has loaded it

    told = None
    match error:
        case aws.NoCredentialsError() | aws.PartialCredentialsError() | aws.CredentialRetrievalError():
            told = "no AWS credentials: run aws configure, or set AWS_PROFILE"
        case aws.NoRegionError():
            told = "no AWS region: set region in the environment's deploy parameters, or AWS_DEFAULT_REGION"
        case aws.ProfileNotFound():
            told = f"{error}: set AWS_PROFILE to one that exists"
        case aws.SSOTokenLoadError() | aws.UnauthorizedSSOTokenError() | aws.TokenRetrievalError():
            told = "the AWS login has expired: run aws sso login"
        case aws.HTTPClientError() | aws.ConnectionError():  # no connection, no name, no TLS, no answer in time
            told = f"AWS cannot be reached ({type(error).__name__}): is there a network, and is the region right?"
        case aws.ClientError():
            answer = error.response.get("Error", {})
            told = _explain_answer(answer.get("Code", ""), answer.get("Message", ""), error.operation_name)
        case aws.BotoCoreError():
            told = f"AWS: {error}"
    return told


def _explain_answer(code: str, message: str, operation: str) -> str:
    if code in NO_CREDENTIALS or "Signature" in code:
        return f"AWS does not accept these credentials ({code}): log in again, or set AWS_PROFILE"
    first_line = message.partition("\n")[0][:200]
    if code.startswith(("AccessDenied", "Unauthorized")):
        return f"AWS does not let these credentials call {operation}: {first_line}"
    return f"AWS answered {operation} with {code}: {first_line}"
