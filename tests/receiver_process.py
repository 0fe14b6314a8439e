"""One process of the webhooks' real receiver: a line in is an event, a line out is the status of its answer."""

import json
import os
import sys
from types import SimpleNamespace

from authorizer.webhook_function import webhook_handler


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout = sys.stderr  # where the records go
    for number, line in enumerate(sys.stdin):
        answer = webhook_handler(json.loads(line), SimpleNamespace(aws_request_id=f"invocation-{number}"))
        answers.write(f"{answer['statusCode']}\n")


if __name__ == "__main__":
    main()
