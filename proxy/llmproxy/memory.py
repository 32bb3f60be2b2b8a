"""What translations keep between calls: earlier conversations, signatures that a caller's dialect has no place for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from llmproxy.stores.interface import StoreAway
from llmproxy.stores.keys import key

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.stores.interface import Store

#: Seconds that a conversation can be gone on with; OpenAI keeps responses for 30 days.
KEPT: Final = 30 * 86400.0

#: The longest value kept, bytes: a conversation with pictures in it may be long.
LONGEST: Final = 16 * 1024 * 1024

_log = structlog.get_logger("llmproxy")


class StoreMemory:
    """The memory of one exchange's tenant and route, in a store."""

    __slots__ = ("_exchange", "_store")

    def __init__(self, store: Store, exchange: Exchange) -> None:
        self._store = store
        self._exchange = exchange

    async def get(self, kind: str, name: str) -> bytes | None:
        """Return what was kept under that name, or None; a store that is away has kept nothing."""
        try:
            value: bytes | None = await self._store.get(self._key(kind, name))
        except StoreAway as fault:
            _log.warning("memory_away", error=str(fault))
            return None
        return value

    async def put(self, kind: str, name: str, value: bytes) -> None:
        """Keep a value; what is too long, or finds its store away, is not kept."""
        if len(value) > LONGEST:
            return
        try:
            await self._store.set(self._key(kind, name), value, ttl=KEPT)
        except StoreAway as fault:
            _log.warning("memory_away", error=str(fault))

    async def drop(self, kind: str, name: str) -> bool:
        """Forget a value; whether it was there."""
        try:
            return bool(await self._store.delete(self._key(kind, name)))
        except StoreAway:
            return False

    def _key(self, kind: str, name: str) -> bytes:
        exchange = self._exchange
        return key(exchange.caller.tenant, exchange.route.name, "memory", kind, name)
