"""TLS as strict everywhere as in Lambda's runtime (Python 3.13), and a word of ours for each way to fail."""

import ipaddress
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from entering import CONTEXT, Start, record
from servers import Script, fetched, over_tls, saying, serving, trust, whole

from authorizer.clock import Clock
from authorizer.gateway.raised import AuthorizerUnavailable
from authorizer.hanko.failure import FetchFailed, FetchFailure
from local import keys_file
from local.hanko import StandInHanko
from local.sign import event_with

PEM = serialization.Encoding.PEM
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Flaws(NamedTuple):
    """What is wrong with a private CA and the server's certificate from it."""

    key_ids: bool = True
    ca_key_usage: bool = True
    critical: bool = True
    begins_in_days: int = -1
    ends_in_days: int = 7
    rsa_bits: int = 0
    is_trusted: bool = True
    name: str = "127.0.0.1"


def certificate(issuer_key: Key, key: Key, flaws: Flaws, *, ca: bool) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")]))
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA" if ca else "server")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9) if ca else now + timedelta(days=flaws.begins_in_days))
        .not_valid_after(now + timedelta(days=99 if ca else flaws.ends_in_days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=flaws.critical)
    )
    if ca and flaws.ca_key_usage:
        usages = ["content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"]
        usage = dict.fromkeys([*usages, "digital_signature", "key_encipherment"], False)
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
    if flaws.key_ids:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        builder = builder.add_extension(authority, critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if not ca:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(flaws.name))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@contextmanager
def server_with(flaws: Flaws, folder: Path, monkeypatch: pytest.MonkeyPatch, body: str = "{}") -> Iterator[str]:
    """A key server with such a certificate, whose CA the client trusts; its URL."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    bits = flaws.rsa_bits
    key: Key = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1())
    other = ec.generate_private_key(ec.SECP256R1())
    trusted = (
        certificate(ca_key, ca_key, flaws, ca=True) if flaws.is_trusted else certificate(other, other, flaws, ca=True)
    )
    ca_file, chain_file = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(trusted.public_bytes(PEM))
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain_file.write_bytes(certificate(ca_key, key, flaws, ca=False).public_bytes(PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(chain_file)
    trust(monkeypatch, ca_file)
    with serving(over_tls(context, Script(*[saying(whole(body))] * 9))) as address:
        yield f"https://{address}"


FLAWS = {
    "no_key_identifiers": (Flaws(key_ids=False), FetchFailure.TLS_EXTENSIONS),
    "no_key_usage_of_the_ca": (Flaws(ca_key_usage=False), FetchFailure.TLS_EXTENSIONS),
    "constraints_that_are_not_critical": (Flaws(critical=False), FetchFailure.TLS_EXTENSIONS),
    "expired": (Flaws(ends_in_days=-0, begins_in_days=-2), FetchFailure.TLS_EXPIRED),
    "not_yet_valid": (Flaws(begins_in_days=1), FetchFailure.TLS_EXPIRED),
    "another_address": (Flaws(name="192.0.2.1"), FetchFailure.TLS_HOSTNAME),
    "another_ca": (Flaws(is_trusted=False), FetchFailure.TLS_UNTRUSTED),
    "a_weak_key": (Flaws(rsa_bits=1024), FetchFailure.TLS_WEAK),
}


@pytest.mark.parametrize(("flaws", "why"), FLAWS.values(), ids=FLAWS)
def test_each_flaw_of_a_certificate_has_its_word(  # noqa: PLR0913, PLR0917 - fixtures
    flaws: Flaws,
    why: FetchFailure,
    hanko: StandInHanko,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    start: Start,
) -> None:
    """In the fetch, in `make keys`, and in the record of the function as Lambda starts it."""
    with server_with(flaws, tmp_path, monkeypatch) as url:
        with pytest.raises(FetchFailed) as caught:
            fetched(url)
        assert caught.value.failure is why
        with pytest.raises(FetchFailed, match=f"^{why.value}$"):
            keys_file.fetch_keys(url, {}, Clock(), tmp_path / "keys.json")
        with pytest.raises(AuthorizerUnavailable):
            start(url)(event_with("http_v2", hanko.mint()), CONTEXT)
        assert record(capsys)["key_fetch_failure"] == why.value


def test_a_private_ca_with_all_that_the_runtime_asks_for_is_trusted(
    hanko: StandInHanko, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    with server_with(Flaws(), tmp_path, monkeypatch, json.dumps(hanko.jwks)) as url:
        assert start(url)(event_with("http_v2", hanko.mint()), CONTEXT)["isAuthorized"] is True
