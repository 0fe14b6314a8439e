"""What a sandbox remembers lives in dicts of a bounded size: what is newest stays."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def remember(memory: dict[K, V], key: K, value: V, most: int) -> None:
    """Make this the newest of at most `most` entries; where there are as many already, the oldest goes."""
    memory.pop(key, None)  # to the end of the line
    while len(memory) >= most:
        del memory[next(iter(memory))]
    memory[key] = value
