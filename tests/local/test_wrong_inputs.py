"""What the commands print for wrong inputs: one to three lines of at most 100 columns, no traceback, nothing left."""

import base64
import errno
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import build, deploy, destroy, explain, init, keys_file, logs, replay, rollback, smoke, status
from local.build import ROOT
from local.command_line import run
from local.hanko import StandInHanko

Refusing = tuple[str, list[tuple[str, str]]]  # its address, and the code and message that it answers with
Main = Callable[[list[str]], int | None]
HEAD = 'version = 0.1\n[mine.deploy.parameters]\nstack_name = "mine"\n'
GOOD = (
    '[mine.deploy.parameters.parameter_overrides]\nHankoApiUrl = "https://127.0.0.1:9"\nHankoAudience = "localhost"\n'
)


def overrides(more: str) -> str:
    return f"{HEAD}{GOOD}{more}\n"


def listed(item: str) -> str:
    required = '"HankoApiUrl=https://127.0.0.1:9", "HankoAudience=localhost"'
    return f"{HEAD}parameter_overrides = [{required}, {item}]\n"


# What stands in samconfig.toml → what `make deploy` says.
FILES: dict[str, tuple[str | bytes, str]] = {
    "a misspelt parameter": (overrides('HankoSessionChek = "x"'), "did you mean HankoSessionCheck?"),
    "a parameter like none": (overrides('Zzz = "x"'), "Zzz is no parameter of template.yaml"),
    "a value cut at a blank": (listed('"HankoContextClaims=role, plan"'), "HankoContextClaims would be cut"),
    "a value cut at a quote": (listed("""'HankoIssuer=a"b'"""), "HankoIssuer would be cut"),
    "a parameter given twice": (listed('"MemorySize=512", "MemorySize=1024"'), "MemorySize is given twice"),
    "an empty value in a list": (listed('"HankoCookieName="'), 'HankoCookieName = ""'),
    "a word for a number": (overrides('MemorySize = "lots"'), "MemorySize is wrong: it must be a number"),
    "a number out of range": (overrides("MemorySize = 64"), "MemorySize is wrong: it must be 256 to 3008"),
    "a choice that is none": (overrides('Architecture = "arm"'), "it must be arm64 or x86_64"),
    "TOML's true": (overrides("EnableRevocation = true"), "it must be false or true, in quotes"),
    "an address without TLS": (overrides("").replace("https://127.0.0.1", "http://a.dev"), "HankoApiUrl is wrong"),
    "an example's audience": (overrides("").replace('"localhost"', '"example.com"'), "is still the example's"),
    "a claim without a name": (overrides('HankoContextClaims = "a b"'), "HankoContextClaims"),
    "a short secret": (overrides('HankoLogHashKey = "hush"'), "HankoLogHashKey is wrong: it must"),
    "another Python": (overrides('Runtime = "python3.12"'), "it must be python3.13 or python3.14"),
    "two ways to start sooner": (
        overrides('EnableSnapStart = "true"\nProvisionedConcurrency = "2"'),
        "EnableSnapStart or ProvisionedConcurrency, not both",
    ),
    "more provisioned than reserved": (
        overrides('ReservedConcurrency = "9"\nProvisionedConcurrency = "10"'),
        "ProvisionedConcurrency is larger than ReservedConcurrency",
    ),
    "one half of a VPC": (overrides('VpcSubnetIds = "subnet-12345678"'), "VpcSecurityGroupIds are needed together"),
    "nothing that is required": (HEAD, "HankoApiUrl is missing"),
    "an unclosed table": ("version = 0.1\n[mine.deploy.parameters\n", "samconfig.toml:2: "),
    "an unclosed text": (f"{HEAD}\nregion = \"eu", "samconfig.toml:"),
    "a table that is a number": ("version = 0.1\n[mine]\ndeploy = 1\n", "[mine.deploy.parameters] must be a table"),
    "no version": ("[mine.deploy.parameters]\n", "'version' key is not present"),
    "bytes that are no text": (b"\xff\xfe", "samconfig.toml is not UTF-8"),
    "parameters that are a number": (f"{HEAD}parameter_overrides = 7\n", "7 is invalid"),
    "parameters in a file that is not there": (f'{HEAD}parameter_overrides = "file://none.yaml"\n', "was not found"),
    "another environment": ("version = 0.1\n[main.deploy.parameters]\n", "did you mean main?"),
    "no environment": ("version = 0.1\n", "make init ENV=mine"),
    "no stack": (overrides("").replace('stack_name = "mine"', ""), "names no stack for mine"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A good file, no AWS settings, no terminal, and the handler of SIGTERM as it was."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "HANKO_", "BUILD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("SAM_CONFIG_FILE", str(tmp_path / "samconfig.toml"))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "samconfig.toml").write_text(overrides(""))
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def told(capsys: pytest.CaptureFixture[str], main: Main, *arguments: str) -> str:
    """What a command that fails prints as its error, after a look at its form."""
    with pytest.raises(SystemExit) as stopped:
        run(lambda: main(list(arguments)))
    error = capsys.readouterr().err
    assert stopped.value.code == 1
    assert 1 <= len(error.splitlines()) <= 4  # a headline, and one to three lines
    assert max(map(len, error.splitlines())) <= 100
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize(("text", "said"), FILES.values(), ids=FILES)
def test_a_wrong_file_stops_a_deployment_before_anything_is_built(
    text: str | bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "samconfig.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said in " ".join(told(capsys, deploy.main, "mine").split())


def test_no_file_stops_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "samconfig.toml").unlink()
    assert "there is no " in told(capsys, deploy.main, "mine")


@pytest.mark.parametrize("target", ["x86_64", "host", "riscv"])
def test_an_artifact_for_another_processor_is_not_built(
    target: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUILD_TARGET", target)
    assert f"BUILD_TARGET is {target}, but mine has Architecture arm64" in told(capsys, deploy.main, "mine")


# --- AWS

COMMANDS: dict[str, Main] = {
    "deploy": deploy.main,
    "smoke": smoke.main,
    "status": status.main,
    "logs": logs.main,
    "rollback": rollback.main,
    "destroy": destroy.main,
    "replay": lambda arguments: replay.main(["--env", *arguments]),
}
every_command = pytest.mark.parametrize("main", COMMANDS.values(), ids=COMMANDS)


def sign_in(monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    own = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1"}
    for name, value in {**own, **more}.items():
        monkeypatch.setenv(name, value)


@every_command
def test_without_credentials(main: Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert "no AWS credentials" in told(capsys, main, "mine")


@every_command
def test_without_a_region(main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no AWS region" in told(capsys, main, "mine")


@every_command
def test_with_a_profile_that_is_not_there(
    main: Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "(nobody) could not be found" in told(capsys, main, "mine")


@every_command
def test_without_a_network(main: Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sign_in(monkeypatch, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert "AWS cannot be reached" in told(capsys, main, "mine")


def test_with_an_endpoint_that_is_no_url(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sign_in(monkeypatch, AWS_ENDPOINT_URL="nonsense")
    assert "AWS_ENDPOINT_URL" in told(capsys, status.main, "mine")


@pytest.fixture
def refusing_aws() -> Iterator[Refusing]:
    """An AWS that answers every request with one error."""
    answers: list[tuple[str, str]] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            error = "<Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>".format(*answers[0])
            body = f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>".encode()
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", answers
        server.shutdown()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ExpiredToken", "AWS does not accept these credentials (ExpiredToken)"),
        ("SignatureDoesNotMatch", "AWS does not accept these credentials (SignatureDoesNotMatch)"),
        ("AccessDenied", "AWS does not let these credentials call DescribeStacks: because"),
        ("Odd", "AWS answered DescribeStacks with Odd: because"),
    ],
)
def test_an_aws_that_refuses(
    code: str, said: str, refusing_aws: Refusing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, answers = refusing_aws
    answers.append((code, "because"))
    sign_in(monkeypatch, AWS_ENDPOINT_URL=url)
    assert said in told(capsys, status.main, "mine")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "deploy"])
def test_without_the_stack(
    name: str, refusing_aws: Refusing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, answers = refusing_aws
    answers.append(("ValidationError", "Stack with id mine does not exist"))
    sign_in(monkeypatch, AWS_ENDPOINT_URL=url)
    assert "there is no stack mine" in told(capsys, COMMANDS[name], "mine")


# --- init, keys and smoke


def token_with(claims: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.c2ln"


@pytest.mark.parametrize("token", ["no token", "a.b.c", token_with([]), token_with({}), token_with({"aud": [7]})])
def test_init_from_what_is_no_token(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(token))
    assert "this is no session token of Hanko" in told(capsys, init.main, "mine", "--token", "--yes")


TAKE_TOKENS: dict[str, Main] = {
    "init": lambda _: init.main(["mine", "--token", "--yes"]),
    "smoke": lambda _: smoke.main(["mine", "--token"]),
    "check-token": lambda _: explain.main(["rest_request", "--env", "mine", "--token"]),
}


@pytest.mark.parametrize("main", TAKE_TOKENS.values(), ids=TAKE_TOKENS)
@pytest.mark.parametrize(("given", "said"), [(b" \n", "there is no token"), (b"\xff\xfe", "is no text, so no token")])
def test_no_token_on_standard_input(
    main: Main, given: bytes, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even a green smoke: whoever pipes a token wants to see it pass."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
    assert said in told(capsys, main)


def test_init_into_a_file_that_may_not_be_written(
    hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(file: Path, _text: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(file))

    monkeypatch.setattr(init, "_replace", refuse)
    arguments = ["mine", "--yes", "--api-url", hanko.url, "--audience", "localhost"]
    assert "samconfig.toml: Permission denied" in told(capsys, init.main, *arguments)


def test_a_build_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What pip says comes first."""
    for name, value in {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="could not be installed"):
        build.install_wheels(tmp_path, "host", "3.13")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mine"], "there is no terminal to ask at"),
        (["mine", "--yes"], "API URL is missing"),
        (["mine", "--yes", "--api-url", "https://127.0.0.1:9"], "Audience is missing"),
        (["mine", "--yes", "--api-url", "http://hanko.dev", "--audience", "a"], "HankoApiUrl is wrong"),
        (["mine", "--yes", "--api-url", "https://127.0.0.1:9", "--audience", "a"], "gave no usable key set"),
        (["mine", "--yes", "--api-url", "https://127.0.0.1:9", "--audience", "example.com"], "is still the example's"),
        (["my env", "--yes"], "cannot be the name of an environment"),
        (["default", "--yes"], "cannot be the name of an environment"),
    ],
)
def test_init_with_wrong_values_writes_nothing(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / "samconfig.toml").read_bytes()
    assert said in told(capsys, init.main, *arguments)
    assert (tmp_path / "samconfig.toml").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["samconfig.toml"]


def test_keys_of_a_hanko_that_is_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert "gave no usable key set" in told(capsys, keys_file.main, "mine")


def test_smoke_of_what_is_no_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert "api.mine.dev is no URL" in told(capsys, smoke.main, "mine", "--url", "api.mine.dev")


# --- stopped


def descendants_with(marker: str) -> set[str]:
    """The processes whose environment has this marker, by their command lines."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.add((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has just ended, or is not ours
    return found


def started(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_build_that_is_stopped_leaves_no_process_and_no_folder(stop: signal.Signals, tmp_path: Path) -> None:
    marker = f"WRONG_INPUTS={tmp_path}"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    own = {**os.environ, "WRONG_INPUTS": str(tmp_path), "TMPDIR": str(scratch)}
    command = [sys.executable, "-m", "local.deploy", "mine", "--build-only"]
    with started(command, own) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "Building for arm64.\n"
        deadline = time.monotonic() + 60
        while len(descendants_with(marker)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(stop)
        assert process.wait(30) == 130
        lines = process.stderr.read().splitlines()
        assert "stopped" in lines
    deadline = time.monotonic() + 10
    while descendants_with(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert descendants_with(marker) == set()
    assert list(scratch.iterdir()) == []


def test_a_hanko_that_hangs_can_be_stopped(tmp_path: Path) -> None:
    with StandInHanko() as hanko:
        hanko.behave("slow", delay_seconds=30)
        arguments = ["mine", "--yes", "--api-url", hanko.url, "--audience", "localhost"]
        command = [sys.executable, "-m", "local.init", *arguments]
        with started(command, dict(os.environ)) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().startswith("Fetching the keys")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 130
            assert process.stderr.read() == "stopped\n"
    assert (tmp_path / "samconfig.toml").read_text() == overrides("")
