"""`make differential`: four libraries, many mutated tokens, and the table of docs/assurance.md."""

import random
import sys
from collections import Counter

from differential.kinds import kinds, mutated
from differential.opinions import PYTHON, jose, ours
from differential.table import HEAD, row, rows_on_page

from authorizer.errors import Reason


def main(count: int) -> int:
    """Print what differs; 1 if we accept what another refuses, or if the table is another one than the page's."""
    named = kinds()
    theirs = [
        {**{name: opinion(kind.token) for name, opinion in PYTHON.items()}, "jose": by_jose}
        for kind, by_jose in zip(named, jose([kind.token for kind in named]), strict=True)
    ]
    rows = [told for told in map(row, named, theirs) if told]
    wrong = [kind.name for kind, each in zip(named, theirs, strict=True) if _is_wrong(ours(kind.token), each)]
    dice = random.Random()  # noqa: S311 - no secret
    tokens = list(mutated(dice, count))
    counts: Counter[str] = Counter()
    for token, by_jose in zip(tokens, jose(tokens), strict=True):
        verdict, each = ours(token), {**{name: opinion(token) for name, opinion in PYTHON.items()}, "jose": by_jose}
        counts["accepted by us" if isinstance(verdict, dict) else "refused by us"] += 1
        counts.update(
            f"refused by us as {verdict}, accepted by {name}" for name, one in each.items() if _is_looser(verdict, one)
        )
        wrong += [token] if _is_wrong(verdict, each) else []
    print("\n".join([HEAD, *rows]))
    print("\n".join(f"{number:7} {what}" for what, number in counts.most_common()))
    print(
        "\n".join(["We accept what another refuses:", *wrong]) if wrong else "We accept nothing that another refuses."
    )
    return int(bool(wrong) or rows != rows_on_page())


def _is_looser(verdict: object, theirs: object) -> bool:
    return isinstance(verdict, Reason) and theirs is not None


def _is_wrong(verdict: object, theirs: dict[str, dict[str, object] | None]) -> bool:
    return isinstance(verdict, dict) and any(one != verdict for one in theirs.values())


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
