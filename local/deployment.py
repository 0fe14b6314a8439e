"""Everything up at once: the stand-in Hanko, the local AWS, the authorizer, and the example APIs attached to it."""

import http.client
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from local.aws import LocalAws
from local.hanko import StandInHanko

CALL_SECONDS = 30
SUBPROTOCOL = "hanko"  # what a WebSocket may carry its token in is switched on here, for show
QUERY_PARAMETER = "token"
ALIAS, ROLE = "AuthorizerArn", "InvokeRoleArn"

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Seen:
    """What came back: the status, and what the backend says it was told about the caller."""

    status: int
    caller: Mapping[str, Any] = field(default_factory=dict)
    headers: Headers = field(default_factory=dict)


@dataclass(frozen=True)
class Api:
    """One API as its clients see it."""

    name: str
    url: str
    call: Callable[[str, Headers], Seen]
    cookie_url: str = ""  # where a cookie may carry the token, if not at `url`

    def with_header(self, token: str) -> Seen:
        return self.call(self.url, {"Authorization": f"Bearer {token}"})

    def with_cookie(self, token: str) -> Seen:
        return self.call(self.cookie_url or self.url, {"Cookie": f"theme=dark; hanko={token}"})

    def without(self, _token: str = "") -> Seen:
        return self.call(self.url, {})


class Deployment:
    """A context manager; `progress` is told what is being done."""

    def __init__(self, progress: Callable[[str], None], **settings: str) -> None:
        """`settings` are further parameters of template.yaml."""
        self._progress, self._settings, self._stack = progress, settings, ExitStack()

    def __enter__(self) -> Self:
        """Start and deploy; what fails half-way is taken down again."""
        with ExitStack() as stack:
            self.hanko = stack.enter_context(StandInHanko())
            self._progress("Starting the local AWS")
            self.aws = stack.enter_context(LocalAws())
            self._progress("The authorizer: sam build, sam deploy")
            self.outputs = self.aws.deploy("template.yaml", "authorizer", self._parameters())
            self._progress("The APIs in front of it: sam deploy, five times")
            examples = (self._rest_token, self._rest_request, self._http_api, self._websocket, self._appsync)
            with ThreadPoolExecutor() as pool:
                self.apis = {api.name: api for api in pool.map(lambda deploy: deploy(), examples)}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def new_sandbox(self) -> None:
        """The next call of the authorizer is a cold start."""
        self.aws.new_sandbox(self.outputs[ALIAS])

    def _parameters(self) -> dict[str, str]:
        return {
            "HankoApiUrl": self.hanko.url,
            "HankoAudience": "localhost",
            "HankoWebsocketSubprotocol": SUBPROTOCOL,
            "HankoWebsocketQueryParameter": QUERY_PARAMETER,
            "Architecture": "x86_64",  # the artifact is built for this machine whatever stands here
            **self._settings,
        }

    def _example(self, name: str, **parameters: str) -> dict[str, str]:
        given = {ALIAS: self.outputs[ALIAS], **parameters}
        return self.aws.deploy(f"examples/{name}.yaml", name, given)

    def _rest_token(self) -> Api:
        outputs = self._example("rest-token")
        url = self.aws.rest_url(outputs["ApiId"], outputs["StageName"])
        return Api("REST, TOKEN", f"{url}/me", call_http)

    def _rest_request(self) -> Api:
        outputs = self._example("rest-request")
        url = self.aws.rest_url(outputs["ApiId"], outputs["StageName"])
        return Api("REST, REQUEST", f"{url}/me", call_http)

    def _http_api(self) -> Api:
        response = self._settings.get("HankoHttpApiResponse", "simple")
        outputs = self._example("http-api", Response=response, InvokeRoleArn=self.outputs[ROLE])
        url = self.aws.http_url(outputs["ApiId"])
        return Api("HTTP API", f"{url}/me", call_http, cookie_url=f"{url}/web/me")

    def _websocket(self) -> Api:
        outputs = self._example("websocket", RouteResponses="false")
        return Api("WebSocket", self.aws.websocket_url(outputs["ApiId"], outputs["StageName"]), call_websocket)

    def _appsync(self) -> Api:
        outputs = self._example("appsync")
        return Api("AppSync", self.aws.appsync_url(outputs["ApiId"]), call_graphql)


def call_http(url: str, headers: Headers, body: str | None = None) -> Seen:
    """GET, or POST with a body. A body that is no JSON object tells nothing about the caller."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=CALL_SECONDS)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("POST" if body else "GET", path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return Seen(response.status, _object(response.read()), dict(response.getheaders()))
    finally:
        connection.close()


def call_graphql(url: str, headers: Headers) -> Seen:
    """The query that asks the backend who is calling."""
    seen = call_http(url, headers, json.dumps({"query": "{ me { userId email expiresAt } }"}))
    me = (seen.caller.get("data") or {}).get("me") or {}
    caller = {"user_id": me.get("userId"), "email": me.get("email"), "expires_at": me.get("expiresAt")} if me else {}
    return Seen(seen.status, caller, seen.headers)


def call_websocket(url: str, headers: Headers, subprotocols: list[str] | None = None) -> Seen:
    """Connect, and ask the backend who is calling; 101 is success."""
    offered: Any = subprotocols  # the library has a type of its own for them
    try:
        with connect(url, additional_headers=dict(headers), subprotocols=offered, open_timeout=CALL_SECONDS) as socket:
            socket.send('{"action": "me"}')
            answer = socket.recv(timeout=CALL_SECONDS)
            return Seen(101, _object(answer), {"Sec-WebSocket-Protocol": socket.subprotocol or ""})
    except InvalidStatus as refused:
        return Seen(refused.response.status_code)


def _object(body: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
