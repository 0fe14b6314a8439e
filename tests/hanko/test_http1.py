"""The reader of HTTP/1.1 answers: what RFC 9112 allows, what it does not, and limits whatever the framing says."""

import random
import time
from collections.abc import Callable, Iterator

import pytest
from servers import answering, failure_of, fetched, serving

from authorizer.hanko.failure import FetchFailure
from authorizer.hanko.http1 import AnswerReader, Head, TooLarge, request_bytes

LIMIT = 1000
MAX_LINE_BYTES, MAX_ANSWER_BYTES = 65_536, 1_048_576
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def receiving(data: bytes, step: int | None = None) -> Callable[[], bytes]:
    """The network: so many bytes at a time, by default all at once."""
    pieces = iter([data[at : at + (step or len(data))] for at in range(0, len(data), step or len(data) or 1)])
    return lambda: next(pieces, b"")


def read(data: bytes, step: int | None = None) -> tuple[Head, bytes]:
    reader = AnswerReader(receiving(data, step))
    head = reader.head()
    return head, reader.body(head, LIMIT)


def test_a_request() -> None:
    assert request_bytes("GET", "/a", {"Host": "b"}) == b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n"
    assert request_bytes("POST", "/", {}, b"{}") == b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


GOOD = {
    "length": OK + b"Content-Length: 2\r\n\r\n{}",
    "length_told_twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "length_as_a_list": OK + b"Content-Length: 2, 2\r\n\r\n{}",
    "length_with_zeros": OK + b"Content-Length: 000000000000000002\r\n\r\n{}",
    "until_the_end": OK + b"\r\n{}",
    "chunked": CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    "chunked_in_capitals": OK + b"TRANSFER-ENCODING:CHUNKED\r\n\r\n02\r\n{}\r\n000\r\n\r\n",
    "chunk_extension": CHUNKED + b'2 ; name="a;b" ;c\r\n{}\r\n0;last\r\n\r\n',
    "trailers": CHUNKED + b"2\r\n{}\r\n0\r\nDigest: x\r\nExpires: never\r\n\r\n",
    "bare_line_feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "no_reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
    "empty_reason": b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}",
    "a_folded_header": OK + b"Content-Length:\r\n\t 2\r\nX: a\r\n b\r\n\r\n{}",
    "white_space_around_a_value": OK + b"Content-Length: \t 2 \t \r\n\r\n{}",
    "octets_in_a_value": OK + b"X: \xe9\xff\r\nContent-Length: 2\r\n\r\n{}",
    "http_1_0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "150_headers": OK + b"".join(b"X-%d: y\r\n" % n for n in range(150)) + b"Content-Length: 2\r\n\r\n{}",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 199 Hints\r\nLink: </a>\r\n\r\n" + OK + b"\r\n{}",
    "99_interim_answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 99 + OK + b"\r\n{}",
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("step", [None, 1, 7])
def test_what_rfc_9112_allows(data: bytes, step: int | None) -> None:
    """However the network cuts it."""
    head, body = read(data, step)
    assert (head.status, body) == (200, b"{}")


