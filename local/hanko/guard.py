"""What goes with this process however that ends, killed for example: a folder, and a group of processes."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Waits for the end of its input, which is the end of this process however it comes. "stopped" says that all was ended.
GUARD = 'read -r word || { [ -z "$2" ] || kill -s KILL -- "-$2"; rm -rf -- "$1"; }'


def start_guard(folder: Path, process_group: int | None = None) -> subprocess.Popen[bytes]:
    """Start a guard. It ends the group and deletes the folder if this process is killed before it does so."""
    return subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "guard", str(folder), str(process_group or "")],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


@contextlib.contextmanager
def guarded_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder for keys and secrets."""
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        guard = start_guard(Path(name))
        try:
            yield Path(name)
        finally:
            guard.communicate(b"stopped\n")
