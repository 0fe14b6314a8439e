"""Fetches over HTTPS: the connections to Hanko, and one fetch, with as many attempts as its deadline has room for.

A name's look-up has no timeout. So each new connection is opened and used in a thread of its own; the caller waits for
it until the deadline and no longer.

Where sessions are checked, the connection is kept for the next fetch. A sandbox is frozen between invocations, so a
kept connection is often dead. It is closed instead of used if it has been idle for long or has something to read (its
end, or an answer to no request). If it turns out to be dead while it is used, or brings two answers to one request, a
new one takes its place. A session check that fails closes it, too: the next answer on it may belong to the failed
question.
"""

import contextlib
import threading
import time
from collections.abc import Mapping

from authorizer.clock import Clock, Instant
from authorizer.hanko.connection import Connection, HttpResponse, Server, failed_because
from authorizer.hanko.failure import FetchFailed, FetchFailure
from authorizer.hanko.http1 import TooLarge, request_bytes
from authorizer.hanko.tcp import EarlyConnection

MAX_IDLE_SECONDS = 30  # half of what the usual load balancer waits: ELB 60 s, nginx 75 s
PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1, 1, 1)  # before the second attempt and each further one


class Connections:
    """The connections to one server: new ones, and at most one that is kept."""

    def __init__(
        self, server: Server, clock: Clock, early: EarlyConnection | None, attempts: int, *, keeps: bool
    ) -> None:
        """The first new connection is the `early` one. `attempts` is how many each fetch may take."""
        self.clock, self.attempts, self.server = clock, attempts, server
        self._early, self._keeps = early, keeps
        self._kept: tuple[Connection, Instant] | None = None

    def fetch(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: float) -> "Fetch":
        """Begin to ask for `path` below the server's own."""
        all_headers = {"Host": self.server.netloc, **headers}
        return Fetch(self, request_bytes(method, self.server.path + path, all_headers, body), deadline)

    def take_kept(self) -> Connection | None:
        if self._kept is not None:
            (kept, used_at), self._kept = self._kept, None
            if self.clock.seconds_since(used_at) < MAX_IDLE_SECONDS and kept.is_reusable:
                return kept
            kept.close()
        return None

    def new(self) -> Connection:
        """A new connection, unopened."""
        early, self._early = self._early, None
        return Connection(self.server, early)

    def may_keep(self, connection: Connection) -> bool:
        """Whether the connection, its last answer read to the end, may be kept: if it is open and that is wanted."""
        return self._keeps and connection.keep_alive and not connection.is_cancelled

    def keep(self, connection: Connection, used_at: Instant) -> None:
        """Keep this connection, and no other."""
        if self._kept is not None and self._kept[0] is not connection:
            self.close()
        self._kept = connection, used_at

    def close(self) -> None:
        """Close the kept one."""
        if self._kept is not None:
            (kept, _), self._kept = self._kept, None
            kept.close()


class Fetch:
    """One fetch under way; `on_kept` is whether it began on a connection that others had used before.

    A kept connection needs no thread: the request is sent at once, and `result` reads the answer. The request may hold
    a token, so a fetch is no tuple, which would show it.
    """

    def __init__(self, connections: Connections, request: bytes, deadline: float) -> None:
        self.began = connections.clock.now()
        self._connections, self._request, self.deadline = connections, request, deadline
        self._outcome: HttpResponse | FetchFailed | None = None
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        kept = connections.take_kept()
        self.on_kept = kept is not None
        self._connection = kept or connections.new()
        self._pauses = [*[0.0] * self.on_kept, *PAUSES_SECONDS[: connections.attempts - 1]]
        if self.on_kept:
            with contextlib.suppress(OSError):  # a dead connection is noticed by `result`
                self._connection.send(self._request, self.deadline)
        else:
            self._start_thread()

    @property
    def done(self) -> bool:
        if self._thread is not None:
            return not self._thread.is_alive()
        return self._outcome is not None or self._cancelled.is_set()

    def result(self) -> HttpResponse:
        """Wait for the end, but not beyond the deadline.

        Raises `FetchFailed` for whatever went wrong.
        """
        if self._thread is None and self._outcome is None:
            self._outcome = self._try(is_sent=True)
            if isinstance(self._outcome, FetchFailed) and self._outcome.is_transient:
                self._start_thread()
        if self._thread is not None:
            self._thread.join(max(0.0, self.deadline - time.monotonic()))
        if not self.done or self._outcome is None:
            self.cancel()
            raise FetchFailed(FetchFailure.TIMEOUT)
        if isinstance(self._outcome, FetchFailed):
            raise self._outcome
        if self._connections.may_keep(self._connection):
            self._connections.keep(self._connection, self.began)
        return self._outcome

    def again(self) -> "Fetch":
        """Ask the same once more, on a new connection, until the same deadline."""
        self._connections.close()
        return Fetch(self._connections, self._request, self.deadline)

    def cancel(self) -> None:
        """Wait for it no longer. A thread ends when its connection does."""
        self._cancelled.set()
        if self._thread is None:
            self._connection.close()
        else:
            self._connection.cancel()

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        outcome = self._outcome or self._try()
        while self._pauses_for_another(outcome):
            self._connection = Connection(self._connections.server)
            outcome = self._try()
        self._outcome = outcome

    def _pauses_for_another(self, outcome: HttpResponse | FetchFailed) -> bool:
        """Wait until it is time for another attempt. False at once if there is to be none."""
        if isinstance(outcome, HttpResponse) or not outcome.is_transient or not self._pauses:
            return False
        pause_seconds = max(self._pauses.pop(0), outcome.retry_after_seconds)
        if time.monotonic() + pause_seconds >= self.deadline:
            return False
        return not self._cancelled.wait(pause_seconds)

    def _try(self, *, is_sent: bool = False) -> HttpResponse | FetchFailed:
        try:
            if not is_sent:
                self._connection.open(self.deadline)
                self._connection.send(self._request, self.deadline)
            response = self._connection.receive(self.deadline)
        except (FetchFailed, TooLarge, OSError, ValueError) as error:
            self._connection.close()
            return failed_because(error)
        if not self._connections.may_keep(self._connection):
            self._connection.close()
        return response
