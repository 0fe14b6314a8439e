"""A container engine for the tests, and a stand-in for AWS's image of Lambda: Debian's packages, no image registry."""

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from local.background import Background
from local.command_line import CommandFailed

ROOT = Path(__file__).resolve().parents[1]
MACHINE = "x86_64" if platform.machine() == "x86_64" else "arm64"
IMAGE = f"public.ecr.aws/lambda/python:3.13-{MACHINE}"  # the name that `sam local invoke` looks for
NEEDED = ("docker", "mmdebstrap", "unshare", "nsenter", "ip")
RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
STOP_SECONDS = 20

# What /lambda-entrypoint.sh and /var/runtime/bootstrap of AWS's image do.
BOOTSTRAP = """\
#!/bin/sh
export AWS_EXECUTION_ENV=AWS_Lambda_python3.13 LAMBDA_TASK_ROOT=/var/task PYTHONPATH=/var/runtime
cd /var/task && exec /var/lang/bin/python3.13 -m awslambdaric "$_HANDLER"
"""


class GivenEngine:
    """The engine that DOCKER_HOST names: Docker Desktop's, Podman's, Finch's. SAM CLI pulls AWS's image."""

    environment: Mapping[str, str] = {}

    def beside(self, *command: str) -> list[str]:
        return [*command]


class OwnEngine(Background):
    """An engine in namespaces of its own: its bridge and its mounts are not this machine's, and end with it.

    The namespace has no network but its own loopback and bridge: no container reaches any host. Subclasses say what
    serves Docker's API at `host`.
    """

    program: ClassVar[str]
    package: ClassVar[str]  # Debian's
    own_folders: ClassVar[tuple[str, ...]] = ()  # of the machine's, which it writes to: it sees empty ones

    def __init__(self) -> None:
        super().__init__()
        missing = [name for name in (self.program, *NEEDED) if shutil.which(name) is None]
        if missing or os.geteuid() != 0:
            shutil.rmtree(self.folder)
            why = f"{', '.join(missing)} missing" if missing else "not root"
            needed = f"apt-get install {self.package} mmdebstrap iproute2, as root"
            raise CommandFailed(f"no {type(self).__name__} can be had here ({why}). Debian: {needed}")

    @property
    def host(self) -> str:
        return f"unix://{self.folder}/engine.sock"

    @property
    def environment(self) -> Mapping[str, str]:
        """What SAM CLI needs: the engine, and to ask no registry for the image."""
        return {"DOCKER_HOST": self.host, "SAM_SKIP_PULL_IMAGE": "1"}

    @abstractmethod
    def _serve(self) -> list[str]:
        """The engine's command."""

    def _command(self) -> Sequence[str]:
        alone = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        prepare = ["ip link set lo up", *(f"mount -t tmpfs tmpfs {folder}" for folder in self.own_folders)]
        return [*alone, "sh", "-ec", f'{"; ".join(prepare)}; exec "$@"', "sh", *self._serve()]

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.folder)}

    def _answers(self) -> bool:
        if subprocess.run(self.docker("version"), capture_output=True, check=False).returncode:
            raise ConnectionError
        return True

    def docker(self, *arguments: str) -> list[str]:
        return ["docker", "-H", self.host, *arguments]

    def beside(self, *command: str) -> list[str]:
        """The command in the engine's network, where the ports of containers are."""
        return ["nsenter", f"--net=/proc/{self.process}/ns/net", "--", *command]

    @property
    def process(self) -> int:
        """The engine itself, below `unshare`."""
        group = self.process_group
        return int(Path(f"/proc/{group}/task/{group}/children").read_text().split()[0])

    def stop(self) -> None:
        """Let the engine stop its containers; whatever is left ends with its process namespace."""
        if self._process and self._process.poll() is None:
            os.kill(self.process, signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        super().stop()

    def import_image(self) -> None:
        """Make AWS's image of Debian, and give it to the engine."""
        root = self.folder / "root"
        # 18 s of processor time: apt does what debootstrap does in shell and Perl. The runtime client links libstdc++.
        _run(["mmdebstrap", "--mode=root", "--variant=essential", "--include=python3,libstdc++6", "trixie", str(root)])
        fill(root)
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
            _run(self.docker("import", "-", IMAGE), stdin=tar.stdout)
        shutil.rmtree(root)


class DockerEngine(OwnEngine):
    """Docker's own: dockerd."""

    program, package = "dockerd", "docker.io"

    def _serve(self) -> list[str]:
        dockerd = ["dockerd", "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"]
        dockerd += ["--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"]
        return [*dockerd, "--pidfile", f"{self.folder}/pid", "-H", self.host, "--shutdown-timeout", "2"]


class PodmanEngine(OwnEngine):
    """Podman's service, as root. The docker command talks to it, too."""

    program, package = "podman", "podman docker.io"
    own_folders = ("/run", "/dev/shm", "/var/lib/containers")  # noqa: S108 - podman's locks, the same for every storage

    def _serve(self) -> list[str]:
        podman = ["podman", "--root", f"{self.folder}/data", "--runroot", f"{self.folder}/run"]
        podman += ["--tmpdir", f"{self.folder}/state", "--network-config-dir", f"{self.folder}/networks"]
        return [*podman, "--cgroup-manager=cgroupfs", "system", "service", "--time=0", self.host]


OWN_ENGINES = {"docker": DockerEngine, "podman": PodmanEngine}


def for_lambda(command: str) -> list[str]:
    """pip, for wheels that fit the Python of the image."""
    pip = [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", "--require-hashes"]
    pip += ["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", "3.13"]
    for tag in ("manylinux_2_28", "manylinux_2_17", "manylinux2014"):
        pip += ["--platform", f"{tag}_{platform.machine()}"]
    return pip


def offline_wheels(folder: Path) -> Path:
    """The wheels of requirements.txt, downloaded once."""
    if not folder.exists():
        _run([*for_lambda("download"), "--dest", str(folder), "-r", str(ROOT / "requirements.txt")])
    return folder


def fill(root: Path) -> None:
    """What AWS's image has besides: Python, the runtime client, the way to start it."""
    lock = (ROOT / "requirements-dev.txt").read_text()
    pins = [re.search(rf"^{name}==(?:.*\\\n)*.*\n", lock, re.MULTILINE) for name in RUNTIME_CLIENT]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(pin[0] for pin in pins if pin))
        file.flush()
        _run([*for_lambda("install"), "--target", str(root / "var" / "runtime"), "-r", file.name])
    (root / "var" / "lang" / "bin").mkdir(parents=True)
    (root / "var" / "lang" / "bin" / "python3.13").symlink_to("/usr/bin/python3.13")
    start = root / "var" / "runtime" / "bootstrap"
    start.write_text(BOOTSTRAP)
    start.chmod(0o755)


def _run(command: Sequence[str], **options: object) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]  # stdin
    if done.returncode:
        raise CommandFailed(f"{command[0]} failed: {(done.stdout + done.stderr)[-2000:]}")
