"""How an endpoint answers: as Hanko does, slowly, wrongly, or not at all. One function per mode."""

import email.utils
import functools
import inspect
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

Headers = Mapping[str, str | None]  # None removes a header that is there by default
CHUNK_BYTES = 64 * 1024
MAX_UNCHUNKED_BYTES = 2048  # beyond it Go's server does not wait for the length: a set of three keys


@dataclass(frozen=True, slots=True)
class Answer:
    """One request, waiting for its answer; `content` is what Hanko would say."""

    content: bytes
    connection: socket.socket
    closing: threading.Event

    def pause(self, seconds: float) -> None:
        """Wait. Raises ConnectionAbortedError as soon as the server closes."""
        if self.closing.wait(seconds):
            raise ConnectionAbortedError

    def write(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes, pause_seconds: float) -> None:
        for byte in data:
            self.write(bytes([byte]))
            self.pause(pause_seconds)


def head(status: int, length: int | None, headers: Headers | None = None) -> bytes:
    """Status line and headers, as Hanko sends them with the key set."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    fields: dict[str, str | None] = {
        "Date": email.utils.formatdate(usegmt=True),
        "Content-Type": "application/json",
        "Cache-Control": "max-age=600",
        "Content-Length": None if length is None else str(length),
        "Connection": "close",
        **(headers or {}),
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status} {phrase}", *lines, "", ""]).encode("latin-1")


def framed(content: bytes) -> tuple[dict[str, str], bytes]:
    """The header that tells the length, and the body: in one chunk where Hanko's are in chunks (RFC 9112, 7.1)."""
    if len(content) <= MAX_UNCHUNKED_BYTES:
        return {"Content-Length": str(len(content))}, content
    return {"Transfer-Encoding": "chunked"}, b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)


def normal(answer: Answer, *, headers: Headers | None = None) -> None:
    length, body = framed(answer.content)
    answer.write(head(200, None, {**length, **(headers or {})}) + body)


def slow(answer: Answer, *, delay_seconds: float) -> None:
    answer.pause(delay_seconds)
    normal(answer)


def drip(answer: Answer, *, pause_seconds: float = 0.1) -> None:
    answer.write(head(200, len(answer.content)))
    answer.drip(answer.content, pause_seconds)


def header_drip(answer: Answer, *, pause_seconds: float = 0.1) -> None:
    answer.drip(head(200, len(answer.content)), pause_seconds)
    answer.write(answer.content)


def continue_forever(answer: Answer, *, pause_seconds: float = 0.01) -> None:
    while True:
        answer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        answer.pause(pause_seconds)


def status(answer: Answer, *, code: int) -> None:
    """Any status, with the good content as the body, so that only the status tells that something is wrong."""
    answer.write(head(code, len(answer.content)) + answer.content)


def garbage(answer: Answer, *, data: bytes | str = b"\x16\x03\x01 this is no HTTP\r\n\r\n") -> None:
    answer.write(_bytes(data))


def body(answer: Answer, *, data: bytes | str, headers: Headers | None = None, code: int = 200) -> None:
    content = _bytes(data)
    answer.write(head(code, len(content), headers) + content)


def redirect(answer: Answer, *, location: str, code: int = 302) -> None:
    answer.write(head(code, 0, {"Location": location}))


def oversize(answer: Answer, *, size_bytes: int, announce: bool = True) -> None:
    """The good content, padded with white space to `size_bytes`. `announce` is whether Content-Length says so."""
    answer.write(head(200, size_bytes if announce else None) + answer.content)
    left = size_bytes - len(answer.content)
    while left > 0:
        answer.write(b" " * min(left, CHUNK_BYTES))
        left -= CHUNK_BYTES


def truncated(answer: Answer, *, missing_bytes: int = 1) -> None:
    """The whole content, with a Content-Length that is too large."""
    answer.write(head(200, len(answer.content) + missing_bytes) + answer.content)


def reset(answer: Answer) -> None:
    """Close with a TCP reset instead of an answer."""
    answer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    answer.connection.close()


def _bytes(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode()


MODES: dict[str, Callable[..., None]] = {
    mode.__name__: mode
    for mode in (
        *(normal, slow, drip, header_drip, continue_forever, status),
        *(garbage, body, redirect, oversize, truncated, reset),
    )
}


def behaviour(mode: str, options: Mapping[str, Any]) -> Callable[[Answer], None]:
    """The function that answers in this mode. Raises ValueError or TypeError for a wrong mode or option."""
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; there are: {', '.join([*MODES, 'down'])}")
    function = MODES[mode]
    inspect.signature(function).bind(None, **options)
    return functools.partial(function, **options) if options else function
