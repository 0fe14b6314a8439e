"""Our verdict beside that of Node's jose, as in test_differential.py: one process of Node answers for all tokens."""

import random

from differential.kinds import kinds, mutated
from differential.opinions import jose, ours
from differential.table import verdict_on_page

from authorizer.errors import Reason

ROUNDS = 300


def test_what_we_accept_jose_accepts_and_the_page_has_every_difference() -> None:
    named = kinds()
    wrong = []
    for kind, theirs in zip(named, jose([kind.token for kind in named]), strict=True):
        verdict = ours(kind.token)
        if isinstance(verdict, Reason):
            as_expected = (theirs is not None) == verdict_on_page(kind, "jose")
        else:
            as_expected = theirs == verdict
        wrong += [] if as_expected else [kind.name]
    assert not wrong


def test_mutated_tokens_that_we_accept_jose_accepts() -> None:
    tokens = list(mutated(random.Random(11), ROUNDS))  # noqa: S311 - a fixed sequence
    verdicts = [(ours(token), theirs) for token, theirs in zip(tokens, jose(tokens), strict=True)]
    assert all(theirs == verdict for verdict, theirs in verdicts if not isinstance(verdict, Reason))
