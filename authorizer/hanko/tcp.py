"""TCP connections as RFC 8305 (Happy Eyeballs) opens them, and the one to Hanko that opens while Python still imports.

Several addresses are tried at a time: one that leads nowhere (a VPC without a way out for IPv6, a dead edge) costs
`NEXT_ADDRESS_SECONDS` and not the whole deadline. A deadline is a time of `time.monotonic`.
"""

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from authorizer.setting_values import split_url

NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305, section 8: Connection Attempt Delay

AddressInfo = tuple[int, int, int, str, Any]  # as `getaddrinfo` returns it


def seconds_until(deadline: float) -> float:
    """The time that is left, more than 0. Raises `TimeoutError` if there is none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def connect(host: str, port: int, deadline: float) -> socket.socket:
    """Open a connection to the address that answers first.

    `getaddrinfo` has no timeout: where that matters, call this in a thread of its own. Raises `OSError` (the failure of
    the last address, or `TimeoutError`).
    """
    name = host.encode("ascii")  # as text it would import encodings.idna, 1 ms of a cold start, for names in ASCII
    addresses = interleave_families(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
    attempts: dict[int, socket.socket] = {}
    failure = OSError()
    try:
        while addresses or attempts:
            left = seconds_until(deadline)
            if addresses:
                left = min(left, NEXT_ADDRESS_SECONDS)
                if (failed := _begin(addresses.pop(0), attempts)) is not None:
                    failure = failed
                    continue
            for number in _finished(attempts, left):
                attempt = attempts.pop(number)
                if (code := attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) == 0:
                    return attempt
                failure = OSError(code, os.strerror(code))  # a ConnectionRefusedError where it is one
                attempt.close()
        raise failure
    finally:
        for attempt in attempts.values():
            attempt.close()


def interleave_families(addresses: Sequence[AddressInfo]) -> list[AddressInfo]:
    """The same addresses, IPv6 and IPv4 in turns; the resolver's first stays first (RFC 8305, section 4)."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    other = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for pair in zip_longest(first, other) for address in pair if address is not None]


def _begin(address: AddressInfo, attempts: dict[int, socket.socket]) -> OSError | None:
    """Add an attempt, or return its error if it fails at once: no route, or no such address family on this machine."""
    family, kind, protocol, _, target = address
    try:
        attempt = socket.socket(family, kind, protocol)
    except OSError as failure:
        return failure
    attempt.settimeout(0)
    attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a request waits for the handshake's last ACK
    if (code := attempt.connect_ex(target)) not in {0, errno.EINPROGRESS}:
        attempt.close()
        return OSError(code, os.strerror(code))
    attempts[attempt.fileno()] = attempt
    return None


def _finished(attempts: dict[int, socket.socket], seconds: float) -> list[int]:
    poll = select.poll()
    for number in attempts:
        poll.register(number, select.POLLOUT)
    return [number for number, _ in poll.poll(seconds * 1000)]


class EarlyConnection:
    """One connection, under way at once in a thread of its own."""

    def __init__(self, api_url: str, timeout_seconds: float) -> None:
        url = split_url(api_url)
        self._address = url.host, url.port
        self._deadline = time.monotonic() + timeout_seconds
        self._socket: socket.socket | None = None
        self._failure: OSError = TimeoutError()
        self._thread = threading.Thread(target=self._open, daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            self._socket = connect(*self._address, self._deadline)
        except OSError as failure:
            self._failure = failure

    def wait(self, deadline: float) -> socket.socket:
        """The open connection. Raises what `connect` raises."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._socket is None:
            raise self._failure
        return self._socket
