"""`python -m local.sign <shape>`: a sample event with a fresh token in it, good or with one defect."""

import argparse
import base64
import difflib
import hashlib
import hmac
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple, Protocol

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.command_line import CommandFailed, run
from local.hanko import RemoteHanko
from local.hanko.offline import offline_hanko

Claims = Mapping[str, Any]
Defect = Callable[["Hanko", Claims], str]

EVENTS = Path(__file__).parent.parent / "events"
SHAPES = sorted(path.stem for path in EVENTS.glob("*.json"))
PLACE = re.compile(r"\bTOKEN\b")  # where the token goes in a sample
HOUR_SECONDS = 3600


class Sample(NamedTuple):
    """An event that was read from a file."""

    name: str
    event: dict[str, Any]
    has_place: bool  # for a token: not so an event that has one of its own

    def with_token(self, token: str) -> dict[str, Any]:
        """The event with this token where the file says TOKEN. With an empty one, what carried the token is gone."""
        event: dict[str, Any] = _placed(self.event, token)
        if "routeArn" in event:
            event.setdefault("identitySource", None)  # payload 2.0 has the key even when nothing is in it
        return event


class Hanko(Protocol):
    """What a defect needs of a stand-in: StandInHanko in this process, RemoteHanko elsewhere."""

    def now(self) -> float: ...
    def mint(self, *, claims: Claims | None = None, header: Claims | None = None) -> str: ...
    def webhook_token(self, event: str, data: Any, *, claims: Claims | None = None) -> str: ...  # noqa: ANN401 - any JSON
    def passkey_server_token(self, *, claims: Claims | None = None) -> str: ...
    @property
    def jwks(self) -> dict[str, Any]: ...


def token_with(defect: str, hanko: Hanko, *, audience: str | None = None) -> str:
    """A token that is good but for one thing; empty for `missing`. `audience` replaces the stand-in's own."""
    return DEFECTS[defect](hanko, {"aud": [audience]} if audience else {})


def event_with(shape: str, token: str) -> dict[str, Any]:
    """The sample event of that shape, see `Sample.with_token`."""
    return read_sample(EVENTS / f"{shape}.json").with_token(token)


def read_sample(path: Path) -> Sample:
    """The event in a file, which is read once: it may be a pipe."""
    try:
        event = json.loads(path.read_text("utf-8"))
        has_place = _placed(event, "") != event
    except (OSError, ValueError, RecursionError) as error:
        raise CommandFailed(f"{path} is no JSON file: {error}") from None
    if not isinstance(event, dict):
        raise CommandFailed(f"{path} is no event: an event is a JSON object")
    return Sample(path.name, event, has_place)


def find_event(name: str) -> Sample:
    """An event: the name of a sample, or a path."""
    if name in SHAPES:
        return read_sample(EVENTS / f"{name}.json")
    if name and Path(name).exists() and not Path(name).is_dir():
        return read_sample(Path(name))
    wrong = f"EVENT={name} is no sample event and no file." if name else "EVENT= is missing."
    raise CommandFailed(f"{wrong}{_did_you_mean(name, SHAPES)} The samples:\n{fill(', '.join(SHAPES), 98)}")


def known_defect(name: str) -> str:
    """The name of a defect, checked."""
    if name in DEFECTS:
        return name
    wrong = f"DEFECT={name} is unknown.{_did_you_mean(name, DEFECTS)}"
    raise CommandFailed(f"{wrong} The defects:\n{fill(', '.join(DEFECTS), 98)}")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, 1)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def _placed(value: Any, token: str) -> Any:  # noqa: ANN401 - any part of an event
    match value:
        case dict():
            kept = {name: part for name, part in value.items() if name == "type" or _stays(part, token)}
            return {name: part if name == "type" else _placed(part, token) for name, part in kept.items()}
        case list():
            return [_placed(part, token) for part in value if _stays(part, token)]
        case str():
            return PLACE.sub(lambda _: token, value)
        case _:
            return value


def _stays(part: Any, token: str) -> bool:  # noqa: ANN401 - any part of an event
    """Without a token, the header, cookie or parameter that would carry it goes, in its list of values too."""
    if token:
        return True
    values = part if isinstance(part, list) and len(part) == 1 else [part]
    return not any(isinstance(value, str) and PLACE.search(value) for value in values)


# --- the defects


def _expired(hanko: Hanko, claims: Claims) -> str:
    now = int(hanko.now())
    return hanko.mint(claims={**claims, "iat": now - 2 * HOUR_SECONDS, "exp": now - HOUR_SECONDS})


