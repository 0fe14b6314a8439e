"""Every setting: its default, both ends of its range, and the message about a mistake."""

import json
from enum import StrEnum
from pathlib import Path
from unittest.mock import ANY

import pytest

from authorizer.config import HttpApiResponse, LogAllowed, OnOutage, SessionMode, Settings
from authorizer.errors import Misconfigured, Reason
from authorizer.setting_values import CONTEXT_KEYS, ContextClaim, Proxy, Secret, ServerUrl, split_url

SECRET = "s3cret-value"
OPTIONAL = [  # where an empty value means the default
    "HANKO_ISSUER",
    "HANKO_CLOCK_SKEW_SECONDS",
    "HANKO_MAX_TOKEN_LIFETIME_SECONDS",
    "HANKO_KEYS_MAX_AGE_SECONDS",
    "HANKO_KEYS_MAX_STALE_SECONDS",
    "HANKO_KEYS_COOLDOWN_SECONDS",
    "HANKO_KEYS_FILE",
    "HANKO_KEYS_FILE_MAX_AGE_SECONDS",
    "HANKO_FETCH_TIMEOUT_SECONDS",
    "HANKO_SESSION_CHECK",
    "HANKO_SESSION_MAX_AGE_SECONDS",
    "HANKO_SESSION_TOUCH",
    "HANKO_SESSION_ON_OUTAGE",
    "HANKO_REVOCATION_TABLE",
    "HANKO_REVOCATION_QUEUE_URL",
    "HANKO_REVOCATION_TOPIC_ARN",
    "HANKO_REVOCATION_CACHE_SECONDS",
    "HANKO_REVOKE_ON_PASSWORD_CHANGE",
    "HANKO_CONTEXT_CLAIMS",
    "HANKO_WEBSOCKET_QUERY_PARAMETER",
    "HANKO_WEBSOCKET_SUBPROTOCOL",
    "HANKO_HTTP_API_RESPONSE",
    "HANKO_APPSYNC_TTL_SECONDS",
    "HANKO_RULES_PARAMETER",
    "HANKO_USAGE_PLAN_CLAIM",
    "HANKO_LOG_USER_ID",
    "HANKO_LOG_HASH_KEY",
    "HANKO_LOG_ALLOWED",
    "HTTPS_PROXY",
    "SSL_CERT_FILE",
]


