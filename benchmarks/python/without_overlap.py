"""Ours without the early fetch, as in a snapshot: the keys are fetched with the first token, after the imports."""

import os

os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
from authorizer.lambda_function import lambda_handler as handler  # noqa: F401 - after that line; Lambda's client calls it

del os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]  # the runtime client reads it next
