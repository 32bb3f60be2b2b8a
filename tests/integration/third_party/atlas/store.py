"""A store engine of our own, for URLs that begin with dict://."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmproxy.plugin import StoreUrl


class DictCounters:
    def __init__(self) -> None:
        self._sums: dict[bytes, int] = {}

    async def increment(self, key: bytes, by: int = 1, ttl: float | None = None) -> int:
        self._sums[key] = self._sums.get(key, 0) + by
        return self._sums[key]

    async def get_counter(self, key: bytes) -> int:
        return self._sums.get(key, 0)


class DictStore:
    """Keeps what it is given until it is closed."""

    def __init__(self, url: StoreUrl) -> None:
        url.refuse_unknown(())
        self.counters = DictCounters()
        self._values: dict[bytes, bytes] | None = None

    def open(self) -> None:
        self._values = {}

    @property
    def values(self) -> dict[bytes, bytes]:
        assert self._values is not None, "the store is not open"
        return self._values

    async def get(self, key: bytes, default: bytes | None = None) -> bytes | None:
        return self.values.get(key, default)

    async def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.values.get(key) for key in keys]

    async def set(self, key: bytes, value: bytes, ttl: float | None = None) -> bool:
        self.values[key] = value
        return True

    async def multi_set(self, pairs: Iterable[tuple[bytes, bytes]], ttl: float | None = None) -> bool:
        self.values.update(pairs)
        return True

    async def add(self, key: bytes, value: bytes, ttl: float | None = None) -> bool:
        if key in self.values:
            raise ValueError("the key exists")
        return await self.set(key, value)

    async def delete(self, key: bytes) -> int:
        return 0 if self.values.pop(key, None) is None else 1

    async def exists(self, key: bytes) -> bool:
        return key in self.values

    async def increment(self, key: bytes, delta: int = 1) -> int:
        total = int(self.values.get(key, b"0")) + delta
        self.values[key] = b"%d" % total
        return total

    async def expire(self, key: bytes, ttl: float) -> bool:
        return key in self.values

    async def clear(self, namespace: bytes | None = None) -> bool:
        for key in [key for key in self.values if namespace is None or key.startswith(namespace)]:
            del self.values[key]
        return True

    async def close(self) -> None:
        self._values = None