def settings(**variables: str) -> Settings:
    return Settings.from_env({"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "example.com", **variables})


def read(field: str, **variables: str) -> object:
    return getattr(settings(**variables), field)


def mistakes(**variables: str) -> list[str]:
    """The lines of the message, without its heading."""
    with pytest.raises(Misconfigured) as caught:
        settings(**variables)
    assert caught.value.reason is Reason.SETTINGS_INVALID
    heading, *lines = str(caught.value).splitlines()
    assert heading == "Wrong settings:"
    return lines


def the_mistake(**variables: str) -> str:
    """The one line of the message; it is about the last variable given."""
    (line,) = mistakes(**variables)
    assert line.startswith(list(variables)[-1] + " ")
    return line


def test_two_settings_are_enough_and_the_others_have_defaults() -> None:
    assert settings() == Settings(
        api_url="https://tenant.hanko.io",
        audiences=("example.com",),
        issuer=None,
        cookie_name="hanko",
        clock_skew_seconds=10,
        max_token_lifetime_seconds=None,
        keys_max_age_seconds=600,
        keys_max_stale_seconds=43200,
        keys_cooldown_seconds=30,
        keys_file=None,
        keys_file_max_age_seconds=86_400,
        fetch_timeout_seconds=3.0,
        session_check=SessionMode.OFF,
        session_max_age_seconds=60,
        session_touch=False,
        session_on_outage=OnOutage.FAIL,
        revocation_table=None,
        revocation_queue_url=None,
        revocation_topic_arn=None,
        revocation_cache_seconds=0,
        revoke_on_password_change=False,
        context_claims=(),
        websocket_query_parameter=None,
        websocket_subprotocol=None,
        http_api_response=HttpApiResponse.SIMPLE,
        appsync_ttl_seconds=0,
        rules_parameter=None,
        usage_plan_claim=None,
        log_user_id=False,
        log_hash_key=None,
        log_allowed=LogAllowed.ALL,
        proxy=None,
        no_proxy="",
        ca_file=None,
    )


def test_every_setting_can_be_given() -> None:
    assert settings(
        HANKO_ISSUER="https://auth.example.com",
        HANKO_COOKIE_NAME="__Host-session",
        HANKO_CLOCK_SKEW_SECONDS="5",
        HANKO_MAX_TOKEN_LIFETIME_SECONDS="86400",
        HANKO_KEYS_MAX_AGE_SECONDS="300",
        HANKO_KEYS_MAX_STALE_SECONDS="3600",
        HANKO_KEYS_COOLDOWN_SECONDS="20",
        HANKO_KEYS_FILE="keys/prod.json",
        HANKO_KEYS_FILE_MAX_AGE_SECONDS="604800",
        HANKO_FETCH_TIMEOUT_SECONDS="1.5",
        HANKO_SESSION_CHECK="hybrid",
        HANKO_SESSION_MAX_AGE_SECONDS="30",
        HANKO_SESSION_TOUCH="true",
        HANKO_SESSION_ON_OUTAGE="allow",
        HANKO_REVOCATION_TABLE="revoked-sessions",
        HANKO_REVOCATION_QUEUE_URL="https://sqs.eu-west-1.amazonaws.com/123456789012/dead-letters",
        HANKO_REVOCATION_TOPIC_ARN="arn:aws:sns:eu-west-1:123456789012:revoked",
        HANKO_REVOCATION_CACHE_SECONDS="15",
        HANKO_REVOKE_ON_PASSWORD_CHANGE="true",
        HANKO_CONTEXT_CLAIMS="role",
        HANKO_WEBSOCKET_QUERY_PARAMETER="token",
        HANKO_WEBSOCKET_SUBPROTOCOL="hanko.bearer",
        HANKO_HTTP_API_RESPONSE="policy",
        HANKO_APPSYNC_TTL_SECONDS="300",
        HANKO_RULES_PARAMETER="/hanko/rules",
        HANKO_USAGE_PLAN_CLAIM="metadata.key",
        HANKO_LOG_USER_ID="true",
        HANKO_LOG_HASH_KEY="0123456789abcdef",
        HANKO_LOG_ALLOWED="sampled",
        HTTPS_PROXY="http://proxy.example.com:3128",
        NO_PROXY="localhost",
    ) == Settings(
        api_url="https://tenant.hanko.io",
        audiences=("example.com",),
        issuer="https://auth.example.com",
        cookie_name="__Host-session",
        clock_skew_seconds=5,
        max_token_lifetime_seconds=86400,
        keys_max_age_seconds=300,
        keys_max_stale_seconds=3600,
        keys_cooldown_seconds=20,
        keys_file="keys/prod.json",
        keys_file_max_age_seconds=604_800,
        fetch_timeout_seconds=1.5,
        session_check=SessionMode.HYBRID,
        session_max_age_seconds=30,
        session_touch=True,
        session_on_outage=OnOutage.ALLOW,
        revocation_table="revoked-sessions",
        revocation_queue_url="https://sqs.eu-west-1.amazonaws.com/123456789012/dead-letters",
        revocation_topic_arn="arn:aws:sns:eu-west-1:123456789012:revoked",
        revocation_cache_seconds=15,
        revoke_on_password_change=True,
        context_claims=(ContextClaim(("role",), "role"),),
        websocket_query_parameter="token",
        websocket_subprotocol="hanko.bearer",
        http_api_response=HttpApiResponse.POLICY,
        appsync_ttl_seconds=300,
        rules_parameter="/hanko/rules",
        usage_plan_claim=("metadata", "key"),
        log_user_id=True,
        log_hash_key=ANY,
        log_allowed=LogAllowed.SAMPLED,
        proxy=Proxy("proxy.example.com", 3128, None),
        no_proxy="localhost",
        ca_file=None,
    )


@pytest.mark.parametrize("name", [*OPTIONAL, "NO_PROXY"])
def test_an_empty_value_means_the_default(name: str) -> None:
    assert settings(**{name: ""}) == settings()


def test_an_empty_cookie_name_switches_cookies_off() -> None:
    assert settings(HANKO_COOKIE_NAME="").cookie_name is None


# --- the required ones


@pytest.mark.parametrize("name", ["HANKO_API_URL", "HANKO_AUDIENCE"])
def test_a_required_setting_must_be_there(name: str) -> None:
    environ = {"HANKO_API_URL": "https://tenant.hanko.io", "HANKO_AUDIENCE": "example.com"}
    del environ[name]
    with pytest.raises(Misconfigured, match=f"^Wrong settings:\n{name} is missing: it must be "):
        Settings.from_env(environ)
    with pytest.raises(Misconfigured, match=f"^Wrong settings:\n{name} is blank: it must be "):
        Settings.from_env({**environ, name: ""})


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://tenant.hanko.io", "https://tenant.hanko.io"),
        ("https://tenant.hanko.io/", "https://tenant.hanko.io"),
        ("https://auth.example.com:8443/a/b-c.d_e~f/", "https://auth.example.com:8443/a/b-c.d_e~f"),
        ("https://auth.example.com:1", "https://auth.example.com:1"),
        ("https://auth.example.com:65535", "https://auth.example.com:65535"),
        ("https://192.0.2.1", "https://192.0.2.1"),
        ("https://[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ("http://localhost", "http://localhost"),
        ("http://localhost:8000/tenant", "http://localhost:8000/tenant"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.1.2.3", "http://127.1.2.3"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://host.docker.internal:8000", "http://host.docker.internal:8000"),
    ],
)
def test_an_api_url_is_https_or_http_to_this_machine(given: str, kept: str) -> None:
    assert settings(HANKO_API_URL=given).api_url == kept


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://Tenant.Hanko.IO", ("https", "Tenant.Hanko.IO", "tenant.hanko.io", 443, "")),
        ("https://XX.example.com:8443/a/b/", ("https", "XX.example.com:8443", "xx.example.com", 8443, "/a/b")),
        ("http://localhost", ("http", "localhost", "localhost", 80, "")),
        ("https://[ABCD:2:3:4:5:6:7:8]", ("https", "[ABCD:2:3:4:5:6:7:8]", "abcd:2:3:4:5:6:7:8", 443, "")),
        ("http://[::1]:1/", ("http", "[::1]:1", "::1", 1, "")),
    ],
)
def test_the_parts_of_a_url(url: str, parts: tuple[str, str, str, int, str]) -> None:
    assert split_url(url) == ServerUrl(*parts)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("http://tenant.hanko.io", "is not encrypted"),
        ("http://127.0.0.1000", "is not encrypted"),
        ("http://localhost.example.com", "is not encrypted"),
        ("http://127.0.0.1.example.com", "is not encrypted"),
        ("http://128.0.0.1", "is not encrypted"),
        ("http://hostXdocker.internal", "is not encrypted"),
        ("http://[::2]", "is not encrypted"),
        ("https://tenant.hanko.io:0", "has a port out of range"),
        ("https://tenant.hanko.io:65536", "has a port out of range"),
        ("https://tenant.hanko.io:", "is not valid"),
        ("https://tenant.hanko.io:123456", "is not valid"),
        ("https://tenant.hanko.io:٤٤٣", "is not valid"),
        ("https://user@tenant.hanko.io", "is not valid"),
        (f"https://user:{SECRET}@tenant.hanko.io", "is not valid"),
        ("https://tenant.hanko.io?x=1", "is not valid"),
        ("https://tenant.hanko.io#x", "is not valid"),
        ("https://tenant.hanko.io/a//b", "is not valid"),
        ("https://tenant.hanko.io/%2e", "is not valid"),
        ("https://tenant.hanko.io\n", "is not valid"),
        (" https://tenant.hanko.io", "is not valid"),
        ("https://tenant.hanko.io\\@evil.example.com", "is not valid"),
        ("https://[1:2]", "is not valid"),
        ("https://[1:2:3:4:5:6:7:8:9]", "is not valid"),
        ("https://", "is not valid"),
        ("https:///path", "is not valid"),
        ("tenant.hanko.io", "is not valid"),
        ("file:///etc/passwd", "is not valid"),
        ("ftp://tenant.hanko.io", "is not valid"),
        ("data:application/json,{}", "is not valid"),
        ("https://tenänt.hanko.io", "is not valid"),
    ],
)
def test_any_other_api_url_is_a_mistake(value: str, wrong: str) -> None:
    assert the_mistake(HANKO_API_URL=value) == (
        f"HANKO_API_URL {wrong}: it must be an https URL without user, query or fragment "
        "(http only for loopback hosts and host.docker.internal)"
    )


