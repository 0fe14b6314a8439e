"""Lambda's runtime API, and a function under AWS's own runtime client that asks it for events."""

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.background import START_SECONDS, Background
from local.runtime import HANDLER, lambda_environment

ROOT = Path(__file__).parent.parent
RESTORE = "/2018-06-01/runtime/restore/"
Json = dict[str, Any]


class RuntimeApi(ThreadingHTTPServer):
    """Lambda's runtime API for several processes. The first events go out when all of them ask, one to each."""

    daemon_threads = True

    def __init__(self, processes: int) -> None:
        super().__init__(("127.0.0.1", 0), Calls)
        self.processes = processes
        self.events: queue.Queue[tuple[bytes, Future[Json]]] = queue.Queue()
        self.under_way: dict[str, Future[Json]] = {}
        self.everybody = threading.Barrier(processes)
        self.calls = 0
        self.is_snapshot, self.may_restore = threading.Event(), threading.Event()
        self.errors: dict[str, Json] = {}  # what failed outside an invocation: path, and error
        self._lock = threading.Lock()

    def invoke(self, event: Json) -> Json:
        """The answer, or what the runtime client says of an exception."""
        answer: Future[Json] = Future()
        self.events.put((json.dumps(event).encode(), answer))
        return answer.result(START_SECONDS)

    def next(self) -> tuple[str, bytes]:
        """Id and event of the next invocation."""
        with self._lock:
            self.calls += 1
            number = self.calls
        if number <= self.processes:
            self.everybody.wait(START_SECONDS)
        event, answer = self.events.get()
        self.under_way[f"invocation-{number}"] = answer
        return f"invocation-{number}", event


class Calls(BaseHTTPRequestHandler):
    """The requests of the workers."""

    protocol_version = "HTTP/1.1"
    server: RuntimeApi

    def do_GET(self) -> None:
        """`invocation/next` and `restore/next`, which wait."""
        if self.path == f"{RESTORE}next":
            self.server.is_snapshot.set()
            self.server.may_restore.wait(START_SECONDS)
            self._answer(200, b"", {})
            return
        number, event = self.server.next()
        self._answer(200, event, {"Lambda-Runtime-Aws-Request-Id": number, "Lambda-Runtime-Deadline-Ms": "9" * 13})

    def do_POST(self) -> None:
        """An answer, an error, or a failed start."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(202, b"", {})
        try:
            self.server.under_way.pop(self.path.split("/")[-2]).set_result(body)
        except KeyError:
            self.server.errors[self.path] = body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing."""

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Function(Background):
    """The authorizer under AWS's runtime client, or under what `client` makes of it."""

    def __init__(self, api: RuntimeApi, variables: Mapping[str, str], client: Sequence[str]) -> None:
        super().__init__()
        self._api, self._variables, self._client = api, variables, client

    @property
    def records(self) -> list[Json]:
        return [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]

    def _command(self) -> list[str]:
        return [sys.executable, *self._client, HANDLER]

    def _environment(self) -> Mapping[str, str]:
        own = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        address = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_address[1]}"}
        return {**lambda_environment(HANDLER, ROOT), **own, **address, **self._variables}

    def _answers(self) -> bool:
        if self._api.calls < self._api.processes and not self._api.is_snapshot.is_set():
            raise ConnectionError
        return True


@contextmanager
def running(
    processes: int, variables: Mapping[str, str], client: Sequence[str] = ("-m", "awslambdaric")
) -> Iterator[tuple[RuntimeApi, Function]]:
    """Start the function: the API that invokes it, and the function itself, as soon as it asks for events."""
    with ExitStack() as stack:
        api = stack.enter_context(RuntimeApi(processes))
        threading.Thread(target=api.serve_forever, args=(0.02,), daemon=True).start()
        stack.callback(api.shutdown)
        yield api, stack.enter_context(Function(api, variables, client))
