"""Tokens of every kind that we know how to get wrong, each different from a good one in one thing, and mutated ones."""

import base64
import hashlib
import hmac
import json
import random
import re
import time
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.hanko.keys import b64, jwk, unb64

AUDIENCE, ISSUER, KID = "example.com", "https://hanko.example.com", "key-0"
USER, SESSION = "3f1f8bd5-9b8e-4b4f-8a39-4b1f5d0c6f52", "9d6c1e0a-6d4c-4c0e-9f0e-0a3d3ff3b1c7"
HOUR_SECONDS = 3600
HEADER: dict[str, Any] = {"alg": "RS256", "kid": KID, "typ": "JWT"}
_SHA256 = hashes.SHA256()

# Why we refuse what another library accepts.
HANKOS = "Hanko never sends it (RFC 8725, 3.1 and 3.2)"
NO_SESSION = "no session of Hanko's"
STRICT = "one value has one text (RFC 8259, RFC 7515 section 2)"
TIMES = "times are numbers, in order, before 2100 (RFC 7519, 2)"
FUTURE = "a token of the future: one of two clocks is wrong"
AUDIENCES = "a string, or strings alone (RFC 7519, 4.1.3)"
FORM = "nothing around the token, and at most 16 KiB"


class Kind(NamedTuple):
    """A token, what is wrong with it in a few words, and why we refuse it."""

    name: str
    token: str
    why: str = ""


@cache
def key(number: int) -> rsa.RSAPrivateKey:
    """A key of this process: 0 is Hanko's, 1 a stranger's."""
    assert number in {0, 1}
    return rsa.generate_private_key(65537, 2048)


def public_jwk() -> dict[str, str]:
    return jwk(key(0), KID)


def claims() -> dict[str, Any]:
    now = int(time.time())
    times = {"iat": now - HOUR_SECONDS, "exp": now + 2 * HOUR_SECONDS}
    return {"sub": USER, "session_id": SESSION, "aud": [AUDIENCE], "iss": ISSUER, **times}


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def signed(header: bytes, payload: bytes, by: int = 0) -> str:
    signing_input = f"{b64(header)}.{b64(payload)}"
    return f"{signing_input}.{b64(key(by).sign(signing_input.encode(), padding.PKCS1v15(), _SHA256))}"


def token(header: dict[str, Any] | None = None, by: int = 0, **more: Any) -> str:  # noqa: ANN401 - any JSON
    """A token with other members; `...` leaves one out."""
    full = {**claims(), **more}
    head = {**HEADER, **(header or {})}
    return signed(compact(_without(head)), compact(_without(full)), by)


def _claim(name: str, value: Any) -> str:  # noqa: ANN401 - any JSON
    return token(None, 0, **{name: value})


def _without(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ...}


def kinds() -> list[Kind]:
    """All of them, in the order of the table in docs/assurance.md."""
    return [Kind("a good token", token()), *_headers(), *_claims(), *_json(), *_texts(), *_signatures()]


def _headers() -> Iterator[Kind]:
    headers: dict[str, dict[str, Any]] = {
        "`alg` RS512": {"alg": "RS512"},
        "`alg` in lower case": {"alg": "rs256"},
        "`alg` none, signed": {"alg": "none"},
        "no `alg`": {"alg": ...},
        "`kid` of no key": {"kid": "key-1"},
        "`kid` in another case": {"kid": "KEY-0"},
        "`kid` a number": {"kid": 7},
        "no `kid`": {"kid": ...},
        "`typ` at+jwt": {"typ": "at+jwt"},
        "`typ` in lower case": {"typ": "jwt"},
        "`typ` a number": {"typ": 7},
        "no `typ`": {"typ": ...},
        "`crit` with b64": {"crit": ["b64"], "b64": True},
        "`crit` empty": {"crit": []},
        "`crit` with an unknown name": {"crit": ["exp"]},
        "`b64` true": {"b64": True},
        "`jku`": {"jku": "https://attacker.example.com/keys"},
        "`x5u`": {"x5u": "https://attacker.example.com/x"},
        "`cty`": {"cty": "JWT"},
        "`zip`": {"zip": "DEF"},
        "an unknown header": {"x": 1},
    }
    for name, header in headers.items():
        yield Kind(name, token(header), HANKOS)
    strangers = jwk(key(1), KID)
    yield Kind("`jwk` of a stranger, signed by it", token({"jwk": strangers}, 1), HANKOS)


