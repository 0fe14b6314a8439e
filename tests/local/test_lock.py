"""The locks: as new as pyproject.toml, with hashes, and without addresses."""

import copy
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from local import lock
from local.aws import MINISTACK

PROJECT = tomllib.loads(lock.SOURCE.read_text())
PINS = re.compile(r"^([a-z0-9-]+)==(\S+)([^\\\n]*)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", re.MULTILINE)


def text_of(group: str) -> str:
    return (lock.ROOT / lock.LOCKS[group]).read_text()


def pins_of(group: str) -> dict[str, str]:
    """Versions by name, for the Python that runs this: a package can be pinned twice, with markers."""
    pins = PINS.findall(text_of(group))
    return {name: version for name, version, marker, _ in pins if _applies(marker.strip(" ;"))}


def _applies(marker: str) -> bool:
    return not marker or Marker(marker).evaluate()


@pytest.mark.parametrize("group", lock.LOCKS)
def test_a_lock_is_as_new_as_its_group(group: str) -> None:
    head = text_of(group).partition("\n")[0]
    assert head == lock.head_of(PROJECT, group), f"{lock.LOCKS[group]} is older than its group: make lock"


@pytest.mark.parametrize("group", lock.LOCKS)
def test_a_lock_meets_every_requirement_of_its_group(group: str) -> None:
    pins = pins_of(group)
    for requirement in map(Requirement, lock.requirements_of(PROJECT, group)):
        if requirement.marker and not requirement.marker.evaluate():
            continue
        assert requirement.specifier.contains(pins[requirement.name])


@pytest.mark.parametrize("group", lock.LOCKS)
def test_a_lock_is_pins_with_hashes_and_nothing_else(group: str) -> None:
    """No option, so no address of a registry either."""
    assert PINS.sub("", text_of(group).partition("\n")[2]) == ""


def test_every_group_has_a_lock() -> None:
    assert set(lock.LOCKS) == set(PROJECT["dependency-groups"])


def test_locks_that_share_an_environment_agree() -> None:
    versions: dict[str, set[str]] = {}
    for group in lock.LOCKS.keys() - set(lock.ALONE):
        for name, version in pins_of(group).items():
            if name != "networkx":  # two versions, each for its own Pythons
                versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("changed", ["artifact", "flask"])
def test_a_change_of_an_included_group_makes_the_lock_old(changed: str) -> None:
    project = copy.deepcopy(PROJECT)
    project["dependency-groups"][changed].append("an-example")
    old = {group for group in lock.LOCKS if lock.head_of(project, group) != lock.head_of(PROJECT, group)}
    assert {changed, "dev"} <= old
    assert "uv" not in old


def test_the_two_environments_run_the_same_python() -> None:
    """The local AWS runs artifacts that were built for this Python."""
    assert (MINISTACK.parent / "python").resolve() == Path(sys.executable).resolve()
