"""`make demo`: deploy into a local AWS, send real requests, print what came back.

Exits with 1 if an answer differs from what was expected. With RULES of your own there is no expectation about them: the
table shows who may call what.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from local.aws import EXAMPLE_RULES
from local.calls import Seen
from local.channels import Ask, asks
from local.command_line import run
from local.deployment import ALIAS, Api, Deployment
from local.faults import ALSO_SEEN, FAULTS, WITHOUT_DATA, Operated, shown
from local.permissions import Verdict, difference, verdicts
from local.sign import event_with, token_with

NAME_COLUMNS, CELL_COLUMNS = 34, 10
GREEN, RED, GREY = 32, 31, 90  # of a terminal

# What AWS answers ...
APIS = ("REST, TOKEN", "REST, REQUEST", "HTTP API 1.0", "HTTP API 2.0", "WebSocket", "AppSync", "AppSync Events")
ALLOWED = dict.fromkeys(APIS, 200) | {"WebSocket": 101, "AppSync Events": 101}
REFUSED = dict.fromkeys(APIS, 401) | {"HTTP API 1.0": 403, "HTTP API 2.0": 403}
BROKEN = dict.fromkeys(APIS, 500)
# ... and where the local AWS differs: docs/local-tools.md, MiniStack. There the proof is the authorizer's own answer
# to the event that AWS documents.
LOCAL_INSTEAD = {
    ("WebSocket", 401): 500,
    ("HTTP API 1.0", 403): 500,
    ("AppSync", 500): 401,
    ("AppSync Events", 500): 401,
}
DOCUMENTED = {
    "WebSocket": "websocket",
    "HTTP API 1.0": "http_v1",
    "AppSync": "appsync",
    "AppSync Events": "appsync_events_connect",
}


@dataclass(frozen=True)
class Row:
    """One situation: a preparation, a token, how it is sent, and the status that each API shall give."""

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
    for api in deployment.apis.values():  # warm again, so that the sandbox does not know the new key yet
        api.with_header(deployment.hanko.mint())
    deployment.hanko.rotate()


ROWS = (
    Row("valid token in the header", "none", ALLOWED),
    Row("Hanko down, keys warm", "none", ALLOWED, prepare=_down),
    Row("Hanko down, no keys", "none", BROKEN, prepare=_down_with_no_keys),
    Row("key rotated a moment ago", "none", ALLOWED, prepare=_up_and_rotated),
    Row(
        "valid token in the cookie",
        "none",
        ALLOWED | {"REST, TOKEN": 401, "AppSync": 401, "AppSync Events": 401},
        Api.with_cookie,
    ),
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
    answered: int | None = None  # what AWS makes of the authorizer's answer, where the local AWS differs

    @property
    def expected(self) -> int:
        """The status that the local AWS should give."""
        in_aws = self.row.expected[self.api]
        return LOCAL_INSTEAD.get((self.api, in_aws), in_aws)

    @property
    def proven(self) -> bool:
        """Whether the local AWS answers as AWS does."""
        return self.expected == self.row.expected[self.api]

    @property
    def passed(self) -> bool:
        """The status is right, and the backend knows the caller if it was to be called, and was not called if not."""
        allowed = self.expected == ALLOWED[self.api]
        right = self.seen.status == self.expected and bool(self.seen.caller.get("user_id")) == allowed
        return right and (self.proven or self.answered == self.row.expected[self.api])

    def __str__(self) -> str:
        """`200`, `401^` where the authorizer's answer is the proof, `401 ≠ 200`."""
        if self.passed:
            return str(self.seen.status) if self.proven else f"{self.answered}^"
        return difference(self.seen, self.expected) if self.proven else f"{self.answered}^ ≠"


def results(deployment: Deployment) -> Iterator[Result]:
    """Every row through every API, in order: the situations build on each other."""
    for row in ROWS:
        row.prepare(deployment)
        for api in deployment.apis.values():
            token = token_with(row.defect, deployment.hanko)
            result = Result(row, api.name, row.send(api, token))
            yield result if result.proven else replace(result, answered=answered(deployment, api.name, token))


def answered(deployment: Deployment, api: str, token: str) -> int:
    """The status that AWS makes of the authorizer's answer to the event that it documents for this kind of API."""
    match deployment.aws.invoke(deployment.outputs[ALIAS], event_with(DOCUMENTED[api], token)):
        case {"errorMessage": "Unauthorized"} | {"isAuthorized": False}:
            return 401
        case {"policyDocument": {"Statement": [{"Effect": "Deny"}]}}:
            return 403
        case {"errorMessage": _}:
            return 500
    return 200


def colour_of(cell: Result | Verdict | Ask) -> int:
    """Green is proven, red differs, grey says nothing about AWS."""
    if not cell.passed:
        return RED
    return GREEN if cell.proven else GREY


def painted(cell: Result | Verdict | Ask | None) -> str:
    """The text of a cell, as wide as its column; with its colour on a terminal."""
    text = str(cell or "-").ljust(CELL_COLUMNS)
    return f"\033[{colour_of(cell)}m{text}\033[0m" if cell and sys.stdout.isatty() else text