@pytest.mark.parametrize(
    "base", ["https://tenant.hanko.io", "https://auth.example.com/tenant", "http://localhost:8000"]
)
@pytest.mark.parametrize("end", ["", "/"])
def test_the_address_of_the_key_set_is_refused_with_the_right_one_named(base: str, end: str) -> None:
    line = the_mistake(HANKO_API_URL=f"{base}/.well-known/jwks.json{end}")
    assert line.startswith("HANKO_API_URL is the address of the key set, leave out /.well-known/jwks.json: it must be ")
    assert base not in line


@pytest.mark.parametrize(
    ("value", "audiences"),
    [
        ("example.com", ("example.com",)),
        ("a, b ,c", ("a", "b", "c")),
        ("https://example.com/x?y=~!", ("https://example.com/x?y=~!",)),
        ("x" * 512, ("x" * 512,)),
    ],
)
def test_audiences_are_separated_by_commas(value: str, audiences: tuple[str, ...]) -> None:
    assert settings(HANKO_AUDIENCE=value).audiences == audiences


@pytest.mark.parametrize("value", [" ", ",", "a,", ",a", "a,,b", "a, ,b", "a b", "a\tb", "é", "x" * 513, "a\0"])
def test_a_blank_audience_is_a_mistake_and_never_any(value: str) -> None:
    assert the_mistake(HANKO_AUDIENCE=value) == (
        "HANKO_AUDIENCE has a blank or unreadable audience: "
        "it must be one audience or more, comma-separated, of visible ASCII characters"
    )


