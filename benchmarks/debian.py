"""CPython as Debian builds it: optimised by profile, as Node's own program is. pyenv's is not by default.

Without that an interpreter takes half as long again for the same bytecode. This one is unpacked with libraries of its
own, and nothing is installed.
"""

import re
import shutil
import subprocess
from pathlib import Path

from local.build import LAMBDA_PYTHON

RELEASE = "trixie"  # the one with that Python
_PYTHON = (f"python{LAMBDA_PYTHON}-minimal", f"libpython{LAMBDA_PYTHON}-minimal", f"libpython{LAMBDA_PYTHON}-stdlib")
_LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6", "libssl3t64", "zlib1g", "libexpat1", "libffi8", "libbz2-1.0")
_PACKAGES = (*_PYTHON, *_LIBRARIES, "liblzma5", "libuuid1", "libzstd1")


def optimised_python(folder: Path) -> tuple[str, ...] | None:
    """The command that runs it, unpacked in `folder`, or None without Debian or its packages."""
    root = folder / "root"
    if not root.exists():
        try:
            _unpack(folder, root)
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(root, ignore_errors=True)
            print(f"no Python {LAMBDA_PYTHON} of Debian's build here, so another one is measured: {error}")
            return None
    (loader,) = root.glob("usr/lib/*/ld-linux-*.so.*")
    return (str(loader), "--library-path", str(loader.parent), str(root / "usr" / "bin" / f"python{LAMBDA_PYTHON}"))


def _unpack(folder: Path, root: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("sources", "lists/partial", "cache/archives/partial", "packages"):
        (folder / name).mkdir(parents=True)
    places = {"Etc::SourceList": "/dev/null", "Etc::SourceParts": folder / "sources"}
    places |= {"State::Lists": folder / "lists", "Cache": folder / "cache"}
    apt = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root"]
    apt += [word for name, place in places.items() for word in ("-o", f"Dir::{name}={place}")]
    _copy_sources(folder / "sources")
    _run([*apt, "update"], folder)
    _run([*apt, "download", *_PACKAGES], folder / "packages")
    for package in (folder / "packages").iterdir():
        _run(["dpkg-deb", "--extract", str(package), str(root)], folder)


def _copy_sources(folder: Path) -> None:
    """Copy the machine's own sources of Debian's packages, for that release."""
    codename = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    if codename is None:
        raise OSError("an unknown release")
    own = re.compile(rf"^(Suites:|deb \S+) {codename[1]}\b", re.MULTILINE)
    for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").iterdir()):
        if path.is_file() and own.search(text := path.read_text()):
            (folder / path.name).write_text(re.sub(rf"\b{codename[1]}\b", RELEASE, text))


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - fixed words
