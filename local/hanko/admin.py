"""The admin API of the stand-in, under `/_admin`: JSON in, JSON out. It is not Hanko's."""

import json
from collections.abc import Callable
from typing import Any

from local.hanko.service import Service

Json = dict[str, Any]


def answer(hanko: Service, method: str, path: str, content: bytes) -> tuple[int, Json]:
    """Status and JSON. `error` says what is wrong with a request."""
    command = COMMANDS.get((method, path))
    if command is None:
        there = ", ".join(f"{verb} /_admin{route}" for verb, route in COMMANDS)
        return 404, {"error": f"there are: {there}"}
    try:
        request = json.loads(content or b"{}")
        if not isinstance(request, dict):
            return 400, {"error": "the body must be a JSON object"}
        return 200, command(hanko, request)
    except KeyError as error:
        return 400, {"error": f"missing or unknown: {error.args[0]}"}
    except (ValueError, TypeError, OSError) as error:
        return 400, {"error": str(error)}


def _token(hanko: Service, request: Json) -> Json:
    match request.pop("kind", "session"):
        case "session":
            return {"token": hanko.mint(**request)}
        case "passkey_server":
            return {"token": hanko.passkey_server_token(**request)}
        case kind:
            raise ValueError(f"kind {kind!r}; there are: session, passkey_server")


def _webhook(hanko: Service, request: Json) -> Json:
    """The token, or with `url` the status that the receiver answers."""
    url = request.pop("url", None)
    if url is None:
        return {"token": hanko.webhook_token(**request)}
    return {"status": hanko.send_webhook(url, **request)}


def _rotate(hanko: Service, _: Json) -> Json:
    return {"kid": hanko.rotate()}


def _withdraw(hanko: Service, request: Json) -> Json:
    hanko.withdraw(request["kid"])
    return {"kids": hanko.kids}


def _end(hanko: Service, request: Json) -> Json:
    if "user_id" in request:
        return {"ended": hanko.end_user(request["user_id"])}
    return {"ended": int(hanko.end_session(**request))}


def _subscribe(hanko: Service, request: Json) -> Json:
    hanko.subscribe(**request)
    return {}


def _behave_webhooks(hanko: Service, request: Json) -> Json:
    hanko.webhooks.behave(request["mode"])
    return {"mode": request["mode"]}


def _delete_user(hanko: Service, request: Json) -> Json:
    hanko.delete_user(request["user_id"])
    return {}


def _change_password(hanko: Service, request: Json) -> Json:
    hanko.change_password(request["user_id"])
    return {}


def _behave(hanko: Service, request: Json) -> Json:
    mode = request.pop("mode")
    if mode == "down" and "seconds" not in request:
        raise ValueError("down needs seconds: the admin API cannot be reached to end it")
    hanko.behave(mode, **request)
    return {"mode": mode}


def _state(hanko: Service, _: Json) -> Json:
    return hanko.state


COMMANDS: dict[tuple[str, str], Callable[[Service, Json], Json]] = {
    ("POST", "/tokens"): _token,
    ("POST", "/webhooks"): _webhook,
    ("POST", "/webhooks/subscribe"): _subscribe,
    ("POST", "/webhooks/behave"): _behave_webhooks,
    ("POST", "/users/delete"): _delete_user,
    ("POST", "/users/password"): _change_password,
    ("POST", "/keys/rotate"): _rotate,
    ("POST", "/keys/withdraw"): _withdraw,
    ("POST", "/sessions/end"): _end,
    ("POST", "/behave"): _behave,
    ("GET", "/state"): _state,
}
