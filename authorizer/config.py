"""Every setting, read once from the environment: default, unit and range in one place, all mistakes in one message.

The message names the variable, what is wrong and what is allowed. It never repeats a value: it could hold a secret.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar, cast
from urllib.parse import unquote, urlsplit

from authorizer.errors import Misconfigured, Reason

CONTEXT_KEYS = ("user_id", "session_id", "email", "email_verified", "username", "amr", "issued_at", "expires_at")
# Ours to come, and what API Gateway itself keeps under $context.authorizer, where "claims" always reads as null.
RESERVED_CONTEXT_KEYS = frozenset(
    (*CONTEXT_KEYS, "claims", "principalId", "reason", "rule", "property", "error", "latency", "status", "requestId")
) | {"integrationLatency", "integrationStatus"}

_MAX_PORT = 65535

T = TypeVar("T")


class HttpApiResponse(StrEnum):
    """What an HTTP API with payload 2.0 expects: EnableSimpleResponses true (`simple`) or false (`policy`)."""

    SIMPLE = "simple"
    POLICY = "policy"


class SessionMode(StrEnum):
    """Whether Hanko is asked if a session lives: never, when the last answer is too old, or for every request."""

    OFF = "off"
    HYBRID = "hybrid"
    STRICT = "strict"


class OnOutage(StrEnum):
    """What a session is that nobody could be asked about: a failure, or what its token alone says."""

    FAIL = "fail"
    ALLOW = "allow"


class Secret:
    """A text that shows in no repr, no format and no JSON."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Keep it."""
        self._text = text

    def reveal(self) -> str:
        """The text."""
        return self._text


class ContextClaim(NamedTuple):
    """One extra claim for the backend: its path in the token and its key in the context."""

    path: tuple[str, ...]
    name: str


class Proxy(NamedTuple):
    """The HTTP proxy that tunnels to Hanko; TLS stays end to end."""

    host: str
    port: int
    credentials: Secret | None  # "user:password"


class Keys(NamedTuple):
    """How long Hanko's keys serve, when they are fetched, and the key set that comes with the artifact."""

    keys_max_age_seconds: int
    keys_max_stale_seconds: int
    keys_cooldown_seconds: int
    keys_file: str | None
    keys_file_max_age_seconds: int

    @classmethod
    def read(cls, env: "_Environment") -> "Keys":
        """Read these settings; the mistakes stay with `env`."""
        return cls(
            keys_max_age_seconds=env.read("HANKO_KEYS_MAX_AGE_SECONDS", _whole(60, 3600), "600"),
            keys_max_stale_seconds=env.read("HANKO_KEYS_MAX_STALE_SECONDS", _whole(0, 86_400), "43200"),
            keys_cooldown_seconds=env.read("HANKO_KEYS_COOLDOWN_SECONDS", _whole(1, 300), "30"),
            keys_file=env.read("HANKO_KEYS_FILE", _KEYS_FILE, ""),
            keys_file_max_age_seconds=env.read("HANKO_KEYS_FILE_MAX_AGE_SECONDS", _whole(3600, 2_592_000), "86400"),
        )


class Logout(NamedTuple):
    """What ends a session before its token does: Hanko, asked, and the revocation table."""

    session_check: SessionMode
    session_max_age_seconds: int
    session_touch: bool
    session_on_outage: OnOutage
    revocation_table: str | None
    revocation_queue_url: str | None
    revocation_cache_seconds: int
    revoke_on_password_change: bool

    @classmethod
    def read(cls, env: "_Environment") -> "Logout":
        """Read these settings; the mistakes stay with `env`."""
        return cls(
            session_check=env.read("HANKO_SESSION_CHECK", _SESSION_MODE, "off"),
            session_max_age_seconds=env.read("HANKO_SESSION_MAX_AGE_SECONDS", _whole(5, 3600), "60"),
            session_touch=env.read("HANKO_SESSION_TOUCH", _BOOLEAN, "false"),
            session_on_outage=env.read("HANKO_SESSION_ON_OUTAGE", _ON_OUTAGE, "fail"),
            revocation_table=env.read("HANKO_REVOCATION_TABLE", _TABLE, ""),
            revocation_queue_url=env.read("HANKO_REVOCATION_QUEUE_URL", _QUEUE_URL, ""),
            revocation_cache_seconds=env.read("HANKO_REVOCATION_CACHE_SECONDS", _whole(0, 60), "0"),
            revoke_on_password_change=env.read("HANKO_REVOKE_ON_PASSWORD_CHANGE", _BOOLEAN, "false"),
        )

    def table_and_queue(self) -> tuple[str, str]:
        """What the webhooks' receiver cannot do without. Raises `Misconfigured(settings_invalid)`."""
        if self.revocation_table is None or self.revocation_queue_url is None:
            mistake = (
                "HANKO_REVOCATION_TABLE and HANKO_REVOCATION_QUEUE_URL must both be set for the webhooks' receiver"
            )
            raise Misconfigured(Reason.SETTINGS_INVALID, f"Wrong settings:\n{mistake}")
        return self.revocation_table, self.revocation_queue_url


