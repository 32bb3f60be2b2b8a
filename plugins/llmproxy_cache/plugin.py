"""Keeps answers of language models, for the routes that say so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from llmproxy.caches import CacheMeters, Flights, Insight, Recents
from llmproxy.plugin import CallNext, Exchange, Plugin, Reply, Runtime, UpstreamRequest, hookimpl
from llmproxy_cache.cache import Cache
from llmproxy_cache.config import CacheConfig, CacheRoute
from llmproxy_cache.control import FIELD
from llmproxy_cache.finding import Finding
from llmproxy_cache.foreseeing import foresee
from llmproxy_cache.insight import Insights
from llmproxy_cache.looking import Looking
from llmproxy_cache.policy import Policy
from llmproxy_cache.serving import Serving


class CachePlugin(Plugin[CacheConfig]):
    """A cache of answers in one store."""

    Config = CacheConfig
    prompt = True
    RouteConfig = CacheRoute
    after = ("access", "semantic")
    single = True

    _cache: Cache
    _insights: Insights
    _looking: Looking
    _runtime: Runtime

    def __init__(self, name: str, config: CacheConfig) -> None:
        super().__init__(name, config)
        self._policies: dict[str, Policy] = {}

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Hold the store's space and the flights."""
        self._runtime = runtime
        async with (
            runtime.cache_space(self.config.store) as space,
            Flights.of(runtime, self.name) as flights,
            Recents.of(runtime) as recents,
        ):
            meters = CacheMeters(runtime.metrics, self.name)
            label, finding = self.config.name.encode(), Finding(space)
            serving = Serving(runtime, space, finding, meters, label)
            self._looking = Looking(space, finding, serving, runtime.clock)
            self._insights = Insights(space, recents, runtime.clock)
            self._cache = Cache(runtime, space, flights, meters, finding, serving, self._insights, label)
            runtime.spawn(runtime.tariff.load(), name="tariff")
            if self.config.warm_on_start:
                runtime.warm_on_start(self.config.warm_on_start, within=self.config.warm_within)
            yield

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        """Answer from the store, or lay down what is to be asked."""
        reply = await self._looking.look_up(exchange, self._policy_of(exchange))
        if reply is not None and exchange.parent is not None:
            await self._insights.found(exchange)
        return reply

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Ask the upstream, once for all who wait; keep what is good."""
        return await self._cache.answer(exchange, call_next)

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Take out what was said to this cache alone."""
        said = exchange.request.headers.index
        for name in (FIELD, self._policy_of(exchange).tags_header):
            if name in said:
                request.headers.remove(name)

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Say how the answer was cached."""
        self._cache.tell(exchange, reply, self._policy_of(exchange))

    def foresee(self, exchange: Exchange, body: bytes) -> Sequence[tuple[str, str]]:
        """Say which terms hold on the route and why, and what the answer's key is made of."""
        policy = Policy(exchange.route.name, exchange.options(self), lambda _: None)
        return list(foresee(policy, exchange, body))

    async def look_into(self, exchange: Exchange) -> Insight:
        """Say what is stored for a request, and where there is nothing, which part of its key differs from others."""
        return await self._insights.look_into(self._policy_of(exchange), exchange)

    def _policy_of(self, exchange: Exchange) -> Policy:
        name = exchange.route.name
        policy = self._policies.get(name)
        if policy is None:
            policy = self._policies[name] = Policy(
                name, exchange.options(self), self._runtime.forms.asked, shows_key=self.config.show_key
            )
        return policy
