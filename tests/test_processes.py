"""Several processes of one sandbox: AWS's runtime client with AWS_LAMBDA_MAX_CONCURRENCY forks one per worker."""

import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import jwt
import pytest
from runtime_api import Function, Json, RuntimeApi, running
from servers import becomes

from local.hanko import StandInHanko
from local.sign import event_with, token_with

WORKERS = 4
SETTLE_SECONDS = 60  # beyond any pause for Hanko
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
    assert sum(record.get("KeyFetches", 0) for record in records) == WORKERS
    assert (
        hanko.jwks_requests == WORKERS + USERS
    )  # "not valid" counts if Hanko serves its keys: once for each that ended
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
        while sum(record.get("KeyFetches", 0) for record in workers.records) < WORKERS:
            assert time.monotonic() < deadline
            assert all(answer["isAuthorized"] for answer in callers.map(api.invoke, events))
    assert len({record["user"] for record in workers.records}) == hashes


# --- stopped and continued, as Lambda freezes a sandbox


def needs(process: int) -> tuple[int, int]:
    """Threads and open sockets of a process."""
    descriptors = Path(f"/proc/{process}/fd").iterdir()
    sockets = [one for one in descriptors if one.is_symlink() and str(one.readlink()).startswith("socket:")]
    return len(list(Path(f"/proc/{process}/task").iterdir())), len(sockets)


def children(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_workers_that_are_stopped_in_the_middle_of_anything_go_on(hanko: StandInHanko, start: Start) -> None:
    """SIGSTOP and SIGCONT around key fetches and session checks: no wrong verdict, and nothing is left over."""
    ended, lives = str(uuid.uuid4()), hanko.mint()
    over = hanko.mint(claims={"session_id": ended})
    hanko.end_session(ended)
    for endpoint in ("keys", "validate"):
        hanko.behave("slow", endpoint=endpoint, delay_seconds=0.2)
    api, workers = start(hanko, HANKO_SESSION_CHECK="strict", HANKO_FETCH_TIMEOUT_SECONDS="0.5")
    is_over = threading.Event()

    def freeze() -> None:
        dice = random.Random(17)  # noqa: S311 - a fixed sequence
        while not is_over.wait(dice.uniform(0.05, 0.4)):
            os.killpg(workers.process_group, signal.SIGSTOP)
            is_over.wait(dice.choice([0.05, 0.3, 0.7]))  # within the deadline, and beyond it
            os.killpg(workers.process_group, signal.SIGCONT)

    def asked(asking: tuple[RuntimeApi, str]) -> str:
        answer = asking[0].invoke(event_with("http_v2", asking[1]))
        return "unavailable" if "errorMessage" in answer else outcome(answer)

    freezer = threading.Thread(target=freeze)
    freezer.start()
    with ThreadPoolExecutor(WORKERS) as callers:
        answers: dict[str, set[str]] = {lives: set(), over: set()}
        tokens = [lives, over] * 20
        for token, answer in zip(tokens, callers.map(asked, [(api, one) for one in tokens]), strict=True):
            answers[token].add(answer)
    is_over.set()
    freezer.join()
    assert "session_ended" not in answers[lives]
    assert answers[over] <= {"session_ended", "unavailable"}
    for endpoint in ("keys", "validate"):
        hanko.behave("normal", endpoint=endpoint)
    user = str(jwt.decode(lives, options={"verify_signature": False})["sub"])
    calm = start(hanko, HANKO_SESSION_CHECK="strict")
    with ThreadPoolExecutor(WORKERS) as callers:
        for one, _ in ((api, workers), calm):
            asking = [(one, lives)] * WORKERS * 4
            deadline = time.monotonic() + SETTLE_SECONDS
            while {*callers.map(asked, asking)} != {user}:
                assert time.monotonic() < deadline
    most = max(needs(one) for one in children(calm[1].process_group))
    stopped = children(workers.process_group)
    assert len(stopped) == WORKERS
    assert becomes(lambda: max(needs(one) for one in stopped) <= most, SETTLE_SECONDS)
