"""Ours as a snapshot starts it: no key is fetched before the first token, so that nothing overlaps with the imports."""

import os

os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
from authorizer.lambda_function import lambda_handler as handler  # noqa: F401 - after that line; Lambda's client calls it

del os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]  # the runtime client reads it next, and would want snapshots
