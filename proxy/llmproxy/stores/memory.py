"""The memory store: bounded by bytes, least recently used goes first.

An ordered dict instead of moka-py's TinyLFU: that may refuse a new key, which `add` (locks) must not see, and
cannot clear a prefix, because its keys cannot be listed.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from math import inf
from time import monotonic
from typing import Final

from llmproxy.stores.backend import ANYTHING, Expect, Local, whole_number
from llmproxy.stores.interface import StoreAway
from llmproxy.stores.urls import StoreUrl
from llmproxy.units import parse_size

# What CPython 3.11 allocates for an entry beside the bytes of key and value (two bytes headers, a tuple, a
# float, an ordered-dict slot and node, at the dict's emptiest after growth).
ENTRY_OVERHEAD: Final = 400

_COUNTER_LIMIT: Final = 100_000


def make_memory(url: StoreUrl) -> MemoryStore:
    """Make the store of ``memory://?max_bytes=64MiB``."""
    url.refuse_parts("host", "port", "path", "username", "password")
    return MemoryStore(str(url), **url.read(max_bytes=parse_size))


class MemoryStore(Local):
    """Entries of this process, at most `max_bytes` of keys, values and overhead."""

    NAME = "memory"

    def __init__(self, name: str = "memory://", *, max_bytes: int = 64 << 20) -> None:
        super().__init__(name)
        self.max_bytes = max_bytes
        self.bytes_held = 0
        self._entries: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._counters = MemoryCounters(name)

    @property
    def counters(self) -> MemoryCounters:
        return self._counters

    def get_nowait(self, key: bytes) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= monotonic():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def set_nowait(
        self, key: bytes, value: bytes, ttl: float | None = None, expected: bytes | Expect | None = ANYTHING
    ) -> bool:
        if expected is not ANYTHING and self.get_nowait(key) != expected:
            return False
        self._drop(key)
        size = _size(key, value)
        if size > self.max_bytes or (ttl is not None and ttl <= 0):
            return False
        self._entries[key] = (value, inf if ttl is None else monotonic() + ttl)
        self.bytes_held += size
        while self.bytes_held > self.max_bytes:
            self._drop(next(iter(self._entries)))
        return True

    def delete_nowait(self, key: bytes, expected: bytes | Expect | None = ANYTHING) -> bool:
        held = self.get_nowait(key)
        if held is None or (expected is not ANYTHING and held != expected):
            return False
        self._drop(key)
        return True

    def expire_nowait(self, key: bytes, ttl: float) -> bool:
        value = self.get_nowait(key)
        if value is None:
            return False
        self._entries[key] = (value, monotonic() + ttl if ttl else inf)
        return True

    def increment_nowait(self, key: bytes, delta: int) -> int:
        total = whole_number(self.get_nowait(key)) + delta
        _, ends = self._entries.get(key, (b"", inf))
        if self.set_nowait(key, b"%d" % total):
            self._entries[key] = (self._entries[key][0], ends)
        return total

    def clear_nowait(self, prefix: bytes) -> None:
        for key in [key for key in self._entries if key.startswith(prefix)]:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes_held -= _size(key, entry[0])


class MemoryCounters:
    """Counters of this process; refuses new ones over a fixed number rather than forget a live one."""

    def __init__(self, name: str, limit: int = _COUNTER_LIMIT) -> None:
        self._name = name
        self._limit = limit
        self._sums: dict[bytes, int] = {}
        self._ends: list[tuple[float, bytes]] = []

    async def increment(self, key: bytes, by: int = 1, ttl: float | None = None) -> int:
        self._sweep()
        held = self._sums.get(key)
        if held is None:
            if len(self._sums) >= self._limit:
                raise StoreAway(f"store {self._name} holds {self._limit} counters already")
            if ttl is not None:
                heappush(self._ends, (monotonic() + ttl, key))
        self._sums[key] = total = (held or 0) + by
        return total

    async def get_counter(self, key: bytes) -> int:
        self._sweep()
        return self._sums.get(key, 0)

    def _sweep(self) -> None:
        """Forget what has ended; a counter is in the heap once, so each is swept once."""
        now = monotonic()
        while self._ends and self._ends[0][0] <= now:
            del self._sums[heappop(self._ends)[1]]


def _size(key: bytes, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_OVERHEAD