def print_row(deployment: Deployment, name: str, cells: Iterable[Result | Verdict | Ask | None]) -> int:
    """Print one row, and return how many of its cells differ from what was expected. Each cell is a call."""
    seen, record = [], ""
    for cell in cells:
        seen.append(cell)
        if cell and not cell.passed and not record:  # now, before the next call writes its own
            record = last_record(deployment)
    print(f"{name:<{NAME_COLUMNS}}{''.join(map(painted, seen))}".rstrip(), flush=True)
    if record:
        print(f"  The record of the first that differs: {record}")
    return sum(cell is not None and not cell.passed for cell in seen)


def last_record(deployment: Deployment) -> str:
    """What the authorizer wrote last: its reason is in it."""
    lines = deployment.aws.logs(deployment.outputs["LogGroupName"])
    return next((line.strip() for line in reversed(lines) if line.startswith("{")), "none")


def print_head(names: Sequence[str]) -> None:
    """The names of the APIs, each in two lines."""
    for part in (0, 2):
        words = (name.replace(",", "").rpartition(" ") for name in names)
        cells = ((first or last) if part == 0 else (last if first else "") for first, _, last in words)
        print(f"{'':{NAME_COLUMNS}}{''.join(f'{cell:<{CELL_COLUMNS}}' for cell in cells)}".rstrip(), flush=True)


def print_answers(deployment: Deployment) -> int:
    """What each API answers to good and bad tokens; how many answers differ."""
    print("\nWhat each API answers. With 200 and 101 the backend knows the caller.\n")
    print_head(list(deployment.apis))
    by_row = groupby(results(deployment), key=lambda result: result.row)
    failed = sum(print_row(deployment, row.name, cells) for row, cells in by_row)
    print("\n^ The local AWS answers otherwise. The status is what AWS makes of the authorizer's answer to the event")
    print("  that AWS documents. Nothing is called behind an Event API: the caller is read from that answer, too.")
    print("  HTTP API 1.0: the local AWS leaves out the event's version. The authorizer answers as for a REST API.")
    return failed


def print_permissions(deployment: Deployment, *, expected: bool) -> int:
    """Who may call what; how many answers differ."""
    print(f"\nWho may call what by {deployment.rules}, one token each. REST and HTTP APIs cache answers for 300 s.")
    print("  me     GET /me, the field me, a WebSocket's $connect, an Event API's connection")
    print("  admin  GET /admin/x, the field admin")
    print("  pay    POST /payments, the mutation pay\n")
    print_head(list(deployment.apis))
    failed = sum(print_row(deployment, name, cells) for name, cells in verdicts(deployment, expected=expected))
    print("\n^ Read from the authorizer's answer; the local AWS does not act on it. It is a denied field: AWS answers")
    print("  200 with an error for the field, the local AWS 200 with its value. Behind a 200 no field is denied.")
    return failed


def print_channels(deployment: Deployment, *, expected: bool) -> int:
    """Who may ask for which channel of the Event API; how many answers differ."""
    print(f"\nWho may ask for which channel of AppSync Events by {deployment.rules}. 401 is a refusal.\n")
    rows = asks(deployment, expected=expected)
    return sum(print_row(deployment, f"{name:<56}", cells) for name, cells in rows)


def print_dashboard(deployment: Deployment) -> int:
    """What the dashboard shows of real faults; how many of its metrics and queries have no data without a reason."""
    print("\nWhat the dashboard shows after", end=" ")
    operated = Operated(deployment.aws, deployment.hanko)
    operated.request()
    operated.request(event=event_with("http_v2", "not-a-token"))
    faults = list(dict.fromkeys((*FAULTS.values(), *ALSO_SEEN)))
    for fault in faults:
        fault(operated)
    print(f"{', '.join(fault.__name__.replace('_', ' ') for fault in faults)}.\n")
    values = shown(operated)
    for name, value in values.items():
        print(f"{name:<{NAME_COLUMNS}}{f'{value:g}' if value else WITHOUT_DATA.get(name, 'NO DATA')}", flush=True)
    return sum(not value and name not in WITHOUT_DATA for name, value in values.items())


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 1 if an answer differs from what was expected."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("--rules", default=EXAMPLE_RULES, help=f"default: {EXAMPLE_RULES}")
    rules = parser.parse_args(argv).rules
    began = time.monotonic()

    def progress(text: str) -> None:
        print(f"{time.monotonic() - began:5.1f} s  {text}", flush=True)

    with Deployment(progress, rules=rules) as deployment:
        own = rules != EXAMPLE_RULES
        failed = 0 if own else print_answers(deployment)
        failed += print_permissions(deployment, expected=not own)
        failed += print_channels(deployment, expected=not own)
        failed += 0 if own else print_dashboard(deployment)
    verdict = f"{failed} answers differ from what was expected" if failed else "All as expected"
    print(f"\n{'These are the answers' if own else verdict}; {time.monotonic() - began:.0f} s.")
    return 1 if failed else 0


if __name__ == "__main__":
    run(main)
