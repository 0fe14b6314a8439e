"""The whole handler, log line and metric record included, through the Lambda runtime client: ours against Node's."""

import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

from benchmarks.paired import ratio, report, take_turns
from benchmarks.peers import NodePeer
from benchmarks.runtime_api import Sandbox
from events.sign import event_with
from local.build import ROOT
from local.hanko import StandInHanko

POOL_SIZE = 2000  # more tokens than any cache could hold
CALLS_PER_ROUND = 20
WARM_UP_ROUNDS = 50  # V8 needs them
ROUNDS = 150
BAR = 1.0
OURS = ("-m", "awslambdaric", "authorizer.lambda_function.lambda_handler")
LINES_OF_OURS, LINES_OF_NODE = 2, 1  # for each event: log line and metric record; console.log


def measure(pythons: list[str], node: NodePeer | None) -> dict[str, object]:
    """Let the authorizer on every Python, on the last one twice, and Node's answer in turns."""
    with ExitStack() as stack:
        hanko = stack.enter_context(StandInHanko(tls=True))
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        environment = environment_for(hanko)
        print(f"signing {POOL_SIZE} tokens …", flush=True)
        events = [json.dumps(event_with("http_v2", hanko.mint(session=False))).encode() for _ in range(POOL_SIZE)]

        def start(name: str, command: tuple[str, ...], folder: Path) -> Callable[[], float]:
            sandbox = stack.enter_context(Sandbox(command, folder, environment, logs / name))
            return invoker(sandbox, cycle(events))

        names = [f"ours, {Path(python).resolve().name}" for python in pythons]
        contestants = {name: start(name, (python, *OURS), ROOT) for name, python in zip(names, pythons, strict=True)}
        contestants["ours again"] = start("ours again", (pythons[-1], *OURS), ROOT)
        if node:
            contestants["node"] = start("node", node.command, node.folder)
        take_turns(contestants, WARM_UP_ROUNDS)
        samples = take_turns(contestants, ROUNDS)
        for name in contestants:
            _check_log(logs / name, LINES_OF_NODE if name == "node" else LINES_OF_OURS)
    ratios = [ratio(samples, name, "node", BAR) for name in names if node]
    ratios.append(ratio(samples, "ours again", names[-1]))
    title = f"Handler through the runtime client; Node's is {node.runtime_client if node else 'missing'}"
    return report(title, samples, ratios)


def environment_for(hanko: StandInHanko) -> dict[str, str]:
    """Of a function that trusts this Hanko."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "AWS_REGION": "eu-west-1",
        "AWS_LAMBDA_FUNCTION_NAME": "authorizer",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "HANKO_API_URL": hanko.url,
        "HANKO_AUDIENCE": "localhost",
        "SSL_CERT_FILE": str(hanko.ca_file),
        "NODE_EXTRA_CA_CERTS": str(hanko.ca_file),
    }


def invoker(sandbox: Sandbox, events: Iterator[bytes]) -> Callable[[], float]:
    """One round: the median of its calls, since a call that something else interrupted says nothing."""

    def run() -> float:
        calls = []
        for event in islice(events, CALLS_PER_ROUND):
            seconds, answer = sandbox.invoke(event)
            if json.loads(answer)["isAuthorized"] is not True:
                raise RuntimeError(f"refused: {answer.decode()}")
            calls.append(seconds)
        return statistics.median(calls)

    return run


def _check_log(log: Path, lines_per_event: int) -> None:
    """Nobody wins by writing nothing."""
    if len(log.read_bytes().splitlines()) < lines_per_event * CALLS_PER_ROUND * (WARM_UP_ROUNDS + ROUNDS):
        raise RuntimeError(f"{log.name} did not log every event")
