"""Several processes of one sandbox: AWS's runtime client with AWS_LAMBDA_MAX_CONCURRENCY forks one per worker."""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from runtime_api import Function, Json, RuntimeApi, running

from local.hanko import StandInHanko
from local.sign import event_with, token_with

WORKERS = 4
USERS = 80  # each comes once with each kind of token
DEFECTS = {"expired": "token_expired", "wrong_audience": "audience_not_allowed", "webhook": "not_a_session"}

Start = Callable[..., tuple[RuntimeApi, Function]]


@pytest.fixture
def hanko() -> Iterator[StandInHanko]:
    """On the machine's own clock, as the workers are."""
    with StandInHanko() as stand_in:
        yield stand_in


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the workers; the API that invokes them, and they themselves."""
    with ExitStack() as stack:

        def run(hanko: StandInHanko, **variables: str) -> tuple[RuntimeApi, Function]:
            required = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost"}
            own = {"AWS_LAMBDA_MAX_CONCURRENCY": str(WORKERS)}
            return stack.enter_context(running(WORKERS, {**required, **own, **variables}))

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
