"""Finds what SAM's transform drops or misreads in silence, which only the template as written shows."""

from collections.abc import Iterator, Mapping
from typing import Any

from local.doctor.finding import Finding, wrong
from local.doctor.template import Template

Json = Mapping[str, Any]

# SAM's reference, of Lambda authorizers.
REST_KEYS = {
    "FunctionArn", "FunctionPayloadType", "FunctionInvokeRole", "Identity", "AuthorizationScopes",
    "DisableFunctionDefaultPermissions",
}  # fmt: skip
HTTP_KEYS = {
    "FunctionArn", "FunctionInvokeRole", "Identity", "AuthorizerPayloadFormatVersion", "EnableSimpleResponses",
    "EnableFunctionDefaultPermissions",
}  # fmt: skip
REST_IDENTITY = {
    "Header", "Headers", "QueryStrings", "StageVariables", "Context", "ValidationExpression", "ReauthorizeEvery",
}  # fmt: skip
HTTP_IDENTITY = {"Headers", "QueryStrings", "StageVariables", "Context", "ReauthorizeEvery"}
KNOWN = {"AWS::Serverless::Api": (REST_KEYS, REST_IDENTITY), "AWS::Serverless::HttpApi": (HTTP_KEYS, HTTP_IDENTITY)}


def find_dropped(template: Template) -> Iterator[Finding]:
    """Members of SAM's authorizers that go nowhere."""
    shared = template.written.get("Globals") or {}
    for name, resource in template.written["Resources"].items():
        kind = resource["Type"]
        if kind in KNOWN:
            inherited = shared.get(kind.rpartition(":")[2]) or {}
            for properties in (inherited, resource.get("Properties") or {}):
                auth = properties.get("Auth") or {}
                authorizers = auth.get("Authorizers") if isinstance(auth, Mapping) else None
                yield from _of_api(template, name, kind, authorizers if isinstance(authorizers, Mapping) else {})


def _of_api(template: Template, api: str, kind: str, authorizers: Json) -> Iterator[Finding]:
    keys, identity = KNOWN[kind]
    for name, one in authorizers.items():
        if not isinstance(one, Mapping) or "FunctionArn" not in one:
            continue
        where = f"{template.where(api)}, authorizer {name}"
        identity_given = one.get("Identity")
        given = identity_given if isinstance(identity_given, Mapping) else {}
        yield from (_dropped(where, key, identity) for key in one if key not in keys)
        yield from (_dropped(where, f"Identity.{key}", identity) for key in given if key not in identity)
        if kind == "AWS::Serverless::Api":
            yield from _names_of_parameters(template, where, one["FunctionArn"])
            yield from _no_number(where, given.get("ReauthorizeEvery"))


def _dropped(where: str, key: str, identity: set[str]) -> Finding:
    if key.rpartition(".")[2] == "ReauthorizeEvery":
        what, why = "ReauthorizeEvery is beside Identity, not in it", "Answers are cached for 300 s, whatever it says."
        return wrong("dropped", where, f"{what}: SAM drops it in silence", why, "Identity: {ReauthorizeEvery: ...}")
    near = f"Identity.{key}" if key in identity else "one of SAM's own names"
    why = "It has no effect, and neither SAM nor CloudFormation says so."
    return wrong("dropped", where, f"{key} is no member that SAM knows here, and it drops it", why, f"Write {near}.")


def _no_number(where: str, given: object) -> Iterator[Finding]:
    if isinstance(given, str) and not given.strip().isdigit():
        why = "SAM passes it on, and API Gateway takes it for no number."
        yield wrong("dropped", where, f"ReauthorizeEvery is the text {given[:20]!a}", why, "Write a number of seconds.")


def _names_of_parameters(template: Template, where: str, arn: object) -> Iterator[Finding]:
    """SAM puts the value of a parameter into the URI, and of this type it knows the parameter's name alone."""
    name = arn.get("Ref") if isinstance(arn, Mapping) else None
    declared = (template.written.get("Parameters") or {}).get(name) or {}
    if str(declared.get("Type", "")).startswith("AWS::SSM::Parameter::Value"):
        yield wrong(
            "ssm-parameter",
            where,
            f"FunctionArn is the parameter {name}, whose type is an SSM one",
            "SAM writes the SSM parameter's name in place of the ARN: the stack deploys, and every request is a 500.",
            "FunctionArn: '{{resolve:ssm:/the/name}}', or a parameter of type String.",
        )
