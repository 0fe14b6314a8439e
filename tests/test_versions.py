"""What a change of the template or of a parameter does to the published version, by SAM's transform.

Lambda freezes code and configuration into a version. A change that publishes none leaves the alias with the old
settings, which may name a key or a parameter that the role no longer opens: cold starts then fail. A version that
CloudFormation wants although nothing changed is refused by Lambda, and so is the deployment.
"""

import copy
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]  # ships no types
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]  # ships no types

import authorizer

Json = dict[str, Any]
REQUIRED = {"HankoApiUrl": "https://hanko.example.com", "HankoAudience": "example.com"}
# Another value for every parameter whose own cannot be derived from its default and range.
OTHER_VALUES = {
    "HankoApiUrl": "https://other.example.com",
    "HankoAudience": "other.example.com",
    "EnvironmentKmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1",
    "VpcSubnetIds": "subnet-0a",
    "VpcSecurityGroupIds": "sg-0a",
}
# What must be there as well: a VPC is both.
BESIDE = {
    "VpcSubnetIds": {"VpcSecurityGroupIds": OTHER_VALUES["VpcSecurityGroupIds"]},
    "VpcSecurityGroupIds": {"VpcSubnetIds": OTHER_VALUES["VpcSubnetIds"]},
}
# What counts for Lambda as a property of the function and not of its versions.
NOT_FROZEN = {"ReservedConcurrentExecutions", "CodeSigningConfigArn", "Tags", "Role"}
REMOVED = object()


class NoManagedPolicies:
    """The transform asks IAM for the managed policies that it would add; it must not want any."""

    def load(self) -> Json:
        return {}


@functools.cache
def parsed() -> str:
    text = (Path(__file__).parent.parent / "template.yaml").read_text()
    return json.dumps(yaml_parse(text))


def template() -> Json:
    """A copy to change."""
    built: Json = json.loads(parsed())
    for name in ("AuthorizerFunction", "WebhookFunction"):
        built["Resources"][name]["Properties"]["CodeUri"] = "s3://bucket/key"
    return built


class Stack:
    """One deployment: the transformed template and what its intrinsic functions come to."""

    def __init__(self, built: Json, **parameters: str) -> None:
        declared = {name: str(one["Default"]) for name, one in built["Parameters"].items() if "Default" in one}
        self.parameters = {**declared, **REQUIRED, **parameters}
        self.transformed: Json = transform(copy.deepcopy(built), dict(self.parameters), NoManagedPolicies())

    @property
    def configuration(self) -> str:
        """Everything of the authorizer's function that Lambda freezes into a version."""
        properties = self.transformed["Resources"]["AuthorizerFunction"]["Properties"]
        return json.dumps(self._resolve({name: one for name, one in properties.items() if name not in NOT_FROZEN}))

    @property
    def version(self) -> str:
        """The version as CloudFormation sees it: if this changes, a new one is published."""
        resources = self.transformed["Resources"].items()
        ((name, version),) = [(name, one) for name, one in resources if one["Type"] == "AWS::Lambda::Version"]
        assert version["UpdateReplacePolicy"] == version["DeletionPolicy"] == "Retain"
        return json.dumps([name, self._resolve(version["Properties"])])

    def _resolve(self, value: Any) -> Any:  # noqa: ANN401 - any part of a template
        match value:
            case {"Ref": str(name)}:
                return REMOVED if name == "AWS::NoValue" else self.parameters.get(name) or self._physical_id(name)
            case {"Fn::If": [name, yes, no]}:
                return self._resolve(yes if self._holds({"Condition": name}) else no)
            case {"Fn::Join": _} | {"Fn::Select": _} | {"Fn::Split": _} | {"Fn::Sub": str()}:
                return self._text(value)
            case dict():
                parts = {name: self._resolve(part) for name, part in value.items()}
                return {name: part for name, part in parts.items() if part is not REMOVED}
            case list():
                return [part for part in map(self._resolve, value) if part is not REMOVED]
        return value

    def _text(self, function: Json) -> Any:  # noqa: ANN401 - a text, or a list of texts
        match function:
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self._resolve(part) for part in parts)
            case {"Fn::Select": [index, parts]}:
                return self._resolve(parts)[int(index)]
            case {"Fn::Split": [separator, text]}:
                return self._resolve(text).split(separator)
        text = function["Fn::Sub"]
        return functools.reduce(lambda t, one: t.replace(f"${{{one[0]}}}", one[1]), self.parameters.items(), text)

    def _physical_id(self, name: str) -> str:
        """A managed policy is replaced if its description changes; nothing else in the template is."""
        resource = self.transformed["Resources"].get(name, {})
        if resource.get("Type") != "AWS::IAM::ManagedPolicy":
            return "" if name in self.parameters else "a/b/" + name
        description = self._resolve(resource["Properties"]["Description"])
        return f"arn:aws:iam::123456789012:policy/{name}-{hashlib.sha256(description.encode()).hexdigest()[:12]}"

    def _holds(self, condition: Any) -> bool:  # noqa: ANN401 - any part of a template
        match condition:
            case {"Condition": name}:
                return self._holds(self.transformed["Conditions"][name])
            case {"Fn::Not": [inner]}:
                return not self._holds(inner)
            case {"Fn::Equals": [left, right]}:
                return bool(self._resolve(left) == self._resolve(right))
        raise NotImplementedError(condition)


