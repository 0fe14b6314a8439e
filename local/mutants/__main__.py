"""`python -m local.mutants [path…]`: the changes that no test notices. A whole run takes hours.

Mutants of functions are tried in forks of one process that has collected all tests. Mutants of module-level
code are tried in forks that import everything afresh.
"""

import argparse
import importlib
import json
import os
import select
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from local.command_line import CommandFailed, run
from local.mutants.coverage_map import FOLDER, GROUPS, QUICK_TESTS, CoverageMap, write_map
from local.mutants.mutations import Module, Mutant
from local.mutants.trial import (
    CPU_SECONDS,
    PYTEST,
    QUICK_CPU_SECONDS,
    Instead,
    LoadedFunctions,
    Outcome,
    Trial,
    try_afresh,
)

DECIDING = [
    *(f"authorizer/{folder}" for folder in ("hanko", "gateway", "rules", "revocation")),
    *(f"authorizer/{name}.py" for name in ("decision", "credentials", "context", "config", "setting_values")),
    *(f"authorizer/{name}.py" for name in ("reuse", "verdicts", "bounded")),
]
EQUIVALENT = Path(__file__).parent / "equivalent.toml"
RESULTS, LOG = FOLDER / "results.jsonl", FOLDER / "pytest.log"
LAST_KILLERS = 12
FIRST_TESTS = 60
NOTICED = (Outcome.KILLED, Outcome.TIMEOUT)
# Imported once, before the forks: none of ours, and not pytest's plugins.
HEAVY = ("boto3", "moto", "moto.dynamodb.models", "moto.sqs.models", "jwt", "aws_lambda_powertools.metrics")


class Result(NamedTuple):
    """What became of a mutant: killed by `test`, or survived so many tests."""

    path: str
    mutant: str
    outcome: Outcome
    test: str
    seconds: float


class Case(NamedTuple):
    """A mutant and the tests that could notice it."""

    module: Module
    mutant: Mutant
    tests: list[str]


