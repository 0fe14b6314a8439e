"""A program in the background, as a context manager: started, waited for, and ended with everything that it started."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

START_SECONDS = 30
POLL_SECONDS = 0.01


class Background(ABC):
    """Subclasses say what to start (`_command`, `_environment`, `_working_folder`) and when it is up (`_answers`)."""

    def __init__(self) -> None:
        """`folder` is the program's own, and goes with it; what it prints is in the file `log_file`."""
        self.folder = Path(tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-"))
        self.log_file = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def _environment(self) -> Mapping[str, str]:
        """All of it: nothing of this process's own environment gets in."""

    def _working_folder(self) -> Path:
        return self.folder

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it is up. An OSError means no."""

    def __enter__(self) -> Self:
        """Start the program and wait until it answers."""
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=self._working_folder(), env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,  # so that Ctrl-C reaches us alone, and what it starts ends with it
            )  # fmt: skip
        try:
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
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if self._answers():
                    return
            except OSError:
                time.sleep(POLL_SECONDS)
        raise RuntimeError(
            f"{type(self).__name__} does not start:\n{self.log_file.read_text(errors='replace')[-2000:]}"
        )


def free_port() -> int:
    """A loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def end_process_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads its own session, and whatever it started: asked first, then made to."""
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        return  # nothing was left of it
