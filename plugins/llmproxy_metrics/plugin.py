"""Counts exchanges, attempts and tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmproxy.plugin import Attempt, Exchange, Plugin, Reply, Runtime, StartError, hookimpl
from llmproxy_metrics.config import MetricsConfig
from llmproxy_metrics.meters import Meters


class MetricsPlugin(Plugin[MetricsConfig]):
    """Prometheus metrics of the routes that list it; the admin listener shows them."""

    Config = MetricsConfig
    prompt = True
    _meters: Meters

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Find or make the metrics: they outlive generations."""
        try:
            self._meters = Meters(runtime.metrics, self.config.buckets, per_model=self.config.per_model)
        except ValueError as fault:
            raise StartError(f"plugin {self.name!r}: {fault}; other 'buckets' take a restart") from fault
        yield

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Count what begins."""
        self._meters.route(exchange).begin(exchange)
        return None

    @hookimpl
    def attempt_done(self, exchange: Exchange, attempt: Attempt) -> None:
        """Count an attempt."""
        self._meters.attempt(attempt)

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        """Count what has ended."""
        self._meters.route(exchange).end(exchange)
