"""What a store promises, whatever is behind it.

Signatures follow aiocache's ``BaseCache``, which every store implements; this module says which of it callers
may rely on, with types, and imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class StoreAway(Exception):
    """The store cannot answer now: a cache treats it as a miss, a hard limit as a refusal."""


class StoreRefused(StoreAway):
    """The store answered that it does nothing now: it is full, or may not write."""


class Counters(Protocol):
    """Whole numbers that many workers add to at once, each addition atomic."""

    async def increment(self, key: bytes, by: int = 1, ttl: float | None = None) -> int:
        """Add `by` and return the sum; a counter that does not exist starts at 0 and ends after `ttl` s.

        Later calls leave the end where the first one put it. None: never ends.

        Raises:
            StoreAway: nothing was counted, or it is not known whether it was.
        """

    async def get_counter(self, key: bytes) -> int:
        """Return the sum so far, 0 when there is none or it has ended."""


class Store(Protocol):
    """Bytes by key, each with a lifetime, as aiocache's backends keep them.

    Keys come from `llmproxy.stores.key`. Lifetimes are seconds, None for no end. Every method may raise
    `StoreAway`. An entry may vanish at any time: it is a cache.
    """

    @property
    def counters(self) -> Counters:
        """The counters kept beside the entries, never evicted for them."""

    async def get(self, key: bytes, default: bytes | None = None) -> bytes | None:
        """Return the value, or `default`."""

    async def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values in the order of `keys`."""

    async def set(self, key: bytes, value: bytes, ttl: float | None = None) -> bool:
        """Store the value; False when it was not kept (too large, or already over)."""

    async def multi_set(self, pairs: Iterable[tuple[bytes, bytes]], ttl: float | None = None) -> bool:
        """Store all pairs."""

    async def add(self, key: bytes, value: bytes, ttl: float | None = None) -> bool:
        """Store the value of a new key.

        Raises:
            ValueError: the key exists.
        """

    async def swap(self, key: bytes, expected: bytes, value: bytes, ttl: float | None = None) -> bool:
        """Put `value` in place of `expected` in one step; False when something else, or nothing, is there."""

    async def delete(self, key: bytes) -> int:
        """Forget the key and return how many there were, 0 or 1."""

    async def exists(self, key: bytes) -> bool:
        """Say whether there is a live value."""

    async def increment(self, key: bytes, delta: int = 1) -> int:
        """Add to the decimal number stored under the key (0 when absent), keeping its lifetime.

        Raises:
            TypeError: the value is not a whole number.
        """

    async def expire(self, key: bytes, ttl: float) -> bool:
        """Set the remaining lifetime, 0 for no end; False when there is no such key."""

    async def clear(self, namespace: bytes | None = None) -> bool:
        """Forget all keys that begin with `namespace`, or all of this store."""

    async def close(self) -> None:
        """Let go of files and connections."""


@runtime_checkable
class LocalStore(Store, Protocol):
    """A store inside this process, answering without a loop in between."""

    def get_nowait(self, key: bytes) -> bytes | None:
        """Return the value, or None."""

    def set_nowait(self, key: bytes, value: bytes, ttl: float | None = None) -> bool:
        """Store the value; False when it was not kept."""

    def delete_nowait(self, key: bytes) -> bool:
        """Forget the key and say whether it was there."""


@runtime_checkable
class HoldsReaders(Protocol):
    """A store in files that all workers of the host have open, where one that dies leaves its mark."""

    def check_readers(self) -> int:
        """Free what dead workers held, and return how many slots that was; called after each death."""


@runtime_checkable
class CountsEvictions(Protocol):
    """A store of this process or host that says what it gave up; a metric reads it."""

    @property
    def evictions(self) -> Mapping[str, int]:
        """How many entries went, by reason: `size`, `expired`, `replaced`."""


class Extent(NamedTuple):
    """How much a store holds, in entries and bytes, of how many bytes; `shared` by the workers of the host, or not."""

    entries: int
    held: int
    limit: int
    shared: bool = False


@runtime_checkable
class Measured(Protocol):
    """A store of this process or host that knows how much it holds."""

    def extent(self) -> Extent:
        """Look how much it is now, without waiting for anybody.

        Raises:
            StoreAway: it cannot be read.
        """
