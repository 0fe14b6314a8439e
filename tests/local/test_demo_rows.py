"""What `make demo` prints of an answer that differs, and which colour says what."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from local import demo
from local.calls import Seen
from local.demo import ALLOWED, GREEN, GREY, RED, REFUSED, Result, Row, colour_of
from local.permissions import Verdict

CALLER = {"user_id": "somebody"}


def test_the_record_shown_is_that_of_the_first_call_that_differs(capsys: pytest.CaptureFixture[str]) -> None:
    """Each call leaves a record; the calls after it leave theirs, too."""
    log: list[str] = ["START"]
    aws = SimpleNamespace(logs=lambda _: log)
    deployment: Any = SimpleNamespace(aws=aws, outputs={"LogGroupName": "group"})

    def calls() -> Iterator[Verdict]:
        for number, status in enumerate((200, 500, 500, 200)):
            log.append(f'{{"number":{number}}}')
            yield Verdict(200, Seen(status, CALLER if status == 200 else {}))

    assert demo.print_row(deployment, "a user", calls()) == 2
    assert [line for line in capsys.readouterr().out.splitlines() if "number" in line] == [
        '  The record of the first that differs: {"number":1}'
    ]


def test_green_is_proven_red_differs_and_grey_says_nothing_about_aws() -> None:
    passes, refused = Row("good", "none", ALLOWED), Row("bad", "expired", REFUSED)
    assert colour_of(Result(passes, "REST, TOKEN", Seen(200, CALLER))) == GREEN
    assert colour_of(Result(passes, "REST, TOKEN", Seen(401))) == RED
    assert colour_of(Result(refused, "WebSocket", Seen(500), answered=401)) == GREY
    assert colour_of(Verdict(None, Seen(200, CALLER))) == GREY
    assert colour_of(Verdict(403, Seen(403))) == GREEN
    assert colour_of(Verdict(403, Seen(403, is_read=True))) == GREY
    assert colour_of(Verdict(200, Seen(403, is_read=True))) == RED


def test_what_is_read_from_the_authorizers_answer_is_marked() -> None:
    assert str(Verdict(403, Seen(403))) == "403"
    assert str(Verdict(403, Seen(403, is_read=True))) == "403^"
    assert str(Verdict(200, Seen(403, is_read=True))) == "403^ ≠ 200"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"errorMessage": "Unauthorized", "errorType": "Unauthorized"}, 401),
        ({"isAuthorized": False, "ttlOverride": 0}, 401),
        ({"policyDocument": {"Statement": [{"Effect": "Deny"}]}}, 403),
        ({"errorMessage": "AuthorizerUnavailable"}, 500),
        ({"isAuthorized": True, "ttlOverride": 0}, 200),
        ({"policyDocument": {"Statement": [{"Effect": "Allow"}]}}, 200),
        ({"policyDocument": {"Statement": [{"Effect": "Allow"}, {"Effect": "Deny"}]}}, 200),
    ],
)
def test_what_aws_makes_of_an_answer(answer: dict[str, Any], status: int) -> None:
    """A good answer is no proof of a failure."""
    deployment: Any = SimpleNamespace(
        aws=SimpleNamespace(invoke=lambda *_: answer), outputs={"AuthorizerArn": "arn:aws:lambda:x"}
    )
    assert demo.answered(deployment, "AppSync", "a.b.c") == status
