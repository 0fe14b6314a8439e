"""A program in the background, as a context manager: started, waited for, and ended with everything that it started."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from local.command_line import CommandFailed
from local.hanko.guard import start_guard

START_SECONDS = 30
STOP_SECONDS = 5
POLL_SECONDS = 0.01


class Background(ABC):
    """Subclasses say what to start (`_command`, `_environment`, `_working_folder`) and when it is up (`_answers`)."""

    def __init__(self) -> None:
        """Make the program's own folder, which goes with it. What it prints is in the file `log_file`."""
        self.folder = Path(tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-"))
        self.log_file = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def _environment(self) -> Mapping[str, str]:
        """The program's whole environment: it inherits nothing from this process."""

    def _working_folder(self) -> Path:
        return self.folder

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it is up. An OSError means no."""

    @property
    def process_group(self) -> int:
        """The program and its child processes, which end with it. Ctrl-C in a terminal does not reach them."""
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    def __enter__(self) -> Self:
        """Start the program and wait until it answers."""
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=self._working_folder(), env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0,
            )  # fmt: skip
        try:
            self._guard = start_guard(self.folder, self.process_group)
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the program, whatever it started, and its folder."""
        if self._process:
            end_process_group(self._process)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._guard:
            self._guard.communicate(b"stopped\n")
            self._guard = None

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if self._answers():
                    return
            except OSError:
                time.sleep(POLL_SECONDS)
        log = self.log_file.read_text(errors="replace")[-2000:]
        raise CommandFailed(f"{type(self).__name__} does not start. It says:\n{log}")


def free_port() -> int:
    """A loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def end_process_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads its own group, and whatever it started: first with SIGTERM, then with SIGKILL."""
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # the group is empty
