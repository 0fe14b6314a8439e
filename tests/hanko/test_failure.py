"""The word for each way in which a fetch fails: operators read it in records, metrics and docs/reasons.md."""

import re
import ssl
from pathlib import Path

import pytest

from authorizer.hanko.connection import failed_because
from authorizer.hanko.failure import FetchFailed, FetchFailure

REASONS = Path(__file__).parents[2] / "docs" / "reasons.md"
# X509_V_ERR_… of OpenSSL 3's x509_vfy.h.
CERT_NOT_YET_VALID, CERT_HAS_EXPIRED = 9, 10
HOSTNAME_MISMATCH, EMAIL_MISMATCH, IP_ADDRESS_MISMATCH = 62, 63, 64
UNABLE_TO_GET_ISSUER_CERT = 2
DEPTH_ZERO_SELF_SIGNED_CERT, SELF_SIGNED_CERT_IN_CHAIN = 18, 19
UNABLE_TO_GET_ISSUER_CERT_LOCALLY, UNABLE_TO_VERIFY_LEAF_SIGNATURE = 20, 21
EE_KEY_TOO_SMALL, CA_KEY_TOO_SMALL, CA_MD_TOO_WEAK = 66, 67, 68
NO_ISSUER_PUBLIC_KEY, INVALID_PURPOSE, KEYUSAGE_NO_CERTSIGN = 24, 26, 32
INVALID_CA, EC_KEY_EXPLICIT_PARAMS = 79, 94

NUMBERS = {
    FetchFailure.TLS_EXPIRED: {CERT_NOT_YET_VALID, CERT_HAS_EXPIRED},
    FetchFailure.TLS_HOSTNAME: {HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH},
    FetchFailure.TLS_UNTRUSTED: {
        UNABLE_TO_GET_ISSUER_CERT,
        DEPTH_ZERO_SELF_SIGNED_CERT,
        SELF_SIGNED_CERT_IN_CHAIN,
        UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
        UNABLE_TO_VERIFY_LEAF_SIGNATURE,
    },
    FetchFailure.TLS_WEAK: {EE_KEY_TOO_SMALL, CA_KEY_TOO_SMALL, CA_MD_TOO_WEAK},
    FetchFailure.TLS_EXTENSIONS: {
        NO_ISSUER_PUBLIC_KEY,  # in OpenSSL 1.1 INVALID_CA
        INVALID_PURPOSE,
        KEYUSAGE_NO_CERTSIGN,
        *range(INVALID_CA, EC_KEY_EXPLICIT_PARAMS + 1),
    },
}


def refused_because(number: int) -> FetchFailure:
    error = ssl.SSLCertVerificationError()
    error.verify_code = number
    return failed_because(error).failure


@pytest.mark.parametrize(("failure", "numbers"), NUMBERS.items())
def test_each_reason_of_openssls_to_refuse_a_certificate_has_its_word(failure: FetchFailure, numbers: set[int]) -> None:
    assert {number for number in range(120) if refused_because(number) is failure} == numbers


def test_any_other_reason_is_plain_tls() -> None:
    assert refused_because(EMAIL_MISMATCH) is FetchFailure.TLS


def test_the_words_are_those_of_the_documents() -> None:
    table = REASONS.read_text().partition("## Why a fetch of the keys failed")[2]
    assert {failure.value for failure in FetchFailure} <= set(re.findall(r"`([a-z_]+)`", table))


def test_a_failure_is_no_answer_and_lasts_unless_it_says_otherwise() -> None:
    failed = FetchFailed(FetchFailure.TLS)
    assert (failed.status, failed.retry_after_seconds, failed.is_transient) == (0, 0, False)
    assert str(FetchFailed(FetchFailure.STATUS, 503, 60, is_transient=True)) == "status"  # the word alone
