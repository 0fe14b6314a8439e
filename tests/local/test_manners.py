"""What a user can cause is told in a line or two, without a traceback."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import smoke
from local.build import ROOT

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
MISTAKES = {
    "invoke without an event": (["local.invoke"], "EVENT= is missing"),
    "invoke of a misspelt event": (["local.invoke", "rest_tokn"], "Did you mean rest_token?"),
    "invoke of a file that is not there": (["local.invoke", "events/none.json"], "is no sample event and no file"),
    "invoke of a file that is no JSON": (["local.invoke", "README.md"], "README.md is no JSON file"),
    "explain of a file that is no JSON": (["local.explain", "README.md"], "README.md is no JSON file"),
    "invoke of a folder": (["local.invoke", "events"], "is no sample event and no file"),
    "invoke with a misspelt defect": (["local.invoke", "http_v2", "--defect", "expird"], "Did you mean expired?"),
    "token without a stand-in": (["local.sign", "--token-only", "--hanko", "http://127.0.0.1:9"], "make hanko"),
    "hanko on a port that is none": (["local.hanko", "--port", "99999"], "is no port"),
    "hanko on a word": (["local.hanko", "--port", "http"], "is no port"),
    "local with a page on a port that is none": (["local.serve", "--page-port", "99999"], "is no port"),
    "demo with rules that are not there": (["local.demo", "--rules", "none.toml"], "RULES=none.toml: there is no"),
    "demo with rules that are none": (["local.demo", "--rules", "README.md"], "RULES=README.md is wrong"),
    "demo with rules that are no text": (["local.demo", "--rules", "docs/web-phone.png"], "is not UTF-8: byte 0"),
    "local with rules that are not there": (["local.serve", "--rules", "none.toml"], "RULES=none.toml: there is no"),
}


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def assert_told(finished: subprocess.CompletedProcess[str], told: str) -> None:
    """One to three lines and the names that there are; argparse adds its usage."""
    assert finished.returncode in (1, 2)
    assert told in finished.stderr
    assert "Traceback" not in finished.stderr
    assert len(finished.stderr.splitlines()) <= 5
    assert max(map(len, finished.stderr.splitlines())) <= 100


@pytest.mark.parametrize(("command", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_without_a_traceback(command: list[str], told: str) -> None:
    assert_told(run(*command), told)


@pytest.mark.parametrize("command", [["local.demo"], ["local.serve"], ["local.explain", "rest_token"]])
def test_every_mistake_of_the_rules_is_told(command: list[str], tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        'default = "allow"\n[[rule]]\nname = "a"\nroutes = ["GET admin"]\n[[rule]]\nname = "b"\nfields = ["no"]\n'
    )
    finished = run(*command, "--rules", str(rules))
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert re.findall(r"^  line (\d), rule '(.)': (\w+)", finished.stderr, re.MULTILINE) == [
        *(("2", "a", "routes"), ("2", "a", "it"), ("5", "b", "fields"), ("5", "b", "it"))
    ]


@pytest.mark.parametrize("module", ["local.hanko", "local.deploy"])
def test_ctrl_c_while_the_modules_still_load_is_no_traceback(module: str) -> None:
    """`-X importtime` writes a line for each module that is loaded: the first of `local` is a moment to stop at."""
    command = [sys.executable, "-X", "importtime", "-m", module, "--help"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as one:
        assert one.stderr is not None
        assert any(line.endswith(b"| local\n") for line in one.stderr)
        one.send_signal(signal.SIGINT)
        rest = one.stderr.read().decode()
    assert one.returncode in (-signal.SIGINT, 130)
    assert "Traceback" not in rest


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("what", "came", "told"),
    [
        ("URL, no token", "200", "answers anybody"),
        ("URL, your token", "404", "has no such path"),
        ("URL, no token", smoke.NO_PATH, "has no such path"),
        ("URL, your token", "500", ""),
        ("alias, your token", "refused (401)", ""),
    ],
)
def test_smoke_says_what_to_look_at_where_no_record_does(what: str, came: str, told: str) -> None:
    assert told in (smoke.advice(smoke.Seen(what, came, ())) or "")


@pytest.mark.parametrize(
    ("url", "token", "told"),
    [(None, "", "attach it"), ("https://x/me", "", "TOKEN=-"), ("https://x/me", "t", "status")],
)
def test_smoke_says_what_was_not_seen_yet(url: str | None, token: str, told: str) -> None:
    assert told in smoke.next_step("mine", url, token)


def test_a_port_that_is_taken_is_told(taken_port: int) -> None:
    assert_told(run("local.hanko", "--port", str(taken_port)), "Choose another: make hanko PORT=")
    assert_told(run("local.serve", "--page-port", str(taken_port)), "Choose another: make local PAGE_PORT=")


def make(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    own = {**ENVIRONMENT, **variables}
    command = ["make", *words]
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)  # noqa: S603 - our own


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("deploy", "ENV="), "ENV= is missing: dev, staging, prod, local"),
        (("status", "ENV=a b"), "no environment a b in samconfig.toml"),
        (("init", "ENV=a b", "API_URL=https://x.hanko.io", "AUDIENCE=x.dev", "YES=1"), "a b cannot be the name"),
        (("deploy", "RULES=none.toml"), "none.toml: it cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_name_is_told_whole(words: tuple[str, ...], told: str) -> None:
    """Make adds a line of its own, and deploy one about rules that are right."""
    finished = make(*words)
    assert finished.returncode
    assert told in finished.stdout + finished.stderr
    assert len((finished.stdout + finished.stderr).splitlines()) <= 3


def test_names_with_blanks_reach_the_command(tmp_path: Path) -> None:
    (tmp_path / "a b.json").write_text("[]")
    assert "a b.json is no event" in make("invoke", f"EVENT={tmp_path}/a b.json").stderr
    (tmp_path / "c d.yaml").write_text("[]")
    assert "c d.yaml is no template" in make("doctor", f"TEMPLATE={tmp_path}/c d.yaml").stderr
    assert "a b.toml" in make("doctor", f"RULES={tmp_path}/a b.toml").stdout


def test_an_event_that_is_too_deep_is_no_event(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert_told(run("local.explain", str(tmp_path / "deep.json")), "is no JSON file")


def test_make_that_is_stopped_stops_its_command(tmp_path: Path) -> None:
    """SIGTERM to make alone, as a supervisor sends it. A shell between the two would not pass it on."""
    pipe = tmp_path / "event"
    os.mkfifo(pipe)  # the command waits for whoever writes the event
    command = ["make", "invoke", f"EVENT={pipe}"]
    with subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as running:  # noqa: S603 - our own make
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(5)
        running.terminate()
        try:
            _, told = running.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            pipe.write_text("{")
            raise
    assert "stopped" in told


def test_set_up_says_what_comes_next() -> None:
    assert make("setup").stdout.endswith("Next: make demo, which needs no AWS account, or make init ENV=prod\n")


def test_a_python_that_is_too_old_is_told(tmp_path: Path) -> None:
    """`false` stands for it: it answers no to the question for the version."""
    finished = make("setup", f"VENV={tmp_path}/venv", "PYTHON3=false")
    assert finished.returncode == 2
    assert "Python 3.11 or later is needed" in finished.stdout
    assert list(tmp_path.iterdir()) == []


def test_set_up_without_a_network_is_told(tmp_path: Path) -> None:
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    finished = make("setup", f"VENV={tmp_path}/venv", **offline)
    assert finished.returncode == 2
    assert "packages could not be installed" in finished.stdout
    assert not (tmp_path / "venv" / "ready").exists()


def test_help_lists_every_target_in_four_groups_and_fits() -> None:
    lines = make("help").stdout.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == ["Try", "Set up", "Run", "Develop"]
    assert max(map(len, lines)) <= 100
    listed = {line.split()[1] for line in lines if line.startswith("  make ")}
    makefile = (ROOT / "Makefile").read_text()
    phony = {word for line in makefile.splitlines() if line.startswith(".PHONY:") for word in line.split()[1:]}
    assert listed == {word for word in phony if not word.startswith("build-")}
