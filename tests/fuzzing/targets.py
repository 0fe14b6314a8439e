"""What is fuzzed: one function for each kind of input from outside. It raises AssertionError where its property fails.

Any exception outside of our own tree of errors fails, too. `bounded` adds: little processor time for each input.
"""

import contextlib
import http.client
import io
import json
import re
import time
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any

import jwt
from answers import allows
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.credentials import find_token
from authorizer.errors import Misconfigured, Reason, Unauthenticated, Unavailable
from authorizer.gateway.iam import policy
from authorizer.gateway.raised import AuthorizerUnavailable, Unauthorized
from authorizer.handler import Authorizer
from authorizer.hanko.client import HttpsClient
from authorizer.hanko.http1 import MAX_ANSWER_BYTES, AnswerReader, TooLarge
from authorizer.hanko.jwk import MAX_KEY_BITS, MIN_KEY_BITS, parse_keys
from authorizer.hanko.keys import KeyCache
from authorizer.hanko.tokens import TokenVerifier
from authorizer.model import Claims, CredentialSources, Decision, EventKind, Request
from authorizer.revocation.subject import session_subject, user_subject
from authorizer.revocation.webhook import WebhookVerifier
from authorizer.rules.evaluation import Rules
from authorizer.rules.source import RulesProvider, rules_of
from authorizer.telemetry import Telemetry
from local.hanko import StandInHanko
from local.hanko.keys import b64

MAX_SECONDS = 2  # of processor time for one input
MAX_WRITTEN_CHARACTERS = 20_000  # of the records of one invocation
MAX_RULES_TEXT_CHARACTERS = 200_000  # of all mistakes
BODY_BYTES = 1000
USER, SESSION = "0b6f3e0a-6f0e-4b0c-9a55-6d3c7c1f2a01", "5c1d2e3f-4a5b-4c6d-8e7f-8a9b0c1d2e3f"
# PyJWT reads the system's clock: valid from 2023 to 2096.
GOOD = {"sub": USER, "session_id": SESSION, "aud": ["localhost"], "iat": 1_700_000_000, "exp": 4_000_000_000}
GOOD_HEADER = {"alg": "RS256", "kid": "key-0", "typ": "JWT"}
KEY = rsa.generate_private_key(65537, 2048)  # signs in a tenth of the time that one of Hanko's 4096 bits takes
PUBLIC = KEY.public_key()
ENVIRONMENT = {"HANKO_API_URL": "https://hanko.example.com", "HANKO_AUDIENCE": "localhost"}
SETTINGS = Settings.from_env(
    {**ENVIRONMENT, "HANKO_WEBSOCKET_QUERY_PARAMETER": "token", "HANKO_WEBSOCKET_SUBPROTOCOL": "hanko"}
)

Target = Callable[[bytes], None]


class Keys:
    """A key set that needs no fetch."""

    def find(self, kid: str) -> RSAPublicKey:
        if kid != "key-0":
            raise Unauthenticated(Reason.KEY_UNKNOWN)
        return PUBLIC

    def find_changed(self, _kid: str, _unfit: RSAPublicKey) -> RSAPublicKey:
        raise Unauthenticated(Reason.SIGNATURE_INVALID)


def signed(header: bytes, payload: bytes) -> str:
    """A token of these bytes, signed by the genuine key."""
    signing_input = f"{b64(header)}.{b64(payload)}"
    return f"{signing_input}.{b64(KEY.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def token_of(text: str) -> str:
    """The text itself; behind `S`, the signed token of a header and, on the lines after it, a payload.

    Without that, no change of a token would get past its signature.
    """
    if not text.startswith("S"):
        return text
    header, _, payload = text[1:].encode("utf-8", "replace").partition(b"\n")
    return signed(header, payload)


# --- tokens


TOKENS = TokenVerifier(SETTINGS, Keys(), Clock())


def tokens(data: bytes) -> None:
    """What is accepted has a signature and a payload that PyJWT accepts as well."""
    token = token_of(data.decode("utf-8", "surrogateescape"))
    try:
        claims = TOKENS.verify(token)
    except (Unauthenticated, Unavailable):
        return
    options: Any = {"algorithms": ["RS256"], "audience": ["localhost"]}
    assert jwt.decode(token, PUBLIC, leeway=SETTINGS.clock_skew_seconds, **options) == claims.payload
    assert (claims.user_id, claims.session_id) == (claims.payload["sub"], claims.payload["session_id"])


