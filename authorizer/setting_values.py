"""What the value of a setting may be: how it is parsed, and which text says what is allowed."""

import re
from collections.abc import Callable, Iterable
from typing import Generic, Literal, NamedTuple, TypeVar, cast

CONTEXT_KEYS = ("user_id", "session_id", "email", "email_verified", "username", "amr", "issued_at", "expires_at")
MAX_NAMES_CHARACTERS = 512  # so that ids, times and the names of all claims that were left out fit into any answer
# Ours, and what API Gateway itself keeps under $context.authorizer, where "claims" always reads as null.
RESERVED_CONTEXT_KEYS = frozenset(
    (*CONTEXT_KEYS, "left_out", "reason", "rule", "claims", "principalId", "property", "error", "latency", "status")
) | {"requestId", "integrationLatency", "integrationStatus"}

_MAX_PORT = 65535
_JWKS_PATH = "/.well-known/jwks.json"

T = TypeVar("T")


class Secret:
    """A text that shows in no repr, no format and no JSON."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


# How the backend receives a claim: as text where that is unambiguous, as JSON, as base64url of JSON.
ClaimForm = Literal["", "json", "b64"]


class ServerUrl(NamedTuple):
    """The parts of an http or https URL. `host` is in lower case, and has no brackets; `path` ends without a slash."""

    scheme: str
    netloc: str
    host: str
    port: int
    path: str


class ContextClaim(NamedTuple):
    """A claim that the deployer names for the backend: its path in the token, its key in the context."""

    path: tuple[str, ...]
    name: str
    form: ClaimForm = ""


class Proxy(NamedTuple):
    """The HTTP proxy that tunnels to Hanko. TLS stays end to end."""

    host: str
    port: int
    credentials: Secret | None  # "user:password"


class Kind(Generic[T]):
    """What a value may be. `parse` raises ValueError and says what is wrong, `allowed` says what is right."""

    def __init__(self, parse: Callable[[str], T], allowed: str) -> None:
        self.parse, self.allowed = parse, allowed


def optional(kind: Kind[T]) -> Kind[T | None]:
    return Kind(lambda value: kind.parse(value) if value else None, f"{kind.allowed}, or empty")


def matching(pattern: str, convert: Callable[[str], T], allowed: str) -> Kind[T | None]:
    def parse(value: str) -> T:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError("is not valid")
        return convert(value)

    return optional(Kind(parse, allowed))


def choice(options: Iterable[T]) -> Kind[T]:
    by_text = {str(option): option for option in options}

    def parse(value: str) -> T:
        if value not in by_text:
            raise ValueError("is not one of the choices")
        return by_text[value]

    return Kind(parse, " or ".join(by_text))


def number(pattern: str, convert: Callable[[str], T], low: float, high: float, unit: str) -> Kind[T]:
    def parse(value: str) -> T:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"is not {unit}")
        if not low <= float(value) <= high:
            raise ValueError("is out of range")
        return convert(value)

    return Kind(parse, f"{unit} from {low} to {high}")


def seconds(low: int, high: int) -> Kind[int]:
    return number(r"[0-9]{1,9}", int, low, high, "a whole number of seconds")


def parse_boolean(value: str) -> bool:
    if value not in ("false", "true"):
        raise ValueError("is not one of the choices")
    return value == "true"


def split_url(value: str) -> ServerUrl:
    """The parts of a server's URL. Raises ValueError. urllib.parse would take 2 ms before the first byte to Hanko."""
    host = r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]"
    match = re.fullmatch(rf"(https?)://(({host})(?::([0-9]{{1,5}}))?)((?:/[A-Za-z0-9._~-]+)*)/?", value, re.ASCII)
    if not match:
        raise ValueError("is not valid")
    scheme, netloc, host, port, path = match.groups()
    if port is not None and not 0 < int(port) <= _MAX_PORT:
        raise ValueError("has a port out of range")
    if host.startswith("["):
        _check_ipv6(host[1:-1])
    return ServerUrl(scheme, netloc, host.strip("[]").lower(), int(port or (443 if scheme == "https" else 80)), path)


def _check_ipv6(address: str) -> None:
    import ipaddress  # noqa: PLC0415 - see split_url

    try:
        ipaddress.IPv6Address(address)
    except ValueError:  # its text repeats the value
        raise ValueError("is not valid") from None


def parse_api_url(value: str) -> str:
    url = split_url(value)
    if url.scheme == "http" and not re.fullmatch(
        r"localhost|host\.docker\.internal|127(\.[0-9]{1,3}){3}|::1", url.host, re.ASCII
    ):
        raise ValueError("is not encrypted")
    if url.path.endswith(_JWKS_PATH):
        raise ValueError(f"is the address of the key set, leave out {_JWKS_PATH}")
    return value.removesuffix("/")


def parse_audiences(value: str) -> tuple[str, ...]:
    audiences = tuple(audience.strip() for audience in value.split(","))
    if not all(re.fullmatch(r"[!-~]{1,512}", audience) for audience in audiences):
        raise ValueError("has a blank or unreadable audience")
    return audiences


def split_path(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def parse_context_claims(value: str) -> tuple[ContextClaim, ...]:
    claims = []
    for item in filter(None, (item.strip() for item in value.split(","))):
        match = re.fullmatch(r"([^\s.,=]+(?:\.[^\s.,=]+)*)(?:=(\w+)(?::(json|b64))?)?", item, re.ASCII)
        if not match:
            raise ValueError("has an item that is not valid")
        path, name = match[1], match[2] or match[1].replace(".", "_")
        if not re.fullmatch(r"[A-Za-z_]\w{0,63}", name, re.ASCII):
            raise ValueError("has a claim that needs a name of letters, digits and _")
        claims.append(ContextClaim(split_path(path), name, cast("ClaimForm", match[3] or "")))
    names = [claim.name for claim in claims]
    if len(set(names)) < len(names) or RESERVED_CONTEXT_KEYS.intersection(names):
        raise ValueError("has a name that is reserved or used twice")
    if sum(map(len, names)) > MAX_NAMES_CHARACTERS:
        raise ValueError(f"has names of more than {MAX_NAMES_CHARACTERS} characters together")
    return tuple(claims)


def parse_proxy(value: str) -> Proxy:
    match = re.fullmatch(
        r"http://(?:([^\s:/@]+):([^\s/@]*)@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})/?", value
    )
    if not match:
        raise ValueError("is not valid")
    if not 0 < int(match[4]) <= _MAX_PORT:
        raise ValueError("has a port out of range")
    from urllib.parse import unquote  # noqa: PLC0415 - see split_url

    # "@", "/" and ":" in a user name or password are percent-encoded in the URL.
    credentials = Secret(f"{unquote(match[1])}:{unquote(match[2])}") if match[1] else None
    return Proxy(match[3].strip("[]"), int(match[4]), credentials)


def parse_ca_file(value: str) -> str:
    try:
        with open(value, "rb") as file:
            is_pem = b"-----BEGIN CERTIFICATE-----" in file.read()
    except OSError:
        raise ValueError("cannot be read") from None
    if not is_pem:
        raise ValueError("holds no certificate")
    return value
