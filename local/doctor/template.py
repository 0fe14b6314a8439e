"""Reads a template of CloudFormation or AWS SAM: SAM's own transform makes CloudFormation of it, and that is read.

An OpenAPI document is read as the body of an API.
"""

import copy
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]  # ships no types
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]  # ships no types

from local.command_line import CommandFailed
from local.doctor.api import APPSYNC, HTTP, REST, WEBSOCKET, Api, Authorizer, Function, Kind, Permission, Route
from local.doctor.api import function_of as parse_function
from local.doctor.intrinsics import Resolver, text

Json = Mapping[str, Any]

logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of metrics that it did not send
SAM = "AWS::Serverless-2016-10-31"
LOCAL_CODE = {  # what `sam package` puts there
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace", "x-amazon-apigateway-any-method"}
ONLY_HTTP = re.compile(r"authorizerPayloadFormatVersion|enableSimpleResponses|x-amazon-apigateway-cors")
ALLOW_ORIGIN = re.compile(r"(?:gatewayresponse\.header\.)?access-control-allow-origin", re.IGNORECASE)


class Template(NamedTuple):
    """What a template says: as it is written, as CloudFormation, and as APIs and permissions."""

    written: Json
    apis: tuple[Api, ...]
    permissions: tuple[Permission, ...]
    has_alias: Mapping[str, bool]  # of each function of its own
    where: "Places"


class Places:
    """Where a resource is written: `template.yaml:12 Api`."""

    def __init__(self, file: str, source: str) -> None:
        """`source` is the text of the file."""
        self.file, self._source = file, source

    def __call__(self, *names: str) -> str:
        """The place of the first of these names; the file alone if it was made by the transform."""
        found = re.search(rf'^\s*"?{re.escape(names[0])}"?\s*:', self._source, re.MULTILINE)
        line = f":{self._source.count(chr(10), 0, found.end()) + 1}" if found else ""
        return " ".join([f"{self.file}{line}", *names])


def read_template(file: Path, given: Mapping[str, str] | None = None) -> Template:
    """Read a template with these values of parameters. Raises `CommandFailed` for one that cannot be read."""
    source, written = _parsed(file)
    declared = written.get("Parameters") or {}
    parameters = {name: text(one["Default"]) for name, one in declared.items() if "Default" in one}
    unknown = sorted((given or {}).keys() - declared.keys())
    if unknown:
        raise CommandFailed(f"{file} has no parameter {unknown[0]}")
    parameters |= given or {}
    plain = transformed(file, written, parameters) if SAM in _transforms(written) else written
    try:
        return read_resources(plain, parameters, Places(file.name, source), written)
    except (AttributeError, TypeError, ValueError, LookupError, RecursionError):  # of a shape that AWS refuses as well
        raise CommandFailed(f"{file} cannot be read: CloudFormation would refuse it, cfn-lint says why") from None


def _parsed(file: Path) -> tuple[str, Json]:
    try:
        source = file.read_text("utf-8")
        written = yaml_parse(source)
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandFailed(f"{file} is no UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise CommandFailed(f"{file}{line} is no YAML: {getattr(error, 'problem', '') or 'wrong'}") from None
    if isinstance(written, Mapping) and ("openapi" in written or "swagger" in written):
        kind = "AWS::ApiGatewayV2::Api" if ONLY_HTTP.search(source) else "AWS::ApiGateway::RestApi"
        written = {"Resources": {"paths": {"Type": kind, "Properties": {"Body": written}}}}
    if not isinstance(written, Mapping) or not isinstance(written.get("Resources"), Mapping):
        raise CommandFailed(f"{file} is no template of CloudFormation or AWS SAM: it has no Resources")
    wrong = [name for name, one in written["Resources"].items() if not _is_resource(one)]
    if wrong:
        raise CommandFailed(f"{file}: {str(wrong[0])[:64]} is no resource: it must have Type and Properties")
    return source, written


def _is_resource(one: object) -> bool:
    return (
        isinstance(one, Mapping)
        and isinstance(one.get("Type"), str)
        and isinstance(one.get("Properties") or {}, Mapping)
        and isinstance(one.get("Condition", ""), str)
    )


def _transforms(written: Json) -> Sequence[str]:
    given = written.get("Transform", [])
    return given if isinstance(given, list) else [given]


class _ManagedPolicies:
    """The transform wants to look up names of policies, which nothing here reads."""

    def load(self) -> dict[str, str]:
        return {}


def transformed(file: Path, written: Json, parameters: Mapping[str, str]) -> Json:
    """SAM's transform. Raises `CommandFailed` with its own words."""
    whole: dict[str, Any] = copy.deepcopy(dict(written))
    for resource in whole["Resources"].values():
        properties = resource["Properties"] = resource.get("Properties") or {}
        code = LOCAL_CODE.get(resource["Type"])
        if code and "InlineCode" not in properties and properties.get("PackageType") != "Image":
            properties[code] = "s3://bucket/key"
        elif code and properties.get("PackageType") == "Image":
            properties["ImageUri"] = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/repository:tag"
        definition = properties.get("DefinitionUri")
        if not code and isinstance(definition, str) and not definition.startswith("s3:"):
            properties["DefinitionBody"] = _parsed_body(file.parent / properties.pop("DefinitionUri"))
    region = os.environ.get("AWS_DEFAULT_REGION")
    os.environ["AWS_DEFAULT_REGION"] = region or "eu-west-1"  # the transform wants one, whichever
    try:
        plain: Json = transform(whole, dict(parameters), _ManagedPolicies())
    except Exception as error:  # noqa: BLE001 - whatever it says is about the user's template
        causes = getattr(error, "causes", None) or [error]
        told = text(getattr(causes[0], "message", None) or str(causes[0])).splitlines()
        raise CommandFailed(f"SAM cannot transform {file}: {(told or ['no reason given'])[0][:300]}") from None
    finally:
        if region is None:
            del os.environ["AWS_DEFAULT_REGION"]
    return plain


def _parsed_body(file: Path) -> Json:
    try:
        body: Json = yaml_parse(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        raise CommandFailed(f"DefinitionUri {file} cannot be read") from None
    return body


# --- CloudFormation


def read_resources(plain: Json, parameters: Mapping[str, str], where: Places, written: Json) -> Template:
    """Read a template of CloudFormation."""
    resolver = Resolver(parameters, plain.get("Conditions") or {})
    resources = {
        name: {"Type": one.get("Type", ""), "Properties": resolver.resolve(one.get("Properties") or {})}
        for name, one in plain["Resources"].items()
        if resolver.holds(one.get("Condition", ""))
    }
    reader = _Reader(resources, where)
    known = list(reader.qualified.values())
    has_alias = {one.name: any(one.name == other.name and other.qualifier for other in known) for one in known}
    return Template(written, tuple(reader.apis()), tuple(reader.permissions()), has_alias, where)


class _Reader:
    """Reads resolved resources."""

    def __init__(self, resources: Mapping[str, Json], where: Places) -> None:
        self._resources, self._where = resources, where
        self.qualified: dict[str, Function] = {}
        for name, function in self._of("AWS::Lambda::Function"):
            self.qualified[name] = Function(text(function.get("FunctionName")) or name, "")
        for kind, qualifier in (("AWS::Lambda::Alias", "Name"), ("AWS::Lambda::Version", "")):
            for name, one in self._of(kind):
                owner = self._function(one.get("FunctionName")).name
                self.qualified[name] = Function(owner, text(one.get(qualifier)) or f"version {name}")

    def _of(self, *types: str) -> Iterator[tuple[str, Json]]:
        yield from ((name, one["Properties"]) for name, one in self._resources.items() if one["Type"] in types)

    def _function(self, given: object) -> Function:
        """The function that a reference, an ARN or a URI means."""
        function = parse_function(text(given))
        known = self.qualified.get(function.name)
        return known._replace(qualifier=function.qualifier or known.qualifier) if known else function

    def permissions(self) -> Iterator[Permission]:
        for name, one in self._of("AWS::Lambda::Permission"):
            source = text(one.get("SourceArn"))
            yield Permission(
                self._function(one.get("FunctionName")), text(one.get("Principal")), source, self._where(name)
            )

    def apis(self) -> Iterator[Api]:
        yield from self._rest()
        yield from self._v2()
        yield from self._appsync()

    # REST

    def _rest(self) -> Iterator[Api]:
        for name, properties in self._of("AWS::ApiGateway::RestApi"):
            api = Api(name, self._where(name), REST)
            api = self._with_body(api, properties.get("Body"))
            methods = [self._method(*one) for one in self._children(name, "AWS::ApiGateway::Method")]
            authorizers = [self._authorizer(*one, REST) for one in self._children(name, "AWS::ApiGateway::Authorizer")]
            readable = {
                text(one.get("ResponseType"))
                for _, one in self._children(name, "AWS::ApiGateway::GatewayResponse")
                if any(ALLOW_ORIGIN.fullmatch(header) for header in one.get("ResponseParameters") or {})
            }
            yield api._replace(
                authorizers=(*api.authorizers, *(one for one in authorizers if one)),
                routes=(*api.routes, *methods),
                readable=api.readable | readable,
            )

    def _children(self, api: str, kind: str) -> Iterator[tuple[str, Json]]:
        for name, properties in self._of(kind):
            if text(properties.get("RestApiId") or properties.get("ApiId")) in (f"${{{api}}}", f"${{{api}.ApiId}}"):
                yield name, properties

    def _method(self, name: str, one: Json) -> Route:
        resource = re.fullmatch(r"\$\{(\w+)(?:\.RootResourceId)?\}", text(one.get("ResourceId")))
        path = self._path(resource[1]) if resource else text(one.get("ResourceId"))
        return self._route(text(one.get("HttpMethod")), path, name, one)

    def _path(self, resource: str) -> str:
        """`/admin/{page}`, of the resources up to the API."""
        one = self._resources.get(resource, {})
        if one.get("Type") != "AWS::ApiGateway::Resource":
            return "/"
        parent = re.fullmatch(r"\$\{(\w+)(?:\.\w+)?\}", text(one["Properties"].get("ParentId")))
        above = self._path(parent[1]) if parent and parent[1] != resource else "/"
        return f"{above.rstrip('/')}/{text(one['Properties'].get('PathPart'))}"

    def _route(self, method: str, path: str, name: str, one: Json) -> Route:
        kind = one.get("AuthorizationType")
        authorizer = text(one.get("AuthorizerId")) if kind == "CUSTOM" else None if kind in (None, "NONE") else kind
        return Route(method, path, self._where(name), authorizer, is_said=kind is not None)

    def _authorizer(self, name: str, one: Json, kind: Kind) -> Authorizer | None:
        """A Lambda authorizer; None for one of Cognito's or JWT's."""
        if one.get("Type", one.get("AuthorizerType")) not in ("TOKEN", "REQUEST"):
            return None
        sources = one.get("IdentitySource")
        if one.get("Type") == "TOKEN" and not sources:
            sources = "method.request.header.Authorization"
        return Authorizer(
            key=f"${{{name}}}",
            where=self._where(name),
            kind=kind,
            function=self._function(one.get("AuthorizerUri")),
            has_role=bool(one.get("AuthorizerCredentials") or one.get("AuthorizerCredentialsArn")),
            ttl=_number(one.get("AuthorizerResultTtlInSeconds")),
            sources=_list(sources),
            payload=text(one.get("AuthorizerPayloadFormatVersion")),
            simple=text(one.get("EnableSimpleResponses")) == "true",
        )

    # HTTP and WebSocket

    def _v2(self) -> Iterator[Api]:
        for name, properties in self._of("AWS::ApiGatewayV2::Api"):
            kind = WEBSOCKET if properties.get("ProtocolType") == "WEBSOCKET" else HTTP
            api = Api(name, self._where(name), kind, cors=bool(properties.get("CorsConfiguration")))
            api = self._with_body(api, properties.get("Body"))
            routes = []
            for route, one in self._children(name, "AWS::ApiGatewayV2::Route"):
                method, _, path = text(one.get("RouteKey")).partition(" ")
                routes.append(self._route(method, path, route, one))
            authorizers = [
                self._authorizer(*one, kind) for one in self._children(name, "AWS::ApiGatewayV2::Authorizer")
            ]
            yield api._replace(
                authorizers=(*api.authorizers, *(one for one in authorizers if one)), routes=(*api.routes, *routes)
            )

    # OpenAPI, and what SAM makes of its own resources

    def _with_body(self, api: Api, body: object) -> Api:
        if not isinstance(body, Mapping):
            return api
        schemes = body.get("securityDefinitions") or (body.get("components") or {}).get("securitySchemes") or {}
        authorizers = {
            key: one for key, scheme in schemes.items() if (one := self._scheme(api, key, scheme)) is not None
        }
        routes = [
            self._operation(api, path, method, one, body.get("security"))
            for path, methods in (body.get("paths") or {}).items()
            for method, one in (methods or {}).items()
            if method in METHODS and isinstance(one, Mapping)
        ]
        responses = body.get("x-amazon-apigateway-gateway-responses") or {}
        readable = {
            kind
            for kind, one in responses.items()
            if any(ALLOW_ORIGIN.fullmatch(header) for header in one.get("responseParameters") or {})
        }
        return api._replace(
            authorizers=tuple(authorizers.values()),
            routes=tuple(routes),
            cors=api.cors or "x-amazon-apigateway-cors" in body,
            readable=frozenset(readable),
        )

    def _scheme(self, api: Api, key: str, scheme: Json) -> Authorizer | None:
        one = scheme.get("x-amazon-apigateway-authorizer") or {}
        if one.get("type") not in ("token", "request"):
            return None
        sources = one.get("identitySource")
        if one["type"] == "token" and not sources:
            sources = f"method.request.header.{scheme.get('name', 'Authorization')}"
        return Authorizer(
            key=key,
            where=f"{self._where(api.ref)}, authorizer {key}",
            kind=api.kind,
            function=self._function(one.get("authorizerUri")),
            has_role=bool(one.get("authorizerCredentials")),
            ttl=_number(one.get("authorizerResultTtlInSeconds")),
            sources=_list(sources),
            payload=text(one.get("authorizerPayloadFormatVersion")),
            simple=text(one.get("enableSimpleResponses")) == "true",
        )

    def _operation(self, api: Api, path: str, method: str, one: Json, default: object) -> Route:
        security = one.get("security", default)
        names = [name for each in security or [] for name in each if name not in ("NONE", "api_key")]
        verb = "ANY" if method.startswith("x-") else method.upper()
        verb, path = ("$default", "") if path in {"/$default", "$default"} else (verb, path)
        return Route(verb, path, self._where(api.ref), names[0] if names else None, is_said=security is not None)

    # AppSync

    def _appsync(self) -> Iterator[Api]:
        for name, one in self._of("AWS::AppSync::GraphQLApi"):
            providers = [one, *(one.get("AdditionalAuthenticationProviders") or [])]
            log = one.get("LogConfig") or {}
            logs = bool(log) and text(log.get("ExcludeVerboseContent")) != "true"
            yield from self._graphql(name, providers, logs_headers=logs and log.get("FieldLogLevel") != "NONE")
        for name, one in self._of("AWS::AppSync::Api"):
            config = one.get("EventConfig") or {}
            log = config.get("LogConfig") or {}
            yield from self._graphql(name, config.get("AuthProviders") or [], logs_headers=log.get("LogLevel") == "ALL")

    def _graphql(self, name: str, providers: Sequence[Json], *, logs_headers: bool) -> Iterator[Api]:
        configs = [one["LambdaAuthorizerConfig"] for one in providers if "LambdaAuthorizerConfig" in one]
        authorizers = tuple(
            Authorizer(
                "",
                self._where(name),
                APPSYNC,
                self._function(one.get("AuthorizerUri")),
                ttl=_number(one.get("AuthorizerResultTtlInSeconds")),
            )
            for one in configs
        )
        yield Api(name, self._where(name), APPSYNC, authorizers, logs_headers=logs_headers)


def _number(value: object) -> float | None:
    try:
        return None if value is None else float(text(value))
    except ValueError:  # a parameter without a value
        return None


def _list(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else text(value).split(",")
    return tuple(item for item in (text(one).strip() for one in items) if item)
