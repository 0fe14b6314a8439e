"""`make demo`: real requests through real API Gateway authorizers, and a table of what was expected and what came back.

Exits with 1 if any of it differs. Nothing outlives it: no process, no file, no port.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from events.sign import token_with
from local.deployment import Api, Deployment, Seen

# What AWS answers ...
ALLOWED = {"REST, TOKEN": 200, "REST, REQUEST": 200, "HTTP API": 200, "WebSocket": 101, "AppSync": 200}
REFUSED = {"REST, TOKEN": 401, "REST, REQUEST": 401, "HTTP API": 403, "WebSocket": 401, "AppSync": 401}
BROKEN = dict.fromkeys(ALLOWED, 500)
# ... and where the local AWS differs: it knows no 401 by raising for WebSockets, and no other refusal for AppSync.
LOCAL_INSTEAD = {("WebSocket", 401): 500, ("AppSync", 500): 401}


@dataclass(frozen=True)
class Row:
    """One situation: what is done before, the token, how it is sent, and the status that each API shall give."""

    name: str
    defect: str
    expected: dict[str, int]
    send: Callable[[Api, str], Seen] = Api.with_header
    prepare: Callable[[Deployment], object] = lambda _: None


def _down(deployment: Deployment) -> None:
    deployment.hanko.behave("down")


def _down_with_no_keys(deployment: Deployment) -> None:
    deployment.hanko.behave("down")
    deployment.new_sandbox()


def _up_and_rotated(deployment: Deployment) -> None:
    deployment.hanko.behave("normal")
    for api in deployment.apis.values():  # warm again, so that the new key is one that the sandbox does not know yet
        api.with_header(deployment.hanko.mint())
    deployment.hanko.rotate()


ROWS = (
    Row("valid token in the header", "none", ALLOWED),
    Row("Hanko down, keys warm", "none", ALLOWED, prepare=_down),
    Row("Hanko down, no keys", "none", BROKEN, prepare=_down_with_no_keys),
    Row("key rotated a moment ago", "none", ALLOWED, prepare=_up_and_rotated),
    Row("valid token in the cookie", "none", ALLOWED | {"REST, TOKEN": 401, "AppSync": 401}, Api.with_cookie),
    Row("no token", "missing", REFUSED | {"HTTP API": 401}, Api.without),
    Row("expired", "expired", REFUSED),
    Row("for another audience", "wrong_audience", REFUSED),
    Row("a webhook's token", "webhook", REFUSED),
    Row("signature tampered with", "tampered", REFUSED),
    Row("alg none", "alg_none", REFUSED),
)


@dataclass(frozen=True)
class Result:
    """What one row got from one API."""

    row: Row
    api: str
    seen: Seen

    @property
    def expected(self) -> int:
        """The status that the local AWS shall give."""
        in_aws = self.row.expected[self.api]
        return LOCAL_INSTEAD.get((self.api, in_aws), in_aws)

    @property
    def passed(self) -> bool:
        """The right status; and a backend that was called knows the caller, and no other was called."""
        allowed = self.expected == ALLOWED[self.api]
        return self.seen.status == self.expected and bool(self.seen.caller.get("user_id")) == allowed

    def __str__(self) -> str:
        """The status seen and the one expected, and who the backend was told is calling."""
        star = "*" if self.expected != self.row.expected[self.api] else ""
        differs = "" if self.passed else " DIFFERS"
        return f"{self.seen.status}/{self.expected}{star} {self.seen.caller.get('email', '')}{differs}"


def results(deployment: Deployment) -> Iterator[Result]:
    """Every row through every API, in order: the situations build on each other."""
    for row in ROWS:
        row.prepare(deployment)
        for api in deployment.apis.values():
            token = token_with(row.defect, deployment.hanko)
            yield Result(row, api.name, row.send(api, token))


def main() -> int:
    """Print the table; 1 if anything differs from what it should be."""
    began = time.monotonic()
    with Deployment(lambda text: print(f"{time.monotonic() - began:5.1f} s  {text}", flush=True)) as deployment:
        print("\nStatus seen/expected, and the caller's e-mail as the backend received it\n")
        print(f"{'':28}{''.join(f'{name:<26}' for name in deployment.apis)}", flush=True)
        failed = 0
        for row, cells in groupby(results(deployment), key=lambda result: result.row):
            print(f"{row.name:<28}", end="", flush=True)
            for result in cells:
                print(f"{result!s:<26}", end="", flush=True)
                failed += not result.passed
            print()
    print("\n* Here AWS differs: it answers a refused WebSocket with 401, and a failed AppSync authorizer with a 5xx.")
    verdict = f"{failed} of them differ from what was expected" if failed else "all as expected"
    print(f"{len(ROWS) * len(ALLOWED)} requests, {verdict}; {time.monotonic() - began:.0f} s.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