# --- numbers


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("HANKO_CLOCK_SKEW_SECONDS", 0, 60),
        ("HANKO_MAX_TOKEN_LIFETIME_SECONDS", 60, 31_536_000),
        ("HANKO_KEYS_MAX_AGE_SECONDS", 60, 3600),
        ("HANKO_KEYS_MAX_STALE_SECONDS", 0, 86_400),
        ("HANKO_KEYS_COOLDOWN_SECONDS", 1, 300),
        ("HANKO_KEYS_FILE_MAX_AGE_SECONDS", 3600, 2_592_000),
        ("HANKO_SESSION_MAX_AGE_SECONDS", 5, 3600),
        ("HANKO_REVOCATION_CACHE_SECONDS", 0, 60),
        ("HANKO_APPSYNC_TTL_SECONDS", 0, 3600),
    ],
)
def test_a_whole_number_has_a_range(name: str, low: int, high: int) -> None:
    field = name.removeprefix("HANKO_").lower()
    optional = ", or empty" if name == "HANKO_MAX_TOKEN_LIFETIME_SECONDS" else ""
    allowed = f"it must be a whole number of seconds from {low} to {high}{optional}"
    assert read(field, **{name: str(low)}) == low
    assert read(field, **{name: str(high)}) == high
    assert the_mistake(**{name: str(high + 1)}) == f"{name} is out of range: {allowed}"
    assert the_mistake(**{name: str(low - 1)}).endswith(allowed)
    for value in ["-1", "+60", "60.0", "6e1", "0x3c", "sixty", " 60", "60\n", "1_00", "٦٠", "9" * 10]:
        assert the_mistake(**{name: value}) == f"{name} is not a whole number of seconds: {allowed}"


@pytest.mark.parametrize(("value", "seconds"), [("0.5", 0.5), ("0.500", 0.5), ("3", 3.0), ("4.999", 4.999), ("5", 5.0)])
def test_the_fetch_timeout_may_have_a_fraction(value: str, seconds: float) -> None:
    assert settings(HANKO_FETCH_TIMEOUT_SECONDS=value).fetch_timeout_seconds == seconds


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("0.499", "is out of range"),
        ("0", "is out of range"),
        ("5.001", "is out of range"),
        ("10", "is not a number of seconds"),
        ("-1", "is not a number of seconds"),
        (".5", "is not a number of seconds"),
        ("1.", "is not a number of seconds"),
        ("1e0", "is not a number of seconds"),
        ("1.0000", "is not a number of seconds"),
        ("nan", "is not a number of seconds"),
        ("inf", "is not a number of seconds"),
    ],
)
def test_the_fetch_timeout_has_a_range(value: str, wrong: str) -> None:
    assert the_mistake(HANKO_FETCH_TIMEOUT_SECONDS=value) == (
        f"HANKO_FETCH_TIMEOUT_SECONDS {wrong}: it must be a number of seconds from 0.5 to 5"
    )


