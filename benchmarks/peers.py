"""What is measured: the authorizer on each Python, and the Node peer. Installed below .local/, outside git."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local.build import LAMBDA_PYTHON, ROOT, find_interpreter

FOLDER = ROOT / ".local" / "bench"
NODE_SOURCES = Path(__file__).parent / "node"
RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")


@dataclass(frozen=True, slots=True)
class NodePeer:
    """The folder of the Node authorizer, and how its runtime client is started there."""

    folder: Path
    command: tuple[str, ...]
    runtime_client: str


def pythons() -> list[str]:
    """The interpreters to measure on: this one, and if it is another, one of the version that runs in AWS."""
    found = find_interpreter()
    if f"{sys.version_info.major}.{sys.version_info.minor}" == LAMBDA_PYTHON:
        return [sys.executable]
    if found is None:
        print(f"no python{LAMBDA_PYTHON} here, which is what AWS runs: measured on this Python only")
        return [sys.executable]
    return [sys.executable, _environment_for(found)]


def _environment_for(interpreter: str) -> str:
    """A virtual environment with what ships and AWS's runtime client, all of it pinned; the path of its Python."""
    folder = FOLDER / f"python{LAMBDA_PYTHON}"
    python = folder / "bin" / "python"
    done = folder / "requirements.txt"
    pins = (ROOT / "requirements.txt").read_text() + _pins_of(RUNTIME_CLIENT)
    if not done.exists() or done.read_text() != pins:
        _run([interpreter, "-m", "venv", "--clear", str(folder)])
        pending = folder / "pending.txt"
        pending.write_text(pins)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
        _run([*pip, "--require-hashes", "-r", str(pending)])
        pending.rename(done)
    return str(python)


def _pins_of(names: tuple[str, ...]) -> str:
    blocks = re.split(r"\n(?=[a-z])", (ROOT / "requirements-dev.txt").read_text())
    return "".join(f"\n{block}\n" for block in blocks if block.split("==")[0] in names)


def node_peer() -> NodePeer | None:
    """The peer, installed as its lock says; None where there is no Node."""
    if shutil.which("npm") is None:
        print("no node and npm here: the handler is measured against itself only")
        return None
    folder = FOLDER / "node"
    lock, installed = NODE_SOURCES / "package-lock.json", folder / "installed.json"
    shutil.copytree(NODE_SOURCES, folder, dirs_exist_ok=True)
    if not installed.exists() or installed.read_text() != lock.read_text():
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
        shutil.copy(lock, installed)
    client = folder / "node_modules" / "aws-lambda-ric" / "bin" / "index.mjs"
    if client.exists():  # put there by hand: it compiles curl and needs autoconf, automake, libtool, cmake
        return NodePeer(folder, ("node", str(client), "authorizer.handler"), "aws-lambda-ric")
    return NodePeer(folder, ("node", "runtime.mjs"), "benchmarks/node/runtime.mjs, a minimal loop of our own")


def _run(command: list[str], folder: Path = ROOT) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - installs the pinned peers
