"""The revocation table: written by the receiver, read by the authorizer; DynamoDB and SQS are moto's, in process."""

import itertools
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aws import FAULTS, TABLE, Aws, Fault, answers, every, signed_reader
from sandbox import NOW, SESSION, USER, Json, MakeSettings, Time
from servers import running

from authorizer.clock import Clock
from authorizer.errors import Reason, Unauthenticated, Unavailable
from authorizer.model import CheckReport, Claims
from authorizer.revocation.check import RevocationCheck
from authorizer.revocation.entry import Revocation, parse_revocation
from authorizer.revocation.reader import TableReader
from authorizer.revocation.subject import session_subject, user_subject
from authorizer.revocation.table import BotocoreReader, connect
from authorizer.revocation.writer import DeadLetterQueue, RevocationWriter

CLAIMS = Claims(USER, SESSION, NOW, NOW + 43_200, {})
ITEM = Revocation(session_subject(SESSION), NOW + 1, NOW + 43_200)


@pytest.fixture(params=["signed", "botocore"])
def reader(request: pytest.FixtureRequest, aws: Aws, make_settings: MakeSettings, time_: Time) -> Iterator[TableReader]:
    """Ours over real HTTP, with moto behind it; botocore's with moto in it."""
    if request.param == "botocore":
        yield BotocoreReader(aws.dynamodb, TABLE)
        return
    with aws.over_http() as url, closing(signed_reader(url, make_settings(), time_.clock)) as reader:
        yield reader


@pytest.fixture
def check(reader: TableReader, make_settings: MakeSettings, time_: Time) -> RevocationCheck:
    return RevocationCheck(make_settings(), reader, time_.clock, time_.advance)


@pytest.fixture
def caching(reader: TableReader, make_settings: MakeSettings, time_: Time) -> RevocationCheck:
    return RevocationCheck(make_settings(revocation_cache_seconds="30"), reader, time_.clock, time_.advance)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def writer(aws: Aws, time_: Time, pauses: list[float]) -> RevocationWriter:
    def pause(seconds: float) -> None:
        pauses.append(seconds)
        time_.advance(seconds)

    return RevocationWriter(TABLE, aws.dynamodb, time_.clock, pause)


@pytest.fixture
def letters(aws: Aws, time_: Time, pauses: list[float]) -> DeadLetterQueue:
    def pause(seconds: float) -> None:
        pauses.append(seconds)
        time_.advance(seconds)

    return DeadLetterQueue(aws.queue_url, aws.sqs, time_.clock, pause)


def passes(check: RevocationCheck, claims: Claims = CLAIMS) -> bool:
    check.check(claims, "token")
    return True


def revoked(check: RevocationCheck, claims: Claims = CLAIMS) -> bool:
    with pytest.raises(Unauthenticated) as caught:
        check.check(claims, "token")
    return caught.value.reason is Reason.SESSION_REVOKED


# --- writing


def test_an_item_as_a_whole(aws: Aws, writer: RevocationWriter) -> None:
    writer.write(ITEM)
    assert aws.dynamodb.scan(TableName=TABLE)["Items"] == [
        {
            "subject": {"S": f"session#{SESSION}"},
            "issued_until": {"N": str(NOW + 1)},
            "expires_at": {"N": str(NOW + 43_200)},
        }
    ]


def test_the_order_of_writing_makes_no_difference_and_nothing_is_ever_shortened(
    aws: Aws, writer: RevocationWriter
) -> None:
    """Also where one number is larger and the other smaller, as after a change of the lifetime setting."""
    items = [Revocation("", 10, 300), Revocation("", 20, 200), Revocation("", 15, 100), Revocation("", 10, 300)]
    orders = list(itertools.permutations(items))
    for number, order in enumerate(orders):
        for item in order:
            writer.write(replace(item, subject=f"user#{number}"))
    assert set(aws.items.values()) == {(20, 300)}
    assert len(aws.items) == len(orders)


def test_a_replay_changes_nothing(aws: Aws, writer: RevocationWriter, pauses: list[float]) -> None:
    for _ in range(3):
        writer.write(ITEM)
    assert aws.items == {ITEM.subject: (NOW + 1, NOW + 43_200)}
    assert pauses == [0, 0, 0]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("nth", [2, 3])
