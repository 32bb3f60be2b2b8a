"""Stores whose values are sealed before they leave, and opened when they come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import structlog

from llmproxy.stores.backend import ANYTHING, Backend, Expect, Local, as_bytes
from llmproxy.stores.interface import LocalStore
from llmproxy.stores.sealing import Seal, Unopened

if TYPE_CHECKING:
    from llmproxy.stores.interface import Counters

_LONG: Final = 32 << 10  # what is longer is sealed and opened in a thread: 0.1 ms and more
_TOLD_EVERY: Final = 60.0

_log = structlog.get_logger("llmproxy")


class Opening:
    """A seal whose faults are misses: counted in `faults` by reason, logged once a minute."""

    def __init__(self, store: str, seal: Seal) -> None:
        self.close = seal.close
        self.faults: dict[str, int] = {}
        #: Who else is told the reason of each.
        self.tell: Callable[[str], None] | None = None
        self._store = store
        self._seal = seal
        self._told = -_TOLD_EVERY

    def open(self, key: bytes, data: bytes | None) -> bytes | None:
        """Return the value, None for one that cannot be opened."""
        if data is None:
            return None
        try:
            return self._seal.open(key, data)
        except Unopened as fault:
            self.faults[fault.reason] = self.faults.get(fault.reason, 0) + 1
            if self.tell is not None:
                self.tell(fault.reason)
            if monotonic() - self._told >= _TOLD_EVERY:
                self._told = monotonic()
                _log.warning("store_value_unopened", store=self._store, reason=fault.reason)
            return None

    def refuse_numbers(self) -> None:
        """Raise NotImplementedError if what the store counts in would be no number to it."""
        if not self._seal.keeps_numbers:
            raise NotImplementedError("an encrypted store cannot add to its values; use its counters")


class SealedStore(Backend):
    """A store elsewhere, behind a seal; it knows each value as it was sealed."""

    NAME = "sealed"

    def __init__(self, inner: Any, name: str, seal: Seal) -> None:
        super().__init__(name)
        self.inner = inner
        self.opening = Opening(name, seal)

    def open(self) -> None:
        self.inner.open()

    @property
    def counters(self) -> Counters:
        return self.inner.counters  # type: ignore[no-any-return]

    async def _get(self, key: bytes, encoding: object = None, _conn: object = None) -> bytes | None:
        return await self._opened(key, await self.inner.get(key))

    _gets = _get

    async def _multi_get(
        self, keys: Sequence[bytes], encoding: object = None, _conn: object = None
    ) -> list[bytes | None]:
        found = await self.inner.multi_get(keys)
        return [await self._opened(key, data) for key, data in zip(keys, found, strict=True)]

    async def _set(
        self,
        key: bytes,
        value: bytes,
        ttl: float | None = None,
        _cas_token: bytes | None = None,
        _conn: object = None,
    ) -> bool:
        closed = await self._closed(key, value)
        if _cas_token is None:
            return bool(await self.inner.set(key, closed, ttl=ttl))
        data = await self.inner.get(key)
        if data is None or await self._opened(key, data) != _cas_token:
            return False
        return bool(await self.inner.swap(key, data, closed, ttl=ttl))

    async def _multi_set(
        self, pairs: Iterable[tuple[bytes, bytes]], ttl: float | None = None, _conn: object = None
    ) -> bool:
        closed = [(key, await self._closed(key, value)) for key, value in pairs]
        return bool(await self.inner.multi_set(closed, ttl=ttl))

    async def _add(
        self, key: bytes, value: str | bytes, ttl: float | None = None, _conn: object = None
    ) -> bool:
        return bool(await self.inner.add(key, await self._closed(key, as_bytes(value)), ttl=ttl))

    async def _delete(self, key: bytes, _conn: object = None) -> int:
        return int(await self.inner.delete(key))

    async def _exists(self, key: bytes, _conn: object = None) -> bool:
        return bool(await self.inner.exists(key))

    async def _increment(self, key: bytes, delta: int, _conn: object = None) -> int:
        self.opening.refuse_numbers()
        return int(await self.inner.increment(key, delta))

    async def _expire(self, key: bytes, ttl: float, _conn: object = None) -> bool:
        return bool(await self.inner.expire(key, ttl))

    async def _clear(self, namespace: str | bytes | None = None, _conn: object = None) -> bool:
        return bool(await self.inner.clear(namespace=namespace))

    async def _redlock_release(self, key: bytes, value: str | bytes) -> int:
        data = await self.inner.get(key)
        if await self._opened(key, data) != as_bytes(value):
            return 0
        return int(await self.inner._redlock_release(key, data))

    async def _close(self, *_: object, **__: object) -> None:
        await self.inner.close()

    async def _opened(self, key: bytes, data: bytes | None) -> bytes | None:
        if data is None or len(data) < _LONG:
            return self.opening.open(key, data)
        return await asyncio.to_thread(self.opening.open, key, data)

    async def _closed(self, key: bytes, value: bytes) -> bytes:
        if len(value) < _LONG:
            return self.opening.close(key, value)
        return await asyncio.to_thread(self.opening.close, key, value)


class SealedLocal(SealedStore, Local):
    """A store of this process or host, behind a seal."""

    def get_nowait(self, key: bytes) -> bytes | None:
        return self.opening.open(key, self.inner.get_nowait(key))

    def set_nowait(
        self, key: bytes, value: bytes, ttl: float | None = None, expected: bytes | Expect | None = ANYTHING
    ) -> bool:
        held = self._held(key, expected)
        return held is not None and bool(
            self.inner.set_nowait(key, self.opening.close(key, value), ttl, *held)
        )

    def delete_nowait(self, key: bytes, expected: bytes | Expect | None = ANYTHING) -> bool:
        held = self._held(key, expected)
        return held is not None and bool(self.inner.delete_nowait(key, *held))

    def expire_nowait(self, key: bytes, ttl: float) -> bool:
        return bool(self.inner.expire_nowait(key, ttl))

    def increment_nowait(self, key: bytes, delta: int) -> int:
        self.opening.refuse_numbers()
        return int(self.inner.increment_nowait(key, delta))

    def clear_nowait(self, prefix: bytes) -> None:
        self.inner.clear_nowait(prefix)

    @property
    def evictions(self) -> dict[str, int]:
        """How many entries went, by reason."""
        return self.inner.evictions  # type: ignore[no-any-return]

    def _held(self, key: bytes, expected: bytes | Expect | None) -> tuple[Any, ...] | None:
        """Return what to expect of the sealed store for `expected`, None if that is not there."""
        if not isinstance(expected, bytes):
            return (expected,) if expected is None else ()
        data = self.inner.get_nowait(key)
        return (data,) if self.opening.open(key, data) == expected else None


class SealedFiles(SealedLocal):
    """A store in files that the workers of a host share, behind a seal."""

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self.inner.directory  # type: ignore[no-any-return]

    def check_readers(self) -> int:
        """Free what dead workers held, and return how many slots that was."""
        return self.inner.check_readers()  # type: ignore[no-any-return]


def sealed(inner: Any, name: str, seal: Seal) -> SealedStore:
    """Put the seal before a store, which goes on to be what it is: elsewhere, local, or in files."""
    if hasattr(inner, "check_readers"):
        return SealedFiles(inner, name, seal)
    return (SealedLocal if isinstance(inner, LocalStore) else SealedStore)(inner, name, seal)
