"""The two answers given by raising. Their texts are constants: clients and logs may see them."""


class Unauthorized(Exception):
    """401 for REST and WebSocket APIs. API Gateway recognises this exact text and does not cache it."""

    def __init__(self) -> None:
        """Any other text would be a 500."""
        super().__init__("Unauthorized")


class AuthorizerUnavailable(Exception):
    """500 for every API kind: we could not find out. It is not cached, and users are not asked to log in again."""

    def __init__(self) -> None:
        """One text for every cause. The cause is in the log."""
        super().__init__("Authorizer unavailable")
