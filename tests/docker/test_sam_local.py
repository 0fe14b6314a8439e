"""`sam local` for real: SAM CLI, a Docker engine, the built artifact in a container that reaches no host.

`make test-docker` runs these, with ENGINE=podman in Podman. Without an engine they fail, and say so.
"""

import json
import os
import signal
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker_engine import OWN_ENGINES, GivenEngine, OwnEngine, offline_wheels

from local.background import free_port
from local.command_line import CommandFailed
from local.sam import TEMPLATE

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]
SAM = str(ROOT / ".venv" / "bin" / "sam")
SIGN = f"{ROOT}/.venv/bin/python -m local.sign --sam"
Engine = OwnEngine | GivenEngine
OWN = OWN_ENGINES[os.environ.get("ENGINE") or "docker"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def built() -> None:
    """What `make sam EXAMPLE=http-api` leaves. It needs the network, so it runs outside the engine's namespace."""
    subprocess.run(["make", "sam", "EXAMPLE=http-api"], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def engine(built: None) -> Iterator[Engine]:  # noqa: ARG001 - to be there
    """DOCKER_HOST's engine if it is set, with AWS's own image; else ENGINE, one of our own with a stand-in image."""
    if os.environ.get("DOCKER_HOST"):
        yield GivenEngine()
        return
    with OWN() as ours:
        ours.import_image()
        yield ours


@pytest.fixture(scope="module")
def run(engine: Engine) -> Run:
    """A shell command as a user types it, beside the engine."""
    environment = {**os.environ, **engine.environment, "SAM_CLI_TELEMETRY": "0"}

    def run_it(command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            engine.beside("bash", "-o", "pipefail", "-c", command), cwd=ROOT, env={**environment, **more},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    return run_it


def answer_to(ran: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - any JSON
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def allows(answer: dict[str, Any]) -> bool:
    """Whether an answer of any kind lets the caller in."""
    if "policyDocument" in answer:
        return bool(answer["policyDocument"]["Statement"][0]["Effect"] == "Allow")
    return bool(answer.get("isAuthorized"))


@pytest.mark.parametrize(
    "shape",
    [
        *("rest_token", "rest_request", "http_v1", "http_v2", "websocket"),
        *("appsync", "appsync_events_connect"),
    ],
)
def test_the_documented_command_answers_every_kind_of_event(run: Run, shape: str) -> None:
    """Its token is signed here, and no Hanko can be reached from there."""
    ran = run(f"{SIGN} {shape} | {SAM} local invoke AuthorizerFunction -e -")
    assert allows(answer_to(ran)), ran.stderr
    assert '"reason":"allowed"' in ran.stderr


def test_a_sample_as_it_is_gets_the_401_of_a_rest_api(run: Run) -> None:
    """TOKEN is no token. The 401 is an exception, which SAM CLI shows with its stack trace."""
    answer = answer_to(run(f"{SAM} local invoke AuthorizerFunction -e events/rest_token.json"))
    assert (answer["errorType"], answer["errorMessage"]) == ("Unauthorized", "Unauthorized")


def test_a_refusal_without_an_exception(run: Run) -> None:
    ran = run(f"{SIGN} --defect expired http_v2 | {SAM} local invoke AuthorizerFunction -e -")
    assert answer_to(ran) == {"isAuthorized": False, "context": {"reason": "token_expired"}}


def test_a_key_that_changed_cannot_be_told_from_a_forgery_without_hanko(run: Run) -> None:
    ran = run(f"{SIGN} --defect tampered rest_token | {SAM} local invoke AuthorizerFunction -e -")
    assert answer_to(ran)["errorMessage"] != "Unauthorized"
    assert '"reason":"key_unchecked"' in ran.stderr


def test_a_host_that_never_answers_delays_nothing(run: Run) -> None:
    """The bundled key serves while the fetch hangs: nothing answers at a reserved address (RFC 5737)."""
    template = TEMPLATE.with_name("unreachable.json")
    keys = TEMPLATE.parent / "AuthorizerFunction" / "keys.json"
    before = keys.read_text()
    try:
        template.write_text(TEMPLATE.read_text().replace("http://127.0.0.1:9", "https://192.0.2.1"))
        keys.write_text(before.replace("http://127.0.0.1:9", "https://192.0.2.1"))
        ran = run(f"{SIGN} rest_token | {SAM} local invoke AuthorizerFunction -e - -t {template}")
    finally:
        keys.write_text(before)
        template.unlink(missing_ok=True)
    assert allows(answer_to(ran)), ran.stderr
    (record,) = [line for line in ran.stderr.splitlines() if line.startswith("{")]
    assert json.loads(record)["Duration"] < 1000  # a fetch has three seconds


def test_start_api_with_an_examples_template(engine: Engine, run: Run) -> None:
    """200, 403 for a bad token, 401 without one."""
    port = free_port()
    environment = {**os.environ, **engine.environment, "SAM_CLI_TELEMETRY": "0"}
    api = subprocess.Popen(
        engine.beside(SAM, "local", "start-api", "--port", str(port)), cwd=ROOT, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = urllib.parse.urlunsplit(("http", f"127.0.0.1:{port}", "/me", "", ""))
    curl = f"curl -s -m 60 -o /dev/null -w '%{{http_code}}\\n' {url}"
    try:
        deadline = time.monotonic() + 60
        while run(curl).stdout.strip() != "401" and time.monotonic() < deadline:
            time.sleep(0.2)
        statuses = run(f"""{curl}; {curl} -H 'Authorization: Bearer a.b.c'
            {curl} -H "Authorization: Bearer $({SIGN} --token-only)" """)
    finally:
        api.send_signal(signal.SIGINT)
        api.wait(30)
    assert statuses.stdout.split() == ["401", "403", "200"]


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [("EVENT=rest_request", '"Effect": "Allow"'), ("EVENT=rest_token DEFECT=missing", "The caller sees a 401.")],
)
def test_make_invoke_sam(run: Run, tmp_path_factory: pytest.TempPathFactory, arguments: str, seen: str) -> None:
    """It builds, too: from wheels on disk, because the engine's namespace has no network."""
    wheels = offline_wheels(tmp_path_factory.getbasetemp() / "wheels")
    ran = run(f"make invoke {arguments} SAM=1", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert seen in ran.stdout


def test_without_an_example_no_function_has_to_be_named(run: Run) -> None:
    """After `make sam` alone, or the test before."""
    answer = answer_to(run(f"{SAM} local invoke -e events/rest_token.json"))
    assert answer["errorMessage"] == "Unauthorized"


def test_no_container_is_left(engine: Engine) -> None:
    """Every test before this one has ended."""
    listed = subprocess.run(
        ["docker", "ps", "-a", "-q"],
        env={**os.environ, **engine.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert isinstance(engine, GivenEngine) or listed.stdout == ""


def interfaces() -> list[Path]:
    return sorted(Path("/sys/class/net").iterdir())


def test_an_engine_leaves_nothing_behind_and_no_network_is_changed() -> None:
    before = interfaces()
    with OWN() as engine:
        during, group = interfaces(), engine.process_group
        children = [group, engine.process]
    assert before == during == interfaces()
    assert not engine.folder.exists()
    assert [process for process in children if Path(f"/proc/{process}").exists()] == []


def test_without_an_engine_the_tests_fail_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(CommandFailed, match=r"no \w+Engine can be had here"):
        OWN()
