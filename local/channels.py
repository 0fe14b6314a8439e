"""Who may ask for which channel of the Event API: three callers, four channels, by examples/rules.toml."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.deployment import Deployment
from local.event_api import ACCEPTED, REFUSED

OWN_INBOX, EVERY_INBOX = "SUBSCRIBE /inbox/{own id}/*", "SUBSCRIBE /inbox/*"
MAIL, CHAT = "PUBLISH /inbox/{own id}/mail", "PUBLISH /chat/lobby"
ASKED = (OWN_INBOX, EVERY_INBOX, MAIL, CHAT)


@dataclass(frozen=True)
class Client:
    """A caller, and what they may ask for."""

    name: str
    may: frozenset[str]
    claims: Mapping[str, Any] = field(default_factory=dict)


CLIENTS = (
    Client("a user", frozenset({OWN_INBOX, CHAT})),
    Client("an administrator", frozenset({OWN_INBOX, MAIL, CHAT}), {"role": "admin"}),
    Client("a session without amr", frozenset({CHAT}), {"amr": None}),  # may not connect, and publishes over HTTP
)


@dataclass(frozen=True)
class Ask:
    """What one client got for one channel."""

    expected: int | None  # None: whatever the rules say
    status: int

    @property
    def passed(self) -> bool:
        """Whether it is the expected one."""
        return self.expected in (None, self.status)

    @property
    def proven(self) -> bool:
        """Whether something was expected."""
        return self.expected is not None

    def __str__(self) -> str:
        """`200`, or `200 ≠ 401`."""
        return str(self.status) if self.passed else f"{self.status} ≠ {self.expected}"


def asks(deployment: Deployment, *, expected: bool = True) -> Iterator[tuple[str, list[Ask]]]:
    """A row for each client and channel."""
    for client in CLIENTS:
        token = deployment.hanko.mint(claims=client.claims)
        user_id = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["sub"]
        for asked in ASKED:
            status = deployment.events.ask(asked.replace("{own id}", user_id), {"Authorization": f"Hanko {token}"})
            right = (ACCEPTED if asked in client.may else REFUSED) if expected else None
            yield f"{client.name}: {asked}", [Ask(right, status)]
