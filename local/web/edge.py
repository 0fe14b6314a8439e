"""Fakes of what API Gateway does between a browser and an API, where MiniStack 1.5 does nothing.

- A REST API's gateway response may name `$context.authorizer.…`. Here the words are filled in with what the deployed
  authorizer answers to the same token. Source: AWS, "Set up gateway responses to customize error responses".
- An HTTP API's CORS headers are on the authorizer's refusals, too. Not verified: AWS documents them for answers of
  integrations; aws-sam-cli#9087 reports them for refusals.
- A WebSocket is accepted with the subprotocol that the $connect integration names: here always the first one offered.
"""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from local.web.front import Reply, Request

Edit = Callable[[Request, Reply], Reply]
Ask = Callable[[str], Any]  # a token's header → the authorizer's answer


def named_reasons(ask: Ask) -> Edit:
    """Fill in the authorizer's context."""

    def edit(request: Request, reply: Reply) -> Reply:
        if b"$context.authorizer." not in reply.body:
            return reply
        context = ask(request.headers.get("Authorization") or "").get("context", {})
        text = re.sub(
            r"\$context\.authorizer\.(\w+)",
            lambda found: json.dumps(str(context.get(found[1], "")))[1:-1],
            reply.body.decode(),
        )
        return reply._replace(body=text.encode())

    return edit


def cors_on_refusals(origin: str) -> Edit:
    """Add the headers that answers of the integration have."""

    def edit(request: Request, reply: Reply) -> Reply:
        has = {name.lower() for name, _ in reply.headers}
        if request.headers.get("Origin") != origin or "access-control-allow-origin" in has:
            return reply
        added = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }
        return reply._replace(headers=[*reply.headers, *added.items()])

    return edit


def subprotocol(request: Request, reply: Reply) -> Reply:
    """Accept the first subprotocol: the marker."""
    offered = request.headers.get("Sec-WebSocket-Protocol")
    if reply.status != HTTPStatus.SWITCHING_PROTOCOLS or not offered:
        return reply
    return reply._replace(headers=[*reply.headers, ("Sec-WebSocket-Protocol", offered.split(",")[0].strip())])
