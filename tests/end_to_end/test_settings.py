"""What stands in samconfig.toml is what runs, whichever files follow each other, in any of SAM's forms."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from samcli.cli.types import CfnParameterOverridesType  # type: ignore[import-untyped]  # ships no types

from local.aws import LocalAws
from local.configuration import Environment, read_environment, read_parameters
from local.deploy import changes, deploy, handed_over, write_parameters
from local.stack import HIDDEN, Aws, Stack

File = Mapping[str, str]
DRAWN = 1  # beside the example that is written down: each file is a `sam deploy` of ten seconds
KEY = "arn:aws:kms:eu-west-1:000000000000:key/1"
REQUIRED = {
    "HankoApiUrl": ("https://auth.mine.dev", "https://auth.mine.dev/tenant"),
    "HankoAudience": ("mine.dev", "mine.dev, other.dev", "'mine.dev'"),
}
OPTIONAL = {
    "HankoIssuer": ("", "https://hanko.dev", 'a"quoted"issuer', "'wrapped'", '"wrapped"', "back\\slash"),
    "HankoCookieName": ("", "session", "it's", "'wrapped'"),
    "HankoContextClaims": ("", "role, metadata.plan", "role,metadata.plan=plan", "größe=size"),
    "HankoHttpApiResponse": ("simple", "policy"),
    "HankoAppsyncTtlSeconds": ("0", "60"),
    "HankoRulesParameter": ("", "/mine/rules"),
    "HankoUsagePlanClaim": ("", "metadata.key"),
    "HankoWebsocketSubprotocol": ("", "hanko"),
    "HankoWebsocketQueryParameter": ("", "token"),
    "HankoClockSkewSeconds": ("0", "10", "60"),
    "HankoMaxTokenLifetimeSeconds": ("", "86400"),
    "HankoKeysMaxAgeSeconds": ("60", "3600"),
    "HankoKeysMaxStaleSeconds": ("0", "86400"),
    "HankoKeysCooldownSeconds": ("1", "300"),
    "HankoKeysFile": ("", "keys.json"),
    "HankoKeysFileMaxAgeSeconds": ("3600", "2592000"),
    "HankoFetchTimeoutSeconds": ("0.5", "2"),
    "HankoSessionCheck": ("off", "hybrid", "strict"),
    "HankoSessionMaxAgeSeconds": ("5", "3600"),
    "HankoSessionTouch": ("false", "true"),
    "HankoSessionOnOutage": ("fail", "allow"),
    "EnableRevocation": ("false", "true"),
    "EnableRevocationTopic": ("false", "true"),
    "HankoRevocationCacheSeconds": ("0", "60"),
    "HankoRevokeOnPasswordChange": ("false", "true"),
    "ReceiverConcurrency": ("", "5"),
    "HankoLogUserId": ("false", "true"),
    "HankoLogHashKey": ("", "sixteen-letters!", 'with-"quotes"-and-more', "'sixteen-letters'"),
    "LogHashKeyId": ("", "2"),
    "HankoLogAllowed": ("all", "sampled", "none"),
    "LogRetentionDays": ("7", "30"),
    "LogKmsKeyArn": ("", KEY),
    "Architecture": ("arm64", "x86_64"),
    "Runtime": ("python3.13", "python3.14"),
    "MemorySize": ("512", "1024"),
    "ReservedConcurrency": ("", "100"),
    "ProvisionedConcurrency": ("", "2"),
    "EnableSnapStart": ("false", "true"),
    "Tracing": ("PassThrough", "Active"),
    "EnvironmentKmsKeyArn": ("", KEY),
    "CodeSigningConfigArn": ("", "arn:aws:lambda:eu-west-1:000000000000:code-signing-config:csc-1"),
    "EnableDashboard": ("false", "true"),
    "AlarmTopicArn": ("", "arn:aws:sns:eu-west-1:000000000000:alarms"),
    "VpcSubnetIds": ("", "subnet-1,subnet-2"),
    "VpcSecurityGroupIds": ("", "sg-1"),
    "CaFile": ("", "/opt/ca.pem"),
    "LayerArns": ("", "arn:aws:lambda:eu-west-1:000000000000:layer:ca:1"),
    "PermissionsBoundaryArn": ("", "arn:aws:iam::000000000000:policy/boundary"),
}


def fits(file: File) -> bool:
    """What the template's rules refuse, and a new key under the old name, which publishes no version."""
    vpc = bool(file.get("VpcSubnetIds")) == bool(file.get("VpcSecurityGroupIds"))
    sooner = file.get("EnableSnapStart") == "true" and file.get("ProvisionedConcurrency")
    return vpc and not sooner and not ("LogHashKeyId" in file and file.get("HankoLogHashKey"))


