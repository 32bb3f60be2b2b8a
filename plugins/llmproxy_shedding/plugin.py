"""Refuses requests at the door while there is too much to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmproxy.plugin import Exchange, GatewayError, Plugin, Reply, Runtime, StateKey, hookimpl
from llmproxy_shedding.config import SheddingConfig
from llmproxy_shedding.pressure import BEAT, Pressure

#: On exchanges that were taken on.
_TAKEN: StateKey[bool] = StateKey("shedding.taken")


class SheddingPlugin(Plugin[SheddingConfig]):
    """Keeps a worker from taking on more than it can do."""

    Config = SheddingConfig
    single = True

    def __init__(self, name: str, config: SheddingConfig) -> None:
        super().__init__(name, config)
        self._pressure: Pressure | None = None
        self._in_flight = 0

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Begin to watch the event loop."""
        self._now = runtime.clock.now
        self._refused = runtime.metrics.counter(
            "llmproxy_shed_total", "Requests refused because this worker had too much to do.", ("reason",)
        )
        if self.config.lag is not None:
            self._pressure = Pressure(self.config.lag, self.config.interval, self._now())
            self._loop = asyncio.get_running_loop()
            self._timer = self._loop.call_later(BEAT, self._beat)
        yield
        if self._pressure is not None:
            self._timer.cancel()

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Refuse what is too much; what the gateway asks itself is part of something that it took on."""
        if exchange.parent is not None:
            return None
        most, pressure = self.config.in_flight, self._pressure
        if most is not None and self._in_flight >= most:
            raise self._refusal("in_flight")
        if pressure is not None and not pressure.takes(self._now()):
            raise self._refusal("lag")
        self._in_flight += 1
        exchange.state[_TAKEN] = True
        return None

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        """Count what is over."""
        if exchange.state.get(_TAKEN):
            self._in_flight -= 1
            if self._pressure is not None:
                self._pressure.done()

    def _beat(self) -> None:
        if self._pressure is not None:
            self._pressure.beat(self._now())
            self._timer = self._loop.call_later(BEAT, self._beat)

    def _refusal(self, reason: str) -> GatewayError:
        self._refused.labels(reason).inc()
        message = "The gateway has more requests than it can serve now."
        return GatewayError(503, "overloaded", message, retry_after=self.config.retry_after)
