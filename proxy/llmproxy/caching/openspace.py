"""A space as the gateway opens it: its store watched by metrics, its entries handed around where that is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from llmproxy.caching.extents import Extents
from llmproxy.caching.handing import Handing
from llmproxy.caching.space import CacheSpace, open_space
from llmproxy.stores.interface import LocalStore, Measured

if TYPE_CHECKING:
    from llmproxy.bus import Bus
    from llmproxy.metrics import Metrics
    from llmproxy.stores.interface import Store


@asynccontextmanager
async def open_watched(name: str, store: Store, metrics: Metrics, bus: Bus) -> AsyncIterator[CacheSpace]:
    """Open the space of one store, and tell of it while it is held."""
    async with open_space(name, store, metrics, bus.directory) as space:
        extents = Extents(name, space.tiers, metrics, bus)
        end = metrics.collect(extents.tell)
        space.handing = _handing(space, bus)
        try:
            yield space
        finally:
            end()
            extents.close()
            if space.handing is not None:
                space.handing.close()


def _handing(space: CacheSpace, bus: Bus) -> Handing | None:
    """Return what hands entries around if each worker has a store of its own and nothing behind it."""
    (_, store), *others = space.tiers.items()
    engine: object = getattr(store, "inner", store)
    if others or bus.directory is None or not isinstance(store, LocalStore):
        return None
    alone = isinstance(engine, Measured) and not engine.extent().shared
    return Handing(space.name, store, bus) if alone else None
