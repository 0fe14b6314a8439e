"""The authorizer and every example behind it, deployed into a local AWS."""

import platform
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from local.aws import LocalAws

# What the sample events of events/ use as well.
SUBPROTOCOL = "hanko"
QUERY_PARAMETER = "token"


@dataclass(frozen=True, slots=True)
class Stacks:
    """The outputs of the authorizer's stack, and the base URL of each example."""

    authorizer: dict[str, str]
    rest_token: str
    rest_request: str
    http_api: str
    websocket: str
    appsync: str


def deploy(
    aws: LocalAws,
    hanko_url: str,
    audience: str,
    settings: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Stacks:
    """Build and deploy the authorizer, then the examples side by side; `say` hears what is going on."""
    say("building the artifact (sam build)")
    aws.build()
    say("deploying the authorizer (sam deploy)")
    parameters = {
        "HankoApiUrl": hanko_url,
        "HankoAudience": audience,
        "HankoWebsocketSubprotocol": SUBPROTOCOL,
        "HankoWebsocketQueryParameter": QUERY_PARAMETER,
        "Architecture": "x86_64" if platform.machine() == "x86_64" else "arm64",
        **(settings or {}),
    }
    authorizer = aws.deploy("template.yaml", "authorizer", parameters)
    say("deploying five APIs behind it (sam deploy)")
    return _deploy_examples(aws, authorizer, parameters.get("HankoHttpApiResponse", "simple"))


def _deploy_examples(aws: LocalAws, authorizer: dict[str, str], http_api_response: str) -> Stacks:
    parameters = {
        "rest-token": {},
        "rest-request": {},
        "http-api": {"InvokeRoleArn": authorizer["InvokeRoleArn"], "Response": http_api_response},
        "websocket": {"RouteResponses": "false"},
        "appsync": {},
    }

    def api_id(name: str) -> str:
        given = {"AuthorizerArn": authorizer["AuthorizerArn"], **parameters[name]}
        return aws.deploy(f"examples/{name}.yaml", name, given)["ApiId"]

    with ThreadPoolExecutor(len(parameters)) as pool:
        apis = dict(zip(parameters, pool.map(api_id, parameters), strict=True))
    return Stacks(
        authorizer,
        rest_token=aws.rest_url(apis["rest-token"], "v1"),
        rest_request=aws.rest_url(apis["rest-request"], "v1"),
        http_api=aws.http_url(apis["http-api"]),
        websocket=aws.websocket_url(apis["websocket"], "v1"),
        appsync=aws.appsync_url(apis["appsync"]),
    )
