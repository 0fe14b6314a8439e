"""A function here sees the environment that it would see in Lambda."""

from pathlib import Path

import pytest

from local.runtime import LambdaRuntime, lambda_environment

SHOWS_ITS_ENVIRONMENT = """
import os
from awslambdaric import lambda_runtime_client

def lambda_handler(event, context):
    return {**os.environ, "cwd": os.getcwd(), "function_name": context.function_name}
"""


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "authorizer"
    folder.mkdir()
    (folder / "lambda_function.py").write_text(SHOWS_ITS_ENVIRONMENT)
    return tmp_path


def test_a_function_sees_lambdas_own_variables(artifact: Path) -> None:
    expected = lambda_environment("authorizer.lambda_function.lambda_handler", artifact)
    own = {"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"}  # the emulator's own
    with LambdaRuntime(artifact, {"HANKO_AUDIENCE": "example.com"}) as runtime:
        seen = runtime.invoke({})
    assert {name: seen[name] for name in expected if name not in own} == {
        name: value for name, value in expected.items() if name not in own
    }
    assert own <= seen.keys()
    assert seen["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert (seen["HANKO_AUDIENCE"], seen["function_name"], seen["cwd"]) == ("example.com", "authorizer", str(artifact))


def test_a_function_sees_nothing_of_this_process(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANKO_ISSUER", "https://hanko.example.com")
    with LambdaRuntime(artifact, {}) as runtime:
        assert "HANKO_ISSUER" not in runtime.invoke({})
