"""A dict with a maximum size: what a process remembers cannot grow for ever."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(dict[K, V]):
    """A dict of at most `max_entries`, 1 or more. The entry that was set longest ago is removed first."""

    def __init__(self, max_entries: int) -> None:
        super().__init__()
        self._max_entries = max_entries

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)  # an entry that is set again becomes the newest
        while len(self) >= self._max_entries:
            del self[next(iter(self))]
        super().__setitem__(key, value)
