"""The entry point, and the only global state: everything that is built once per sandbox.

Settings come first: a wrong one stops the function here, with a message that names it. Then the key fetch starts, so
that the network works while Python imports; the first token waits for what is left of it, unless keys are bundled.
"""

import gc
import os

# What is imported and built from here on stays: to look for garbage in it costs 4 % of a cold start, and finds none.
gc.disable()

from authorizer.clock import Clock  # noqa: E402 - see above
from authorizer.config import SessionMode, Settings  # noqa: E402 - see above
from authorizer.errors import Misconfigured  # noqa: E402 - see above
from authorizer.hanko.dial import Dial  # noqa: E402 - see above

_function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "hanko-authorizer")
try:
    _settings = Settings.from_env(os.environ)
except Misconfigured as error:
    from authorizer.telemetry import write_not_started

    write_not_started(_function_name, error)
    raise
# A snapshot would hold a dead connection and keys of its own day: restored sandboxes fetch with their first token.
_is_snapshot = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"
# ssl and http.client take as long to import as a connection does to open. With bundled keys nobody waits for either.
_dials = not (_is_snapshot or _settings.proxy or _settings.keys.keys_file)
_dial = Dial(_settings.api_url, _settings.fetch_timeout_seconds) if _dials else None

from authorizer.hanko.fetch import JWKS_PATH, HttpsClient  # noqa: E402 - see above

_clock = Clock()
_client = HttpsClient(_settings, _clock, _dial)
_prefetch = None if _is_snapshot else _client.start(JWKS_PATH)

# cryptography and Powertools take their time: the keys are on their way meanwhile.
from pathlib import Path  # noqa: E402 - see above

from authorizer.decision import SessionCheck  # noqa: E402 - see above
from authorizer.handler import Authorizer  # noqa: E402 - see above
from authorizer.hanko.keys import KeyCache, KeySet  # noqa: E402 - see above
from authorizer.hanko.tokens import TokenVerifier  # noqa: E402 - see above
from authorizer.rules_source import open_rules  # noqa: E402 - see above
from authorizer.telemetry import Telemetry, write_not_started  # noqa: E402 - see above

_artifact = Path(__file__).parent.parent
_bundled: KeySet | None = None
try:
    _rules = open_rules(_settings, _clock, _artifact / "rules.toml")
    if _settings.keys.keys_file is not None:
        from authorizer.hanko.bundled import read_bundled

        _bundled = read_bundled(_settings, _clock, _artifact / _settings.keys.keys_file)
except Misconfigured as error:
    write_not_started(_function_name, error)
    raise
_session_checks: list[SessionCheck] = []  # the table first: it is nearer than Hanko
if _settings.logout.revocation_table is not None:
    from authorizer.hanko.revocations import RevocationCheck, connect  # its milliseconds: see there

    _table = RevocationCheck(_settings, _settings.logout.revocation_table, connect("dynamodb"), _clock)
    _session_checks.append(_table)
if _settings.logout.session_check is not SessionMode.OFF:
    from authorizer.hanko.sessions import HankoSessions

    _session_checks.append(HankoSessions(_settings, _client))
_keys = KeyCache(_settings, _client, _clock, _prefetch, _bundled)
_authorizer = Authorizer(
    _settings,
    _keys,
    TokenVerifier(_settings, _keys, _clock),
    _rules,
    Telemetry(_settings, _function_name),
    session_checks=_session_checks,
)
gc.freeze()  # nor shall a later look go through all of it
gc.enable()


def lambda_handler(event: object, context: object) -> dict[str, object]:
    """Answer one event of API Gateway or AppSync. See `Authorizer.handle`."""
    return _authorizer.handle(
        event, getattr(context, "aws_request_id", ""), getattr(context, "invoked_function_arn", "")
    )
