"""A plugin as others write them: identical requests in the air make one upstream call; nothing is stored."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmproxy.caches import Flights
from llmproxy.plugin import CallNext, Exchange, NoConfig, Plugin, Reply, Runtime, hookimpl


class CollapsingPlugin(Plugin[NoConfig]):
    """Shares what is in the air; a request with `x-private` gets an answer that may not be shared.

    Who makes a call says so, and each answer how its caller came by it, and in which worker.
    """

    flights: Flights

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        async with Flights.of(runtime, self.name) as self.flights:
            yield

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        request = exchange.request

        async def fetch() -> Reply:
            print(f"calling in worker {os.getpid()}", flush=True)
            return await call_next(exchange)

        landed = await self.flights.run(
            b"%b %b %b" % (request.method.encode(), request.target.encode(), await exchange.body()),
            exchange,
            fetch,
            shareable=lambda _: "x-private" not in request.headers,
        )
        landed.reply.headers.set("x-role", landed.role)
        landed.reply.headers.set("x-worker", str(os.getpid()))
        return landed.reply
