"""The table of reasons: each is somebody's, and each error class raises only reasons of its own outcome."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from authorizer.errors import AuthorizerError, Misconfigured, Outcome, Reason, Unauthenticated, Unavailable

SOURCES = sorted((Path(__file__).parent.parent / "authorizer").rglob("*.py"))
CLASSES = {
    "Unauthenticated": Outcome.UNAUTHENTICATED,
    "Unavailable": Outcome.UNAVAILABLE,
    "Misconfigured": Outcome.MISCONFIGURED,
}


def raised() -> dict[str, set[Reason]]:
    """Every `Class(Reason.NAME)` in the code, by class."""
    found = defaultdict(set)
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name(id=name),
                    args=[ast.Attribute(value=ast.Name(id="Reason"), attr=reason), *_],
                ) if name in CLASSES:
                    found[name].add(Reason[reason])
    return found


def test_a_class_raises_the_reasons_of_its_outcome_and_every_class_is_raised() -> None:
    assert raised().keys() == CLASSES.keys()
    for name, reasons in raised().items():
        assert {reason.outcome for reason in reasons} == {CLASSES[name]}, name


def test_every_reason_is_used() -> None:
    code = "".join(path.read_text() for path in SOURCES if path.name != "errors.py")
    assert [reason for reason in Reason if not re.search(rf"\bReason\.{reason.name}\b", code)] == []


@pytest.mark.parametrize("reason", Reason)
def test_a_row_is_complete(reason: Reason) -> None:
    assert reason.what_to_do.endswith(".")
    assert "|" not in reason.what_to_do
    assert reason.counter.isalpha()
    assert (reason.fault.value == "nobody") == (reason.outcome in (Outcome.ALLOWED, Outcome.RECEIVED)) or (
        reason is Reason.REVOCATION_QUEUED
    )


def test_only_what_must_not_count_as_its_outcome_has_a_counter_of_its_own() -> None:
    own = {reason: reason.counter for reason in Reason if reason.counter != reason.outcome.value.title()}
    assert own == {Reason.KEY_UNCHECKED: "KeyUnchecked", Reason.WARM_UP: "WarmUp"}


@pytest.mark.parametrize("error", [Unauthenticated, Unavailable, Misconfigured])
def test_the_text_is_the_reason_unless_it_is_ours(error: type[AuthorizerError]) -> None:
    assert str(error(Reason.INTERNAL)) == "internal"
    assert str(error(Reason.INTERNAL, "Wrong settings:")) == "Wrong settings:"
