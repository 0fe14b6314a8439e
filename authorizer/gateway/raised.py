"""The two answers given by raising. Their texts are constants: clients and logs may see them."""


class Unauthorized(Exception):
    """401 for REST and WebSocket APIs. API Gateway knows this exact text, and does not cache it. Any other is a 500."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class AuthorizerUnavailable(Exception):
    """500 for every API kind: we could not find out. It is not cached, and asks no user to log in again."""

    def __init__(self) -> None:
        super().__init__("Authorizer unavailable")
