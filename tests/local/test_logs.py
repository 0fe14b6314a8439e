"""`make logs` and `make status`: what a record says of its cause, in a line."""

from typing import Any

import pytest

from local.logs import line_of
from local.status import cause_of

RECORD = {"timestamp": "2026-11-29T03:12:45.123+00:00", "outcome": "unavailable", "fault": "hanko", "kind": "http_v2"}


@pytest.mark.parametrize(
    ("members", "cause"),
    [
        ({"key_fetch_failure": "tls_expired"}, "fault: hanko, key_fetch_failure: tls_expired"),
        ({"fault": "aws", "revocation_failure": "denied"}, "fault: aws, revocation_failure: denied"),
        ({"fault": "deployment", "mistakes": ["one", "two", "three"]}, "fault: deployment, mistakes: two; three"),
        ({"fault": None}, ""),
    ],
)
def test_a_record_says_its_cause(members: dict[str, Any], cause: str) -> None:
    assert cause_of(RECORD | members) == cause


def test_a_line_leads_with_time_reason_and_cause() -> None:
    line = line_of(RECORD | {"reason": "keys_unavailable", "key_fetch_failure": "tls_expired"})
    assert line == ("03:12:45.123 unavailable keys_unavailable (fault: hanko, key_fetch_failure: tls_expired) http_v2")
