"""Each target of `make fuzz`, without atheris: its corpus, and some hundred changes of it from a fixed seed."""

import random
from pathlib import Path

import pytest
from fuzzing.targets import TARGETS, bounded

CORPUS = Path(__file__).parent / "corpus"
ROUNDS = 400
PIECES = [b"", b"\0", b'"', b"\\", b"{", b"[", b"0", b"-1", b"1e9", b";", b"=", b",", b"*", b"\r\n", b"\xff", b"null"]


@pytest.mark.parametrize("name", TARGETS)
def test_a_fuzz_target_holds_near_its_corpus(name: str) -> None:
    target, dice = bounded(TARGETS[name]), random.Random(name)  # noqa: S311 - a fixed sequence
    corpus = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    for data in corpus:
        target(data)
    for _ in range(ROUNDS):
        changed = bytearray(dice.choice(corpus))
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(changed) + 1)
            changed[at : at + dice.randint(0, 3)] = dice.choice(PIECES)
        target(bytes(changed))


def test_every_corpus_has_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
