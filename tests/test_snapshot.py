"""SnapStart: AWS's runtime client, which calls the hooks, and processes that are restored from one snapshot.

There is no Firecracker here. A snapshot is a process that has answered `restore/next` nothing yet; each process that is
restored from it is a fork of it, which then has the same memory.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from runtime_api import RESTORE, ROOT, Json, RuntimeApi, running

from authorizer import startup
from local.background import START_SECONDS
from local.hanko import StandInHanko
from local.sign import event_with

PROCESSES = 3
TABLE = "revoked-sessions"
RULES = (ROOT / "examples" / "rules.toml").read_text()
FORKS = f"""
import os, sys
from awslambdaric import bootstrap
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

class OneSnapshot(LambdaRuntimeClient):
    def restore_next(self):
        super().restore_next()
        for _ in range({PROCESSES - 1}):
            if os.fork() == 0:
                return

bootstrap.run(sys.argv[1], OneSnapshot(os.environ["AWS_LAMBDA_RUNTIME_API"]))
"""


@pytest.fixture
def hanko() -> Iterator[StandInHanko]:
    """On the machine's own clock, as the processes are."""
    with StandInHanko() as stand_in:
        yield stand_in


class SomeAws(ThreadingHTTPServer):
    """DynamoDB, Systems Manager and Lambda's own credentials, as a function sees them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.key_id, self.rules, self.status = "OLD", RULES, 200
        self.signed_by: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def variables(self) -> dict[str, str]:
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token",
            "AWS_ENDPOINT_URL": self.url,
        }


class Answers(BaseHTTPRequestHandler):
    """One request each."""

    server: SomeAws

    def do_GET(self) -> None:
        """Credentials that are good for an hour."""
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        self._answer(
            {"AccessKeyId": self.server.key_id, "SecretAccessKey": "secret", "Token": "token", "Expiration": end}
        )

    def do_POST(self) -> None:
        """An empty table, and the rules."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status != 200:
            self._answer({}, self.server.status)
            return
        self.server.signed_by.append(self.headers["Authorization"].partition("Credential=")[2].partition("/")[0])
        if self.headers["X-Amz-Target"] == "AmazonSSM.GetParameter":
            self._answer({"Parameter": {"Name": "rules", "Type": "String", "Value": self.server.rules}})
        else:
            self._answer({"Responses": {TABLE: []}, "UnprocessedKeys": {}})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing."""

    def _answer(self, payload: Json, status: int = 200) -> None:
        body = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def aws_() -> Iterator[SomeAws]:
    with SomeAws() as some_aws:
        yield some_aws
        some_aws.shutdown()


def snapshot_of(hanko: StandInHanko, **variables: str) -> dict[str, str]:
    required = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost", "AWS_DEFAULT_REGION": "eu-west-1"}
    return {**required, startup.INITIALIZATION_TYPE: "snap-start", **variables}


def wait_until_asked(api: RuntimeApi) -> None:
    assert api.is_snapshot.wait(START_SECONDS)


def test_each_process_that_is_restored_starts_anew(hanko: StandInHanko) -> None:
    """Its own keys, its own connections, its own hash key, its own start in the metrics; nothing from before."""
    old = hanko.kids[0]
    with running(PROCESSES, snapshot_of(hanko), ("-c", FORKS)) as (api, function):
        wait_until_asked(api)
        assert (hanko.jwks_requests, function.records) == (0, [])
        hanko.rotate()
        hanko.withdraw(old)
        api.may_restore.set()
        good, bad = event_with("http_v2", hanko.mint()), event_with("http_v2", hanko.mint(key=old))
        with ThreadPoolExecutor(PROCESSES) as callers:
            assert all(answer["isAuthorized"] for answer in callers.map(api.invoke, [good] * PROCESSES))
        assert hanko.jwks_requests == PROCESSES
        assert api.invoke(bad)["context"]["reason"] == "key_unknown"
        first = function.records[:PROCESSES]
    assert [record["ProcessStarts"] for record in first] == [1] * PROCESSES
    assert len({record["user"] for record in first}) == PROCESSES


def test_the_keys_are_fetched_by_the_hook_and_not_by_the_first_token(hanko: StandInHanko) -> None:
    with running(1, snapshot_of(hanko)) as (api, _):
        wait_until_asked(api)
        assert hanko.jwks_requests == 0
        api.may_restore.set()
        deadline = time.monotonic() + START_SECONDS
        while hanko.jwks_requests == 0:
            assert time.monotonic() < deadline
        assert api.invoke(event_with("http_v2", hanko.mint()))["isAuthorized"]
    assert hanko.jwks_requests == 1


def test_credentials_of_before_the_snapshot_are_not_used(hanko: StandInHanko, aws_: SomeAws) -> None:
    settings = snapshot_of(hanko, HANKO_REVOCATION_TABLE=TABLE, HANKO_RULES_PARAMETER="rules", **aws_.variables)
    with running(1, settings) as (api, _):
        wait_until_asked(api)
        aws_.key_id, aws_.signed_by = "NEW", []
        api.may_restore.set()
        assert api.invoke(event_with("http_v2", hanko.mint(claims={"role": "admin"})))["isAuthorized"]
    assert len(aws_.signed_by) == 2  # the rules, read once more, and the table
    assert set(aws_.signed_by) == {"NEW"}


def test_rules_of_before_the_snapshot_are_not_used(hanko: StandInHanko, aws_: SomeAws) -> None:
    """A snapshot can be weeks old. If they cannot be read again, they are as unknown as in any new process."""
    with running(1, snapshot_of(hanko, HANKO_RULES_PARAMETER="rules", **aws_.variables)) as (api, function):
        wait_until_asked(api)
        aws_.status = 500
        api.may_restore.set()
        assert "errorMessage" in api.invoke(event_with("http_v2", hanko.mint()))
        assert [record["reason"] for record in function.records] == ["rules_unavailable"]


def test_a_restore_that_fails_says_why_as_a_start_does(hanko: StandInHanko, aws_: SomeAws) -> None:
    with running(1, snapshot_of(hanko, HANKO_RULES_PARAMETER="rules", **aws_.variables)) as (api, function):
        wait_until_asked(api)
        aws_.rules = "default = 'maybe'"
        api.may_restore.set()
        deadline = time.monotonic() + START_SECONDS
        while f"{RESTORE}error" not in api.errors:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert [record["reason"] for record in function.records] == ["rules_invalid"]


TLS = """
import ctypes, os, ssl
from authorizer.startup import reseed_openssl

def restored(hook):
    "What is drawn by a process with this memory and, as after a restore, this process id."
    read, write = os.pipe()
    if os.fork() == 0:
        assert ctypes.CDLL(None).unshare(0x20000000) == 0  # CLONE_NEWPID
        if os.fork() == 0:
            hook()
            os.write(write, ssl.RAND_bytes(16))
            os._exit(0)
        os.wait()
        os._exit(0)
    os.wait()
    return os.read(read, 16)

assert os.getpid() == 1
ssl.RAND_bytes(16)
print(*(len({restored(hook) for _ in range(3)}) for hook in (lambda: None, reseed_openssl)))
"""


def test_tls_draws_other_secrets_in_each_process() -> None:
    """OpenSSL knows a fork by its process id, and a restored process has that of all others."""
    namespaces = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    drawn = subprocess.run([*namespaces, sys.executable, "-c", TLS], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert drawn.stdout.split() == ["1", "3"]
