"""What the library adds to a FastAPI endpoint, beside PyJWKClient and Hanko's guide; and a flood of unknown key ids.

All contestants answer in this process, one after the other, each with a token that it never saw: the time of the same
endpoint without a check is taken off, round by round. The bare signature check stands in the same place, before the
same endpoint: in a loop of its own it finds everything in the processor's caches, and that figure is given, too. It is
CPU time, which other programs hardly change; the guide fetches keys for each request, so that its time is what passes.
`python -m benchmarks.library FILE`: as the other sections, on the Python that runs the functions.
"""

import asyncio
import itertools
import json
import ssl
import statistics
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from authorizer.middleware import HankoAuthenticator, Refused
from authorizer.middleware.asgi import HankoMiddleware
from benchmarks.paired import Ratio, Samples, ratio, report, take_turns
from local.hanko import StandInHanko
from local.hanko.keys import unb64

App = Callable[[Any, Any, Any], Awaitable[None]]
Check = Callable[[str], object]

AUDIENCE = "localhost"
ROUNDS, CALLS_PER_ROUND, GUIDE_CALLS_PER_ROUND = 40, 10, 2
WARM_UP_ROUNDS = 2
BAR_SIGNATURE, BAR_PYJWKCLIENT, BAR_GUIDE = 1.5, 0.6, 1 / 40
GOOD_REQUESTS, PAUSE_SECONDS = 500, 0.004
FLOOD_THREADS, FLOOD_PAUSE_SECONDS = 4, 0.01
BAR_FLOOD = 2.0


def main() -> None:
    """Measure the endpoint, then the flood, and write the figures into the file that the argument names."""
    with StandInHanko() as hanko, asyncio.Runner() as runner:
        results = [_endpoint(hanko, runner), _flood(hanko)]
    Path(sys.argv[1]).write_text(json.dumps(results))


def _endpoint(hanko: StandInHanko, runner: asyncio.Runner) -> dict[str, object]:
    authenticator = HankoAuthenticator(api_url=hanko.url, audience=AUDIENCE)
    tokens = minted(hanko)
    contestants = {
        name: calls(runner, app, tokens, number, time.perf_counter if name == "guide" else time.thread_time)
        for name, (app, number) in _apps(hanko, authenticator).items()
    }
    contestants["signature alone"] = signatures(hanko, tokens)
    take_turns(contestants, WARM_UP_ROUNDS)
    samples = take_turns(contestants, ROUNDS)
    authenticator.close()
    added = _added(samples)
    ratios: list[Ratio] = [
        ratio(added, "library", "signature in place", BAR_SIGNATURE),
        ratio(added, "library", "signature alone"),
        ratio(added, "library", "PyJWKClient", BAR_PYJWKCLIENT),
        ratio(added, "library", "guide", BAR_GUIDE),
        ratio(added, "library again", "library"),
    ]
    return report("Library: what the check adds to a FastAPI endpoint, RSA-4096, a new token each time", added, ratios)


def _apps(hanko: StandInHanko, authenticator: HankoAuthenticator) -> dict[str, tuple[App, int]]:
    """The applications, and how often each is called in a round."""
    return {
        "endpoint alone": (endpoint(), CALLS_PER_ROUND),
        "signature in place": (Signature(endpoint(), key_of(hanko)), CALLS_PER_ROUND),
        "library": (HankoMiddleware(endpoint(), authenticator), CALLS_PER_ROUND),
        "library again": (HankoMiddleware(endpoint(), authenticator), CALLS_PER_ROUND),
        "PyJWKClient": (Checked(endpoint(), pyjwkclient(hanko.url)), CALLS_PER_ROUND),
        "guide": (Checked(endpoint(), guide(hanko.url)), GUIDE_CALLS_PER_ROUND),
    }


def _added(samples: Samples) -> Samples:
    """What each check adds to the endpoint alone."""
    added: Samples = {"signature alone": samples["signature alone"]}
    for name in ("signature in place", "library", "library again", "PyJWKClient", "guide"):
        pairs = zip(samples[name], samples["endpoint alone"], strict=True)
        added[name] = [max(1e-9, with_check - without) for with_check, without in pairs]
    return added


def endpoint() -> FastAPI:
    """An application with one endpoint."""
    app = FastAPI(openapi_url=None)

    @app.get("/me")
    async def me() -> dict[str, str]:
        return {"message": "Hello World"}

    return app


class Signature:
    """The bare signature check before an endpoint. `calls` has taken the token apart."""

    def __init__(self, app: App, key: RSAPublicKey) -> None:
        """`key` is the one that signed."""
        self._app, self._key = app, key
        self._padding, self._hash = PKCS1v15(), SHA256()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
        """One request."""
        signature, signed = scope["prepared"]
        self._key.verify(signature, signed, self._padding, self._hash)
        await self._app(scope, receive, send)


class Checked:
    """The least that a check of one's own needs around it: plain ASGI, so that only the checks differ."""

    def __init__(self, app: App, check: Check) -> None:
        """`check` takes a token and raises for a bad one."""
        self._app, self._check = app, check

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
        """One request, as the guide has it."""
        header = dict(scope["headers"]).get(b"authorization", b"").decode()
        scheme, _, token = header.partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise jwt.DecodeError
            self._check(token)
        except (jwt.PyJWTError, OSError):
            await JSONResponse({"error": "Unauthorized"}, 401)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def pyjwkclient(url: str) -> Check:
    """As PyJWT's documentation shows it: one client, which keeps the key set for five minutes."""
    client = jwt.PyJWKClient(f"{url}/.well-known/jwks.json")

    def check(token: str) -> object:
        key = client.get_signing_key_from_jwt(token)
        return jwt.decode(token, key.key, algorithms=["RS256"], audience=AUDIENCE)

    return check


