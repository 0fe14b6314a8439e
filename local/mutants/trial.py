"""One mutant's trial, in a fork: put the change in place, run tests until one fails."""

import contextlib
import gc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import NoReturn

import pytest

from local.mutants.mutations import Module, Mutant

MEMORY_BYTES = 4 << 30
# One test may take this much processor time (the second, if it took a second at most); or as many seconds in which it
# mostly waits. A starved or stopped process is not given up early: the timer does not count while it does not run.
CPU_SECONDS, QUICK_CPU_SECONDS = 30, 5
TICKS = 150
PYTEST = ("-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")


class Outcome(StrEnum):
    """What became of a mutant. `NOT_IN_PLACE`: no loaded function can take the change."""

    KILLED = "killed"
    TIMEOUT = "timeout"
    SURVIVED = "survived"
    NOT_IN_PLACE = "not in place"


class Trial:
    """The tests of one mutant, and the process in which they run. Everything that they started ends with it."""

    def __init__(self, tests: Sequence[str], cpu_seconds: float) -> None:
        """Each test may take so much processor time; until the first begins, it is the longer one."""
        self._tests, self._cpu_seconds_of_a_test, self._running, self._pid = tests, cpu_seconds, "", 0
        self._cpu_seconds: float = CPU_SECONDS
        self._ticks, self._began = 0, 0.0

    def start(self, body: Callable[["Trial"], None]) -> int:
        """Fork. The descriptor can be read when the trial is over."""
        self._reading, self._writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.setpgid(0, 0)
            try:
                self._limit()
                body(self)
            except BaseException as error:  # noqa: BLE001 - changed code can do anything while it is imported
                self._running = f"import: {type(error).__name__}"
            self.end(Outcome.KILLED)
        os.close(self._writing)
        return self._reading

    def outcome(self) -> tuple[Outcome, str]:
        """What came of it, and the test that ran last."""
        with os.fdopen(self._reading, "rb") as pipe:
            word, _, test = pipe.readline().decode().rstrip("\n").partition("|")
        self.kill()
        return (Outcome(word), test) if word else (Outcome.KILLED, "the process died")

    def kill(self) -> None:
        """End the fork and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def end(self, outcome: Outcome) -> NoReturn:
        """In the fork: say what came of it."""
        os.write(self._writing, f"{outcome}|{self._running}\n".encode())
        os._exit(0)

    def run(self, session: pytest.Session) -> NoReturn:
        """In the fork: run the tests in their order."""
        self._cpu_seconds = self._cpu_seconds_of_a_test
        if session.testsfailed:  # a file of tests that cannot be imported any more
            self.end(Outcome.KILLED)
        known = {item.nodeid: item for item in session.items}
        items = [known[test] for test in self._tests if test in known]
        for item, following in zip(items, [*items[1:], None], strict=True) if items else ():
            self._ticks, self._began, self._running = 0, time.process_time(), item.nodeid
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                self.end(Outcome.KILLED)
        self._running = f"{len(items)} tests"
        self.end(Outcome.SURVIVED)

    def _limit(self) -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        signal.signal(signal.SIGALRM, self._tick)
        signal.setitimer(signal.ITIMER_REAL, 1, 1)

    def _tick(self, *_: object) -> None:
        self._ticks += 1
        if self._ticks > TICKS or time.process_time() - self._began > self._cpu_seconds:
            self.end(Outcome.TIMEOUT)


class Instead:
    """A pytest plugin: what to do with the collected tests instead of running them all."""

    def __init__(self, with_session: Callable[[pytest.Session], None]) -> None:
        self._with_session = with_session

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._with_session(session)
        return True


def try_afresh(module: Module, mutant: Mutant, tests: Sequence[str], trial: Trial) -> None:
    """In the fork of a process that has imported nothing of ours: import all with the change, and run the tests."""
    sys.meta_path.insert(0, FreshImport(module.code(mutant)))
    files = sorted({test.partition("::")[0] for test in tests})
    pytest.main([*PYTEST, *files], plugins=[Instead(trial.run)])


class FreshImport(importlib.machinery.SourceFileLoader):
    """Imports one module from changed code."""

    def __init__(self, code: CodeType) -> None:
        self._code, path = code, Path(code.co_filename)
        self._name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        super().__init__(self._name, str(path.resolve()))

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self._name else None

    def get_code(self, _fullname: str) -> CodeType:
        return self._code


class LoadedFunctions:
    """The functions of modules that are imported already. They get other code, wherever they were imported to."""

    def __init__(self, modules: Sequence[Module]) -> None:
        paths = {str(Path(module.path).resolve()): module.path for module in modules}
        self._codes = {module.path: dict(_codes(module.code())) for module in modules}
        self._found: defaultdict[str, list[FunctionType]] = defaultdict(list)
        for one in gc.get_objects():
            # Not isinstance, which asks each object for its __class__: Django's settings answer with an error.
            if type(one) is FunctionType and one.__code__.co_filename in paths:
                self._found[paths[one.__code__.co_filename]].append(one)
        gc.freeze()  # or each fork would copy what its first collection touches

    def try_here(self, module: Module, mutant: Mutant, session: pytest.Session, trial: Trial) -> None:
        """In a fork of this process: change the functions, and run the tests."""
        if not self._put(module, mutant):
            trial.end(Outcome.NOT_IN_PLACE)
        trial.run(session)

    def _put(self, module: Module, mutant: Mutant) -> bool:
        old, new = self._codes[module.path], dict(_codes(module.code(mutant)))
        changed = {key for key in new if old.get(key) != new[key]}
        functions = [one for one in self._found[module.path] if _key(one.__code__) in changed]
        try:
            for function in functions:
                function.__code__ = new[_key(function.__code__)]
        except ValueError:  # it needs other variables from outside
            return False
        return bool(functions)


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    yield _key(code), code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _codes(const)


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno
