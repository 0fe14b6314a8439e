"""`make doctor TEMPLATE=…` finds every trap in a template made for it, and nothing in the examples."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent, indent
from typing import NamedTuple

import pytest

from authorizer.config import Settings
from authorizer.rules.parser import parse_rules
from local.build import ROOT
from local.command_line import CommandFailed
from local.doctor.dropped import find_dropped
from local.doctor.finding import Finding
from local.doctor.template import read_template
from local.doctor.traps import Context, find_traps

ALIAS = "arn:aws:lambda:eu-west-1:123456789012:function:hanko-authorizer:live"
REQUIRED = {"HANKO_API_URL": "https://hanko.example.com", "HANKO_AUDIENCE": "localhost"}
URI = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{}/invocations"

SAM_REST = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  AuthorizerArn: {{Type: String, Default: "{alias}"}}
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
{api}
  Backend:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Handler: app.handler
      Runtime: python3.13
      Events:
        Me: {{Type: Api, Properties: {{Path: /me, Method: get, RestApiId: !Ref Api}}}}
"""

SAM_HTTP = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  AuthorizerArn: {{Type: String, Default: "{alias}"}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
{api}
  Backend:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Handler: app.handler
      Runtime: python3.13
      Events:
        Me: {{Type: HttpApi, Properties: {{Path: /me, Method: get, ApiId: !Ref Api}}}}
"""

REST_AUTHORIZER = "FunctionArn: !Ref AuthorizerArn, Identity: {Header: Authorization, ReauthorizeEvery: 300}"
HTTP_AUTHORIZER = (
    "FunctionArn: !Ref AuthorizerArn, EnableFunctionDefaultPermissions: true, AuthorizerPayloadFormatVersion: '2.0', "
    "EnableSimpleResponses: true, Identity: {Headers: [Authorization], Context: [routeKey], ReauthorizeEvery: 300}"
)


def rest(authorizer: str = REST_AUTHORIZER, more: str = "", auth: str = "DefaultAuthorizer: Hanko") -> str:
    return _sam(SAM_REST, authorizer, more, auth)


def http(authorizer: str = HTTP_AUTHORIZER, more: str = "", auth: str = "DefaultAuthorizer: Hanko") -> str:
    return _sam(SAM_HTTP, authorizer, more, auth)


def _sam(template: str, authorizer: str, more: str, auth: str) -> str:
    lines = f"Auth: {{{auth}{', ' if auth else ''}Authorizers: {{Hanko: {{{authorizer}}}}}}}\n{dedent(more)}"
    return template.format(alias=ALIAS, api=indent(lines, " " * 6))


PERMISSION = """
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      Principal: {principal}
      FunctionName: {function}
      SourceArn: {source}
"""
OF_API = "!Sub arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/authorizers/*"
ALLOWED = PERMISSION.format(principal="apigateway.amazonaws.com", function=ALIAS, source=OF_API)


def plain_http(authorizer: str, permission: str = ALLOWED, route: str = "AuthorizationType: CUSTOM") -> str:
    """An HTTP API without SAM, with an authorizer that is well but for these members."""
    return f"""
Resources:
  Api: {{Type: AWS::ApiGatewayV2::Api, Properties: {{Name: api, ProtocolType: HTTP}}}}
  Authorizer:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      ApiId: !Ref Api
      Name: hanko
      AuthorizerType: REQUEST
{indent(dedent(authorizer), " " * 6)}
  MeRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties: {{ApiId: !Ref Api, RouteKey: GET /me, AuthorizerId: !Ref Authorizer, {route}}}
{permission}
"""


def simple(function: str = ALIAS, more: str = "") -> str:
    return f"""
AuthorizerUri: {URI.format(function)}
AuthorizerPayloadFormatVersion: "2.0"
EnableSimpleResponses: true
IdentitySource: [$request.header.Authorization, $context.routeKey]
AuthorizerResultTtlInSeconds: 300
{more}"""


def websocket(source: str = "[]", permission: str = ALLOWED) -> str:
    return (
        plain_http(f"IdentitySource: {source}\nAuthorizerUri: {URI.format(ALIAS)}", permission)
        .replace("ProtocolType: HTTP", "ProtocolType: WEBSOCKET")
        .replace("GET /me", "$connect")
    )


def appsync(config: str = "AuthorizerResultTtlInSeconds: 0", more: str = "") -> str:
    source, principal = "!GetAtt Api.Arn", "appsync.amazonaws.com"
    return f"""
Resources:
  Api:
    Type: AWS::AppSync::GraphQLApi
    Properties:
      Name: api
      AuthenticationType: AWS_LAMBDA
      LambdaAuthorizerConfig: {{AuthorizerUri: {ALIAS}{", " + config if config else ""}}}
{indent(more, " " * 6)}
{PERMISSION.format(principal=principal, function=ALIAS, source=source)}
"""


class Trap(NamedTuple):
    """A template, the one code that is to be found, and the settings and rules that make it a trap."""

    code: str
    template: str
    settings: Mapping[str, str] = {}
    rules: str = ""
    revokes: bool = False


NO_ALIAS = ALIAS.removesuffix(":live")
CORS = "Cors: {AllowOrigin: \"'https://app.example.com'\", AllowHeaders: \"'Authorization'\"}"
NO_PREFLIGHT_AUTH = "DefaultAuthorizer: Hanko, AddDefaultAuthorizerToCorsPreflight: false"
READABLE = """
GatewayResponses:
  UNAUTHORIZED: {ResponseParameters: {Headers: {Access-Control-Allow-Origin: "'https://app.example.com'"}}}
  ACCESS_DENIED: {ResponseParameters: {Headers: {Access-Control-Allow-Origin: "'https://app.example.com'"}}}
"""
FRESH = '[[rule]]\nname = "fresh"\nroutes = ["* /pay"]\nmax_age_seconds = 60\n'

TRAPS = {
    "a SAM HTTP API without EnableFunctionDefaultPermissions": Trap(
        "no-permission", http(HTTP_AUTHORIZER.replace("EnableFunctionDefaultPermissions: true, ", ""))
    ),
    "CloudFormation without a permission": Trap("no-permission", plain_http(simple(), permission="")),
    "a permission for the routes, not for the authorizer": Trap(
        "no-permission", plain_http(simple(), ALLOWED.replace("/authorizers/*", "/*/GET/me"))
    ),
    "a permission for another API": Trap("no-permission", plain_http(simple(), ALLOWED.replace("${Api}", "other"))),
    "a permission for another service": Trap(
        "no-permission", plain_http(simple(), ALLOWED.replace("apigateway.amazonaws", "appsync.amazonaws"))
    ),
    "a WebSocket API without a permission": Trap("no-permission", websocket(permission="")),
    "a permission for the function without the alias": Trap(
        "wrong-alias", plain_http(simple(), ALLOWED.replace(":live", ""))
    ),
    "a function without its alias": Trap("wrong-alias", plain_http(simple(NO_ALIAS), ALLOWED.replace(":live", ""))),
    "$LATEST": Trap("wrong-alias", plain_http(simple(f"{NO_ALIAS}:$LATEST"), ALLOWED.replace(":live", ":$LATEST"))),
    "the exported FunctionArn": Trap(
        "wrong-alias",
        rest(REST_AUTHORIZER.replace("!Ref AuthorizerArn", "!ImportValue hanko-authorizer-FunctionArn")),
    ),
    "simple responses without the route key": Trap(
        "simple-without-route-key", http(HTTP_AUTHORIZER.replace("Context: [routeKey], ", ""))
    ),
    "simple responses without the route key, in CloudFormation, with the default TTL": Trap(
        "simple-without-route-key",
        plain_http(simple().replace(", $context.routeKey", "").replace("AuthorizerResultTtlInSeconds: 300", "")),
    ),
    "ReauthorizeEvery beside Identity": Trap(
        "dropped", rest("FunctionArn: !Ref AuthorizerArn, ReauthorizeEvery: 0, Identity: {Header: Authorization}")
    ),
    "ReauthorizeEvery beside Identity, of an HTTP API": Trap(
        "dropped", http(HTTP_AUTHORIZER.replace(", ReauthorizeEvery: 300}", "}, ReauthorizeEvery: 0"))
    ),
    "a misspelt member": Trap("dropped", rest(REST_AUTHORIZER + ", FunctionPayloadTyp: REQUEST")),
    "ReauthorizeEvery as a word": Trap("dropped", rest(REST_AUTHORIZER.replace("300", "zero"))),
    "an SSM parameter": Trap(
        "ssm-parameter",
        rest().replace("Type: String, Default", "Type: AWS::SSM::Parameter::Value<String>, Default"),
    ),
    "a TTL with hybrid": Trap(
        "ttl-beyond-logout", rest(), {"HANKO_SESSION_CHECK": "hybrid", "HANKO_SESSION_MAX_AGE_SECONDS": "60"}
    ),
    "a TTL with strict": Trap("ttl-beyond-logout", rest(), {"HANKO_SESSION_CHECK": "strict"}),
    "a TTL that is not set, with the webhooks": Trap(
        "ttl-beyond-logout", rest(REST_AUTHORIZER.replace(", ReauthorizeEvery: 300", "")), revokes=True
    ),
    "a TTL beyond a rule's max_age_seconds": Trap("ttl-beyond-max-age", rest(), rules=f'default = "allow"\n{FRESH}'),
    "cookie and header": Trap(
        "cookie-and-header",
        rest(
            "FunctionArn: !Ref AuthorizerArn, FunctionPayloadType: REQUEST,"
            " Identity: {Headers: [Authorization, Cookie], ReauthorizeEvery: 300}"
        ),
    ),
    "cookie and header of an HTTP API": Trap(
        "cookie-and-header", http(HTTP_AUTHORIZER.replace("[Authorization]", "[Authorization, Cookie]"))
    ),
    "the cookie alone, cached": Trap("cached-by-cookie", http(HTTP_AUTHORIZER.replace("[Authorization]", "[Cookie]"))),
    "no CORS on 401 and 403": Trap("no-cors-on-refusals", rest(more=CORS, auth=NO_PREFLIGHT_AUTH)),
    "an authorizer on preflights": Trap("authorizer-on-preflight", rest(more=f"{CORS}\n{READABLE}")),
    "an authorizer on ANY of an HTTP API with CORS": Trap(
        "authorizer-on-preflight",
        http(more="CorsConfiguration: {AllowOrigins: [https://app.example.com]}").replace("Method: get", "Method: any"),
    ),
    "a REST API without DefaultAuthorizer": Trap("open-route", rest(auth="")),
    "an HTTP API without DefaultAuthorizer": Trap("open-route", http(auth="")),
    "a route of CloudFormation without AuthorizationType": Trap(
        "open-route", plain_http(simple(), route="OperationName: me")
    ),
    "policies against simple": Trap("payload-against-response", http(), {"HANKO_HTTP_API_RESPONSE": "policy"}),
    "simple against policies": Trap(
        "payload-against-response", http(HTTP_AUTHORIZER.replace("EnableSimpleResponses: true, ", ""))
    ),
    "payload 1.0 with simple responses": Trap(
        "payload-against-response", plain_http(simple().replace('"2.0"', '"1.0"'))
    ),
    "JSON in a cached context": Trap("json-in-context", http(), {"HANKO_CONTEXT_CLAIMS": "groups=groups:json,a=a:b64"}),
    "AppSync without a TTL": Trap("appsync-ttl", appsync("")),
    "AppSync with a TTL that the answer replaces": Trap("appsync-ttl", appsync("AuthorizerResultTtlInSeconds: 300")),
    "AppSync with its whole log": Trap(
        "headers-in-log", appsync(more="LogConfig: {FieldLogLevel: ALL, CloudWatchLogsRoleArn: arn:aws:iam::1:role/x}")
    ),
    "a header where browsers have none": Trap("header-of-websocket", websocket("[route.request.header.Authorization]")),
}

WELL = {
    "SAM REST": rest(),
    "SAM REST for browsers": rest(more=f"{CORS}\n{READABLE}", auth=NO_PREFLIGHT_AUTH),
    "SAM HTTP": http(),
    "SAM HTTP for browsers": http(more="CorsConfiguration: {AllowOrigins: [https://app.example.com]}"),
    "CloudFormation": plain_http(simple()),
    "the invoke role": plain_http(simple(more="AuthorizerCredentialsArn: !ImportValue x-InvokeRoleArn"), permission=""),
    "a WebSocket API": websocket(),
    "AppSync": appsync(),
    "a route that is said to be open": rest().replace("Method: get", "Method: get, Auth: {Authorizer: NONE}"),
}


def findings(file: Path, trap: Trap = Trap("", "")) -> list[Finding]:  # noqa: B008 - a NamedTuple does not change
    template = read_template(file)
    settings = Settings.from_env({**REQUIRED, **trap.settings})
    rules = parse_rules(trap.rules) if trap.rules else None
    context = Context(template.permissions, settings, template.has_alias, trap.revokes, rules)
    return [*find_dropped(template), *find_traps(template.apis, context)]


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_a_trap_is_found_and_nothing_else(trap: Trap, tmp_path: Path) -> None:
    """With the place, the reason and the way out, none of them empty or too long."""
    file = tmp_path / "api.yaml"
    file.write_text(trap.template)
    found = findings(file, trap)
    assert [one.code for one in found] == [trap.code]
    assert found[0].where.startswith("api.yaml:")
    assert all(0 < len(text) < 250 for text in found[0])


def test_every_trap_has_a_template() -> None:
    """As many codes as functions that know one, and what only the written template shows."""
    assert {trap.code for trap in TRAPS.values()} == {
        *("no-permission", "wrong-alias", "simple-without-route-key", "dropped", "ssm-parameter", "ttl-beyond-logout"),
        *("ttl-beyond-max-age", "cookie-and-header", "cached-by-cookie", "no-cors-on-refusals", "open-route"),
        *("authorizer-on-preflight", "payload-against-response", "json-in-context", "appsync-ttl", "headers-in-log"),
        "header-of-websocket",
    }


@pytest.mark.parametrize("template", WELL.values(), ids=WELL)
def test_nothing_is_found_in_what_is_well(template: str, tmp_path: Path) -> None:
    file = tmp_path / "api.yaml"
    file.write_text(template)
    assert findings(file) == []


EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*.yaml") if "node_modules" not in path.parts)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT / "examples")))
def test_nothing_is_found_in_the_examples(file: Path) -> None:
    rules = parse_rules((ROOT / "examples" / "rules.toml").read_text())
    assert [(one.code, one.where) for one in findings(file)] == []
    template = read_template(file)
    context = Context(template.permissions, Settings.from_env(REQUIRED), template.has_alias, rules=rules)
    assert list(find_traps(template.apis, context)) == []


UNREADABLE = {
    "no YAML": ("a: [", "is no YAML"),
    "no template": ("a: 1", "it has no Resources"),
    "a list": ("- 1", "it has no Resources"),
    "a resource that is none": ("Resources: {A: 1}", "A is no resource"),
    "an intrinsic function of another shape": (
        "Resources: {A: {Type: AWS::ApiGateway::RestApi, Properties: {Name: {Fn::Sub: []}}}}",
        "cfn-lint says why",
    ),
    "a condition that is a circle": (
        "Conditions: {A: {Condition: A}}\nResources: {A: {Type: X, Condition: A}}",
        "cfn-lint says why",
    ),
    "SAM with an Auth that is a text": (rest().replace("Auth: {", "Auth: x\n      Tags: {"), "SAM cannot transform"),
    "what SAM refuses": (rest().replace("Method: get", "Methd: get"), "SAM cannot transform"),
}


@pytest.mark.parametrize(("text", "told"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_template_that_cannot_be_read_is_told(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "api.yaml"
    file.write_text(text)
    with pytest.raises(CommandFailed, match=told):
        read_template(file)


OPEN_API = """
openapi: 3.0.1
info: {{title: api, version: "1"}}
components:
  securitySchemes:
    hanko:
      type: apiKey
      name: Authorization
      in: header
      x-amazon-apigateway-authorizer: {{type: token, authorizerUri: "{uri}", authorizerCredentials: "{role}"}}
paths:
  /me: {{get: {{{security}}}}}
"""


@pytest.mark.parametrize(("security", "found"), [("security: [{hanko: []}]", []), ("tags: []", ["open-route"])])
def test_an_openapi_document_is_read_as_a_body(security: str, found: list[str], tmp_path: Path) -> None:
    file = tmp_path / "api.yaml"
    role = "arn:aws:iam::123456789012:role/invoke"
    file.write_text(OPEN_API.format(uri=URI.format(ALIAS), role=role, security=security))
    assert [one.code for one in findings(file)] == found


def test_a_parameter_that_the_template_does_not_have_is_told(tmp_path: Path) -> None:
    file = tmp_path / "api.yaml"
    file.write_text(rest())
    with pytest.raises(CommandFailed, match="has no parameter Other"):
        read_template(file, {"Other": "1"})
