"""Reads the APIs of a deployed stack from AWS itself, whoever changed them since."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from local.command_line import CommandFailed
from local.doctor.api import APPSYNC, HTTP, REST, WEBSOCKET, Api, Authorizer, Function, Kind, Permission, Route
from local.doctor.api import function_of as parse_function
from local.doctor.finding import Finding, look
from local.stack import Aws

KINDS = {
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGatewayV2::Api",
    "AWS::AppSync::GraphQLApi",
    "AWS::AppSync::Api",
}
LAMBDA_TYPES = ("TOKEN", "REQUEST")
ALLOW_ORIGIN = "gatewayresponse.header.access-control-allow-origin"

Json = Any  # an answer of AWS's


class Deployed(NamedTuple):
    """What AWS says: the APIs, who may invoke their authorizers, and the policies that could not be read."""

    apis: tuple[Api, ...]
    permissions: tuple[Permission, ...]
    unreadable: tuple[Finding, ...]


def read_stack(aws: Aws, name: str) -> Deployed:
    """Read the APIs of a stack. Raises `CommandFailed` if there is no such stack."""
    pages = aws.client("cloudformation").get_paginator("list_stack_resources")
    try:
        resources = [one for page in pages.paginate(StackName=name) for one in page["StackResourceSummaries"]]
    except ClientError as error:
        if "does not exist" not in error.response["Error"].get("Message", ""):
            raise
        raise CommandFailed(f"there is no stack {name} in this account, {aws.region}") from None
    apis = tuple(read_api(aws, one["ResourceType"], one["PhysicalResourceId"]) for one in resources if _is_api(one))
    functions = {one.function: one for api in apis for one in api.authorizers if not one.has_role}
    permissions: list[Permission] = []
    unreadable: list[Finding] = []
    for function, authorizer in functions.items():
        try:
            permissions += read_permissions(aws, function)
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            unreadable.append(_unreadable(authorizer, code))
            permissions += [Permission(function, api.kind.principal, "", "unknown") for api in apis]
    return Deployed(apis, tuple(permissions), tuple(unreadable))


def _is_api(resource: Json) -> bool:
    return resource["ResourceType"] in KINDS and resource.get("PhysicalResourceId")


def _unreadable(authorizer: Authorizer, code: str) -> Finding:
    return look(
        "policy-unreadable",
        authorizer.where,
        f"who may invoke {authorizer.function.name} cannot be read ({code})",
        "Without a permission for this API every request is a 500.",
        "Ask with credentials of the function's account that have lambda:GetPolicy.",
    )


def read_api(aws: Aws, kind: str, physical_id: str) -> Api:
    """One API, by CloudFormation's type and id."""
    if kind == "AWS::ApiGateway::RestApi":
        return _rest(aws.client("apigateway"), physical_id)
    if kind == "AWS::ApiGatewayV2::Api":
        return _v2(aws.client("apigatewayv2"), physical_id)
    api_id = physical_id.rpartition("/")[2]  # of an ARN
    client = aws.client("appsync")
    if kind == "AWS::AppSync::Api":
        config = client.get_api(apiId=api_id)["api"].get("eventConfig", {})
        logs = config.get("logConfig", {}).get("logLevel") == "ALL"
        return _appsync(api_id, config.get("authProviders", []), logs_headers=logs)
    api = client.get_graphql_api(apiId=api_id)["graphqlApi"]
    log = api.get("logConfig", {})
    logs = log.get("fieldLogLevel", "NONE") != "NONE" and not log.get("excludeVerboseContent")
    return _appsync(api_id, [api, *api.get("additionalAuthenticationProviders", [])], logs_headers=logs)


# --- REST


def _rest(client: Any, api_id: str) -> Api:  # noqa: ANN401 - boto3 makes its clients' methods at run time
    authorizers = [
        _authorizer(REST, api_id, one["id"], one, one.get("identitySource"))
        for one in _pages(client, "get_authorizers", "items", api_id)
        if one["type"] in LAMBDA_TYPES
    ]
    resources = client.get_paginator("get_resources").paginate(restApiId=api_id, embed=["methods"])
    routes = [
        _route(method, resource["path"], f"{REST.name} {api_id}", one)
        for page in resources
        for resource in page["items"]
        for method, one in resource.get("resourceMethods", {}).items()
    ]
    readable = {
        one["responseType"]
        for one in _pages(client, "get_gateway_responses", "items", api_id)
        if not one.get("defaultResponse") and ALLOW_ORIGIN in map(str.lower, one.get("responseParameters", {}))
    }
    where = f"{REST.name} {api_id}"
    return Api(api_id, where, REST, tuple(authorizers), tuple(routes), readable=frozenset(readable), is_deployed=True)


def _pages(client: Any, operation: str, member: str, api_id: str) -> Iterator[Json]:  # noqa: ANN401 - as above
    """Every item; not every one of these has a paginator in every version."""
    position: dict[str, str] = {}
    while True:
        page = getattr(client, operation)(restApiId=api_id, **position)
        yield from page.get(member, [])
        if not page.get("position"):
            return
        position = {"position": page["position"]}


def _route(method: str, path: str, where: str, one: Json) -> Route:
    """AWS does not tell an open route from a forgotten one."""
    kind = one.get("authorizationType", one.get("AuthorizationType", "NONE"))
    authorizer = one.get("authorizerId", one.get("AuthorizerId")) or kind
    return Route(method, path, where, None if kind == "NONE" else authorizer, is_said=False)


def _authorizer(kind: Kind, api_id: str, key: str, one: Json, sources: object) -> Authorizer:
    given = {name[:1].lower() + name[1:]: value for name, value in one.items()}  # the two services differ in case
    items = sources if isinstance(sources, list) else str(sources or "").split(",")
    ttl = given.get("authorizerResultTtlInSeconds")
    return Authorizer(
        key=key,
        where=f"{kind.name} {api_id}, authorizer {given.get('name', key)}",
        kind=kind,
        function=parse_function(given.get("authorizerUri", "")),
        has_role=bool(given.get("authorizerCredentials") or given.get("authorizerCredentialsArn")),
        ttl=None if ttl is None else float(ttl),
        sources=tuple(item.strip() for item in items if item.strip()),
        payload=given.get("authorizerPayloadFormatVersion", ""),
        simple=bool(given.get("enableSimpleResponses")),
    )


# --- HTTP, WebSocket, AppSync


def _v2(client: Any, api_id: str) -> Api:  # noqa: ANN401 - as above
    api = client.get_api(ApiId=api_id)
    kind = WEBSOCKET if api["ProtocolType"] == "WEBSOCKET" else HTTP
    where = f"{kind.name} {api_id}"
    authorizers = [
        _authorizer(kind, api_id, one["AuthorizerId"], one, one.get("IdentitySource"))
        for one in _items(client, "get_authorizers", api_id)
        if one["AuthorizerType"] in LAMBDA_TYPES
    ]
    routes = []
    for one in _items(client, "get_routes", api_id):
        method, _, path = one["RouteKey"].partition(" ")
        routes.append(_route(method, path, where, one))
    cors = bool(api.get("CorsConfiguration"))
    return Api(api_id, where, kind, tuple(authorizers), tuple(routes), cors, is_deployed=True)


def _items(client: Any, operation: str, api_id: str) -> Iterator[Json]:  # noqa: ANN401 - as above
    token: dict[str, str] = {}
    while True:
        page = getattr(client, operation)(ApiId=api_id, **token)
        yield from page["Items"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _appsync(api_id: str, providers: Sequence[Json], *, logs_headers: bool) -> Api:
    where = f"{APPSYNC.name} {api_id}"
    configs = [one["lambdaAuthorizerConfig"] for one in providers if "lambdaAuthorizerConfig" in one]
    authorizers = tuple(_authorizer(APPSYNC, api_id, "", one, None) for one in configs)
    return Api(api_id, where, APPSYNC, authorizers, logs_headers=logs_headers, is_deployed=True)


# --- who may invoke


def read_permissions(aws: Aws, function: Function) -> Iterator[Permission]:
    """The permissions of this alias, then those of the function without it, which do not count for the alias."""
    for qualifier in dict.fromkeys((function.qualifier or "", "")):
        for statement in _statements(aws, function.name, qualifier):
            service = statement.get("Principal", {})
            principal = service.get("Service", "") if isinstance(service, dict) else str(service)
            source = _source(statement.get("Condition", {}))
            of = Function(function.name, qualifier)
            yield Permission(of, principal, source, f"the policy of {function.name}")


def _statements(aws: Aws, name: str, qualifier: str) -> Sequence[Json]:
    which = {"Qualifier": qualifier} if qualifier else {}
    try:
        policy = aws.client("lambda").get_policy(FunctionName=name, **which)["Policy"]
    except ClientError as error:
        if error.response["Error"].get("Code") == "ResourceNotFoundException":  # no function, or no policy
            return []
        raise
    allowed: list[Json] = [one for one in json.loads(policy)["Statement"] if one.get("Effect") == "Allow"]
    return allowed


def _source(condition: Json) -> str:
    for values in condition.values():
        for name, value in values.items():
            if name.lower() == "aws:sourcearn":
                return value[0] if isinstance(value, list) else str(value)
    return ""
