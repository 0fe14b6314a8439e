"""`make package`: what a release consists of, in dist/, built from the commit that is checked out.

    hanko-authorizer-0.1.0-arm64.zip and -x86_64.zip    the functions' code with rules.toml, as `make deploy` packs it
    hanko-authorizer-0.1.0-arm64.cdx.json and …         the bill of materials of each: see bill.py
    hanko_authorizer-0.1.0-py3-none-any.whl, .tar.gz    the library
    hanko-authorizer-0.1.0.intoto.json                  an in-toto statement of how they were built; it is not signed
    SHA256SUMS                                          of all of them

The same commit gives the same bytes, with the same Python and zlib.
"""

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from authorizer import __version__
from local.bill import NAME, bill_of, sha256
from local.build import LAMBDA_PYTHON, ROOT, find_interpreter, packed_artifact, pip_command
from local.command_line import CommandFailed, columns, run, run_program, say

DIST = ROOT / "dist"
TARGETS = ("arm64", "x86_64")
BUILD_TYPE = "tag:example.com,2026:hanko-authorizer/make-package"  # RFC 4151; docs/operations.md describes it
OWN_SETTINGS = ("RULES", "KEYS", "BUILD_ENV", "BUILD_TARGET", "BUILD_PYTHON", "SOURCE_DATE_EPOCH", "PYTHONPATH")


class Release(NamedTuple):
    """A commit that may be released."""

    version: str
    commit: str
    committed: datetime


def main(argv: Sequence[str] | None = None) -> None:
    """Check, build everything beside dist/, and put it there at the end."""
    argparse.ArgumentParser(prog="python -m local.package", description=__doc__).parse_args(argv)
    release = check()
    with tempfile.TemporaryDirectory() as folder:
        source, built = Path(folder, "source"), Path(folder, "dist")
        built.mkdir()
        export(release, source)
        wheels = {target: build_zip(release, source, target, built) for target in TARGETS}
        build_library(source, built)
        write_statement(release, wheels, built)
        write_sums(built)
        shutil.rmtree(DIST, ignore_errors=True)
        shutil.copytree(built, DIST)
    for line in columns([(path.name, f"{path.stat().st_size:,}") for path in sorted(DIST.iterdir())]):
        say(line)
    say(f"\ndist/ holds {release.version} of {release.commit[:12]}. Next: the tag, see CONTRIBUTING.md")


# --- what may be released


def check() -> Release:
    """The commit that is checked out, if it may be released."""
    if git("status", "--porcelain"):
        raise CommandFailed("there are changes that are not committed (git status): commit them, or take them back")
    entry = rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$"
    if not re.search(entry, (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE):
        raise CommandFailed(f"CHANGELOG.md has no entry `## [{__version__}] - YYYY-MM-DD`: name [Unreleased] so")
    commit = git("rev-parse", "HEAD")
    if git("tag", "--list", f"v{__version__}") and git("rev-parse", f"v{__version__}^{{commit}}") != commit:
        raise CommandFailed(f"v{__version__} is another commit's tag: raise __version__ in authorizer/__init__.py")
    if find_interpreter() is None:
        raise CommandFailed(f"there is no python{LAMBDA_PYTHON}, which compiles the artifact's bytecode")
    return Release(__version__, commit, datetime.fromtimestamp(int(git("log", "-1", "--format=%ct")), UTC))


def git(*words: str) -> str:
    """What git prints, without the last line break."""
    finished = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise CommandFailed(f"git {words[0]}: {finished.stderr.strip().partition(chr(10))[0]}")
    return finished.stdout.rstrip("\n")


# --- building


def export(release: Release, source: Path) -> None:
    """Write the files of the commit, without anything that lies beside them."""
    archive = subprocess.run(["git", "archive", release.commit], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(source, filter="data")


def build_zip(release: Release, source: Path, target: str, built: Path) -> list[Path]:
    """Write zip and bill for one architecture; returns the wheels that are in it."""
    artifact, wheels = source.parent / target, source.parent / f"{target}-wheels"
    artifact.mkdir()
    run_tool([sys.executable, "-m", "local.build", str(artifact)], source, BUILD_TARGET=target)
    run_tool([*pip_command("download", target, LAMBDA_PYTHON), "--dest", str(wheels)], source)
    packed = packed_artifact(artifact)
    about = {"architecture": target, "python": LAMBDA_PYTHON}
    name = f"{NAME}-{release.version}-{target}"
    (built / f"{name}.zip").write_bytes(packed)
    bill = bill_of(packed, sorted(wheels.iterdir()), release.version, release.committed, about)
    (built / f"{name}.cdx.json").write_text(bill + "\n")
    return sorted(wheels.iterdir())


def build_library(source: Path, built: Path) -> None:
    """Write wheel and sdist, and check their metadata."""
    run_tool([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(source)], source)
    distributions = [str(path) for path in built.iterdir() if path.name.endswith((".whl", ".tar.gz"))]
    run_tool([str(Path(sys.executable).parent / "twine"), "check", "--strict", *distributions], source)


def run_tool(command: Sequence[str], source: Path, **settings: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in OWN_SETTINGS}
    status = run_program(command, source, {**environment, **settings})
    if status:
        raise CommandFailed(f"{' '.join(command[1:3])} ended with status {status}, see above")


# --- what is said of it


def write_statement(release: Release, wheels: Mapping[str, Sequence[Path]], built: Path) -> None:
    """An in-toto statement (version 1) with SLSA's provenance (version 1): from which inputs, by which command."""
    inputs = {path.name: sha256(path.read_bytes()) for paths in wheels.values() for path in paths}
    dependencies: list[dict[str, object]] = [{"name": "source", "digest": {"gitCommit": release.commit}}]
    dependencies += [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(inputs.items())]
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in digests(built).items()],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"version": release.version},
                "internalParameters": {"python": LAMBDA_PYTHON},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {"builder": {"id": BUILD_TYPE}},  # whoever ran it: nobody vouches for the machine
        },
    }
    (built / f"{NAME}-{release.version}.intoto.json").write_text(json.dumps(statement, indent=2) + "\n")


def write_sums(built: Path) -> None:
    """As `sha256sum --check` reads them."""
    lines = [f"{digest}  {name}\n" for name, digest in digests(built).items()]
    (built / "SHA256SUMS").write_text("".join(lines))


def digests(built: Path) -> dict[str, str]:
    """SHA-256 of each file, by its name."""
    return {path.name: sha256(path.read_bytes()) for path in sorted(built.iterdir())}


if __name__ == "__main__":
    run(main)
