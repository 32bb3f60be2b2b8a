"""Answers routes with what several calls give, made at once and merged by a template."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial

from llmproxy.plugin import Counter, Exchange, GatewayError, Plugin, Registry, Reply, Runtime, hookimpl
from llmproxy_aggregate.calling import Calling, Relayed
from llmproxy_aggregate.config import AggregateConfig, AggregateRoute
from llmproxy_aggregate.depth import admit
from llmproxy_aggregate.gathering import Gathering
from llmproxy_aggregate.merging import merge, vary
from llmproxy_aggregate.plan import Plan
from llmproxy_aggregate.values import request_values


class AggregatePlugin(Plugin[AggregateConfig]):
    """One answer made of several calls to other routes."""

    Config = AggregateConfig
    RouteConfig = AggregateRoute
    single = True

    _calling: Calling
    _calls: Counter

    def __init__(self, name: str, config: AggregateConfig) -> None:
        super().__init__(name, config)
        self._plans: dict[str, Plan] = {}

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Answer the routes that declare calls."""
        registry.answer_routes(self.answer, when=lambda options: bool(options.calls))

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Hold what makes and counts calls."""
        self._calling = Calling(runtime, self.config.max_reply)
        self._calls = runtime.metrics.counter(
            "llmproxy_aggregate_calls_total",
            "Calls made for merged answers.",
            ("plugin", "route", "call", "outcome"),
        )
        yield

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Let nobody but the gateway itself use an internal route."""
        if exchange.parent is None and exchange.options(self).internal:
            request = exchange.request
            message = f"No route matches {request.method} {request.path[:200]}."
            raise GatewayError(404, "unknown_route", message)
        return None

    def check_options(self, options: AggregateRoute, parameters: Collection[str]) -> None:
        """Refuse templates that refer to parameters which the route's path does not have."""
        options.check_parameters(parameters)

    async def answer(self, exchange: Exchange) -> Reply:
        """Make the calls and merge what they give."""
        plan = self._plan_of(exchange)
        config = self.config
        admit(exchange, len(plan.calls), most_calls=config.max_calls, deepest=config.max_depth)
        if not exchange.deadline:
            exchange.deadline = exchange.started + config.timeout
        values = await request_values(exchange, plan.sources)
        count = partial(self._count, exchange.route.name)
        gathering = Gathering(plan, self._calling, exchange, values, count)
        try:
            await gathering.run()
        except Relayed as relayed:
            vary(plan, relayed.reply.headers)
            return relayed.reply
        return merge(plan, gathering, config.max_answer)

    def foresee(self, exchange: Exchange, body: bytes) -> Sequence[tuple[str, str]]:
        """Say which calls are made, and which of them wait for others."""
        if not exchange.options(self).calls:
            return ()
        waves = self._plan_of(exchange).waves()
        return [("calls", ", then ".join(" and ".join(names) for names in waves))]

    def _count(self, route: str, call: str, outcome: str) -> None:
        self._calls.labels(self.name, route, call, outcome).inc()

    def _plan_of(self, exchange: Exchange) -> Plan:
        name = exchange.route.name
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = Plan(exchange.options(self))
        return plan
