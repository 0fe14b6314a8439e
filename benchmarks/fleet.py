"""Three hundred sandboxes' key caches, the real ones, over real HTTP against one stand-in; only the clock is simulated.

Half an hour of it passes in seconds. What the stand-in counted stands beside what the model of scale.py says.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from authorizer.clock import Clock, Instant
from authorizer.config import Settings
from authorizer.errors import AuthorizerError
from authorizer.hanko.client import HttpsClient
from authorizer.hanko.cooldown import MAX_BACK_OFF_SECONDS
from authorizer.hanko.jwk import parse_jwk_set
from authorizer.hanko.keys import KeyCache, KeySet
from local.hanko import StandInHanko

SANDBOXES = 300
MEASURED_SECONDS = 1800
PERIOD_SECONDS = 10  # of one sandbox's invocations, at random
MAX_AGE_SECONDS, COOLDOWN_SECONDS = 600, 30  # the defaults
WARM_UP_SECONDS = 900  # from the first failure to back-offs of 30 s, whatever the age of the set
TOLERANCE = 0.05


@dataclass(slots=True)
class Moment:
    """Both clocks of all sandboxes."""

    seconds: float = 0.0

    @property
    def clock(self) -> Clock:
        """A clock that stands still until this moment moves on."""
        return Clock(lambda: self.seconds, lambda: self.seconds)


def measure() -> list[dict[str, object]]:
    """Half an hour of quiet, of unknown key ids, of outage; a wave of starts.

    Raises RuntimeError where model and count differ.
    """
    quiet = MEASURED_SECONDS / (MAX_AGE_SECONDS + PERIOD_SECONDS)
    flood = MEASURED_SECONDS / COOLDOWN_SECONDS  # the bucket of hanko/cooldown.py: nothing that it refills is lost
    outage = MEASURED_SECONDS / (MAX_BACK_OFF_SECONDS + PERIOD_SECONDS)
    return [
        _check("quiet", _fetches("normal"), quiet),
        _check("unknown key ids", _fetches("normal", lambda number: f"unknown-{number}"), flood),
        _check("an outage", _fetches("status", code=500), outage),
        *_wave(),
    ]


def _wave() -> list[dict[str, object]]:
    """All sandboxes start at once with bundled keys, for a request each: the first token costs no fetch."""
    moment = Moment()
    with StandInHanko() as hanko:
        settings = Settings.from_env({"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost"})
        bundled = KeySet(parse_jwk_set(hanko.jwks), Instant(-3600, -3600), 0, settings.keys_file_max_age_seconds)
        clients = [HttpsClient(settings, moment.clock) for _ in range(SANDBOXES)]
        fleet = [KeyCache(settings, client, moment.clock, bundled=bundled) for client in clients]
        results = []
        for what, seconds, fetches in (("first tokens, bundled keys", 0, 0), ("second tokens, much later", 600, 1)):
            moment.seconds += seconds
            for keys in fleet:
                _find(keys, hanko.kids[0])
            results.append(_check(what, hanko.jwks_requests, fetches))
    return results


def _check(what: str, counted: int, predicted: float) -> dict[str, object]:
    expected = SANDBOXES * predicted
    ratio = counted / expected if expected else float(counted + 1)
    print(f"{what:28}{SANDBOXES} sandboxes: {counted:,} fetches, {expected:,.0f} by the model, ratio {ratio:.3f}")
    if abs(ratio - 1) > TOLERANCE:
        raise RuntimeError(f"the model is wrong about {what}")
    return {"title": what, "sandboxes": SANDBOXES, "fetches": counted, "by_the_model": expected}


def _fetches(mode: str, kid: Callable[[int], str] | None = None, **options: int) -> int:
    """The number of fetches in half an hour, while the stand-in behaves so and tokens name such key ids.

    Before, the sandboxes start one after another, so that their sets are of every age.
    """
    moment, chance = Moment(), random.Random(1)  # noqa: S311 - the same half hour every time
    with StandInHanko() as hanko:
        settings = Settings.from_env({"HANKO_API_URL": hanko.url, "HANKO_AUDIENCE": "localhost"})
        fleet = [KeyCache(settings, HttpsClient(settings, moment.clock), moment.clock) for _ in range(SANDBOXES)]
        known = hanko.kids[0]

        def pass_by(seconds: int, name: Callable[[int], str]) -> None:
            for number in range(seconds * SANDBOXES // PERIOD_SECONDS):
                moment.seconds += PERIOD_SECONDS / SANDBOXES
                started = min(SANDBOXES, 1 + int(SANDBOXES * moment.seconds / MAX_AGE_SECONDS))
                _find(fleet[chance.randrange(started)], name(number))

        pass_by(2 * MAX_AGE_SECONDS, lambda _: known)
        hanko.behave(mode, endpoint="keys", **options)
        pass_by(WARM_UP_SECONDS, kid or (lambda _: known))
        before = hanko.jwks_requests
        pass_by(MEASURED_SECONDS, kid or (lambda _: known))
        return hanko.jwks_requests - before


def _find(keys: KeyCache, kid: str) -> None:
    try:
        keys.find(kid)
    except AuthorizerError:
        return  # unknown, or unavailable: the stand-in counts the fetches