def _claims() -> Iterator[Kind]:
    now = int(time.time())
    for name in ("sub", "session_id", "aud", "iss", "exp", "iat"):
        yield Kind(f"no `{name}`", _claim(name, ...), NO_SESSION)
    times = {"null": None, "a text": "1900000000", "true": True, "negative": -1, "in 2286": 9_999_999_999}
    for shown, value in times.items():
        for name in ("exp", "iat", "nbf"):
            yield Kind(f"`{name}` {shown}", _claim(name, value), TIMES)
    yield Kind("`exp` an hour ago", token(exp=now - HOUR_SECONDS, iat=now - 2 * HOUR_SECONDS))
    yield Kind("`exp` before `iat`", token(exp=now + HOUR_SECONDS, iat=now + 2 * HOUR_SECONDS), TIMES)
    yield Kind("`iat` in an hour", token(iat=now + HOUR_SECONDS), FUTURE)
    yield Kind("`nbf` in an hour", token(nbf=now + HOUR_SECONDS))
    yield Kind("times with fractions", token(iat=now - 0.5, exp=now + 600.25))
    for shown, audience in {
        "a text": AUDIENCE,
        "another": ["other.example.com"],
        "in another case": ["EXAMPLE.com"],
        "longer": AUDIENCE + ".attacker.example",
        "empty": [],
        "a number beside ours": [AUDIENCE, 7],
        "a list in a list": [[AUDIENCE]],
        "an object": {AUDIENCE: 1},
        "null": None,
    }.items():
        yield Kind(f"`aud` {shown}", token(aud=audience), AUDIENCES)
    for shown, issuer in {"with a slash": ISSUER + "/", "a list": [ISSUER], "a number": 7}.items():
        yield Kind(f"`iss` {shown}", token(iss=issuer))
    for name in ("sub", "session_id"):
        ids = {"a number": 7, "empty": "", "in upper case": SESSION.upper(), "nil": re.sub("[0-9a-f]", "0", SESSION)}
        for shown, one in ids.items():
            yield Kind(f"`{name}` {shown}", _claim(name, one), NO_SESSION)
    yield Kind("a webhook", token(sub="hanko webhooks", session_id=..., evt="user.delete", data={}), NO_SESSION)
    yield Kind("a session with `evt`", token(evt="user.delete"), NO_SESSION)


def _json() -> Iterator[Kind]:
    """Payloads and headers that are no JSON, or JSON with two meanings."""
    good, head = compact(claims()), compact(HEADER)
    for name, payload in {
        "a claim twice": good[:-1] + b',"sub":"' + USER.encode() + b'"}',
        "NaN": good[:-1] + b',"x":NaN}',
        "a number beyond all floats": good[:-1] + b',"x":1e999}',
        "an integer of 50 digits": good[:-1] + b',"x":' + b"9" * 50 + b"}",
        "40 levels": good[:-1] + b',"x":' + b"[" * 40 + b"]" * 40 + b"}",
        "a lone surrogate": good[:-1] + b',"x":"\\ud800"}',
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "no UTF-8": good[:-1] + b',"x":"\xff"}',
        "UTF-16": good.decode().encode("utf-16"),
        "more behind the object": good + b"{}",
        "white space around it": b" \n" + good + b"\t ",
        "a list": b"[" + good + b"]",
        "single quotes": good.replace(b'"', b"'"),
    }.items():
        yield Kind(f"payload: {name}", signed(head, payload), STRICT)
    yield Kind("header: `alg` twice", signed(head[:-1] + b',"alg":"RS256"}', good), STRICT)
    yield Kind("header: white space around it", signed(b" " + head + b"\n", good), STRICT)
    yield Kind("header: a byte order mark", signed(b"\xef\xbb\xbf" + head, good), STRICT)