class Settings(NamedTuple):
    """All settings of one authorizer, validated."""

    api_url: str
    audiences: tuple[str, ...]
    issuer: str | None
    cookie_name: str | None
    clock_skew_seconds: int
    max_token_lifetime_seconds: int | None
    keys: Keys
    fetch_timeout_seconds: float
    logout: Logout
    context_claims: tuple[ContextClaim, ...]
    websocket_query_parameter: str | None
    websocket_subprotocol: str | None
    http_api_response: HttpApiResponse
    rules_parameter: str | None
    usage_plan_claim: tuple[str, ...] | None
    log_user_id: bool
    log_hash_key: Secret | None
    proxy: Proxy | None
    no_proxy: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and validate every setting.

        Raises `Misconfigured(settings_invalid)`; its text has one line for each mistake.
        """
        env = _Environment(environ)
        settings = cls(
            api_url=env.read("HANKO_API_URL", _API_URL),
            audiences=env.read("HANKO_AUDIENCE", _AUDIENCES),
            issuer=env.read("HANKO_ISSUER", _ISSUER, ""),
            cookie_name=env.read("HANKO_COOKIE_NAME", _COOKIE_NAME, environ.get("HANKO_COOKIE_NAME", "hanko")),
            clock_skew_seconds=env.read("HANKO_CLOCK_SKEW_SECONDS", _whole(0, 60), "10"),
            max_token_lifetime_seconds=env.read("HANKO_MAX_TOKEN_LIFETIME_SECONDS", _LIFETIME, ""),
            keys=Keys.read(env),
            fetch_timeout_seconds=env.read("HANKO_FETCH_TIMEOUT_SECONDS", _FETCH_TIMEOUT, "3"),
            logout=Logout.read(env),
            context_claims=env.read("HANKO_CONTEXT_CLAIMS", _CONTEXT_CLAIMS, ""),
            websocket_query_parameter=env.read("HANKO_WEBSOCKET_QUERY_PARAMETER", _QUERY_PARAMETER, ""),
            websocket_subprotocol=env.read("HANKO_WEBSOCKET_SUBPROTOCOL", _SUBPROTOCOL, ""),
            http_api_response=env.read("HANKO_HTTP_API_RESPONSE", _HTTP_API_RESPONSE, "simple"),
            rules_parameter=env.read("HANKO_RULES_PARAMETER", _RULES_PARAMETER, ""),
            usage_plan_claim=env.read("HANKO_USAGE_PLAN_CLAIM", _CLAIM_PATH, ""),
            log_user_id=env.read("HANKO_LOG_USER_ID", _BOOLEAN, "false"),
            log_hash_key=env.read("HANKO_LOG_HASH_KEY", _HASH_KEY, ""),
            proxy=env.read("HTTPS_PROXY", _PROXY, environ.get("https_proxy", "")),
            no_proxy=environ.get("NO_PROXY") or environ.get("no_proxy", ""),
        )
        return env.stop_on_mistakes(settings)


class _Rule(NamedTuple, Generic[T]):
    """What one setting may be: `parse` raises ValueError saying what is wrong, `allowed` says what would be right."""

    parse: Callable[[str], T]
    allowed: str


class _Environment:
    """The environment being read: collects the mistakes, and knows at the end which HANKO_* names nobody asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._known: set[str] = set()
        self._mistakes: list[str] = []

    def read(self, name: str, rule: _Rule[T], default: str | None = None) -> T:
        """The parsed value of `name`. An empty value means the default; without a default the setting is required."""
        self._known.add(name)
        value = self._environ.get(name) or default
        if value is None:
            wrong = "is blank" if name in self._environ else "is missing"
        else:
            try:
                return rule.parse(value)
            except ValueError as error:
                wrong = str(error)
        self._mistakes.append(f"{name} {wrong}: it must be {rule.allowed}")
        return cast("T", None)  # never seen by anyone: stop_on_mistakes raises

    def stop_on_mistakes(self, settings: T) -> T:
        """What was read, unless there are mistakes, or variables that nobody asked for."""
        self.read("SSL_CERT_FILE", _FILE, "")  # OpenSSL reads it itself, and would pass over a missing file in silence
        unknown = sorted(name for name in self._environ if name.startswith("HANKO_") and name not in self._known)
        # The name of an unknown variable is the deployer's own text: shown, but only as far as a name can go.
        self._mistakes += [f"{name[:64]!a} is not a setting of the authorizer" for name in unknown]
        if self._mistakes:
            raise Misconfigured(Reason.SETTINGS_INVALID, "\n".join(["Wrong settings:", *self._mistakes]))
        return settings


