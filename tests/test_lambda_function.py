"""The entry point: what is built once per sandbox, and in which order. test_handler.py gives it whole processes."""

import json
import runpy
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from aws import TABLE, Aws
from awslambdaric.lambda_runtime_hooks_runner import run_after_restore
from moto import mock_aws
from sandbox import Json
from snapshot_restore_py import get_after_restore

from authorizer.errors import Misconfigured
from authorizer.gateway.raised import Unauthorized
from local.build import ROOT
from local.hanko import StandInHanko
from local.hanko.keys import unb64
from local.sign import event_with

HANG_GUARD_SECONDS = 15

Start = Callable[..., Callable[[object, object], Json]]
CONTEXT = SimpleNamespace(aws_request_id="invocation-1")


@pytest.fixture
def time_() -> Any:  # noqa: ANN401 - takes the place of conftest's: the function runs on the machine's own clocks
    return SimpleNamespace(wall=time.time())


@pytest.fixture
def start(hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Run the module as a new sandbox does; its handler."""
    at_the_end = ExitStack()

    def run(**environ: str) -> Callable[[object, object], Json]:
        monkeypatch.delenv("HTTPS_PROXY", raising=False)
        required = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost"}
        for name, value in ({"AWS_LAMBDA_FUNCTION_NAME": f"function-{uuid.uuid4()}"} | required | environ).items():
            monkeypatch.setenv(name, value)
        module = runpy.run_module("authorizer.lambda_function")
        at_the_end.callback(module["_started"].client.close)
        handler: Callable[[object, object], Json] = module["lambda_handler"]
        return handler

    with at_the_end:
        yield run
    get_after_restore().clear()


def record_of(capsys: pytest.CaptureFixture[str]) -> Json:
    """The one record."""
    (line,) = capsys.readouterr().out.splitlines()
    record: Json = json.loads(line)
    return record


def test_the_keys_are_on_their_way_before_the_first_event(start: Start, hanko: StandInHanko) -> None:
    handler = start()
    deadline = time.monotonic() + HANG_GUARD_SECONDS
    while hanko.jwks_requests == 0:
        assert time.monotonic() < deadline
    assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True
    assert hanko.jwks_requests == 1


def test_behind_a_proxy_nothing_dials_past_it(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as proxy:
        server.settimeout(0.2)
        proxy.settimeout(HANG_GUARD_SECONDS)
        start(
            HANKO_API_URL=f"https://127.0.0.1:{server.getsockname()[1]}",
            HTTPS_PROXY=f"http://127.0.0.1:{proxy.getsockname()[1]}",
        )
        proxy.accept()[0].close()
        with pytest.raises(TimeoutError):
            server.accept()


def test_what_is_built_once_serves_every_event(start: Start, hanko: StandInHanko) -> None:
    handler = start()
    for _ in range(3):
        assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True
    assert hanko.jwks_requests == 1


def test_a_snapshot_holds_no_keys(start: Start, hanko: StandInHanko) -> None:
    """test_snapshot.py has the processes that are restored from one."""
    handler = start(AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    with pytest.raises(Unauthorized):
        handler(event_with("rest_request", ""), CONTEXT)
    assert hanko.jwks_requests == 0
    run_after_restore()
    assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True
    assert hanko.jwks_requests == 1


def test_a_process_that_waits_frozen_has_its_keys_before(start: Start, hanko: StandInHanko) -> None:
    """Lambda freezes it after its start. What is under way then is lost, and Hanko may be down when it is needed."""
    hanko.behave("slow", delay_seconds=0.5)
    handler = start(AWS_LAMBDA_INITIALIZATION_TYPE="provisioned-concurrency")
    assert handler.__globals__["_started"].prefetch.done
    hanko.behave("down")
    assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True
    assert hanko.jwks_requests == 1


@pytest.mark.parametrize("initialization", ["on-demand", "provisioned-concurrency"])
def test_a_hanko_that_is_down_does_not_stop_the_function(
    start: Start, hanko: StandInHanko, initialization: str
) -> None:
    hanko.behave("down")
    handler = start(AWS_LAMBDA_INITIALIZATION_TYPE=initialization)
    assert handler(event_with("http_v2", ""), CONTEXT)["isAuthorized"] is False


def test_the_revocation_table_is_asked_before_hanko(
    start: Start, hanko: StandInHanko, aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    handler, token = start(HANKO_REVOCATION_TABLE=TABLE, HANKO_SESSION_CHECK="strict"), hanko.mint()
    assert handler(event_with("http_v2", token), CONTEXT)["isAuthorized"] is True
    record = record_of(capsys)
    assert (record["RevocationChecks"], record["SessionChecks"], hanko.validate_requests) == (1, 1, 1)
    claims = json.loads(unb64(token.split(".")[1]))
    aws.dynamodb.put_item(
        TableName=TABLE,
        Item={"subject": {"S": f"session#{claims['session_id']}"}, "issued_until": {"N": str(claims["iat"])}},
    )
    assert handler(event_with("http_v2", token), CONTEXT)["isAuthorized"] is False
    record = record_of(capsys)
    assert (record["reason"], record["RevocationChecks"], record.get("SessionChecks")) == ("session_revoked", 1, None)


def test_the_line_names_function_and_invocation(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    start(AWS_LAMBDA_FUNCTION_NAME="my-authorizer")(event_with("http_v2", ""), CONTEXT)
    record = record_of(capsys)
    assert (record["service"], record["invocation_id"]) == ("my-authorizer", "invocation-1")


def test_a_context_without_an_id_is_no_reason_to_fail(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    assert start()(event_with("http_v2", ""), None)["isAuthorized"] is False
    record = record_of(capsys)
    assert "invocation_id" not in record


@pytest.mark.parametrize(("mode", "asked"), [("off", 0), ("hybrid", 1), ("strict", 2)])
def test_sessions_are_checked_as_the_setting_says(start: Start, hanko: StandInHanko, mode: str, asked: int) -> None:
    handler, token = start(HANKO_SESSION_CHECK=mode), hanko.mint()
    for _ in range(2):
        assert handler(event_with("http_v2", token), CONTEXT)["isAuthorized"] is True
    assert hanko.validate_requests == asked
    assert hanko.connections == 1  # that of the keys serves for the sessions, too
    assert handler(event_with("http_v2", hanko.mint(session=False)), CONTEXT)["isAuthorized"] is (mode == "off")


def test_a_wrong_setting_stops_it(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens there. test_startup.py has what a process sends that does not start: nothing."""
    with pytest.raises(Misconfigured):
        start(HANKO_CLOCK_SKEW_SECONDS="61", HANKO_API_URL="http://127.0.0.1:9")
    record = record_of(capsys)
    assert record["mistakes"] == [
        "HANKO_CLOCK_SKEW_SECONDS is out of range: it must be a whole number of seconds from 0 to 60"
    ]
    assert record["Misconfigured"] == 1


@pytest.fixture
def keys_file(hanko: StandInHanko) -> Iterator[Path]:
    """The keys of the stand-in in a file beside the code; fetched just now."""
    with tempfile.TemporaryDirectory(dir=ROOT, prefix="keys-") as folder:
        file = Path(folder) / "keys.json"
        file.write_text(json.dumps({"hanko_api_url": hanko.url, "fetched_at": int(time.time()), **hanko.jwks}))
        yield file


def test_bundled_keys_serve_a_function_that_starts_while_hanko_is_down(
    start: Start, hanko: StandInHanko, keys_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hanko.behave("down")
    handler = start(HANKO_KEYS_FILE=str(keys_file.relative_to(ROOT)))
    assert handler(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True
    record = record_of(capsys)
    assert record["KeySetAge"] >= 0
    assert record["StaleKeys"] == 1


def test_bundled_keys_in_a_snapshot_are_replaced_by_a_fetch_of_the_restored_sandbox(
    start: Start, hanko: StandInHanko, keys_file: Path
) -> None:
    old = hanko.kids[0]
    hanko.rotate()
    hanko.withdraw(old)
    hanko.behave("slow", delay_seconds=0.2)  # so that the first token is there before the answer
    handler = start(AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", HANKO_KEYS_FILE=str(keys_file.relative_to(ROOT)))
    assert hanko.jwks_requests == 0
    run_after_restore()
    token, deadline = hanko.mint(key=old), time.monotonic() + HANG_GUARD_SECONDS
    assert handler(event_with("http_v2", token), CONTEXT)["isAuthorized"] is True
    while handler(event_with("http_v2", token), CONTEXT)["isAuthorized"]:
        assert time.monotonic() < deadline


FIRST_ANSWER = """
import json, sys
from types import SimpleNamespace
from authorizer.lambda_function import lambda_handler
answer = lambda_handler(json.loads(sys.argv[1]), SimpleNamespace(aws_request_id="1"))
print(json.dumps([answer["isAuthorized"], sorted({"ssl", "socket", "pathlib", "urllib.parse"} & sys.modules.keys())]))
"""


@pytest.mark.parametrize(
    ("initialization", "check", "imported"),
    [
        ("on-demand", "off", []),
        ("on-demand", "strict", ["socket", "ssl"]),
        ("provisioned-concurrency", "off", ["socket", "ssl"]),
    ],
)
def test_with_bundled_keys_the_first_answer_imports_what_it_needs(
    keys_file: Path, hanko: StandInHanko, initialization: str, check: str, imported: list[str]
) -> None:
    """In a process of its own, whose Python has imported nothing yet."""
    environment = {
        "HANKO_API_URL": hanko.url,
        "HANKO_AUDIENCE": "localhost",
        "HANKO_KEYS_FILE": str(keys_file.relative_to(ROOT)),
        "HANKO_SESSION_CHECK": check,
        "AWS_LAMBDA_INITIALIZATION_TYPE": initialization,
    }
    command = [sys.executable, "-S", "-c", FIRST_ANSWER, json.dumps(event_with("http_v2", hanko.mint()))]
    packages = sysconfig.get_path("purelib")
    done = subprocess.run(  # noqa: S603 - ourselves
        command, env={**environment, "PYTHONPATH": f"{ROOT}:{packages}"}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [True, imported]
    assert hanko.jwks_requests == 0 or imported


@pytest.mark.parametrize("content", [None, "{}"])
def test_a_wrong_keys_file_stops_it_and_names_the_setting(
    start: Start, keys_file: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is None:
        keys_file.unlink()
    else:
        keys_file.write_text(content)
    with pytest.raises(Misconfigured):
        start(HANKO_KEYS_FILE=str(keys_file.relative_to(ROOT)))
    record = record_of(capsys)
    assert (record["reason"], record["fault"]) == ("settings_invalid", "deployment")
    assert [mistake.split(" ")[0] for mistake in record["mistakes"]] == ["HANKO_KEYS_FILE"]
    assert record["Misconfigured"] == 1


@mock_aws
def test_wrong_rules_stop_it_too(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    boto3.client("ssm").put_parameter(Name="/hanko/rules", Type="String", Value="default = 'maybe'")
    with pytest.raises(Misconfigured):
        start(HANKO_RULES_PARAMETER="/hanko/rules")
    record = record_of(capsys)
    assert (record["reason"], record["fault"]) == ("rules_invalid", "deployment")
    assert record["mistakes"] == [
        'the file: default must be "allow" or "deny", and is required as soon as there is a rule'
    ]
    assert record["Misconfigured"] == 1
