"""`make invoke EVENT=rest_token`: send a sample event with a fresh token through the built artifact, print the answer.

The artifact runs under AWS's own runtime interface emulator and client. With --sam it is `sam local invoke` instead,
which needs a Docker that lets containers reach this machine's loopback as host.docker.internal (Docker Desktop does).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local import build
from local.aws import PROGRAMS
from local.command_line import run
from local.deployment import QUERY_PARAMETER, SUBPROTOCOL
from local.hanko import StandInHanko
from local.runtime import LambdaRuntime
from local.sign import DEFECTS, SHAPES, event_from, find_event, known_defect, token_with

AUDIENCE, ISSUER = "example.com", "https://hanko.example.com"


def main(argv: Sequence[str] | None = None) -> None:
    """Put a fresh token into the event and send it."""
    parser = argparse.ArgumentParser(prog="python -m local.invoke", description=__doc__)
    parser.add_argument("event", nargs="?", default="", help=f"a file, or one of {', '.join(SHAPES)}")
    parser.add_argument("--defect", default="none", help=f"what is wrong with the token: {', '.join(DEFECTS)}")
    parser.add_argument("--sam", action="store_true", help="through sam local invoke, in Docker")
    options = parser.parse_args(argv)
    sample, defect = find_event(options.event), known_defect(options.defect)
    stand_in = StandInHanko(audience=AUDIENCE, issuer=ISSUER)
    with stand_in as hanko, tempfile.TemporaryDirectory(prefix="artifact-") as folder:
        event = event_from(sample, token_with(defect, hanko))
        invoke = invoke_with_sam if options.sam else invoke_with_runtime
        invoke(event, hanko, Path(folder))


def invoke_with_runtime(event: Any, hanko: StandInHanko, folder: Path) -> None:  # noqa: ANN401 - any JSON
    build.build(folder, "host")
    environment = {
        "HANKO_API_URL": hanko.url,
        "HANKO_AUDIENCE": AUDIENCE,
        "HANKO_ISSUER": ISSUER,
        "HANKO_WEBSOCKET_SUBPROTOCOL": SUBPROTOCOL,
        "HANKO_WEBSOCKET_QUERY_PARAMETER": QUERY_PARAMETER,
    }
    with LambdaRuntime(folder, environment) as runtime:
        answer, records = runtime.invoke(event), runtime.records
    if answer.get("errorMessage") == "Unauthorized":
        print("\nThe caller sees a 401. The function raises an exception for it: API Gateway knows no other way.")
    elif "errorMessage" in answer:
        print("\nThe caller sees a 500.")
    print("\nanswer:", json.dumps(answer, indent=2))
    for record in records:  # without the definitions of the metrics, which are the same every time
        shown = {name: value for name, value in record.items() if name != "_aws"}
        print("\nrecord:", json.dumps(shown, indent=2))


def invoke_with_sam(event: Any, hanko: StandInHanko, folder: Path) -> None:  # noqa: ANN401 - any JSON
    machine = "x86_64" if platform.machine() == "x86_64" else "arm64"
    settings = {
        "HankoApiUrl": f"http://host.docker.internal:{hanko.port}",
        "HankoAudience": AUDIENCE,
        "HankoIssuer": ISSUER,
        "HankoWebsocketSubprotocol": SUBPROTOCOL,
        "HankoWebsocketQueryParameter": QUERY_PARAMETER,
        "Architecture": machine,
    }
    overrides = ["--parameter-overrides", *(f"{name}={value}" for name, value in settings.items())]
    environment = {**os.environ, "BUILD_TARGET": machine, "SAM_CLI_TELEMETRY": "0"}
    sam = str(PROGRAMS / "sam")
    sam_build = [sam, "build", "--config-env", "local", "--build-dir", str(folder / "build"), *overrides]
    sam_invoke = [sam, "local", "invoke", "AuthorizerFunction", "--event", "-", *overrides]
    sam_invoke += ["--template-file", str(folder / "build" / "template.yaml")]
    sam_invoke += ["--add-host", "host.docker.internal:host-gateway"]
    subprocess.run(sam_build, cwd=build.ROOT, env=environment, check=True)
    result = subprocess.run(
        sam_invoke, cwd=build.ROOT, env=environment, input=json.dumps(event), text=True, check=False
    )
    sys.exit(result.returncode)


if __name__ == "__main__":
    run(main)
