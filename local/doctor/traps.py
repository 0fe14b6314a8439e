"""The known traps of an API in front of the authorizer. Facts: docs/attach.md.

Each function knows one trap; `find_traps` asks them all.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from authorizer.config import HttpApiResponse, SessionMode, Settings
from authorizer.rules.evaluation import Rules
from local.doctor.api import APPSYNC, HTTP, REST, WEBSOCKET, Api, Authorizer, Permission, Route
from local.doctor.finding import Finding, look, wrong

WEBHOOK_SECONDS = 60  # docs/logout.md: out within a minute
READABLE_401 = {"UNAUTHORIZED", "DEFAULT_4XX"}
READABLE_403 = {"ACCESS_DENIED", "DEFAULT_4XX"}
ROUTES_NAMED = 4


class Context(NamedTuple):
    """What the traps are judged by. `settings` are the defaults where no environment is given."""

    permissions: Sequence[Permission]
    settings: Settings
    has_alias: Mapping[str, bool] = MappingProxyType({})
    revokes: bool = False
    rules: Rules | None = None
    guessed: bool = False  # the settings are the defaults, not those of an environment


def find_traps(apis: Iterable[Api], context: Context) -> Iterator[Finding]:
    """Every trap in these APIs."""
    for api in apis:
        if api.authorizers:
            for trap in OF_APIS:
                yield from trap(api, context)
            for authorizer in api.authorizers:
                for of_authorizer in OF_AUTHORIZERS:
                    yield from of_authorizer(api, authorizer, context)


# --- who may invoke


def no_permission(api: Api, authorizer: Authorizer, context: Context) -> Iterator[Finding]:
    """Neither a role nor a permission, or one for another alias or API."""
    if authorizer.has_role:
        return
    why = f"{api.kind.name}: API Gateway may not call the function, so every request is a 500."
    if api.kind is APPSYNC:
        why = "AppSync may not call the function, so every request is refused."
    fix = "Add an AWS::Lambda::Permission for this very ARN"
    fix += "." if api.kind is APPSYNC else ", or set the credentials to the authorizer's output InvokeRoleArn."
    same = [one for one in context.permissions if one.function.name == authorizer.function.name]
    mine = [one for one in same if one.is_for(api)]
    if any(one.function == authorizer.function for one in mine):
        return
    if mine:
        what = (
            f"{mine[0].where} permits {_alias(mine[0].function.qualifier)},"
            f" but the authorizer calls {_alias(authorizer.function.qualifier)}"
        )
        yield wrong("wrong-alias", authorizer.where, what, why, fix)
    elif same:
        what = f"{same[0].where} permits another API or path, or another service"
        yield wrong("no-permission", authorizer.where, what, why, fix)
    else:
        yield wrong("no-permission", authorizer.where, "nothing permits this API to invoke the authorizer", why, fix)


def _alias(qualifier: str | None) -> str:
    return f"the alias or version {qualifier}" if qualifier else "the function without an alias"


def no_alias(_: Api, authorizer: Authorizer, context: Context) -> Iterator[Finding]:
    """$LATEST in place of the alias."""
    function, qualifier = authorizer.function
    exported = function.startswith("${import ") and function.endswith("-FunctionArn}")
    plain = qualifier == "" and context.has_alias.get(function, True)  # a function of its own may have no alias
    if not (exported or plain or qualifier == "$LATEST"):
        return
    why = "A deployment takes effect half done, make rollback changes nothing, and the permission is for the alias."
    fix = "Take the authorizer's output AuthorizerArn, which ends in :live."
    yield wrong("wrong-alias", authorizer.where, "it calls the function without its alias", why, fix)


# --- what is cached, and for how long


def simple_without_route_key(_: Api, authorizer: Authorizer, __: Context) -> Iterator[Finding]:
    """A simple response is one yes or no, reused for every route."""
    is_simple = authorizer.kind is HTTP and authorizer.simple
    if is_simple and authorizer.cached_seconds and not authorizer.has_source("$context.routeKey"):
        yield wrong(
            "simple-without-route-key",
            authorizer.where,
            "simple responses are cached without $context.routeKey among the identity sources",
            "One yes or no then holds for every route, so only callers who meet every rule are let in.",
            "Add $context.routeKey to the identity sources, or take policies (HankoHttpApiResponse=policy).",
        )


def cookie_and_header(_: Api, authorizer: Authorizer, __: Context) -> Iterator[Finding]:
    """All identity sources must be there, and whatever decides must be one of them."""
    header, cookie = (authorizer.has_source(f".header.{name}") for name in ("Authorization", "Cookie"))
    if header and cookie:
        yield wrong(
            "cookie-and-header",
            authorizer.where,
            "the Authorization header and the cookie are both identity sources",
            "API Gateway wants all of them: a request with one alone is a 401, and the authorizer is not asked.",
            "Two authorizers: the header with a cache; header or cookie with no source and a TTL of 0.",
        )
    elif cookie and authorizer.cached_seconds:
        yield wrong(
            "cached-by-cookie",
            authorizer.where,
            "answers are cached under the cookie, and an Authorization header decides before it",
            "A request with a token in the header is remembered under its cookie: the next caller with that cookie"
            " is taken for the first.",
            "No identity source and a TTL of 0 wherever the cookie may carry the token.",
        )


def ttl_beyond_logout(_: Api, authorizer: Authorizer, context: Context) -> Iterator[Finding]:
    """The cache prolongs what the settings promise."""
    promise = _promise_seconds(context)
    seconds = authorizer.cached_seconds
    if promise is not None and seconds > promise:
        said = "by API Gateway's default" if authorizer.ttl is None else "here"
        yield look(
            "ttl-beyond-logout",
            authorizer.where,
            f"answers are cached for {seconds:g} s {said}, and the settings end a session within {promise} s",
            "A session that has ended goes on for as long as its answer is cached.",
            f"A TTL of at most {promise} s: docs/logout.md.",
        )


def _promise_seconds(context: Context) -> int | None:
    """Within which time the settings notice a logout; None if they do not look for one."""
    match context.settings.session_check:
        case SessionMode.STRICT:
            return 0
        case SessionMode.HYBRID:
            return context.settings.session_max_age_seconds
    return WEBHOOK_SECONDS if context.revokes else None


def ttl_beyond_max_age(_: Api, authorizer: Authorizer, context: Context) -> Iterator[Finding]:
    """The cache prolongs a login that a rule finds too old."""
    ages = [rule.max_age_seconds for rule in context.rules.rules if rule.max_age_seconds] if context.rules else []
    if ages and authorizer.cached_seconds > min(ages):
        yield look(
            "ttl-beyond-max-age",
            authorizer.where,
            f"answers are cached for {authorizer.cached_seconds:g} s, and a rule wants a login of {min(ages)} s",
            "A login that was young enough once passes for the TTL more.",
            f"A TTL well below {min(ages)} s: docs/rules.md.",
        )


def json_in_context(_: Api, authorizer: Authorizer, context: Context) -> Iterator[Finding]:
    """Text with quotes in the cached context of an HTTP API."""
    claims = [claim.name for claim in context.settings.context_claims if claim.form != "b64"]
    if claims and authorizer.kind is HTTP and authorizer.cached_seconds:
        yield look(
            "json-in-context",
            authorizer.where,
            f"HankoContextClaims passes {_some(claims)} on as text, which can be JSON",
            "One public report says that an HTTP API answers 500 from its cache where a context value holds JSON.",
            "Write =NAME:b64 behind lists and objects, and test a cached request: docs/backend.md.",
        )


def appsync_ttl(_: Api, authorizer: Authorizer, context: Context) -> Iterator[Finding]:
    """AppSync's own time to live, which the authorizer's answer replaces."""
    seconds = context.settings.appsync_ttl_seconds
    if authorizer.kind is not APPSYNC or authorizer.ttl == seconds:
        return
    if authorizer.ttl is not None and (context.guessed or authorizer.ttl <= seconds):
        return
    said = "is not set" if authorizer.ttl is None else f"is {authorizer.ttl:g}"
    yield look(
        "appsync-ttl",
        authorizer.where,
        f"AuthorizerResultTtlInSeconds {said}, and HankoAppsyncTtlSeconds is {seconds}",
        "CDK's text says 5 minutes, AWS's 0: neither counts. The authorizer's answer decides, bounded by its setting.",
        "Set AuthorizerResultTtlInSeconds to 0, and HankoAppsyncTtlSeconds to what you want.",
    )


# --- answers


def payload_against_response(_: Api, authorizer: Authorizer, context: Context) -> Iterator[Finding]:
    """The API expects another kind of answer than it gets."""
    if authorizer.kind is not HTTP:
        return
    setting = context.settings.http_api_response
    what = ""
    if authorizer.payload == "1.0" and authorizer.simple:
        what = "payload 1.0 knows policies alone, and simple responses are switched on"
    elif (
        authorizer.payload == "2.0" and not context.guessed and authorizer.simple != (setting is HttpApiResponse.SIMPLE)
    ):
        wanted = "simple responses" if authorizer.simple else "policies"
        what = f"the API wants {wanted}, and the authorizer's HankoHttpApiResponse is {setting}"
    if what:
        yield wrong(
            "payload-against-response",
            authorizer.where,
            what,
            "API Gateway cannot read the answer: every request is a 500.",
            "EnableSimpleResponses: true with HankoHttpApiResponse=simple, false with policy, none with payload 1.0.",
        )


def header_of_websocket(_: Api, authorizer: Authorizer, __: Context) -> Iterator[Finding]:
    """Browsers can set no header there."""
    if authorizer.kind is WEBSOCKET and authorizer.has_source(".header.Authorization"):
        yield look(
            "header-of-websocket",
            authorizer.where,
            "the Authorization header is an identity source of $connect",
            "No browser can send it there: API Gateway answers 401 without asking the authorizer.",
            "IdentitySource: []",
        )


# --- routes and browsers


def open_routes(api: Api, _: Context) -> Iterator[Finding]:
    """Routes without an authorizer that are not declared open."""
    routes = [one for one in api.routes if one.authorizer is None and not one.is_said and _wants_authorizer(api, one)]
    if routes:
        make = look if api.is_deployed else wrong
        yield make(
            "open-route",
            routes[0].where,
            f"no authorizer guards {_some(map(str, routes))}",
            "Everybody may call it, and it may be an oversight: nothing says that it is open.",
            "Set the authorizer, or say that it is open: AuthorizationType: NONE (SAM: Auth: {Authorizer: NONE}).",
        )


def _wants_authorizer(api: Api, route: Route) -> bool:
    """Only $connect of a WebSocket can have an authorizer, and a preflight must have none."""
    return route.method == "$connect" if api.kind is WEBSOCKET else route.method != "OPTIONS"


def authorizer_on_preflight(api: Api, _: Context) -> Iterator[Finding]:
    """Browsers send no credentials with a preflight."""
    if not is_for_browsers(api):
        return
    keys = {one.key for one in api.authorizers}
    guarded = [one for one in api.routes if one.authorizer in keys]
    preflights = [one for one in guarded if one.method == "OPTIONS"]
    preflights += [one for one in guarded if one.method in ("ANY", "$default") and not _has_own_preflight(api, one)]
    if preflights:
        yield wrong(
            "authorizer-on-preflight",
            preflights[0].where,
            f"the authorizer guards the preflights of {_some(map(str, preflights))}",
            "Browsers send no credentials with a preflight: it is refused, and no page can call the API.",
            "SAM: AddDefaultAuthorizerToCorsPreflight: false. Else a route OPTIONS without an authorizer beside it.",
        )


def _has_own_preflight(api: Api, route: Route) -> bool:
    """An open OPTIONS on this path, or in an HTTP API on every path."""
    mine = {route.path} if api.kind is REST else {route.path, "/{proxy+}"}
    return any(one.method == "OPTIONS" and one.authorizer is None and one.path in mine for one in api.routes)


def is_for_browsers(api: Api) -> bool:
    """Whether somebody thought of CORS: an HTTP API's own, or a route for preflights."""
    return api.cors or any(one.method == "OPTIONS" for one in api.routes)


