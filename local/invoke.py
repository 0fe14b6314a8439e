"""`make invoke EVENT=rest_token`: send a sample event with a fresh token through the built artifact, print the answer.

The artifact runs under AWS's own runtime interface emulator and client. With --sam it is `sam local invoke` instead, in
Docker, and no Hanko is reachable: see local/sam.py.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local import build, sam
from local.command_line import run
from local.deployment import QUERY_PARAMETER, SUBPROTOCOL
from local.hanko import StandInHanko
from local.hanko.offline import AUDIENCE, ISSUER, offline_hanko
from local.runtime import LambdaRuntime
from local.sign import DEFECTS, SHAPES, find_event, known_defect, token_with


def main(argv: Sequence[str] | None = None) -> None:
    """Put a fresh token into the event and send it."""
    parser = argparse.ArgumentParser(prog="python -m local.invoke", description=__doc__)
    parser.add_argument("event", nargs="?", default="", help=f"a file, or one of {', '.join(SHAPES)}")
    parser.add_argument("--defect", default="none", help=f"what is wrong with the token: {', '.join(DEFECTS)}")
    parser.add_argument("--sam", action="store_true", help="through sam local invoke, in Docker")
    options = parser.parse_args(argv)
    sample, defect = find_event(options.event), known_defect(options.defect)
    if options.sam:
        sam.build()
        event = sample.with_token(token_with(defect, offline_hanko()))
        show(sam.invoke(event))
        return
    stand_in = StandInHanko(audience=AUDIENCE, issuer=ISSUER)
    with stand_in as hanko, tempfile.TemporaryDirectory(prefix="artifact-") as folder:
        event = sample.with_token(token_with(defect, hanko))
        answer, records = invoke_with_runtime(event, hanko, Path(folder))
    show(answer)
    for record in records:  # without the definitions of the metrics, which are the same every time
        shown = {name: value for name, value in record.items() if name != "_aws"}
        print("\nrecord:", json.dumps(shown, indent=2))


def invoke_with_runtime(event: Any, hanko: StandInHanko, folder: Path) -> tuple[Any, list[dict[str, Any]]]:  # noqa: ANN401 - any JSON
    """The answer and the records."""
    build.build(folder, "host")
    environment = {
        "HANKO_API_URL": hanko.url,
        "HANKO_AUDIENCE": AUDIENCE,
        "HANKO_ISSUER": ISSUER,
        "HANKO_WEBSOCKET_SUBPROTOCOL": SUBPROTOCOL,
        "HANKO_WEBSOCKET_QUERY_PARAMETER": QUERY_PARAMETER,
    }
    with LambdaRuntime(folder, environment) as runtime:
        return runtime.invoke(event), runtime.records


def show(answer: Any) -> None:  # noqa: ANN401 - any JSON
    """Print the answer, and what the caller sees if it is an exception."""
    if answer.get("errorMessage") == "Unauthorized":
        print("\nThe caller sees a 401. The function raises an exception for it: API Gateway knows no other way.")
    elif "errorMessage" in answer:
        print("\nThe caller sees a 500. The record names the reason: docs/reasons.md.")
    print("\nanswer:", json.dumps(answer, indent=2))


if __name__ == "__main__":
    run(main)
