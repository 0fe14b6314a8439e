"""`make keys ENV=prod`: fetch the keys of an environment's Hanko into keys.json, for the artifact to start with.

The fetch is the authorizer's own: TLS verified, no redirects, one deadline, a size limit. Nothing of Hanko's is kept
but the keys, and beside them which Hanko they are from and when the fetch began.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from authorizer.clock import Clock
from authorizer.config import Settings
from authorizer.errors import Misconfigured
from authorizer.hanko.fetch import JWKS_PATH, FetchFailed, HttpsClient
from authorizer.hanko.jwk import parse_keys
from local.build import KEYS_FILE, ROOT, parameters_of


def main() -> None:
    """Fetch for the environment that the first argument names."""
    _, environment = sys.argv
    api_url = parameters_of(environment).get("HankoApiUrl")
    if api_url is None:
        sys.exit(f"{environment} has no HankoApiUrl in samconfig.toml")
    try:
        number = fetch_keys(api_url, os.environ, Clock(), KEYS_FILE)
    except Misconfigured as error:
        sys.exit(str(error))
    except FetchFailed as failed:
        sys.exit(f"the Hanko of {environment} gave no usable key set: {failed}")
    print(f"{number} keys of {environment} are in {KEYS_FILE.relative_to(ROOT)}; HankoKeysFile=keys.json uses them")


def fetch_keys(api_url: str, environ: Mapping[str, str], clock: Clock, file: Path) -> int:
    """Write the key set into `file`; how many usable keys it has. The proxy is that of `environ`.

    Raises `Misconfigured` for a wrong URL, proxy or certificate file, `FetchFailed` when no usable keys come.
    """
    own = {name: value for name, value in environ.items() if not name.startswith("HANKO_")}
    settings = Settings.from_env({**own, "HANKO_API_URL": api_url, "HANKO_AUDIENCE": "nobody"})
    fetch = HttpsClient(settings, clock).start(JWKS_PATH)
    body = fetch.result().body
    number = len(parse_keys(body))
    origin = {"hanko_api_url": settings.api_url, "fetched_at": int(fetch.began.wall)}
    file.write_text(json.dumps({**origin, "keys": json.loads(body)["keys"]}, indent=2) + "\n")
    return number


if __name__ == "__main__":
    main()