def unreadable_refusals(api: Api, _: Context) -> Iterator[Finding]:
    """A browser shows a page no refusal without CORS headers. An HTTP API adds its own."""
    if api.kind is not REST or not is_for_browsers(api):
        return
    lacking = [status for status, types in (("401", READABLE_401), ("403", READABLE_403)) if not types & api.readable]
    if lacking:
        yield wrong(
            "no-cors-on-refusals",
            api.where,
            f"the {' and '.join(lacking)} of API Gateway have no Access-Control-Allow-Origin",
            "The page sees a network error in place of the status, and cannot ask for a new login.",
            "GatewayResponses UNAUTHORIZED, ACCESS_DENIED and DEFAULT_5XX with that header: examples/rest-token.yaml.",
        )


def headers_in_log(api: Api, _: Context) -> Iterator[Finding]:
    """AppSync's log with everything in it."""
    if api.logs_headers:
        yield wrong(
            "headers-in-log",
            api.where,
            "the log of this API holds request headers, with every session token",
            "Whoever reads the log can use the sessions. SAM's GraphQLApi logs so unless told otherwise.",
            "Logging: {ExcludeVerboseContent: true, ...}, or no log.",
        )


def _some(names: Iterable[str]) -> str:
    every = list(dict.fromkeys(names))
    more = f" and {len(every) - ROUTES_NAMED} more" if len(every) > ROUTES_NAMED else ""
    return ", ".join(every[:ROUTES_NAMED]) + more


OF_APIS: tuple[Callable[[Api, Context], Iterator[Finding]], ...] = (
    open_routes,
    authorizer_on_preflight,
    unreadable_refusals,
    headers_in_log,
)
OF_AUTHORIZERS: tuple[Callable[[Api, Authorizer, Context], Iterator[Finding]], ...] = (
    no_permission,
    no_alias,
    simple_without_route_key,
    cookie_and_header,
    ttl_beyond_logout,
    ttl_beyond_max_age,
    json_in_context,
    appsync_ttl,
    payload_against_response,
    header_of_websocket,
)
