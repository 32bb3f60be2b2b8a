"""The memory store: bounded by bytes; its policy says who goes first."""

from __future__ import annotations

from math import inf
from time import monotonic

from llmproxy.references import quoted
from llmproxy.stores.backend import ANYTHING, Expect, Local, whole_number
from llmproxy.stores.interface import Extent
from llmproxy.stores.memory_counters import MemoryCounters
from llmproxy.stores.memory_reserving import MemoryReservations
from llmproxy.stores.policies import POLICIES, Evictions
from llmproxy.stores.urls import StoreUrl
from llmproxy.units import parse_size


def make_memory(url: StoreUrl) -> MemoryStore:
    """Make the store of ``memory://?max_bytes=64MiB&policy=tinylfu``."""
    url.refuse_parts("host", "port", "path", "username", "password")
    return MemoryStore(str(url), **url.read(max_bytes=parse_size, policy=_policy))


class MemoryStore(Local):
    """Entries of this process, at most `max_bytes` of keys, values and overhead; for one thread.

    `evictions` counts what went by reason: `size`, `expired`, `replaced`. A value is given back as the very object
    that was stored. The largest that `tinylfu` keeps has seven tenths of the bytes.
    """

    NAME = "memory"

    def __init__(
        self, name: str = "memory://", *, max_bytes: int = 64 << 20, policy: str = "tinylfu"
    ) -> None:
        super().__init__(name)
        self.max_bytes = max_bytes
        self.evictions: Evictions = dict.fromkeys(("size", "expired", "replaced"), 0)
        self._policy = policy
        self._counters = MemoryCounters(name)
        self._reservations: MemoryReservations | None = None
        self._empty()

    def _empty(self) -> None:
        self._entries = POLICIES[self._policy](self.max_bytes, self.evictions)
        self._find = self._entries.get

    @property
    def bytes_held(self) -> int:
        """What is accounted for: never over `max_bytes`."""
        return self._entries.held

    def extent(self) -> Extent:
        """Look how much it holds."""
        return Extent(len(self._entries), self._entries.held, self.max_bytes)

    @property
    def counters(self) -> MemoryCounters:
        return self._counters

    @property
    def reservations(self) -> MemoryReservations:
        """The limits of this process, which are only made where somebody asks."""
        if self._reservations is None:
            self._reservations = MemoryReservations(self.name)
        return self._reservations

    def get_nowait(self, key: bytes) -> bytes | None:
        entry = self._find(key)
        if entry is None:
            return None
        value, ends = entry
        if ends != inf and ends <= monotonic():
            self._entries.remove(key)
            self.evictions["expired"] += 1
            return None
        return value

    def set_nowait(
        self, key: bytes, value: bytes, ttl: float | None = None, expected: bytes | Expect | None = ANYTHING
    ) -> bool:
        if expected is not ANYTHING and self.get_nowait(key) != expected:
            return False
        if ttl is None:
            return self._entries.put(key, (value, inf))
        if ttl <= 0:
            self._entries.remove(key)
            return False
        return self._entries.put(key, (value, monotonic() + ttl))

    def delete_nowait(self, key: bytes, expected: bytes | Expect | None = ANYTHING) -> bool:
        held = self.get_nowait(key)
        if held is None or (expected is not ANYTHING and held != expected):
            return False
        self._entries.remove(key)
        return True

    def expire_nowait(self, key: bytes, ttl: float) -> bool:
        value = self.get_nowait(key)
        return value is not None and self._entries.put(key, (value, monotonic() + ttl if ttl else inf))

    def increment_nowait(self, key: bytes, delta: int) -> int:
        total = whole_number(self.get_nowait(key)) + delta
        _, ends = self._find(key) or (b"", inf)
        self._entries.put(key, (b"%d" % total, ends))
        return total

    def clear_nowait(self, prefix: bytes) -> None:
        if not prefix:
            self._empty()
            return
        for key in [key for key in self._entries.keys() if key.startswith(prefix)]:  # noqa: SIM118  # no mapping
            self._entries.remove(key)


def _policy(text: str) -> str:
    if text not in POLICIES:
        raise ValueError(f"{quoted(text)} is none of {', '.join(POLICIES)}")
    return text
