"""A stand-in for Hanko: a real HTTP server with real RSA-4096 keys. It misbehaves on command.

In a test: `with StandInHanko() as hanko: hanko.mint()`. As a process: `python -m local.hanko`, driven by `RemoteHanko`.
"""

from local.hanko.keys import pool_key
from local.hanko.remote import RemoteHanko
from local.hanko.stand_in import StandInHanko

__all__ = ["RemoteHanko", "StandInHanko", "pool_key"]
