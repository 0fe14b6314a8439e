"""Everything up at once: the stand-in Hanko, the local AWS, the authorizer, and the example APIs attached to it."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]  # ships no types

from local.aws import EXAMPLE_RULES, REGION, LocalAws
from local.build import ROOT
from local.calls import Headers, Seen, call_graphql, call_http, call_websocket
from local.event_api import EventApi
from local.faults import pack_keys
from local.hanko import StandInHanko
from local.sign import event_with

SUBPROTOCOL = "hanko"  # both other places for the token of a WebSocket are switched on
QUERY_PARAMETER = "token"
ALIAS, ROLE = "AuthorizerArn", "InvokeRoleArn"

# The questions to a backend and to AppSync. A WebSocket has one: to connect.
ROUTES = {"me": ("GET", "/me"), "web": ("GET", "/web/me"), "admin": ("GET", "/admin/x"), "pay": ("POST", "/payments")}
FIELDS = {"me": ("query", "me"), "web": ("query", "me"), "admin": ("query", "admin"), "pay": ("mutation", "pay")}


@dataclass(frozen=True)
class Api:
    """One API as its clients see it. `web` is `me` where a cookie may carry the token, `scheme` stands before it."""

    name: str
    url: str
    ask: Callable[[str, Headers], Seen]
    answers: tuple[str, ...] = ("me", "admin", "pay")
    scheme: str = "Bearer"

    def with_header(self, token: str, what: str = "me") -> Seen:
        return self.ask(what, {"Authorization": f"{self.scheme} {token}"})

    def with_cookie(self, token: str) -> Seen:
        return self.ask("web", {"Cookie": f"theme=dark; hanko={token}"})

    def without(self, _token: str = "") -> Seen:
        return self.ask("me", {})


def http_api(name: str, url: str) -> Api:
    """A REST API's stage or an HTTP API, with the routes of the backends."""

    def ask(what: str, headers: Headers) -> Seen:
        method, path = ROUTES[what]
        return call_http(url + path, headers, method=method)

    return Api(name, url, ask)


