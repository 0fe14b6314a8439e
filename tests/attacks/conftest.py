"""What every attack needs: a fixed time, an attacker's server, and a key of the attacker's."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sandbox import NOW, Time

from local.hanko import StandInHanko

pytest.register_assert_rewrite("attacks.forging")


@pytest.fixture
def time_() -> Time:
    return Time(wall=NOW)


@pytest.fixture
def attacker() -> Iterator[StandInHanko]:
    """A server of the attacker's, with keys of its own and a count of who came."""
    with StandInHanko(first_key=1) as server:
        yield server


@pytest.fixture(scope="session")
def own_key() -> RSAPrivateKey:
    """A key of the attacker's, strong enough."""
    return rsa.generate_private_key(65537, 2048)