Body = Callable[[Case, Trial], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Try every mutant; 1 if one survives that is not listed as equivalent."""
    parser = argparse.ArgumentParser(prog="python -m local.mutants", description=__doc__)
    parser.add_argument("paths", nargs="*", default=DECIDING, help="modules or folders (default: all that decides)")
    parser.add_argument(
        "--again", action="store_true", help="keep the last run's map of lines and tests, and its kills"
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"at most {QUICK_TESTS} tests for each mutant, of a second at most"
    )
    parser.add_argument("--tests", nargs="+", default=[], help="only these files of tests (default: all quick ones)")
    parser.add_argument("--only", default="", help="only mutants whose name contains this text")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(argv)
    modules, groups = modules_in(options.paths), {"named": options.tests} if options.tests else GROUPS
    if not options.again:
        RESULTS.unlink(missing_ok=True)
        for group, tests in groups.items():
            write_map(group, tests)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"TMPDIR": folder, "PYTEST_DEBUG_TEMPROOT": folder, "CI": "true"}  # CI: Hypothesis repeats itself
        return Campaign(modules, options.only, options.jobs, CoverageMap(groups, quick=options.quick)).run()


def modules_in(paths: Iterable[str]) -> list[Module]:
    """Every module below these paths."""
    files: list[Path] = []
    for path in map(Path, paths):
        found = [path] if path.is_file() else sorted(path.rglob("*.py"))
        if not found:
            raise CommandFailed(f"make mutants: {path} is no module, and no folder of modules")
        files += found
    return [Module(str(file), file.read_text()) for file in files]


def equivalents() -> dict[tuple[str, str], str]:
    """The reason of every mutant that is listed as equivalent, by module and name."""
    entries = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    return {(entry["module"], name): entry["reason"] for entry in entries for name in entry["mutants"]}


class Campaign:
    """All trials of one run."""

    def __init__(self, modules: list[Module], only: str, jobs: int, coverage_map: CoverageMap) -> None:
        self._modules, self._jobs, self._map, listed = modules, jobs, coverage_map, equivalents()
        self._killers: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=LAST_KILLERS))
        self._output = os.fdopen(os.dup(1), "w")
        named = [(module, one) for module in modules for one in module.mutants if only in one.name]
        self._listed = [pair for pair in named if (pair[0].path, pair[1].name) in listed]
        done = {key for key, outcome in last_outcomes().items() if outcome in NOTICED} | set(listed)
        wanted = [pair for pair in named if (pair[0].path, pair[1].name) not in done]
        self._cases = [Case(*pair, self._map.tests_for(*pair)) for pair in wanted]

    def run(self) -> int:
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)  # what pytest and the tests print
        os.dup2(log, 2)
        for name in HEAVY:
            importlib.import_module(name)
        self._apart(self._try_loaded)
        again = [case for case in self._cases if self._is_to_do_afresh(case)]
        for part in (FIRST_TESTS, None):
            known = last_outcomes()
            left = [case for case in again if known.get((case.module.path, case.mutant.name)) not in NOTICED]
            self._try_all([Case(*case[:2], case.tests[:part]) for case in left], _afresh)
        return self._tell()

    def _is_to_do_afresh(self, case: Case) -> bool:
        outcome = last_outcomes().get((case.module.path, case.mutant.name))
        if not case.mutant.in_function or outcome is Outcome.NOT_IN_PLACE:
            return True
        return outcome is Outcome.SURVIVED and self._map.is_executed_at_import(case.module, case.mutant)

    def _apart(self, work: Callable[[], int]) -> None:
        """In a fork: this process is kept as it is. `work` returns 0 if it got to its end."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = work()
            finally:
                os._exit(code)
        try:
            _, status = os.waitpid(pid, 0)
        except KeyboardInterrupt:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)  # it ends its trials first
            raise
        if status:
            raise CommandFailed(f"make mutants: the tests did not begin, see {LOG}")

    def _try_loaded(self) -> int:
        cases = [case for case in self._cases if case.mutant.in_function]
        files = sorted({test.partition("::")[0] for case in cases for test in case.tests})
        return pytest.main([*PYTEST, *files], plugins=[Instead(partial(self._with_session, cases))]) if cases else 0

    def _with_session(self, cases: list[Case], session: pytest.Session) -> None:
        for item in [one for one in session.items if "aws" in getattr(one, "fixturenames", ())][:1]:
            session.config.hook.pytest_runtest_protocol(
                item=item, nextitem=None
            )  # boto's clients take a second to make
        loaded = LoadedFunctions(self._modules)
        self._try_all(cases, lambda case, trial: loaded.try_here(case.module, case.mutant, session, trial))

    def _try_all(self, cases: Sequence[Case], body: Body) -> None:
        waiting = iter(cases)
        running: dict[int, tuple[Case, Trial, float]] = {}
        try:
            while True:
                while len(running) < self._jobs and (case := next(waiting, None)):
                    trial = Trial(self._in_order(case), QUICK_CPU_SECONDS if self._map.quick else CPU_SECONDS)
                    running[trial.start(partial(body, case))] = (case, trial, time.monotonic())
                if not running:
                    return
                for reading in select.select(list(running), [], [])[0]:
                    self._note(*running.pop(reading))
        finally:
            for _, trial, _ in running.values():
                trial.kill()

    def _in_order(self, case: Case) -> list[str]:
        killers = [test for test in self._killers[case.module.path] if test in set(case.tests)]
        return [*killers, *(test for test in case.tests if test not in killers)]

    def _note(self, case: Case, trial: Trial, began: float) -> None:
        outcome, test = trial.outcome()
        result = Result(case.module.path, case.mutant.name, outcome, test, round(time.monotonic() - began, 2))
        with RESULTS.open("a") as file:
            file.write(json.dumps(result) + "\n")
        if outcome is Outcome.KILLED and "::" in test and self._map.is_quick(test):
            killers = self._killers[case.module.path]
            if test in killers:
                killers.remove(test)
            killers.appendleft(test)
        if outcome not in NOTICED:
            print(f"{outcome}: {case.module.path}:{case.mutant.lines.start} {case.mutant.name}", file=self._output)
            self._output.flush()

    def _tell(self) -> int:
        last = last_outcomes()
        counts: Counter[tuple[str, str]] = Counter((path, outcome) for (path, _), outcome in last.items())
        counts.update((module.path, "equivalent") for module, _ in self._listed)
        print(f"{'module':<40} mutants  killed  timeout  equivalent  survived", file=self._output)
        for module in [*(one.path for one in self._modules), None]:
            told = [
                sum(n for (path, one), n in counts.items() if path == (module or path) and one == kind)
                for kind in _KINDS
            ]
            print(
                f"{module or 'all':<40} {sum(told):7} {told[0]:7} {told[1]:8} {told[2]:11} {told[3]:9}",
                file=self._output,
            )
        self._output.flush()
        return int(any(outcome not in NOTICED for outcome in last.values()))


_KINDS = (Outcome.KILLED, Outcome.TIMEOUT, "equivalent", Outcome.SURVIVED)


def _afresh(case: Case, trial: Trial) -> None:
    try_afresh(case.module, case.mutant, case.tests, trial)


def last_outcomes() -> dict[tuple[str, str], Outcome]:
    """By module and name. A mutant can have been tried more than once."""
    return {(one.path, one.mutant): one.outcome for one in results()}


def results() -> Iterator[Result]:
    """What is known so far, in the order of the trials: a mutant can be tried more than once."""
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else ():
        path, mutant, outcome, test, seconds = json.loads(line)
        yield Result(path, mutant, Outcome(outcome), test, seconds)


if __name__ == "__main__":
    sys.path.insert(0, "tests")
    run(main)
