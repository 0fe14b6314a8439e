"""A release: what `make package` makes of a commit, that it is the same bytes elsewhere, and what it refuses."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance  # type: ignore[import-untyped]  # no types
from in_toto_attestation.v1.statement import Statement  # type: ignore[import-untyped]  # ships no types
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage  # type: ignore[import-untyped]  # as above

from authorizer import __version__
from local import build
from local.bill import bill_of
from local.command_line import CommandFailed

ZIPS = tuple(f"hanko-authorizer-{__version__}-{target}.zip" for target in ("arm64", "x86_64"))
PACKAGE = [sys.executable, "-m", "local.package"]
Json = dict[str, Any]


def git(checkout: Path, *words: str) -> str:
    names = ["-c", "user.name=tests", "-c", "user.email=tests@example.com"]
    command = ["git", *names, *words]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours


def package(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(PACKAGE, cwd=checkout, capture_output=True, text=True, check=False)  # noqa: S603 - our own


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this checkout, as a commit that may be released."""
    folder = tmp_path_factory.mktemp("release") / "checkout"
    for name in git(build.ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (build.ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(build.ROOT / name, folder / name)
    changelog = folder / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [Unreleased]", f"## [{__version__}] - 2026-11-29", 1))
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "release"]):
        git(folder, *words)
    return folder


@pytest.fixture(scope="module")
def dist(checkout: Path) -> Path:
    finished = package(checkout)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return checkout / "dist"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_release_has_zips_bills_library_statement_and_sums(dist: Path) -> None:
    assert {path.name for path in dist.iterdir()} == {
        *ZIPS,
        *(name.replace(".zip", ".cdx.json") for name in ZIPS),
        f"hanko_authorizer-{__version__}-py3-none-any.whl",
        f"hanko_authorizer-{__version__}.tar.gz",
        f"hanko-authorizer-{__version__}.intoto.json",
        "SHA256SUMS",
    }


def test_the_sums_are_those_of_all_other_files(dist: Path) -> None:
    """And `sha256sum` reads them, as docs/operations.md says."""
    lines = {f"{sha256(path)}  {path.name}" for path in dist.iterdir() if path.name != "SHA256SUMS"}
    assert set((dist / "SHA256SUMS").read_text().splitlines()) == lines
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist, check=True)  # noqa: S607 - Debian's


def test_another_build_elsewhere_is_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    """x86_64 here; of arm64 tests/local/test_build.py says it."""
    command = [sys.executable, "-m", "local.build", str(tmp_path)]
    subprocess.run(command, cwd=build.ROOT, env={**os.environ, "BUILD_TARGET": "x86_64"}, umask=0o077, check=True)  # noqa: S603 - ours
    assert build.packed_artifact(tmp_path) == (dist / ZIPS[1]).read_bytes()


def components_of(bill: Json) -> list[Json]:
    """The whole, and each package."""
    return [bill["metadata"]["component"], *bill["components"]]


def digest_of(component: Json) -> str:
    (digest,) = component["hashes"]
    assert digest["alg"] == "SHA-256"
    return str(digest["content"])


@pytest.mark.parametrize("name", ZIPS)
def test_the_bill_names_every_file_of_the_zip_with_its_digest_and_nothing_else(dist: Path, name: str) -> None:
    text = (dist / name.replace(".zip", ".cdx.json")).read_text()
    bill = json.loads(text)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    stated = [one for component in components_of(bill) for one in component["components"] if one["type"] == "file"]
    with zipfile.ZipFile(dist / name) as archive:
        packed = {entry: hashlib.sha256(archive.read(entry)).hexdigest() for entry in archive.namelist()}
    assert len(stated) == len(packed)
    assert {one["name"]: digest_of(one) for one in stated} == packed
    assert digest_of(bill["metadata"]["component"]) == sha256(dist / name)


@pytest.mark.parametrize("name", ZIPS)
def test_the_packages_of_the_bill_are_those_of_the_lock(dist: Path, name: str) -> None:
    """By name, version and the wheel's digest; and OpenSSL is there, of which no lock knows."""
    bill = json.loads((dist / name.replace(".zip", ".cdx.json")).read_text())
    lock = (build.ROOT / "requirements.txt").read_text()
    pins = {line.partition(" ")[0] for line in lock.splitlines() if "==" in line}
    assert {f"{one['name']}=={one['version']}" for one in bill["components"]} == pins
    assert all(f"--hash=sha256:{digest_of(one)}" in lock for one in bill["components"])
    (cryptography,) = [one for one in bill["components"] if one["name"] == "cryptography"]
    assert "openssl" in {one["name"] for one in cryptography["components"] if "purl" in one}


def test_a_file_of_unknown_origin_gets_no_bill(dist: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.zip"
    shutil.copy(dist / ZIPS[0], changed)
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("sitecustomize.py", "")
    with pytest.raises(CommandFailed, match="is neither ours nor of a wheel"):
        bill_of(changed.read_bytes(), [], "1", datetime.now(UTC), {"architecture": "arm64", "python": "3.13"})


def test_the_statement_is_in_totos_and_names_commit_files_and_wheels(dist: Path, checkout: Path) -> None:
    """Read with in-toto's own classes, which know no other members than the specification's."""
    stated = json.loads((dist / f"hanko-authorizer-{__version__}.intoto.json").read_text())
    statement = Statement.copy_from_pb(ParseDict(stated, StatementMessage()))
    statement.validate()
    provenance = ParseDict(stated["predicate"], Provenance())
    subjects = {one.name: one.digest["sha256"] for one in statement.pb.subject}
    files = [path for path in dist.iterdir() if path.suffix in (".zip", ".whl", ".gz") or ".cdx." in path.name]
    assert subjects == {path.name: sha256(path) for path in files}
    source, *wheels = provenance.build_definition.resolved_dependencies
    assert source.digest["gitCommit"] == git(checkout, "rev-parse", "HEAD").strip()
    lock = (build.ROOT / "requirements.txt").read_text()
    assert len(wheels) > 6
    assert [one.name for one in wheels if one.digest["sha256"] not in lock] == []


def refused(checkout: Path, told: str) -> None:
    finished = package(checkout)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert told in finished.stderr
    assert len(finished.stderr.splitlines()) == 1 or max(map(len, finished.stderr.splitlines())) <= 100


def test_what_is_not_committed_is_not_released(checkout: Path) -> None:
    stray = checkout / "authorizer" / "stray.py"
    stray.touch()
    refused(checkout, "changes that are not committed")
    stray.unlink()


def test_a_version_without_an_entry_in_the_changelog_is_not_released(checkout: Path) -> None:
    changelog = checkout / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace(f"[{__version__}]", "[Unreleased]"))
    git(checkout, "commit", "-q", "-a", "-m", "no entry")
    refused(checkout, f"has no entry `## [{__version__}]")
    git(checkout, "reset", "-q", "--hard", "HEAD~1")


def test_a_version_that_is_another_commits_is_not_released(checkout: Path) -> None:
    git(checkout, "tag", f"v{__version__}")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "later")
    refused(checkout, f"v{__version__} is another commit's tag")
    git(checkout, "reset", "-q", "--hard", "HEAD~1")
    git(checkout, "tag", "-d", f"v{__version__}")


def test_ctrl_c_leaves_no_half_release(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / "dist", ignore_errors=True)
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(  # noqa: S603 - our own
        PACKAGE, cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("artifact for arm64")
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in told
    assert not (checkout / "dist").exists()
    assert list(tmp_path.iterdir()) == []
