"""`make smoke ENV=prod [URL=https://…]`: does the deployed authorizer refuse and allow as it should?

Invokes the alias without a token, with a bad one, and with a good one if standard input holds one (TOKEN=- reads it).
With a URL it calls that, too, as a client would. Exits with 1 if anything is not as it should be.
"""

import argparse
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from local.command_line import CommandFailed, columns, read_token, run, say
from local.configuration import read_environment
from local.sign import event_with
from local.stack import Aws, Stack

CALL_SECONDS = 20
NO_PATH = "403 (no such path)"
BAD_TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6InNtb2tlIiwidHlwIjoiSldUIn0.eyJzdWIiOiJzbW9rZSJ9.c21va2U"  # noqa: S105 - opens nothing
REFUSED, ALLOWED = "refused (401)", "allowed"


class Seen(NamedTuple):
    """One line of the result."""

    what: str
    came: str
    expected: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it is what should have come."""
        return self.came in self.expected


def main(argv: Sequence[str] | None = None) -> int:
    """Call, and print what came back beside what should have."""
    parser = argparse.ArgumentParser(prog="python -m local.smoke", description=__doc__)
    parser.add_argument("environment", help="an environment of samconfig.toml")
    parser.add_argument("--url", help="a protected URL of your API")
    parser.add_argument("--token", action="store_true", help="read a good session token from standard input")
    options = parser.parse_args(argv)
    if options.url and not options.url.startswith(("https://", "http://")):
        raise CommandFailed(f"{options.url} is no URL: it begins with https://")
    token = read_token() if options.token else ""
    environment = read_environment(options.environment)
    aws = Aws(environment.region)
    stack = Stack.of(aws, environment)
    seen = list(results(aws, stack, options.url, token))
    for line, one in zip(columns(_rows(seen)), seen, strict=True):
        say(line, "green" if one.passed else "bold red")
    failed = [one for one in seen if not one.passed]
    if failed:
        say(f"{len(failed)} of {len(seen)} not as they should be: make logs ENV={environment.name}")
        for told in dict.fromkeys(filter(None, map(advice, failed))):
            say(told)
        return 1
    say("All as it should be.")
    say("Next: " + next_step(environment.name, options.url, token))
    return 0


def advice(seen: Seen) -> str | None:
    """What to look at where the authorizer's records say nothing."""
    match seen:
        case Seen(what, "404" | "403 (no such path)") if what.startswith("URL"):
            return "The API has no such path: are the API's id, the stage and the path right?"
        case Seen("URL, no token" | "URL, bad token", "200" | "201" | "202" | "204"):
            return "The URL answers anybody: docs/attach.md attaches the authorizer. A REST API needs a new deployment."
    return None


def next_step(name: str, url: str | None, token: str) -> str:
    """What the user has not seen yet."""
    if not url:
        return f"attach it to your API (docs/attach.md), then make smoke ENV={name} URL=https://…/PATH"
    if not token:
        return f"see a good token pass: make smoke ENV={name} URL={url} TOKEN=- < FILE"
    return f"make status ENV={name}"


def _rows(seen: Sequence[Seen]) -> list[tuple[str, ...]]:
    return [
        ("ok" if one.passed else "NOT", one.what, one.came, "should be " + " or ".join(one.expected)) for one in seen
    ]


def results(aws: Aws, stack: Stack, url: str | None, token: str) -> Iterator[Seen]:
    """Every call, in order."""
    yield Seen("alias, no token", _invoked(aws, stack, ""), (REFUSED,))
    yield Seen("alias, bad token", _invoked(aws, stack, BAD_TOKEN), (REFUSED,))
    if token:
        yield Seen("alias, your token", _invoked(aws, stack, token), (ALLOWED,))
    if url:
        yield Seen("URL, no token", _called(url, ""), ("401", "403"))  # 403: an HTTP API without an identity source
        yield Seen("URL, bad token", _called(url, BAD_TOKEN), ("401", "403"))
        if token:
            yield Seen("URL, your token", _called(url, token), ("200", "201", "202", "204"))


def _invoked(aws: Aws, stack: Stack, token: str) -> str:
    """What a REST API would make of the alias's answer."""
    event = json.dumps(event_with("rest_request", token))
    answer: Any = json.load(aws.client("lambda").invoke(FunctionName=stack.alias, Payload=event)["Payload"])
    match answer:
        case {"errorMessage": "Unauthorized"}:
            return REFUSED
        case {"errorMessage": str(message)}:
            return f"failed (500): {message[:60]}"
        case {"policyDocument": {"Statement": [{"Effect": "Allow"}, *_]}}:
            return ALLOWED
        case {"policyDocument": {"Statement": [{"Effect": "Deny"}, *_]}}:
            return "denied (403)"
    return "no answer of an authorizer"


def _called(url: str, token: str) -> str:
    """The status of a GET."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=CALL_SECONDS) as response:  # noqa: S310 - checked
            return str(response.status)
    except urllib.error.HTTPError as error:
        with error:
            unknown = error.headers.get("x-amzn-ErrorType", "") == "MissingAuthenticationTokenException"
            return NO_PATH if unknown else str(error.code)  # REST's way to say 404
    except (OSError, ValueError) as error:  # no such host, no network, no TLS; no URL
        return f"no answer ({getattr(error, 'reason', error)})"[:60]


if __name__ == "__main__":
    run(main)
