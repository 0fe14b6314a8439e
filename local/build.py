"""Build the artifact: hash-pinned wheels for the target, `authorizer/`, bytecode; the same bytes every time.

`sam build` runs it through `make build-AuthorizerFunction` and says nothing but where to build (ARTIFACTS_DIR), so the
target comes from the environment: BUILD_TARGET=arm64 (default) or x86_64 for AWS, or `host` for this very interpreter,
which is what the local AWS runs handlers with. BUILD_PYTHON=3.14 builds for that Python, 3.13 by default. RULES names
the rules to pack, rules.toml by default. keys.json goes in where `make keys` has made one, or the file that KEYS names;
BUILD_ENV is the environment of samconfig.toml whose Hanko it must be from.
"""

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Misconfigured
from authorizer.hanko.bundled import read_bundled
from authorizer.hanko.strict_json import parse_object
from authorizer.rules.source import rules_of
from local.command_line import run

ROOT = Path(__file__).resolve().parent.parent
KEYS_FILE = ROOT / "keys.json"
LAMBDA_PYTHON = "3.13"
MAX_ZIP_BYTES = 6 * 1000 * 1000
SOURCE_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can hold
SOURCE_EPOCH_SECONDS = 315532800  # the same moment, UTC

# Not needed where it runs: command-line programs, types, cffi's compiler (its _cffi_backend stays, cryptography loads
# it), and of Powertools whatever Logger, Metrics and Parameters do not import. dist-info keeps METADATA and licenses,
# by which Amazon Inspector knows what is inside; the rest is pip's own bookkeeping and differs from build to build.
UNUSED = (
    "bin", "cffi", "pycparser", "**/*.pyi", "**/py.typed", "**/__pycache__",
    "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.dist-info/WHEEL",
    "*.dist-info/direct_url.json", "*.dist-info/entry_points.txt", "*.dist-info/sboms",
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/[!_jp]*",  # leaves __init__.py, jmespath_utils, parameters
    "aws_lambda_powertools/utilities/parser",
)  # fmt: skip


def main() -> None:
    """Build into the folder named by the first argument."""
    match sys.argv[1:]:
        case [artifacts] if not artifacts.startswith("-"):
            target, python = os.environ.get("BUILD_TARGET") or "arm64", os.environ.get("BUILD_PYTHON") or LAMBDA_PYTHON
            build(Path(artifacts), target, python)
        case _:
            sys.exit(__doc__)


def parameters_of(environment: str) -> dict[str, str]:
    """Every parameter of the template, as samconfig.toml sets it for this environment, or by default."""
    # Late: a plain `sam build` runs this file with a Python that knows no SAM CLI, and names no environment.
    from local.configuration import read_environment  # noqa: PLC0415 - see above

    return read_environment(environment).values


def build(artifacts: Path, target: str, python: str = LAMBDA_PYTHON) -> None:
    """Fill the folder `artifacts` for `target`: arm64, x86_64 or host, which is of this very Python."""
    artifacts = artifacts.resolve()
    install_wheels(artifacts, target, python)
    copy_sources(artifacts)
    copy_rules(artifacts, ROOT / (os.environ.get("RULES") or "rules.toml"))
    environment = os.environ.get("BUILD_ENV", "")
    copy_keys(
        artifacts,
        Path(os.environ.get("KEYS") or KEYS_FILE),
        environment,
        parameters_of(environment) if environment else {},
    )
    remove_unused(artifacts)
    compile_bytecode(artifacts, target, python)
    normalise(artifacts)
    report(artifacts, target, platform.python_version() if target == "host" else python)


def install_wheels(artifacts: Path, target: str, python: str) -> None:
    """Install requirements.txt: exactly these wheels, hashes checked, nothing compiled or resolved here."""
    command = pip_command("install", target, python)
    if subprocess.run([*command, "--no-compile", "--target", str(artifacts)], check=False).returncode:
        sys.exit("the wheels of requirements.txt could not be installed. Without a network? Try again later.")


