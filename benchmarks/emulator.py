"""The whole handler through AWS's own runtime interface emulator and runtime clients: ours and Node, warm, new tokens.

Every figure includes the emulator's own time. handlers.py measures without it.
"""

import http.client
import time
from contextlib import ExitStack
from itertools import cycle

from benchmarks.contestants import AGAIN, ISSUER, NODE, OURS, Contestant, Field, environment_for, event_of
from benchmarks.handlers import POOL_SIZE, ROUNDS, WARM_UP_ROUNDS, invoker
from benchmarks.paired import ratio, report, take_turns
from local.hanko import StandInHanko
from local.runtime import INVOCATIONS, Emulator

BAR = 1.0
TAKING_PART = (OURS, AGAIN, NODE, "empty Python handler", "empty Node handler")


class Emulated(Emulator):
    """One contestant under its runtime client and the emulator, timed, on one kept connection."""

    def __init__(self, contestant: Contestant, hanko: StandInHanko) -> None:
        """Nothing starts before the `with`."""
        environment = {**environment_for(hanko), **contestant.environment}
        super().__init__(contestant.command, contestant.folder, environment)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port)

    def invoke(self, event: bytes) -> tuple[float, bytes]:
        """Seconds from sending the event to having the answer, and the answer."""
        started = time.perf_counter()
        self._connection.request("POST", INVOCATIONS, event)
        answer = self._connection.getresponse().read()
        return time.perf_counter() - started, answer


def measure(field: Field) -> list[dict[str, object]]:
    """One report, or none without Node."""
    everybody = field.everybody()
    if NODE not in everybody:
        return []
    with ExitStack() as stack:
        hanko = stack.enter_context(StandInHanko(tls=True, issuer=ISSUER))
        events = [event_of(hanko.mint(session=False)) for _ in range(POOL_SIZE)]
        contestants = {}
        for name in TAKING_PART:
            emulated = stack.enter_context(Emulated(everybody[name], hanko))
            contestants[name] = invoker(emulated.invoke, cycle(events))
        take_turns(contestants, WARM_UP_ROUNDS)
        samples = take_turns(contestants, ROUNDS)
    ratios = [ratio(samples, AGAIN, OURS), ratio(samples, OURS, NODE, BAR)]
    return [report("Handler, warm, through AWS's emulator, a token never seen before, RSA-4096", samples, ratios)]