class Deployment:
    """A context manager. `progress` is called with each step."""

    def __init__(
        self,
        progress: Callable[[str], None],
        *,
        rules: str = EXAMPLE_RULES,
        tls: bool = False,
        origin: str = "https://app.example.com",
        **settings: str,
    ) -> None:
        """`rules` is the file to deploy, `tls` gives Hanko https, `settings` are parameters of template.yaml.

        Pages of `origin` may call the APIs.
        """
        self._progress, self.rules, self._settings, self._stack = progress, rules, settings, ExitStack()
        self._tls, self.origin = tls, origin

    def __enter__(self) -> Self:
        """Start and deploy. If something fails, everything is stopped again."""
        with ExitStack() as stack:
            self.hanko = stack.enter_context(StandInHanko(tls=self._tls, allow_origins=[self.origin]))
            self._progress("Starting the local AWS")
            self.aws = stack.enter_context(LocalAws(self.rules, self.hanko.ca_file))
            pack_keys(self.aws, self.hanko)
            self._progress(f"The authorizer, with {self.rules}: sam build, sam deploy")
            self.outputs = self.deploy_authorizer("authorizer", **self._settings)
            self._progress(
                "The APIs in front of it, with Flask, Django and FastAPI behind: sam build, sam deploy, seven times"
            )
            examples = (
                *(self._rest_token, self._rest_request, self._http_api_1, self._http_api_2),
                *(self._websocket, self._appsync, self._appsync_events),
            )
            with ThreadPoolExecutor() as pool:
                deployed: Iterable[Api] = pool.map(lambda deploy: deploy(), examples)
                try:
                    self.apis = {api.name: api for api in deployed}
                except BaseException:
                    self.aws.stop()  # with every `sam deploy`, for which the pool would wait
                    raise
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def new_sandbox(self) -> None:
        """The next call of the authorizer is a cold start."""
        self.aws.new_sandbox(self.outputs[ALIAS])

    def deploy_authorizer(self, stack: str, **settings: str) -> dict[str, str]:
        """An authorizer of its own; `settings` are parameters of template.yaml."""
        parameters = {
            "HankoApiUrl": self.hanko.url,
            "HankoAudience": "localhost",
            "HankoWebsocketSubprotocol": SUBPROTOCOL,
            "HankoWebsocketQueryParameter": QUERY_PARAMETER,
            "Architecture": "x86_64",  # has no effect: the artifact is built for this machine
            **settings,
        }
        return self.aws.deploy("template.yaml", stack, parameters)

    def deploy_http_api(self, name: str, authorizer: Mapping[str, str], **parameters: str) -> Api:
        """examples/http-api.yaml in front of that authorizer."""
        given = {ALIAS: authorizer[ALIAS], ROLE: authorizer[ROLE], "AllowedOrigin": self.origin, **parameters}
        stack = name.lower().replace(" ", "-").replace(".", "-")
        outputs = self.aws.deploy("examples/http-api.yaml", stack, given)
        self._configure_cors(outputs["ApiId"])
        return http_api(name, self.aws.http_url(outputs["ApiId"]))

    def _configure_cors(self, api_id: str) -> None:
        """MiniStack's CloudFormation stores CorsConfiguration under names that its HTTP APIs never read."""
        template = yaml_parse((ROOT / "examples" / "http-api.yaml").read_text())
        settings = template["Resources"]["Api"]["Properties"]["CorsConfiguration"]
        origins = [self.origin if one == {"Ref": "AllowedOrigin"} else one for one in settings["AllowOrigins"]]
        cors = {**settings, "AllowOrigins": origins}
        self.aws.client("apigatewayv2").update_api(ApiId=api_id, CorsConfiguration=cors)

    def _example(self, name: str, **parameters: str) -> dict[str, str]:
        given = {ALIAS: self.outputs[ALIAS], **parameters}
        return self.aws.deploy(f"examples/{name}.yaml", name, given)

    def _rest_token(self) -> Api:
        outputs = self._example("rest-token", AccessLog="true", AllowedOrigin=self.origin)
        return http_api("REST, TOKEN", self.aws.rest_url(outputs["ApiId"], outputs["StageName"]))

    def _rest_request(self) -> Api:
        outputs = self._example("rest-request", AccessLog="true", AllowedOrigin=self.origin)
        return http_api("REST, REQUEST", self.aws.rest_url(outputs["ApiId"], outputs["StageName"]))

    def _http_api_1(self) -> Api:
        return self.deploy_http_api("HTTP API 1.0", self.outputs, Payload="1.0")

    def _http_api_2(self) -> Api:
        response = self._settings.get("HankoHttpApiResponse", "simple")
        return self.deploy_http_api("HTTP API 2.0", self.outputs, Response=response)

    def _websocket(self) -> Api:
        outputs = self._example("websocket", AccessLog="true", RouteResponses="false", AllowedOrigin=self.origin)
        url = self.aws.websocket_url(outputs["ApiId"], outputs["StageName"])
        return Api("WebSocket", url, lambda _, headers: call_websocket(url, headers), ("me",))

    def _appsync(self) -> Api:
        api_id = self._example("appsync")["ApiId"]
        url = self.aws.appsync_url(api_id)

        def ask(what: str, headers: Headers) -> Seen:
            """The local AWS does not know denied fields, so they are read from the authorizer's own answer."""
            operation, name = FIELDS[what]
            seen = call_graphql(url, headers, operation, name)
            denied = seen.caller and self._is_denied(f"{operation.title()}/fields/{name}", api_id, headers)
            return Seen(403, is_read=True) if denied else seen

        return Api("AppSync", url, ask, scheme="Hanko")

    def _appsync_events(self) -> Api:
        self.events = EventApi(self.aws, "appsync-events", self.outputs[ALIAS])

        def ask(_: str, headers: Headers) -> Seen:
            """No backend is called for a connection, so the caller is read from the authorizer's own answer."""
            status, token = self.events.ask("CONNECT", headers), headers.get("Authorization", "")
            answer = self.aws.invoke(self.outputs[ALIAS], event_with("appsync_events_connect", token)) if token else {}
            return Seen(status, answer.get("handlerContext") or {})

        return Api("AppSync Events", self.events.url, ask, ("me",), "Hanko")

    def _is_denied(self, field: str, api_id: str, headers: Headers) -> bool:
        """Whether the authorizer's answer to the event that AWS documents denies this field of the API."""
        event = event_with("appsync", headers["Authorization"])
        event["requestContext"]["apiId"] = api_id
        answer = self.aws.invoke(self.outputs[ALIAS], event)
        account = event["requestContext"]["accountId"]
        arn = f"arn:aws:appsync:{REGION}:{account}:apis/{api_id}/types/{field}"
        return arn in answer.get("deniedFields", ())
