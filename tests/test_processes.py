"""Several processes of one sandbox: AWS's runtime client with AWS_LAMBDA_MAX_CONCURRENCY forks one per worker."""

import json
import os
import queue
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.background import START_SECONDS, Background
from local.hanko import StandInHanko
from local.runtime import HANDLER, lambda_environment
from local.sign import event_with, token_with

ROOT = Path(__file__).parent.parent
WORKERS = 4
USERS = 80  # each comes once with each kind of token
DEFECTS = {"expired": "token_expired", "wrong_audience": "audience_not_allowed", "webhook": "not_a_session"}
NEXT = "/2018-06-01/runtime/invocation/next"
Json = dict[str, Any]


class RuntimeApi(ThreadingHTTPServer):
    """Lambda's runtime API for several workers. The first events go out when all workers ask, one to each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Calls)
        self.events: queue.Queue[tuple[bytes, Future[Json]]] = queue.Queue()
        self.under_way: dict[str, Future[Json]] = {}
        self.everybody = threading.Barrier(WORKERS)
        self.calls = 0
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
        if number <= WORKERS:
            self.everybody.wait(START_SECONDS)
        event, answer = self.events.get()
        self.under_way[f"invocation-{number}"] = answer
        return f"invocation-{number}", event


class Calls(BaseHTTPRequestHandler):
    """The requests of the workers."""

    protocol_version = "HTTP/1.1"
    server: RuntimeApi

    def do_GET(self) -> None:
        """`next`, which waits."""
        number, event = self.server.next()
        self._answer(200, event, {"Lambda-Runtime-Aws-Request-Id": number, "Lambda-Runtime-Deadline-Ms": "9" * 13})

    def do_POST(self) -> None:
        """An answer, an error, or a failed start."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(202, b"", {})
        with suppress(KeyError):  # a failed start belongs to no invocation
            self.server.under_way.pop(self.path.split("/")[-2]).set_result(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing."""

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Workers(Background):
    """The function under AWS's runtime client, which forks the workers."""

    def __init__(self, api: RuntimeApi, variables: Mapping[str, str]) -> None:
        super().__init__()
        self._api, self._variables = api, variables

    @property
    def records(self) -> list[Json]:
        return [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "awslambdaric", HANDLER]

    def _environment(self) -> Mapping[str, str]:
        own = {"AWS_LAMBDA_MAX_CONCURRENCY": str(WORKERS), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        address = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_address[1]}"}
        return {**lambda_environment(HANDLER, ROOT), **own, **address, **self._variables}

    def _answers(self) -> bool:
        if self._api.calls < WORKERS:
            raise ConnectionError
        return True


Start = Callable[..., tuple[RuntimeApi, Workers]]


@pytest.fixture
def hanko() -> Iterator[StandInHanko]:
    """On the machine's own clock, as the workers are."""
    with StandInHanko() as stand_in:
        yield stand_in


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the workers; the API that invokes them, and they themselves."""
    with ExitStack() as stack:

        def run(hanko: StandInHanko, **variables: str) -> tuple[RuntimeApi, Workers]:
            api = stack.enter_context(RuntimeApi())
            threading.Thread(target=api.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(api.shutdown)
            required = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost"}
            return api, stack.enter_context(Workers(api, {**required, **variables}))

        yield run


def outcome(answer: Json) -> str:
    """The user who may pass, or the reason why not."""
    return str(answer["context"]["user_id" if answer["isAuthorized"] else "reason"])


def test_workers_answer_for_themselves_alone(hanko: StandInHanko, start: Start) -> None:
    """Hundreds of invocations at once, and each worker with its own keys and its own connection to Hanko."""
    expected: list[tuple[str, str]] = []
    for _ in range(USERS):
        user, ended = str(uuid.uuid4()), {"session_id": str(uuid.uuid4())}
        expected += [(hanko.mint(claims={"sub": user}), user), (hanko.mint(claims=ended), "session_ended")]
        assert hanko.end_session(ended["session_id"])
    expected += [(token_with(defect, hanko), reason) for defect, reason in DEFECTS.items()] * USERS
    random.Random(11).shuffle(expected)  # noqa: S311 - an order that no kind of token comes first in
    api, workers = start(hanko, HANKO_SESSION_CHECK="strict")
    with ThreadPoolExecutor(4 * WORKERS) as callers:
        answers = callers.map(lambda one: outcome(api.invoke(event_with("http_v2", one[0]))), expected)
        assert [*answers] == [wanted for _, wanted in expected]
    records = workers.records
    assert len(records) == len(expected)
    assert sum(record.get("key_fetches", 0) for record in records) == hanko.jwks_requests == WORKERS
    assert not any("session_failure" in record or "key_fetch_failure" in record for record in records)


@pytest.mark.parametrize(("key", "hashes"), [("", WORKERS), ("sixteen-characters", 1)])
def test_without_a_key_one_user_has_as_many_hashes_as_there_are_processes(
    key: str, hashes: int, hanko: StandInHanko, start: Start
) -> None:
    api, workers = start(hanko, HANKO_LOG_HASH_KEY=key)
    events = [event_with("http_v2", hanko.mint())] * WORKERS
    deadline = time.monotonic() + 20
    with ThreadPoolExecutor(WORKERS) as callers:
        # A worker may take two of a round's events: sent again until each has answered, and so fetched, once.
        while sum(record.get("key_fetches", 0) for record in workers.records) < WORKERS:
            assert time.monotonic() < deadline
            assert all(answer["isAuthorized"] for answer in callers.map(api.invoke, events))
    assert len({record["user"] for record in workers.records}) == hashes