def _text(pattern: str, allowed: str) -> _Rule[str]:
    def parse(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError("is not valid")
        return value

    return _Rule(parse, allowed)


def _optional(rule: _Rule[T]) -> _Rule[T | None]:
    return _Rule(lambda value: rule.parse(value) if value else None, f"{rule.allowed}, or empty")


def _secret(rule: _Rule[str]) -> _Rule[Secret]:
    return _Rule(lambda value: Secret(rule.parse(value)), rule.allowed)


def _choice(options: Mapping[str, T]) -> _Rule[T]:
    def parse(value: str) -> T:
        if value not in options:
            raise ValueError("is not one of the choices")
        return options[value]

    return _Rule(parse, " or ".join(options))


def _number(pattern: str, convert: Callable[[str], T], low: float, high: float, kind: str) -> _Rule[T]:
    def parse(value: str) -> T:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"is not {kind}")
        if not low <= float(value) <= high:
            raise ValueError("is out of range")
        return convert(value)

    return _Rule(parse, f"{kind} from {low} to {high}")


def _whole(low: int, high: int) -> _Rule[int]:
    return _number(r"[0-9]{1,9}", int, low, high, "a whole number of seconds")


def _parse_api_url(value: str) -> str:
    match = re.fullmatch(
        r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?((?:/[A-Za-z0-9._~-]+)*)/?", value, re.ASCII
    )
    if not match:
        raise ValueError("is not valid")
    scheme, host, port, _path = match.groups()
    if scheme == "http" and not re.fullmatch(r"localhost|host\.docker\.internal|127(\.[0-9]{1,3}){3}|\[::1\]", host):
        raise ValueError("is not encrypted")
    if port is not None and not 0 < int(port) <= _MAX_PORT:
        raise ValueError("has a port out of range")
    try:
        urlsplit(value)  # knows what an IPv6 address is, and repeats what is none
    except ValueError:
        raise ValueError("is not valid") from None
    return value.removesuffix("/")


def _parse_audiences(value: str) -> tuple[str, ...]:
    audiences = tuple(audience.strip() for audience in value.split(","))
    if not all(re.fullmatch(r"[!-~]{1,512}", audience) for audience in audiences):
        raise ValueError("has a blank or unreadable audience")
    return audiences


def _parse_context_claims(value: str) -> tuple[ContextClaim, ...]:
    claims = []
    for item in filter(None, (item.strip() for item in value.split(","))):
        match = re.fullmatch(r"([^\s.,=]+(?:\.[^\s.,=]+)*)(?:=(\w+))?", item, re.ASCII)
        if not match:
            raise ValueError("has an item that is not valid")
        path, name = match[1], match[2] or match[1].replace(".", "_")
        if not re.fullmatch(r"[A-Za-z_]\w{0,63}", name, re.ASCII):
            raise ValueError("has a claim that needs a name of letters, digits and _")
        claims.append(ContextClaim(tuple(path.split(".")), name))
    names = [claim.name for claim in claims]
    if len(set(names)) < len(names) or RESERVED_CONTEXT_KEYS.intersection(names):
        raise ValueError("has a name that is reserved or used twice")
    return tuple(claims)


