"""The open questions, each with what the authorizer and its documents assume.

Not run against AWS by us: we have no account. The first who runs it knows more than we do.
"""

import base64
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from websockets.sync.client import connect

from local.calls import CALL_SECONDS, Seen, call_http

LOG_SECONDS = 60  # until a line of a function can be read
Json = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where the deployed APIs are, and what reads the logs of the backend."""

    rest: str
    http: str
    websocket: str
    graphql: str
    events: tuple[str, str] | None  # the hosts of HTTP and WebSocket
    logs: Callable[[], str]

    def ask(self, url: str, wish: Json, token: str = "", **headers: str) -> Seen:
        """GET, with a token of its own unless one is given."""
        told = base64.b64encode(json.dumps(wish).encode()).decode()
        return call_http(url, {"Authorization": token or fresh(), "x-wish": told, **headers})


@dataclass(frozen=True)
class Question:
    """`assumed` is what the authorizer, or the document named, takes for granted; None: nothing depends on it."""

    text: str
    assumed: str | None
    where: str
    ask: Callable[[Place], str]


def fresh() -> str:
    """A token that no cache knows."""
    return uuid.uuid4().hex


def policy(path: str, **statements: list[str]) -> Callable[[Place], str]:
    """The status of a GET of that path under a policy of these resources, from the stage on."""
    return lambda place: str(place.ask(place.rest + path, {"policy": statements}).status)


def arn_of(api: str, path: str) -> Callable[[Place], str]:
    """The end of the ARN that the authorizer sees for that path."""

    def ask(place: Place) -> str:
        seen = place.ask(getattr(place, api) + path, {})
        arn = str(seen.caller.get("arn", ""))
        return arn.partition("/GET")[2] or f"status {seen.status}"

    return ask


def reused(api: str, first: str, second: str) -> Callable[[Place], str]:
    """Whether the second request with one token is answered from the cache."""

    def ask(place: Place) -> str:
        token = fresh()
        one, two = (place.ask(getattr(place, api) + path, {}, token) for path in (first, second))
        if (one.status, two.status) != (200, 200):
            return f"status {one.status}, then {two.status}"
        return "reused" if one.caller.get("id") == two.caller.get("id") else "asked again"

    return ask


def cached_policy_for_another_route(place: Place) -> str:
    token, wish = fresh(), {"policy": {"Allow": ["GET/kept/a"]}}
    statuses = [place.ask(f"{place.rest}/kept/{one}", wish, token).status for one in "ab"]
    return "{}, then {}".format(*statuses)


def cached_json(api: str) -> Callable[[Place], str]:
    def ask(place: Place) -> str:
        token, wish = fresh(), {"context": {"list": '["a","b"]', "name": 'say "hi"'}}
        seen = [place.ask(f"{getattr(place, api)}/kept/a", wish, token) for _ in range(2)]
        same = seen[0].caller == seen[1].caller and seen[0].caller.get("list") == '["a","b"]'
        return f"{seen[0].status}, then {seen[1].status}, {'the same context' if same else 'another context'}"

    return ask


def disconnected(place: Place) -> str:
    with connect(place.websocket, additional_headers={"Authorization": fresh()}, open_timeout=CALL_SECONDS):
        pass
    deadline = time.monotonic() + LOG_SECONDS
    while "DISCONNECT" not in (written := place.logs()):
        if time.monotonic() > deadline:
            return "no $disconnect in the log"
        time.sleep(2)
    return "there" if '"id"' in written.partition("DISCONNECT")[2].splitlines()[0] else "not there"


def _id_in(seen: Seen) -> str | None:
    """The id of the answer of GraphQL, whose only field is an object."""
    (told,) = (seen.caller.get("data") or {"": None}).values()
    return told["id"] if told else None


def graphql(first: str, second: str, wish: Json) -> Callable[[Place], str]:
    def ask(place: Place) -> str:
        told, token = base64.b64encode(json.dumps(wish).encode()).decode(), fresh()
        headers = {"Authorization": token, "x-wish": told}
        bodies = [json.dumps({"query": f"{{ {field} {{ id }} }}"}) for field in (first, second)]
        seen = [call_http(place.graphql, headers, body, method="POST") for body in bodies]
        ids = [_id_in(one) for one in seen]
        if None in ids:
            return f"status {seen[0].status}, then {seen[1].status}, no context"
        return "reused" if ids[0] == ids[1] else "asked again"

    return ask


def graphql_once(prefix: str, wish: Json) -> Callable[[Place], str]:
    """The status of one request whose token has this in front."""

    def ask(place: Place) -> str:
        told, body = base64.b64encode(json.dumps(wish).encode()).decode(), json.dumps({"query": "{ one { id } }"})
        headers = {"Authorization": prefix + fresh(), "x-wish": told}
        return str(call_http(place.graphql, headers, body, method="POST").status)

    return ask


def published(place: Place, channel: str, token: str, wish: Json) -> int:
    host = place.events[0] if place.events else ""
    told = base64.b64encode(json.dumps(wish).encode()).decode()
    body = json.dumps({"channel": channel, "events": ['"an event"']})
    return call_http(f"https://{host}/event", {"Authorization": token, "x-wish": told}, body, method="POST").status


def events_cache(place: Place) -> str:
    """The probe allows one channel, for five minutes."""
    token, wish = fresh(), {"ttl": 300, "only": "/ask/one"}
    first, second = (published(place, channel, token, wish) for channel in ("/ask/one", "/ask/two"))
    return f"{first}, then {second}"


def case_of_channels(place: Place) -> str:
    """Subscribe to /ask/room, publish to /ask/ROOM."""
    host, realtime = place.events or ("", "")
    headers: Mapping[str, str] = {"host": host, "Authorization": fresh()}
    encoded = base64.urlsafe_b64encode(json.dumps(headers).encode()).decode().rstrip("=")
    offered: Any = ["aws-appsync-event-ws", f"header-{encoded}"]  # the library has a type of its own for them
    with connect(f"wss://{realtime}/event/realtime", subprotocols=offered, open_timeout=CALL_SECONDS) as socket:
        socket.send('{"type": "connection_init"}')
        frame = {"type": "subscribe", "id": fresh(), "channel": "/ask/room", "authorization": headers}
        socket.send(json.dumps(frame))
        while json.loads(socket.recv(timeout=CALL_SECONDS))["type"] != "subscribe_success":
            pass
        status = published(place, "/ask/ROOM", fresh(), {})
        try:
            while json.loads(socket.recv(timeout=5))["type"] != "data":
                pass
        except TimeoutError:
            return f"{status}, not received"
        return f"{status}, received"


RULES, EVALUATION, APPSYNC = "docs/rules.md", "docs/decisions/whole-stage-policies.md", "docs/appsync.md"
SCOPE = "docs/decisions/scope-of-simple-responses.md"
EVERYWHERE = "arn:{partition}:execute-api:*:*:{stage}/GET/q/*"

QUESTIONS = [
    Question("Does * match slashes? Allow GET/q/*, GET /q/a/b", "200", EVALUATION, policy("/q/a/b", Allow=["GET/q/*"])),
    Question("Does * match colons? Allow GET/q/*, GET /q/a:b", "200", RULES, policy("/q/a:b", Allow=["GET/q/*"])),
    Question("Does * match a colon in a Deny?", "403", RULES, policy("/q/a:b", Allow=["*"], Deny=["GET/q/*"])),
    Question("Is a colon itself a character? Allow GET/q/a:b", "200", RULES, policy("/q/a:b", Allow=["GET/q/a:b"])),
    Question(
        "Does * match region and account in a Deny?", "403", RULES, policy("/q/a", Allow=["*"], Deny=[EVERYWHERE])
    ),
    Question(
        "Does the policy see an escape? Deny *%*", "403", RULES, policy("/q/caf%C3%A9", Allow=["*"], Deny=["*%*"])
    ),
    Question("Does it see an encoded slash? Deny *%*", "403", RULES, policy("/q/a%2Fb", Allow=["*"], Deny=["*%*"])),
    Question("Does it see an empty segment? Deny *//*", "403", RULES, policy("/q/a//b", Allow=["*"], Deny=["*//*"])),
    Question("Does it see a semicolon? Deny *;*", "403", RULES, policy("/q/a;b", Allow=["*"], Deny=["*;*"])),
    Question("Does it see a dot segment? Deny */../*", "403", RULES, policy("/q/x/../a", Allow=["*"], Deny=["*/../*"])),
    Question("Is a slash at the end another path? Allow GET/q/a", "403", RULES, policy("/q/a/", Allow=["GET/q/a"])),
    *(
        Question(f"The ARN of {path}, {api.upper()} API", assumed, RULES, arn_of(api, path))
        for api in ("rest", "http")
        for path, assumed in (
            ("/q/caf%C3%A9", "/q/caf%C3%A9"),
            ("/q/a%2Fb", "/q/a%2Fb"),
            ("/q/a//b", "/q/a//b"),
            ("/q/a;b", "/q/a;b"),
            ("/q/a:b", "/q/a:b"),
            ("/q/a/", "/q/a/"),
        )
    ),
    Question(
        "Is a cached policy applied to another route?", "200, then 403", EVALUATION, cached_policy_for_another_route
    ),
    Question("Simple response, header and route key: same key", "reused", SCOPE, reused("http", "/kept/a", "/kept/b")),
    Question("… another route key", "asked again", SCOPE, reused("http", "/kept/a", "/other")),
    Question("… header alone, another route", "reused", SCOPE, reused("http", "/alone/one", "/alone/two")),
    Question("… query ?t=a%20b, then ?t=a+b", None, SCOPE, reused("http", "/query?t=a%20b", "/query?t=a+b")),
    Question("… query ?t=a, then ?t=%61", None, SCOPE, reused("http", "/query?t=a", "/query?t=%61")),
    Question(
        "JSON in a cached context, HTTP API", "200, then 200, the same context", "docs/backend.md", cached_json("http")
    ),
    Question("… REST API", "200, then 200, the same context", "docs/backend.md", cached_json("rest")),
    Question("$context.authorizer on $disconnect", "there", "docs/connections.md", disconnected),
    Question("GraphQL, ttlOverride 60: another query", "reused", APPSYNC, graphql("one", "two", {"ttl": 60})),
    Question("… the same query", "reused", APPSYNC, graphql("one", "one", {"ttl": 60})),
    Question("… ttlOverride 0: the same query", "asked again", APPSYNC, graphql("one", "one", {"ttl": 0})),
    Question("… no ttlOverride, 0 for the API", "asked again", APPSYNC, graphql("one", "one", {})),
    Question("GraphQL, Hanko before the token", "200", APPSYNC, graphql_once("Hanko ", {})),
    Question("… Bearer before the token", None, APPSYNC, graphql_once("Bearer ", {})),
    Question("… the authorizer fails", "500", "docs/attach.md", graphql_once("", {"fail": True})),
]
OF_EVENTS = [
    Question("Events, ttlOverride 300: another channel", None, APPSYNC, events_cache),
    Question("Are channels told apart by case?", None, APPSYNC, case_of_channels),
]
