"""Why a fetch brought nothing usable."""

from enum import StrEnum


class FetchFailure(StrEnum):
    """What went wrong, for the operator: a closed set, nothing from outside."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TLS = "tls"
    TLS_EXPIRED = "tls_expired"
    TLS_HOSTNAME = "tls_hostname"
    TLS_UNTRUSTED = "tls_untrusted"
    TLS_EXTENSIONS = "tls_extensions"
    TLS_WEAK = "tls_weak"
    STATUS = "status"
    TOO_LARGE = "too_large"
    PROTOCOL = "protocol"
    CONTENT = "content"


# By OpenSSL's number (X509_V_ERR_…): why a certificate is refused. Every other number is plain `tls`.
CERTIFICATE_FAILURES = {
    **dict.fromkeys((9, 10), FetchFailure.TLS_EXPIRED),  # or not yet valid
    **dict.fromkeys((62, 64), FetchFailure.TLS_HOSTNAME),  # a name, an IP address
    **dict.fromkeys((2, 18, 19, 20, 21), FetchFailure.TLS_UNTRUSTED),
    **dict.fromkeys((66, 67, 68), FetchFailure.TLS_WEAK),  # a key or a hash below OpenSSL's security level
    **dict.fromkeys((24, 26, 32, *range(79, 95)), FetchFailure.TLS_EXTENSIONS),  # most by VERIFY_X509_STRICT alone
}


class FetchFailed(Exception):
    """A fetch that brought nothing usable."""

    def __init__(
        self, failure: FetchFailure, status: int = 0, retry_after_seconds: int = 0, *, is_transient: bool = False
    ) -> None:
        """`status` and `retry_after_seconds` are those of an answer; `is_transient` says that it may pass by itself."""
        super().__init__(failure.value)
        self.failure, self.status = failure, status
        self.retry_after_seconds, self.is_transient = retry_after_seconds, is_transient
