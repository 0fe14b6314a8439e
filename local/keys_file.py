"""`make keys ENV=prod`: fetch the keys of an environment's Hanko into keys.json, for the artifact to start with.

The fetch is the authorizer's own: TLS verified, no redirects, one deadline, a size limit. The file holds only the keys,
the URL of their Hanko and the time of the fetch.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Misconfigured
from authorizer.hanko.client import JWKS_PATH, HttpsClient
from authorizer.hanko.failure import FetchFailed, FetchFailure
from authorizer.hanko.jwk import parse_keys
from local.build import KEYS_FILE
from local.command_line import CommandFailed, run
from local.configuration import read_environment


def main(argv: Sequence[str] | None = None) -> None:
    """Fetch for the environment that the first argument names."""
    parser = argparse.ArgumentParser(prog="python -m local.keys_file", description=__doc__)
    parser.add_argument("environment", help="an environment of samconfig.toml")
    environment = read_environment(parser.parse_args(argv).environment)
    api_url = environment.values.get("HankoApiUrl")
    if api_url is None:
        raise CommandFailed(
            f"{environment.name} has no HankoApiUrl in samconfig.toml: make init ENV={environment.name}"
        )
    try:
        number = fetch_keys(api_url, os.environ, Clock(), KEYS_FILE)
    except Misconfigured as error:
        raise CommandFailed(str(error)) from None
    except FetchFailed as failed:
        raise CommandFailed(
            f"the Hanko of {environment.name} gave no usable key set: {failed} (docs/reasons.md)"
        ) from None
    print(f'{number} keys of {environment.name} are in {KEYS_FILE.name}; HankoKeysFile = "keys.json" uses them')


def fetch_keys(api_url: str, environ: Mapping[str, str], clock: Clock, file: Path) -> int:
    """Write the key set into `file`; how many usable keys it has. Raises as `read_keys` does."""
    settings, body, began = read_keys(api_url, environ, clock)
    origin = {"hanko_api_url": settings.api_url, "fetched_at": int(began)}
    file.write_text(json.dumps({**origin, "keys": json.loads(body)["keys"]}, indent=2) + "\n")
    return len(parse_keys(body))


def read_keys(api_url: str, environ: Mapping[str, str], clock: Clock) -> tuple[Settings, bytes, float]:
    """Fetch a key set that has usable keys, and when the fetch began. The proxy is that of `environ`.

    Raises `Misconfigured` for a wrong URL, proxy or certificate file, `FetchFailed` when no usable keys come.
    """
    own = {name: value for name, value in environ.items() if not name.startswith("HANKO_")}
    settings = Settings.from_env({**own, "HANKO_API_URL": api_url, "HANKO_AUDIENCE": "nobody"})
    fetch = HttpsClient(settings, clock).start(JWKS_PATH)
    body = fetch.result().body
    try:
        parse_keys(body)
    except ValueError:
        raise FetchFailed(FetchFailure.CONTENT) from None
    return settings, body, fetch.began.wall


if __name__ == "__main__":
    run(main)
