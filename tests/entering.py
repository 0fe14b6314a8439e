"""The functions as Lambda starts them: an entry module that is run anew, events in, answers out."""

import json
import runpy
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from receiving import url_event
from sandbox import SESSION, USER, Json

from local.hanko import StandInHanko

CONTEXT = SimpleNamespace(aws_request_id="invocation-1")
ENDED = {"id": SESSION, "user_id": USER, "expires_at": "2099-01-15T20:00:00Z"}
LOGOUT = "session.delete.explicit.logout"

Handler = Callable[[object, object], Json]
Start = Callable[..., Handler]


@contextmanager
def entry_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Runs an entry module as a new process does, and returns its handler. Keyword arguments are variables."""
    at_the_end = ExitStack()

    def run(url: str, module: str = "lambda_function", **environ: str) -> Handler:
        required = {"HANKO_API_URL": url, "HANKO_AUDIENCE": "localhost"}
        own: Mapping[str, str] = {"AWS_LAMBDA_FUNCTION_NAME": f"function-{uuid.uuid4()}"} | required | environ
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        started = runpy.run_module(f"authorizer.{module}")
        at_the_end.callback(started["_started"].client.close)
        handler: Handler = started["webhook_handler" if module == "webhook_function" else "lambda_handler"]
        return handler

    with at_the_end:
        yield run


def resolve(monkeypatch: pytest.MonkeyPatch, name: str, *addresses: tuple[str, int], failures: int = 0) -> None:
    """Answer look-ups of this name with these addresses, after some failures that pass by themselves."""
    left, as_ever = [socket.gaierror(socket.EAI_AGAIN, "try again")] * failures, socket.getaddrinfo

    def look_up(host: Any, *more: Any, **options: Any) -> list[Any]:  # noqa: ANN401 - the resolver's
        if (host.decode() if isinstance(host, bytes) else host) != name:
            return [*as_ever(host, *more, **options)]
        if left:
            raise left.pop()
        return [(_family(one), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", one) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def _family(address: tuple[str, int]) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def webhook_event(hanko: StandInHanko, event: str = LOGOUT, data: Json = ENDED, **claims: object) -> Json:
    """What the receiver gets when Hanko sends this event."""
    return url_event(json.dumps({"token": hanko.webhook_token(event, data, claims=claims), "event": event}))


def record(capsys: pytest.CaptureFixture[str]) -> Json:
    """The first record since the last call."""
    lines: list[Json] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return next(line for line in lines if "level" in line)
