"""The form that findings/README.md asks of each script."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))


def test_the_index_lists_every_script() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\((\w+)\.sh\) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted({name for pair in listed for name in pair}) == [path.stem for path in SCRIPTS]


def test_every_script_that_the_code_names_is_there() -> None:
    modules = (path for folder in ("authorizer", "local", "tests") for path in (ROOT / folder).rglob("*.py"))
    named = {name for path in modules for name in re.findall(r"findings/([\w-]+\.sh)", path.read_text())}
    assert named <= {path.name for path in SCRIPTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_has_the_form(path: Path) -> None:
    lines = path.read_text().splitlines()
    head = [line for line in lines[1 : lines.index("set -euo pipefail")] if line]
    assert lines[0] == "#!/usr/bin/env bash"
    assert all(line.startswith("#") for line in head)
    assert 3 <= len(head) <= 12
    assert re.search(r"\d+\.\d+", head[0] + head[1])
    assert re.search(r"\b20\d\d-\d\d-\d\d\b", " ".join(head))
    assert "exit 1" in path.read_text()
    assert path.stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_cleans_up_and_names_no_host(path: Path) -> None:
    text = path.read_text()
    assert re.search(r"^trap .*rm -rf", text, re.MULTILINE)
    assert not re.search(r'--(extra-)?index-url|--registry (?!"http://127\.0\.0\.1:)', text)  # one of the script's own
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= {"127.0.0.1", "localhost", "hanko.example.com"}
