"""The stores that a process uses as caches, to be purged together or by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from llmproxy.errors import GatewayError
from llmproxy.messages import Reply
from llmproxy.problems import problem

if TYPE_CHECKING:
    from llmproxy.caching.board import Purged
    from llmproxy.caching.purges import PurgeOrder
    from llmproxy.caching.space import CacheSpace


class PurgeOutcome(NamedTuple):
    """What became of an order that names so many tags: the purge of each store by its name."""

    stores: dict[str, Purged]
    tags: int = 0

    @property
    def everywhere(self) -> bool:
        """Whether every host that shares one of the stores knows of it."""
        return all(purged.everywhere for purged in self.stores.values())

    def reply(self) -> Reply:
        """Return what whoever ordered it is told: 503 if a host could not be told yet."""
        deaf = [name for name, purged in self.stores.items() if not purged.everywhere]
        if deaf:
            message = (
                f"Purged on this host; the server of store {deaf[0]!r} cannot be reached, so the other hosts hear"
                " of it later. Ask again to be sure."
            )
            return problem(GatewayError(503, "purged_here_only", message, retry_after=1))
        numbers = {name: purged.number for name, purged in self.stores.items()}
        return Reply.json({"purged": True, "tags": self.tags, "stores": numbers})


class Spaces:
    """The spaces that are held now, by the names that the configuration gives their stores."""

    def __init__(self) -> None:
        self._held: dict[str, list[CacheSpace]] = {}

    @contextmanager
    def hold(self, name: str, space: CacheSpace) -> Iterator[CacheSpace]:
        """Know a space by that name for a while; it may be held many times."""
        held = self._held.setdefault(name, [])
        held.append(space)
        try:
            yield space
        finally:
            held.remove(space)
            if not held:
                del self._held[name]

    def find(self, name: str | None = None) -> dict[str, CacheSpace]:
        """Return the spaces by their stores' names, or the one of that name.

        Raises:
            GatewayError: it is not used as a cache, or no store is (404).
        """
        if name is None and self._held:
            return {each: held[-1] for each, held in self._held.items()}
        if name is None:
            raise GatewayError(404, "no_cache", "No store is used as a cache.")
        if name not in self._held:
            known = ", ".join(sorted(self._held)) or "none"
            message = f"No store called {name[:100]!r} is used as a cache (used: {known})."
            raise GatewayError(404, "no_cache", message)
        return {name: self._held[name][-1]}

    async def purge(self, order: PurgeOrder) -> PurgeOutcome:
        """Do what is ordered; every worker of this host obeys when it returns.

        Raises:
            GatewayError: the store it names is not used as a cache, or none is (404).
        """
        hard, soft = order.slots(soft=False), order.slots(soft=True)
        done: dict[str, Purged] = {}
        for name, space in self.find(order.store).items():
            for slots, softly in ((hard, False), (soft, True)):
                if slots:
                    purged = await space.purge(slots, soft=softly)
                    known = done.get(name, purged).everywhere
                    done[name] = purged._replace(everywhere=known and purged.everywhere)
        return PurgeOutcome(done, order.named)
