"""The live Hanko, asked as the authorizer asks it: the same client, deadline and TLS, and the same reader of keys."""

import email.utils
import http.client
import json
import urllib.request
from collections.abc import Iterator

from authorizer.clock import Clock
from authorizer.config import SessionMode, Settings
from authorizer.hanko.client import JWKS_PATH, HttpsClient
from authorizer.hanko.failure import FetchFailed
from authorizer.hanko.jwk import parse_keys
from authorizer.hanko.keys import MIN_MAX_AGE_SECONDS
from authorizer.hanko.sessions import VALIDATE_PATH
from local.doctor.finding import Finding, look, wrong

NO_SESSION = "doctor"  # no token, so that no session is touched
TELLS_WHY = {
    "timeout": "it did not answer within HankoFetchTimeoutSeconds",
    "connection": "no connection, or the name is unknown",
    "status": "it answered with another status than 200: is this the API URL, with its path?",
    "content": "the answer is no key set: is this the API URL?",
    "protocol": "the answer is no HTTP, or compressed",
    "too_large": "the answer is larger than 256 KiB",
}


class Live:
    """What Hanko answers, as findings; `passed` collects what is well."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings, self._clock = settings, clock or Clock()
        self._client = HttpsClient(settings, self._clock)
        self.passed: list[str] = []

    def findings(self) -> Iterator[Finding]:
        """Ask for keys, clock and session endpoint. If Hanko is not there, the rest is not asked."""
        url = self._settings.api_url
        try:
            response = self._client.start(JWKS_PATH).result()
        except FetchFailed as failed:
            yield self._unreachable(failed, url)
            return
        yield from self._keys(response.body, url)
        yield from self._caching(response.cache_control, response.age_seconds, url)
        yield from self._offset(url)
        yield from self._session_endpoint(url)
        self._client.close()

    def _unreachable(self, failed: FetchFailed, url: str) -> Finding:
        word = failed.failure.value
        told = TELLS_WHY.get(word, "Lambda's Python refuses the certificate")
        status = f" {failed.status}" if failed.status else ""
        return wrong(
            "hanko-unreachable",
            url,
            f"its keys cannot be fetched ({word}{status}): {told}",
            "Without keys every request is a 500. TLS is as strict here as in Lambda.",
            "Correct HankoApiUrl, the certificate, or the way to it: docs/reasons.md.",
        )

    def _keys(self, body: bytes, url: str) -> Iterator[Finding]:
        try:
            usable = len(parse_keys(body))
        except ValueError:
            why = "Without keys every request is a 500."
            fix = "Is this the API URL? A key must be RSA of 2,048 bits or more, for RS256: SECURITY.md."
            yield wrong("no-usable-key", url, "its key set holds no key that the authorizer takes", why, fix)
            return
        every = json.loads(body).get("keys", [])
        self.passed.append(f"{url} answers with {usable} usable keys, over verified TLS")
        if url.startswith("http://"):
            self.passed[-1] = f"{url} answers with {usable} usable keys, without TLS: loopback alone"
        if len(every) > usable:
            yield look(
                "key-skipped",
                url,
                f"{len(every) - usable} of {len(every)} keys are skipped",
                "Tokens signed with them are refused: key_unknown.",
                "A key must be RSA of 2,048 to 8,192 bits, for RS256 signatures: SECURITY.md.",
            )

    def _caching(self, cache_control: str, age_seconds: int, url: str) -> Iterator[Finding]:
        limits = [part.strip().lower() for part in cache_control.split(",")]
        seconds = next((part.partition("=")[2].strip('"') for part in limits if part.startswith("max-age=")), "")
        short = seconds.isdigit() and int(seconds) < MIN_MAX_AGE_SECONDS
        if short or {"no-cache", "no-store"} & set(limits):
            yield look(
                "short-cache-control",
                url,
                f"Cache-Control of the keys is {cache_control[:60]!a}",
                f"Every process fetches the keys again after {MIN_MAX_AGE_SECONDS} s, in the middle of a request.",
                "Let Hanko, or what is before it, send max-age=600.",
            )
        if age_seconds:
            yield look(
                "shared-cache",
                url,
                f"a shared cache keeps the keys: the answer is {age_seconds} s old",
                "A new key is not seen until that cache lets go of the old set.",
                f"Do not cache {JWKS_PATH}, nor {VALIDATE_PATH}.",
            )

    def _offset(self, url: str) -> Iterator[Finding]:
        offset = self._clock_offset()
        if offset is None:
            yield look(
                "no-date", url, "it sends no Date header", "Its clock cannot be compared.", "Compare it by hand."
            )
            return
        skew = self._settings.clock_skew_seconds
        if abs(offset) <= skew:
            self.passed.append(f"Hanko's clock is {offset:+.0f} s from this machine's, of {skew} s allowed")
            return
        yield wrong(
            "clock-offset",
            url,
            f"its clock is {offset:+.0f} s from this machine's, and HankoClockSkewSeconds is {skew}",
            "Ahead, new tokens fail (token_early). Behind, tokens live longer than they say.",
            "Correct Hanko's clock, or this machine's: Lambda's is right.",
        )

    def _clock_offset(self) -> float | None:
        """Hanko's clock less ours, by the Date of an answer, which has whole seconds; within the answer's time."""
        context = self._client.server.tls_context()
        handlers = [urllib.request.HTTPSHandler(context=context)] if context else []
        request = urllib.request.Request(self._settings.api_url + JWKS_PATH, headers={"User-Agent": "hanko-authorizer"})  # noqa: S310 - checked by Settings
        before = self._clock.wall()
        try:
            opener = urllib.request.build_opener(*handlers)
            with opener.open(request, timeout=self._settings.fetch_timeout_seconds) as answer:
                date, age = answer.headers.get("Date", ""), answer.headers.get("Age", "0")
        except (OSError, ValueError, http.client.HTTPException):
            return None
        after = self._clock.wall()
        parsed = email.utils.parsedate_tz(date)
        if parsed is None:
            return None
        told = email.utils.mktime_tz(parsed) + (int(age) if age.isdigit() else 0)
        # It was between `told` and a second later, and for us between `before` and `after`.
        return told - before if told > after else told + 1 - before if told + 1 < before else 0.0

    def _session_endpoint(self, url: str) -> Iterator[Finding]:
        mode, told = self._settings.session_check, self._wrong_session_answer()
        if not told:
            self.passed.append(f"its session endpoint answers (HankoSessionCheck is {mode})")
            return
        is_used = mode is not SessionMode.OFF
        why = "every request that asks is a 500." if is_used else "it could not be switched on."
        fix = "Let the path through, uncached: docs/logout.md."
        make = wrong if is_used else look
        yield make("session-endpoint", url + VALIDATE_PATH, told, f"HankoSessionCheck is {mode}: {why}", fix)

    def _wrong_session_answer(self) -> str:
        """Ask about a token that is no session: "not valid" is the right answer. Return what is wrong, or ""."""
        try:
            fetch = self._client.start(VALIDATE_PATH, "GET", {"Authorization": f"Bearer {NO_SESSION}"})
            answer = fetch.result()
            if json.loads(answer.body).get("is_valid") is not False:
                return "it does not refuse a token that is no session"
        except FetchFailed as failed:
            return f"it cannot be asked ({failed.failure.value}{f' {failed.status}' if failed.status else ''})"
        except (ValueError, AttributeError):
            return "its answer is no JSON object"
        return "its answer comes from a shared cache" if answer.age_seconds else ""