def test_the_receiver_cannot_do_without_table_and_queue() -> None:
    table, queue = "revoked-sessions", "https://sqs.eu-west-1.amazonaws.com/123456789012/dead-letters"
    both = settings(HANKO_REVOCATION_TABLE=table, HANKO_REVOCATION_QUEUE_URL=queue)
    assert both.table_and_queue() == (table, queue)
    for one in ({"HANKO_REVOCATION_TABLE": table}, {"HANKO_REVOCATION_QUEUE_URL": queue}):
        with pytest.raises(Misconfigured) as caught:
            settings(**one).table_and_queue()
        assert caught.value.reason is Reason.SETTINGS_INVALID
        both_names = "HANKO_REVOCATION_TABLE and HANKO_REVOCATION_QUEUE_URL"
        assert str(caught.value) == f"Wrong settings:\n{both_names} must both be set for the webhooks' receiver"


# --- texts


QUEUE, TOPIC = "https://sqs.eu-west-1.amazonaws.com/123456789012/q", "arn:aws:sns:eu-west-1:123456789012:"


@pytest.mark.parametrize(
    ("name", "allowed", "good", "bad"),
    [
        (
            "HANKO_ISSUER",
            "1 to 512 visible ASCII characters",
            ["x", "https://auth.example.com", "x" * 512],
            ["a b", "é", "x" * 513, "x\n"],
        ),
        (
            "HANKO_COOKIE_NAME",
            "a cookie name of at most 64 characters",
            ["x", "__Host-hanko", "a!#$%&'*+.^_`|~-9", "x" * 64],
            ["a b", "a=b", "a;b", "é", "x" * 65],
        ),
        (
            "HANKO_WEBSOCKET_QUERY_PARAMETER",
            "a parameter's name of at most 64 letters, digits, _ . -",
            ["x", "a_b.c-9", "x" * 64],
            ["a b", "a[]", "a&b", "é", "x" * 65],
        ),
        (
            "HANKO_WEBSOCKET_SUBPROTOCOL",
            "a subprotocol of at most 64 characters",
            ["x", "hanko.bearer", "x" * 64],
            ["a b", "a,b", 'a"b', "é", "x" * 65],
        ),
        (
            "HANKO_RULES_PARAMETER",
            "a parameter's name of at most 100 characters",
            ["x", "/x", "/hanko/rules.toml", "a-b_c.d/e", "x" * 100],
            ["/", "a//b", "a/", "a b", "arn:aws:ssm:eu-west-1:123456789012:parameter/x", "é", "x" * 101, "x\n"],
        ),
        (
            "HANKO_KEYS_FILE",
            "a path inside the artifact",
            ["x", "keys.json", "a/b-c_d.json", "x" * 40],
            ["/keys.json", "../keys.json", "a/../../b", "a/./b", ".keys", "a//b", "a/", "a b", "é", "x" * 41, "x\n"],
        ),
        (
            "HANKO_REVOCATION_TABLE",
            "a DynamoDB table's name of 3 to 255 letters, digits, _ . -",
            ["abc", "A_b.c-9", "x" * 255],
            ["ab", "a" * 256, "a b", "a/b", "a:b", "abc\n", "é" * 3],
        ),
        (
            "HANKO_REVOCATION_QUEUE_URL",
            "an SQS queue's URL",
            [QUEUE, "http://x", "https://" + "x" * 500],
            ["https://", f"{QUEUE} ", f"{QUEUE}\n", "sqs://x", "https://é", "https://" + "x" * 501],
        ),
        (
            "HANKO_REVOCATION_TOPIC_ARN",
            "an SNS topic's ARN",
            [f"{TOPIC}x", f"{TOPIC}A_b-9", TOPIC + "x" * 256, "arn:aws-us-gov:sns:us-gov-west-1:123456789012:x"],
            [TOPIC, f"{TOPIC}x.fifo", f"{TOPIC}x\n", TOPIC + "x" * 257, "arn:aws:sns:eu-west-1:12345678901:x"],
        ),
        (
            "HANKO_LOG_HASH_KEY",
            "16 to 64 visible ASCII characters",
            ["x" * 16, "~" * 64],
            ["x" * 15, "x" * 65, "x" * 15 + " ", "é" * 16],
        ),
    ],
)
def test_a_text_has_an_alphabet_and_a_length(name: str, allowed: str, good: list[str], bad: list[str]) -> None:
    for value in good:
        found = read(name.removeprefix("HANKO_").lower(), **{name: value})
        assert (found.reveal() if isinstance(found, Secret) else found) == value
    for value in bad:
        assert the_mistake(**{name: value}) == f"{name} is not valid: it must be {allowed}, or empty"


