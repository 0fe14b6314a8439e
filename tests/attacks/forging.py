"""Every attack that we know of goes through the whole handler: refused, for the right reason, and nothing printed.

There is one file per letter of the threat model. The ids in names and docstrings (H1, S3, CVE-...) are its ids: H other
tokens of Hanko's, S signature, P parsing, C claims, X credentials, J key set, R answer, L log, V sessions, W webhooks.
A, access by rules, is ours. A forged token is good except for the one thing that its test's name says. The genuine key
signs it unless the name says otherwise, so that only the check under attack can refuse it.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sandbox import NOW, SESSION, USER, Json, Sandbox

from local.hanko import StandInHanko
from local.hanko.keys import b64, pool_key
from local.sign import event_with

# A cookie brings any text to the verifier; the header of another kind of API brings what its form lets through.
PLACES = ("http_v2_cookie", "rest_request")
NONE: dict[str, Any] = {}


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


def answers_to_refusal(shape: str, reason: str) -> Json | str:
    if shape == "http_v1":
        resource = "arn:aws:execute-api:eu-west-1:123456789012:f6g7h8i9j0/$default/*"
        statement = {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": resource}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        return {"principalId": "unknown", "policyDocument": policy, "context": {"reason": reason}}
    if shape.startswith("http_v2"):
        return {"isAuthorized": False, "context": {"reason": reason}}
    return {"isAuthorized": False, "ttlOverride": 0} if shape.startswith("appsync") else "Unauthorized"


def refuse(sandbox: Sandbox, token: str, reason: str, *places: str) -> None:
    """The token is refused for this reason, wherever it is put."""
    for shape in places or PLACES:
        refuse_event(sandbox, event_with(shape, token), answers_to_refusal(shape, reason), reason, token)


def refuse_event(sandbox: Sandbox, event: object, answer: Json | str, reason: str, *secrets: str) -> None:
    assert sandbox.answer(event) == answer
    output = sandbox.output()
    (line,) = output.splitlines()
    record = json.loads(line)
    assert record["reason"] == reason
    assert "user" not in record
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
    """The invocation fails: no verdict about the token; the record."""
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


ANSWERS_WITHOUT_END: dict[str, Json] = {
    "slow": {"delay_seconds": 60},
    "drip": {"pause_seconds": 0.01},
    "header_drip": {"pause_seconds": 0.02},
    "continue_forever": {},
}


def live_token(hanko: StandInHanko, **claims: object) -> str:
    return hanko.mint(claims={"sub": USER, "session_id": SESSION, **claims})


def allowed(answer: Json | str) -> bool:
    return isinstance(answer, dict) and (answer.get("isAuthorized") is True or "Allow" in json.dumps(answer))