BAD = {
    "two_framings": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two_lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "two_lengths_in_a_list": OK + b"Content-Length: 2, 3\r\n\r\n{} ",
    **{
        f"length_{wrong!r}": OK + b"Content-Length: " + wrong + b"\r\n\r\n{}"
        for wrong in (
            b"",
            b"+2",
            b"-2",
            b"2.0",
            b"0x2",
            b"2 2",
            b"2_0",
            b"\xb2",
            b",2",
            b"\x1f2",
            b"2\x85",
            b"\xa02, 2",
            b"X2",
            b"0" * 18 + b"2",
            b"9" * 5000,
        )
    },
    **{
        f"coding_{coding!r}": OK + b"Transfer-Encoding: " + coding + b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        for coding in (b"gzip, chunked", b"chunked, chunked", b"identity", b"", b"xchunked", b"chunked;a=b")
    },
    "chunked_in_http_1_0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    **{
        f"chunk_size_{size!r}": CHUNKED + size + b"\r\n{}\r\n0\r\n\r\n"
        for size in (b"", b"0x2", b"0X2", b"+2", b"-2", b" 2", b"2 2", b"2_", b"g", b"\xb2", b";2")
    },
    "more_in_a_chunk": CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
    "no_line_end_after_a_chunk": CHUNKED + b"2\r\n{}0\r\n\r\n",
    "no_last_chunk": CHUNKED + b"2\r\n{}\r\n",
    "no_end_of_trailers": CHUNKED + b"2\r\n{}\r\n0\r\n",
    "space_before_the_colon": OK + b"Content-Length : 2\r\n\r\n{}",
    "no_colon": OK + b"Nonsense\r\n\r\n{}",
    "no_name": OK + b": 2\r\n\r\n{}",
    "a_name_that_is_none": OK + b"Content\xffLength: 2\r\n\r\n{}",
    "folded_before_any_header": OK + b" X: y\r\n\r\n{}",
    "nul": OK + b"X: a\0b\r\n\r\n{}",
    "bare_carriage_return": OK + b"X: a\rContent-Length: 2\r\n\r\n{}",
    "nul_in_a_folded_line": OK + b"X: a\r\n \0\r\n\r\n{}",
    **{
        f"status_{line!r}": line + b"\r\n\r\n{}"
        for line in (
            *(
                b"HTTP/1.1",
                b"HTTP/1.1 ",
                b"HTTP/1.1  200 OK",
                b"HTTP/1.1 20 OK",
                b"HTTP/1.1 2000 OK",
                b"HTTP/1.1 099 OK",
            ),
            *(b"HTTP/1.1 +20 OK", b"HTTP/1.1 \xb2\xb2\xb2 OK", b"HTTP/2 200", b"HTTP/0.9 200 OK", b"http/1.1 200 OK"),
            *(b" HTTP/1.1 200 OK", b"ICY 200 OK", b"\r\nHTTP/1.1 200 OK", b"{}"),
        )
    },
    "status_below_100": b"HTTP/1.1 099 Continue\r\n\r\n" + OK + b"\r\n{}",
    "no_end_of_the_head": OK + b"Content-Length: 2\r\n",
    "fewer_bytes": OK + b"Content-Length: 3\r\n\r\n{}",
    "a_long_line": OK + b"X: " + b"y" * MAX_LINE_BYTES + b"\r\n\r\n{}",
    "a_line_without_end": OK + b"y" * 2 * MAX_LINE_BYTES,
    "interim_without_end": b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + OK + b"\r\n{}",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
@pytest.mark.parametrize("step", [None, 4096])
def test_what_rfc_9112_does_not_allow(data: bytes, step: int | None) -> None:
    with pytest.raises(ValueError, match=r"^[a-z A-Z-]+$") as caught:
        read(data, step)
    assert "200" not in str(caught.value)  # nothing of the peer's


def test_headers_by_their_names_in_lower_case() -> None:
    lines = b"X-One: X y\r\nA: b\r\na:c:d \r\n\t e \t\r\nX-Two:\xe9\r\n \xe8\r\nEmpty:\r\n\r\n{}"
    head, _ = read(OK + lines)
    assert head.headers == {"x-one": "X y", "a": "b, c:d e", "x-two": "\xe9 \xe8", "empty": ""}