def one_of(values: Mapping[str, tuple[str, ...]]) -> dict[str, st.SearchStrategy[str]]:
    return {name: st.sampled_from(choices) for name, choices in values.items()}


FILES = st.fixed_dictionaries(one_of(REQUIRED), optional=one_of(OPTIONAL)).filter(fits)
FORMS = st.sampled_from(["table", "list", "text"])
LITTLE = {"HankoApiUrl": "https://auth.mine.dev", "HankoAudience": "mine.dev"}
# MiniStack knows no AWS::Logs::QueryDefinition and no alarm of two metrics: what brings one stays off.
UNKNOWN = {"EnableDashboard": "false", "AlarmTopicArn": ""}
DEPLOYED_FILES = FILES.map(lambda file: {name: UNKNOWN.get(name, value) for name, value in file.items()})
MUCH = {name: values[-1] for name, values in (REQUIRED | OPTIONAL).items()} | {"EnableSnapStart": "false"} | UNKNOWN
del MUCH["LogHashKeyId"]  # a new key brings its own
LOOSE = {**LITTLE, "HankoSessionOnOutage": "allow", "HankoClockSkewSeconds": "60", "HankoIssuer": "'wrapped'"}


def written(overrides: File, form: str) -> str:
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


def read(folder: Path, file: File, form: str) -> Environment:
    (folder / "samconfig.toml").write_text(written(file, form), "utf-8")
    environment = read_environment("mine", folder / "samconfig.toml")
    assert environment.mistakes() == []
    assert environment.given == file
    return environment


def expected(environment: Environment, file: File) -> dict[str, str]:
    """The file's values, and the template's defaults for the others."""
    defaults = {name: parameter.default or "" for name, parameter in environment.parameters.items()}
    return {**defaults, "LogHashKeyId": handed_over(environment)["LogHashKeyId"], **file}


def test_every_parameter_has_values_here() -> None:
    assert (REQUIRED | OPTIONAL).keys() == read_parameters().keys()


@settings(max_examples=50, deadline=None)
@given(FILES, FORMS)
def test_sam_is_handed_every_parameter_as_the_file_or_the_template_has_it(
    tmp_path_factory: pytest.TempPathFactory, file: File, form: str
) -> None:
    folder = tmp_path_factory.mktemp("file")
    environment = read(folder, file, form)
    parameters = write_parameters(folder, handed_over(environment))
    assert CfnParameterOverridesType().convert((f"file://{parameters}",), None, None) == expected(environment, file)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """A local AWS of its own, at which the commands look, and samconfig.toml in its folder."""
    with pytest.MonkeyPatch.context() as monkeypatch, LocalAws() as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SAM_CONFIG_FILE", str(started.folder / "samconfig.toml"))
        empty_zip = b"PK\x05\x06" + bytes(18)
        layer = started.client("lambda").publish_layer_version(LayerName="ca", Content={"ZipFile": empty_zip})
        assert layer["LayerVersionArn"] in OPTIONAL["LayerArns"]  # an update wants it to exist
        yield started


@settings(max_examples=DRAWN, deadline=None, phases=[Phase.explicit, Phase.generate])  # to shrink takes an hour
@given(st.lists(st.tuples(DEPLOYED_FILES, FORMS), min_size=2, max_size=3))
@example([(LOOSE, "table"), (LITTLE, "list"), (MUCH, "text"), (LITTLE, "table")])
def test_the_deployed_settings_are_those_of_the_file_whichever_came_before(
    aws: LocalAws, files: list[tuple[File, str]]
) -> None:
    for file, form in files:
        assert_deployed(aws, read(aws.folder, file, form), file)


def assert_deployed(aws: LocalAws, environment: Environment, file: File) -> None:
    """Deploy the file as `make deploy` does, and compare what the stack and the function have."""
    deploy(environment, aws.build())
    stack = Stack.of(Aws("eu-west-1"), environment)
    values = expected(environment, file)
    assert stack.parameters == {**values, "HankoLogHashKey": HIDDEN}
    assert changes(environment, stack.parameters) == []
    found = aws.client("lambda").get_function_configuration(FunctionName=stack.function, Qualifier="live")
    variables = found["Environment"]["Variables"]
    wanted = environment.variables
    if not wanted["HANKO_LOG_HASH_KEY"]:  # then it is the stack's own
        del wanted["HANKO_LOG_HASH_KEY"]
    assert {name: variables[name] for name in wanted} == wanted
    assert (found["MemorySize"], found["Runtime"]) == (int(values["MemorySize"]), values["Runtime"])
    assert variables.get("SSL_CERT_FILE", "") == values["CaFile"]
