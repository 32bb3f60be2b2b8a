"""The cache at work where what is kept does not do at once: who is asked, what each caller gets of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from llmproxy.caches import CacheMeters, CacheStatus, Flights, key_name
from llmproxy.plugin import Body, CallNext, Exchange, GatewayError, Reply, UpstreamError
from llmproxy_cache.filling import Filling
from llmproxy_cache.finding import Finding
from llmproxy_cache.freshness import serves_on_error
from llmproxy_cache.kept import common_fields
from llmproxy_cache.looking import not_kept
from llmproxy_cache.pinning import pin
from llmproxy_cache.plan import PLAN, Plan
from llmproxy_cache.refreshing import drain, twin_of
from llmproxy_cache.serving import Serving, spelled

if TYPE_CHECKING:
    from llmproxy.plugin import CacheSpace, Runtime
    from llmproxy_cache.insight import Insights
    from llmproxy_cache.policy import Policy

#: Answers that are made anew behind their callers' backs at one time.
_MOST_REFRESHES: Final = 1024

#: Statuses in whose place a stale answer is given: the provider is overloaded, or does not work.
_FAILED: Final = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})


class Cache:
    """The cache of one plugin instance, for one generation."""

    def __init__(
        self,
        runtime: Runtime,
        space: CacheSpace,
        flights: Flights,
        meters: CacheMeters,
        finding: Finding,
        serving: Serving,
        insights: Insights,
        name: bytes,
    ) -> None:
        self._runtime = runtime
        self._clock = runtime.clock
        self._space = space
        self._flights = flights
        self._meters = meters
        self._finding = finding
        self._serving = serving
        self._insights = insights
        self._name = name
        self._refreshing: set[bytes] = set()

    async def answer(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Return the reply of a request that what is kept does not answer at once."""
        plan = exchange.state.get(PLAN)
        if plan is None:
            return await call_next(exchange)
        if not plan.key:
            return await self._past(exchange, plan, call_next)
        if exchange.pinned is not None:
            return await pin(self._filling(exchange, plan, call_next), exchange, plan)
        if plan.refreshes and plan.kept is not None:
            outcome = plan.use if plan.use == "stale" else "hit"
            age = plan.kept.age(self._clock.wall())
            reply = await self._serving.serve(exchange, plan, plan.kept, outcome, age=age)
            if reply is not None:
                exchange.outcome.cache = exchange.outcome.result = "hit"
                self._refresh_behind(exchange, plan, call_next)
                return reply
            if plan.control.only_if_cached:
                raise not_kept()
        return await self._ask(exchange, plan, call_next)

    async def _past(self, exchange: Exchange, plan: Plan, call_next: CallNext) -> Reply:
        reply = await call_next(exchange)
        plan.tell(forward_status=reply.status)
        if plan.policy.cacheable:
            self._meters.answered(plan.policy.route, "bypass", self._clock.now() - exchange.started)
        return reply

    async def _ask(self, exchange: Exchange, plan: Plan, call_next: CallNext) -> Reply:
        """Ask the upstream, once for all who want the same; give what is stale in place of an error."""
        try:
            role, reply = await self._fetched(exchange, plan, call_next)
        except GatewayError as fault:
            failed = isinstance(fault, UpstreamError) or fault.status in _FAILED
            stale = await self._in_place_of(exchange, plan, fault.status) if failed else None
            if stale is None:
                raise
            return stale
        if reply.status in _FAILED:
            stale = await self._in_place_of(exchange, plan, reply.status)
            if stale is not None:
                if isinstance(reply.body, Body):
                    reply.body.abandon()
                return stale
        joined = role == "joined"
        if joined:
            plan.tell(collapsed=True)
            reply.headers = common_fields(reply.headers)
        seconds = self._clock.now() - exchange.started
        self._meters.answered(plan.policy.route, "joined" if joined else "miss", seconds)
        return reply

    async def _fetched(self, exchange: Exchange, plan: Plan, call_next: CallNext) -> tuple[str, Reply]:
        filling = self._filling(exchange, plan, call_next)
        strong = plan.policy.terms.consistency == "strong"
        mark = await self._space.mark() if strong else self._space.now()
        reply, role = await self._flights.run(
            b"%b\0%b" % (plan.key, spelled(plan.form)),
            exchange,
            filling.fetch,
            shareable=filling.shareable,
            keep=filling.keep,
            recheck=partial(self._recheck, exchange, plan),
            epoch=self._space.epoch(mark) if strong else self._space.barrier,
            wait_limit=plan.policy.settings.wait,
        )
        return role, reply

    def _filling(self, exchange: Exchange, plan: Plan, call_next: CallNext) -> Filling:
        return Filling(
            plan,
            exchange,
            call_next,
            runtime=self._runtime,
            space=self._space,
            meters=self._meters,
            stored=self._insights.stored,
        )

    async def _recheck(self, exchange: Exchange, plan: Plan) -> Reply | None:
        """Look again for an answer that got into the store since this caller came."""
        kept = await self._finding.find(plan)
        if kept is None or kept.soft:
            return None
        since = 0 if plan.kept is None else plan.kept.entry.stored
        wall = self._clock.wall()
        if plan.control.refresh:
            since = max(since, int((wall - (self._clock.now() - exchange.started)) * 1e6))
        place = 0 if plan.form is None else kept.place(plan.form)
        age = kept.age(wall)
        if place is None or kept.entry.stored <= since or age >= kept.about.lifetime:
            return None
        return kept.reply(place, [(b"Age", b"%d" % age)])

    async def _in_place_of(self, exchange: Exchange, plan: Plan, status: int) -> Reply | None:
        """Return the stale answer that may be given in place of an error."""
        kept = plan.kept
        if kept is None:
            return None
        age = kept.age(self._clock.wall())
        if not serves_on_error(age, kept.about.lifetime, plan.policy.terms.stale_if_error):
            return None
        if not await self._finding.stands(plan, kept):
            return None
        exchange.outcome.cache = exchange.outcome.result = "hit"
        return await self._serving.serve(exchange, plan, kept, "stale", age=age, failed=status)

    # Behind a caller's back.

    def _refresh_behind(self, exchange: Exchange, plan: Plan, call_next: CallNext) -> None:
        if plan.control.only_if_cached:
            return
        if plan.key not in self._refreshing and len(self._refreshing) < _MOST_REFRESHES:
            self._refreshing.add(plan.key)
            self._runtime.spawn(self._refresh(exchange, plan, call_next), name="refresh")

    async def _refresh(self, exchange: Exchange, plan: Plan, call_next: CallNext) -> None:
        try:
            twin = await twin_of(exchange, self._clock)
            _, reply = await self._fetched(twin, plan.again(), call_next)
            await drain(reply)
        except GatewayError as fault:
            self._runtime.log.info("refresh_failed", route=plan.policy.route, error=fault.code)
        finally:
            self._refreshing.discard(plan.key)

    # What the caller is told.

    def tell(self, exchange: Exchange, reply: Reply, policy: Policy) -> None:
        """Say how the answer was cached, and what caches behind may do with it."""
        plan = exchange.state.get(PLAN)
        if (plan is not None and plan.written) or exchange.upgraded:
            return
        status = CacheStatus("bypass") if plan is None else plan.status
        if plan is not None and plan.key and policy.shows_key:
            status = status._replace(key=key_name(plan.key))
        reply.headers.add(b"Cache-Status", status.value(self._name))
        reply.headers.set(b"Cache-Control", policy.downstream)