@pytest.mark.parametrize("value", [".", "a.", ".a", "a..b", "a b", "a=b", "a,b", "x" * 65, "a\n"])
def test_the_claim_of_a_usage_plan_is_a_path(value: str) -> None:
    for path in ("a.b-c", "x", "x" * 64):
        assert settings(HANKO_USAGE_PLAN_CLAIM=path).usage_plan_claim == tuple(path.split("."))
    assert the_mistake(HANKO_USAGE_PLAN_CLAIM=value) == (
        "HANKO_USAGE_PLAN_CLAIM is not valid: it must be the dotted path of a claim, of at most 64 characters, or empty"
    )


@pytest.mark.parametrize("value", ["Simple", "policy ", "both", "SIMPLE"])
def test_the_http_api_response_is_one_of_two(value: str) -> None:
    assert the_mistake(HANKO_HTTP_API_RESPONSE=value) == (
        "HANKO_HTTP_API_RESPONSE is not one of the choices: it must be simple or policy"
    )


def test_the_http_api_response_can_be_chosen() -> None:
    assert settings(HANKO_HTTP_API_RESPONSE="simple").http_api_response is HttpApiResponse.SIMPLE
    assert settings(HANKO_HTTP_API_RESPONSE="policy").http_api_response is HttpApiResponse.POLICY


@pytest.mark.parametrize(
    ("name", "choices", "texts"),
    [
        ("HANKO_SESSION_CHECK", SessionMode, ["off", "hybrid", "strict"]),
        ("HANKO_SESSION_ON_OUTAGE", OnOutage, ["fail", "allow"]),
        ("HANKO_LOG_ALLOWED", LogAllowed, ["all", "sampled", "none"]),
    ],
)
def test_some_settings_are_choices(name: str, choices: type[StrEnum], texts: list[str]) -> None:
    field = name.removeprefix("HANKO_").lower()
    assert [read(field, **{name: text}) for text in texts] == list(choices)
    for value in ("true", "None", "Strict", "ALLOW", "strict ", "deny"):
        assert the_mistake(**{name: value}) == f"{name} is not one of the choices: it must be {' or '.join(texts)}"


@pytest.mark.parametrize("name", ["HANKO_SESSION_TOUCH", "HANKO_REVOKE_ON_PASSWORD_CHANGE"])
def test_a_switch_is_true_or_false(name: str) -> None:
    field = name.removeprefix("HANKO_").lower()
    assert [read(field, **{name: value}) for value in ("false", "true")] == [False, True]
    assert the_mistake(**{name: "yes"}) == f"{name} is not one of the choices: it must be false or true"


@pytest.mark.parametrize("value", ["True", "1", "yes", "on", " true"])
def test_a_switch_is_true_or_false_and_nothing_like_it(value: str) -> None:
    assert the_mistake(HANKO_LOG_USER_ID=value) == (
        "HANKO_LOG_USER_ID is not one of the choices: it must be false or true"
    )


def test_a_switch_can_be_switched() -> None:
    assert settings(HANKO_LOG_USER_ID="false").log_user_id is False
    assert settings(HANKO_LOG_USER_ID="true").log_user_id is True


# --- context claims


