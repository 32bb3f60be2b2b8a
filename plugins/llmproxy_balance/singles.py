"""Pools of one: a route without a pool retries its upstream by the same rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from llmproxy.plugin import Endpoint, Place, Pool, TargetConfig

#: Endpoints that are remembered; names of models may be a caller's own.
_MOST: Final = 256


class Singles:
    """The pools of endpoints that the configuration names without any."""

    def __init__(self) -> None:
        self._pools: dict[tuple[Endpoint, ...], Pool] = {}

    def pool_of(self, endpoints: Sequence[Endpoint]) -> Pool:
        """Return the pool that these endpoints are, in their order."""
        key = tuple(endpoints)
        pool = self._pools.get(key)
        if pool is None:
            if len(self._pools) >= _MOST:
                self._pools.clear()
            pool = self._pools[key] = Pool.of(key[0].upstream, map(_place_of, key))
        return pool


def _place_of(endpoint: Endpoint) -> Place:
    # Its name is the upstream's: a model's may be whatever a caller writes.
    return Place(endpoint.upstream, TargetConfig(upstream=endpoint.upstream), endpoint)
