"""Our verdict beside PyJWT's, joserfc's and Authlib's: what we accept is a subset of what each accepts.

test_jose.py asks jose, `make differential` asks about many more tokens. The differences the other way are rows of
docs/assurance.md.
"""

import os
import random

import pytest
from differential.kinds import Kind, kinds, mutated
from differential.opinions import PYTHON, ours
from differential.table import rows_on_page, verdict_on_page

from authorizer.errors import Reason

KINDS = kinds()
ROUNDS = 600
# Which of our reasons a library that accepts a mutated token may not have: each is a group of rows on the page.
EXPLAINED = {
    Reason.HEADER_NOT_ALLOWED,
    Reason.NOT_A_SESSION,
    Reason.CLAIMS_MALFORMED,
    Reason.TOKEN_MALFORMED,
    Reason.SIGNATURE_INVALID,
}


@pytest.mark.parametrize("library", PYTHON)
@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_what_we_accept_a_library_accepts_and_the_page_has_every_difference(kind: Kind, library: str) -> None:
    verdict, theirs = ours(kind.token), PYTHON[library](kind.token)
    if isinstance(verdict, Reason):
        assert (theirs is not None) == verdict_on_page(kind, library)
    else:
        assert theirs == verdict


def test_the_page_has_no_row_that_is_no_difference() -> None:
    refused = {kind.name for kind in KINDS if isinstance(ours(kind.token), Reason)}
    named = [row.split(" | ")[0].removeprefix("| ") for row in rows_on_page()]
    assert len(named) == len(set(named))
    assert set(named) <= refused
    assert all("accepts" in row and not row.endswith("|  |") for row in rows_on_page())


def test_mutated_tokens_that_we_accept_all_accept() -> None:
    """Half of them signed by the genuine key after the change, so that header and claims are what decides."""
    dice = random.Random(7 if "CI" in os.environ else None)  # noqa: S311 - no secret
    for token in mutated(dice, ROUNDS):
        verdict = ours(token)
        for library, opinion in PYTHON.items():
            theirs = opinion(token)
            if isinstance(verdict, Reason):
                assert theirs is None or verdict in EXPLAINED, (library, token)
            else:
                assert theirs == verdict, (library, token)