def _texts() -> Iterator[Kind]:
    """Other texts of the same token."""
    good = token()
    header, payload, signature = good.split(".")
    standard = base64.b64encode(unb64(signature)).decode()
    yield Kind("padding behind the signature", good + "==", STRICT)
    yield Kind("padding inside", f"{header}=.{payload}.{signature}", STRICT)
    yield Kind("the signature in base64 with + and /", f"{header}.{payload}.{standard.rstrip('=')}", STRICT)
    last = {"A": "B", "Q": "R", "g": "h", "w": "x"}[signature[-1]]
    yield Kind("unused bits in the last character", good[:-1] + last, STRICT)
    yield Kind("a line end behind it", good + "\n", FORM)
    yield Kind("a space before it", " " + good, FORM)
    yield Kind("a line end inside", f"{header}.{payload}.\n{signature}", FORM)
    yield Kind("a fourth part", good + ".e30", FORM)
    yield Kind("more than 16 KiB", token(x="y" * 20_000), FORM)
    members = {"protected": header, "payload": payload, "signature": signature}
    yield Kind("JSON serialization", json.dumps(members), FORM)


def _signatures() -> Iterator[Kind]:
    good = token()
    signing_input, _, signature = good.rpartition(".")
    raw = unb64(signature)
    pem = key(0).public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    hs256 = f"{b64(compact({**HEADER, 'alg': 'HS256'}))}.{b64(compact(claims()))}"
    mac = hmac.new(pem, hs256.encode(), hashlib.sha256).digest()
    pss = key(0).sign(signing_input.encode(), padding.PSS(padding.MGF1(_SHA256), 32), _SHA256)
    sha512 = key(0).sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA512())
    unsigned = f"{b64(compact({**HEADER, 'alg': 'none'}))}.{b64(compact(claims()))}."
    yield Kind("signed by a stranger", token(by=1))
    yield Kind("HS256 with the public key", f"{hs256}.{b64(mac)}")
    yield Kind("`alg` none, unsigned", unsigned)
    yield Kind("no signature", signing_input + ".")
    yield Kind("PSS", f"{signing_input}.{b64(pss)}")
    yield Kind("SHA-512", f"{signing_input}.{b64(sha512)}")
    yield Kind("a zero before the signature", f"{signing_input}.{b64(bytes(1) + raw)}")
    yield Kind("a signature cut by a byte", f"{signing_input}.{b64(raw[:-1])}")
    yield Kind("another payload", ".".join([good.split(".")[0], b64(compact({**claims(), "x": 1})), signature]))


def mutated(dice: random.Random, count: int) -> Iterator[str]:
    """Good tokens with a few characters changed; and signed ones of headers and payloads with a few bytes changed."""
    pieces = [
        b"",
        b"\0",
        b" ",
        b'"',
        b"{",
        b"}",
        b"[",
        b",",
        b":",
        b"0",
        b"1",
        b"e9",
        b".",
        b"-",
        b"=",
        b"A",
        b"null",
        b"\xff",
    ]
    for number in range(count):
        parts = [compact(HEADER), compact(claims())] if number % 2 else [token().encode()]
        changed = [bytearray(part) for part in parts]
        for _ in range(dice.randint(1, 3)):
            part = dice.choice(changed)
            at = dice.randrange(len(part) + 1)
            part[at : at + dice.randint(0, 2)] = dice.choice(pieces)
        yield signed(bytes(changed[0]), bytes(changed[1])) if number % 2 else changed[0].decode("latin-1")
