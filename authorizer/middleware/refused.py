"""A refusal and its answer: RFC 6750 for the header, RFC 9457 for the body."""

import json

from authorizer.errors import Outcome, Reason

_STATUS = {Outcome.UNAUTHENTICATED: 401, Outcome.FORBIDDEN: 403, Outcome.UNAVAILABLE: 503, Outcome.MISCONFIGURED: 500}
_TITLE = {401: "Unauthorized", 403: "Forbidden", 500: "Internal Server Error", 503: "Service Unavailable"}
_NOT_THE_TOKEN = frozenset((Reason.TOKEN_MISSING, Reason.ORIGIN_NOT_ALLOWED))  # RFC 6750 section 3.1: no error code
RETRY_AFTER_SECONDS = 1


class Refused(Exception):
    """The request is refused: 401 unknown caller, 403 not allowed, 500 and 503 if that could not be found out."""

    def __init__(self, reason: Reason) -> None:
        """It holds no text of the request."""
        super().__init__(reason.value)
        self.reason = reason
        self.status = 500 if reason is Reason.INTERNAL else _STATUS[reason.outcome]

    @property
    def www_authenticate(self) -> str | None:
        """The challenge; None unless other credentials could help. Source: RFC 6750 section 3."""
        if self.status not in (401, 403) or self.reason is Reason.ORIGIN_NOT_ALLOWED:
            return None
        if self.reason in _NOT_THE_TOKEN:
            return 'Bearer realm="hanko"'
        error = "insufficient_scope" if self.status == 403 else "invalid_token"  # noqa: PLR2004 - an HTTP status
        return f'Bearer realm="hanko", error="{error}", error_description="{self.reason.value}"'

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer. No cache may keep it."""
        headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
        if self.www_authenticate is not None:
            headers["WWW-Authenticate"] = self.www_authenticate
        if self.status == 503:  # noqa: PLR2004 - an HTTP status
            headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return headers

    @property
    def body(self) -> bytes:
        """The problem details."""
        problem = {"type": "about:blank", "title": _TITLE[self.status], "status": self.status}
        return json.dumps({**problem, "detail": self.reason.value}).encode()

    @property
    def status_line(self) -> str:
        """As WSGI wants it."""
        return f"{self.status} {_TITLE[self.status]}"
