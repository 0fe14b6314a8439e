"""RemoteHanko: a stand-in that runs in another process, driven through its admin API."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
TIMEOUT_SECONDS = 15  # a rotation may have to make an RSA-4096 key


class RemoteHanko:
    """The methods of StandInHanko that the admin API offers. `url` is the stand-in's, with or without a tenant."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or parts.hostname not in {"localhost", "127.0.0.1"}:
            raise ValueError(f"{url} is no stand-in: one runs on http(s)://localhost or 127.0.0.1 only")
        self.url = url.rstrip("/")
        self._admin = f"{parts.scheme}://{parts.netloc}/_admin"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy

    def now(self) -> float:
        return time.time()

    def mint(self, *, claims: Mapping[str, Any] | None = None, header: Mapping[str, Any] | None = None) -> str:
        return self._token("tokens", {"claims": claims, "header": header})

    def webhook_token(self, event: str, data: Any, *, claims: Mapping[str, Any] | None = None) -> str:  # noqa: ANN401 - any JSON
        return self._token("webhooks", {"event": event, "data": data, "claims": claims})

    def passkey_server_token(self, *, claims: Mapping[str, Any] | None = None) -> str:
        return self._token("tokens", {"kind": "passkey_server", "claims": claims})

    @property
    def jwks(self) -> Json:
        return self._call(f"{self.url}/.well-known/jwks.json", None)

    @property
    def state(self) -> Json:
        return self._call(f"{self._admin}/state", None)

    def command(self, path: str, **request: Any) -> Json:  # noqa: ANN401 - each command has its own members
        """Any command of the admin API, e.g. `command("behave", mode="down", seconds=2)`."""
        return self._call(f"{self._admin}/{path}", request)

    def _token(self, path: str, request: Json) -> str:
        return str(self.command(path, **request)["token"])

    def _call(self, url: str, payload: Json | None) -> Json:
        """Raises ConnectionError if no stand-in answers there, and ValueError if it refuses."""
        data = None if payload is None else json.dumps(payload).encode()
        request = urllib.request.Request(url, data)  # noqa: S310 - scheme and host were checked at construction
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(f"{url} answered {error.code}: {error.read(500).decode(errors='replace')}") from None
        except OSError as error:
            raise ConnectionError(f"no stand-in Hanko answers at {self.url}. Start one: make hanko") from error
        if not isinstance(answer, dict):
            raise TypeError(f"{url} is no stand-in Hanko")
        return answer
