"""Counters of one process."""

from __future__ import annotations

from heapq import heappop, heappush
from time import monotonic
from typing import Final

from llmproxy.stores.interface import StoreAway

_COUNTER_LIMIT: Final = 100_000


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
