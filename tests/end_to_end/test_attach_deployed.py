"""What examples/attach/ shows, deployed into the local AWS and called: a good token, a bad one, and none."""

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from attaching import ATTACH, TOOLS, Json, synthesize, tools

from local.aws import REGION, LocalAws
from local.calls import Headers, Seen, call_http, call_websocket
from local.deployment import ALIAS, ROLE, Deployment

APIS = ("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api")
REST, HTTP = (200, 401, 401), (200, 403, 401)
WEBSOCKET = (101, 500, 500)  # 401 on AWS: see LOCAL_INSTEAD in local/demo.py
# File → the status with a good token, with a bad one, and without. sam-http.yaml is not here: the local AWS ignores the
# `Body` of an HTTP API.
EXPECTED = {
    "sam-rest.yaml": REST,
    "sam-websocket.yaml": WEBSOCKET,
    "cdk-rest.ts": REST,
    "cdk-http.ts": HTTP,
    "cdk-websocket.ts": WEBSOCKET,
    "openapi.yaml": REST,
    "cli-rest.sh": REST,
    "cli-http.sh": HTTP,
}


class Attached:
    """Each file in front of an API of its own."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self._deployment, self._folder = deployment, folder
        self._alias, self._role = deployment.outputs[ALIAS], deployment.outputs[ROLE]

    @property
    def aws(self) -> LocalAws:
        return self._deployment.aws

    def api(self, name: str) -> Callable[[Headers], Seen]:
        """Deploy a file, and return what calls its API."""
        kind, _, suffix = name.partition(".")
        ways = {"yaml": self._sam, "ts": self._cdk, "sh": self._cli}
        api_id = self._openapi(name) if kind == "openapi" else ways[suffix](name)
        if kind.endswith("websocket"):
            return lambda headers: call_websocket(self.aws.websocket_url(api_id, "v1"), headers)
        url = self.aws.http_url(api_id) if kind.endswith("http") else self.aws.rest_url(api_id, "v1")
        return lambda headers: call_http(f"{url}/me", headers)

    def _sam(self, name: str) -> str:
        stack = f"attach-{name.partition('.')[0]}"
        self.aws.deploy(ATTACH / name, stack, {ALIAS: self._alias, ROLE: self._role})
        return self._api_of(stack)

    def _cdk(self, name: str) -> str:
        """The exports are those of the stack that is deployed here."""
        folder = self._folder / name
        folder.mkdir()
        template = synthesize(ATTACH / name, folder, "Api").path
        template.write_text(template.read_text().replace("hanko-authorizer-", "authorizer-"))
        stack = f"attach-{name.partition('.')[0]}"
        self.aws.deploy(template, stack)
        return self._api_of(stack)

    def _api_of(self, stack: str) -> str:
        resources = self.aws.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
        (api,) = [one for one in resources if one["ResourceType"] in APIS]
        return str(api["PhysicalResourceId"])

    def _openapi(self, name: str) -> str:
        """As the `Body` of a template: the local AWS ignores what `import-rest-api` sends."""
        text = (ATTACH / name).read_text()
        for there, here in self._instead(yaml.safe_load(text)).items():
            text = text.replace(there, here)
        api, deployment = {"Ref": "Api"}, {"Ref": "Deployment"}
        resources = {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": yaml.safe_load(text)}},
            "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": api}},
            "Stage": {
                "Type": "AWS::ApiGateway::Stage",
                "Properties": {"RestApiId": api, "DeploymentId": deployment, "StageName": "v1"},
            },
        }
        template = self._folder / "openapi.json"
        template.write_text(json.dumps({"Resources": resources}))
        self.aws.deploy(template, "attach-openapi")
        return self._api_of("attach-openapi")

    def _instead(self, document: Json) -> dict[str, str]:
        """What the example names → what is deployed here."""
        authorizer = document["components"]["securitySchemes"]["hanko"]["x-amazon-apigateway-authorizer"]
        backend = document["paths"]["/me"]["get"]["x-amazon-apigateway-integration"]
        uris = {authorizer["authorizerUri"]: self._alias, backend["uri"]: self._backend()}
        functions = {uri.split("/functions/")[1].removesuffix("/invocations"): arn for uri, arn in uris.items()}
        return functions | {authorizer["authorizerCredentials"]: self._role}

    def _backend(self) -> str:
        """That of SAM's REST API."""
        functions = self.aws.client("lambda").list_functions()["Functions"]
        return next(str(one["FunctionArn"]) for one in functions if "attach-sam-rest" in one["FunctionName"])

    def _cli(self, name: str) -> str:
        """Run the script with the real `aws` against an API that is there and open."""
        api, variables = self._open_http() if name == "cli-http.sh" else self._open_rest()
        environment = {
            "PATH": f"{TOOLS / 'bin'}:/usr/bin:/bin",
            "API_ID": api,
            "AUTHORIZER_ARN": self._alias,
            "INVOKE_ROLE_ARN": self._role,
            "AWS_REGION": REGION,
            **self.aws.environment,
            **variables,
        }
        run = subprocess.run(  # noqa: S603 - our own example
            ["/bin/sh", ATTACH / name], env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        return api

    def _open_rest(self) -> tuple[str, dict[str, str]]:
        gateway = self.aws.client("apigateway")
        api = gateway.create_rest_api(name="open")["id"]
        (root,) = gateway.get_resources(restApiId=api)["items"]
        me = gateway.create_resource(restApiId=api, parentId=root["id"], pathPart="me")["id"]
        method = {"restApiId": api, "resourceId": me, "httpMethod": "GET"}
        gateway.put_method(**method, authorizationType="NONE")
        answer = {"application/json": '{"statusCode": 200}'}
        gateway.put_integration(**method, type="MOCK", requestTemplates=answer)
        gateway.put_method_response(**method, statusCode="200")
        gateway.put_integration_response(**method, statusCode="200")
        return api, {"RESOURCE_ID": me}

    def _open_http(self) -> tuple[str, dict[str, str]]:
        gateway = self.aws.client("apigatewayv2")
        api = gateway.create_api(Name="open", ProtocolType="HTTP")["ApiId"]
        integration = gateway.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=self._backend(), PayloadFormatVersion="2.0"
        )["IntegrationId"]
        route = gateway.create_route(ApiId=api, RouteKey="GET /me", Target=f"integrations/{integration}")
        gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
        return api, {"ROUTE_ID": route["RouteId"]}


@pytest.fixture(scope="module")
def apis(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What calls the API of each file. The first one has the backend of those that bring none."""
    tools()
    bootstrap = {"Name": "/cdk-bootstrap/hnb659fds/version", "Value": "30", "Type": "String"}
    deployment.aws.client("ssm").put_parameter(**bootstrap)  # what `cdk bootstrap` leaves in an account
    attached = Attached(deployment, tmp_path_factory.mktemp("attach"))
    first, *others = EXPECTED
    found = {first: attached.api(first)}
    with ThreadPoolExecutor(3) as pool:
        return found | dict(zip(others, pool.map(attached.api, others), strict=True))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_file_attaches_the_authorizer(deployment: Deployment, apis: dict[str, Any], name: str) -> None:
    good, bad = deployment.hanko.mint(), deployment.hanko.mint(claims={"aud": ["other.example.com"]})
    seen = tuple(apis[name](headers).status for headers in (bearer(good), bearer(bad), {}))
    assert seen == EXPECTED[name]


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}
