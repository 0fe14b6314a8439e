"""One entry of the revocation table."""

from dataclasses import dataclass

from authorizer.hanko.strict_json import parse_object


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens of `subject` issued up to `issued_until` are revoked. None of them lives after `expires_at`.

    Both are whole seconds since 1970.
    """

    subject: str
    issued_until: int
    expires_at: int


def parse_revocation(body: str) -> Revocation:
    """Parse a body that `DeadLetterQueue.put` has queued. Raises ValueError for any other."""
    match parse_object(body.encode()):
        case {"subject": str(subject), "issued_until": int(issued_until), "expires_at": int(expires_at)}:
            return Revocation(subject, issued_until, expires_at)
    raise ValueError("not an entry of the revocation table")