@pytest.mark.parametrize(
    ("value", "claims"),
    [
        ("role", [ContextClaim(("role",), "role")]),
        ("role,metadata.plan=plan", [ContextClaim(("role",), "role"), ContextClaim(("metadata", "plan"), "plan")]),
        (" role , , org.id ,", [ContextClaim(("role",), "role"), ContextClaim(("org", "id"), "org_id")]),
        ("https://x=y", [ContextClaim(("https://x",), "y")]),
        ("sub=subject", [ContextClaim(("sub",), "subject")]),
        ("a=" + "b" * 64, [ContextClaim(("a",), "b" * 64)]),
        ("a=_b9", [ContextClaim(("a",), "_b9")]),
        ("groups=groups:json", [ContextClaim(("groups",), "groups", "json")]),
        ("a:b=c:b64", [ContextClaim(("a:b",), "c", "b64")]),
        (",".join(f"a=n{number:063}" for number in range(8)), [ContextClaim(("a",), f"n{n:063}") for n in range(8)]),
        (",", []),
    ],
)
def test_context_claims_are_paths_with_optional_names(value: str, claims: list[ContextClaim]) -> None:
    assert settings(HANKO_CONTEXT_CLAIMS=value).context_claims == tuple(claims)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("a=", "an item that is not valid"),
        ("=a", "an item that is not valid"),
        ("a.=b", "an item that is not valid"),
        (".a=b", "an item that is not valid"),
        ("a..b", "an item that is not valid"),
        ("a b", "an item that is not valid"),
        ("a=b=c", "an item that is not valid"),
        ("a=b:xml", "an item that is not valid"),
        ("a=b:", "an item that is not valid"),
        ("a:json", "a claim that needs a name of letters, digits and _"),
        (",".join(f"a=n{number:063}" for number in range(8)) + ",b", "names of more than 512 characters together"),
        ("a=b-c", "an item that is not valid"),
        ("a=é", "an item that is not valid"),
        ("a-b", "a claim that needs a name of letters, digits and _"),
        ("é", "a claim that needs a name of letters, digits and _"),
        ("a=9", "a claim that needs a name of letters, digits and _"),
        ("a=" + "b" * 65, "a claim that needs a name of letters, digits and _"),
        ("role,role", "a name that is reserved or used twice"),
        ("a=x,b=x", "a name that is reserved or used twice"),
        ("a.b,a_b", "a name that is reserved or used twice"),
    ],
)
def test_a_mistake_in_a_context_claim_is_told(value: str, wrong: str) -> None:
    assert the_mistake(HANKO_CONTEXT_CLAIMS=value).startswith(
        f"HANKO_CONTEXT_CLAIMS has {wrong}: it must be claim paths"
    )


@pytest.mark.parametrize(
    "name",
    [
        "user_id",
        "session_id",
        "email",
        "email_verified",
        "username",
        "amr",
        "issued_at",
        "expires_at",
        "left_out",
        "claims",
        "principalId",
        "reason",
        "rule",
        "property",
        "error",
        "latency",
        "status",
        "requestId",
        "integrationLatency",
        "integrationStatus",
    ],
)
def test_a_name_of_ours_or_of_api_gateway_cannot_be_taken(name: str) -> None:
    assert "a name that is reserved" in the_mistake(HANKO_CONTEXT_CLAIMS=f"metadata.x={name}")
    assert "a name that is reserved" in the_mistake(HANKO_CONTEXT_CLAIMS=name)


def test_the_fixed_keys_of_the_context() -> None:
    assert CONTEXT_KEYS == (
        "user_id",
        "session_id",
        "email",
        "email_verified",
        "username",
        "amr",
        "issued_at",
        "expires_at",
    )


# --- what other programs read, too


@pytest.mark.parametrize(
    ("value", "proxy"),
    [
        ("http://proxy.example.com:3128", Proxy("proxy.example.com", 3128, None)),
        ("http://192.0.2.1:1/", Proxy("192.0.2.1", 1, None)),
        ("http://XPROXY:3128", Proxy("XPROXY", 3128, None)),
        ("http://[2001:db8::1]:65535", Proxy("2001:db8::1", 65535, None)),
    ],
)
def test_a_proxy_is_an_http_url_with_a_port(value: str, proxy: Proxy) -> None:
    assert settings(HTTPS_PROXY=value).proxy == proxy
    assert settings(https_proxy=value).proxy == proxy


@pytest.mark.parametrize(
    ("written", "credentials"),
    [
        ("user:pass", "user:pass"),
        ("user:", "user:"),
        ("us%40er:p%3A%2fss", "us@er:p:/ss"),  # as every other client reads it
    ],
)
def test_a_proxy_may_want_a_password(written: str, credentials: str) -> None:
    proxy = settings(HTTPS_PROXY=f"http://{written}@proxy:3128").proxy
    assert proxy is not None
    assert (proxy.host, proxy.port) == ("proxy", 3128)
    assert proxy.credentials is not None
    assert proxy.credentials.reveal() == credentials


def test_the_key_of_the_hashes_is_kept_as_it_is() -> None:
    key = settings(HANKO_LOG_HASH_KEY="0123456789abcdef").log_hash_key
    assert key is not None
    assert key.reveal() == "0123456789abcdef"


