"""`make fuzz`: atheris mutates the inputs of a target, led by the branches of authorizer/ that they reach.

Inputs that reach new branches are kept in .local/fuzz/ for the next run. So is one that fails; its path is printed.
"""

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
KEPT = Path(".local/fuzz")
MAX_INPUT_BYTES = 8192


def main(argv: Sequence[str]) -> int:
    """`python -m fuzzing SECONDS [TARGET…]`: each target in a process of its own, because libFuzzer ends it."""
    seconds, *names = argv
    wanted = names or sorted(path.name for path in CORPUS.iterdir())
    if len(wanted) == 1:
        fuzz(wanted[0], seconds)
    try:
        return max(map(partial(_in_a_process, seconds), wanted))
    except KeyboardInterrupt:
        return 130


def _in_a_process(seconds: str, name: str) -> int:
    return subprocess.run([sys.executable, "-m", "fuzzing", seconds, name], check=False).returncode  # noqa: S603 - itself


def fuzz(name: str, seconds: str) -> None:
    import atheris  # noqa: PLC0415 - before what it instruments

    with atheris.instrument_imports(include=["authorizer"]):
        from fuzzing.targets import TARGETS, bounded  # noqa: PLC0415 - as above

    if name not in TARGETS:
        sys.exit(f"make fuzz: TARGET={name} is none of {', '.join(TARGETS)}")
    kept = KEPT / name
    kept.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-max_len={MAX_INPUT_BYTES}", "-timeout=300", "-rss_limit_mb=4096"]
    output = [f"-artifact_prefix={KEPT}/{name}-", "-print_final_stats=1"]
    atheris.Setup(["fuzzing", str(kept), str(CORPUS / name), *limits, *output], bounded(TARGETS[name]))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
