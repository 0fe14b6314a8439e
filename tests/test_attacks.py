"""Every attack that we know of, through the whole handler: refused, for the right reason, and nothing of it printed.

The ids (H1, S3, CVE-…) are those of the threat model: H Hanko's own tokens, S signature, P parsing, C claims,
X credentials, J key set, R answer, L log, V sessions, W webhooks. A forged token is good but for the one thing that its
name says, and signed with the genuine key unless the name says otherwise: only the check under attack can refuse it.
"""

import base64
import gzip
import hashlib
import hmac
import http.client
import json
import re
import sysconfig
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aws import FAULTS, TABLE, Aws
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from receiving import MakeReceiving, Receiving, url_event
from sandbox import CONTEXT, NOW, SESSION, USER, Json, MakeSandbox, Sandbox, Time

from authorizer.config import Settings
from authorizer.errors import Misconfigured
from authorizer.hanko.fetch import JWKS_PATH
from authorizer.hanko.tokens import TokenVerifier
from local.hanko import StandInHanko
from local.hanko.keys import b64, jwk, pool_key, unb64
from local.runtime import LambdaRuntime
from local.sign import SHAPES, event_with, token_with

# A cookie brings any text to the verifier; the header of another kind of API brings what its form lets through.
PLACES = ("http_v2_cookie", "rest_request")
NONE: dict[str, Any] = {}


@pytest.fixture
def time_() -> Time:
    return Time(wall=NOW)


@pytest.fixture
def attacker() -> Iterator[StandInHanko]:
    """A server of the attacker's, with keys of its own and a count of who came."""
    with StandInHanko(first_key=1) as server:
        yield server


@pytest.fixture(scope="session")
def own_key() -> RSAPrivateKey:
    """A key of the attacker's, strong enough."""
    return rsa.generate_private_key(65537, 2048)


# --- forging


def session_claims() -> Json:
    """What Hanko puts into a session token."""
    return {
        "sub": USER,
        "aud": ["localhost"],
        "iat": NOW,
        "exp": NOW + 43_200,
        "session_id": SESSION,
        "email": {"address": "user@example.com", "is_primary": True, "is_verified": True},
        "username": "example-user",
        "amr": ["passkey"],
    }


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def genuine_key(hanko: StandInHanko) -> RSAPrivateKey:
    """The key that the stand-in signs with until its first rotation."""
    return pool_key(hanko.first_key)


def signed(header: bytes, payload: bytes, key: RSAPrivateKey) -> str:
    return with_signature(f"{b64(header)}.{b64(payload)}", key)


def with_signature(signing_input: str, key: RSAPrivateKey) -> str:
    return f"{signing_input}.{b64(key.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def header_of(hanko: StandInHanko) -> Json:
    return {"alg": "RS256", "kid": hanko.kids[-1], "typ": "JWT"}


def forge(
    hanko: StandInHanko,
    header: Mapping[str, Any] = NONE,
    claims: Mapping[str, Any] = NONE,
    *,
    without: str | None = None,
    key: RSAPrivateKey | None = None,
) -> str:
    """A session token with some members of header and claims replaced or added, and one left out."""
    full = [{**header_of(hanko), **header}, {**session_claims(), **claims}]
    head, payload = (compact({k: v for k, v in part.items() if k != without}) for part in full)
    return signed(head, payload, key or genuine_key(hanko))


# --- judging


