"""Builds the authorizer from its settings. Each optional part has a function named after its setting."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from authorizer.config import SessionMode
from authorizer.decision import SessionCheck
from authorizer.errors import Misconfigured
from authorizer.handler import Authorizer
from authorizer.hanko.failure import FetchFailed
from authorizer.hanko.keys import KeyCache, KeySet
from authorizer.hanko.tokens import TokenVerifier
from authorizer.rules.source import open_rules
from authorizer.startup import Startup, report_not_started
from authorizer.telemetry import Telemetry

if TYPE_CHECKING:
    from authorizer.revocation.table import BotocoreReader

ARTIFACT = os.path.dirname(os.path.dirname(__file__))  # pathlib would take 4 ms of a cold start


def build_authorizer(started: Startup) -> Authorizer:
    """Build the authorizer of this process.

    Raises `Misconfigured` for wrong rules and a wrong keys file, after it has written why the function does not start.
    """
    settings, clock = started.settings, started.clock
    try:
        rules = open_rules(settings, clock, f"{ARTIFACT}/rules.toml")
        keys = KeyCache(settings, started.client, clock, started.prefetch, keys_file(started))
    except Misconfigured as error:
        report_not_started(started.function_name, error)
        raise
    if started.waits_frozen and started.prefetch:
        with suppress(FetchFailed):  # the first token tries again
            started.prefetch.result()  # a fetch under way is lost when Lambda freezes the process
    return Authorizer(
        settings,
        keys,
        TokenVerifier(settings, keys, clock),
        rules,
        Telemetry(settings, started.function_name),
        session_checks=[*revocation_table(started), *session_check(started)],  # the table is nearer than Hanko
    )


def keys_file(started: Startup) -> KeySet | None:
    """HANKO_KEYS_FILE: the key set that is part of the artifact."""
    name = started.settings.keys_file
    if name is None:
        return None
    from authorizer.hanko.bundled import read_bundled  # noqa: PLC0415 - imported only when the setting asks for it

    return read_bundled(started.settings, started.clock, f"{ARTIFACT}/{name}")


def revocation_table(started: Startup) -> list[SessionCheck]:
    """HANKO_REVOCATION_TABLE: the check of the table that Hanko's webhooks fill."""
    name = started.settings.revocation_table
    if name is None:
        return []
    from authorizer.revocation.check import RevocationCheck  # noqa: PLC0415 - imported only when the setting asks for it
    from authorizer.revocation.signed import open_signed  # noqa: PLC0415 - the same

    reader = open_signed(started.environ, started.settings, name, started.client, started.clock) or _botocore_reader(
        name
    )
    return [RevocationCheck(started.settings, reader, started.clock)]


def _botocore_reader(table: str) -> "BotocoreReader":
    from authorizer.revocation.table import BotocoreReader, connect  # noqa: PLC0415 - imports botocore: 150 ms

    return BotocoreReader(connect("dynamodb"), table)


def session_check(started: Startup) -> list[SessionCheck]:
    """HANKO_SESSION_CHECK: asking Hanko whether the session lives."""
    if started.settings.session_check is SessionMode.OFF:
        return []
    from authorizer.hanko.sessions import HankoSessions  # noqa: PLC0415 - imported only when the setting asks for it

    return [HankoSessions(started.settings, started.client)]