def _parse_claim_path(value: str) -> tuple[str, ...]:
    if not re.fullmatch(r"(?=.{1,64}$)[^\s.,=]+(?:\.[^\s.,=]+)*", value, re.ASCII):
        raise ValueError("is not valid")
    return tuple(value.split("."))


def _parse_proxy(value: str) -> Proxy:
    match = re.fullmatch(
        r"http://(?:([^\s:/@]+):([^\s/@]*)@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})/?", value
    )
    if not match:
        raise ValueError("is not valid")
    if not 0 < int(match[4]) <= _MAX_PORT:
        raise ValueError("has a port out of range")
    # What stands for itself in no URL ("@", "/", ":") comes percent-encoded, as every client of a proxy reads it.
    credentials = Secret(f"{unquote(match[1])}:{unquote(match[2])}") if match[1] else None
    return Proxy(match[3].strip("[]"), int(match[4]), credentials)


def _parse_file(value: str) -> str:
    try:
        with open(value, "rb") as file:  # noqa: PTH123 - pathlib would delay the first byte to Hanko by 2 ms
            is_pem = b"-----BEGIN CERTIFICATE-----" in file.read()
    except OSError:
        raise ValueError("cannot be read") from None
    if not is_pem:
        raise ValueError("holds no certificate")
    return value


_API_URL = _Rule(
    _parse_api_url,
    "an https URL without user, query or fragment (http only for loopback hosts and host.docker.internal)",
)
_AUDIENCES = _Rule(_parse_audiences, "one audience or more, comma-separated, of visible ASCII characters")
_ISSUER = _optional(_text(r"[!-~]{1,512}", "1 to 512 visible ASCII characters"))
_LIFETIME = _optional(_whole(60, 31_536_000))
_KEYS_FILE = _optional(
    _text(r"(?=.{1,40}$)[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*", "a path inside the artifact")
)
_FETCH_TIMEOUT = _number(r"[0-9](\.[0-9]{1,3})?", float, 0.5, 5, "a number of seconds")
_SESSION_MODE = _choice({mode.value: mode for mode in SessionMode})
_ON_OUTAGE = _choice({verdict.value: verdict for verdict in OnOutage})
_TABLE = _optional(_text(r"[A-Za-z0-9_.-]{3,255}", "a DynamoDB table's name of 3 to 255 letters, digits, _ . -"))
_QUEUE_URL = _optional(_text(r"https?://[!-~]{1,500}", "an SQS queue's URL"))
_COOKIE_NAME = _optional(_text(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", "a cookie name of at most 64 characters"))
_SUBPROTOCOL = _optional(_text(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", "a subprotocol of at most 64 characters"))
_QUERY_PARAMETER = _optional(_text(r"[A-Za-z0-9_.-]{1,64}", "a parameter's name of at most 64 letters, digits, _ . -"))
_CONTEXT_CLAIMS = _Rule(
    _parse_context_claims,
    "claim paths, comma-separated, each with =name if its key is reserved or shall differ (role, metadata.plan=plan)",
)
_RULES_PARAMETER = _optional(
    _text(r"(?=.{1,100}$)/?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*", "a parameter's name of at most 100 characters")
)
_CLAIM_PATH = _optional(_Rule(_parse_claim_path, "the dotted path of a claim, of at most 64 characters"))
_HTTP_API_RESPONSE = _choice({response.value: response for response in HttpApiResponse})
_BOOLEAN = _choice({"false": False, "true": True})
_HASH_KEY = _optional(_secret(_text(r"[!-~]{16,64}", "16 to 64 visible ASCII characters")))
_PROXY = _optional(_Rule(_parse_proxy, "http://host:port or http://user:password@host:port"))
_FILE = _optional(_Rule(_parse_file, "a readable file of CA certificates in PEM form"))
