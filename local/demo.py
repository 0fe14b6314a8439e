"""`make demo`: real requests through real API Gateway authorizers, and what was expected beside what came back.

Exits with 1 if any of it differs. Nothing outlives it: no process, no file, no port.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from local.calls import Seen
from local.deployment import Api, Deployment
from local.permissions import Verdict, verdicts
from local.sign import token_with

# What AWS answers ...
APIS = ("REST, TOKEN", "REST, REQUEST", "HTTP API 1.0", "HTTP API 2.0", "WebSocket", "AppSync")
ALLOWED = dict.fromkeys(APIS, 200) | {"WebSocket": 101}
REFUSED = dict.fromkeys(APIS, 401) | {"HTTP API 1.0": 403, "HTTP API 2.0": 403}
BROKEN = dict.fromkeys(APIS, 500)
# ... and where the local AWS differs: it knows no 401 by raising for WebSockets, and no other refusal for AppSync; and
# it leaves the version out of payload 1.0, so that the authorizer takes the event for a REST API's and raises.
LOCAL_INSTEAD = {("WebSocket", 401): 500, ("HTTP API 1.0", 403): 500, ("AppSync", 500): 401}


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
    Row("no token", "missing", REFUSED | {"HTTP API 1.0": 401, "HTTP API 2.0": 401}, Api.without),
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


def print_row(name: str, cells: Sequence[Result | Verdict | None], width: int) -> int:
    """How many of the cells differ from what they should be."""
    texts = (str(cell) if cell else "-" for cell in cells)
    print(f"{name:<34}{''.join(f'{text:<{width}}' for text in texts)}", flush=True)
    return sum(cell is not None and not cell.passed for cell in cells)


def print_answers(deployment: Deployment) -> int:
    """What each API answers to good and bad tokens."""
    print("\nStatus seen/expected, and the caller's e-mail as the backend received it\n")
    print(f"{'':34}{''.join(f'{name:<26}' for name in deployment.apis)}", flush=True)
    by_row = groupby(results(deployment), key=lambda result: result.row)
    failed = sum(print_row(row.name, list(cells), 26) for row, cells in by_row)
    print("\n* A limit of the local AWS. In AWS a refused WebSocket is a 401, a refused payload 1.0 a 403 (here the")
    print("  version is left out, by which it is told from a REST API), and a failed AppSync authorizer a 5xx.")
    return failed


def print_permissions(deployment: Deployment) -> int:
    """Who may call what."""
    print("\nWho may call what by examples/rules.toml, with answers cached for 300 s and one token each: seen/expected")
    print("  me     GET /me, the field me, a WebSocket's $connect")
    print("  admin  GET /admin/x, the field admin")
    print("  pay    POST /payments, the mutation pay\n")
    print(f"{'':34}{''.join(f'{name:<16}' for name in deployment.apis)}", flush=True)
    failed = sum(print_row(name, cells, 16) for name, cells in verdicts(deployment))
    print(
        "\nAppSync's 403 is a denied field, which AWS answers with 200 and an error for the field. The local AWS knows"
    )
    print("no denied fields, so they are read from the authorizer's answer.")
    return failed


def main() -> int:
    """Print the tables; 1 if anything differs from what it should be."""
    began = time.monotonic()
    with Deployment(lambda text: print(f"{time.monotonic() - began:5.1f} s  {text}", flush=True)) as deployment:
        failed = print_answers(deployment) + print_permissions(deployment)
    verdict = f"{failed} answers differ from what was expected" if failed else "All as expected"
    print(f"\n{verdict}; {time.monotonic() - began:.0f} s.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
