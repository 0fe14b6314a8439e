"""An AppSync Event API with real clients: who may ask for which channel, and what is delivered."""

import base64
import json

import pytest

from local.channels import ASKED, CLIENTS, Ask, asks
from local.deployment import Deployment


@pytest.fixture(scope="module")
def table(deployment: Deployment) -> dict[str, Ask]:
    return {name: ask for name, (ask,) in asks(deployment)}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("client", [client.name for client in CLIENTS])
def test_the_demos_channels(table: dict[str, Ask], client: str, asked: str) -> None:
    ask = table[f"{client}: {asked}"]
    assert ask.passed, str(ask)


def test_mail_reaches_its_user_and_nobody_else(deployment: Deployment) -> None:
    """A wildcard subscription to the own inbox; the mail of another user comes first, and does not arrive."""
    tokens = [deployment.hanko.mint() for _ in range(2)]
    mine, other = (json.loads(base64.urlsafe_b64decode(one.split(".")[1] + "=="))["sub"] for one in tokens)
    admin = {"Authorization": deployment.hanko.mint(claims={"role": "admin"})}
    with deployment.events.connect({"Authorization": f"Hanko {tokens[0]}"}) as subscriber:
        assert subscriber.subscribe(f"/inbox/{mine}/*") == 200
        assert subscriber.subscribe(f"/inbox/{other}/*") == 401
        for user in (other, mine):
            assert deployment.events.publish(f"/inbox/{user}/mail", {"to": user}, admin) == 200
        assert json.loads(subscriber.next()["event"]) == {"to": mine}


@pytest.mark.parametrize("spelling", ["{}", "Bearer {}", "bearer {}", "Hanko {}"])
def test_every_spelling_of_the_token_connects(deployment: Deployment, spelling: str) -> None:
    assert deployment.events.ask("CONNECT", {"Authorization": spelling.format(deployment.hanko.mint())}) == 101