def test_a_failed_write_is_made_good(aws: Aws, writer: RevocationWriter, fault: str, nth: int) -> None:
    aws.fail("UpdateItem", every(nth, FAULTS[fault]))
    for number in range(20):
        writer.write(replace(ITEM, subject=f"user#{number}"))
    assert set(aws.items.values()) == {(NOW + 1, NOW + 43_200)}
    assert len(aws.items) == 20


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_written_is_said_in_time(
    aws: Aws, writer: RevocationWriter, pauses: list[float], fault: str
) -> None:
    aws.fail("UpdateItem", FAULTS[fault])
    with pytest.raises(Unavailable) as caught:
        writer.write(ITEM)
    assert caught.value.reason is Reason.REVOCATION_UNWRITTEN
    assert aws.items == {}
    assert pauses == [0, 0, 0.1, 0.2, 0.4, 0.8, 1, 1, 1]  # 4.5 s, and no attempt begins after 5 s


def test_no_attempt_begins_when_the_time_is_over(
    aws: Aws, writer: RevocationWriter, time_: Time, pauses: list[float]
) -> None:
    def slow() -> object:
        time_.advance(1)
        return FAULTS["throttled"]()

    aws.fail("UpdateItem", slow)
    with pytest.raises(Unavailable):
        writer.write(ITEM)
    assert pauses == [0, 0, 0.1, 0.2, 0.4]  # and 5 s of waiting


def test_the_time_counts_from_when_the_webhook_came(
    aws: Aws, writer: RevocationWriter, time_: Time, pauses: list[float]
) -> None:
    """A fetch of the keys may have taken 3 s of it. One attempt always happens."""
    aws.fail("UpdateItem", FAULTS["down"])
    for seconds, attempts in ((3, 6), (4.95, 2), (6, 1)):
        pauses.clear()
        with pytest.raises(Unavailable):
            writer.write(ITEM, time_.monotonic - seconds)
        assert len(pauses) == attempts


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Attributes": {}},
        {"Attributes": None},
        {"Attributes": {"expires_at": {"N": str(NOW + 43_200)}}},
        {"Attributes": {"expires_at": {"N": str(NOW + 43_200)}, "issued_until": {"N": str(NOW)}}},
        {"Attributes": {"expires_at": {"N": NOW + 43_200}, "issued_until": {"N": NOW + 1}}},
    ],
)
def test_a_write_counts_only_if_the_answer_says_what_is_written(
    answer: Json, aws: Aws, writer: RevocationWriter
) -> None:
    """A status of 200 can come from anything in between."""
    aws.fail("UpdateItem", answers(200, answer))
    with pytest.raises(Unavailable) as caught:
        writer.write(ITEM)
    assert caught.value.reason is Reason.REVOCATION_UNWRITTEN
    aws.fail("UpdateItem", iter_faults(answers(200, answer), None))
    writer.write(ITEM)
    assert aws.items == {ITEM.subject: (NOW + 1, NOW + 43_200)}


@pytest.mark.parametrize("answer", [{}, {"MessageId": ""}, {"MessageId": None}, {"MessageId": 1}, {"MD5OfBody": "x"}])
def test_an_entry_is_queued_only_if_the_answer_has_its_id(answer: Json, aws: Aws, letters: DeadLetterQueue) -> None:
    aws.fail("SendMessage", answers(200, answer))
    with pytest.raises(Unavailable) as caught:
        letters.put(ITEM)
    assert caught.value.reason is Reason.REVOCATION_UNWRITTEN
    aws.fail("SendMessage", iter_faults(answers(200, answer), None))
    letters.put(ITEM)
    assert aws.queued == [ITEM]


def test_an_item_is_written_in_one_go(aws: Aws, writer: RevocationWriter) -> None:
    for item in (
        ITEM,
        ITEM,
        replace(ITEM, issued_until=NOW + 2),
        replace(ITEM, issued_until=NOW + 2, expires_at=2**32),
    ):
        aws.requests.clear()
        writer.write(item)
        assert aws.requests == ["UpdateItem"]


