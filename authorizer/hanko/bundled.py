"""The bundled key set: Hanko's keys as they were at the build, in a file beside the code.

With it a cold start does not wait for the network, and processes that start during an outage of Hanko work. It is only
the first source:

- The file is as trustworthy as the code beside it: it is part of the artifact, no event or token names it, and it is
  read once. Its keys pass the checks of a fetched answer (`parse_jwk_set`). It names the Hanko that it came from; a
  file from another Hanko or tenant stops the function.
- Its set is never fresh. The first fetch starts with the process, as without a file, and its answer replaces the set as
  a whole. A token whose key id is not in the file waits for that fetch.
- A key that Hanko has withdrawn works in a new process until its first fetch ends (if that fails or the sandbox is
  frozen, the next token waits for another fetch), and for as long as every fetch fails: Hanko is down, limits our rate,
  or sends no usable key. It never works longer than `HANKO_KEYS_FILE_MAX_AGE_SECONDS` after the file was fetched
  (`HANKO_KEYS_MAX_STALE_SECONDS` is for fetched sets). Whoever holds a stolen key can cause cold starts to use those
  moments, and perhaps cause the rate limit: after a theft, withdraw the key and deploy without the file, or with a new
  one.
- The age counts from the start of the fetch, a time that the fetching tool writes into the file (the artifact's files
  all have one fixed time). A time in the future would lengthen the file's life, and stops the function.
"""

from pathlib import Path

from authorizer.clock import Clock, Instant
from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason
from authorizer.hanko.jwk import parse_jwk_set
from authorizer.hanko.keys import KeySet
from authorizer.hanko.strict_json import parse_object


def read_bundled(settings: Settings, clock: Clock, file: Path) -> KeySet:
    """The key set of `file`: a JWK set with two more members, `fetched_at` (seconds since 1970) and `hanko_api_url`.

    Raises `Misconfigured(settings_invalid)` with a text that names the setting and the mistake.
    """
    try:
        data = file.read_bytes()
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
