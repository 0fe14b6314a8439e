"""How the revocation table is read: what a reader is, and why a read fails."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Protocol

_THROTTLED = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")
# Before each attempt. The first two follow at once: a connection kept while the sandbox was frozen may be dead.
PAUSES_SECONDS = (0, 0, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1)
# The errors of reading an answer that is not DynamoDB's, or whose items are not ours.
MALFORMED = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


class ReadFailed(Exception):
    """A read that brought no answer. `failure` is for the operator: one of a closed set of words."""

    def __init__(self, failure: str) -> None:
        super().__init__(failure)
        self.failure = failure


class TableReader(Protocol):
    """Reads items of one table. It tries once; the caller tries again where that may help."""

    @property
    def table(self) -> str:
        """The table's name."""

    def read(self, subjects: Sequence[str]) -> object:
        """The answer to one consistent BatchGetItem, as DynamoDB's JSON has it.

        Raises `ReadFailed`, or one of `MALFORMED` if the bytes are no such answer.
        """


def request_items(table: str, subjects: Sequence[str]) -> dict[str, object]:
    """The parameter RequestItems. A consistent read sees every entry written before its webhook was acknowledged."""
    return {table: {"Keys": [{"subject": {"S": subject}} for subject in subjects], "ConsistentRead": True}}


def failure_of(code: str, status: int) -> str:
    """The word for an error of DynamoDB's: its code, and the status of the answer."""
    if code in _THROTTLED:
        return "throttled"
    if code == "AccessDeniedException":
        return "denied"
    return "unavailable" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"
