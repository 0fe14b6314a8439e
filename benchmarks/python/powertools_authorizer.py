"""Powertools throughout: its event class, its response, its Logger, its auth_alpha."""

from typing import Any

from auth_alpha import _verifier  # type: ignore[import-not-found]  # beside this file, on the functions' path
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.auth_alpha.exceptions import AuthError
from aws_lambda_powertools.utilities.data_classes import event_source
from aws_lambda_powertools.utilities.data_classes.api_gateway_authorizer_event import (
    APIGatewayAuthorizerEventV2,
    APIGatewayAuthorizerResponseV2,
)

_logger = Logger(service="authorizer")


@event_source(data_class=APIGatewayAuthorizerEventV2)
def handler(event: APIGatewayAuthorizerEventV2, _context: object) -> dict[str, Any]:
    """Answer an HTTP API's event, payload 2.0, with a simple response."""
    try:
        claims = _verifier.verify(event.headers["authorization"].removeprefix("Bearer "))
    except (KeyError, AuthError) as error:
        _logger.info("denied", reason=type(error).__name__)
        return APIGatewayAuthorizerResponseV2().asdict()
    _logger.info("allowed")
    context = {"user_id": claims["sub"], "session_id": claims["session_id"]}
    return APIGatewayAuthorizerResponseV2(authorize=True, context=context).asdict()
