"""The table of differences: the kinds of tokens that we refuse and that another library accepts."""

from pathlib import Path

from differential.kinds import Kind
from differential.opinions import PYTHON, Accepted, ours

from authorizer.errors import Reason

PAGE = Path(__file__).parents[2] / "docs" / "assurance.md"
LIBRARIES = (*PYTHON, "jose")
HEAD = f"| token | our reason | {' | '.join(LIBRARIES)} | why we refuse it |\n|---|---|{'---|' * len(LIBRARIES)}---|"


def row(kind: Kind, accepted: dict[str, Accepted]) -> str | None:
    """A row, if we refuse the token and somebody accepts it."""
    verdict = ours(kind.token)
    if not isinstance(verdict, Reason) or not any(one is not None for one in accepted.values()):
        return None
    told = " | ".join("accepts" if accepted[name] is not None else "refuses" for name in LIBRARIES)
    return f"| {kind.name} | `{verdict.value}` | {told} | {kind.why} |"


def rows_on_page() -> list[str]:
    """The rows of the table, as they stand on the page."""
    _, _, behind = PAGE.read_text().partition(HEAD + "\n")
    return behind.partition("\n\n")[0].rstrip("\n").splitlines()


def verdict_on_page(kind: Kind, library: str) -> bool:
    """Whether the page says that the library accepts a token that we refuse."""
    found = [one for one in rows_on_page() if one.startswith(f"| {kind.name} | ")]
    return bool(found) and found[0].split(" | ")[2 + LIBRARIES.index(library)] == "accepts"