def guide(url: str) -> Check:
    """As Hanko's guide shows it: a client for each request. There is no TLS to switch off here."""

    def check(token: str) -> object:
        client = jwt.PyJWKClient(f"{url}/.well-known/jwks.json", ssl_context=ssl.create_default_context())
        key = client.get_signing_key_from_jwt(token)
        return jwt.decode(token, key.key, algorithms=["RS256"], audience=AUDIENCE)

    return check


def minted(hanko: StandInHanko) -> Iterator[str]:
    """Tokens that nobody saw, made before they are measured."""
    number = (ROUNDS + WARM_UP_ROUNDS) * (6 * CALLS_PER_ROUND + GUIDE_CALLS_PER_ROUND)
    return iter([hanko.mint(session=False) for _ in range(number)])


def calls(
    runner: asyncio.Runner, app: App, tokens: Iterator[str], number: int, now: Callable[[], float]
) -> Callable[[], float]:
    """Seconds of one request, the median of a round: on a busy machine a mean shows who was interrupted."""

    async def one_round() -> float:
        scopes = [_scope(next(tokens)) for _ in range(number)]
        seconds = []
        for scope in scopes:
            started = now()
            status = await _status(app, scope)
            seconds.append(now() - started)
            if status != 200:  # noqa: PLR2004 - an HTTP status
                raise RuntimeError(f"answered {status}")
        return statistics.median(seconds)

    return lambda: runner.run(one_round())


def _scope(token: str) -> dict[str, Any]:
    headers = [(b"host", b"127.0.0.1"), (b"user-agent", b"bench"), (b"authorization", f"Bearer {token}".encode())]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/me",
        "raw_path": b"/me",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "prepared": prepared(token),
    }


async def _status(app: App, scope: dict[str, Any]) -> int:
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


def key_of(hanko: StandInHanko) -> RSAPublicKey:
    """The key that signs."""
    (found,) = hanko.jwks["keys"]
    key = jwt.PyJWK(found).key
    if not isinstance(key, RSAPublicKey):
        raise TypeError
    return key


def prepared(token: str) -> tuple[bytes, bytes]:
    """Signature, and what it signs."""
    signed, _, signature = token.rpartition(".")
    return unb64(signature), signed.encode()


def signatures(hanko: StandInHanko, tokens: Iterator[str]) -> Callable[[], float]:
    """Seconds of cryptography's own check of one signature, the median of a round."""
    key = key_of(hanko)
    padding, algorithm = PKCS1v15(), SHA256()

    def one_round() -> float:
        seconds = []
        for signature, signed in [prepared(next(tokens)) for _ in range(CALLS_PER_ROUND)]:
            started = time.thread_time()
            key.verify(signature, signed, padding, algorithm)
            seconds.append(time.thread_time() - started)
        return statistics.median(seconds)

    return one_round


def _flood(hanko: StandInHanko) -> dict[str, object]:
    """One thread's good requests, alone and while others send key ids that nobody knows. Hanko takes 50 ms."""
    authenticator = HankoAuthenticator(api_url=hanko.url, audience=AUDIENCE, keys_cooldown_seconds=1)
    authenticator.authenticate({"Authorization": f"Bearer {hanko.mint()}"})
    hanko.behave("slow", delay_seconds=0.05)
    strangers = itertools.cycle([hanko.mint(header={"kid": str(uuid.uuid4())}) for _ in range(300)])
    samples: Samples = {"quiet": _good(hanko, authenticator)}
    over = threading.Event()
    threads = [threading.Thread(target=_send, args=(authenticator, strangers, over)) for _ in range(FLOOD_THREADS)]
    for thread in threads:
        thread.start()
    samples["flood"] = _good(hanko, authenticator)
    over.set()
    for thread in threads:
        thread.join()
    authenticator.close()
    hanko.behave("normal")
    p99 = {name: statistics.quantiles(seconds, n=100)[98] for name, seconds in samples.items()}
    times = ", ".join(f"{name} {seconds * 1e6:.0f} µs" for name, seconds in p99.items())
    found = p99["flood"] / p99["quiet"]
    print(f"\nLibrary: p99 of good requests: {times}")
    print(f"  flood ÷ quiet: {found:.2f}   bar {BAR_FLOOD:g}: {'met' if found <= BAR_FLOOD else 'MISSED'}")
    return {"title": "Library: a flood of unknown key ids", "p99_seconds": p99, "ratio": found, "bar": BAR_FLOOD}


def _good(hanko: StandInHanko, authenticator: HankoAuthenticator) -> list[float]:
    tokens = [hanko.mint(session=False) for _ in range(GOOD_REQUESTS)]
    samples = []
    for token in tokens:
        time.sleep(PAUSE_SECONDS)
        started = time.perf_counter()
        authenticator.authenticate({"Authorization": f"Bearer {token}"})
        samples.append(time.perf_counter() - started)
    return samples


def _send(authenticator: HankoAuthenticator, tokens: Iterator[str], over: threading.Event) -> None:
    while not over.wait(FLOOD_PAUSE_SECONDS):
        try:
            authenticator.authenticate({"Authorization": f"Bearer {next(tokens)}"})
        except Refused:
            continue


if __name__ == "__main__":
    main()