def test_where_one_number_is_beyond_the_other_is_raised_alone(aws: Aws, writer: RevocationWriter) -> None:
    writer.write(ITEM)
    aws.requests.clear()
    writer.write(replace(ITEM, issued_until=ITEM.issued_until + 1, expires_at=ITEM.expires_at - 1))
    assert aws.requests == ["UpdateItem"] * 3
    assert aws.items == {ITEM.subject: (ITEM.issued_until + 1, ITEM.expires_at)}


@pytest.mark.parametrize("when", range(3))
@pytest.mark.parametrize("item", [Revocation("user#1", NOW, NOW + 10), Revocation("user#1", NOW - 200, NOW + 10)])
def test_an_item_that_dynamodb_removes_meanwhile_is_whole_in_the_end(
    when: int, item: Revocation, aws: Aws, writer: RevocationWriter
) -> None:
    """Its time was over; nobody knows when that is noticed. DynamoDB looks at `expires_at` as it removes."""
    writer.write(Revocation("user#1", NOW - 100, NOW - 50))

    def removes() -> object:
        if aws.items.get("user#1", (0, NOW))[1] < NOW:
            aws.dynamodb.delete_item(TableName=TABLE, Key={"subject": {"S": "user#1"}})
        return None

    aws.fail("UpdateItem", iter_faults(*[None] * when, removes, *[None] * 3))
    writer.write(item)
    issued_until, expires_at = aws.items["user#1"]
    assert issued_until >= item.issued_until
    assert expires_at == NOW + 10


def test_half_an_item_stays_and_lets_nobody_in(aws: Aws, writer: RevocationWriter, check: RevocationCheck) -> None:
    """Two halves are written only where an item was there before, and DynamoDB has removed it in this very moment."""
    user = user_subject(USER)
    writer.write(Revocation(user, NOW - 100, NOW + 43_200))

    def removes() -> object:
        aws.dynamodb.delete_item(TableName=TABLE, Key={"subject": {"S": user}})
        return None

    aws.fail("UpdateItem", iter_faults(None, removes, *[FAULTS["down"]] * 20))
    with pytest.raises(Unavailable):
        writer.write(Revocation(user, NOW - 200, NOW + 43_300))
    aws.fail("UpdateItem", None)
    with pytest.raises(Unavailable) as caught:
        check.check(CLAIMS, "token")
    assert caught.value.reason is Reason.REVOCATION_UNCHECKED
    writer.write(ITEM)
    assert revoked(check)


def iter_faults(*faults: Fault | None) -> Fault:
    """One after another."""
    left = iter(faults)

    def call() -> object:
        fault = next(left)
        return fault() if fault else None

    return call


# --- the queue


def test_a_dead_letter_holds_the_entry_and_no_more(aws: Aws, letters: DeadLetterQueue) -> None:
    letters.put(ITEM)
    (message,) = aws.sqs.receive_message(QueueUrl=aws.queue_url)["Messages"]
    assert message["Body"] == (
        f'{{"subject": "session#{SESSION}", "issued_until": {NOW + 1}, "expires_at": {NOW + 43_200}}}'
    )
    assert parse_revocation(message["Body"]) == ITEM


@pytest.mark.parametrize("fault", FAULTS)
def test_a_queue_that_fails_once_is_asked_again(
    aws: Aws, letters: DeadLetterQueue, pauses: list[float], fault: str
) -> None:
    aws.fail("SendMessage", iter_faults(FAULTS[fault], None))
    letters.put(ITEM)
    assert aws.queued == [ITEM]
    aws.fail("SendMessage", FAULTS[fault])
    pauses.clear()
    with pytest.raises(Unavailable) as caught:
        letters.put(ITEM)
    assert caught.value.reason is Reason.REVOCATION_UNWRITTEN
    assert pauses == [0, 0, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1]


