"""Another HTTP API in front of the deployment of tests/conftest.py."""

import pytest

from local.deployment import Api, Deployment


@pytest.fixture(scope="session")
def with_policies(deployment: Deployment) -> Api:
    """An HTTP API, payload 2.0, with an authorizer of its own that answers with policies."""
    authorizer = deployment.deploy_authorizer("with-policies", HankoHttpApiResponse="policy")
    return deployment.deploy_http_api("HTTP API 2.0 with policies", authorizer, Response="policy")
