"""Fetches on bad days: a burst of unknown key ids, and an outage of Hanko after all cached keys have aged.

The peers' keys age after a second here (PEER_MAX_AGE_SECONDS), where their library lets one set it; ours cannot age in
less than a minute, so ours runs on a clock that is 601 s ahead from its second call on (aged.py).
"""

import json
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contestants import AGAIN, ISSUER, OURS, Field, event_of
from benchmarks.runtime_api import Sandbox
from local.hanko import StandInHanko

BURST, OUTAGE_CALLS = 1000, 50
AGEING_SECONDS = 1.1


def measure(field: Field) -> dict[str, object]:
    """The fetches of each contestant in both, and whether it still answers correctly."""
    everybody = {name: one for name, one in field.everybody().items() if name != AGAIN and "empty" not in name}
    aged = {OURS: field.ours(field.artifact, "aged.handler")}
    rows = {}
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        for number, (name, contestant) in enumerate(everybody.items()):
            with StandInHanko(tls=True, issuer=ISSUER) as hanko:
                with contestant.sandbox(hanko, logs / f"{number}-burst") as sandbox:
                    burst = _burst(hanko, sandbox)
                older = aged.get(name, contestant)
                with older.sandbox(hanko, logs / f"{number}-outage", PEER_MAX_AGE_SECONDS="1") as sandbox:
                    rows[name] = burst | _outage(hanko, sandbox)
    return _report(rows)


def _burst(hanko: StandInHanko, sandbox: Sandbox) -> dict[str, int]:
    good, _ = event_of(hanko.mint()), _allowed(sandbox, event_of(hanko.mint()))
    before = hanko.jwks_requests
    for number in range(BURST):
        if _allowed(sandbox, event_of(hanko.mint(header={"kid": f"unknown-{number}"}, session=False))):
            raise RuntimeError("an unknown key id was let in")
    fetches = hanko.jwks_requests - before
    return {"burst_fetches": fetches, "good_after_burst": int(_allowed(sandbox, good))}


def _outage(hanko: StandInHanko, sandbox: Sandbox) -> dict[str, int]:
    event = event_of(hanko.mint())
    _allowed(sandbox, event)
    threading.Event().wait(AGEING_SECONDS)
    hanko.behave("status", code=500)
    before = hanko.jwks_requests
    allowed = sum(_allowed(sandbox, event) for _ in range(OUTAGE_CALLS))
    return {"outage_allowed": allowed, "outage_fetches": hanko.jwks_requests - before}


def _allowed(sandbox: Sandbox, event: bytes) -> bool:
    """Whether the caller was let in. An exception counts as no."""
    try:
        return json.loads(sandbox.invoke(event)[1])["isAuthorized"] is True
    except RuntimeError:
        return False


def _report(rows: dict[str, dict[str, int]]) -> dict[str, object]:
    title = f"{BURST} unknown key ids; then {OUTAGE_CALLS} good tokens in an outage, keys aged"
    print(f"\n{title}\n{'':24}fetches   good token after   | allowed   fetches")
    for name, row in rows.items():
        after = "passes" if row["good_after_burst"] else "REFUSED"
        print(f"{name:24}{row['burst_fetches']:7}{after:>19}{row['outage_allowed']:12}{row['outage_fetches']:10}")
    return {"title": title, "rows": rows}
