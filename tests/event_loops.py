"""An event loop for Mangum: where a thread has none, Mangum makes one and never closes it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def current_event_loop() -> Iterator[None]:
    """Give this thread an event loop, and close it at the end."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()
