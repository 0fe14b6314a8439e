"""`make doctor STACK=…`: an API that is deployed, here in the local AWS, is read as its template would be."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from authorizer.config import Settings
from local.aws import REGION, LocalAws
from local.build import ROOT
from local.command_line import CommandFailed
from local.doctor import __main__ as doctor
from local.doctor.deployed import read_stack
from local.doctor.traps import Context, find_traps
from local.stack import Aws

SETTINGS = Settings.from_env({"HANKO_API_URL": "https://hanko.example.com", "HANKO_AUDIENCE": "localhost"})

FUNCTION = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Code: {ZipFile: "def handler(event, context): return {}"}
  Version: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Function}}
  Alias:
    Type: AWS::Lambda::Alias
    Properties: {FunctionName: !Ref Function, FunctionVersion: !GetAtt Version.Version, Name: live}
Outputs:
  Alias: {Value: !Ref Alias}
"""

REST = """
Parameters:
  AuthorizerArn: {Type: String}
Resources:
  Api: {Type: AWS::ApiGateway::RestApi, Properties: {Name: api}}
  Authorizer:
    Type: AWS::ApiGateway::Authorizer
    Properties:
      RestApiId: !Ref Api
      Name: hanko
      Type: REQUEST
      IdentitySource: method.request.header.Authorization,method.request.header.Cookie
      AuthorizerResultTtlInSeconds: 300
      AuthorizerUri: !Sub arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/${AuthorizerArn}/invocations
  Open:
    Type: AWS::ApiGateway::Method
    Properties: {RestApiId: !Ref Api, ResourceId: !GetAtt Api.RootResourceId, HttpMethod: GET, AuthorizationType: NONE}
  Preflight:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !GetAtt Api.RootResourceId
      HttpMethod: OPTIONS
      AuthorizationType: CUSTOM
      AuthorizerId: !Ref Authorizer
"""

HTTP = """
Parameters:
  AuthorizerArn: {Type: String}
Resources:
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: api, ProtocolType: HTTP}}
  Authorizer:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      ApiId: !Ref Api
      Name: hanko
      AuthorizerType: REQUEST
      AuthorizerPayloadFormatVersion: "2.0"
      EnableSimpleResponses: true
      IdentitySource: [$request.header.Authorization]
      AuthorizerResultTtlInSeconds: 300
      AuthorizerUri: !Sub arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/${AuthorizerArn}/invocations
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      FunctionName: !Ref AuthorizerArn
      Action: lambda:InvokeFunction
      Principal: apigateway.amazonaws.com
      SourceArn: !Sub arn:aws:execute-api:eu-west-1:000000000000:${Api}/authorizers/*
"""


class Local(NamedTuple):
    """The local AWS, and the alias of a function in it that stands for the authorizer's."""

    aws: LocalAws
    alias: str

    def create(self, stack: str, template: str, **parameters: str) -> None:
        create(self.aws, stack, template, AuthorizerArn=self.alias, **parameters)


def create(aws: LocalAws, stack: str, template: str, **parameters: str) -> None:
    """Without `sam`, which these templates do not need."""
    client = aws.client("cloudformation")
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    client.create_stack(StackName=stack, TemplateBody=template, Parameters=given, Capabilities=["CAPABILITY_IAM"])
    deadline = time.monotonic() + 60
    status = "CREATE_IN_PROGRESS"
    while status == "CREATE_IN_PROGRESS" and time.monotonic() < deadline:
        status = client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    assert status == "CREATE_COMPLETE"


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with LocalAws() as aws, pytest.MonkeyPatch.context() as patched:
        for name, value in aws.environment.items():
            if name.startswith("AWS_"):
                patched.setenv(name, value)
        create(aws, "authorizer", FUNCTION)
        outputs = aws.client("cloudformation").describe_stacks(StackName="authorizer")["Stacks"][0]["Outputs"]
        yield Local(aws, outputs[0]["OutputValue"])


def codes(stack: str) -> list[tuple[str, str]]:
    deployed = read_stack(Aws(REGION), stack)
    found = [*deployed.unreadable, *find_traps(deployed.apis, Context(deployed.permissions, SETTINGS))]
    return [(one.code, str(one.level)) for one in found]


def test_a_rest_api_with_traps(local: Local) -> None:
    """AWS does not tell an open route from a forgotten one: that is to be looked at."""
    local.create("rest", REST)
    assert codes("rest") == [
        ("open-route", "look"),
        ("authorizer-on-preflight", "wrong"),
        ("no-cors-on-refusals", "wrong"),
        ("no-permission", "wrong"),
        ("cookie-and-header", "wrong"),
    ]


def test_an_http_api_that_caches_simple_responses_for_every_route(local: Local) -> None:
    """The permission of the alias is read and found right."""
    local.create("http", HTTP)
    assert codes("http") == [("simple-without-route-key", "wrong")]


@pytest.mark.parametrize("name", ["websocket", "appsync"])
def test_nothing_is_found_in_a_deployed_example(name: str, local: Local) -> None:
    more = {"RouteResponses": "false"} if name == "websocket" else {}
    local.create(name, (ROOT / "examples" / f"{name}.yaml").read_text(), **more)
    assert codes(name) == []


def test_a_stack_without_an_authorizer_is_told(local: Local) -> None:  # noqa: ARG001 - the stack is in it
    with pytest.raises(CommandFailed, match="has no API with a Lambda authorizer"):
        doctor.main(["--stack", "authorizer"])


def test_a_stack_that_is_not_there_is_told(local: Local) -> None:  # noqa: ARG001 - it is not in it
    with pytest.raises(CommandFailed, match=f"there is no stack none in this account, {REGION}"):
        read_stack(Aws(REGION), "none")