def _not_yet_valid(hanko: Hanko, claims: Claims) -> str:
    return hanko.mint(claims={**claims, "nbf": int(hanko.now()) + HOUR_SECONDS})


def _webhook(hanko: Hanko, claims: Claims) -> str:
    return hanko.webhook_token("user.update", {"id": str(uuid.uuid4())}, claims=claims)


def _tampered(hanko: Hanko, claims: Claims) -> str:
    """One character of the signature differs, in its middle: the last one may hold unused bits."""
    signing_input, _, signature = hanko.mint(claims=claims).rpartition(".")
    middle = len(signature) // 2
    other = "B" if signature[middle] == "A" else "A"
    return f"{signing_input}.{signature[:middle]}{other}{signature[middle + 1 :]}"


def _alg_none(hanko: Hanko, claims: Claims) -> str:
    payload = jwt.decode(hanko.mint(claims=claims), options={"verify_signature": False})
    return jwt.encode(payload, "", algorithm="none")


def _hs256(hanko: Hanko, claims: Claims) -> str:
    """The key confusion attack: HMAC with the published RSA key, as PEM, for its secret. PyJWT refuses to sign so."""
    _, payload, _ = hanko.mint(claims=claims).split(".")
    jwk = hanko.jwks["keys"][0]
    signing_input = f"{_segment({'alg': 'HS256', 'kid': jwk['kid'], 'typ': 'JWT'})}.{payload}"
    signature = hmac.digest(_pem(jwk), signing_input.encode(), hashlib.sha256)
    return f"{signing_input}.{_b64(signature)}"


def _pem(jwk: Mapping[str, str]) -> bytes:
    n, e = (int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "==")) for name in ("n", "e"))
    public_key = rsa.RSAPublicNumbers(e, n).public_key()
    return public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _segment(value: Mapping[str, Any]) -> str:
    return _b64(json.dumps(value, separators=(",", ":")).encode())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


DEFECTS: dict[str, Defect] = {
    "none": lambda hanko, claims: hanko.mint(claims=claims),
    "expired": _expired,
    "not_yet_valid": _not_yet_valid,
    "wrong_audience": lambda hanko, claims: hanko.mint(claims={**claims, "aud": ["other.example.com"]}),
    "wrong_issuer": lambda hanko, claims: hanko.mint(claims={**claims, "iss": "https://other.example.com"}),
    "webhook": _webhook,
    "passkey_server": lambda hanko, claims: hanko.passkey_server_token(claims=claims),
    "tampered": _tampered,
    "alg_none": _alg_none,
    "hs256": _hs256,
    "unknown_kid": lambda hanko, claims: hanko.mint(claims=claims, header={"kid": str(uuid.uuid4())}),
    "no_session_id": lambda hanko, claims: hanko.mint(claims={**claims, "session_id": None}),
    "no_exp": lambda hanko, claims: hanko.mint(claims={**claims, "exp": None}),
    "missing": lambda _hanko, _claims: "",
}


# --- the command


def main(argv: Sequence[str] | None = None) -> None:
    """Print the event, the token, or the names of the samples."""
    options = _parser().parse_args(argv)
    if options.list:
        print("\n".join(SHAPES))
        return
    sample = None if options.token_only else find_event(options.shape)
    defect = known_defect(options.defect)
    try:
        token = "" if defect == "missing" else _token(options)
    except (OSError, ValueError, TypeError) as error:
        raise CommandFailed(str(error)) from None
    print(json.dumps(sample.with_token(token), indent=2) if sample else token)


def _token(options: argparse.Namespace) -> str:
    if options.sam:
        return token_with(options.defect, offline_hanko(), audience=options.audience)
    if not options.hanko:
        raise ValueError("no stand-in Hanko: start one with `make hanko`, then give --hanko or set HANKO_API_URL")
    return token_with(options.defect, RemoteHanko(options.hanko), audience=options.audience)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.sign", description="A sample event with a fresh token.")
    parser.add_argument("shape", nargs="?", default="", help="a sample (see --list), or a file with TOKEN in it")
    parser.add_argument("--list", action="store_true", help="print the names of the samples")
    parser.add_argument("--token-only", action="store_true", help="print the token alone")
    parser.add_argument("--defect", default="none", help=f"what is wrong with the token: {', '.join(DEFECTS)}")
    parser.add_argument(
        "--hanko", default=os.environ.get("HANKO_API_URL"), help="the stand-in (default: HANKO_API_URL)"
    )
    parser.add_argument(
        "--sam", action="store_true", help="sign with the key that `make sam` packs: no stand-in needed"
    )
    parser.add_argument("--audience", help="aud of the token (default: the stand-in's)")
    return parser


if __name__ == "__main__":
    run(main)
