"""A Hanko that only signs, with a key of this checkout's own. `make sam` packs the public half into the artifact."""

from local.hanko.service import Service

AUDIENCE, ISSUER = "example.com", "https://hanko.example.com"


def offline_hanko() -> Service:
    """The same key under the same id in every process."""
    return Service(audience=AUDIENCE, issuer=ISSUER, first_key=100, first_kid="make-sam")
