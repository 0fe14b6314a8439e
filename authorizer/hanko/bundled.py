"""The bundled key set: Hanko's keys as they were at a build, in a file beside the code. A first source, never a last.

With it a cold start waits for no network, and an outage of Hanko does not stop sandboxes that start in it. Why that
lets nobody in:

- The file is as good as the code beside it: it comes with the artifact, nothing in an event or a token names it, and
  it is read once. Its keys pass the checks of a fetched answer (`parse_jwk_set`). It names the Hanko that it is from;
  another's, of the neighbouring environment or tenant, stops the function.
- Its set is never fresh, so the first fetch starts with the sandbox as it does without a file, and what Hanko answers
  replaces the set as a whole. What only Hanko can say, it is asked as ever: an unknown key id joins that fetch.
- So a key that Hanko has withdrawn works here in a new sandbox for as long as its first fetch may take (once that has
  failed, or was frozen, a token waits for the next one), and while no fetch succeeds, for whatever reason: Hanko down,
  its rate limit, an answer without a usable key. Whatever happens, that is no longer than
  `HANKO_KEYS_FILE_MAX_AGE_SECONDS` after the file was fetched (`HANKO_KEYS_MAX_STALE_SECONDS` is for fetched sets).
  Whoever holds a stolen key can cause cold starts to use those moments, and perhaps the rate limit: after a theft,
  withdraw the key and deploy without the file or with a new one.
- The age counts from when the fetch began, a time written into the file by who fetched it (those of the artifact's
  files are all the same). One that lies ahead would lengthen the file's life, and stops the function.
"""

from pathlib import Path

from authorizer.clock import Clock, Instant
from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason
from authorizer.hanko.fetch import FetchFailed
from authorizer.hanko.jwk import parse_jwk_set
from authorizer.hanko.keys import KeySet
from authorizer.hanko.strict_json import parse_object


def read_bundled(settings: Settings, clock: Clock, file: Path) -> KeySet:
    """The key set of `file`: a JWK set with two members more, `fetched_at` (seconds since 1970) and `hanko_api_url`.

    Raises `Misconfigured(settings_invalid)`; its text names the setting and says what is wrong.
    """
    try:
        data = file.read_bytes()
    except OSError:
        raise _wrong("names a file that cannot be read") from None
    try:
        members = parse_object(data)
        keys = parse_jwk_set(members)
    except (FetchFailed, ValueError):
        raise _wrong("names a file that holds no usable key set") from None
    now, fetched_at = clock.now(), members.get("fetched_at")
    if members.get("hanko_api_url") != settings.api_url:
        raise _wrong("names a file with the keys of another Hanko than HANKO_API_URL")
    if type(fetched_at) is not int or not 0 < fetched_at <= now.wall + settings.clock_skew_seconds:
        raise _wrong("names a file that does not say when it was fetched, or a time that lies ahead")
    # Both clocks tell the file's age from here on; a time that lies ahead by the clocks' difference is no time to gain.
    age_seconds = max(0.0, now.wall - fetched_at)
    began = Instant(now.wall - age_seconds, now.monotonic - age_seconds)
    return KeySet(keys, began, max_age_seconds=0, max_stale_seconds=settings.keys_file_max_age_seconds)


def _wrong(what: str) -> Misconfigured:
    advice = "it must be what `make keys` fetched"
    return Misconfigured(Reason.SETTINGS_INVALID, f"Wrong settings:\nHANKO_KEYS_FILE {what}: {advice}")
