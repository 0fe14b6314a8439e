"""How long the long tests run: seconds in CI, and as long as `make soak` says."""

import os


def size(name: str, usual: int) -> int:
    """The environment variable of that name, if `make soak` or a developer set it."""
    return int(os.environ.get(name) or usual)


VERDICTS = size("VERDICTS", 4_000)  # of rules on routes
REUSED = size("REUSED", 2_000)  # random APIs with a cache
STEPS = size("STEPS", 1_000)  # in the lives of processes
INVOCATIONS = size("INVOCATIONS", 10_000)  # of one process
WEBHOOKS = size("WEBHOOKS", 40)  # to four receivers in front of a faulty AWS