@pytest.mark.parametrize(
    "value",
    [
        "proxy:3128",
        "http://proxy",
        "https://proxy:3128",
        "socks5://proxy:3128",
        "http://user@proxy:3128",
        f"http://user:{SECRET}@proxy",
        "http://proxy:3128/path",
        "http://proxy:3128\n",
        "http://proxy:3128?x",
        "http://proxy:123456",
    ],
)
def test_any_other_proxy_is_a_mistake(value: str) -> None:
    assert the_mistake(HTTPS_PROXY=value) == (
        "HTTPS_PROXY is not valid: it must be http://host:port or http://user:password@host:port, or empty"
    )


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_the_port_of_a_proxy_has_a_range(port: str) -> None:
    assert "HTTPS_PROXY has a port out of range: " in the_mistake(HTTPS_PROXY=f"http://proxy:{port}")


def test_capitals_win_where_both_spellings_are_set() -> None:
    both = settings(HTTPS_PROXY="http://a:1", https_proxy="http://b:2", NO_PROXY="c", no_proxy="d")
    assert both.proxy == Proxy("a", 1, None)
    assert both.no_proxy == "c"
    assert settings(no_proxy="d").no_proxy == "d"


def test_the_file_of_a_private_ca_must_be_readable(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    assert the_mistake(SSL_CERT_FILE=str(file)) == (
        "SSL_CERT_FILE cannot be read: it must be a readable file of CA certificates in PEM form, or empty"
    )
    assert "SSL_CERT_FILE cannot be read: " in the_mistake(SSL_CERT_FILE=str(tmp_path))
    file.write_text("no certificate")
    assert "SSL_CERT_FILE holds no certificate: " in the_mistake(SSL_CERT_FILE=str(file))
    file.write_text("-----BEGIN CERTIFICATE-----\n")
    assert settings(SSL_CERT_FILE=str(file)).ca_file == str(file)


# --- the message


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_env(
            {
                "HANKO_AUDIENCE": "",
                "HANKO_CLOCK_SKEW_SECONDS": "61",
                "HANKO_LOG_USER_ID": "yes",
                "HANKO_SKEW": "1",
                "HANKO_AUDIENCES": "x",
            }
        )
    assert str(caught.value).splitlines() == [
        "Wrong settings:",
        (
            "HANKO_API_URL is missing: it must be an https URL without user, query or fragment "
            "(http only for loopback hosts and host.docker.internal)"
        ),
        "HANKO_AUDIENCE is blank: it must be one audience or more, comma-separated, of visible ASCII characters",
        "HANKO_CLOCK_SKEW_SECONDS is out of range: it must be a whole number of seconds from 0 to 60",
        "HANKO_LOG_USER_ID is not one of the choices: it must be false or true",
        "'HANKO_AUDIENCES' is not a setting of the authorizer",
        "'HANKO_SKEW' is not a setting of the authorizer",
    ]


def test_a_setting_that_nobody_knows_stops_the_function() -> None:
    assert mistakes(HANKO_VERIFY="false") == ["'HANKO_VERIFY' is not a setting of the authorizer"]
    assert mistakes(HANKO_="") == ["'HANKO_' is not a setting of the authorizer"]


def test_the_name_of_an_unknown_setting_cannot_forge_a_line() -> None:
    assert mistakes(**{"HANKO_A\nHANKO_API_URL is fine": "x"}) == [
        r"'HANKO_A\nHANKO_API_URL is fine' is not a setting of the authorizer"
    ]
    assert mistakes(**{"HANKO_" + "X" * 100: "x"}) == [f"'HANKO_{'X' * 58}' is not a setting of the authorizer"]


def test_variables_of_others_are_none_of_our_business() -> None:
    assert settings(AWS_REGION="eu-west-1", hanko_verify="x", XHANKO_Y="z") == settings()


@pytest.mark.parametrize("name", ["HANKO_API_URL", "HANKO_AUDIENCE", "HANKO_COOKIE_NAME", *OPTIONAL])
def test_a_wrong_value_is_never_repeated(name: str) -> None:
    assert SECRET not in the_mistake(**{name: f"\t{SECRET} é"})


def test_secrets_are_not_printed_with_the_settings() -> None:
    one = settings(HANKO_LOG_HASH_KEY=f"{SECRET}-{SECRET}", HTTPS_PROXY=f"http://{SECRET}:{SECRET}@proxy:3128")
    for shown in (repr(one), f"{one}", json.dumps(one, default=str)):
        assert SECRET not in shown
        assert "proxy" in shown
