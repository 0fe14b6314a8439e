"""Installs the artifact and the Python and Node peers below .local/, outside git, all pinned."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.debian import optimised_python
from local.build import LAMBDA_PYTHON, ROOT, find_interpreter
from local.runtime import link_runtime_packages

FOLDER = ROOT / ".local" / "bench"
NODE_SOURCES = Path(__file__).parent / "node"
NODE_CLIENT = "aws-lambda-ric"
PYTHON_PEERS = Path(__file__).parent / "requirements.txt"


class Python(NamedTuple):
    """An interpreter, and the folder of its packages."""

    command: tuple[str, ...]
    packages: Path


def pythons() -> list[Python]:
    """The interpreters to measure on: this one and, if it differs, the one that runs the functions."""
    this, other = _this_python(), lambda_python()
    return [this] if this == other else [this, other]


def lambda_python() -> Python:
    """The Python that runs the functions: of AWS's version and optimised by profile, if there is one here."""
    found = find_interpreter()
    if found is None:
        print(f"no python{LAMBDA_PYTHON} here, the version that AWS runs: measured on this one")
        return _this_python()
    python = _environment_for(found)
    return Python(optimised_python(FOLDER / "debian") or (python,), _site_packages_of(python))


def _this_python() -> Python:
    return Python((sys.executable,), _site_packages_of(sys.executable))


def _environment_for(interpreter: str) -> str:
    """The Python of a virtual environment with the artifact's packages, the peers and AWS's runtime client."""
    folder = FOLDER / f"python{LAMBDA_PYTHON}"
    python = folder / "bin" / "python"
    done = folder / "requirements.txt"
    pins = PYTHON_PEERS.read_text()
    if not done.exists() or done.read_text() != pins:
        _run([interpreter, "-m", "venv", "--clear", str(folder)])
        pending = folder / "pending.txt"
        pending.write_text(pins)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
        _run([*pip, "--require-hashes", "-r", str(pending)])
        pending.rename(done)
    return str(python)


class Node(NamedTuple):
    """Node with AWS's own runtime client, as Lambda runs it. `folder` holds the peers."""

    folder: Path

    @property
    def home(self) -> Path:
        """The folder of this Node."""
        machine = "x64" if platform.machine() == "x86_64" else "arm64"
        return self.folder / "node_modules" / f"node-linux-{machine}"

    def command(self, module: str) -> tuple[str, ...]:
        """The command for the handler of a module, to run in `folder`."""
        client = self.folder / "node_modules" / NODE_CLIENT / "bin" / "index.mjs"
        return (str(self.home / "bin" / "node"), str(client), f"{module}.handler")


def node() -> Node | None:
    """Node and its peers, installed from their lock, or None if that fails. AWS's client takes a minute."""
    found = Node(FOLDER / "node")
    lock, installed = NODE_SOURCES / "package-lock.json", found.folder / "installed.json"
    shutil.copytree(NODE_SOURCES, found.folder, dirs_exist_ok=True)
    if not installed.exists() or installed.read_text() != lock.read_text():
        path = f"{found.home / 'bin'}:{os.environ['PATH']}"
        try:
            _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], found.folder)
            _run(["npm", "rebuild", NODE_CLIENT], found.folder, PATH=path, npm_config_nodedir=str(found.home))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"measured against Python only: Node's peers need Linux, npm, and the tools that build {NODE_CLIENT}")
            print(f"(cmake, autoconf, automake, libtool, a compiler for C++): {error}")
            return None
        shutil.copy(lock, installed)
    return found


def artifact(name: str, sources: Path = ROOT) -> Path:
    """The artifact of these sources, built for that Python and this machine into a folder of that name."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    machine = "x86_64" if platform.machine() == "x86_64" else "arm64"
    target = "host" if find_interpreter() is None else machine
    _run([sys.executable, "-m", "local.build", str(folder)], sources, BUILD_TARGET=target)
    return folder


def runtime_packages(python: Python) -> Path:
    """A folder with the runtime client of that Python, without the other packages of its environment."""
    folder = FOLDER / "runtime"
    shutil.rmtree(folder, ignore_errors=True)
    return link_runtime_packages(python.packages, folder)


def _site_packages_of(python: str) -> Path:
    """The folder of that Python's packages."""
    command = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())  # noqa: S603 - asks it


def _run(command: list[str], folder: Path = ROOT, **environment: str) -> None:
    own = {**os.environ, **environment}
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=own)  # noqa: S603 - pinned peers
