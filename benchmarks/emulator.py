"""The whole handler through AWS's own runtime interface emulator and runtime clients: ours and Node, warm, new tokens.

What the emulator itself costs is in every figure, as what Lambda itself costs will be; handlers.py measures without it.
"""

import http.client
import json
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

from benchmarks.contestants import AGAIN, ISSUER, NODE, OURS, Contestant, Field, environment_for
from benchmarks.handlers import POOL_SIZE, ROUNDS, WARM_UP_ROUNDS, invoker
from benchmarks.paired import ratio, report, take_turns
from events.sign import event_with
from local.background import Background, free_port
from local.hanko import StandInHanko
from local.runtime import emulator

BAR = 1.0
TAKING_PART = (OURS, AGAIN, NODE, "empty Python handler", "empty Node handler")


class Emulated(Background):
    """One function under its runtime client and the emulator, as a context manager."""

    def __init__(self, contestant: Contestant, environment: Mapping[str, str]) -> None:
        """Nothing is started before the `with`; the first event starts the runtime client."""
        super().__init__()
        self._contestant, self._variables = contestant, environment
        self._port = free_port()
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port)

    def invoke(self, event: bytes) -> tuple[float, bytes]:
        """Seconds from sending the event to having the answer, and the answer."""
        started = time.perf_counter()
        self._connection.request("POST", "/2015-03-31/functions/function/invocations", event)
        answer = self._connection.getresponse().read()
        return time.perf_counter() - started, answer

    def _command(self) -> Sequence[str]:
        addresses = ("--runtime-interface-emulator-address", f"127.0.0.1:{self._port}")
        return (
            str(emulator()),
            *addresses,
            "--runtime-api-address",
            f"127.0.0.1:{free_port()}",
            *self._contestant.command,
        )

    def _environment(self) -> Mapping[str, str]:
        return {**self._variables, **self._contestant.environment}

    def _working_folder(self) -> Path:
        return self._contestant.folder

    def _answers(self) -> bool:
        socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        return True


def measure(field: Field) -> list[dict[str, object]]:
    """One report; nothing without Node."""
    everybody = field.everybody()
    if NODE not in everybody:
        return []
    with ExitStack() as stack:
        hanko = stack.enter_context(StandInHanko(tls=True, issuer=ISSUER))
        events = [json.dumps(event_with("http_v2", hanko.mint(session=False))).encode() for _ in range(POOL_SIZE)]
        contestants = {}
        for name in TAKING_PART:
            emulated = stack.enter_context(Emulated(everybody[name], environment_for(hanko)))
            contestants[name] = invoker(emulated.invoke, cycle(events))
        take_turns(contestants, WARM_UP_ROUNDS)
        samples = take_turns(contestants, ROUNDS)
    ratios = [ratio(samples, AGAIN, OURS), ratio(samples, OURS, NODE, BAR)]
    return [report("Handler, warm, through AWS's emulator, a token never seen before, RSA-4096", samples, ratios)]
