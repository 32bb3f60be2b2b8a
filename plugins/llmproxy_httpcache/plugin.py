"""Caches answers of ordinary HTTP APIs by RFC 9111, within what each route allows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from llmproxy.caches import CacheMeters, Flights, Insight, Recents
from llmproxy.plugin import CallNext, Exchange, Plugin, Reply, Runtime, UpstreamRequest, hookimpl
from llmproxy_httpcache.asking import Asking
from llmproxy_httpcache.config import HttpCacheConfig, HttpCacheRoute
from llmproxy_httpcache.explaining import explain, told
from llmproxy_httpcache.insight import Insights
from llmproxy_httpcache.keeping import Keeping
from llmproxy_httpcache.rules import Rules
from llmproxy_httpcache.serving import Serving
from llmproxy_httpcache.telling import tell


class HttpCachePlugin(Plugin[HttpCacheConfig]):
    """An HTTP cache in one store, for the routes that list it."""

    Config = HttpCacheConfig
    prompt = True
    RouteConfig = HttpCacheRoute
    single = True

    _insights: Insights
    _serving: Serving
    _asking: Asking

    def __init__(self, name: str, config: HttpCacheConfig) -> None:
        super().__init__(name, config)
        self._rules: dict[str, Rules] = {}
        self._label = config.name.encode()

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Hold the store's space and the flights."""
        async with (
            runtime.cache_space(self.config.store) as space,
            Flights.of(runtime, self.name) as flights,
            Recents.of(runtime) as recents,
        ):
            meters = CacheMeters(runtime.metrics, self.name)
            self._insights = Insights(space, recents, runtime.clock)
            keeping = Keeping(space, self._insights)
            self._serving = Serving(keeping, runtime.clock, meters, self._label)
            self._asking = Asking(runtime, keeping, self._serving, flights, meters)
            if self.config.warm_on_start:
                runtime.warm_on_start(self.config.warm_on_start, within=self.config.warm_within)
            yield

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        """Answer from the store, or lay down what is to be asked."""
        reply = await self._serving.look_up(exchange, self._rules_of(exchange))
        if reply is not None and exchange.parent is not None:
            await self._insights.found(exchange)
        return reply

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Ask the upstream, once for all who wait; keep, confirm, or invalidate."""
        return await self._asking.answer(exchange, call_next)

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Put the cache's conditions in place of the caller's."""
        self._asking.edit(exchange, request)

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Say how the answer was cached."""
        if exchange.outcome.answered_by != self.name:
            tell(exchange, reply, self._label, verbose=self.config.show_key)

    def explain_request(self, exchange: Exchange, body: bytes = b"") -> dict[str, Any]:
        """Tell which terms hold on the route and why, whether the answer may be stored, what its key is made of.

        Nothing is looked up, nothing was started; `body` is the caller's. No text of the request is in it.
        """
        return explain(self._rules_of(exchange), exchange, body)

    def foresee(self, exchange: Exchange, body: bytes) -> Sequence[tuple[str, str]]:
        """Say the same for `llmproxy explain`."""
        return list(told(self._rules_of(exchange), exchange, body))

    async def look_into(self, exchange: Exchange) -> Insight:
        """Say what is stored for a request, and where there is nothing, which part of its key differs from others."""
        return await self._insights.look_into(self._rules_of(exchange), exchange)

    def _rules_of(self, exchange: Exchange) -> Rules:
        name = exchange.route.name
        rules = self._rules.get(name)
        if rules is None:
            rules = self._rules[name] = Rules(name, exchange.options(self))
        return rules
