"""An API as the doctor sees it, whether it was read from a template or from AWS."""

import fnmatch
import re
from typing import NamedTuple

REST_TTL_SECONDS = HTTP_TTL_SECONDS = 300  # what API Gateway takes where nothing is said


class Kind(NamedTuple):
    """The name of a kind of API, and the service that calls the authorizer for it."""

    name: str
    principal: str = "apigateway.amazonaws.com"


REST, HTTP, WEBSOCKET = Kind("REST API"), Kind("HTTP API"), Kind("WebSocket API")
APPSYNC = Kind("AppSync API", "appsync.amazonaws.com")


class Function(NamedTuple):
    """A function by its name, ARN or logical id, and the alias or version; "" for none, None if that is unknown."""

    name: str
    qualifier: str | None


class Authorizer(NamedTuple):
    """A Lambda authorizer. `key` is what routes call it by; `ttl` is None where nothing is said."""

    key: str
    where: str
    kind: Kind
    function: Function
    has_role: bool = False
    ttl: float | None = None
    sources: tuple[str, ...] = ()
    payload: str = ""
    simple: bool = False

    @property
    def cached_seconds(self) -> float:
        """How long an answer is reused; 0 without identity sources, and for AppSync, which each answer tells."""
        if self.kind is REST:
            return REST_TTL_SECONDS if self.ttl is None else self.ttl
        if self.kind is HTTP and self.sources:
            return HTTP_TTL_SECONDS if self.ttl is None else self.ttl
        return 0

    def has_source(self, ending: str) -> bool:
        """Whether it has the identity source that ends so, in any case."""
        return any(source.lower().endswith(ending.lower()) for source in self.sources)


class Route(NamedTuple):
    """A method and path, or a route key. `authorizer` is a key, None without one; `is_said`: not by omission."""

    method: str
    path: str
    where: str
    authorizer: str | None = None
    is_said: bool = True

    def __str__(self) -> str:
        """`GET /me`."""
        return f"{self.method} {self.path}".strip()


class Api(NamedTuple):
    """One API. `readable` are its gateway responses that a browser may read; `cors` an HTTP API's own CORS."""

    ref: str
    where: str
    kind: Kind
    authorizers: tuple[Authorizer, ...] = ()
    routes: tuple[Route, ...] = ()
    cors: bool = False
    readable: frozenset[str] = frozenset()
    logs_headers: bool = False
    is_deployed: bool = False  # read from AWS, which does not say whether an open route is intended


class Permission(NamedTuple):
    """Who may invoke a function, for which source ARN; "" for any."""

    function: Function
    principal: str
    source: str
    where: str

    def is_for(self, api: Api) -> bool:
        """Whether this API's authorizer is a source that it names."""
        if self.principal != api.kind.principal:
            return False
        if not self.source:
            return True
        resource = self.source.replace("${AWS::", "${").split(":", 5)[-1]
        if api.kind is APPSYNC:
            return _names(resource.removeprefix("apis/").removesuffix("/*"), api.ref)
        owner, slash, path = resource.partition("/")
        return _names(owner, api.ref) and (not slash or fnmatch.fnmatchcase("authorizers/x", _pattern(path)))


def _names(text: str, ref: str) -> bool:
    return text in ("*", ref, f"${{{ref}}}") or re.fullmatch(rf"\$\{{{re.escape(ref)}\.\w+\}}.*", text) is not None


def _pattern(path: str) -> str:
    return re.sub(r"\$\{[^}]*\}", "*", path)


def function_of(text: str) -> Function:
    """The function of an ARN, a URI with one in it, a name, or `${LogicalId.Arn}`."""
    inside = re.search(r"/functions/(.+?)/invocations", text)
    name = inside[1] if inside else text
    arn = re.fullmatch(r"arn:[^:]+:lambda:.+?:function:([^:]+)(?::(.+))?", name)
    if arn:
        return Function(arn[1], arn[2] or "")
    logical = re.fullmatch(r"\$\{(\w+)\.Arn\}(?::(.+))?", name)
    if logical:
        return Function(logical[1], logical[2] or "")
    logical = re.fullmatch(r"\$\{(\w+)\}", name)
    if logical:
        return Function(logical[1], None)
    plain = re.fullmatch(r"([\w-]+)(?::(.+))?", name)
    return Function(plain[1], plain[2] or "") if plain else Function(name, None)