# --- key sets


def keys(data: bytes) -> None:
    """Only RSA keys of the allowed size, and each is the one that PyJWT reads from the same JWK."""
    try:
        found = parse_keys(data)
    except ValueError:
        return
    assert found
    for kid, key in found.items():
        assert MIN_KEY_BITS <= key.key_size <= MAX_KEY_BITS
        jwks = [one for one in json.loads(data)["keys"] if isinstance(one, dict) and one.get("kid") == kid]
        assert key.public_numbers() in [number for one in jwks for number in _pyjwts_numbers(one)]


def _pyjwts_numbers(jwk: dict[str, Any]) -> list[object]:
    with contextlib.suppress(Exception):  # whatever PyJWT thinks of the other keys with this id
        key = jwt.PyJWK({**jwk, "alg": "RS256"}).key
        return [key.public_numbers()] if isinstance(key, RSAPublicKey) else []
    return []


# --- events


@cache
def authorizer() -> tuple[Authorizer, str]:
    """An authorizer with keys from the stand-in, on a clock that stands still, and a good token."""
    hanko = StandInHanko(now=lambda: 1_800_000_000).__enter__()  # it lives as long as the process
    clock = Clock(wall=lambda: 1_800_000_000.0, monotonic=lambda: 1000.0)
    settings = SETTINGS._replace(api_url=hanko.url)
    keys_ = KeyCache(settings, HttpsClient(settings, clock), clock)
    provider = RulesProvider(lambda: None, clock)
    built = Authorizer(settings, keys_, TokenVerifier(settings, keys_, clock), provider, Telemetry(settings, "fuzz"))
    return built, hanko.mint(claims=GOOD)


def events(data: bytes) -> None:
    """An answer or one of the two exceptions, records of JSON without the token, and no access without the token."""
    built, token = authorizer()
    try:
        event = json.loads(data.replace(b"TOKEN", token.encode()))
    except (ValueError, RecursionError):
        return
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        try:
            answer: Any = built.handle(event, "invocation")
        except (Unauthorized, AuthorizerUnavailable) as raised:
            answer = str(raised)
    assert len(json.dumps(answer)) <= MAX_ANSWER_BYTES
    assert not allows(answer) or token in json.dumps(event)
    records = [json.loads(line) for line in written.getvalue().splitlines()]
    assert all(isinstance(record, dict) for record in records)
    assert len(written.getvalue()) <= MAX_WRITTEN_CHARACTERS
    assert token[-40:] not in written.getvalue()
    assert "stack" not in written.getvalue()  # an exception that is none of ours


# --- cookies


_COOKIE = re.compile(r"(?:^|;)[ \t]*hanko=([^;]*)")


