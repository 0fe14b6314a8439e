"""The artifact: what is in it, that it is the same bytes every time, and that it answers under the real runtime."""

import importlib.util
import json
import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest

from authorizer.clock import Clock
from local import build, deploy
from local.hanko import StandInHanko
from local.keys_file import fetch_keys
from local.runtime import LambdaRuntime
from local.sign import event_with

UNCHECKED_HASH = 0b01  # PEP 552: the flags of bytecode whose source is never looked at
AUDIENCE = "example.com"


def run_build(checkout: Path, artifacts: Path, target: str, umask: int, **environment: str) -> str:
    artifacts.mkdir()
    result = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "local.build", str(artifacts)],
        cwd=checkout,
        env={**os.environ, "BUILD_TARGET": target, **environment},
        umask=umask,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built for this interpreter, out of this checkout."""
    folder = tmp_path_factory.mktemp("host") / "artifact"
    run_build(build.ROOT, folder, "host", 0o022)
    return folder


@pytest.fixture(scope="module")
def copied_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = tmp_path_factory.mktemp("elsewhere") / "a longer path" / "checkout"
    for folder in ("authorizer", "local"):
        shutil.copytree(build.ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("requirements.txt", "rules.toml"):
        shutil.copy(build.ROOT / file, checkout)
    return checkout


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_artifact_holds_the_authorizer_and_its_packages_and_nothing_else(artifact: Path) -> None:
    assert {path.name.partition("-")[0] for path in artifact.iterdir()} == {
        *("__pycache__", "_cffi_backend.cpython", "authorizer", "aws_lambda_powertools", "cffi", "cryptography"),
        *("jmespath", "pycparser", "rules.toml", "typing_extensions", "typing_extensions.py"),
    }
    # Of these two there is only the dist-info, for Amazon Inspector.
    assert not (artifact / "cffi").exists()
    assert not (artifact / "pycparser").exists()


def test_the_library_is_not_in_the_artifact_and_changes_no_byte_of_it(tmp_path: Path, artifact: Path) -> None:
    """A checkout without authorizer/middleware and without py.typed builds the same."""
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "middleware", "py.typed")
    for folder in ("authorizer", "local"):
        shutil.copytree(build.ROOT / folder, checkout / folder, ignore=ignored)
    for file in ("requirements.txt", "rules.toml"):
        shutil.copy(build.ROOT / file, checkout)
    run_build(checkout, tmp_path / "artifact", "host", 0o022)
    assert (build.ROOT / "authorizer" / "middleware").is_dir()
    assert not (artifact / "authorizer" / "middleware").exists()
    assert build.packed_artifact(tmp_path / "artifact") == build.packed_artifact(artifact)


def test_the_artifact_holds_no_leftovers_of_pip_and_no_types(artifact: Path) -> None:
    unwanted = ("RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json", "py.typed")
    assert not [name for name in files_below(artifact) if name.endswith((".pyi", *unwanted))]
    assert (artifact / "cryptography-50.0.2.dist-info" / "METADATA").is_file()


def test_every_module_has_bytecode_that_trusts_itself_and_names_the_path_in_aws(artifact: Path) -> None:
    modules = sorted(artifact.rglob("*.py"))
    for module in modules:
        bytecode = Path(importlib.util.cache_from_source(str(module))).read_bytes()
        code = marshal.loads(bytecode[16:])  # noqa: S302 - our own, built just now
        assert bytecode[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(bytecode[4:8], "little") == UNCHECKED_HASH
        assert isinstance(code, CodeType)
        assert code.co_filename == f"/var/task/{module.relative_to(artifact).as_posix()}"
    assert len(modules) > 50


def test_the_artifact_is_small_enough(artifact: Path) -> None:
    assert len(build.packed_artifact(artifact)) <= 6_000_000


def test_two_builds_from_two_places_are_the_same_bytes(copied_checkout: Path, tmp_path: Path) -> None:
    before = files_below(copied_checkout)
    first = run_build(build.ROOT, tmp_path / "first", "arm64", 0o022)
    second = run_build(copied_checkout, tmp_path / "second", "arm64", 0o077)
    assert "artifact for arm64" in first
    assert first == second  # it ends in the digest
    assert build.packed_artifact(tmp_path / "first") == build.packed_artifact(tmp_path / "second")
    assert len(list((tmp_path / "first").glob("_cffi_backend.cpython-313-aarch64-*.so"))) == 1
    bytecode = {name for name in files_below(copied_checkout) if "/__pycache__/" in name}
    assert files_below(copied_checkout) - bytecode == before


@pytest.mark.parametrize(("target", "python"), [("x86_64", "3.13"), ("arm64", "3.14")])
def test_a_build_is_for_one_python_and_says_which(target: str, python: str, tmp_path: Path) -> None:
    """The wheel of cffi is bound to a version of Python, that of cryptography is not (abi3)."""
    said = run_build(build.ROOT, tmp_path / "artifact", target, 0o022, BUILD_PYTHON=python)
    assert f"artifact for {target}, Python {python}" in said
    machine = deploy.MACHINES[target]
    assert (
        deploy.made_for(tmp_path / "artifact")
        == deploy.made_for_this(target, python)
        == f"Python {python} on {machine}"
    )
    magic = {path.suffixes[0] for path in tmp_path.rglob("*.pyc")}
    assert magic == ({f".cpython-{python.replace('.', '')}"} if build.find_interpreter(python) else set())
    assert ("NO BYTECODE" in said) == (build.find_interpreter(python) is None)


def test_rules_are_packed_and_wrong_ones_stop_the_build(artifact: Path, tmp_path: Path) -> None:
    assert (artifact / "rules.toml").read_bytes() == (build.ROOT / "rules.toml").read_bytes()
    rules = tmp_path / "rules.toml"
    for wrong in ("default = 'maybe'", "\0", None):
        if wrong is None:
            rules.unlink()
        else:
            rules.write_text(wrong)
        with pytest.raises(SystemExit) as stopped:
            build.copy_rules(tmp_path / "artifact", rules)
        assert str(stopped.value).startswith(f"{rules}: ")
    rules.write_text("default = 'deny'")
    (tmp_path / "artifact").mkdir()
    build.copy_rules(tmp_path / "artifact", rules)
    assert (tmp_path / "artifact" / "rules.toml").read_text() == "default = 'deny'"


def test_the_artifact_answers_under_the_real_runtime(artifact: Path) -> None:
    with StandInHanko(audience=AUDIENCE) as hanko:
        settings = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": AUDIENCE}
        with LambdaRuntime(artifact, settings) as runtime:
            allowed = runtime.invoke(event_with("rest_token", hanko.mint()))
            refused = runtime.invoke(event_with("rest_token", ""))
            outcomes = [record["outcome"] for record in runtime.records if "outcome" in record]
    assert allowed["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    assert refused["errorMessage"] == "Unauthorized"
    assert outcomes == ["allowed", "unauthenticated"]


def test_an_artifact_with_keys_starts_and_answers_while_hanko_is_down(artifact: Path, tmp_path: Path) -> None:
    own = tmp_path / "artifact"
    shutil.copytree(artifact, own)
    with StandInHanko(audience=AUDIENCE) as hanko:
        fetch_keys(hanko.url, {}, Clock(), tmp_path / "keys.json")
        build.copy_keys(own, tmp_path / "keys.json", "", {})
        token = hanko.mint()
        hanko.behave("down")
        settings = {"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": AUDIENCE, "HANKO_KEYS_FILE": "keys.json"}
        with LambdaRuntime(own, settings) as runtime:
            allowed = runtime.invoke(event_with("rest_token", token))
    assert allowed["policyDocument"]["Statement"][0]["Effect"] == "Allow"


def test_a_key_set_is_packed_and_a_wrong_one_stops_the_build(tmp_path: Path) -> None:
    keys, artifacts = tmp_path / "keys.json", tmp_path / "artifact"
    prod = build.parameters_of("prod")
    artifacts.mkdir()
    build.copy_keys(artifacts, keys, "prod", prod)
    assert files_below(artifacts) == set()
    with StandInHanko() as hanko:
        fetch_keys(hanko.url, {}, Clock(), keys)
    build.copy_keys(artifacts, keys, "", {})
    assert (artifacts / "keys.json").read_bytes() == keys.read_bytes()
    with pytest.raises(SystemExit, match=r"another Hanko[\s\S]*make keys ENV=prod"):
        build.copy_keys(artifacts, keys, "prod", prod)
    keys.write_text(json.dumps(json.loads(keys.read_text()) | {"hanko_api_url": prod["HankoApiUrl"]}))
    build.copy_keys(artifacts, keys, "prod", prod)
    assert (artifacts / "keys.json").read_bytes() == keys.read_bytes()
    keys.write_text(json.dumps(json.loads(keys.read_text()) | {"fetched_at": None}))
    with pytest.raises(SystemExit, match="fetched_at is missing"):
        build.copy_keys(artifacts, keys, "prod", prod)
    keys.write_text("{}")
    with pytest.raises(SystemExit, match="holds no usable key set"):
        build.copy_keys(artifacts, keys, "prod", prod)
    keys.write_text("no JSON")
    with pytest.raises(SystemExit, match=r"make keys ENV=\.\.\."):
        build.copy_keys(artifacts, keys, "", {})


def test_a_key_set_that_an_environment_wants_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make keys ENV=prod"):
        build.copy_keys(tmp_path, tmp_path / "keys.json", "prod", {"HankoKeysFile": "keys.json"})


def test_a_key_set_of_another_name_is_never_packed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"what is packed is keys\.json"):
        build.copy_keys(tmp_path, tmp_path / "keys.json", "prod", {"HankoKeysFile": "others.json"})


def test_a_wrong_setting_stops_the_artifact_and_is_named_in_the_log(artifact: Path) -> None:
    with LambdaRuntime(artifact, {"HANKO_API_URL": "https://hanko.example.com"}) as runtime:
        answer = runtime.invoke(event_with("rest_token", "a.b.c"))
        log = runtime.log
    assert "errorMessage" in answer
    assert answer["errorMessage"] != "Unauthorized"
    assert "HANKO_AUDIENCE is missing" in log


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_without_an_interpreter_of_the_runtime_the_missing_bytecode_is_said_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "module.py").write_text("")
    build.compile_bytecode(tmp_path, "arm64", build.LAMBDA_PYTHON)
    assert "NO BYTECODE" in capsys.readouterr().out
    assert files_below(tmp_path) == {"module.py"}


def test_an_interpreter_of_pyenv_is_found_behind_a_shim_that_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"python{build.LAMBDA_PYTHON}"
    executable(tmp_path / "shims" / name, "exit 127")
    installed = executable(tmp_path / ".pyenv" / "versions" / f"{build.LAMBDA_PYTHON}.9" / "bin" / name, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert build.find_interpreter() == str(installed)
