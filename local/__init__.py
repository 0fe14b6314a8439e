"""What helps on a laptop and never ships: the stand-in Hanko, the local AWS, the demo, the commands."""

import signal
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a plain `sam build` runs local.build with whatever python3 there is
    sys.exit(
        f"Python 3.11 or later is needed, this is {sys.version.split()[0]}: make setup PYTHON3=/path/to/python3.13"
    )

# `python -m local.…` still looks for its module. Until `run` takes over, Ctrl-C ends it at once, without a traceback.
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
