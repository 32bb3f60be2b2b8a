"""Refuses requests at the door while there is too much to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmproxy.plugin import Exchange, GatewayError, Plugin, Reply, Runtime, StandingError, StateKey, hookimpl
from llmproxy_shedding.config import SheddingConfig
from llmproxy_shedding.pressure import Pressure

#: On exchanges that were taken on.
_TAKEN: StateKey[bool] = StateKey("shedding.taken")


class SheddingPlugin(Plugin[SheddingConfig]):
    """Keeps a worker from taking on more than it can do."""

    Config = SheddingConfig
    single = True
    prompt = True

    def __init__(self, name: str, config: SheddingConfig) -> None:
        super().__init__(name, config)
        self._pressure = None if config.lag is None else Pressure(config.lag, config.interval)
        self._most = config.in_flight
        self._in_flight = 0
        self._refusal = StandingError(
            *(503, "overloaded", "The gateway has more requests than it can serve now."),
            retry_after=config.retry_after,
        )

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Find the clock, and what counts."""
        self._now = runtime.clock.now
        self._refused = runtime.metrics.counter(
            "llmproxy_shed_total", "Requests refused because this worker had too much to do.", ("reason",)
        )
        yield

    def at_door(self, asked: float) -> GatewayError | None:
        """Refuse what is too much before it has cost anything."""
        if self._most is not None and self._in_flight >= self._most:
            return self._refuse("in_flight")
        if self._pressure is not None and not self._pressure.takes(asked):
            return self._refuse("lag")
        return None

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Refuse what is too much; what the gateway asks itself is part of something that it took on."""
        if exchange.parent is not None:
            return None
        pressure = self._pressure
        if pressure is not None and not pressure.begins(exchange.started, self._now()):
            raise self._refuse("lag")
        if self._most is None:
            return None
        if self._in_flight >= self._most:
            raise self._refuse("in_flight")
        self._in_flight += 1
        exchange.state[_TAKEN] = True
        return None

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        """Count what is over."""
        if self._most is not None and exchange.state.get(_TAKEN):
            self._in_flight -= 1

    def _refuse(self, reason: str) -> GatewayError:
        self._refused.labels(reason).inc()
        return self._refusal.once()