def pip_command(verb: str, target: str, python: str) -> list[str]:
    """Make pip install, or download, the wheels of requirements.txt for this target."""
    command = [sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command += ["--no-deps", "--only-binary=:all:", "--requirement", str(ROOT / "requirements.txt")]
    if target != "host":
        machine = {"arm64": "aarch64", "x86_64": "x86_64"}[target]
        for tag in ("manylinux_2_28", "manylinux_2_17", "manylinux2014"):
            command += ["--platform", f"{tag}_{machine}"]
        command += ["--implementation", "cp", "--python-version", python]
    return command


def copy_sources(artifacts: Path) -> None:
    """Copy authorizer/ without the library: regular Python files and nothing that happens to lie beside them."""
    library = ROOT / "authorizer" / "middleware"
    for source in sorted((ROOT / "authorizer").rglob("*.py")):
        if not source.is_symlink() and library not in source.parents:
            target = artifacts / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def copy_rules(artifacts: Path, rules: Path) -> None:
    """Check the rules as the function would, and copy them."""
    try:
        rules_of(rules.read_text("utf-8"))
    except (OSError, ValueError, Misconfigured) as error:
        sys.exit(f"{rules}: {error}")
    shutil.copyfile(rules, artifacts / "rules.toml")


def copy_keys(artifacts: Path, keys: Path, environment: str, parameters: Mapping[str, str]) -> None:
    """Check the bundled key set as the function in that environment ("" if none) would, and copy it."""
    wanted = parameters.get("HankoKeysFile") or KEYS_FILE.name
    if wanted != KEYS_FILE.name:
        sys.exit(f"{environment} has {wanted} as HankoKeysFile: what is packed is {KEYS_FILE.name}")
    if not keys.exists():
        if parameters.get("HankoKeysFile"):
            sys.exit(f"{environment} has a HankoKeysFile, but there is no {keys}: make keys ENV={environment}")
        return
    try:
        api_url = parameters.get("HankoApiUrl") or str(parse_object(keys.read_bytes()).get("hanko_api_url"))
        read_bundled(Settings.from_env({"HANKO_API_URL": api_url, "HANKO_AUDIENCE": "nobody"}), Clock(), keys)
    except (Misconfigured, ValueError) as error:
        sys.exit(f"{error}\n({keys}: make keys ENV={environment or '...'}, or delete it)")
    shutil.copyfile(keys, artifacts / KEYS_FILE.name)


def remove_unused(artifacts: Path) -> None:
    for pattern in UNUSED:
        for path in sorted(artifacts.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def compile_bytecode(artifacts: Path, target: str, python: str) -> None:
    """Compile with an interpreter of the target's version; bytecode of another version would be ignored there.

    unchecked-hash: Python trusts the bytecode without a look at the source, whose time stamp differs in AWS. Without
    any bytecode every cold start takes twice as long, so its absence is said aloud.
    """
    interpreter = sys.executable if target == "host" else find_interpreter(python)
    if interpreter is None:
        print(f"\n*** WARNING: no python{python} on PATH or in ~/.pyenv/versions: the artifact has NO BYTECODE,")
        print("*** and every cold start will take about twice as long. Install it and build again.\n", flush=True)
        return
    command = [interpreter, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(artifacts), "-p", "/var/task", str(artifacts)]
    subprocess.run(command, check=True, env={"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"})


def find_interpreter(python: str = LAMBDA_PYTHON) -> str | None:
    """A Python of this minor version, if this machine has one; pyenv's may not be on PATH."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{python}*/bin/python{python}"), reverse=True)
    for candidate in (shutil.which(f"python{python}"), *map(str, pyenv)):
        # A pyenv shim is on PATH even where its version is not switched on; then it fails.
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def normalise(artifacts: Path) -> None:
    """One mode and one time for every file and folder, whatever the umask and the clock of this machine."""
    for path in (artifacts, *artifacts.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)
        os.utime(path, (SOURCE_EPOCH_SECONDS, SOURCE_EPOCH_SECONDS))


def report(artifacts: Path, target: str, python: str) -> None:
    """Print size and digest of the artifact as a zip file; stop if it is too large."""
    packed = packed_artifact(artifacts)
    print(f"artifact for {target}, Python {python}: {len(packed) / 1e6:.2f} MB zipped, sha256 ", end="")
    print(hashlib.sha256(packed).hexdigest()[:16])
    if len(packed) > MAX_ZIP_BYTES:
        sys.exit(f"the artifact is larger than {MAX_ZIP_BYTES / 1e6:.0f} MB")


def packed_artifact(artifacts: Path) -> bytes:
    """The artifact as one zip file, sorted, without times and owners."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(path for path in artifacts.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(artifacts).as_posix(), SOURCE_DATE)
            entry.external_attr = path.stat().st_mode << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


if __name__ == "__main__":
    run(main)
