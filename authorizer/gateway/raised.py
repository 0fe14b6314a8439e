"""The two answers that API Gateway takes as exceptions. Their texts are constants: clients and logs may see them."""


class Unauthorized(Exception):
    """401 for REST APIs and WebSockets: API Gateway knows it by this exact text, and caches nothing."""

    def __init__(self) -> None:
        """The text decides: any other is a 500."""
        super().__init__("Unauthorized")


class AuthorizerUnavailable(Exception):
    """500 for every kind: we could not find out. Nothing is cached and nobody is told to log in again."""

    def __init__(self) -> None:
        """One text for every cause; the cause is in our log line."""
        super().__init__("Authorizer unavailable")
