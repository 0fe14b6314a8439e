"""Which tests execute which lines: one run of coverage for each group of tests, kept in .local/mutants/."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from coverage import CoverageData

from local.command_line import CommandFailed
from local.mutants.mutations import Module, Mutant

FOLDER = Path(".local/mutants")
QUICK_TESTS = 400
SLOW_SECONDS = 0.3  # such tests come last
# Tests that run in this process, a second at most each: no end_to_end, no other processes, no documents.
GROUPS = {
    "rules": ["tests/rules"],
    "gateway": ["tests/gateway", "tests/test_appsync_reuse.py"],
    "plain": [
        *(f"tests/test_{name}.py" for name in ("credentials", "config", "context", "decision", "errors", "clock")),
        *(f"tests/test_{name}.py" for name in ("verdicts", "sampling", "telemetry", "properties", "template")),
    ],
    "handler": ["tests/test_handler.py", "tests/test_network.py"],
    "hanko": ["tests/hanko", "tests/differential/test_differential.py"],
    "revocation": ["tests/revocation"],
    "attacks": ["tests/attacks"],
    "middleware": ["tests/middleware"],
}


def write_map(group: str, tests: Sequence[str]) -> None:
    """Run these tests under coverage. Raises `CommandFailed` if one fails: then no mutant could be told from it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    data, seconds = _files(group)
    environment = {**os.environ, "CI": "true", "COVERAGE_FILE": str(data.resolve()), "MUTANTS_SECONDS": str(seconds)}
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q", "-p", "local.mutants.contexts"]
    if subprocess.run([*command, *tests], check=False, env=environment).returncode:
        seconds.unlink(missing_ok=True)
        raise CommandFailed(f"make mutants: the tests of {', '.join(tests)} fail without any change, see above")


def _files(group: str) -> tuple[Path, Path]:
    return FOLDER / f"{group}.coverage", FOLDER / f"{group}.json"


class CoverageMap:
    """The tests of a line, and what each test takes."""

    def __init__(self, groups: Iterable[str], *, quick: bool) -> None:
        """Read what `write_map` has written; with `quick` no more than some quick tests of each mutant count."""
        self.quick = quick
        self._seconds: dict[str, float] = {}
        self._data: list[CoverageData] = []
        for data, seconds in filter(lambda files: files[1].exists(), map(_files, groups)):
            self._seconds |= json.loads(seconds.read_text())
            self._data.append(CoverageData(str(data)))
            self._data[-1].read()
        self._lines: dict[str, dict[int, set[str]]] = {}

    def tests_for(self, module: Module, mutant: Mutant) -> list[str]:
        """The tests that execute the place of a change. For what is executed at import, all tests of their files.

        The module's own first, the slow ones last, and of each test function one case before the others.
        """
        lines = self._lines_of(module.path)
        is_import = not mutant.in_function or self.is_executed_at_import(module, mutant)
        at = lines if is_import else mutant.lines
        found = set().union(*(lines.get(line, ()) for line in at)) - {""}
        if is_import:  # a constant can be held by a test that executes no line of its module
            files = {test.partition("::")[0] for test in found}
            found = {test for test in self._seconds if test.partition("::")[0] in files}
        tests = self._in_order(found, Path(module.path))
        return [test for test in tests if self._seconds.get(test, 0) <= 1][:QUICK_TESTS] if self.quick else tests

    def is_quick(self, test: str) -> bool:
        return self._seconds.get(test, 0) <= SLOW_SECONDS

    def is_executed_at_import(self, module: Module, mutant: Mutant) -> bool:
        lines = self._lines_of(module.path)
        return any("" in lines.get(line, ()) for line in mutant.lines)

    def _lines_of(self, path: str) -> dict[int, set[str]]:
        if path not in self._lines:
            lines: defaultdict[int, set[str]] = defaultdict(set)
            self._lines[path] = lines
            for data in self._data:
                for line, tests in data.contexts_by_lineno(str(Path(path).resolve())).items():
                    lines[line].update(tests)
        return self._lines[path]

    def _in_order(self, tests: set[str], path: Path) -> list[str]:
        nth: Counter[str] = Counter()
        ranks: dict[str, tuple[bool, int, int, float]] = {}
        for test in sorted(tests, key=lambda test: self._seconds.get(test, 0)):
            function = test.partition("[")[0]
            nth[function] += 1
            seconds = self._seconds.get(test, 0)
            ranks[test] = (seconds > SLOW_SECONDS, _distance(function, path), nth[function].bit_length(), seconds)
        return sorted(tests, key=lambda test: ranks[test])


def _distance(test: str, path: Path) -> int:
    """0 for a test of this module, 1 for one of its folder, by the names of their files."""
    if path.stem in test.partition("::")[0]:
        return 0
    return 1 if test.startswith(f"tests/{path.parent.name}/") else 2
