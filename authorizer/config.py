"""The settings: one entry each in the table `Settings`.

They are read once from environment variables. One message tells all mistakes: the variable, what is wrong, what is
allowed. It never repeats a value, since a value can be a secret.

A new setting also needs its places in template.yaml and in the documents: CONTRIBUTING.md, "Add a setting".
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar, cast

from authorizer.errors import Misconfigured, Reason
from authorizer.mistakes import Mistakes
from authorizer.setting_values import (
    ContextClaim,
    Kind,
    Proxy,
    Secret,
    choice,
    matching,
    number,
    optional,
    parse_api_url,
    parse_audiences,
    parse_boolean,
    parse_ca_file,
    parse_context_claims,
    parse_proxy,
    seconds,
    split_path,
)

T = TypeVar("T")


class HttpApiResponse(StrEnum):
    """What an HTTP API with payload 2.0 expects: EnableSimpleResponses true (`simple`) or false (`policy`)."""

    SIMPLE = "simple"
    POLICY = "policy"


class SessionMode(StrEnum):
    """When Hanko is asked whether a session lives: never, when the last answer is too old, for every request."""

    OFF = "off"
    HYBRID = "hybrid"
    STRICT = "strict"


class OnOutage(StrEnum):
    """What to do when no session check is available: fail, or decide on the token alone."""

    FAIL = "fail"
    ALLOW = "allow"


class LogAllowed(StrEnum):
    """Which records of allowed requests are written. Metrics count every request."""

    ALL = "all"
    SAMPLED = "sampled"
    NONE = "none"


class Setting(Generic[T]):
    """One entry of the table, see `_setting`."""

    def __init__(
        self, default: str | None, kind: Kind[T], text: str, variables: tuple[str, ...], *, empty_is_off: bool
    ) -> None:
        self.default, self.kind, self.text = default, kind, text
        self.variables, self.empty_is_off = variables, empty_is_off


def _setting(
    default: str | None, kind: Kind[T], text: str, *, variables: tuple[str, ...] = (), empty_is_off: bool = False
) -> T:
    """An entry of the table: for mypy it is the parsed value, so that the type of the field is checked.

    Without a default the setting is required. Empty means the default, unless `empty_is_off`. Of several variables
    the first that is set counts.
    """
    return cast("T", Setting(default, kind, text, variables, empty_is_off=empty_is_off))


_BOOLEAN = Kind(parse_boolean, "false or true")
_PATH_OF_CLAIM = r"(?=.{1,64}$)[^\s.,=]+(?:\.[^\s.,=]+)*"
_HTTP_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
_FILE_PATH = r"(?=.{1,40}$)[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*"
_PARAMETER_PATH = r"(?=.{1,100}$)/?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*"
_URL = "an https URL without user, query or fragment (http only for loopback hosts and host.docker.internal)"
_CLAIMS = (
    "claim paths, comma-separated, each with =name if its key is reserved or shall differ, and :json or :b64 behind it "
    "for another form (role, metadata.plan=plan, groups=groups:json)"
)


class Settings(NamedTuple):
    """The table. Build it with `from_env` only: the defaults of the fields are the entries themselves.

    The environment variable is HANKO_ and the name in capitals, unless the entry names another.
    """

    api_url: str = _setting(None, Kind(parse_api_url, _URL), "Where your Hanko is.")
    audiences: tuple[str, ...] = _setting(
        None,
        Kind(parse_audiences, "one audience or more, comma-separated, of visible ASCII characters"),
        "The audience that a token must have",
        variables=("HANKO_AUDIENCE",),
    )
    issuer: str | None = _setting(
        "",
        matching(r"[!-~]{1,512}", str, "1 to 512 visible ASCII characters"),
        "If set, every token must have exactly this `iss`.",
    )
    cookie_name: str | None = _setting(
        "hanko",
        matching(_HTTP_WORD, str, "a cookie name of at most 64 characters"),
        "Name of the session cookie. Empty switches cookies off.",
        empty_is_off=True,
    )
    clock_skew_seconds: int = _setting("10", seconds(0, 60), "How far Hanko's clock and this one may differ.")
    max_token_lifetime_seconds: int | None = _setting(
        "", optional(seconds(60, 31_536_000)), "The longest `exp` - `iat` that is accepted."
    )
    keys_max_age_seconds: int = _setting("600", seconds(60, 3600), "How long a key set is fresh.")
    keys_max_stale_seconds: int = _setting(
        "43200", seconds(0, 86_400), "How much longer a key set serves while Hanko cannot be reached."
    )
    keys_cooldown_seconds: int = _setting(
        "30",
        seconds(1, 300),
        "Time after which an unknown key id may cause another fetch, once four fetches are used up.",
    )
    keys_file: str | None = _setting(
        "",
        matching(_FILE_PATH, str, "a path inside the artifact"),
        "The bundled key set that serves until Hanko has answered",
    )
    keys_file_max_age_seconds: int = _setting(
        "86400", seconds(3600, 2_592_000), "How long the bundled key set may serve after it was fetched."
    )
    fetch_timeout_seconds: float = _setting(
        "3",
        number(r"[0-9](\.[0-9]{1,3})?", float, 0.5, 5, "a number of seconds"),
        "The deadline of one key fetch or one session check",
    )
    session_check: SessionMode = _setting(
        "off", choice(SessionMode), "Whether Hanko is asked if the session still lives"
    )
    session_max_age_seconds: int = _setting("60", seconds(5, 3600), "How long an answer serves with `hybrid`.")
    session_touch: bool = _setting("false", _BOOLEAN, "Whether a session check counts as use of the session")
    session_on_outage: OnOutage = _setting("fail", choice(OnOutage), "What to do when no session check is available")
    revocation_table: str | None = _setting(
        "",
        matching(r"[A-Za-z0-9_.-]{3,255}", str, "a DynamoDB table's name of 3 to 255 letters, digits, _ . -"),
        "The table of revoked sessions and users.",
    )
    revocation_queue_url: str | None = _setting(
        "", matching(r"https?://[!-~]{1,500}", str, "an SQS queue's URL"), "The dead-letter queue"
    )
    revocation_topic_arn: str | None = _setting(
        "",
        matching(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}", str, "an SNS topic's ARN"),
        "The topic that gets a message for each revocation",
    )
    revocation_cache_seconds: int = _setting("0", seconds(0, 60), 'How long the answer "not revoked" is remembered.')
    revoke_on_password_change: bool = _setting(
        "false", _BOOLEAN, "Whether a changed password revokes all sessions of the user."
    )
    context_claims: tuple[ContextClaim, ...] = _setting(
        "", Kind(parse_context_claims, _CLAIMS), "Further claims for the backend."
    )
    websocket_query_parameter: str | None = _setting(
        "",
        matching(r"[A-Za-z0-9_.-]{1,64}", str, "a parameter's name of at most 64 letters, digits, _ . -"),
        "The query parameter from which a WebSocket may take its token.",
    )
    websocket_subprotocol: str | None = _setting(
        "",
        matching(_HTTP_WORD, str, "a subprotocol of at most 64 characters"),
        "The marker in front of a WebSocket client's token",
    )
    http_api_response: HttpApiResponse = _setting(
        "simple", choice(HttpApiResponse), "What HTTP APIs with payload 2.0 expect"
    )
    appsync_ttl_seconds: int = _setting("0", seconds(0, 3600), "How long AppSync may reuse an answer, at most")
    rules_parameter: str | None = _setting(
        "",
        matching(_PARAMETER_PATH, str, "a parameter's name of at most 100 characters"),
        "The Systems Manager parameter that holds the rules",
    )
    usage_plan_claim: tuple[str, ...] | None = _setting(
        "",
        matching(_PATH_OF_CLAIM, split_path, "the dotted path of a claim, of at most 64 characters"),
        "The claim that holds the caller's API key",
    )
    log_user_id: bool = _setting("false", _BOOLEAN, "Whether records hold the user id itself instead of its hash.")
    log_hash_key: Secret | None = _setting(
        "", matching(r"[!-~]{16,64}", Secret, "16 to 64 visible ASCII characters"), "The key of the user ids' hash."
    )
    log_allowed: LogAllowed = _setting(
        "all", choice(LogAllowed), "Which allowed requests leave a record; the metrics count all of them"
    )
    proxy: Proxy | None = _setting(
        "",
        optional(Kind(parse_proxy, "http://host:port or http://user:password@host:port")),
        "Proxy to Hanko.",
        variables=("HTTPS_PROXY", "https_proxy"),
    )
    no_proxy: str = _setting(
        "", Kind(str, "a list of hosts"), "Hosts reached without proxy.", variables=("NO_PROXY", "no_proxy")
    )
    ca_file: str | None = _setting(
        "",
        optional(Kind(parse_ca_file, "a readable file of CA certificates in PEM form")),
        "CA certificates to trust. OpenSSL reads the variable itself, and ignores a missing file.",
        variables=("SSL_CERT_FILE",),
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and check every setting.

        Raises `Misconfigured(settings_invalid)`; its text has one line for each mistake.
        """
        mistakes, entries = Mistakes(Reason.SETTINGS_INVALID, "Wrong settings:"), table()
        values = [_read(variables, entry, environ, mistakes) for variables, entry in entries.items()]
        known = {variable for variables in entries for variable in variables}
        unknown = sorted(name for name in environ if name.startswith("HANKO_") and name not in known)
        # The name of an unknown variable is the deployer's own text, cut to a sane length.
        mistakes.lines += [f"{name[:64]!a} is not a setting of the authorizer" for name in unknown]
        mistakes.stop()
        return cls._make(values)

    def table_and_queue(self) -> tuple[str, str]:
        """The two settings that the receiver of webhooks requires. Raises `Misconfigured(settings_invalid)`."""
        if self.revocation_table is None or self.revocation_queue_url is None:
            both = "HANKO_REVOCATION_TABLE and HANKO_REVOCATION_QUEUE_URL must both be set"
            raise Misconfigured(Reason.SETTINGS_INVALID, f"Wrong settings:\n{both} for the webhooks' receiver")
        return self.revocation_table, self.revocation_queue_url


def table() -> dict[tuple[str, ...], Setting[object]]:
    """The entries of the table in their order, by their environment variables."""
    entries: dict[str, Setting[object]] = Settings._field_defaults
    return {entry.variables or (f"HANKO_{name.upper()}",): entry for name, entry in entries.items()}


def _read(variables: tuple[str, ...], entry: Setting[object], environ: Mapping[str, str], mistakes: Mistakes) -> object:
    given = [environ[name] for name in variables if name in environ]
    value = next(filter(None, given), "" if given and entry.empty_is_off else entry.default)
    hint = f": it must be {entry.kind.allowed}"
    if value is None:
        mistakes.lines.append(f"{variables[0]} is {'blank' if given else 'missing'}{hint}")
        return None
    return mistakes.read(variables[0], entry.kind.parse, value, hint)
