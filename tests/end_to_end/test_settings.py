"""What stands in samconfig.toml is what runs, after any sequence of edits, in any of SAM's forms."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.configuration import read_environment
from local.deploy import changes, deploy, handed_over
from local.deployment import Deployment
from local.stack import HIDDEN, Aws, Stack

EXAMPLES = 3  # each edit is a `sam deploy` of ten seconds
VALUES = {
    "HankoSessionOnOutage": ["fail", "allow"],
    "HankoSessionCheck": ["off", "hybrid", "strict"],
    "HankoCookieName": ["", "session", "it's"],
    "HankoContextClaims": ["", "role, metadata.plan", "role,metadata.plan=plan"],
    "HankoIssuer": ["", "https://hanko.dev", 'a"quoted"issuer', "'wrapped'"],
    "HankoClockSkewSeconds": ["0", "10", "60"],
    "HankoLogHashKey": ["", "sixteen-letters!", 'with "quotes" and more'],
    "EnvironmentKmsKeyArn": ["", "arn:aws:kms:eu-west-1:000000000000:key/1"],
    "MemorySize": ["512", "1024"],
    "LogRetentionDays": ["7", "30"],
}
Edit = tuple[str, str | None]  # a parameter, and its new value; None takes the line out
EDITS = st.one_of(
    [st.tuples(st.just(name), st.one_of(st.none(), st.sampled_from(values))) for name, values in VALUES.items()]
)
FORMS = st.sampled_from(["table", "list", "text"])


def written(overrides: Mapping[str, str], form: str) -> str:
    """samconfig.toml with these parameters in one of SAM's forms. JSON's texts are TOML's."""
    head = 'version = 0.1\n[mine.deploy.parameters]\nstack_name = "edited"\nresolve_s3 = true\n'
    head += 'capabilities = ["CAPABILITY_IAM"]\nfail_on_empty_changeset = false\nconfirm_changeset = false\n'
    escaped = {name: value.replace('"', '\\"') for name, value in overrides.items()}
    items = [f'{name}="{value}"' for name, value in escaped.items()]
    match form:
        case "table":
            lines = [f"{name} = {json.dumps(quoted(value))}\n" for name, value in overrides.items()]
            return f"{head}[mine.deploy.parameters.parameter_overrides]\n{''.join(lines)}"
        case "list":
            return f"{head}parameter_overrides = {json.dumps(items)}\n"
    return f"{head}parameter_overrides = {json.dumps(' '.join(items))}\n"


def quoted(value: str) -> str:
    """SAM takes the quotes off a value that is wrapped in them, in a table as well."""
    return f'"{value}"' if value[:1] in ("'", '"') else value


@pytest.fixture(scope="module")
def aws_environment(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of samconfig.toml, with the commands at the local AWS."""
    folder = tmp_path_factory.mktemp("settings")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in deployment.aws.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SAM_CONFIG_FILE", str(folder / "samconfig.toml"))
        yield folder


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(EDITS, FORMS), min_size=2, max_size=3))
def test_the_deployed_settings_are_those_of_the_file_after_any_edits(
    edits: list[tuple[Edit, str]], deployment: Deployment, aws_environment: Path
) -> None:
    overrides = {"HankoApiUrl": deployment.hanko.url, "HankoAudience": "localhost", "Architecture": "x86_64"}
    for (name, value), form in edits:
        overrides.pop(name, None)
        if value is not None:
            overrides[name] = value
        assert_deployed(overrides, form, deployment, aws_environment)


def assert_deployed(overrides: Mapping[str, str], form: str, deployment: Deployment, folder: Path) -> None:
    """Deploy the file as `make deploy` does, and compare what the stack and the function have."""
    (folder / "samconfig.toml").write_text(written(overrides, form))
    environment = read_environment("mine")
    assert environment.mistakes() == []
    assert environment.given == overrides
    deploy(environment, deployment.aws.build())
    stack = Stack.of(Aws("eu-west-1"), environment)
    defaults = {name: parameter.default for name, parameter in environment.parameters.items()}
    expected = {**defaults, **overrides, "LogHashKeyId": handed_over(environment)["LogHashKeyId"]}
    assert stack.parameters == {**expected, "HankoLogHashKey": HIDDEN}
    assert changes(environment, stack.parameters) == []
    found = deployment.aws.client("lambda").get_function_configuration(FunctionName=stack.function, Qualifier="live")
    variables = found["Environment"]["Variables"]
    wanted = environment.variables
    if not wanted["HANKO_LOG_HASH_KEY"]:  # then it is the stack's own
        del wanted["HANKO_LOG_HASH_KEY"]
    assert {name: variables[name] for name in wanted} == wanted
    assert found["MemorySize"] == int(environment.values["MemorySize"])
