"""Parse, decide, render; one boundary for every failure. Read this first."""

from collections.abc import Sequence

from authorizer import gateway
from authorizer.config import Settings
from authorizer.decision import SessionCheck, decide
from authorizer.errors import AuthorizerError, Reason
from authorizer.gateway.event import is_warm_up
from authorizer.gateway.raised import AuthorizerUnavailable, Unauthorized
from authorizer.hanko.keys import KeyCache
from authorizer.hanko.tokens import TokenVerifier
from authorizer.model import Decision
from authorizer.rules.source import RulesProvider
from authorizer.telemetry import Record, Telemetry


class Authorizer:
    """Answers the events of API Gateway and AppSync for one Hanko."""

    def __init__(  # noqa: PLR0913 - everything that lives as long as the process
        self,
        settings: Settings,
        keys: KeyCache,
        verifier: TokenVerifier,
        rules: RulesProvider,
        telemetry: Telemetry,
        *,
        session_checks: Sequence[SessionCheck] = (),
    ) -> None:
        """Everything that lives as long as the process; the session checks in the order in which they run."""
        self._settings, self._keys, self._verifier, self._rules = settings, keys, verifier, rules
        self._telemetry, self._session_checks = telemetry, session_checks

    def handle(self, event: object, invocation_id: str, function_arn: str = "") -> dict[str, object]:
        """The answer to one event; id and ARN are what Lambda says of this invocation.

        Raises `Unauthorized` if that is how the API kind answers 401, `AuthorizerUnavailable` if there is no answer,
        and nothing else, whatever the event is.
        """
        record = Record(invocation_id)
        answer = self._answer(event, record, function_arn)
        try:
            reports = [check.take_report() for check in self._session_checks]
            self._telemetry.write(record, self._keys.take_report(), reports)
        except Exception:  # noqa: BLE001, S110 - a request is answered even if its record cannot be written
            pass
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(
        self, event: object, record: Record, function_arn: str
    ) -> dict[str, object] | Unauthorized | AuthorizerUnavailable:
        if is_warm_up(event):
            record.decision = Decision(Reason.WARM_UP)
            return {}
        try:
            request = record.request = gateway.parse(event, self._settings, function_arn)
            checks = self._session_checks
            record.decision = decide(request, self._settings, self._verifier, self._rules, checks)
            return gateway.render(request, record.decision, self._settings)
        except AuthorizerError as error:
            record.decision = Decision(error.reason)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request must not pass
            record.decision = Decision(Reason.INTERNAL)
            record.trace(error)
        return AuthorizerUnavailable()