@functools.cache
def before(**parameters: str) -> Stack:
    return Stack(template(), **parameters)


def other_value(name: str) -> str:
    parameter = template()["Parameters"][name]
    allowed = [str(value) for value in parameter.get("AllowedValues", ())]
    default = str(parameter.get("Default", ""))
    if name in OTHER_VALUES:
        return OTHER_VALUES[name]
    if allowed:
        return next(value for value in allowed if value != default)
    return str(parameter["MaxValue"]) if "MaxValue" in parameter else "other"


@pytest.fixture(autouse=True)
def _region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def test_the_same_template_and_parameters_publish_nothing() -> None:
    assert Stack(template()).version == before().version


@pytest.mark.parametrize("name", [name for name in template()["Parameters"] if name != "HankoLogHashKey"])
def test_a_parameter_publishes_a_version_exactly_if_lambda_freezes_it(name: str) -> None:
    old, new = before(**BESIDE.get(name, {})), before(**BESIDE.get(name, {}), **{name: other_value(name)})
    assert (new.version != old.version) == (new.configuration != old.configuration)


def test_which_parameters_lambda_does_not_freeze() -> None:
    live = {
        name
        for name in template()["Parameters"]
        if before(**BESIDE.get(name, {}), **{name: other_value(name)}).configuration
        == before(**BESIDE.get(name, {})).configuration
    }
    assert live == {
        *("LogRetentionDays", "LogKmsKeyArn", "AlarmTopicArn"),
        *("EnableDashboard", "EnableRevocationTopic"),  # none of the authorizer: a dashboard, the receiver
        *("ReservedConcurrency", "ReceiverConcurrency", "CodeSigningConfigArn", "PermissionsBoundaryArn"),
        "ProvisionedConcurrency",  # the alias has it
    }


def test_a_secret_publishes_a_version_by_its_name_alone() -> None:
    """Every description can be read, so the key itself cannot be in one; `make deploy` changes its name with it."""
    key, name = {"HankoLogHashKey": "k" * 16}, {"LogHashKeyId": "2"}
    assert Stack(template(), **key).version == before().version
    both = Stack(template(), **key, **name)
    assert both.version != before().version
    assert both.configuration != before().configuration
    assert "kkkk" not in both.version


@pytest.mark.parametrize("place", ["function", "globals"])
def test_a_changed_tag_alone_publishes_nothing_since_lambda_would_refuse_it(place: str) -> None:
    built = template()
    function = (
        built["Globals"]["Function"] if place == "globals" else built["Resources"]["AuthorizerFunction"]["Properties"]
    )
    function["Tags"] = {**function.get("Tags", {}), "team": "42"}
    after = Stack(built)
    assert "team" in json.dumps(after.transformed)
    assert after.version == before().version


def test_new_code_publishes_a_version() -> None:
    built = template()
    built["Resources"]["AuthorizerFunction"]["Properties"]["CodeUri"] = "s3://bucket/other"
    assert Stack(built).version != before().version


def test_what_no_parameter_changes_is_in_the_description_as_well() -> None:
    """A release that changes nothing but one of these must publish a version, too."""
    built = template()
    properties = built["Resources"]["AuthorizerFunction"]["Properties"]
    described = built["Resources"]["SandboxPolicy"]["Properties"]["Description"]["Fn::Join"][1]
    fixed = {str(value) for value in properties.values() if isinstance(value, str | int)}
    assert fixed - set(map(str, described)) == {"Zip", "s3://bucket/key", "live"}


def test_the_template_says_which_version_of_the_authorizer_it_deploys() -> None:
    built = template()
    assert built["Outputs"]["Version"]["Value"] == authorizer.__version__
    assert built["Metadata"]["AWS::ServerlessRepo::Application"]["SemanticVersion"] == authorizer.__version__
    assert built["Globals"]["Function"]["Tags"] == {"hanko-authorizer-version": authorizer.__version__}
