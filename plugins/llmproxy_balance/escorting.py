"""What is done around a walk for the requests that need it: where they belong is found out, copies go to mirrors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

from llmproxy_balance.affinity import Affinity
from llmproxy_balance.belonging import Belonging
from llmproxy_balance.mirroring import Mirrors
from llmproxy_balance.origins import Origins, may_refer
from llmproxy_balance.walking import trail_of

if TYPE_CHECKING:
    from llmproxy.plugin import CallNext, Exchange, Place, Pool, Reply, Runtime
    from llmproxy_balance.belongingsettings import AffinitySettings, OriginSettings


class Escort:
    """Takes requests of pools to where they belong, and copies of them to mirrors."""

    def __init__(self, belonging: Belonging, mirrors: Mirrors, *, follow: bool) -> None:
        self.belonging = belonging
        self._mirrors = mirrors
        self._follow = follow

    def concerns(self, exchange: Exchange, pool: Pool, affinity: AffinitySettings | None) -> bool:
        """Whether there is anything to be done for a request before it is sent, which is seldom so."""
        if affinity is not None or pool.mirrors:
            return True
        origins = self.belonging.origins
        # Where no answer has held anything so far, as with most models, no request need be looked through.
        if not self.follows(pool) or (not origins.known and origins.store is None):
            return False
        if exchange.client_face is None:
            return False
        body = exchange.body_at_hand
        return body is None or may_refer(body, exchange.request.path)

    def follows(self, pool: Pool) -> bool:
        """Whether requests to a pool go back to who made what they refer to."""
        return self._follow and len(pool.upstreams) > 1

    async def before(
        self, exchange: Exchange, pool: Pool, call_next: CallNext, affinity: AffinitySettings | None
    ) -> None:
        """Send copies, and find out where a request belongs."""
        if pool.mirrors:
            await self._mirrors.copy(exchange, pool, call_next)
        await self.belonging.prepare(exchange, pool, affinity, follow=self._follow)

    def after(self, exchange: Exchange, pool: Pool, reply: Reply, *, belongs: bool = False) -> None:
        """Remember what the answer made, and who answered a request that `belongs` somewhere."""
        if reply.status >= 400:
            return
        if exchange.client_face is not None and self.follows(pool):
            self.belonging.read(exchange, reply)
        if belongs and (place := answered_by(exchange)) is not None:
            self.belonging.served(exchange, place)


def answered_by(exchange: Exchange) -> Place | None:
    """Return the place that answered."""
    trail = trail_of(exchange)
    if trail is None or not exchange.attempts:
        return None
    # Of attempts that ran beside each other, the one that answered is where the exchange's endpoint points.
    for attempt in reversed(exchange.attempts):
        if attempt.endpoint == exchange.endpoint and attempt.number in trail.taken:
            return trail.taken[attempt.number].place
    return None


@asynccontextmanager
async def escorting(runtime: Runtime, settings: OriginSettings, random: Random) -> AsyncIterator[Escort]:
    """Hold an escort while a generation runs; what it has learnt outlives it."""
    store = None if settings.store is None else await runtime.store(settings.store)
    start: Callable[..., object] = lambda work, name: runtime.spawn(work, name=name)  # noqa: E731
    key = ("balance.belonging", runtime.name)
    async with runtime.shared(key, lambda: _learnt(runtime)) as (origins, affinities):
        origins.store = store
        belonging = Belonging(origins, affinities, runtime.tariff, runtime.clock, start)
        yield Escort(belonging, Mirrors(runtime.clock, random, start), follow=settings.follow)


@asynccontextmanager
async def _learnt(runtime: Runtime) -> AsyncIterator[tuple[Origins, dict[str, Affinity]]]:
    origins = Origins(runtime.bus)
    leave = origins.listen()
    try:
        yield origins, {}
    finally:
        leave()
