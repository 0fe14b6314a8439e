"""The library: the authorizer's check without API Gateway. Never in the Lambda functions; docs/library.md is the guide.

The frameworks have a module each, and nothing else imports them.
"""

from authorizer.middleware.authenticator import HankoAuthenticator
from authorizer.middleware.refused import Refused
from authorizer.middleware.session import Session

__all__ = ["HankoAuthenticator", "Refused", "Session"]
