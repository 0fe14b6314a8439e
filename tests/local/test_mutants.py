"""`make mutants`: what is changed, and the list of changes that nobody can notice. It runs by hand: it takes hours."""

from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn, cast

import pytest

from local.mutants.__main__ import DECIDING, equivalents, modules_in
from local.mutants.mutations import Module
from local.mutants.trial import Outcome, Trial

SOURCE = """
LIMIT = 3

def passes(age: int, roles: list[str]) -> bool:
    \"\"\"Whether they pass.\"\"\"
    if age < LIMIT and roles:
        raise ValueError("too young")
    return any(role for role in roles if role)
"""


def results(age: int, roles: list[str]) -> dict[str, object]:
    """What each mutant of SOURCE returns."""
    module, found = Module("passes.py", SOURCE), {}
    for mutant in module.mutants:
        space: dict[str, object] = {}
        exec(module.code(mutant), space)  # noqa: S102 - our own text
        try:
            found[mutant.name] = space["passes"](age, roles)  # type: ignore[operator]  # it is the function
        except ValueError:
            found[mutant.name] = "refused"
    return found


def test_conditions_limits_values_and_statements_are_changed() -> None:
    changed = results(3, ["admin"])
    assert changed == {
        "module: 3 → 4 in LIMIT = 3": "refused",
        "module: 3 → 2 in LIMIT = 3": True,
        "passes: age < LIMIT and roles → age < LIMIT or roles in if age < LIMIT and roles:": "refused",
        "passes: age < LIMIT and roles → roles in if age < LIMIT and roles:": "refused",
        "passes: age < LIMIT and roles → age < LIMIT in if age < LIMIT and roles:": True,
        "passes: age < LIMIT → age <= LIMIT in if age < LIMIT and roles:": "refused",
        "passes: age < LIMIT → age >= LIMIT in if age < LIMIT and roles:": "refused",
        "passes: raise ValueError('too young') → pass": True,
        "passes: return any((role for role in roles if role)) → return None": None,
        "passes: any → all in return any((role for role in roles if role))": True,
        "passes:  for role in roles if role →  for role in roles in return any((role for role in roles if role))": True,
    }


def test_the_module_is_whole_again_after_each_change() -> None:
    module = Module("passes.py", SOURCE)
    before = module.code()
    for mutant in module.mutants:
        assert module.code(mutant) != before
    assert module.code() == before


def test_a_mutant_keeps_its_name_when_lines_move() -> None:
    moved = Module("passes.py", "import math\n\n\n" + SOURCE)
    assert [one.name for one in moved.mutants] == [one.name for one in Module("passes.py", SOURCE).mutants]


@pytest.mark.parametrize("path", sorted({path for path, _ in equivalents()}))
def test_every_mutant_that_is_listed_as_equivalent_still_exists(path: str) -> None:
    names = {mutant.name for mutant in Module(path, Path(path).read_text()).mutants}
    assert {name for listed, name in equivalents() if listed == path} <= names
    assert all(len(reason) > 10 for reason in equivalents().values())


def test_all_that_decides_is_tried() -> None:
    paths = {module.path for module in modules_in(DECIDING)}
    assert {"authorizer/hanko/jws.py", "authorizer/rules/evaluation.py", "authorizer/decision.py"} <= paths


class OverAtOnce(Exception):
    """In the place of the end of a fork."""


class Here(Trial):
    """A trial without a fork."""

    def end(self, outcome: Outcome) -> NoReturn:
        raise OverAtOnce(outcome)


@pytest.mark.parametrize(("files_not_imported", "outcome"), [(1, Outcome.KILLED), (0, Outcome.SURVIVED)])
def test_a_change_is_noticed_if_its_tests_cannot_be_imported(files_not_imported: int, outcome: Outcome) -> None:
    session = cast("pytest.Session", SimpleNamespace(items=[], testsfailed=files_not_imported))
    with pytest.raises(OverAtOnce, match=f"^{outcome}$"):
        Here([], cpu_seconds=1).run(session)
