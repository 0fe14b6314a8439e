"""Whatever ends a command, it leaves no process and no folder behind."""

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.build import ROOT

PATIENCE_SECONDS = 30
# A command with a program in the background, which has a child of its own. Both hold the lock as long as they live.
COMMAND = """
import signal, sys, time
from pathlib import Path
from local.background import Background
from local.command_line import run

lock = Path(sys.argv[1])
PROGRAM = '''
import fcntl, subprocess, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
child = subprocess.Popen(["sleep", "1000"], pass_fds=[file.fileno()])
open(sys.argv[1] + ".up", "w").close()
child.wait()
'''

class Program(Background):
    def _command(self):
        return [sys.executable, "-c", PROGRAM, str(lock)]

    def _environment(self):
        return {}

    def _answers(self):
        return Path(f"{lock}.up").stat() is not None

def main():
    with Program() as program:
        print(program.folder, flush=True)
        signal.pause()

run(main)
"""

STAND_IN = """
import signal
from local.hanko import StandInHanko

with StandInHanko(tls=True) as hanko:
    print(hanko.ca_file, flush=True)
    signal.pause()
"""


@pytest.mark.parametrize(
    ("sent", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_a_stopped_command_leaves_nothing_behind(sent: signal.Signals, status: int, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    command = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", COMMAND, str(lock)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    folder = Path(command.stdout.readline().strip())
    assert folder.is_dir()
    command.send_signal(sent)
    _, printed = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == status
    assert printed == ("" if sent is signal.SIGKILL else "stopped\n")
    assert free_within_seconds(lock)
    assert gone_within_seconds(folder)


def test_a_killed_stand_in_leaves_no_keys_behind() -> None:
    """With TLS its folder holds a private key."""
    command = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", STAND_IN], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    folder = Path(command.stdout.readline().strip()).parent
    assert folder.is_dir()
    command.kill()
    command.communicate(timeout=PATIENCE_SECONDS)
    assert gone_within_seconds(folder)


def free_within_seconds(lock: Path) -> bool:
    """Whether the last process that holds the lock ends soon."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with lock.open() as file:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
            else:
                return True
    return False


def gone_within_seconds(folder: Path) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not folder.exists()
