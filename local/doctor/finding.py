"""What the doctor says: one finding each, with the place, the reason and the way out."""

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How sure it is that something must change."""

    WRONG = "wrong"  # requests will fail, or pass that should not
    LOOK = "look"  # right or not: the author knows


class Finding(NamedTuple):
    """One finding. `code` is a fixed word for scripts."""

    code: str
    level: Level
    where: str
    what: str
    why: str
    fix: str


def wrong(code: str, where: str, what: str, why: str, fix: str) -> Finding:
    return Finding(code, Level.WRONG, where, what, why, fix)


def look(code: str, where: str, what: str, why: str, fix: str) -> Finding:
    return Finding(code, Level.LOOK, where, what, why, fix)
