"""The start of a process: early connection, settings, key fetch.

The connection to Hanko opens while the settings' code is imported, the keys are on their way while assembly.py imports
the rest (cryptography, our own checks). A process that does not begin with a fetch imports nothing for it: TCP and TLS
take 12 ms. A process restored from a snapshot (SnapStart) starts once more: `after_restore`.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from authorizer.clock import Clock
    from authorizer.config import Settings
    from authorizer.errors import Misconfigured
    from authorizer.hanko.client import HttpsClient
    from authorizer.hanko.fetch import Fetch
    from authorizer.hanko.tcp import EarlyConnection

LONGEST_SECONDS = 5.0  # of a fetch: what HANKO_FETCH_TIMEOUT_SECONDS may be at most, and the receiver's own deadline
INITIALIZATION_TYPE = "AWS_LAMBDA_INITIALIZATION_TYPE"


class Startup(NamedTuple):
    """What a started process has. `prefetch` is None where it does not begin with a fetch: see `start`.

    A process that `waits_frozen` (provisioned concurrency) is frozen after its start, often for hours.
    """

    function_name: str
    settings: "Settings"
    clock: "Clock"
    client: "HttpsClient"
    prefetch: "Fetch | None"
    environ: Mapping[str, str]
    waits_frozen: bool = False

    def __repr__(self) -> str:
        return "Startup(...)"  # the environment has credentials


def start(environ: Mapping[str, str], *, is_receiver: bool = False, is_restored: bool = False) -> Startup:
    """Read the settings and start to fetch Hanko's keys.

    The webhooks' receiver requires more settings. Hanko sends a webhook once and waits 10 s, so its fetches take the
    longest deadline, whatever the setting says, and as many attempts as that has room for.

    A snapshot (SnapStart) must hold neither connection nor keys. So a process that becomes one does not connect, and
    each process that `is_restored` from it starts once more: see `after_restore`. With bundled keys, an on-demand
    start does not connect either, because a request waits for it: the process fetches with its second token.

    Raises `Misconfigured(settings_invalid)` after it has written why the function does not start.
    """
    is_snapshot = becomes_snapshot(environ) and not is_restored
    early = None if is_snapshot else _connect_early(environ)
    from authorizer.clock import Clock  # noqa: PLC0415 - the connection opens during these imports
    from authorizer.config import SessionMode, Settings  # noqa: PLC0415 - the same
    from authorizer.errors import Misconfigured  # noqa: PLC0415 - the same
    from authorizer.hanko.client import ATTEMPTS, JWKS_PATH, RECEIVER_ATTEMPTS, HttpsClient  # noqa: PLC0415 - the same

    function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME", "hanko-authorizer")
    try:
        settings = Settings.from_env(environ)
        if is_receiver:
            settings.table_and_queue()
            settings = settings._replace(fetch_timeout_seconds=LONGEST_SECONDS)
    except Misconfigured as error:
        report_not_started(function_name, error)
        raise
    initialization = environ.get(INITIALIZATION_TYPE)
    has_bundled = settings.keys_file is not None and settings.session_check is SessionMode.OFF and not is_receiver
    fetches = not is_snapshot and not (has_bundled and initialization == "on-demand")
    clock, attempts = Clock(), RECEIVER_ATTEMPTS if is_receiver else ATTEMPTS
    client = HttpsClient(settings, clock, early, attempts)
    prefetch = client.start(JWKS_PATH) if fetches else None
    return Startup(
        function_name, settings, clock, client, prefetch, environ, initialization == "provisioned-concurrency"
    )


def _connect_early(environ: Mapping[str, str]) -> "EarlyConnection | None":
    """Open the connection before all other imports of ours: they take longer than that.

    None if a proxy comes first, if bundled keys may make a fetch needless, and for an invalid URL, which the settings
    report.
    """
    if any(environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HANKO_KEYS_FILE")):
        return None
    from authorizer.hanko.tcp import EarlyConnection  # noqa: PLC0415 - see above
    from authorizer.setting_values import parse_api_url  # noqa: PLC0415 - the same

    try:
        return EarlyConnection(parse_api_url(environ.get("HANKO_API_URL", "")), LONGEST_SECONDS)
    except ValueError:
        return None


def becomes_snapshot(environ: Mapping[str, str]) -> bool:
    """Whether Lambda keeps this process as a snapshot, from which it restores others."""
    return environ.get(INITIALIZATION_TYPE) == "snap-start"


def after_restore(environ: Mapping[str, str], rebuild: Callable[[Startup], None]) -> None:
    """Register a hook: each process restored from a snapshot of this one starts once more, and calls `rebuild`.

    A restored memory can be weeks old: sockets, credentials, rules, circuit breakers and remembered answers are void.
    So all of that is built anew; a snapshot saves only the imports. Source: AWS Lambda, "Handling uniqueness with
    Lambda SnapStart" and "Runtime hooks".
    """
    if becomes_snapshot(environ):
        from snapshot_restore_py import register_after_restore  # noqa: PLC0415 - needed here only; Lambda has it

        import authorizer.hanko.fetch  # noqa: F401, PLC0415 - a part of what the snapshot saves

        register_after_restore(reseed_openssl)
        register_after_restore(lambda: rebuild(start(environ, is_restored=True)))


def reseed_openssl() -> None:
    """Reseed OpenSSL, whose generator a snapshot copies: two processes would have the same secrets in TLS."""
    import ssl  # noqa: PLC0415 - loaded by now, see above

    ssl.RAND_add(os.urandom(32), 32)


def report_not_started(function_name: str, error: "Misconfigured") -> None:
    """Write the record of a function that does not start."""
    from authorizer.telemetry import write_not_started  # noqa: PLC0415 - a good start imports it later

    write_not_started(function_name, error)
