"""The demo's rows as assertions: real requests through a real `sam deploy` of template.yaml and the examples."""

import pytest

from local.demo import ALLOWED, ROWS, Result, results
from local.deployment import Deployment


@pytest.fixture(scope="module")
def table(deployment: Deployment) -> dict[tuple[str, str], Result]:
    """All rows in their order, since the situations build on each other."""
    return {(result.row.name, result.api): result for result in results(deployment)}


@pytest.mark.parametrize("api", ALLOWED)
@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_the_api_answers_as_expected(table: dict[tuple[str, str], Result], row: str, api: str) -> None:
    result = table[row, api]
    assert result.passed, str(result)
