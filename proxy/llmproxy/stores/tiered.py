"""A store at hand before a shared one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmproxy.stores.backend import Backend
from llmproxy.stores.interface import LocalStore, StoreAway

if TYPE_CHECKING:
    from llmproxy.stores.interface import Counters


class TieredStore(Backend):
    """`near`, in this process, before `far`, which is the truth.

    What is read from here may be `near_ttl` s older than what is in `far`, if another process changed it there.
    Who can tell by itself whether a value still holds may use both tiers as they are.
    """

    NAME = "tiered"

    def __init__(self, name: str, near: LocalStore, far: Any, *, near_ttl: float = 1.0) -> None:
        super().__init__(name)
        self.near = near
        self.far = far
        self._near_ttl = near_ttl
        # Who is reading or writing a key now; the last one to start may keep what it has, unless it changed meanwhile.
        self._busy: dict[bytes, object] = {}

    def open(self) -> None:
        self.near.open()  # type: ignore[attr-defined]  # all that schemes make can be opened
        self.far.open()

    @property
    def counters(self) -> Counters:
        return self.far.counters  # type: ignore[no-any-return]

    def check_readers(self) -> int:
        """Free what dead workers held of either tier, and return how many slots that was."""
        tiers = (self.near, self.far)
        return sum(tier.check_readers() for tier in tiers if hasattr(tier, "check_readers"))

    async def _get(self, key: bytes, encoding: object = None, _conn: object = None) -> bytes | None:
        value = self._at_hand(key)
        return value if value is not None else await self._fetched(key)

    async def _gets(self, key: bytes, encoding: object = None, _conn: object = None) -> bytes | None:
        return await self.far._gets(key)  # type: ignore[no-any-return]

    async def _multi_get(
        self, keys: Sequence[bytes], encoding: object = None, _conn: object = None
    ) -> list[bytes | None]:
        found = {key: self._at_hand(key) for key in keys}
        missing = [key for key, value in found.items() if value is None]
        if missing:
            found.update(zip(missing, await self.far.multi_get(missing), strict=True))
        return [found[key] for key in keys]

    async def _set(
        self,
        key: bytes,
        value: bytes,
        ttl: float | None = None,
        _cas_token: bytes | None = None,
        _conn: object = None,
    ) -> bool:
        turn = self._begin(key)
        kept = False
        try:
            if _cas_token is None:
                kept = bool(await self.far.set(key, value, ttl=ttl))
            else:
                kept = bool(await self.far.set(key, value, ttl=ttl, _cas_token=_cas_token))
        finally:
            self._end(key, turn, value if kept else None, ttl)
        return kept

    async def _multi_set(
        self, pairs: Iterable[tuple[bytes, bytes]], ttl: float | None = None, _conn: object = None
    ) -> bool:
        pairs = list(pairs)
        turns = [(key, self._begin(key)) for key, _ in pairs]
        try:
            return bool(await self.far.multi_set(pairs, ttl=ttl))
        finally:
            for key, turn in turns:
                self._end(key, turn)

    async def _add(
        self, key: bytes, value: str | bytes, ttl: float | None = None, _conn: object = None
    ) -> bool:
        return bool(await self._changed(key, self.far.add(key, value, ttl=ttl)))

    async def _delete(self, key: bytes, _conn: object = None) -> int:
        return int(await self._changed(key, self.far.delete(key)))

    async def _exists(self, key: bytes, _conn: object = None) -> bool:
        return self._at_hand(key) is not None or bool(await self.far.exists(key))

    async def _increment(self, key: bytes, delta: int, _conn: object = None) -> int:
        return int(await self._changed(key, self.far.increment(key, delta)))

    async def _expire(self, key: bytes, ttl: float, _conn: object = None) -> bool:
        return bool(await self._changed(key, self.far.expire(key, ttl)))

    async def _clear(self, namespace: str | bytes | None = None, _conn: object = None) -> bool:
        self._busy.clear()
        try:
            return bool(await self.far.clear(namespace=namespace))
        finally:
            self._busy.clear()
            await self.near.clear(namespace=namespace)  # type: ignore[arg-type]  # text is as good

    async def _redlock_release(self, key: bytes, value: str | bytes) -> int:
        return int(await self._changed(key, self.far._redlock_release(key, value)))

    async def _close(self, *_: object, **__: object) -> None:
        try:
            await self.near.close()
        finally:
            await self.far.close()

    async def _fetched(self, key: bytes) -> bytes | None:
        turn = self._busy[key] = object()
        value: bytes | None = None
        try:
            value = await self.far.get(key)
        finally:
            if self._busy.get(key) is turn:
                del self._busy[key]
                self._keep(key, value, None)
        return value

    async def _changed(self, key: bytes, work: Any) -> Any:
        turn = self._begin(key)
        try:
            return await work
        finally:
            self._end(key, turn)

    def _begin(self, key: bytes) -> object:
        """Say that the key is being changed: nothing of it is at hand until that is done."""
        turn = self._busy[key] = object()
        self._drop(key)
        return turn

    def _end(self, key: bytes, turn: object, value: bytes | None = None, ttl: float | None = None) -> None:
        """Keep the new value, unless somebody else read or wrote the key meanwhile: then nobody does."""
        if self._busy.pop(key, None) is turn:
            self._keep(key, value, ttl)
        else:
            self._drop(key)

    def _at_hand(self, key: bytes) -> bytes | None:
        with suppress(StoreAway):
            return self.near.get_nowait(key)
        return None

    def _keep(self, key: bytes, value: bytes | None, ttl: float | None) -> None:
        if value is not None:
            with suppress(StoreAway):
                self.near.set_nowait(key, value, self._near_ttl if ttl is None else min(ttl, self._near_ttl))

    def _drop(self, key: bytes) -> None:
        with suppress(StoreAway):
            self.near.delete_nowait(key)
