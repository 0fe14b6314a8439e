"""Runs the checks of decision.py for one Hanko: for many threads, and for an event loop."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from authorizer.clock import Clock
from authorizer.config import SessionMode, Settings
from authorizer.decision import SessionCheck, decide
from authorizer.errors import Misconfigured, Reason
from authorizer.hanko.tokens import TokenVerifier
from authorizer.middleware.incoming import Incoming
from authorizer.middleware.refused import Refused
from authorizer.middleware.session import Session, session_of
from authorizer.middleware.shared import KeysAtOnce, SessionsAtOnce, SharedKeys, SharedSessions, WouldWait
from authorizer.model import Claims, CredentialSources, EventKind, Request, RulesResult
from authorizer.rules.routes import CONNECT
from authorizer.rules.source import RulesProvider, rules_of

KEY_THREADS, SESSION_THREADS = 4, 32  # two pools: threads that wait for keys must not block session checks
_NOT_HERE = {
    "revocation_table": "HANKO_REVOCATION_TABLE is for the Lambda authorizer: set HANKO_SESSION_CHECK instead",
    "rules_parameter": "HANKO_RULES_PARAMETER is for the Lambda authorizer: set HANKO_RULES_FILE instead",
    "keys_file": "HANKO_KEYS_FILE is for the Lambda authorizer",
}


_OWN = frozenset(("HANKO_BEHIND", "HANKO_RULES_FILE"))  # the Lambda authorizer does not know these
_CREDENTIALS = frozenset(("authorization", "cookie", "sec-websocket-protocol"))


class Engine:
    """The state of one process: settings, keys, rules, sessions, threads."""

    def __init__(self, settings: Settings, rules_file: Path | None, clock: Clock) -> None:
        """Connect to nothing yet.

        Raises `Misconfigured` for wrong rules, and for settings that the Lambda authorizer alone understands.
        """
        mistakes = [text for name, text in _NOT_HERE.items() if getattr(settings, name) is not None]
        if mistakes:
            raise Misconfigured(Reason.SETTINGS_INVALID, "\n".join(["Wrong settings:", *mistakes]))
        self._settings, self._rules = settings, _open_rules(rules_file, clock)
        self._keys = SharedKeys(settings, clock)
        is_off = settings.session_check is SessionMode.OFF
        self._sessions = None if is_off else SharedSessions(settings, clock)
        key_threads = ThreadPoolExecutor(KEY_THREADS, "hanko-keys")  # a thread starts when it is needed
        session_threads = ThreadPoolExecutor(SESSION_THREADS, "hanko-sessions")
        self._verifier = TokenVerifier(settings, self._keys, clock)
        self._checks: list[SessionCheck] = [self._sessions] if self._sessions else []
        self._verifier_at_once = TokenVerifier(settings, KeysAtOnce(self._keys, key_threads), clock)
        self._checks_at_once = [SessionsAtOnce(self._sessions, session_threads)] if self._sessions else []
        self._pools = key_threads, session_threads

    def session(self, incoming: Incoming) -> Session:
        """Who is calling. It may wait for Hanko. Raises `Refused`, or what `decide` raises."""
        return self._decide(incoming, self._verifier, self._checks)

    async def session_async(self, incoming: Incoming) -> Session:
        """The same. The event loop verifies and never waits: threads ask Hanko."""
        try:
            return self._decide(incoming, self._verifier_at_once, self._checks_at_once)
        except WouldWait as wait:
            threads = wait.threads
        return await asyncio.get_running_loop().run_in_executor(threads, self.session, incoming)

    def key_fetch_failure(self) -> str | None:
        """Why the key fetches since the last call failed, for the log."""
        return self._keys.failure()

    def disconnect(self) -> None:
        """Close the kept connections. Waits for no lock: in a child process they may be held for ever."""
        if self._sessions is not None:
            self._sessions.close()

    def close(self) -> None:
        """Close the kept connections, and let the threads end."""
        self.disconnect()
        for pool in self._pools:
            pool.shutdown(wait=False)

    def _decide(self, incoming: Incoming, verifier: TokenVerifier, checks: Sequence[SessionCheck]) -> Session:
        decision = decide(_request(incoming), self._settings, verifier, self._rules, checks)
        if not decision.allowed:
            raise Refused(decision.reason)
        return session_of(decision.context)


class HandshakeRules(RulesProvider):
    """A WebSocket's handshake must meet the rules of `$connect`, and those of GET on its path."""

    def evaluate(self, request: Request, claims: Claims) -> RulesResult:
        """As `RulesProvider.evaluate`. With `default = "deny"` a rule for the path must grant it."""
        if request.kind is EventKind.WEBSOCKET:
            result = super().evaluate(request._replace(path=""), claims)
            if result.reason not in (Reason.ALLOWED, Reason.NO_RULE_GRANTS):
                return result
            request = request._replace(kind=EventKind.HTTP_API_V1, method="GET")
        return super().evaluate(request, claims)


def _open_rules(file: Path | None, clock: Clock) -> HandshakeRules:
    rules = None
    if file is not None:
        try:
            text = file.read_text("utf-8")
        except (OSError, ValueError):
            raise Misconfigured(Reason.RULES_INVALID, f"Wrong rules:\n{file.name} is missing, or no UTF-8") from None
        rules = rules_of(text)
    return HandshakeRules(lambda: rules, clock)


def _request(incoming: Incoming) -> Request:
    """The request in the form that `decide` takes."""
    found = [(name, value) for name, value in incoming.headers if name in _CREDENTIALS]
    last = dict(found)
    several: dict[str, list[str]] = {}
    if len(last) < len(found):  # a name that came more than once
        several = {name: [value for key, value in found if key == name] for name in last}
    cookies = None
    if incoming.cookies is not None:  # they are decoded: one with a semicolon would be read as two
        cookies = [pair for name, value in incoming.cookies.items() if ";" not in (pair := f"{name}={value}")]
    sources = CredentialSources(headers=last, multi_value_headers=several, cookies=cookies, query=incoming.query)
    if incoming.is_websocket:
        return Request(EventKind.WEBSOCKET, sources, "", "", "", CONNECT, "", incoming.path)
    return Request(EventKind.HTTP_API_V1, sources, "", "", "", incoming.method, "", incoming.path)


def open_engine(variables: Mapping[str, str], clock: Clock | None) -> Engine:
    """The engine of these settings. Raises `Misconfigured`."""
    settings = Settings.from_env({name: value for name, value in variables.items() if name not in _OWN})
    rules_file = variables.get("HANKO_RULES_FILE")
    return Engine(settings, Path(rules_file) if rules_file else None, clock or Clock())
