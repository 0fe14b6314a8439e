"""One local AWS with everything deployed, for all end-to-end tests of a run."""

from collections.abc import Iterator

import pytest

from local.deployment import Deployment


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    with Deployment(print) as deployed:
        yield deployed
