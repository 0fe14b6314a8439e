"""`make lock`: write the lock of every dependency group in pyproject.toml, with hashes and without addresses.

A lock that is there keeps its versions where they still fit; `make lock UPGRADE=1` takes the newest ones.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.command_line import CommandFailed, run

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).parent / "uv"
SOURCE = ROOT / "pyproject.toml"
# Group → its lock, in the order of writing: what ships comes first, and the later locks take its versions.
LOCKS = {
    "uv": "requirements-uv.txt",
    "ministack": "requirements-ministack.txt",
    "attach": "requirements-attach.txt",
    "fuzz": "requirements-fuzz.txt",
    "checkov": "requirements-checkov.txt",
    "artifact": "requirements.txt",
    "dev": "requirements-dev.txt",
    "flask": "examples/backends/flask/requirements.txt",
    "django": "examples/backends/django/requirements.txt",
    "fastapi": "examples/backends/fastapi/requirements.txt",
    "benchmarks": "benchmarks/requirements.txt",
}
ALONE = ("uv", "ministack", "attach", "fuzz", "checkov")  # in environments of their own, so with versions of their own


def main(argv: Sequence[str] | None = None) -> None:
    """Write every lock."""
    parser = argparse.ArgumentParser(prog="python -m local.lock", description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    options = parser.parse_args(argv)
    project = tomllib.loads(SOURCE.read_text())
    for group, lock in LOCKS.items():
        print(f"{group:<11} → {lock}", flush=True)
        write_lock(project, group, upgrade=options.upgrade)


def write_lock(project: dict[str, Any], group: str, *, upgrade: bool) -> None:
    """Resolve one group for every platform and Python that the project supports."""
    path = ROOT / LOCKS[group]
    command = [str(UV), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--group", group]
    command += ["--python-version", project["project"]["requires-python"].removeprefix(">=")]  # uv does not read it
    command += ["--output-file", str(path), *(["--upgrade"] if upgrade else [])]
    for earlier in earlier_locks(group):
        command += ["--constraints", str(ROOT / earlier)]
    finished = subprocess.run(command, cwd=ROOT, check=False)
    if finished.returncode:
        raise CommandFailed(f"make lock: the group {group!r} cannot be resolved, see above. Its lock is as it was.")
    path.write_text(f"{head_of(project, group)}\n{without_head(path.read_text())}")


def earlier_locks(group: str) -> list[str]:
    """The locks whose versions a group's lock must agree with."""
    earlier = list(LOCKS)[: list(LOCKS).index(group)]
    return [] if group in ALONE else [LOCKS[one] for one in earlier if one not in ALONE]


def requirements_of(project: dict[str, Any], group: str) -> list[str]:
    """Every requirement of a group, with those of the groups that it includes."""
    requirements: list[str] = []
    for entry in project["dependency-groups"][group]:
        requirements += requirements_of(project, entry["include-group"]) if isinstance(entry, dict) else [entry]
    return sorted(set(requirements))


def head_of(project: dict[str, Any], group: str) -> str:
    """The first line of a lock. It changes with the group."""
    source = json.dumps([project["project"]["requires-python"], requirements_of(project, group)])
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    return f"# Written by `make lock` from the group {group!r} of pyproject.toml, state {digest}. Do not edit."


def without_head(text: str) -> str:
    """A lock without the lines of comment that it begins with."""
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        lines.pop(0)
    return "".join(lines)


if __name__ == "__main__":
    run(main)