def cookies(data: bytes) -> None:
    """However the lines come: the only cookie of that name, or the right refusal."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    values = [value.rstrip(" \t") for line in lines for value in _COOKIE.findall(line)]
    expected = values[0] if len(values) == 1 else [Reason.TOKEN_MISSING, Reason.TOKEN_AMBIGUOUS][bool(values)]
    one = ";".join(lines)
    for sources in (
        CredentialSources(headers={"accept": "*/*"}, cookies=lines),
        CredentialSources(headers={"Cookie": one}),
        CredentialSources(headers={"cookie": one}, multi_value_headers={"Cookie": [one]}),
        CredentialSources(headers={"cookie": lines[-1]}, multi_value_headers={"cookie": lines}),
    ):
        request = Request(EventKind.HTTP_API_V2, sources, "api", "prod", "arn", "GET", "")
        try:
            found: str | Reason = find_token(request, SETTINGS)
        except Unauthenticated as error:
            found = error.reason
        assert found == expected


# --- rules


_PLACE = re.compile(r"(GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE) (/[A-Za-z0-9/_.-]*)")
_STAGE = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod"
_CALLERS: list[dict[str, object]] = [{}, {"role": "admin", "amr": ["passkey"], "plan": "pro", "roles": ["a", "b"]}]


def rules(data: bytes) -> None:
    """Rules, or one text of mistakes; and every verdict is what IAM would say to the policy."""
    text = data.decode("utf-8", "replace")
    parsed, mistakes = None, None
    try:
        parsed = rules_of(text)
    except Misconfigured as error:
        mistakes = error
    assert mistakes is None or mistakes.reason is Reason.RULES_INVALID
    assert len(str(mistakes)) <= MAX_RULES_TEXT_CHARACTERS
    for payload in _CALLERS if parsed else ():
        claims = Claims(USER, SESSION, 1_800_000_000, 1_800_043_200, payload)
        for method, path in {("GET", "/"), ("POST", "/a/b"), *_PLACE.findall(text)[:20]}:
            _assert_verdict(parsed, claims, method, path)


def _assert_verdict(parsed: Rules | None, claims: Claims, method: str, path: str) -> None:
    request = Request(EventKind.REST_REQUEST, CredentialSources(), "a1b2c3d4e5", "prod", _STAGE, method, "", path)
    assert parsed is not None
    result = parsed.evaluate(request, claims, 1_800_000_100)
    document: Any = policy(request, Decision(result.reason, USER, grant=result.grant))["policyDocument"]
    assert (result.reason is Reason.ALLOWED) == iam_allows(document, f"{_STAGE}/{method}{path}")


def iam_allows(document: dict[str, Any], arn: str) -> bool:
    """As IAM: an explicit deny wins. `:*:*:` stands for region and account of this API."""
    effects = set()
    for statement in document["Statement"]:
        named = statement["Resource"]
        for one in named if isinstance(named, list) else [named]:
            form = re.escape(one).replace(r"\*", ".*").replace(r"\?", ".")
            if re.fullmatch(form, arn, re.DOTALL):
                effects.add(statement["Effect"])
    return effects == {"Allow"}


# --- webhooks


WEBHOOKS = WebhookVerifier(SETTINGS, Keys(), Clock())


def webhooks(data: bytes) -> None:
    """What revokes was signed by Hanko, and ends the session or the user that its payload names."""
    event, _, rest = data.decode("utf-8", "surrogateescape").partition("\n")
    try:
        body = json.dumps({"event": event, "token": token_of(rest)}).encode() if event else rest.encode()
    except UnicodeError:
        return
    try:
        webhook = WEBHOOKS.verify(body)
    except (Unauthenticated, Misconfigured):
        return
    if webhook.revocation is None:
        return
    token = json.loads(body)["token"]
    payload = jwt.PyJWS().decode_complete(token, PUBLIC, algorithms=["RS256"])["payload"]
    assert event.encode() in payload
    kind = session_subject if event.startswith("session.") else user_subject
    assert webhook.revocation.subject in {kind(one.decode()) for one in re.findall(rb"[0-9a-f-]{36}", payload)}


# --- HTTP answers


def answers(data: bytes) -> None:
    """A status and a body within the limits, or an error of the reader; and where http.client agrees, the same body."""
    step, rest = (data[0] or None) if data else None, data[1:]
    pieces = iter([rest[at : at + (step or len(rest))] for at in range(0, len(rest), step or len(rest) or 1)])
    reader = AnswerReader(lambda: next(pieces, b""))
    try:
        head = reader.head()
        body = reader.body(head, BODY_BYTES)
    except (ValueError, TooLarge, ConnectionResetError):
        return
    assert len(body) <= BODY_BYTES
    assert 200 <= head.status <= 999
    # http.client reads a length that is told twice as none, and takes any status but 100 for the final one.
    is_comparable = head.status == HTTPStatus.OK and "," not in head.headers.get("content-length", "")
    theirs = _http_clients(rest) if is_comparable else None
    assert theirs is None or theirs == (head.status, body)


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _http_clients(data: bytes) -> tuple[int, bytes] | None:
    """What Python's own client reads; None where it refuses."""
    response = http.client.HTTPResponse(_Socket(data))  # type: ignore[arg-type]  # it needs no more of a socket
    try:
        response.begin()
        coding = response.getheader("Transfer-Encoding", "")
        if coding != coding.strip():  # it keeps white space behind a value, and then does not know the coding
            return None
        return (response.status, response.read()) if response.status >= HTTPStatus.OK else None
    except (http.client.HTTPException, ValueError):
        return None
    finally:
        response.close()


TARGETS: dict[str, Target] = {one.__name__: one for one in (events, tokens, keys, cookies, rules, webhooks, answers)}


def bounded(target: Target) -> Target:
    """The target, and a limit to the processor time that one input takes."""

    def run(data: bytes) -> None:
        began = time.thread_time()
        target(data)
        assert time.thread_time() - began <= MAX_SECONDS

    return run
