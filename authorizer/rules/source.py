"""Where the rules come from: a file beside the code, or a parameter of Systems Manager that is read again.

Without rules neither their modules nor the TOML parser are imported: they take 3 ms of a cold start.
"""

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from authorizer.clock import Clock, Instant, attempts
from authorizer.config import Settings
from authorizer.errors import Misconfigured, Reason, Unavailable
from authorizer.model import Claims, Request, RulesResult

if TYPE_CHECKING:
    from authorizer.rules.evaluation import Rules

MAX_AGE_SECONDS = 300  # of the parameter's text
RETRY_SECONDS = 10  # after a failed read; requests in between do not wait
RETRY_WITHOUT_RULES_SECONDS = 2  # the same, while there are no rules at all and every request fails
MAX_STALE_CHARACTERS = 500  # of the reason, in every log line until a read succeeds
CALL_SECONDS = 1  # to connect, and again to read
PAUSES_SECONDS = (0, 0.1, 0.4)  # before each call of one read: a kept connection may be dead, Systems Manager throttles
CALL_AGAIN_SECONDS = 2  # after the first call; no call begins later


_NO_RULES = RulesResult()


class RulesProvider:
    """The rules in force, and the clock for the age of a login."""

    def __init__(self, current: "Callable[[], Rules | None]", clock: Clock) -> None:
        """`current` returns the rules in force, None if there are none, or raises an `AuthorizerError`."""
        self._current, self._clock = current, clock

    def evaluate(self, request: Request, claims: Claims) -> RulesResult:
        """What the rules say of this caller.

        Raises `Unavailable(rules_unavailable)` while there are none, `Misconfigured(rules_invalid)` for wrong ones.
        """
        rules = self._current()
        return _NO_RULES if rules is None else rules.evaluate(request, claims, self._clock.wall())


def open_rules(settings: Settings, clock: Clock, file: str | os.PathLike[str]) -> RulesProvider:
    """Open the rules in the parameter that the settings name, else in `file`, which every build has.

    Raises `Misconfigured(rules_invalid)`. A parameter that cannot be read now is read with a later request.
    """
    if settings.rules_parameter is not None:
        return RulesProvider(ParameterRules(read_parameter(settings.rules_parameter), clock).current, clock)
    rules = rules_of(_text_of(file))
    return RulesProvider(lambda: rules, clock)


def _text_of(file: str | os.PathLike[str]) -> str:
    try:
        with open(file, encoding="utf-8") as opened:
            return opened.read()
    except (OSError, ValueError):
        mistake = f"Wrong rules:\n{os.path.basename(file)} is missing, or no UTF-8"
        raise Misconfigured(Reason.RULES_INVALID, mistake) from None


def rules_of(text: str) -> "Rules | None":
    """The rules of a text; None if it holds only comments. Raises `Misconfigured(rules_invalid)`."""
    if all(line.lstrip().startswith("#") or not line.strip() for line in text.splitlines()):
        return None
    from authorizer.rules.parser import parse_rules  # noqa: PLC0415 - see above

    return parse_rules(text)


class ParameterRules:
    """The rules in a text that is read again when it is old. The last good rules stay while reading fails."""

    def __init__(self, read: Callable[[], str], clock: Clock) -> None:
        """`read` returns the text or raises `Unavailable`. It is called at once: wrong rules stop the function."""
        self._read, self._clock = read, clock
        self._rules: Rules | None = None
        self._read_at: Instant | None = None
        self._failed_at: Instant | None = None
        self._refresh()

    def current(self) -> "Rules":
        """The rules in force; `stale` says why they could not be read again."""
        retry_seconds = RETRY_WITHOUT_RULES_SECONDS if self._rules is None else RETRY_SECONDS
        if self._is_older(self._read_at, MAX_AGE_SECONDS) and self._is_older(self._failed_at, retry_seconds):
            self._refresh()
        if self._rules is None:
            raise Unavailable(Reason.RULES_UNAVAILABLE)
        return self._rules

    def _refresh(self) -> None:
        try:
            self._rules = _some(rules_of(self._read()))
            self._read_at, self._failed_at = self._clock.now(), None
        except (Unavailable, Misconfigured) as error:
            self._failed_at = self._clock.now()
            if self._rules is not None:
                from dataclasses import replace  # noqa: PLC0415 - see model.py

                self._rules = replace(self._rules, stale=str(error)[:MAX_STALE_CHARACTERS])
            elif isinstance(error, Misconfigured):
                raise

    def _is_older(self, then: Instant | None, seconds: float) -> bool:
        return then is None or self._clock.seconds_since(then) >= seconds


def _some(rules: "Rules | None") -> "Rules":
    """Refuse a parameter without rules: one emptied by mistake would open every route at once."""
    if rules is None or (not rules.rules and rules.default_allows):
        raise Misconfigured(Reason.RULES_INVALID, "Wrong rules:\nthe parameter holds no rule")
    return rules


def read_parameter(name: str) -> Callable[[], str]:
    """Return a function that reads the parameter: with Powertools, whose boto3 adds over 100 ms to a cold start."""
    from aws_lambda_powertools.utilities.parameters import SSMProvider  # noqa: PLC0415 - see above
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError  # noqa: PLC0415 - see above
    from botocore.config import Config  # noqa: PLC0415 - see above

    once = Config(connect_timeout=CALL_SECONDS, read_timeout=CALL_SECONDS, retries={"total_max_attempts": 1})
    provider = SSMProvider(boto_config=once)

    def read() -> str:
        clock = Clock()
        for _ in attempts(clock, PAUSES_SECONDS, clock.monotonic() + CALL_AGAIN_SECONDS):
            with contextlib.suppress(GetParameterError):
                return str(provider.get(name, force_fetch=True))
        raise Unavailable(Reason.RULES_UNAVAILABLE)

    return read
