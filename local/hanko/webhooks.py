"""Webhooks as Hanko sends them: signed, to all subscribers, in the background, once, with a timeout of ten seconds.

On command they are lost, sent twice, or sent in reverse order.
"""

import contextlib
import http.client
import json
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

TIMEOUT_SECONDS = 10
MODES = ("normal", "lose", "repeat", "reorder")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook on its way to one receiver."""

    url: str
    event: str
    token: str

    def post(self) -> int:
        """Send it, and return the receiver's status. Raises OSError if there is no answer."""
        parts = loopback(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_SECONDS)
        with contextlib.closing(connection):
            path = parts._replace(scheme="", netloc="").geturl() or "/"
            body = json.dumps({"token": self.token, "event": self.event})
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            return connection.getresponse().status


class Webhooks:
    """The subscriptions, and the one thread that delivers."""

    def __init__(self, sign: Callable[[str, Any], str]) -> None:
        """`sign` makes the token of an event and its data."""
        self._sign = sign
        self._receivers: list[tuple[str, tuple[str, ...]]] = []
        self._mode, self._held = "normal", list[Delivery]()
        self._waiting: queue.Queue[Delivery] = queue.Queue()
        self._worker: threading.Thread | None = None
        self._lock = threading.RLock()
        self.delivered: list[tuple[str, int | None]] = []  # event and status; None: lost, or not answered

    def subscribe(self, url: str, events: Sequence[str]) -> None:
        """Send these events, and all below them, to a receiver on loopback."""
        loopback(url)
        with self._lock:
            self._receivers.append((url, tuple(events)))

    def behave(self, mode: str) -> None:
        """Deliver normally, not at all, twice, or in reverse order as soon as the mode changes again."""
        if mode not in MODES:
            raise ValueError(f"unknown mode {mode!r}; there are: {', '.join(MODES)}")
        with self._lock:
            self._mode = mode
            held, self._held = self._held, []
        self._deliver(reversed(held))

    def trigger(self, event: str, data: Any) -> None:  # noqa: ANN401 - any JSON
        """Sign an event now, and send it soon."""
        with self._lock:
            urls = [url for url, events in self._receivers if event.startswith(events)]
            deliveries = [Delivery(url, event, self._sign(event, data)) for url in urls]
            match self._mode:
                case "lose":
                    self.delivered += [(event, None) for _ in deliveries]
                case "reorder":
                    self._held += deliveries
                case mode:
                    self._deliver(deliveries * (2 if mode == "repeat" else 1))

    def wait(self) -> None:
        """Wait until every delivery has succeeded or failed."""
        self._waiting.join()

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        with self._lock:
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, daemon=True)
                self._worker.start()
            for delivery in deliveries:
                self._waiting.put(delivery)

    def _work(self) -> None:
        while True:
            delivery = self._waiting.get()
            try:
                status: int | None = delivery.post()
            except (OSError, http.client.HTTPException):
                status = None  # as in Hanko: it is not sent again
            self.delivered.append((delivery.event, status))
            self._waiting.task_done()


def loopback(url: str) -> SplitResult:
    """The parts of a receiver's URL. Raises ValueError if the receiver is not on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in {"localhost", "127.0.0.1"}:
        raise ValueError("webhooks go to http://localhost or http://127.0.0.1 only")
    return parts
