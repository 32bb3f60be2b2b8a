"""Tells the other workers that this one lives, by a key of the shared store that ends when nobody renews it.

One key a worker rather than one a request: a claim names its owner, and an owner whose key is gone is dead. The
store's own clock decides, so that machines need not agree on the time.
"""

from __future__ import annotations

from os import getpid
from secrets import token_hex
from socket import gethostname

from llmproxy.plugin import Clock, Store, StoreAway, store_key


class Heart:
    """This worker's life, in leases of `lease` seconds; `owner` names it."""

    def __init__(self, store: Store, lease: float, clock: Clock) -> None:
        self.owner = f"{gethostname()[:64]}.{getpid()}.{token_hex(8)}"
        self.lease = lease
        self._store = store
        self._clock = clock
        self._beaten = -lease

    async def beat(self) -> None:
        """Renew the lease; raise `StoreAway`."""
        now = self._clock.now()
        if not await self._store.set(_key(self.owner), b"1", ttl=self.lease):
            raise StoreAway("the store keeps no lease")
        self._beaten = now

    async def ensure(self) -> None:
        """Have a lease that lasts a while yet; raise `StoreAway`."""
        if self._clock.now() - self._beaten > self.lease / 2:
            await self.beat()

    async def lives(self, owner: str) -> bool:
        """Say whether the worker called `owner` lives, as far as the store knows; raise `StoreAway`."""
        return owner == self.owner or await self._store.exists(_key(owner))

    async def stop(self) -> None:
        """Give the lease back: what this worker still has is in nobody's hands from now on."""
        await self._store.delete(_key(self.owner))


def _key(owner: str) -> bytes:
    return store_key("gateway", "idempotency", "alive", owner)