def test_no_attempt_at_the_queue_begins_7500_ms_after_the_webhook_came(
    aws: Aws, letters: DeadLetterQueue, time_: Time, pauses: list[float]
) -> None:
    """Writing may have taken 5 s of it."""
    aws.fail("SendMessage", FAULTS["down"])
    for seconds, attempts in ((5, 7), (6.75, 5), (7.75, 1)):
        pauses.clear()
        with pytest.raises(Unavailable):
            letters.put(ITEM, time_.monotonic - seconds)
        assert len(pauses) == attempts


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[]", '{"subject": "user#1", "issued_until": 1}', '{"subject": 1, "issued_until": 1, "expires_at": 1}'],
)
def test_what_is_no_dead_letter_of_ours(body: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any: it is never shown
        parse_revocation(body)


# --- reading


NO_LISTS: list[Any] = [None, [None], {}, "", 0, False]
MALFORMED: list[Json] = [
    {},
    *({"issued_until": one} for one in ({"S": "never"}, {"N": "1.5"}, {"N": True}, {"N": 1}, {"N": None}, "1")),
]


def test_a_session_is_revoked_and_others_are_not(writer: RevocationWriter, check: RevocationCheck) -> None:
    assert passes(check)
    writer.write(ITEM)
    assert revoked(check)
    assert passes(check, CLAIMS._replace(session_id="5c1d2e3f-4a5b-4c6d-8e7f-8a9b0c1d2e30"))


def test_a_user_is_revoked_up_to_a_moment(writer: RevocationWriter, check: RevocationCheck) -> None:
    writer.write(Revocation(user_subject(USER), NOW, NOW + 43_200))
    for issued_at in (NOW - 1, NOW - 0.5, NOW):
        assert revoked(check, CLAIMS._replace(issued_at=issued_at))
    for issued_at in (NOW + 0.5, NOW + 1):
        assert passes(check, CLAIMS._replace(issued_at=issued_at))
    assert passes(check, CLAIMS._replace(user_id="0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a02", session_id="other"))


def test_a_session_is_not_a_user(writer: RevocationWriter, check: RevocationCheck) -> None:
    """The ids of both are UUIDs: one never stands for the other."""
    writer.write(Revocation(session_subject(USER), NOW + 1, NOW + 2))
    writer.write(Revocation(user_subject(SESSION), NOW + 1, NOW + 2))
    assert passes(check)


def test_an_item_that_should_be_gone_by_now_is_still_right(
    writer: RevocationWriter, check: RevocationCheck, time_: Time
) -> None:
    writer.write(replace(ITEM, expires_at=int(time_.wall) - 3600))
    assert revoked(check)


def test_one_request_asks_for_both_and_consistently(aws: Aws, check: RevocationCheck) -> None:
    asked: list[Json] = []
    aws.dynamodb.meta.events.register(
        "provide-client-params.dynamodb.BatchGetItem", lambda params, **_: asked.append(params)
    )
    assert passes(check)
    assert asked == [
        {
            "RequestItems": {
                TABLE: {
                    "Keys": [{"subject": {"S": f"session#{SESSION}"}}, {"subject": {"S": f"user#{USER}"}}],
                    "ConsistentRead": True,
                }
            }
        }
    ]
    assert check.take_report() == CheckReport("revocation", 1)
    assert check.take_report() == CheckReport("revocation")


@pytest.mark.parametrize(
    ("fault", "failure", "checks"),
    [
        ("throttled", "throttled", 5),
        ("denied", "denied", 1),
        ("refused", "refused", 1),
        ("failing", "unavailable", 5),
        ("down", "connection", 5),
    ],
)
def test_a_table_that_cannot_be_read_is_no_answer(
    aws: Aws, check: RevocationCheck, fault: str, failure: str, checks: int
) -> None:
    """What is transient is tried again within a second."""
    aws.fail("BatchGetItem", FAULTS[fault])
    with pytest.raises(Unavailable) as caught:
        check.check(CLAIMS, "token")
    assert caught.value.reason is Reason.REVOCATION_UNCHECKED
    assert check.take_report() == CheckReport("revocation", checks, failure)


@pytest.mark.parametrize("fault", ["throttled", "failing", "down"])
def test_a_read_that_fails_once_is_made_good(
    aws: Aws, writer: RevocationWriter, check: RevocationCheck, fault: str
) -> None:
    aws.fail("BatchGetItem", iter_faults(FAULTS[fault], None))
    assert passes(check)
    writer.write(ITEM)
    aws.fail("BatchGetItem", iter_faults(FAULTS[fault], None))
    assert revoked(check)


def test_where_the_first_attempt_took_long_there_is_no_second(aws: Aws, check: RevocationCheck, time_: Time) -> None:
    def slow(seconds: float) -> Fault:
        def call() -> object:
            time_.advance(seconds)
            return FAULTS["down"]()

        return call

    for seconds, asks in ((0.3, 3), (0.9, 2), (1.1, 1)):
        aws.fail("BatchGetItem", slow(seconds))
        with pytest.raises(Unavailable):
            check.check(CLAIMS, "token")
        assert check.take_report() == CheckReport("revocation", asks, "connection")


def test_without_credentials_there_is_no_answer(
    make_settings: MakeSettings, time_: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    check = RevocationCheck(make_settings(), BotocoreReader(connect("dynamodb"), TABLE), time_.clock)
    with pytest.raises(Unavailable):
        check.check(CLAIMS, "token")
    assert check.take_report() == CheckReport("revocation", 1, "credentials")


def unprocessed(*subjects: str, found: Json | None = None) -> Fault:
    """What DynamoDB answers when it has read some of the keys and not the others."""
    left = {TABLE: {"Keys": [{"subject": {"S": subject}} for subject in subjects], "ConsistentRead": True}}
    items = {TABLE: [found]} if found else {}
    return answers(200, {"Responses": items, "UnprocessedKeys": left})


def test_keys_that_were_not_read_are_asked_for_again(
    aws: Aws, writer: RevocationWriter, check: RevocationCheck
) -> None:
    user = user_subject(USER)
    aws.fail("BatchGetItem", iter_faults(unprocessed(user), None))
    assert passes(check)
    writer.write(Revocation(user, NOW, NOW + 1))
    aws.fail("BatchGetItem", iter_faults(unprocessed(user), None))
    assert revoked(check)


def test_keys_that_stay_unread_are_no_answer(aws: Aws, check: RevocationCheck) -> None:
    aws.fail("BatchGetItem", unprocessed(user_subject(USER)))
    with pytest.raises(Unavailable):
        check.check(CLAIMS, "token")
    assert check.take_report() == CheckReport("revocation", 5, "throttled")


def test_one_item_is_enough_whatever_was_not_read(aws: Aws, check: RevocationCheck) -> None:
    found = {"subject": {"S": session_subject(SESSION)}, "issued_until": {"N": str(NOW)}}
    aws.fail("BatchGetItem", unprocessed(user_subject(USER), found=found))
    assert revoked(check)


@pytest.mark.parametrize(
    "answer",
    [
        *({}, {"Responses": {TABLE: []}}, {"UnprocessedKeys": {}}),
        *({"Responses": {TABLE: items}, "UnprocessedKeys": {}} for items in NO_LISTS),
        *(
            {"Responses": {TABLE: [{"subject": {"S": ITEM.subject}, **more}]}, "UnprocessedKeys": {}}
            for more in MALFORMED
        ),
    ],
)
def test_what_is_no_item_is_no_answer(answer: Json, aws: Aws, check: RevocationCheck) -> None:
    aws.fail("BatchGetItem", answers(200, answer))
    with pytest.raises(Unavailable) as caught:
        check.check(CLAIMS, "token")
    assert caught.value.reason is Reason.REVOCATION_UNCHECKED
    assert check.take_report() == CheckReport("revocation", 1, "malformed")


def test_half_an_item_hides_no_whole_one(aws: Aws, check: RevocationCheck) -> None:
    """DynamoDB's answer is in no order."""
    half = {"subject": {"S": user_subject(USER)}, "expires_at": {"N": str(ITEM.expires_at)}}
    whole = {"subject": {"S": ITEM.subject}, "issued_until": {"N": str(NOW)}}
    aws.fail("BatchGetItem", answers(200, {"Responses": {TABLE: [half, whole]}, "UnprocessedKeys": {}}))
    assert revoked(check)


@pytest.mark.parametrize("subject", [session_subject(USER), user_subject(SESSION), "", None])
def test_an_item_of_somebody_else_revokes_nobody(subject: object, aws: Aws, check: RevocationCheck) -> None:
    """An answer to another question, on a connection that is kept, must end no session: that would be remembered."""
    found = {"subject": {"S": subject}, "issued_until": {"N": str(NOW)}}
    aws.fail("BatchGetItem", answers(200, {"Responses": {TABLE: [found]}, "UnprocessedKeys": {}}))
    with pytest.raises(Unavailable):
        check.check(CLAIMS, "token")
    aws.fail("BatchGetItem", None)
    assert passes(check)


# --- remembering


def test_not_revoked_is_asked_anew_unless_it_may_be_remembered(
    writer: RevocationWriter, check: RevocationCheck, caching: RevocationCheck, time_: Time
) -> None:
    assert passes(check)
    assert passes(caching)
    writer.write(ITEM)
    assert revoked(check)
    time_.advance(29.9)
    assert passes(caching)
    assert caching.take_report().checks == 1
    time_.advance(0.1)
    assert revoked(caching)


def test_what_is_remembered_is_as_old_as_its_question(
    aws: Aws, writer: RevocationWriter, caching: RevocationCheck, time_: Time
) -> None:
    def slow() -> object:
        time_.advance(0.9)
        return None

    aws.fail("BatchGetItem", slow)
    assert passes(caching)
    aws.fail("BatchGetItem", None)
    writer.write(ITEM)
    time_.advance(29.1)
    assert revoked(caching)


def test_revoked_is_remembered_for_good(
    aws: Aws, writer: RevocationWriter, check: RevocationCheck, time_: Time
) -> None:
    writer.write(ITEM)
    assert revoked(check)
    aws.fail("BatchGetItem", FAULTS["down"])
    time_.advance(43_199)
    assert revoked(check)
    assert check.take_report() == CheckReport("revocation", 1)


def test_a_failure_is_not_remembered(aws: Aws, caching: RevocationCheck) -> None:
    aws.fail("BatchGetItem", FAULTS["down"])
    with pytest.raises(Unavailable):
        caching.check(CLAIMS, "token")
    aws.fail("BatchGetItem", None)
    assert passes(caching)


def test_what_is_remembered_belongs_to_one_token(writer: RevocationWriter, caching: RevocationCheck) -> None:
    """A session's older token can be revoked with its user, while the newer one lives."""
    writer.write(Revocation(user_subject(USER), NOW, NOW + 43_200))
    assert passes(caching, CLAIMS._replace(issued_at=NOW + 1))
    assert revoked(caching, CLAIMS)
    assert passes(caching, CLAIMS._replace(issued_at=NOW + 1))


def test_what_is_remembered_belongs_to_one_user(writer: RevocationWriter, caching: RevocationCheck) -> None:
    writer.write(Revocation(user_subject(USER), NOW, NOW + 43_200))
    assert passes(caching, CLAIMS._replace(user_id="0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a02"))
    assert revoked(caching)


# --- the client


@pytest.fixture
def silent() -> Iterator[str]:
    """A port where connections are taken, by the kernel, and nobody says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def connected_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """A client of that service for that address."""

    def make(service: str, url: str) -> Any:  # noqa: ANN401 - botocore's
        for name, value in {
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": url,
        }.items():
            monkeypatch.setenv(name, value)
        return connect(service)

    return make


@pytest.fixture(params=["signed", "botocore"])
def reader_of(
    request: pytest.FixtureRequest, make_settings: MakeSettings, connected_to: Callable[[str, str], Any]
) -> Iterator[Callable[..., TableReader]]:
    """Both kinds of reader, for the DynamoDB at an address."""
    with ExitStack() as stack:

        def make(url: str, clock: Clock) -> TableReader:
            if request.param == "botocore":
                return BotocoreReader(connected_to("dynamodb", url), TABLE)
            return stack.enter_context(closing(signed_reader(url, make_settings(), clock)))

        yield make


@pytest.mark.parametrize("kind", ["silent", "closed"])
def test_a_real_connection_that_does_not_serve_ends_in_time(
    kind: str, silent: str, make_settings: MakeSettings, reader_of: Callable[..., TableReader]
) -> None:
    reader = reader_of(silent if kind == "silent" else "http://127.0.0.1:9", Clock())
    check = RevocationCheck(make_settings(), reader, Clock())
    began = time.monotonic()
    with pytest.raises(Unavailable):
        check.check(CLAIMS, "token")
    assert time.monotonic() - began < 2  # one attempt of a second
    assert check.take_report().failure == "connection"


# --- answers over real HTTP, through botocore's own parsers and ours


@contextmanager
def serving(*bodies: bytes, status: int = 200) -> Iterator[str]:
    """A server with these answers, one after another, and then the last for ever; `RESET` is none."""
    left = [*bodies]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = left.pop(0) if len(left) > 1 else left[0]
            self.close_connection = True
            if body == RESET:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Silence."""

        def finish(self) -> None:
            with suppress(OSError, ValueError):  # it was reset
                super().finish()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with running(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


RESET = b"reset"
NOT_REVOKED = json.dumps({"Responses": {TABLE: []}, "UnprocessedKeys": {}}).encode()
DEEP = b"[" * 100_000 + b"]" * 100_000
NO_ANSWERS = [
    *(
        b"",
        b"null",
        b"[]",
        b"0",
        b'"x"',
        b"{}",
        b"{",
        b"<html></html>",
        b"\xff\xfe",
        DEEP,
        b'{"Responses": ' + DEEP + b"}",
    ),
    *(b'{"Responses": %s, "UnprocessedKeys": {}}' % wrong for wrong in (b"null", b"[]", b"{}", b"0", b'"x"', b"false")),
    *(
        b'{"Responses": {"%s": %s}, "UnprocessedKeys": {}}' % (TABLE.encode(), wrong)
        for wrong in (b"null", b"{}", b'""', b"0", b"false", b'"x"', b"[[]]", b'["x"]', b"[0]")
    ),
    b'{"Responses": {"another": []}, "UnprocessedKeys": {}}',
    b'{"Responses": {"another": [], "%s": {}}, "UnprocessedKeys": {}}' % TABLE.encode(),
    *(b'{"Responses": {"%s": []}, "UnprocessedKeys": %s}' % (TABLE.encode(), wrong) for wrong in (b"[]", b'"x"', b"7")),
]


@pytest.mark.parametrize("body", NO_ANSWERS, ids=lambda body: repr(body[:50]))
@pytest.mark.parametrize("status", [200, 400])
def test_what_is_no_answer_of_dynamodb_is_no_verdict(
    status: int, body: bytes, make_settings: MakeSettings, time_: Time, reader_of: Callable[..., TableReader]
) -> None:
    with serving(body, status=status) as url:
        check = RevocationCheck(make_settings(), reader_of(url, time_.clock), time_.clock, time_.advance)
        with pytest.raises(Unavailable) as caught:
            check.check(CLAIMS, "token")
    assert caught.value.reason is Reason.REVOCATION_UNCHECKED
    assert check.take_report().failure in {"malformed", "refused", "connection"}


def test_a_first_connection_that_is_reset_is_made_good(
    make_settings: MakeSettings, time_: Time, reader_of: Callable[..., TableReader]
) -> None:
    with serving(RESET, RESET, NOT_REVOKED) as url:
        check = RevocationCheck(make_settings(), reader_of(url, time_.clock), time_.clock, time_.advance)
        assert passes(check)
    assert check.take_report().checks == 3


@pytest.mark.parametrize("body", NO_ANSWERS, ids=lambda body: repr(body[:50]))
def test_what_is_no_answer_of_aws_is_no_durable_write(
    body: bytes, time_: Time, connected_to: Callable[[str, str], Any]
) -> None:
    with serving(body) as url:
        writer = RevocationWriter(TABLE, connected_to("dynamodb", url), time_.clock, time_.advance)
        with pytest.raises(Unavailable):
            writer.write(ITEM)
        letters = DeadLetterQueue(f"{url}/queue", connected_to("sqs", url), time_.clock, time_.advance)
        with pytest.raises(Unavailable):
            letters.put(ITEM)
