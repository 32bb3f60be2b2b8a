"""A shelf that stays inside its map: what is over goes first, then what is oldest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import lmdb

from llmproxy.stores.environment import Environment, Transaction
from llmproxy.stores.shelf import Shelf, entry_size

T = TypeVar("T")

_FULL_SHARE: Final = 0.8  # of the map; the rest is for copies of pages, and for pages readers still hold
_LARGEST_SHARE: Final = 8  # a value takes at most an eighth of the map
_CHECK_EVERY: Final = 64 << 10  # bytes written between two looks at the room left
_SWEEP: Final = 2  # expired entries removed by each write: more than it can add
_MOST_EVICTED: Final = (
    512  # by one small write, which runs on the loop (1.5 ms); a large one is in the thread
)
_EVERYTHING: Final = -1
# What goes when no page is left in spite of the share kept free (old readers, holes too small for a value).
_SHED: Final = (1024, 16_384, _EVERYTHING)


class BoundedShelf(Shelf):
    """The shelf of `env`, evicting at four fifths of the pages."""

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._env = env
        self._unchecked = 0

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a write transaction; when no page is left, evict more and more and try again.

        Raises:
            StoreAway: the files cannot be written.
        """
        for shed in _SHED:
            try:
                return self._env.write(work)
            except lmdb.MapFullError:
                self._make_pages(shed)
        try:
            return self._env.write(work)
        except lmdb.MapFullError as error:
            raise self._env.away(error) from error

    def put_within(self, txn: Transaction, key: bytes, value: bytes, ends: int, now: int) -> bool:
        """Put the entry after making room for it; False if it is too large, or over already."""
        if len(value) > self._env.map_size // _LARGEST_SHARE or 0 < ends <= now:
            self.remove(txn, key)
            return False
        self._make_room(txn, entry_size(key, value), now)
        self.put(txn, key, value, ends)
        return True

    def _make_room(self, txn: Transaction, size: int, now: int) -> None:
        self.sweep(txn, now, _SWEEP)
        self._unchecked += size
        if self._unchecked < min(_CHECK_EVERY, self._env.map_size // 128):
            return
        self._unchecked = 0
        excess = self._env.used(txn) + size - self._env.map_size * _FULL_SHARE
        self.evict(txn, _MOST_EVICTED + size // 128, excess)

    def _make_pages(self, count: int) -> None:
        # What was killed while it read holds the pages of its time for ever, if it was none of our workers.
        self._env.check_readers()
        try:
            if count == _EVERYTHING:
                self._env.write(self.drop)
            else:
                self._env.write(lambda txn: self.evict(txn, count))
            # LMDB reuses what a transaction freed only in the second one after it.
            self._env.write(self.touch)
        except lmdb.MapFullError:
            return  # removing takes pages too; the next step takes fewer