def answers_to_refusal(shape: str, reason: str) -> Json | str:
    if shape == "http_v1":
        resource = "arn:aws:execute-api:eu-west-1:123456789012:f6g7h8i9j0/$default/*"
        statement = {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": resource}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        return {"principalId": "unknown", "policyDocument": policy, "context": {"reason": reason}}
    if shape.startswith("http_v2"):
        return {"isAuthorized": False, "context": {"reason": reason}}
    return {"isAuthorized": False} if shape == "appsync" else "Unauthorized"


def refuse(sandbox: Sandbox, token: str, reason: str, *places: str) -> None:
    """The token is refused for this reason, wherever it is put."""
    for shape in places or PLACES:
        refuse_event(sandbox, event_with(shape, token), answers_to_refusal(shape, reason), reason, token)


def refuse_event(sandbox: Sandbox, event: object, answer: Json | str, reason: str, *secrets: str) -> None:
    assert sandbox.answer(event) == answer
    output = sandbox.output()
    log, metric = (json.loads(line) for line in output.splitlines())
    assert (log["reason"], metric["reason"]) == (reason, reason)
    assert "user" not in log
    assert_no_piece(output, *secrets)


def assert_no_piece(output: str, *tokens: str) -> None:
    """Nothing of a token is in the output: no twelve characters of its text, no text from inside it."""
    for token in tokens:
        pieces = {token[i : i + 12] for i in range(max(1, len(token) - 11))} if len(token) > 3 else set()
        found = {piece for piece in pieces | texts_in(token) if piece in output}
        assert found == set()


def texts_in(token: str) -> set[str]:
    texts: set[str] = set()
    for segment in token.split("."):
        try:
            decoded = base64.urlsafe_b64decode(segment + "==").decode()
        except ValueError:
            continue
        texts |= set(re.findall(r'"(\w[^"]{5,})"', decoded))
    # Words of ours that names of claims share.
    return texts - {"session_id", "reason"}


def fail(sandbox: Sandbox, token: str, reason: str, shape: str = "http_v2_cookie") -> Json:
    """The invocation fails: no verdict about the token; the log line."""
    assert sandbox.answer(event_with(shape, token)) == "Authorizer unavailable"
    output = sandbox.output()
    log: Json = json.loads(output.splitlines()[0])
    assert log["reason"] == reason
    assert_no_piece(output, token)
    return log


def allow(sandbox: Sandbox, token: str, shape: str = "http_v2_cookie") -> Json:
    """The token is accepted; the context that the backend receives."""
    answer = sandbox.answer(event_with(shape, token))
    assert isinstance(answer, dict)
    assert answer["isAuthorized"] is True
    output = sandbox.output()
    assert_no_piece(output, *token.split("."))
    context: Json = answer["context"]
    return context


def test_what_is_forged_here_is_good_but_for_what_is_forged(sandbox: Sandbox, hanko: StandInHanko) -> None:
    assert allow(sandbox, forge(hanko)) == CONTEXT


# --- H: tokens of Hanko's that are no sessions

WEBHOOK_LOOKALIKES: dict[str, Json] = {
    "as_hanko_sends_it": {},
    "with_a_user_for_its_subject": {"sub": USER},
    "with_a_session_id": {"session_id": SESSION},
    "with_both": {"sub": USER, "session_id": SESSION},
    "with_both_and_an_email": {**session_claims()},
    "with_evt_alone": {"sub": USER, "session_id": SESSION, "data": None},
    "with_data_alone": {"sub": USER, "session_id": SESSION, "evt": None},
}


@pytest.mark.parametrize("claims", WEBHOOK_LOOKALIKES.values(), ids=WEBHOOK_LOOKALIKES)
def test_h1_a_webhook_token_is_no_session(claims: Json, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """H1, C5, C6: same keys, same audience, and every receiver of webhooks holds some."""
    refuse(sandbox, hanko.webhook_token("user.update", {"id": USER}, claims=claims), "not_a_session")


@pytest.mark.parametrize(
    "event", ["user", "user.create", "user.delete", "session.delete.explicit.logout", "email.send", "sms.send"]
)
def test_h1_no_webhook_of_any_event_is_a_session(event: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    refuse(sandbox, hanko.webhook_token(event, {"id": USER, "user_id": USER}), "not_a_session")


@pytest.mark.parametrize("member", ["evt", "data"])
@pytest.mark.parametrize("value", [None, "", "user.update", {}, [], 0, False], ids=str)
def test_h1_a_session_with_a_member_of_webhooks_is_none(
    member: str, value: object, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """H1: the member's presence decides, whatever it holds."""
    refuse(sandbox, forge(hanko, claims={member: value}), "not_a_session")


@pytest.mark.parametrize("shape", SHAPES)
def test_h1_a_webhook_token_is_refused_by_every_kind_of_api(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = make_sandbox(websocket_query_parameter="token", websocket_subprotocol="hanko")
    refuse(sandbox, hanko.webhook_token("user.update", {}), "not_a_session", shape)


def test_h1_a_webhook_token_has_no_issuer(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """H1, C7: not even when sessions have one."""
    refuse(make_sandbox(issuer="https://hanko.example.com"), hanko.webhook_token("user", {}), "issuer_not_allowed")


def test_h2_what_hanko_itself_calls_valid_may_be_for_another_app(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """H2: Hanko looks neither at audience nor at issuer; we do."""
    token = hanko.mint(claims={"aud": ["other.example.com"]})
    assert hanko.validate([token], renew=False)["is_valid"] is True
    refuse(sandbox, token, "audience_not_allowed")


def test_h4_tenants_that_share_a_key_are_told_apart_by_the_audience(
    make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """H4: with AWS KMS for its key store, Hanko signs for every tenant with one key, whose id can be an ARN."""
    kid = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    hanko.extra_keys = [jwk(genuine_key(hanko), kid)]
    sandbox = make_sandbox()
    assert allow(sandbox, forge(hanko, {"kid": kid})) == CONTEXT
    refuse(sandbox, forge(hanko, {"kid": kid}, {"aud": ["other-tenant.example.com"]}), "audience_not_allowed")


def test_h5_the_token_does_not_choose_the_tenant(make_sandbox: MakeSandbox, attacker: StandInHanko) -> None:
    """H5: whatever tenant a token, its issuer or the request's path names, keys come from the configured one."""
    sandbox = make_sandbox()
    tenant = str(uuid.uuid4())
    attacker.tenant = tenant
    claims = {"iss": attacker.url, "tenant_id": tenant, "sub": USER, "session_id": SESSION}
    token = attacker.mint(claims=claims)
    event = event_with("http_v2_cookie", token) | {"rawPath": f"/{tenant}/.well-known/jwks.json"}
    refuse_event(sandbox, event, answers_to_refusal("http_v2", "key_unknown"), "key_unknown", token)
    assert attacker.jwks_requests == 0


def test_h7_a_withdrawn_key_stops_working_with_the_next_fetch(
    sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """H6, H7, J9: at the latest after the ten minutes that Hanko's own Cache-Control says."""
    token = forge(hanko)
    hanko.rotate()
    allow(sandbox, token)
    hanko.withdraw(hanko.kids[-1])
    time_.advance(600)
    allow(sandbox, token)
    time_.advance(1)
    refuse(sandbox, token, "key_unknown")


def test_h6_hanko_cannot_lengthen_the_life_of_its_keys_here(sandbox: Sandbox, hanko: StandInHanko, time_: Time) -> None:
    token = forge(hanko)
    hanko.rotate()
    hanko.behave("normal", headers={"Cache-Control": "max-age=31536000, immutable"})
    allow(sandbox, token)
    hanko.withdraw(hanko.kids[-1])
    time_.advance(601)
    refuse(sandbox, token, "key_unknown")


@pytest.mark.parametrize("claims", [{}, {"aud": ["localhost"]}, {"trans": {}}], ids=str)
def test_h8_a_token_of_the_passkey_server_is_no_session(claims: Json, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """H8, C6: almost a session's claims; only the session id is missing, even if keys and audience were the same."""
    refuse(sandbox, hanko.passkey_server_token(claims=claims), "not_a_session")


def test_h10_sessions_of_old_hanko_versions_are_refused(sandbox: Sandbox, hanko: StandInHanko) -> None:
    refuse(sandbox, forge(hanko, without="session_id"), "not_a_session")


# --- every near miss: a session with one thing wrong

NEAR_MISSES: dict[str, tuple[Json, str]] = {
    "another_audience": ({"aud": ["other.example.com"]}, "audience_not_allowed"),
    "another_issuer": ({"iss": "https://other.example.com"}, "issuer_not_allowed"),
    "no_user": ({"sub": "hanko webhooks"}, "not_a_session"),
    "no_session": ({"session_id": "none"}, "not_a_session"),
    "an_event": ({"evt": "user.update"}, "not_a_session"),
    "data": ({"data": {"id": USER}}, "not_a_session"),
    "expired": ({"iat": NOW - 43_211, "exp": NOW - 11}, "token_expired"),
    "issued_tomorrow": ({"iat": NOW + 86_400, "exp": NOW + 86_500}, "token_not_yet_valid"),
    "not_before_tomorrow": ({"nbf": NOW + 43_000}, "token_not_yet_valid"),
    "lives_too_long": ({"exp": NOW + 86_401}, "token_lifetime_too_long"),
}


@pytest.mark.parametrize(("claims", "reason"), NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_every_near_miss_of_a_session(
    claims: Json, reason: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = make_sandbox(issuer="https://hanko.example.com", max_token_lifetime_seconds="86400")
    genuine = {"iss": "https://hanko.example.com"}
    assert allow(sandbox, forge(hanko, claims=genuine)) == CONTEXT
    refuse(sandbox, forge(hanko, claims={**genuine, **claims}), reason)


@pytest.mark.parametrize("claim", ["sub", "aud", "iat", "exp", "session_id", "iss"])
def test_every_claim_that_a_session_cannot_do_without(
    claim: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = make_sandbox(issuer="https://hanko.example.com")
    reason = {"iss": "issuer_not_allowed", "sub": "not_a_session", "session_id": "not_a_session"}
    token = forge(hanko, claims={"iss": "https://hanko.example.com"}, without=claim)
    refuse(sandbox, token, reason.get(claim, "claims_malformed"))


# --- S: algorithm, key and signature

ALGORITHMS: list[object] = [
    *("none", "None", "NONE", "nOnE", "", "null", "HS256", "HS384", "HS512", "RS384", "RS512", "PS256", "PS384"),
    *("PS512", "ES256", "ES256K", "ES384", "EdDSA", "RSA-OAEP", "dir", "rs256", "Rs256", "RS256 ", " RS256"),
    *("RS256\n", "RS256\0", "ＲＳ２５６", "RSA256", "SHA256withRSA", "*"),  # noqa: RUF001 - look-alikes on purpose
    *(["RS256"], ["none", "RS256"], {"RS256": True}, None, True, 256, 0),
]  # fmt: skip


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=repr)
def test_s1_any_algorithm_but_rs256(algorithm: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S1: CVE-2015-9235, CVE-2026-28802, CVE-2026-23993. The signature is RS256 and right: the header alone lies."""
    refuse(sandbox, forge(hanko, {"alg": algorithm}), "algorithm_not_allowed")
    assert hanko.jwks_requests == 0


def test_s1_no_algorithm(sandbox: Sandbox, hanko: StandInHanko) -> None:
    refuse(sandbox, forge(hanko, without="alg"), "algorithm_not_allowed")


@pytest.mark.parametrize(
    ("signature", "reason"), [("", "token_malformed"), ("AA", "algorithm_not_allowed"), (".", "token_malformed")]
)
def test_s1_an_unsigned_token(signature: str, reason: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S1, P1: the classic, `header.payload.` with the algorithm none."""
    _, payload, _ = forge(hanko).split(".")
    refuse(sandbox, f"{b64(compact({**header_of(hanko), 'alg': 'none'}))}.{payload}.{signature}", reason)


SECRETS_THAT_EVERYBODY_KNOWS: dict[str, Callable[[RSAPrivateKey], bytes]] = {
    "pem": lambda key: encoded(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "pem_without_last_newline": lambda key: encoded(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).rstrip(),
    "pem_with_leading_space": lambda key: b" " + encoded(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "pem_with_crlf": lambda key: encoded(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).replace(b"\n", b"\r\n"),
    "pem_pkcs1": lambda key: encoded(key, Encoding.PEM, PublicFormat.PKCS1),
    "der": lambda key: encoded(key, Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "openssh": lambda key: encoded(key, Encoding.OpenSSH, PublicFormat.OpenSSH),
    "jwk": lambda key: compact(jwk(key, "kid")),
    "modulus": lambda key: jwk(key, "kid")["n"].encode(),
    "nothing": lambda _: b"",
}


def encoded(key: RSAPrivateKey, encoding: Encoding, form: PublicFormat) -> bytes:
    return key.public_key().public_bytes(encoding, form)


@pytest.mark.parametrize("secret", SECRETS_THAT_EVERYBODY_KNOWS)
@pytest.mark.parametrize(("algorithm", "reason"), [("HS256", "algorithm_not_allowed"), ("RS256", "signature_invalid")])
def test_s2_the_public_key_is_no_secret(
    secret: str, algorithm: str, reason: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """S2: CVE-2015-9235, CVE-2017-11424, CVE-2022-29217, CVE-2024-33663, CVE-2026-34950, CVE-2026-48526, GHSA-ffc3."""
    signing_input, _, _ = forge(hanko, {"alg": algorithm}).rpartition(".")
    key = SECRETS_THAT_EVERYBODY_KNOWS[secret](genuine_key(hanko))
    mac = hmac.digest(key or b"\0", signing_input.encode(), hashlib.sha256)
    refuse(sandbox, f"{signing_input}.{b64(mac)}", reason)


@pytest.mark.parametrize(("algorithm", "reason"), [("HS256", "algorithm_not_allowed"), ("RS256", "key_unknown")])
def test_s2_a_symmetric_key_in_the_set_verifies_nothing(
    algorithm: str, reason: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """S2, J10: CVE-2026-48523. The key set names an `oct` key for RS256, which holds the PEM text of an RSA key."""
    secret = encoded(genuine_key(hanko), Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hanko.extra_keys = [{"kty": "oct", "kid": "symmetric", "alg": "RS256", "use": "sig", "k": b64(secret)}]
    signing_input, _, _ = forge(hanko, {"alg": algorithm, "kid": "symmetric"}).rpartition(".")
    refuse(sandbox, f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}", reason)
    refuse(sandbox, forge(hanko, {"kid": "symmetric"}), "key_unknown")


KEY_IDS_OF_NO_FORM: list[object] = [
    *(None, "", " ", 0, 1, True, ["kid"], {"kid": 1}, "a\nb", "a\0", "\x7f", "*", "a b", "'--", "<a>", "%2e"),
    *("k" * 257, "ключ", "１", "{}", '"'),  # noqa: RUF001 - other scripts on purpose
]  # fmt: skip


@pytest.mark.parametrize("kid", KEY_IDS_OF_NO_FORM, ids=ascii)
def test_s3_a_key_id_that_is_none(kid: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S3, C8, L3: GHSA-869p-cjfg-cm3x. Nothing looks for such a key, and nothing prints such an id."""
    refuse(sandbox, forge(hanko, {"kid": kid}), "header_not_allowed")
    assert hanko.jwks_requests == 0


def test_s3_no_key_id_even_if_there_is_but_one_key(sandbox: Sandbox, hanko: StandInHanko) -> None:
    assert len(hanko.kids) == 1
    refuse(sandbox, forge(hanko, without="kid"), "header_not_allowed")


@pytest.mark.parametrize(
    "change",
    [
        *(str.upper, lambda kid: kid[:-1], lambda kid: kid + "0", lambda kid: kid.replace("-", ""), lambda _: "0"),
        *(lambda _: "../../../../dev/null", lambda _: "kid", lambda kid: f"urn:uuid:{kid}", lambda _: "k" * 256),
    ],
)  # fmt: skip
def test_s3_a_key_id_almost_right(change: Callable[[str], str], sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S3: by its exact id and no other way, though the set's one key would verify the signature."""
    refuse(sandbox, forge(hanko, {"kid": change(hanko.kids[0])}), "key_unknown")


@pytest.mark.parametrize("suffix", ["\n", " ", "\r\n", "\0", "\u2028"], ids=ascii)
def test_s3_a_key_id_with_something_behind_it(suffix: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S3, C8: `$` in a pattern would let the newline through."""
    refuse(sandbox, forge(hanko, {"kid": hanko.kids[0] + suffix}), "header_not_allowed")


def test_s3_other_keys_of_the_set_are_not_tried(sandbox: Sandbox, hanko: StandInHanko) -> None:
    token = forge(hanko)
    newer = hanko.rotate()
    allow(sandbox, token)
    refuse(sandbox, forge(hanko, {"kid": newer}), "signature_invalid")


def test_s3_one_key_id_with_two_keys_is_neither(sandbox: Sandbox, hanko: StandInHanko, own_key: RSAPrivateKey) -> None:
    """S3, J10: whoever adds a key to the set must not be able to take over an id, nor to win by coming first."""
    kid = hanko.kids[0]
    hanko.rotate()
    hanko.extra_keys = [jwk(own_key, kid)]
    for key in (genuine_key(hanko), own_key):
        refuse(sandbox, forge(hanko, {"kid": kid}, key=key), "key_unknown")


@pytest.mark.parametrize("kid", ["genuine", "of_the_attacker"])
@pytest.mark.parametrize("signer", ["genuine", "own"])
@pytest.mark.parametrize("member", ["jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "iss", "url", "keys"])
def test_s4_the_token_brings_no_key(  # noqa: PLR0913, PLR0917 - fixtures
    kid: str, signer: str, member: str, sandbox: Sandbox, hanko: StandInHanko, attacker: StandInHanko
) -> None:
    """S4: CVE-2018-0114, CVE-2026-27962. Neither used nor fetched, not even beside a genuine signature."""
    own = pool_key(attacker.first_key)
    certificate = b64(encoded(own, Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    keys: Json = {"jwk": jwk(own, attacker.kids[0]), "x5c": [certificate], "keys": [jwk(own, attacker.kids[0])]}
    header = {
        "kid": (hanko if kid == "genuine" else attacker).kids[0],
        member: keys.get(member, attacker.url + JWKS_PATH),
    }
    token = forge(hanko, header, key=own if signer == "own" else genuine_key(hanko))
    refuse(sandbox, token, "header_not_allowed")
    assert (attacker.jwks_requests, hanko.jwks_requests) == (0, 0)


CRITICAL: list[object] = [[], ["exp"], ["b64"], ["alg"], "b64", None, {}]
HEADER_MEMBERS: list[tuple[str, object]] = [
    *(("crit", value) for value in CRITICAL),
    *(("b64", value) for value in (True, False, "false", 0, None)),
    *(("zip", "DEF"), ("zip", "GZIP"), ("enc", "A256GCM"), ("cty", "JWT"), ("cty", "json"), ("p2c", 2**31)),
    *(("p2s", "x"), ("epk", {}), ("apu", "x"), ("iv", "x"), ("tag", "x")),
    *(("ALG", "none"), ("Kid", "x"), ("", ""), ("exp", NOW)),
]  # fmt: skip


@pytest.mark.parametrize(("member", "value"), HEADER_MEMBERS, ids=repr)
def test_s5_no_other_header_member(member: str, value: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S5: CVE-2026-32597, CVE-2026-48525, CVE-2025-59420, CVE-2024-33664; RFC 7515 4.1.11, RFC 7797 7."""
    refuse(sandbox, forge(hanko, {member: value}), "header_not_allowed")


def test_s5_b64_false_with_the_payload_as_it_is(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S5, P1: RFC 7797's unencoded payload, signed like that."""
    header = {**header_of(hanko), "b64": False, "crit": ["b64"]}
    payload = compact(session_claims()).decode()
    refuse(
        sandbox, with_signature(f"{b64(compact(header))}.{payload}", genuine_key(hanko)), "token_malformed", PLACES[0]
    )


TYPES: list[object] = [
    *("at+jwt", "application/jwt", "application/at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "id_token", "JOSE"),
    *("JWE", "jwt", "Jwt", "JWT ", "", None, True, 1, ["JWT"], {}),
]  # fmt: skip


@pytest.mark.parametrize("type_", TYPES, ids=repr)
def test_s6_tokens_that_say_they_are_something_else(type_: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S6: RFC 8725 3.11, explicit typing."""
    refuse(sandbox, forge(hanko, {"typ": type_}), "header_not_allowed")


def test_s6_no_type_is_allowed(sandbox: Sandbox, hanko: StandInHanko) -> None:
    assert allow(sandbox, forge(hanko, without="typ")) == CONTEXT


DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # of SHA-256, RFC 8017 9.2
DIGEST_INFO_WITHOUT_NULL = bytes.fromhex("302f300b0609608648016503040201 0420")


def raw_signature(key: RSAPrivateKey, message: bytes) -> bytes:
    """RSA without any padding of its own, over whatever block of bytes."""
    numbers = key.private_numbers()
    size = key.key_size // 8
    return pow(int.from_bytes(message, "big"), numbers.d, numbers.public_numbers.n).to_bytes(size, "big")


def padded(before: bytes, info: bytes, digest: bytes, after: bytes = b"", fill: int | None = None) -> bytes:
    length = 512 - len(before) - 1 - len(info) - len(digest) - len(after) if fill is None else fill
    block = before + b"\xff" * length + b"\0" + info + digest + after
    return block.ljust(512, b"\x55")


BLOCKS: dict[str, Callable[[bytes], bytes]] = {
    "garbage_behind_the_digest": lambda d: padded(b"\0\1", DIGEST_INFO, d, fill=8),  # Bleichenbacher 2006
    "garbage_inside_the_padding": lambda d: padded(b"\0\1\xff\xff\0\xff", DIGEST_INFO, d),
    "no_digest_info": lambda d: padded(b"\0\1", b"", d),
    "digest_info_without_null": lambda d: padded(b"\0\1", DIGEST_INFO_WITHOUT_NULL, d),
    "digest_info_of_sha1": lambda d: padded(b"\0\1", bytes.fromhex("3021300906052b0e03021a05000414"), d[:20]),
    "block_type_2": lambda d: padded(b"\0\2", DIGEST_INFO, d),
    "block_type_0": lambda d: padded(b"\0\0", DIGEST_INFO, d),
    "digest_of_nothing": lambda _: padded(b"\0\1", DIGEST_INFO, hashlib.sha256().digest()),
}


def test_s7_the_blocks_are_right_but_for_what_is_wrong(sandbox: Sandbox, hanko: StandInHanko) -> None:
    signing_input, _, _ = forge(hanko).rpartition(".")
    block = padded(b"\0\1", DIGEST_INFO, hashlib.sha256(signing_input.encode()).digest())
    assert allow(sandbox, f"{signing_input}.{b64(raw_signature(genuine_key(hanko), block))}") == CONTEXT


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_s7_a_block_that_lax_verifiers_accept(
    block: Callable[[bytes], bytes], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """S7: RFC 8017 8.2.2, as Wycheproof asks for it; each block under the genuine key."""
    signing_input, _, _ = forge(hanko).rpartition(".")
    signature = raw_signature(genuine_key(hanko), block(hashlib.sha256(signing_input.encode()).digest()))
    refuse(sandbox, f"{signing_input}.{b64(signature)}", "signature_invalid")


def modulus(key: RSAPrivateKey) -> int:
    return key.public_key().public_numbers().n


SIGNATURES: dict[str, Callable[[bytes, RSAPrivateKey], bytes]] = {
    "zeros": lambda s, _: bytes(len(s)),
    "one_byte_of_zero": lambda _s, _k: b"\0",
    "ones": lambda s, _: b"\xff" * len(s),
    "first_bit_flipped": lambda s, _: bytes([s[0] ^ 0x80]) + s[1:],
    "last_bit_flipped": lambda s, _: s[:-1] + bytes([s[-1] ^ 1]),
    "shorter": lambda s, _: s[:-1],
    "longer": lambda s, _: s + b"\0",
    "zero_in_front": lambda s, _: b"\0" + s,
    "twice": lambda s, _: s + s,
    "reversed": lambda s, _: s[::-1],
    "plus_modulus": lambda s, key: (int.from_bytes(s, "big") + modulus(key)).to_bytes(len(s) + 1, "big"),
    "negated": lambda s, key: (modulus(key) - int.from_bytes(s, "big")).to_bytes(len(s), "big"),
    "modulus": lambda s, key: modulus(key).to_bytes(len(s), "big"),
    "one": lambda s, _: (1).to_bytes(len(s), "big"),
}


@pytest.mark.parametrize("change", SIGNATURES.values(), ids=SIGNATURES)
def test_s7_a_changed_signature(
    change: Callable[[bytes, RSAPrivateKey], bytes], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    signing_input, _, signature = forge(hanko).rpartition(".")
    refuse(sandbox, f"{signing_input}.{b64(change(unb64(signature), genuine_key(hanko)))}", "signature_invalid")


PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)


@pytest.mark.parametrize(
    ("scheme", "digest"),
    [(padding.PKCS1v15(), hashes.SHA384()), (padding.PKCS1v15(), hashes.SHA512()), (PSS, hashes.SHA256())],
    ids=["sha384", "sha512", "pss"],
)
def test_s7_a_signature_of_another_kind_under_the_genuine_key(
    scheme: padding.AsymmetricPadding, digest: hashes.HashAlgorithm, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    signing_input, _, _ = forge(hanko).rpartition(".")
    signature = genuine_key(hanko).sign(signing_input.encode(), scheme, digest)
    refuse(sandbox, f"{signing_input}.{b64(signature)}", "signature_invalid")


def test_s7_the_signature_of_another_token(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """S7: one user's signature under another user's claims, and under another header."""
    header, payload, signature = forge(hanko).split(".")
    other = b64(compact({**session_claims(), "sub": str(uuid.uuid4())}))
    refuse(sandbox, f"{header}.{other}.{signature}", "signature_invalid")
    other = b64(compact({"kid": hanko.kids[0], "alg": "RS256"}))
    refuse(sandbox, f"{other}.{payload}.{signature}", "signature_invalid")


def test_s7_a_token_signed_by_a_stranger(sandbox: Sandbox, hanko: StandInHanko, own_key: RSAPrivateKey) -> None:
    refuse(sandbox, forge(hanko, key=own_key), "signature_invalid")


WEAK_KEYS: dict[str, tuple[int, int]] = {"rsa_1024": (65537, 1024), "rsa_2040": (65537, 2040), "exponent_3": (3, 2048)}


@pytest.mark.parametrize(("exponent", "bits"), WEAK_KEYS.values(), ids=WEAK_KEYS)
def test_s8_a_weak_key_of_the_set_verifies_nothing(
    exponent: int, bits: int, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """S8: CVE-2025-45768, CVE-2022-23541. Hanko itself publishes it, and the signature is right."""
    weak = rsa.generate_private_key(exponent, bits)
    hanko.extra_keys = [jwk(weak, "weak")]
    refuse(sandbox, forge(hanko, {"kid": "weak"}, key=weak), "key_unknown")


def test_s8_the_smallest_key_that_is_strong_enough(
    sandbox: Sandbox, hanko: StandInHanko, own_key: RSAPrivateKey
) -> None:
    hanko.extra_keys = [jwk(own_key, "kms")]
    assert allow(sandbox, forge(hanko, {"kid": "kms"}, key=own_key)) == CONTEXT


# --- P: parsing

STRUCTURES: dict[str, Callable[[str, str, str], str]] = {
    "one_part": lambda h, _p, _s: h,
    "two_parts": lambda h, p, _: f"{h}.{p}",
    "four_parts": lambda h, p, s: f"{h}.{p}.{s}.{s}",
    "five_parts_as_a_jwe": lambda h, p, s: f"{h}.{p}.{s}.{s}.{s}",
    "no_header": lambda _, p, s: f".{p}.{s}",
    "no_payload": lambda h, _, s: f"{h}..{s}",
    "no_signature": lambda h, p, _: f"{h}.{p}.",
    "dots": lambda *_: "..",
    "dot_behind": lambda h, p, s: f"{h}.{p}.{s}.",
    "dot_in_front": lambda h, p, s: f".{h}.{p}.{s}",
    "header_padded": lambda h, p, s: f"{h}=.{p}.{s}",
    "payload_padded": lambda h, p, s: f"{h}.{p}=.{s}",
    "signature_padded": lambda h, p, s: f"{h}.{p}.{s}=",
    "advice_of_the_guide": lambda h, p, s: f"{h}.{p}.{s}====",
    "standard_alphabet": lambda h, p, s: f"{h}.{p}.{s[:-8]}+/+/+/+/",
    "newline_behind": lambda h, p, s: f"{h}.{p}.{s}\n",
    "crlf_behind": lambda h, p, s: f"{h}.{p}.{s}\r\n",
    "newline_inside": lambda h, p, s: f"{h}.{p}\n.{s}",
    "space_inside": lambda h, p, s: f"{h}. {p}.{s}",
    "tab_inside": lambda h, p, s: f"{h}.{p[:4]}\t{p[4:]}.{s}",
    "nul_behind": lambda h, p, s: f"{h}.{p}.{s}\0",
    "byte_order_mark": lambda h, p, s: f"\ufeff{h}.{p}.{s}",
    "no_break_space_behind": lambda h, p, s: f"{h}.{p}.{s}\xa0",
    "soft_hyphen_inside": lambda h, p, s: f"{h}.{p}.{s[:9]}\xad{s[9:]}",
    "wide_letter": lambda h, p, s: f"{h}.{p}.Ａ{s[1:]}",  # noqa: RUF001 - a look-alike on purpose
    "surrogate": lambda h, p, s: f"{h}.{p}.{s}\ud800",
    "percent_encoded": lambda h, p, s: f"{h}%2E{p}%2E{s}",
    "in_quotes": lambda h, p, s: f'"{h}.{p}.{s}"',
    "with_its_scheme": lambda h, p, s: f"Bearer {h}.{p}.{s}",
    "json_flattened": lambda h, p, s: json.dumps({"protected": h, "payload": p, "signature": s}),
    "json_general": lambda h, p, s: json.dumps({"payload": p, "signatures": [{"protected": h, "signature": s}]}),
    "in_braces": lambda h, p, s: f"{{{h}.{p}.{s}}}",
}


@pytest.mark.parametrize("build", STRUCTURES.values(), ids=STRUCTURES)
def test_p1_what_is_no_compact_jws(
    build: Callable[[str, str, str], str], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """P1: CVE-2023-51774, GHSA-hxm8-2xgr-2p9m. The cookie brings it as it is; and nothing asks for keys."""
    refuse(sandbox, build(*forge(hanko).split(".")), "token_malformed", "http_v2_cookie")
    assert hanko.jwks_requests == 0


@pytest.mark.parametrize("build", [STRUCTURES[name] for name in STRUCTURES if name != "with_its_scheme"])
def test_p1_what_is_no_compact_jws_in_a_header(
    build: Callable[[str, str, str], str], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    token = build(*forge(hanko).split("."))
    refuse(sandbox, token, "token_ambiguous" if "," in token else "token_malformed", "http_v2", "rest_token")


def test_p1_v2_a_token_has_one_text(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P1, V2: unused bits at the end of a segment would make several texts of one token, for lists and caches of them.

    Header and payload are changed before signing: only their own form can be what is wrong.
    """
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    key = genuine_key(hanko)

    def other_texts(segment: str) -> list[str]:
        same = [segment[:-1] + last for last in alphabet if last != segment[-1]]
        return [text for text in same if base64.urlsafe_b64decode(text + "==") == unb64(segment)]

    header = b64(compact(header_of(hanko)).ljust(100))  # 100 bytes: four bits are left over
    payload = b64(compact(session_claims()).ljust(400))
    good = with_signature(f"{header}.{payload}", key)
    assert allow(sandbox, good) == CONTEXT
    signing_input, _, signature = good.rpartition(".")
    texts = [other_texts(segment) for segment in (header, payload, signature)]
    assert [len(others) for others in texts] == [15, 15, 3]
    for other in texts[0]:
        refuse(sandbox, with_signature(f"{other}.{payload}", key), "token_malformed")
    for other in texts[1]:
        refuse(sandbox, with_signature(f"{header}.{other}", key), "claims_malformed")
    for other in texts[2]:
        refuse(sandbox, f"{signing_input}.{other}", "signature_invalid")


@pytest.mark.parametrize("size", [16_385 - 900, 8_000_000])
def test_p2_a_token_that_is_too_long(size: int, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P2: CVE-2025-61920, CVE-2024-33664. Refused by its length, before anything of it is decoded or verified."""
    refuse(sandbox, forge(hanko, claims={"filler": "x" * size}), "token_malformed", "http_v2_cookie")
    assert hanko.jwks_requests == 0


def test_p2_a_header_that_is_too_long(sandbox: Sandbox, hanko: StandInHanko) -> None:
    header = compact(header_of(hanko)).ljust(3073)
    refuse(sandbox, signed(header, compact(session_claims()), genuine_key(hanko)), "token_malformed")
    assert hanko.jwks_requests == 0


Bytes = Callable[[bytes], bytes]
# What is wrong with the text of an object, header or payload alike. The member "username" is in none of the headers:
# texts that change a member add it in front.
TEXTS: dict[str, Bytes] = {
    "p3_a_name_twice": lambda text: b'{"alg":"none","sub":"admin",' + text[1:].replace(b'"typ"', b'"sub":1,"typ"'),
    "p4_byte_order_mark": lambda text: b"\xef\xbb\xbf" + text,
    "p4_utf_16": lambda text: text.decode().encode("utf-16"),
    "p4_utf_16_be": lambda text: text.decode().encode("utf-16-be"),
    "p4_utf_16_le": lambda text: text.decode().encode("utf-16-le"),
    "p4_utf_32": lambda text: text.decode().encode("utf-32"),
    "p4_latin_1": lambda text: b'{"x":"\xe9",' + text[1:],
    "p4_overlong": lambda text: b'{"x":"\xc0\xaf",' + text[1:],
    "p4_encoded_surrogate": lambda text: b'{"x":"\xed\xa0\x80",' + text[1:],
    "p5_lone_surrogate": lambda text: b'{"x":"\\ud800",' + text[1:],
    "p5_lone_low_surrogate": lambda text: b'{"x":"\\uDC00\\ud83d",' + text[1:],
    "p5_surrogate_in_a_name": lambda text: b'{"\\udfff":1,' + text[1:],
    "p6_nan": lambda text: b'{"x":NaN,' + text[1:],
    "p6_infinity": lambda text: b'{"x":Infinity,' + text[1:],
    "p6_minus_infinity": lambda text: b'{"x":[-Infinity],' + text[1:],
    "p6_overflow": lambda text: b'{"x":1e999,' + text[1:],
    "p6_long_integer": lambda text: b'{"x":1' + b"0" * 40 + b"," + text[1:],
    "p7_nested_33_deep": lambda text: b'{"x":' + b"[" * 32 + b"]" * 32 + b"," + text[1:],
    "p7_nested_objects": lambda text: b'{"x":' + b'{"x":' * 32 + b"0" + b"}" * 32 + b"," + text[1:],
    "p7_nested_beyond_the_stack": lambda text: b'{"x":' + b"[" * 1200 + b"]" * 1200 + b"," + text[1:],
    "p8_list": lambda text: b"[" + text + b"]",
    "p8_text": lambda _: b'"header"',
    "p8_number": lambda _: b"0",
    "p8_null": lambda _: b"null",
    "p8_true": lambda _: b"true",
    "p8_empty": lambda _: b" ",
    "p8_something_behind": lambda text: text + b"}",
    "p8_two_objects": lambda text: text + text,
    "p8_nul_behind": lambda text: text + b"\0",
    "p8_comment": lambda text: text + b"//",
    "p8_comma_at_the_end": lambda text: text[:-1] + b",}",
    "p8_single_quotes": lambda text: text.replace(b'"', b"'"),
    "p8_control_character": lambda text: b'{"x":"\n",' + text[1:],
    "p8_cut": lambda text: text[:-1],
    "p8_string_without_an_end": lambda text: text + b'"' + b"[" * 500,
}  # fmt: skip


@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS)
def test_p_a_header_that_is_no_strict_json_object(change: Bytes, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P3 to P8: GHSA-8wjv-2p76-3863. Parsers that differ are where attacks live: the strictest reading counts."""
    header = change(compact(header_of(hanko)))
    refuse(sandbox, signed(header, compact(session_claims()), genuine_key(hanko)), "token_malformed")
    assert hanko.jwks_requests == 0


@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS)
def test_p_a_payload_that_is_no_strict_json_object(change: Bytes, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P3 to P8, P10: by Hanko's own signature; a claim that nobody asks for is read as strictly as any."""
    payload = change(compact(session_claims()))
    refuse(sandbox, signed(compact(header_of(hanko)), payload, genuine_key(hanko)), "claims_malformed")


@pytest.mark.parametrize("twice", ['"sub":"{0}","sub":"{1}"', '"email":{{"address":"a","address":"b"}}'])
def test_p3_a_claim_twice(twice: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """P3: the first or the last, whoever reads it; nested as well."""
    claims = session_claims()
    del claims["sub" if "sub" in twice else "email"]
    payload = f"{{{twice.format(uuid.uuid4(), USER)},{compact(claims).decode()[1:]}".encode()
    refuse(sandbox, signed(compact(header_of(hanko)), payload, genuine_key(hanko)), "claims_malformed")


def test_p3_an_algorithm_twice(sandbox: Sandbox, hanko: StandInHanko) -> None:
    header = f'{{"alg":"none","alg":"RS256","kid":"{hanko.kids[0]}","typ":"JWT"}}'.encode()
    refuse(sandbox, signed(header, compact(session_claims()), genuine_key(hanko)), "token_malformed")


@pytest.mark.parametrize(
    "payload", [b"{", b"[" * 3000, b"\xff", compact({"exp": 0})], ids=["cut", "deep", "bytes", "exp"]
)
def test_p9_the_payload_is_not_read_before_the_signature_is_verified(
    payload: bytes, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """P9: CVE-2026-48525. What an anonymous payload holds makes no difference, not even to the reason."""
    header, _, signature = forge(hanko).split(".")
    refuse(sandbox, f"{header}.{b64(payload)}.{signature}", "signature_invalid")


# --- C: claims

AUDIENCES: dict[str, tuple[object, str]] = {
    "null": (None, "claims_malformed"),
    "number": (1, "claims_malformed"),
    "true": (True, "claims_malformed"),
    "object": ({"localhost": True}, "claims_malformed"),
    "number_beside_it": (["localhost", 1], "claims_malformed"),
    "null_beside_it": (["localhost", None], "claims_malformed"),
    "list_in_a_list": ([["localhost"]], "claims_malformed"),
    **{
        repr(audience): (audience, "audience_not_allowed")
        for audience in (
            *([], "", [""], "LOCALHOST", "localhos", "localhost ", " localhost", "localhost\n", "localhost\0", "*"),
            *("localhost.example.com", "not-localhost", "localhost,example.com", "http://localhost", "localhost/"),
            *("localhost.", ["other.example.com"], "ｌocalhost"),  # noqa: RUF001 - a look-alike on purpose
        )
    },
}  # fmt: skip


@pytest.mark.parametrize(("audience", "reason"), AUDIENCES.values(), ids=AUDIENCES)
def test_c1_an_audience_that_is_not_exactly_ours(
    audience: object, reason: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """C1: RFC 8725 3.9. No prefix, no case folding, no normalising."""
    refuse(sandbox, forge(hanko, claims={"aud": audience}), reason)


@pytest.mark.parametrize("audience", ["", " ", ",", "localhost,", ",localhost", "localhost,,example.com", "\t"])
def test_c2_no_audience_never_means_any(audience: str) -> None:
    with pytest.raises(Misconfigured, match="HANKO_AUDIENCE"):
        Settings.from_env({"HANKO_API_URL": "https://hanko.example.com", "HANKO_AUDIENCE": audience})


NO_TIMES: list[object] = [
    *(None, True, False, "", "1800043200", " 1800043200\n", "9_999_999_999", "1e12", "１８０００４３２００", [], {}),  # noqa: RUF001 - look-alikes on purpose
    *([1_800_043_200], -1, -1.5, 1e300, 10**39, 4_102_444_801, 1_800_043_200_000, -0.1),
]  # fmt: skip


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", NO_TIMES, ids=ascii)
def test_c3_c4_a_time_that_is_none(claim: str, value: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """C3, C4: numbers of seconds of this century; no text, no boolean, no milliseconds."""
    refuse(sandbox, forge(hanko, claims={claim: value}), "claims_malformed")


TIMES: dict[str, tuple[Json, str]] = {
    "expired_a_second_ago": ({"iat": NOW - 99, "exp": NOW - 11}, "token_expired"),
    "expired_just_now": ({"iat": NOW - 99, "exp": NOW - 10}, "token_expired"),
    "expired_a_fraction_ago": ({"iat": NOW - 99, "exp": NOW - 10.001}, "token_expired"),
    "expired_in_1970": ({"iat": 0, "exp": 1}, "token_expired"),
    "issued_in_the_future": ({"iat": NOW + 11}, "token_not_yet_valid"),
    "issued_after_it_expires": ({"iat": NOW + 5, "exp": NOW + 4}, "claims_malformed"),
    "not_yet": ({"nbf": NOW + 10.001}, "token_not_yet_valid"),
    "not_before_it_expires": ({"nbf": NOW + 43_201}, "claims_malformed"),
}


@pytest.mark.parametrize(("claims", "reason"), TIMES.values(), ids=TIMES)
def test_c3_c4_a_token_out_of_its_time(claims: Json, reason: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    refuse(sandbox, forge(hanko, claims=claims), reason)


def test_c3_a_token_of_a_warm_sandbox_expires(sandbox: Sandbox, hanko: StandInHanko, time_: Time) -> None:
    """C3: nothing remembers that it was good once."""
    token = forge(hanko, claims={"exp": NOW + 60})
    allow(sandbox, token)
    time_.advance(70)
    refuse(sandbox, token, "token_expired")


NO_UUIDS: dict[str, object] = {
    "null": None,
    "empty": "",
    "webhooks": "hanko webhooks",
    "email": "user@example.com",
    "upper_case": USER.upper(),
    "nil": "00000000-0000-0000-0000-000000000000",
    "newline_behind": f"{USER}\n",
    "space_in_front": f" {USER}",
    "nul_behind": f"{USER}\0",
    "braces": f"{{{USER}}}",
    "urn": f"urn:uuid:{USER}",
    "no_hyphens": USER.replace("-", ""),
    "hyphens_elsewhere": "0b6f3e0a6-f0e-4b0c-9a55-6d3c7c1f2a01",
    "wide_digits": USER.replace("0", "０"),  # noqa: RUF001 - look-alikes on purpose
    "no_hexadecimal": USER.replace("0b", "0g"),
    "too_short": USER[:-1],
    "too_long": USER + "0",
    "two": f"{USER},{USER}",
    "wildcard": "*",
    "list": [USER],
    "object": {"id": USER},
    "number": 1,
    "true": True,
}


@pytest.mark.parametrize("claim", ["sub", "session_id"])
@pytest.mark.parametrize("value", NO_UUIDS.values(), ids=NO_UUIDS)
def test_c5_c6_c8_an_id_that_is_none(claim: str, value: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """C5, C6, C8, R7: `sub` becomes principalId, and the rule keeps what is no session out."""
    refuse(sandbox, forge(hanko, claims={claim: value}), "not_a_session")


ISSUERS: list[object] = [
    *(None, "", "https", "https://hanko.example.co", "hanko.example.com", "https://hanko.example.com/"),
    *("https://hanko.example.com.attacker.example.com", "HTTPS://HANKO.EXAMPLE.COM", "https://hanko.example.com\n"),
    *(["https://hanko.example.com"], {"https://hanko.example.com": 1}, True, 0),
]  # fmt: skip


@pytest.mark.parametrize("issuer", ISSUERS, ids=repr)
def test_c7_an_issuer_that_is_not_exactly_ours(issuer: object, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """C7: CVE-2024-53861, where a part of the issuer was enough."""
    sandbox = make_sandbox(issuer="https://hanko.example.com")
    refuse(sandbox, forge(hanko, claims={"iss": issuer}), "issuer_not_allowed")


# --- X: credentials


@pytest.mark.parametrize(
    "separator", ["\t", "\n", "\r\n", "\xa0", "\u2003", "\x1c", "\x0b", "\0", "", ":", "="], ids=ascii
)
@pytest.mark.parametrize("shape", ["http_v2", "rest_request", "rest_token", "websocket"])
def test_x2_bearer_space_token_and_no_other_separator(
    separator: str, shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X2: what str.split() takes for a separator and RFC 9110 does not."""
    token = forge(hanko)
    event = json.loads(json.dumps(event_with(shape, token)).replace("Bearer ", json.dumps(f"Bearer{separator}")[1:-1]))
    refuse_event(sandbox, event, answers_to_refusal(shape, "token_malformed"), "token_malformed", token)


SCHEMES = {
    "none": "{0}", "basic": "Basic {0}", "token": "Token {0}", "dpop": "DPoP {0}", "twice": "Bearer Bearer {0}",
    "space_in_front": " Bearer {0}", "space_behind": "Bearer {0} ", "quotes": 'Bearer "{0}"', "two": "Bearer {0} {0}",
    "parameter": "Bearer token={0}", "newline_behind": "Bearer {0}\n", "cookie": "hanko={0}", "alone": "Bearer",
    "alone_with_space": "Bearer ", "look_alike": "Βearer {0}", "kelvin": "BEA\u212aER {0}",  # noqa: RUF001 - look-alikes on purpose
}  # fmt: skip


@pytest.mark.parametrize("value", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("shape", ["http_v2", "rest_token"])
def test_x2_no_other_scheme(value: str, shape: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    token = forge(hanko)
    event = json.loads(
        json.dumps(event_with(shape, "TOKEN")).replace("Bearer TOKEN", json.dumps(value.format(token))[1:-1])
    )
    refuse_event(sandbox, event, answers_to_refusal(shape, "token_malformed"), "token_malformed", token)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR   "])
def test_x2_the_scheme_in_any_case(scheme: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    event = event_with("http_v2", forge(hanko))
    event["headers"]["authorization"] = scheme + forge(hanko)
    assert sandbox.answer(event) == {"isAuthorized": True, "context": CONTEXT}


def rest_event(headers: object, multiple: object) -> Json:
    return event_with("rest_request", "x") | {"headers": headers, "multiValueHeaders": multiple}


TWO_HEADERS: dict[str, Callable[[str, str], Json]] = {
    "two_values": lambda a, b: rest_event({"Authorization": b}, {"Authorization": [a, b]}),
    "the_same_value_twice": lambda a, _: rest_event({"Authorization": a}, {"Authorization": [a, a]}),
    "two_spellings": lambda a, b: rest_event({"Authorization": a, "authorization": b}, None),
    "two_spellings_in_both": lambda a, b: rest_event(
        {"Authorization": a, "authorization": b}, {"Authorization": [a], "authorization": [b]}
    ),
    "the_maps_differ": lambda a, b: rest_event({"Authorization": a}, {"Authorization": [b]}),
    "in_one_map_only": lambda a, _: rest_event({"Authorization": a}, {"Accept": ["*/*"]}),
    "in_the_other_map_only": lambda a, _: rest_event({"Accept": "*/*"}, {"Authorization": [a]}),
    "joined_by_a_comma": lambda a, b: rest_event({"Authorization": f"{a}, {b}"}, {"Authorization": [f"{a}, {b}"]}),
}


@pytest.mark.parametrize("build", TWO_HEADERS.values(), ids=TWO_HEADERS)
@pytest.mark.parametrize("other", ["Bearer x", "", "genuine"])
def test_x3_x9_more_than_one_authorization(
    build: Callable[[str, str], Json], other: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X3, X9: RFC 9110 5.3, request smuggling. Which one counts is never ours to guess."""
    token = forge(hanko)
    good = f"Bearer {token}"
    for pair in ((good, other or ""), (other or "", good)):
        one, two = (good if value == "genuine" else value for value in pair)
        if one == "" or (one == two and build is TWO_HEADERS["the_maps_differ"]):
            continue
        refuse_event(sandbox, build(one, two), "Unauthorized", "token_ambiguous", token)


@pytest.mark.parametrize("joined", ["{0},{0}", "{0}, Bearer x", "Bearer x,{0}", "{0},", ",{0}"])
def test_x3_headers_that_payload_2_has_joined(joined: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    token = forge(hanko)
    event = event_with("http_v2", token)
    event["headers"]["authorization"] = joined.format(f"Bearer {token}")
    refuse_event(sandbox, event, answers_to_refusal("http_v2", "token_ambiguous"), "token_ambiguous", token)


COOKIES_THAT_ARE_TWO: dict[str, list[str]] = {
    "two_in_the_list": ["hanko={0}", "hanko=x"],
    "the_planted_one_first": ["hanko=x", "theme=dark", "hanko={0}"],
    "the_same_twice": ["hanko={0}", "hanko={0}"],
    "two_in_one_entry": ["hanko={0}; hanko=x"],
    "without_a_space": ["hanko={0};hanko=x"],
    "one_is_empty": ["hanko={0}", "hanko="],
}


@pytest.mark.parametrize("cookies", COOKIES_THAT_ARE_TWO.values(), ids=COOKIES_THAT_ARE_TWO)
def test_x4_h9_two_session_cookies(cookies: list[str], sandbox: Sandbox, hanko: StandInHanko) -> None:
    """X4, H9: cookie tossing. A sibling subdomain can plant one, and which comes first is the browser's choice."""
    token = forge(hanko)
    placed = [cookie.format(token) for cookie in cookies]
    event = event_with("http_v2_cookie", token) | {"cookies": placed}
    refuse_event(sandbox, event, answers_to_refusal("http_v2", "token_ambiguous"), "token_ambiguous", token)
    line = "; ".join(placed)
    for headers, multiple in (({"Cookie": line}, {"Cookie": [line]}), ({"Cookie": placed[-1]}, {"Cookie": placed})):
        refuse_event(sandbox, rest_event(headers, multiple), "Unauthorized", "token_ambiguous", token)


def test_x4_h9_two_cookie_headers_in_two_spellings(sandbox: Sandbox, hanko: StandInHanko) -> None:
    token = forge(hanko)
    headers = {"Cookie": f"hanko={token}", "cookie": "hanko=x"}
    refuse_event(sandbox, rest_event(headers, None), "Unauthorized", "token_ambiguous", token)


@pytest.mark.parametrize(
    "cookie",
    [
        *("Hanko={0}", "HANKO={0}", "__Host-hanko={0}", "__Secure-hanko={0}", "hanko2={0}", "xhanko={0}", "hanko ={0}"),
        *("={0}", "{0}", "%68anko={0}", '"hanko"={0}', "theme=hanko={0}", "hanko", "session={0}", "hanko:{0}"),
    ],
)  # fmt: skip
def test_x4_a_cookie_of_another_name(cookie: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """X4: byte for byte; prefixes, case, quotes and percent signs make another name."""
    token = forge(hanko)
    event = event_with("http_v2_cookie", token) | {"cookies": [cookie.format(token)]}
    refuse_event(sandbox, event, answers_to_refusal("http_v2", "token_missing"), "token_missing", token)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("x", "token_malformed"),
        ("", "token_missing"),
        ("Bearer x", "token_malformed"),
        ("Basic eA==", "token_malformed"),
    ],
)
@pytest.mark.parametrize("shape", ["http_v2_cookie", "rest_request_cookie", "websocket_cookie"])
def test_x5_a_header_decides_even_when_the_cookie_is_good(
    header: str, reason: str, shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X5: API Gateway caches by the header. With a fall-back, whoever sends `x` would get this user's policy."""
    token = forge(hanko)
    event = event_with(shape, token)
    event["headers"]["authorization"] = header
    if "multiValueHeaders" in event:
        event["multiValueHeaders"]["authorization"] = [header]
    refuse_event(sandbox, event, answers_to_refusal(shape, reason), reason, token)


ELSEWHERE: dict[str, Callable[[Json, str], None]] = {
    "query": lambda event, token: event.update(
        queryStringParameters={"token": token, "access_token": token, "hanko": token},
        multiValueQueryStringParameters={"token": [token], "access_token": [token], "hanko": [token]},
        rawQueryString=f"token={token}",
    ),
    "body": lambda event, token: event.update(body=f"access_token={token}"),
    "path": lambda event, token: event.update(path=f"/{token}", rawPath=f"/{token}", pathParameters={"id": token}),
    "x_auth_token": lambda event, token: event["headers"].update({"x-auth-token": token}),
    "proxy_authorization": lambda event, token: event["headers"].update({"proxy-authorization": f"Bearer {token}"}),
    "forwarded_header": lambda event, token: event["headers"].update({"x-forwarded-authorization": f"Bearer {token}"}),
    "identity_source": lambda event, token: event.update(identitySource=[f"Bearer {token}"]),
    "authorization_token": lambda event, token: event.update(authorizationToken=f"Bearer {token}"),
    "api_key": lambda event, token: event["requestContext"].update(identity={"apiKey": token}),
    "authorizer": lambda event, token: event["requestContext"].update(authorizer={"user_id": USER, "token": token}),
    "stage_variable": lambda event, token: event.update(stageVariables={"authorization": f"Bearer {token}"}),
    "subprotocol": lambda event, token: event["headers"].update({"sec-websocket-protocol": f"hanko, {token}"}),
}


@pytest.mark.parametrize("put", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("shape", ["http_v2", "rest_request", "websocket"])
def test_x7_tokens_in_other_places_are_not_seen(
    put: Callable[[Json, str], None], shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X7: RFC 6750 5.3, RFC 9700. Query and subprotocol are off unless switched on."""
    token = forge(hanko)
    event = event_with(shape, "")
    event.pop("multiValueHeaders", None)
    put(event, token)
    refuse_event(sandbox, event, answers_to_refusal(shape, "token_missing"), "token_missing", token)


@pytest.mark.parametrize("shape", ["http_v2", "rest_request"])
def test_x7_what_is_switched_on_for_websockets_is_on_for_websockets_alone(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    sandbox = make_sandbox(websocket_query_parameter="token", websocket_subprotocol="hanko")
    token = forge(hanko)
    for place in ("query", "subprotocol"):
        event = event_with(shape, "")
        event.pop("multiValueHeaders", None)
        ELSEWHERE[place](event, token)
        refuse_event(sandbox, event, answers_to_refusal(shape, "token_missing"), "token_missing", token)


def websocket_event(cookie: str = "", protocols: str = "", query: list[str] | None = None) -> Json:
    event = event_with("websocket", "")
    for name, value in (("cookie", cookie), ("sec-websocket-protocol", protocols)):
        if value:
            event["headers"][name] = value
            event["multiValueHeaders"][name] = [value]
    return event | {"multiValueQueryStringParameters": {"token": query} if query else None}


SOCKETS_WITH_TWO: dict[str, Callable[[str, str], Json]] = {
    "cookie_and_query": lambda a, b: websocket_event(f"hanko={a}", query=[b]),
    "cookie_and_protocol": lambda a, b: websocket_event(f"hanko={a}", f"hanko, {b}"),
    "protocol_and_query": lambda a, b: websocket_event(protocols=f"hanko, {a}", query=[b]),
    "two_protocols": lambda a, b: websocket_event(protocols=f"hanko, {a}, hanko, {b}"),
    "two_in_the_query": lambda a, b: websocket_event(query=[a, b]),
}


@pytest.mark.parametrize("build", SOCKETS_WITH_TWO.values(), ids=SOCKETS_WITH_TWO)
def test_x3_places_of_a_websocket_that_do_not_agree(
    build: Callable[[str, str], Json], make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """X3, X4: RFC 6750 2, no more than one method. Two users' tokens in one request are nobody's."""
    sandbox = make_sandbox(websocket_query_parameter="token", websocket_subprotocol="hanko")
    tokens = forge(hanko), forge(hanko, claims={"sub": str(uuid.uuid4())})
    for one, two in (tokens, tokens[::-1]):
        refuse_event(sandbox, build(one, two), "Unauthorized", "token_ambiguous", *tokens)


CROSS_KIND: dict[str, Callable[[str], Json]] = {
    "token_event_with_headers": lambda t: event_with("rest_token", "") | {"headers": {"authorization": f"Bearer {t}"}},
    "token_event_with_cookies": lambda t: event_with("rest_token", "") | {"cookies": [f"hanko={t}"]},
    "rest_with_cookies_of_payload_2": lambda t: event_with("rest_request", "") | {"authorizationToken": f"Bearer {t}"},
    "websocket_with_a_token": lambda t: event_with("websocket", "") | {"authorizationToken": f"Bearer {t}"},
}


@pytest.mark.parametrize("build", CROSS_KIND.values(), ids=CROSS_KIND)
def test_x1_a_kind_of_event_is_read_for_what_is_its_own(
    build: Callable[[str], Json], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """X1: decided by type and version, never by which keys happen to be there."""
    token = forge(hanko)
    refuse_event(sandbox, build(token), "Unauthorized", "token_missing", token)


@pytest.mark.parametrize(
    "change",
    [{"type": "token"}, {"type": None}, {"type": "REQUEST "}, {"version": "2.1"}, {"version": 2}, {"version": ""}],
)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "appsync"])
def test_x1_an_event_of_no_known_kind_with_a_good_token(
    change: Json, shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    token = forge(hanko)
    refuse_event(sandbox, event_with(shape, token) | change, "Unauthorized", "event_unknown", token)


# --- J: the key set


@pytest.mark.parametrize(
    "url",
    [
        *("http://hanko.example.com", "http://10.0.0.1", "http://localhost.example.com", "http://127.0.0.1.example.com"),
        *("ftp://hanko.example.com", "file:///etc/passwd", "data:application/json,{}", "//hanko.example.com", "https://"),
        *("https://user@hanko.example.com", "https://user:password@hanko.example.com", "https://hanko.example.com?a=b"),
        *("https://hanko.example.com#x", "https://hanko.example.com/a\nHost: x", "https://hanko.example.com/\t", " "),
        *("https://hanko.example.com\\@x", "https://hanko.example.com:0", "https://hanko.example.com:99999", "https://é"),
        *("https://hanko.example.com//a", "https://hanko.example.com/%2e%2e", "HTTP://hanko.example.com", "https:/x"),
    ],
)  # fmt: skip
def test_j1_an_address_for_keys_that_is_not_safe(url: str) -> None:
    """J1: CVE-2026-48522."""
    with pytest.raises(Misconfigured, match="HANKO_API_URL"):
        Settings.from_env({"HANKO_API_URL": url, "HANKO_AUDIENCE": "localhost"})


@pytest.mark.parametrize(
    ("trusted", "names", "failure"),
    [(False, ["127.0.0.1"], "tls"), (True, ["hanko.example.com"], "tls"), (True, ["127.0.0.1"], None)],
    ids=["unknown_authority", "another_host", "right"],
)
def test_j1_a_certificate_has_to_be_right(  # noqa: PLR0913, PLR0917 - fixtures
    trusted: bool,  # noqa: FBT001 - pytest passes it by name
    names: list[str],
    failure: str | None,
    time_: Time,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """J1, T5: a network attacker's own keys would be the end of everything."""
    with StandInHanko(tls=True, certificate_names=names, now=lambda: time_.wall) as hanko:
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(hanko.ca_file))
        settings = Settings.from_env({"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost"})
        sandbox = Sandbox(settings, time_.clock, capsys, rules="", prefetch=False)
        if failure is None:
            assert allow(sandbox, forge(hanko)) == CONTEXT
        else:
            assert fail(sandbox, forge(hanko), "keys_unavailable")["key_fetch_failure"] == failure
            assert hanko.jwks_requests == 0


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_j2_no_redirect_is_followed(code: int, sandbox: Sandbox, hanko: StandInHanko, attacker: StandInHanko) -> None:
    """J2: GHSA-9v7f-9g4p-ffgj. Else one open redirect on Hanko's host would give the keys away."""
    hanko.behave("redirect", location=attacker.url + JWKS_PATH, code=code)
    token = attacker.mint(claims={"aud": ["localhost"], "iat": NOW, "exp": NOW + 60})
    assert fail(sandbox, token, "keys_unavailable")["key_fetch_failure"] == "status"
    assert attacker.jwks_requests == 0


ANSWERS_WITHOUT_END: dict[str, Json] = {
    "slow": {"delay_seconds": 60},
    "drip": {"pause_seconds": 0.01},
    "header_drip": {"pause_seconds": 0.02},
    "continue_forever": {},
}


@pytest.mark.parametrize("mode", ANSWERS_WITHOUT_END)
def test_j3_one_deadline_over_everything(mode: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """J3: a socket's timeout starts anew with every byte; ours does not."""
    sandbox = make_sandbox(fetch_timeout_seconds="0.5")
    hanko.behave(mode, **ANSWERS_WITHOUT_END[mode])
    log = fail(sandbox, forge(hanko), "keys_unavailable")
    assert log["key_fetch_failure"] == "timeout"
    assert 400 < log["duration_ms"] < 3000


JWKS_BODIES: dict[str, Callable[[Json], bytes]] = {
    "no_json": lambda _: b"<html>",
    "empty": lambda _: b"",
    "list": lambda jwks: compact(jwks["keys"]),
    "null": lambda _: b"null",
    "no_keys": lambda _: b"{}",
    "keys_is_an_object": lambda jwks: compact({"keys": jwks["keys"][0]}),
    "keys_is_null": lambda _: b'{"keys":null}',
    "empty_set": lambda _: b'{"keys":[]}',
    "j12_byte_order_mark": lambda jwks: b"\xef\xbb\xbf" + compact(jwks),
    "j12_utf_16": lambda jwks: compact(jwks).decode().encode("utf-16"),
    "j12_utf_32": lambda jwks: compact(jwks).decode().encode("utf-32"),
    "j12_latin_1": lambda jwks: b'{"x":"\xe9",' + compact(jwks)[1:],
    "j12_a_name_twice": lambda jwks: b'{"keys":[],' + compact(jwks)[1:],
    "j12_nested_too_deeply": lambda jwks: b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"," + compact(jwks)[1:],
    "j12_nested_beyond_the_stack": lambda _: b"[" * 200_000,
    "j12_nan": lambda jwks: b'{"x":NaN,' + compact(jwks)[1:],
    "j12_something_behind": lambda jwks: compact(jwks) + b"x",
    "j4_too_large": lambda jwks: compact(jwks) + b" " * 262_144,
    "j4_compressed": lambda jwks: gzip.compress(compact(jwks)),
}


@pytest.mark.parametrize("build", JWKS_BODIES.values(), ids=JWKS_BODIES)
def test_j4_j5_j12_a_key_set_that_is_none(
    build: Callable[[Json], bytes], sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """J4, J5, J7, J12: no verdict without keys, and a bad answer never replaces good ones (CVE-2026-48524)."""
    token = forge(hanko)
    hanko.behave("body", data=build(hanko.jwks))
    assert "key_fetch_failure" in fail(sandbox, token, "keys_unavailable")
    hanko.behave("normal")
    time_.advance(31)
    assert allow(sandbox, token) == CONTEXT
    hanko.behave("body", data=build(hanko.jwks))
    time_.advance(601)
    assert allow(sandbox, token) == CONTEXT


ANSWERS: dict[str, tuple[str, Json, str]] = {
    **{
        f"status_{code}": ("status", {"code": code}, "status") for code in (201, 206, 299, 304, 401, 404, 429, 500, 503)
    },
    "too_large": ("oversize", {"size_bytes": 262_145}, "too_large"),
    "too_large_and_not_announced": ("oversize", {"size_bytes": 50_000_000, "announce": False}, "too_large"),
    "shorter_than_announced": ("truncated", {}, "protocol"),
    "no_http": ("garbage", {}, "protocol"),
    "nothing": ("garbage", {"data": b""}, "connection"),
    "reset": ("reset", {}, "connection"),
    "down": ("down", {}, "connection"),
}


@pytest.mark.parametrize(("mode", "options", "failure"), ANSWERS.values(), ids=ANSWERS)
def test_j4_j5_any_failure_is_one_of_ours(
    mode: str, options: Json, failure: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """J4, J5, R3: never a 401, which would log everybody out in an outage of Hanko's."""
    hanko.behave(mode, **options)
    assert fail(sandbox, forge(hanko), "keys_unavailable")["key_fetch_failure"] == failure
    assert fail(sandbox, forge(hanko), "keys_unavailable", "rest_request")["key_fetches"] == 0


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "identity, gzip"])
def test_j4_no_compressed_key_set(encoding: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """J4: what is compressed could be of any size."""
    hanko.behave("normal", headers={"Content-Encoding": encoding})
    assert fail(sandbox, forge(hanko), "keys_unavailable")["key_fetch_failure"] == "protocol"
    assert hanko.last_jwks_headers["Accept-Encoding"] == "identity"


def test_j4_of_too_many_keys_the_first_count(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """J4, T6: 64 keys are parsed and no more, however many come; the newest stand in front."""
    hanko.extra_keys = [jwk(genuine_key(hanko), f"key-{number}") for number in range(100)]
    assert allow(sandbox, forge(hanko, {"kid": "key-62"})) == CONTEXT
    refuse(sandbox, forge(hanko, {"kid": "key-63"}), "key_unknown")


def anonymous_event() -> Json:
    """What anybody can make: a token of the right form, an unknown key id, no signature worth the name."""
    header = compact({"alg": "RS256", "kid": str(uuid.uuid4()), "typ": "JWT"})
    return event_with("http_v2", f"{b64(header)}.{b64(compact(session_claims()))}.AAAA")


def test_j6_a_flood_of_unknown_key_ids_costs_one_fetch(sandbox: Sandbox, hanko: StandInHanko, time_: Time) -> None:
    """J6: CVE-2026-48524, node-jwks-rsa #49. And never a known key's service."""
    good = forge(hanko)
    allow(sandbox, good)
    for fetches in (2, 3):
        assert sandbox.answer(anonymous_event()) == answers_to_refusal("http_v2", "key_unknown")
        assert {str(sandbox.answer(anonymous_event())) for _ in range(500)} == {"Authorizer unavailable"}
        assert hanko.jwks_requests == fetches
        sandbox.output()
        assert allow(sandbox, good) == CONTEXT
        time_.advance(30)


@pytest.mark.parametrize("warm", [True, False])
def test_j6_a_flood_while_hanko_fails_costs_one_fetch(
    warm: bool,  # noqa: FBT001 - pytest passes it by name
    sandbox: Sandbox,
    hanko: StandInHanko,
) -> None:
    """J6: the cool-down begins with the attempt: failures count."""
    if warm:
        allow(sandbox, forge(hanko))
    before = hanko.jwks_requests
    hanko.behave("status", code=503)
    for _ in range(120):
        assert sandbox.answer(anonymous_event()) == "Authorizer unavailable"
    assert hanko.jwks_requests == before + 1
    sandbox.output()


def test_j6_a_new_key_is_found_at_once_in_spite_of_a_flood_before(
    sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """J6: starving new keys is the attack on the defence; the cool-down is all that it can take."""
    allow(sandbox, forge(hanko))
    sandbox.answer(anonymous_event())
    sandbox.output()
    hanko.rotate()
    token = hanko.mint(claims={"sub": USER, "session_id": SESSION})
    fail(sandbox, token, "key_unchecked")
    time_.advance(30)
    assert allow(sandbox, token) == CONTEXT


def test_j8_stale_keys_serve_to_their_limit_and_no_longer(
    make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    """J8: an outage is no way to keep a withdrawn key alive."""
    sandbox = make_sandbox(keys_max_stale_seconds="3600")
    token = forge(hanko)
    allow(sandbox, token)
    hanko.behave("down")
    time_.advance(600 + 3600)
    assert allow(sandbox, token) == CONTEXT
    time_.advance(1)
    fail(sandbox, token, "keys_unavailable")


Change = Callable[[Json], Json]
BAD_KEYS: dict[str, Change] = {
    "algorithm_none": lambda key: key | {"alg": "none"},
    "algorithm_rs384": lambda key: key | {"alg": "RS384"},
    "algorithm_ps256": lambda key: key | {"alg": "PS256"},
    "algorithm_is_a_list": lambda key: key | {"alg": ["RS256"]},
    "no_algorithm": lambda key: {name: key[name] for name in key if name != "alg"},
    "type_oct": lambda key: key | {"kty": "oct"},
    "type_ec": lambda key: key | {"kty": "EC"},
    "type_in_lower_case": lambda key: key | {"kty": "rsa"},
    "for_encryption": lambda key: key | {"use": "enc"},
    "use_is_null": lambda key: key | {"use": None},
    "may_only_sign": lambda key: key | {"key_ops": ["sign"]},
    "may_encrypt_too": lambda key: key | {"key_ops": ["verify", "encrypt"]},
    "may_nothing": lambda key: key | {"key_ops": []},
    **{f"private_member_{name}": lambda key, name=name: key | {name: "AQAB"} for name in ("d", "p", "q", "dp", "k")},  # type: ignore[misc]  # mypy knows no types for a lambda's defaults
    "modulus_padded": lambda key: key | {"n": key["n"] + "="},
    "modulus_with_a_zero_in_front": lambda key: key | {"n": b64(b"\0" + unb64(key["n"]))},
    "modulus_in_the_standard_alphabet": lambda key: key | {"n": key["n"][:-4] + "+/+/"},
    "modulus_even": lambda key: key | {"n": b64(unb64(key["n"])[:-1] + b"\2")},
    "modulus_far_too_long": lambda key: key | {"n": b64(b"\xff" * 4096)},
    "modulus_missing": lambda key: {name: key[name] for name in key if name != "n"},
    "modulus_is_a_number": lambda key: key | {"n": 65537},
    "exponent_1": lambda key: key | {"e": "AQ"},
    "exponent_3": lambda key: key | {"e": "Aw"},
    "exponent_even": lambda key: key | {"e": b64((65538).to_bytes(3, "big"))},
    "exponent_empty": lambda key: key | {"e": ""},
    "exponent_padded": lambda key: key | {"e": "AAEAAQ"},
    "exponent_of_65_bits": lambda key: key | {"e": b64((2**64 + 1).to_bytes(9, "big"))},
    "exponent_huge": lambda key: key | {"e": key["n"]},
    "key_id_missing": lambda key: {name: key[name] for name in key if name != "kid"},
    "key_id_with_a_newline": lambda key: key | {"kid": "bad\n"},
    "key_id_is_a_number": lambda key: key | {"kid": 7},
    "a_certificate_alone": lambda key: {"kty": "RSA", "alg": "RS256", "kid": "bad", "x5c": [key["n"]]},
}


@pytest.mark.parametrize("change", BAD_KEYS.values(), ids=BAD_KEYS)
def test_j10_j11_a_bad_key_beside_good_ones(change: Change, sandbox: Sandbox, hanko: StandInHanko) -> None:
    """J10, J11, S8: CVE-2026-22817, GHSA-w6j9-cwv2-h6wq. It verifies nothing, and the others go on verifying.

    The bad key is the good one but for one thing: taken all the same, it would verify the signature.
    """
    hanko.extra_keys = [change(jwk(genuine_key(hanko), "bad"))]
    refuse(sandbox, forge(hanko, {"kid": "bad"}), "key_unknown")
    assert allow(sandbox, forge(hanko)) == CONTEXT


@pytest.mark.parametrize("key", [None, 1, "key", [], {}, [{}], True, {"keys": []}], ids=str)
def test_j11_what_is_no_key_at_all_beside_good_ones(key: object, sandbox: Sandbox, hanko: StandInHanko) -> None:
    hanko.extra_keys = [key]
    assert allow(sandbox, forge(hanko)) == CONTEXT


def test_j13_a_proxy_of_the_environment_is_not_used_by_accident(
    sandbox: Sandbox, hanko: StandInHanko, attacker: StandInHanko, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J13: HTTPS_PROXY is a setting like any other, read at start; no other variable is."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, attacker.origin)
    assert allow(sandbox, forge(hanko)) == CONTEXT


@pytest.mark.parametrize("jump", ["wall", "monotonic"])
def test_j15_keys_age_by_the_clock_that_says_more(
    jump: str, sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """J15: a frozen sandbox stops one clock, a restored snapshot jumps the other; a withdrawn key ages by either."""
    token = forge(hanko)
    hanko.rotate()
    allow(sandbox, token)
    hanko.withdraw(hanko.kids[-1])
    setattr(time_, jump, getattr(time_, jump) + 601)
    refuse(sandbox, token, "key_unknown")


def test_j16_a_sandbox_starts_while_hanko_is_down(make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time) -> None:
    """J16: else every start would fail, again and again."""
    hanko.behave("down")
    sandbox = make_sandbox(prefetch=True)
    fail(sandbox, forge(hanko), "keys_unavailable")
    hanko.behave("normal")
    time_.advance(31)
    assert allow(sandbox, forge(hanko)) == CONTEXT


# --- R: the answer

PATHS = [
    "*",
    "items/*",
    "items/?",
    "*/*/*",
    "items/4:2",
    "a:b:c",
    "items/%2a",
    "~",
    "a,b",
    "ä",
    "a b",
    "\n",
    "../../x",
    "",
]
HTTP_STAGE = "arn:aws:execute-api:eu-west-1:123456789012:f6g7h8i9j0/$default"


@pytest.mark.parametrize("path", PATHS, ids=ascii)
def test_r4_r5_the_path_never_reaches_the_policy(path: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """R4, R5, R6: a client who asks for `/items/*` shall not write that into a policy; nor fail for a colon."""
    sandbox = make_sandbox(http_api_response="policy")
    event = event_with("http_v2", forge(hanko)) | {"routeArn": f"{HTTP_STAGE}/GET/{path}"}
    assert sandbox.answer(event) == {
        "principalId": USER,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": "arn:aws:execute-api:eu-west-1:123456789012:f6g7h8i9j0/$default/*",
                }
            ],
        },
        "context": CONTEXT,
    }


ARNS = {
    "star": "*", "empty": "", "lambda": "arn:aws:lambda:eu-west-1:123456789012:function:x/prod/GET/",
    "any_account": "arn:aws:execute-api:eu-west-1:*:a1b2c3d4e5/prod/GET/",
    "any_api": "arn:aws:execute-api:eu-west-1:123456789012:*/prod/GET/",
    "any_region": "arn:aws:execute-api:*:123456789012:a1b2c3d4e5/prod/GET/",
    "any_stage": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/*/GET/",
    "any_method": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/*/",
    "any_character": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e?/prod/GET/",
    "any_partition": "arn:*:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/GET/",
    "variable": "arn:aws:execute-api:eu-west-1:123456789012:${aws:x}/prod/GET/",
    "no_account": "arn:aws:execute-api:eu-west-1::a1b2c3d4e5/prod/GET/",
    "no_stage": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5//GET/",
    "no_method": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod",
    "space_in_front": " arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/GET/",
    "newline_in_the_stage": "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod\n/GET/",
    "wide_digits": "arn:aws:execute-api:eu-west-1:１23456789012:a1b2c3d4e5/prod/GET/",  # noqa: RUF001 - a look-alike on purpose
}  # fmt: skip


@pytest.mark.parametrize("arn", ARNS.values(), ids=ARNS)
@pytest.mark.parametrize("shape", ["rest_token", "rest_request", "http_v1", "http_v2", "websocket"])
def test_r4_no_policy_for_an_arn_that_is_not_exactly_one(
    arn: str, shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """R3, R4: T8. Whoever can invoke the function with an event of their own gets no policy for everything."""
    event = event_with(shape, forge(hanko))
    event["routeArn" if shape == "http_v2" else "methodArn"] = arn
    assert sandbox.answer(event) == "Authorizer unavailable"
    assert sandbox.records()[0][0]["reason"] == "arn_invalid"


@pytest.mark.parametrize("behind", ["\n", "/x", "x", "*", "/*"], ids=ascii)
def test_r4_the_arn_of_a_websocket_ends_with_connect(behind: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    event = event_with("websocket", forge(hanko))
    event["methodArn"] += behind
    assert sandbox.answer(event) == "Authorizer unavailable"
    assert sandbox.records()[0][0]["reason"] == "arn_invalid"


SHADOWS: Json = {
    "principalId": "admin",
    "user_id": "admin",
    "email_verified": True,
    "issued_at": 0,
    "expires_at": 2**31,
    "claims": {"sub": "admin"},
    "reason": "none",
    "isAuthorized": True,
    "context": {"user_id": "admin"},
    "policyDocument": {"Statement": []},
    "role": "admin",
}


def test_r7_r9_claims_do_not_become_keys_of_the_context(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """R7, R9, H3: a jwt_template can hold any claim, and a user can choose the text in some."""
    token = forge(hanko, claims=SHADOWS)
    assert allow(sandbox, token) == CONTEXT
    policy = sandbox.answer(event_with("rest_request", token))
    assert isinstance(policy, dict)
    assert (policy["principalId"], policy["context"]) == (USER, CONTEXT)


@pytest.mark.parametrize(
    "name", ["user_id", "session_id", "email_verified", "claims", "principalId", "expires_at", "amr"]
)
def test_r9_nor_can_a_deployer_let_them_by_mistake(name: str, make_sandbox: MakeSandbox) -> None:
    for claims in (name, f"role={name}", f"metadata.x={name}"):
        with pytest.raises(Misconfigured, match="HANKO_CONTEXT_CLAIMS"):
            make_sandbox(context_claims=claims)


TEMPLATED: dict[str, tuple[Json, Json]] = {
    "email_is_text": ({"email": "admin@example.com"}, {}),
    "email_is_a_list": ({"email": [{"address": "admin@example.com", "is_verified": True}]}, {}),
    "address_is_an_object": ({"email": {"address": {"x": 1}, "is_verified": True}}, {}),
    "verified_is_text": ({"email": {"address": "a@example.com", "is_verified": "true"}}, {"email_verified": False}),
    "verified_is_a_number": ({"email": {"address": "a@example.com", "is_verified": 1}}, {"email_verified": False}),
    "username_is_an_object": ({"username": {"x": 1}}, {}),
    "username_is_true": ({"username": True}, {}),
    "amr_is_text": ({"amr": "passkey otp"}, {}),
    "amr_holds_a_number": ({"amr": ["passkey", 1]}, {}),
    "amr_is_an_object": ({"amr": {"passkey": True}}, {}),
}


@pytest.mark.parametrize(("claims", "more"), TEMPLATED.values(), ids=TEMPLATED)
def test_r8_h3_a_user_does_not_choose_the_type_of_a_context_value(
    claims: Json, more: Json, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """R8, H3: templated text that looks like true, {…} or […] becomes that; what is not of its type is left out."""
    context = allow(sandbox, forge(hanko, claims=claims))
    (claim,) = claims
    gone = {"email", "email_verified"} if claim == "email" else {claim}
    expected = {name: value for name, value in CONTEXT.items() if name not in gone}
    assert context == expected | ({"email": "a@example.com"} | more if more else {})


@pytest.mark.parametrize("amr", [["passkey totp"], ["passkey", ""], ["a\tb"], ["a\u2003b"], ["\n"]], ids=ascii)
def test_r8_a_list_cannot_be_lengthened_from_inside_a_word(
    amr: list[str], sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """R8: "passkey totp" as one word would read as two ways of logging in."""
    fail(sandbox, forge(hanko, claims={"amr": amr}), "context_invalid")


@pytest.mark.parametrize("control", ["\0", "\n", "\r\n", "\t", "\x1b[2J", "\x7f"], ids=ascii)
@pytest.mark.parametrize("claim", ["username", "about"])
def test_r8_no_control_character_reaches_the_backend(
    claim: str, control: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """R8, H3: a backend that gets the context as headers would take a line end for the start of another header."""
    sandbox = make_sandbox(context_claims="about")
    text = f"x{control}X-Role: admin"
    fail(sandbox, forge(hanko, claims={claim: text}), "context_invalid")
    fail(sandbox, forge(hanko, claims={"email": {"address": text, "is_verified": True}}), "context_invalid")


def test_r8_a_context_too_large_fails_and_is_never_cut(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """R8: what a user fills up is their own failure; a cut context would let them drop what comes last."""
    sandbox = make_sandbox(context_claims="about,role")
    context = allow(sandbox, forge(hanko, claims={"about": "é" * 1800, "role": "user"}))
    assert context["role"] == "user"
    for about in ("€" * 1400, "x" * 4096, ["x"] * 2048, {"x": "x" * 4096}):
        fail(sandbox, forge(hanko, claims={"about": about, "role": "user"}), "context_invalid")


@pytest.mark.parametrize(
    "value", [{"x": [None, 1.5]}, ["a", 1], [None], [["a"]], 1.5, 10**39, True, "\xa0\u2028 <x>"], ids=ascii
)
@pytest.mark.parametrize("shape", SHAPES)
def test_r8_whatever_a_claim_holds_the_answer_is_flat_json(
    value: object, shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """R8, and the runtime's traps: no null, no object, no NaN, nothing that UTF-8 cannot say."""
    sandbox = make_sandbox(context_claims="x", websocket_query_parameter="token", websocket_subprotocol="hanko")
    answer = sandbox.answer(event_with(shape, forge(hanko, claims={"x": value})))
    assert isinstance(answer, dict)
    json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()
    context = answer.get("context") or answer["resolverContext"]
    assert {type(part) for part in context.values()} <= {str, int, float, bool}
    assert "x" in context


class BrokenKeys:
    """A KeySource with a bug, whose message holds what must not leave."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def find(self, kid: str) -> rsa.RSAPublicKey:  # noqa: ARG002 - the name is the protocol's
        raise self.error


@pytest.mark.parametrize(
    "error", [RuntimeError, MemoryError, RecursionError, KeyError, UnicodeError, StopIteration, OSError]
)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if not shape.startswith("websocket_")])
def test_r1_l5_whatever_breaks_nobody_gets_in_and_nothing_gets_out(
    error: type[Exception], shape: str, sandbox: Sandbox, hanko: StandInHanko, time_: Time
) -> None:
    """R1, R3, L5: no verdict, one constant text, and not a word of the exception, be it the token itself."""
    token = forge(hanko)
    sandbox.verifier = TokenVerifier(sandbox.settings, BrokenKeys(error(token, "\ud800")), time_.clock)
    fail(sandbox, token, "internal", shape)


@pytest.mark.parametrize("defect", ["expired", "wrong_audience", "webhook", "tampered", "alg_none", "missing"])
def test_r11_the_console_gets_no_short_cut(defect: str, sandbox: Sandbox, hanko: StandInHanko) -> None:
    assert sandbox.answer(event_with("console_test", token_with(defect, hanko))) == "Unauthorized"


# --- V: sessions that are over, and answers about them


def live_token(hanko: StandInHanko, **claims: object) -> str:
    return hanko.mint(claims={"sub": USER, "session_id": SESSION, **claims})


def log_out(hanko: StandInHanko, token: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", hanko.port, timeout=15)
    with closing(connection):
        connection.request("POST", "/logout", headers={"Authorization": f"Bearer {token}"})
        assert connection.getresponse().status == 204


@pytest.mark.parametrize("shape", SHAPES)
def test_v1_a_logged_out_token_is_replayed(shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """V1: good for twelve more hours by what it says. Where Hanko is asked every time, for not one more request."""
    extra = {"websocket_query_parameter": "token", "websocket_subprotocol": "hanko"}
    sandbox, token = make_sandbox(session_check="strict", **extra), live_token(hanko)
    assert isinstance(sandbox.answer(event_with(shape, token)), dict)
    sandbox.output()
    log_out(hanko, token)
    for _ in range(2):
        answer = sandbox.answer(event_with(shape, token))
        assert answer == "Unauthorized" or "session_ended" in json.dumps(answer) or answer == {"isAuthorized": False}
        (log,), _ = sandbox.records()
        assert (log["reason"], "user" in log) == ("session_ended", False)


@pytest.mark.parametrize("on_outage", ["fail", "allow"])
def test_v1_it_is_replayed_while_hanko_is_down(
    on_outage: str, make_sandbox: MakeSandbox, hanko: StandInHanko, time_: Time
) -> None:
    """What was once known to be over stays so, whatever the setting for outages says, and needs no Hanko."""
    sandbox, token = make_sandbox(session_check="hybrid", session_on_outage=on_outage), live_token(hanko)
    time_.advance(10)  # a token younger than the clock skew is asked about anew
    log_out(hanko, token)
    refuse(sandbox, token, "session_ended")
    hanko.behave("down")
    refuse(sandbox, token, "session_ended")


@pytest.mark.parametrize("mode", ["strict", "hybrid"])
def test_v2_no_answer_about_another_session_or_user_counts(
    mode: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """V2: the session swap. A cache or a proxy in front of Hanko mixes answers up: neither in nor out by them."""
    sandbox, token, other = make_sandbox(session_check=mode), live_token(hanko), str(uuid.uuid4())
    good = hanko.validate([token], renew=False, count=False)
    log_out(hanko, token)
    another_session = {**good, "claims": {**good["claims"], "session_id": other}}
    another_user = {**good, "user_id": other, "claims": {**good["claims"], "subject": other}}
    for answer in (another_session, another_user, hanko.validate([hanko.mint()], renew=False, count=False)):
        hanko.behave("body", endpoint="validate", data=compact(answer))
        assert fail(sandbox, token, "session_unchecked")["session_failure"] == "content"
        hanko.behave("body", endpoint="validate", data=compact({**answer, "is_valid": False}))
        assert fail(sandbox, token, "session_unchecked")["session_failure"] == "content"
    hanko.behave("normal", endpoint="validate")
    refuse(sandbox, token, "session_ended")


@pytest.mark.parametrize("swapped", [{"session_id": SESSION}, {"sub": USER}, {"iat": NOW - 1}])
def test_v2_an_answer_serves_no_other_token(swapped: Json, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """V2: what is remembered of a session is bound to its user and to the token's time of issue."""
    sandbox = make_sandbox(session_check="hybrid")
    assert allow(sandbox, live_token(hanko)) == CONTEXT
    hanko.end_session(SESSION)
    claims = {"sub": str(uuid.uuid4()), "session_id": str(uuid.uuid4()), **swapped}
    if "iat" in swapped:
        claims = {"sub": USER, "session_id": SESSION, **swapped}
    refuse(sandbox, hanko.mint(claims=claims, session=False), "session_ended")


@pytest.mark.parametrize("mode", ANSWERS_WITHOUT_END)
def test_v3_an_answer_without_end_holds_nobody_up(mode: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox, token = make_sandbox(session_check="strict", fetch_timeout_seconds="0.5"), live_token(hanko)
    hanko.behave(mode, endpoint="validate", **ANSWERS_WITHOUT_END[mode])
    log = fail(sandbox, token, "session_unchecked")
    assert log["session_failure"] == "timeout"
    assert 400 < log["duration_ms"] < 3000


@pytest.mark.parametrize("announce", [True, False])
def test_v3_a_huge_answer_is_not_read(*, announce: bool, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox, token = make_sandbox(session_check="strict"), live_token(hanko)
    hanko.behave("oversize", endpoint="validate", size_bytes=50_000_000, announce=announce)
    assert fail(sandbox, token, "session_unchecked")["session_failure"] == "too_large"


@pytest.mark.parametrize("touch", ["false", "true"])
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_v4_a_redirect_does_not_carry_the_token_away(
    code: int, touch: str, make_sandbox: MakeSandbox, hanko: StandInHanko, attacker: StandInHanko
) -> None:
    sandbox, token = make_sandbox(session_check="strict", session_touch=touch), live_token(hanko)
    hanko.behave("redirect", endpoint="validate", location=f"{attacker.url}/sessions/validate", code=code)
    assert fail(sandbox, token, "session_unchecked")["session_failure"] == "status"
    assert (attacker.validate_requests, attacker.connections) == (0, 0)


@pytest.mark.parametrize("defect", ["expired", "not_yet_valid", "wrong_audience", "webhook", "tampered", "alg_none"])
def test_v5_hanko_is_not_asked_about_what_is_no_valid_token(
    defect: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """V5: it looks neither at the audience nor at the issuer, and anybody could make it work for nothing."""
    sandbox = make_sandbox(session_check="strict", session_on_outage="allow")
    for shape in PLACES:
        assert not allowed(sandbox.answer(event_with(shape, token_with(defect, hanko))))
    assert hanko.validate_requests == 0


@pytest.mark.parametrize("on_outage", ["fail", "allow"])
@pytest.mark.parametrize(
    "bad",
    [("body", {"data": b"{}"}), ("oversize", {"size_bytes": 300_000}), ("status", {"code": 400})],
    ids=["nested_too_deeply", "too_large", "token_too_long_for_a_proxy"],
)
def test_v6_one_users_answers_do_not_keep_others_from_being_checked(
    bad: tuple[str, Json], on_outage: str, make_sandbox: MakeSandbox, hanko: StandInHanko
) -> None:
    """V6: what a token holds may make the answer about it unusable. That is no outage, however often it is sent."""
    sandbox = make_sandbox(session_check="strict", session_on_outage=on_outage)
    hanko.behave(bad[0], endpoint="validate", **bad[1])
    for _ in range(10):
        assert allowed(sandbox.answer(event_with("http_v2", hanko.mint()))) == (on_outage == "allow")
    hanko.behave("normal", endpoint="validate")
    victim = live_token(hanko)
    sandbox.output()
    assert allow(sandbox, victim) == CONTEXT
    log_out(hanko, victim)
    refuse(sandbox, victim, "session_ended")


@pytest.mark.parametrize("mode", ["strict", "hybrid"])
def test_v8_one_answer_too_many_logs_nobody_out(mode: str, make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """V8: a proxy in front of Hanko answers twice. "Not valid" names nobody, so it must not hit the next one to ask."""
    sandbox, token, validate = make_sandbox(session_check=mode), live_token(hanko), hanko.validate
    assert allowed(sandbox.answer(event_with("http_v2", hanko.mint())))

    def of_somebody_else(*_: object, **__: object) -> Json:
        hanko.validate = validate  # type: ignore[method-assign]  # once
        return {"is_valid": False}

    hanko.validate = of_somebody_else  # type: ignore[method-assign]  # the world's mistake
    sandbox.output()
    for _ in range(2):
        assert allow(sandbox, token) == CONTEXT


def test_v7_allow_is_for_outages_and_not_for_bugs(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    sandbox = make_sandbox(session_check="strict", session_on_outage="allow")
    sandbox.session_checks[0]._answers = None  # type: ignore[assignment]  # noqa: SLF001 - a bug that nobody foresaw
    assert fail(sandbox, live_token(hanko), "internal")["stack"][-1] == "AttributeError"


def allowed(answer: Json | str) -> bool:
    return isinstance(answer, dict) and (answer.get("isAuthorized") is True or "Allow" in json.dumps(answer))


# --- W: webhooks, and the table that they feed


ENDED: Json = {"id": SESSION, "user_id": USER, "expires_at": "2027-01-15T20:00:00Z"}
LOGOUT, DELETED, PASSWORD = "session.delete.explicit.logout", "user.delete", "user.update.password.update"


def webhook(token: str, event: str = LOGOUT) -> str:
    return json.dumps({"token": token, "event": event})


def turned_away(receiving: Receiving, aws: Aws, body: str | bytes, status: int, reason: str) -> None:
    """Nothing is revoked, and nothing of it printed."""
    assert receiving.post(body) == status
    output = receiving.output()
    log, metric = (json.loads(line) for line in output.splitlines())
    assert (log["reason"], metric["reason"], log["status"]) == (reason, reason, status)
    assert not aws.requests
    assert USER not in output
    assert SESSION not in output


def test_w1_a_genuine_webhook_ends_a_session_through_the_whole_handler(
    make_sandbox: MakeSandbox, receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    """What the attacks below are measured by."""
    sandbox, token = make_sandbox(aws=aws), live_token(hanko)
    assert allow(sandbox, token) == CONTEXT
    assert receiving.post(webhook(hanko.webhook_token(LOGOUT, ENDED))) == 204
    sandbox.output()
    refuse(sandbox, token, "session_revoked")


def test_w1_a_webhook_signed_by_a_stranger(
    receiving: Receiving, hanko: StandInHanko, attacker: StandInHanko, aws: Aws
) -> None:
    kid = {"alg": "RS256", "kid": hanko.kids[0], "typ": "JWT"}
    claims = {"sub": "hanko webhooks", "aud": ["localhost"], "iat": NOW, "exp": NOW + 300, "evt": LOGOUT, "data": ENDED}
    forged = attacker.sign(kid, claims, attacker.kids[0])
    turned_away(receiving, aws, webhook(forged), 401, "signature_invalid")
    turned_away(receiving, aws, webhook(attacker.webhook_token(LOGOUT, ENDED)), 401, "key_unknown")


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512"])
def test_w1_a_webhook_with_another_algorithm(
    algorithm: str, receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    header = {"alg": algorithm, "kid": hanko.kids[0], "typ": "JWT"}
    claims = {"sub": "hanko webhooks", "aud": ["localhost"], "iat": NOW, "exp": NOW + 300, "evt": LOGOUT, "data": ENDED}
    token = hanko.sign(header, claims, hanko.kids[0])
    turned_away(receiving, aws, webhook(token), 401, "algorithm_not_allowed")


def test_w2_a_session_logs_nobody_out(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """The mirror of H1: every user holds a token of these keys for this audience."""
    turned_away(receiving, aws, webhook(live_token(hanko)), 401, "not_a_webhook")
    dressed_up = live_token(hanko, evt=LOGOUT, data=ENDED)  # a JWT template can add claims
    turned_away(receiving, aws, webhook(dressed_up), 401, "not_a_webhook")
    disguised = live_token(hanko, evt=LOGOUT, data=ENDED, sub="hanko webhooks")
    turned_away(receiving, aws, webhook(disguised), 401, "not_a_webhook")


def test_w2_a_token_of_the_passkey_server_logs_nobody_out(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    token = hanko.passkey_server_token(claims={"evt": LOGOUT, "data": ENDED})
    turned_away(receiving, aws, webhook(token), 401, "not_a_webhook")


def test_w3_a_webhook_for_another_app(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    token = hanko.webhook_token(LOGOUT, ENDED, claims={"aud": ["other.example.com"]})
    turned_away(receiving, aws, webhook(token), 401, "audience_not_allowed")


def test_w4_an_old_webhook(receiving: Receiving, hanko: StandInHanko, aws: Aws, time_: Time) -> None:
    token = hanko.webhook_token(LOGOUT, ENDED)
    time_.advance(311)  # five minutes, and the clock skew
    turned_away(receiving, aws, webhook(token), 401, "token_expired")


def test_w5_a_webhook_replayed_within_its_time(
    make_sandbox: MakeSandbox, receiving: Receiving, hanko: StandInHanko, aws: Aws, time_: Time
) -> None:
    """Whoever else receives webhooks holds such tokens. It revokes what it revoked, and no moment more."""
    sandbox, body = make_sandbox(aws=aws), webhook(hanko.webhook_token(DELETED, {"id": USER}), DELETED)
    assert receiving.post(body) == 204
    before = aws.items
    time_.advance(60)
    for _ in range(3):
        assert receiving.post(body) == 204
    assert aws.items == before
    sandbox.output()
    # The user came back, imported under the same id; a new user has another id anyway.
    assert allowed(sandbox.answer(event_with("http_v2", live_token(hanko, session_id=str(uuid.uuid4())))))
    assert allowed(sandbox.answer(event_with("http_v2", hanko.mint())))


def test_w5_sessions_from_before_stay_refused_whatever_comes_after(
    make_sandbox: MakeSandbox, receiving: Receiving, hanko: StandInHanko, aws: Aws, time_: Time
) -> None:
    """An older webhook, delivered last, takes nothing back."""
    sandbox, token = make_sandbox(aws=aws), live_token(hanko)
    older = webhook(hanko.webhook_token(DELETED, {"id": USER}, claims={"iat": NOW - 100}), DELETED)
    assert receiving.post(webhook(hanko.webhook_token(DELETED, {"id": USER}), DELETED)) == 204
    assert receiving.post(older) == 204
    receiving.output()
    refuse(sandbox, token, "session_revoked")
    time_.advance(43_199)
    refuse(sandbox, token, "session_revoked")


@pytest.mark.parametrize("event", [DELETED, "user.create", "session.delete", "session.delete.admin.revoke", ""])
def test_w6_the_event_outside_the_token(event: str, receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """Nobody signed it: a logout does not become the deletion of the user whose id was in the data, nor nothing."""
    turned_away(receiving, aws, webhook(hanko.webhook_token(LOGOUT, ENDED), event), 400, "webhook_malformed")


@pytest.mark.parametrize(
    "event",
    [
        *("session.deleted", "session.delete", "session.delete.", "session.deletex.y", "sessions.delete.x"),
        *(
            " session.delete.x",
            "SESSION.delete.x",
            "user.deleted",
            "user.delete.x",
            "user",
            "session",
            "session.create",
        ),
        "user.update.password.update",  # unless it is switched on
    ],
)
def test_w6_an_event_almost_right_revokes_nothing(
    event: str, receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    assert receiving.post(webhook(hanko.webhook_token(event, ENDED), event)) == 204
    assert receiving.record()[0]["reason"] == "event_ignored"
    assert not aws.requests


def test_w7_a_body_of_a_megabyte(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    for body in (" " * 1_000_000, b" " * 1_000_000, webhook(hanko.webhook_token(LOGOUT, ENDED)) + " " * 262_144):
        turned_away(receiving, aws, body, 413, "body_too_large")
    assert hanko.jwks_requests == 0


@pytest.mark.parametrize("body", ["[" * 60_000, '{"event":' * 6_000, '{"token":"a.b.c","event":"' + "\\u0041" * 9_000])
def test_w7_deep_and_endless_json(body: str, receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    turned_away(receiving, aws, body, 400, "webhook_malformed")
    assert hanko.jwks_requests == 0


def test_w7_deep_json_inside_the_token(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """Hanko signed it, so it is heard of; see W11."""
    data: object = SESSION
    for _ in range(40):
        data = [data]
    turned_away(receiving, aws, webhook(hanko.webhook_token(LOGOUT, data)), 503, "webhook_unreadable")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "post", "", None])
def test_w7_another_method(method: str, receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    body = webhook(hanko.webhook_token(LOGOUT, ENDED))
    assert receiving.answer(url_event(body, method))["statusCode"] == 405
    assert not aws.requests


def test_w8_a_flood_of_strangers_costs_hanko_one_fetch(
    receiving: Receiving, hanko: StandInHanko, aws: Aws, own_key: RSAPrivateKey
) -> None:
    """And what was genuine is still taken in between."""
    assert receiving.post(webhook(hanko.webhook_token(LOGOUT, ENDED))) == 204
    statuses = set()
    for _ in range(20):
        claims = {"sub": "hanko webhooks", "aud": ["localhost"], "iat": NOW, "exp": NOW + 300}
        token = signed(compact({"alg": "RS256", "kid": str(uuid.uuid4()), "typ": "JWT"}), compact(claims), own_key)
        statuses.add(receiving.post(webhook(token)))
    assert statuses == {401, 503}
    assert hanko.jwks_requests == 2
    assert receiving.post(webhook(hanko.webhook_token(DELETED, {"id": USER}), DELETED)) == 204
    assert len(aws.items) == 2


def test_w8_strangers_do_not_keep_a_new_key_from_being_found(
    make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws, own_key: RSAPrivateKey, time_: Time
) -> None:
    """Hanko signs with a new key at once. With the template's cool-down a flood costs 2 s of webhooks, and no more."""
    receiving = make_receiving(keys_cooldown_seconds="2")  # see test_template.py
    lost_seconds = 0
    for second in range(20):
        forged = signed(compact({"alg": "RS256", "kid": str(uuid.uuid4()), "typ": "JWT"}), b"{}", own_key)
        assert receiving.post(webhook(forged)) in {401, 503}
        if second == 1:  # within the cool-down
            hanko.rotate()
        ended = {**ENDED, "id": str(uuid.uuid4())}
        lost_seconds += receiving.post(webhook(hanko.webhook_token(LOGOUT, ended))) != 204
        time_.advance(1)
    assert lost_seconds <= 2
    assert len(aws.items) == 20 - lost_seconds
    assert hanko.jwks_requests <= 11  # every other second


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_w9_no_table_no_entry(fault: str, shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko, aws: Aws) -> None:
    """Whoever can keep the table from answering lets nobody in, and logs nobody out."""
    sandbox = make_sandbox(aws=aws, websocket_query_parameter="token", websocket_subprotocol="hanko")
    aws.fail("BatchGetItem", FAULTS[fault])
    assert sandbox.answer(event_with(shape, live_token(hanko))) == "Authorizer unavailable"
    (log,), (metric,) = sandbox.records()
    assert (log["reason"], log["fault"], log["revocation_checks"]) == ("revocation_unchecked", "aws", 2)
    assert (metric["Unavailable"], metric["RevocationFailures"]) == ([1], [1])


@pytest.mark.parametrize("fault", FAULTS)
def test_w9_allow_lets_in_what_the_token_says_marked_and_counted(
    fault: str, make_sandbox: MakeSandbox, receiving: Receiving, hanko: StandInHanko, aws: Aws
) -> None:
    sandbox, token, revoked = make_sandbox(aws=aws, session_on_outage="allow"), live_token(hanko), hanko.mint()
    claims = sandbox.verifier.verify(revoked)
    assert receiving.post(webhook(hanko.webhook_token(LOGOUT, {"id": claims.session_id}))) == 204
    receiving.output()
    refuse(sandbox, revoked, "session_revoked")
    aws.fail("BatchGetItem", FAULTS[fault])
    assert allowed(sandbox.answer(event_with("http_v2", token)))
    (log,), (metric,) = sandbox.records()
    assert (log["session_unchecked"], metric["SessionUnchecked"], metric["Allowed"]) == (True, [1], [1])
    refuse(sandbox, revoked, "session_revoked")  # remembered: an outage forgets nothing


def test_w9_a_table_that_holds_nonsense_is_no_answer(make_sandbox: MakeSandbox, hanko: StandInHanko, aws: Aws) -> None:
    """The receiver alone writes there. It is one user's item, and what the table does say of his session holds."""
    aws.dynamodb.put_item(TableName=TABLE, Item={"subject": {"S": f"user#{USER}"}})
    assert fail(make_sandbox(aws=aws), live_token(hanko), "revocation_unchecked")["revocation_failure"] == "malformed"
    sandbox = make_sandbox(aws=aws, session_on_outage="allow")
    assert allowed(sandbox.answer(event_with("http_v2", live_token(hanko))))
    assert sandbox.records()[0][0]["session_unchecked"] is True
    revoked = {"subject": {"S": f"session#{SESSION}"}, "issued_until": {"N": str(NOW)}}
    aws.dynamodb.put_item(TableName=TABLE, Item=revoked)
    refuse(sandbox, live_token(hanko), "session_revoked")


def test_w10_the_table_is_not_asked_about_what_is_no_valid_token(
    make_sandbox: MakeSandbox, hanko: StandInHanko, aws: Aws
) -> None:
    sandbox = make_sandbox(aws=aws, session_on_outage="allow")
    for defect in ("expired", "not_yet_valid", "wrong_audience", "webhook", "tampered", "alg_none"):
        assert not allowed(sandbox.answer(event_with("http_v2", token_with(defect, hanko))))
    assert not aws.requests


# What a user may write into his own metadata, in 3,000 characters. Go hands it through as it is (json.RawMessage).
UNSAFE_METADATA = {
    "nested": '{"a":' * 40 + "1" + "}" * 40,
    "nested_to_the_limit": "[" * 1_500 + "]" * 1_500,
    "lone_surrogate": r'{"a":"\ud800"}',
    "a_name_twice": '{"a":1,"a":2,"id":"x","id":"y"}',
    "integer_of_41_digits": '{"a":' + "9" * 41 + "}",
    "integer_of_2999_digits": "-" + "9" * 2_999,
    "number_without_end": '{"a":1e999}',
    "brackets_in_strings": r'{"a\"}}":"]]\\","]":"\\\"{{"}',
    "another_webhook": '{"data":{"id":"x"},"sub":"x","evt":"x","session_id":"x"}',
}


def token_of_a_user(hanko: StandInHanko, event: str, unsafe_metadata: str) -> str:
    """A webhook as Hanko makes it of a user who has written this about himself."""
    _, payload, _ = hanko.webhook_token(event, hanko.user(USER)).split(".")
    text = unb64(payload).decode()
    plain = json.dumps({"theme": "dark"}, separators=(",", ":"))
    assert text.count(plain) == 1
    return signed(compact(header_of(hanko)), text.replace(plain, unsafe_metadata).encode(), genuine_key(hanko))


@pytest.mark.parametrize("text", UNSAFE_METADATA.values(), ids=UNSAFE_METADATA)
def test_w11_what_a_user_writes_about_himself_does_not_keep_him_in(
    text: str, make_sandbox: MakeSandbox, make_receiving: MakeReceiving, hanko: StandInHanko, aws: Aws
) -> None:
    """W11: his own text is in the webhook that ends him. What no parser can make sense of must not lose it."""
    sandbox, token = make_sandbox(aws=aws), live_token(hanko)
    receiving = make_receiving(revoke_on_password_change="true")
    assert allow(sandbox, token) == CONTEXT
    for event in (PASSWORD, DELETED):
        assert receiving.post(webhook(token_of_a_user(hanko, event, text), event)) == 204
        assert aws.items.keys() == {f"user#{USER}"}
    receiving.output()
    refuse(sandbox, token, "session_revoked")


@pytest.mark.parametrize("text", UNSAFE_METADATA.values(), ids=UNSAFE_METADATA)
def test_w11_nor_does_he_make_hanko_give_up(text: str, receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """Hanko stops sending after more than five failures in a row: users must not cause any."""
    assert receiving.post(webhook(token_of_a_user(hanko, "user.update", text), "user.update")) == 204
    assert receiving.record()[0]["reason"] == "event_ignored"
    assert not aws.requests


@pytest.mark.parametrize("text", list(UNSAFE_METADATA.values())[:-2], ids=list(UNSAFE_METADATA)[:-2])
def test_w11_a_session_with_such_claims_is_as_strictly_read_as_ever(
    text: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    payload = compact(session_claims())[:-1] + f',"metadata":{text}}}'.encode()
    refuse(sandbox, signed(compact(header_of(hanko)), payload, genuine_key(hanko)), "claims_malformed")


def test_w11_a_webhook_may_be_large(receiving: Receiving, hanko: StandInHanko, aws: Aws) -> None:
    """W11: his browser's User-Agent is in it, as long as Hanko's server lets headers be."""
    token = hanko.webhook_token(LOGOUT, {**ENDED, "user_agent": "M" * 150_000})
    assert receiving.post(webhook(token)) == 204
    assert aws.items.keys() == {f"session#{SESSION}"}


# --- L: logs


@pytest.mark.parametrize("shape", SHAPES)
def test_l1_nothing_of_an_accepted_token_is_printed(
    shape: str, make_sandbox: MakeSandbox, hanko: StandInHanko, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L1, L2: not even with what Powertools prints events, or more, by."""
    for name in ("POWERTOOLS_LOGGER_LOG_EVENT", "POWERTOOLS_TRACE_ENABLED", "POWERTOOLS_TRACER_CAPTURE_RESPONSE"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "DEBUG")
    sandbox = make_sandbox(websocket_query_parameter="token", websocket_subprotocol="hanko", context_claims="secret")
    token = forge(hanko, claims={"secret": "a-secret-claim"})
    assert isinstance(sandbox.answer(event_with(shape, token)), dict)
    output = sandbox.output()
    assert (
        output.count("a1b2c3d4e5") + output.count("f6g7h8i9j0") + output.count("k1l2m3n4o5") + output.count("p6q7r8")
        == 1
    )
    assert_no_piece(output, token)


LINE = '\n{"level":"INFO","message":"allowed"}'


def test_l3_a_key_id_cannot_forge_a_log_line(sandbox: Sandbox, hanko: StandInHanko) -> None:
    """L3: CWE-117. Nothing of a key id is printed."""
    refuse(sandbox, forge(hanko, {"kid": LINE}), "header_not_allowed")


@pytest.mark.parametrize(
    ("request_id", "logged"),
    [(LINE, LINE), ("\ud800", "\\ud800"), ("é\u2028", "\\xe9\\u2028"), ("x" * 9999, "x" * 128)],
    ids=["line", "surrogate", "not_ascii", "long"],
)
@pytest.mark.parametrize("shape", ["http_v2", "rest_request", "appsync"])
def test_l3_a_forged_event_neither_forges_nor_suppresses_its_log_line(
    request_id: str, logged: str, shape: str, sandbox: Sandbox, hanko: StandInHanko
) -> None:
    """L3, T8: whoever may invoke the function leaves one log line and one metric record, whatever the event holds."""
    event = event_with(shape, forge(hanko))
    event["requestContext"]["requestId"] = request_id
    assert isinstance(sandbox.answer(event), dict)
    logs, metrics = sandbox.records()
    assert ([log["request_id"] for log in logs], len(metrics)) == ([logged], 1)


def test_l4_nobody_is_in_the_metrics(make_sandbox: MakeSandbox, hanko: StandInHanko) -> None:
    """L4: neither as a dimension nor beside one, even where the log may name the user."""
    sandbox = make_sandbox(log_user_id="true")
    sandbox.answer(event_with("http_v2", forge(hanko)))
    (metric,) = sandbox.records()[1]
    assert metric["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    names = {"_aws", "service", "kind", "reason", "Allowed", "Duration", "KeySetAge", "KeyFetches", "KeyFetchFailures"}
    assert set(metric) == names
    for text in (USER, SESSION, "user@example.com", "example-user"):
        assert text not in json.dumps(metric)


# --- the runtime's own traps


def test_surrogates_do_not_end_the_runtime() -> None:
    """P5: an exception, a log line or an answer with a lone surrogate ends the real runtime's process."""
    root = Path(__file__).parent.parent
    with (
        StandInHanko() as hanko,
        LambdaRuntime(
            root,
            {
                "PYTHONPATH": f"{root}:{sysconfig.get_path('purelib')}",
                "HANKO_API_URL": hanko.url,
                "HANKO_AUDIENCE": "localhost",
            },
        ) as runtime,
    ):
        surrogate = signed(b'{"alg":"RS256","kid":"\\ud800","typ":"JWT"}', b"{}", genuine_key(hanko))
        events = [
            event_with("rest_request", surrogate),
            event_with("rest_request", "\ud800"),
            event_with("http_v2_cookie", "\ud800"),
            event_with("rest_token", forge(hanko)) | {"methodArn": "arn:\ud800"},
            event_with("rest_token", surrogate) | {"\ud800": "\ud800", "type": "\ud800"},
        ]
        answers = [runtime.invoke(event) for event in events]
        allowed = runtime.invoke(event_with("http_v2", hanko.mint()))
        log, records = runtime.log, runtime.records
    assert [answer.get("errorMessage", answer.get("isAuthorized")) for answer in answers] == [
        *("Unauthorized", "Unauthorized", False, "Authorizer unavailable", "Unauthorized"),
    ]
    assert allowed["isAuthorized"] is True
    assert hanko.jwks_requests == 1, "one process answered all of them"
    assert (len(records), log.count("INIT START"), "ud800" in log) == (12, 1, False)
    assert all("_aws" in two for _, two in list(pairwise(records))[::2])
