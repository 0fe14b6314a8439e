"""HTTP/1.1 as RFC 9112 defines it, from a client's side: the bytes of a request, and a reader with limits.

At most `MAX_ANSWER_BYTES` of an answer are read, whatever its framing says. An answer that breaks the RFC is a
`ValueError`. The numbers behind the checks are its sections.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

MAX_LINE_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 1024 * 1024  # all that is received for one answer: head, body and what frames it
MAX_INTERIM_ANSWERS = 100
MAX_LENGTH_DIGITS = 18

_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_HEX = b"0123456789abcdefABCDEF"
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
_BLANKS = b" \t"


class TooLarge(Exception):
    """An answer beyond a limit."""


class Head(NamedTuple):
    """Status and headers, their names in lower case. `keep_alive` is whether another answer may follow (9.3)."""

    status: int
    headers: Mapping[str, str]
    keep_alive: bool


def request_bytes(method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    length = {} if body is None else {"Content-Length": str(len(body))}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in {**headers, **length}.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class AnswerReader:
    """Reads one answer: first `head`, then `body`."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        """`receive` returns the next bytes from the network, none at the end."""
        self._receive = receive
        self._buffer = bytearray()
        self._received_bytes = 0

    @property
    def is_empty(self) -> bool:
        return not self._buffer

    def head(self) -> Head:
        """The head of the answer. Interim ones (1xx) are passed over: RFC 9110, section 15.2.

        Raises `ConnectionResetError` if the connection ends before the first byte.
        """
        if not self._receive_more():
            raise ConnectionResetError
        for _ in range(MAX_INTERIM_ANSWERS):
            head = self._one_head()
            if head.status >= 200:  # noqa: PLR2004 - the first of the final ones
                return head
        raise ValueError("interim answers without end")

    def body(self, head: Head, max_bytes: int) -> bytes:
        """The whole body (6.3). Raises `TooLarge` if it is longer than `max_bytes`."""
        coding, length = head.headers.get("transfer-encoding"), head.headers.get("content-length")
        if coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise ValueError("a wrong transfer coding or two lengths")
            return self._chunks(max_bytes)
        if length is not None:
            return self._exactly(_length_of(length), max_bytes)
        while len(self._buffer) <= max_bytes and self._receive_more():
            pass
        return self._exactly(len(self._buffer), max_bytes)

    def _one_head(self) -> Head:
        version, _, rest = self._line().partition(b" ")
        status = rest.partition(b" ")[0]  # 4
        if version not in _VERSIONS or len(status) != 3 or not status.isdigit() or status < b"100":  # noqa: PLR2004 - digits
            raise ValueError("no status line")
        headers = self._headers()
        if version == b"HTTP/1.0" and "transfer-encoding" in headers:  # 6.1
            raise ValueError("a transfer coding in an old version")
        options = {option.strip() for option in headers.get("connection", "").lower().split(",")}
        persists = "close" not in options and (version == b"HTTP/1.1" or "keep-alive" in options)
        is_framed = "content-length" in headers or "transfer-encoding" in headers
        return Head(int(status), headers, persists and is_framed)

    def _headers(self) -> dict[str, str]:
        """The headers (5). A line that begins with white space continues the one before (5.2)."""
        pieces: dict[str, list[str]] = {}  # joined at the end: one text per line would cost the square of their length
        name = ""
        while line := self._line():
            if b"\0" in line or b"\r" in line:
                raise ValueError("a control character")
            if name and line[:1] in _BLANKS:
                pieces[name] += (" ", line.strip(_BLANKS).decode("latin-1"))
                continue
            raw_name, colon, value = line.partition(b":")
            if not colon or not raw_name or raw_name.lower().strip(_TOKEN):  # 5.1
                raise ValueError("no header")
            name = raw_name.decode().lower()
            separator = ", " if name in pieces else ""
            pieces.setdefault(name, []).extend((separator, value.strip(_BLANKS).decode("latin-1")))
        return {name: "".join(texts) for name, texts in pieces.items()}

    def _chunks(self, max_bytes: int) -> bytes:
        """A chunked body (7.1). Extensions and trailers are passed over."""
        body = bytearray()
        while size := self._chunk_size():
            body += self._exactly(size, max_bytes - len(body))
            if self._line():
                raise ValueError("more in a chunk than it says")
        while self._line():
            pass
        return bytes(body)

    def _chunk_size(self) -> int:
        digits = self._line().partition(b";")[0].rstrip(_BLANKS)
        if not digits or digits.strip(_HEX):
            raise ValueError("no chunk size")
        return int(digits, 16)

    def _exactly(self, size: int, max_bytes: int) -> bytes:
        if size > max_bytes:
            raise TooLarge
        while len(self._buffer) < size:
            if not self._receive_more():
                raise ValueError("fewer bytes than promised")
        return self._take(size)

    def _line(self) -> bytes:
        """The next line without its end, which may be a bare LF (2.2)."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0 and len(self._buffer) <= MAX_LINE_BYTES:
            searched = len(self._buffer)
            if not self._receive_more():
                raise ValueError("a line without end")
        if not 0 <= end <= MAX_LINE_BYTES:
            raise ValueError("a line that is too long")
        return self._take(end + 1)[:-1].removesuffix(b"\r")

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _receive_more(self) -> bool:
        data = self._receive()
        self._received_bytes += len(data)
        if self._received_bytes > MAX_ANSWER_BYTES:
            raise TooLarge
        self._buffer += data
        return bool(data)


def _length_of(text: str) -> int:
    """A Content-Length; the same one told several times is one (RFC 9110, section 8.6)."""
    lengths = {length.strip(" \t") for length in text.split(",")}  # bare, it strips control characters, too
    length = lengths.pop()
    if lengths or not length.isdecimal() or len(length) > MAX_LENGTH_DIGITS:
        raise ValueError("no single length")
    return int(length)
