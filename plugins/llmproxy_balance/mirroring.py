"""Copies of requests for a place that is only looked at: what it answers is read and thrown away."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, Any, Final

from llmproxy.plugin import Body, Exchange

if TYPE_CHECKING:
    from llmproxy.plugin import CallNext, Clock, Place, Pool

#: Copies under way at a time, each worker: beyond, none are made, so that a slow mirror costs nobody anything.
MOST: Final = 32
#: Seconds that a copy's answer is read at most.
LONGEST: Final = 120.0
#: Bytes of a request that is copied.
LARGEST: Final = 1024 * 1024


class Mirrors:
    """Makes the copies of one plugin instance; `start(work, name)` runs a copy beside everything else."""

    def __init__(
        self, clock: Clock, random: Random, start: Callable[[Coroutine[Any, Any, None], str], object]
    ) -> None:
        self._clock = clock
        self._random = random
        self._start = start
        self.under_way = 0

    async def copy(self, exchange: Exchange, pool: Pool, call_next: CallNext) -> None:
        """Send copies of a request to the pool's mirrors, each to its share of the requests; wait for none of them."""
        if exchange.upgraded or isinstance(exchange.upload, Body):
            return  # what streams through can be sent once
        body = await exchange.body()
        if len(body) > LARGEST:
            return
        for place in pool.mirrors:
            share = place.settings.mirror or 0.0
            if self.under_way < MOST and self._random.random() < share:
                self.under_way += 1
                twin = self._twin(exchange, place, body)
                self._start(self._send(twin, call_next), f"mirror to {place.name}")

    def _twin(self, exchange: Exchange, place: Place, body: bytes) -> Exchange:
        """Return an exchange that asks the same of the mirror alone, as the same caller, with time of its own."""
        now = self._clock.now()
        twin = Exchange(exchange.request, exchange.route, f"{exchange.id}.mirror", now)
        twin.caller, twin.client_face = exchange.caller, exchange.client_face
        twin.params, twin.spent, twin.trace = exchange.params, exchange.spent, exchange.trace
        twin.endpoint = place.endpoint
        twin.endpoints = () if place.endpoint is None else (place.endpoint,)
        twin.parent = exchange
        twin.deadline = now + LONGEST
        twin.set_body(body)
        return twin

    async def _send(self, twin: Exchange, call_next: CallNext) -> None:
        try:
            reply = await call_next(twin)
            if isinstance(reply.body, Body):
                async for _ in reply.body.pieces():
                    pass
        except Exception:  # noqa: S110  # its attempt has told of it; nobody waits for the answer
            pass
        finally:
            self.under_way -= 1