@pytest.mark.parametrize(("more", "is_empty"), [(b"", True), (b"forged", False)])
def test_what_comes_behind_an_answer_stays(more: bytes, is_empty: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    reader = AnswerReader(receiving(OK + b"Content-Length: 2\r\n\r\n{}" + more))
    assert reader.body(reader.head(), LIMIT) == b"{}"
    assert reader.is_empty is is_empty


def test_no_answer_at_all_is_a_reset() -> None:
    with pytest.raises(ConnectionResetError):
        read(b"")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x , CLOSE\r\nContent-Length: 2", False),
        (b"HTTP/1.1 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive", False),
    ],
)
def test_whether_the_connection_may_serve_once_more(head: bytes, expected: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """RFC 9112, section 9.3; without a length there is nothing that could follow."""
    assert AnswerReader(receiving(head + b"\r\n\r\n{}")).head().keep_alive is expected


# --- limits


def endless(start: bytes, rest: bytes) -> tuple[Iterator[bytes], list[int]]:
    """A server that goes on for ever; how many bytes were taken of it."""
    taken = [0]

    def pieces() -> Iterator[bytes]:
        yield start
        while True:
            taken[0] += len(rest)
            yield rest

    return pieces(), taken


ENDLESS = {
    "body_without_length": (OK + b"\r\n", b" " * 500),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "chunk_extensions": (CHUNKED, b"1;" + b"x" * 60_000 + b"\r\n \r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * 100),
    "headers": (OK, b"X: " + b"y" * 1000 + b"\r\n"),
    "folded_header": (OK + b"X: y\r\n", b" " + b"y" * 1000 + b"\r\n"),
    "line": (OK, b"y" * 1000),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "interim_headers": (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_without_end_is_read_to_a_limit(name: str) -> None:
    start, rest = ENDLESS[name]
    pieces, taken = endless(start, rest)
    reader = AnswerReader(lambda: next(pieces))
    with pytest.raises((TooLarge, ValueError)):
        reader.body(reader.head(), LIMIT)
    limits = {"body_without_length": LIMIT + len(rest), "line": MAX_LINE_BYTES}
    assert taken[0] <= limits.get(name, MAX_ANSWER_BYTES) + len(rest)


@pytest.mark.parametrize(
    "head",
    [
        *(OK + b"Content-Length: %d\r\n\r\n", OK + b"X: %d\r\n\r\n"),
        *(CHUNKED + b"%X\r\n", CHUNKED + b"64\r\n" + b" " * 100 + b"\r\n%X\r\n"),
    ],
)
@pytest.mark.parametrize("step", [None, 1])
def test_a_body_is_as_long_as_the_limit_and_no_longer(head: bytes, step: int | None) -> None:
    for size, fits in ((LIMIT, True), (LIMIT + 1, False)):
        rest = size - head.count(b" " * 100) * 100
        data = head % rest + b" " * rest + (b"\r\n0\r\n\r\n" if b"chunked" in head else b"")
        if fits:
            assert len(read(data, step)[1]) == LIMIT
        else:
            with pytest.raises(TooLarge):
                read(data, step)


def test_an_answer_is_as_long_as_the_limit_and_no_longer() -> None:
    head = OK + b"\r\n"
    for size, fits in ((MAX_ANSWER_BYTES, True), (MAX_ANSWER_BYTES + 1, False)):
        reader = AnswerReader(receiving(head + b" " * (size - len(head)), 1000))
        if fits:
            assert len(reader.body(reader.head(), MAX_ANSWER_BYTES)) == MAX_ANSWER_BYTES - len(head)
        else:
            with pytest.raises(TooLarge):
                reader.body(reader.head(), MAX_ANSWER_BYTES)


def test_a_line_is_as_long_as_the_limit_and_no_longer() -> None:
    """Without its line feed, which may come later than the rest."""
    for size, fits in ((MAX_LINE_BYTES, True), (MAX_LINE_BYTES + 1, False)):
        for pieces in ([OK + b"X:" + b"y" * (size - 2), b"\n\r\n"], [OK + b"X:" + b"y" * (size - 2) + b"\n\r\n"]):
            reader = AnswerReader(iter(pieces).__next__)
            if fits:
                assert len(reader.head().headers["x"]) == size - 2
            else:
                with pytest.raises(ValueError, match="too long"):
                    reader.head()


def test_random_answers_end_in_one_of_four_ways() -> None:
    """20,000 good answers with a few bytes changed, cut or doubled, from a fixed seed."""
    dice = random.Random(11)  # noqa: S311 - a fixed sequence
    good = list(GOOD.values())
    for _ in range(20_000):
        data = bytearray(dice.choice(good))
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(data))
            data[at : at + dice.randint(0, 2)] = dice.choice([b"", b"\r\n", b"\0", b" ", b"9", b":", b"\xff", b"0\r\n"])
        try:
            _, body = read(bytes(data), dice.choice([None, 1, 5]))
        except (ValueError, TooLarge, ConnectionResetError):
            continue
        assert len(body) <= LIMIT


# --- through the whole client


@pytest.mark.parametrize("framing", ["%x ", "+%x", "%x,%x", "0x%x"])
def test_under_a_malformed_framing_nothing_beyond_the_limit_is_taken(framing: str) -> None:
    size = (framing.replace("%x", "40000")).encode()
    data = CHUNKED + b"".join(size + b"\r\n" + b" " * 0x40000 + b"\r\n" for _ in range(4)) + b"0\r\n\r\n"
    with serving(answering(data)) as address:
        assert failure_of(f"http://{address}") in {FetchFailure.PROTOCOL, FetchFailure.TOO_LARGE}


@pytest.mark.parametrize("encoding", ["identity", "Identity", "IDENTITY"])
def test_identity_is_no_compression_in_any_case(encoding: str) -> None:
    with serving(answering(OK + f"Content-Encoding: {encoding}\r\n\r\n{{}}".encode())) as address:
        assert fetched(f"http://{address}").body == b"{}"


def test_a_flood_of_interim_answers_ends_before_the_deadline() -> None:
    with serving(answering(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000)) as address:
        assert failure_of(f"http://{address}") is FetchFailure.PROTOCOL


@pytest.mark.parametrize("line", [b"a:b\r\n", b"a:\n", b" x\n"], ids=["repeated", "empty", "folded"])
def test_one_header_told_without_end_costs_no_more_than_it_is_long(line: bytes) -> None:
    """It took 14 s of CPU when each line made a new text of all that came before."""
    pieces, _ = endless(OK + b"a:b\r\n", line * 10_000)
    began = time.process_time()
    with pytest.raises(TooLarge):
        AnswerReader(lambda: next(pieces)).head()
    assert time.process_time() - began < 4
