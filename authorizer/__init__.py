"""The Hanko authorizer: what runs in AWS, and the library (middleware/), which never does as part of it."""

__version__ = "0.1.0"
