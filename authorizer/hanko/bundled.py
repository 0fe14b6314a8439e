"""The bundled key set: Hanko's keys as they were at the build, in a file beside the code.

docs/when-hanko-is-down.md has its use and its price. The set is never fresh: the first fetch starts with the process,
as without a file, and its answer replaces the set as a whole. The file is part of the artifact, so it is as trustworthy
as the code. Its age counts from the start of its fetch, a time that the fetching tool writes into it: all files of the
artifact have one fixed time.
"""

import os

from authorizer.clock import Clock, Instant
from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason
from authorizer.hanko.jwk import parse_jwk_set
from authorizer.hanko.keys import KeySet
from authorizer.hanko.strict_json import parse_object


def read_bundled(settings: Settings, clock: Clock, file: str | os.PathLike[str]) -> KeySet:
    """The key set of `file`: a JWK set with two more members, `fetched_at` (seconds since 1970) and `hanko_api_url`.

    Raises `Misconfigured(settings_invalid)` with a text that names the setting and the mistake.
    """
    try:
        with open(file, "rb") as opened:
            data = opened.read()
    except OSError:
        raise _wrong("names a file that cannot be read") from None
    try:
        members = parse_object(data)
        keys = parse_jwk_set(members)
    except ValueError:
        raise _wrong("names a file that holds no usable key set") from None
    now, fetched_at = clock.now(), members.get("fetched_at")
    if members.get("hanko_api_url") != settings.api_url:
        raise _wrong("names a file with the keys of another Hanko than HANKO_API_URL")
    if type(fetched_at) is not int or not 0 < fetched_at <= now.wall + settings.clock_skew_seconds:
        raise _wrong("names a file whose fetched_at is missing, wrong, or in the future")
    # From here on both clocks count its age. A time in the future, within the clock skew, counts as now.
    age_seconds = max(0.0, now.wall - fetched_at)
    began = Instant(now.wall - age_seconds, now.monotonic - age_seconds)
    return KeySet(keys, began, max_age_seconds=0, max_stale_seconds=settings.keys_file_max_age_seconds)


def _wrong(what: str) -> Misconfigured:
    advice = "it must be what `make keys` fetched"
    return Misconfigured(Reason.SETTINGS_INVALID, f"Wrong settings:\nHANKO_KEYS_FILE {what}: {advice}")
