"""From a request to the upstream: what it is asked, for whom, and what each caller gets of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from llmproxy.plugin import Body, Headers, Recording, Reply, Runtime, StoredReply
from llmproxy_httpcache.answering import facts_of, tailored
from llmproxy_httpcache.changing import change
from llmproxy_httpcache.completing import completion
from llmproxy_httpcache.filling import Filling
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.key import with_credentials
from llmproxy_httpcache.mutating import mutate
from llmproxy_httpcache.plan import PLAN, Plan
from llmproxy_httpcache.refreshing import Refreshing
from llmproxy_httpcache.requests import CONDITIONS
from llmproxy_httpcache.reusing import Fresh, Miss, Stale
from llmproxy_httpcache.validating import conditions, only_tags

if TYPE_CHECKING:
    from llmproxy.caches import CacheMeters, Flights, Landed
    from llmproxy.plugin import CallNext, Exchange, UpstreamRequest
    from llmproxy_httpcache.headers import RawHeader
    from llmproxy_httpcache.keeping import Keeping
    from llmproxy_httpcache.serving import Serving


class Asking:
    """Asks upstreams on behalf of callers whom the store does not answer."""

    def __init__(
        self, runtime: Runtime, keeping: Keeping, serving: Serving, flights: Flights, meters: CacheMeters
    ) -> None:
        self._runtime = runtime
        self._keeping = keeping
        self._serving = serving
        self._flights = flights
        self._meters = meters
        self._refreshing = Refreshing(runtime)

    async def answer(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Return the reply of a request that what is stored does not answer."""
        plan = exchange.state.get(PLAN)
        if plan is None:
            return await call_next(exchange)
        filling = Filling(plan, exchange, call_next, self._keeping, self._runtime.clock)
        if not plan.key:
            return await self._past(filling, exchange)
        if plan.stored is not None and isinstance(plan.verdict, Stale | Fresh):
            self._refreshing.begin(plan, exchange)
            exchange.outcome.cache = exchange.outcome.result = "hit"
            outcome: Literal["stale", "hit"] = "stale" if isinstance(plan.verdict, Stale) else "hit"
            return self._serving.hit(exchange, plan, plan.stored, plan.verdict, outcome)
        if plan.asked.method == "HEAD":
            return await filling.head()
        # What nobody else may have, or wants so, is not for others to wait for.
        ranged = plan.asked.range is not None and isinstance(plan.verdict, Miss)
        if ranged or plan.asked.control.no_store or exchange.pinned is not None:
            reply = await filling.fetch()
            await self._keep_as_it_passes(filling, reply)
            return reply
        return await self._shared(filling, exchange)

    def edit(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Put the cache's conditions in place of the caller's."""
        plan = exchange.state.get(PLAN)
        if plan is None or plan.edits is None:
            return
        kept = [pair for pair in request.headers.raw if pair[0].lower() not in CONDITIONS]
        request.headers = Headers([*kept, *plan.edits])

    async def _shared(self, filling: Filling, exchange: Exchange) -> Reply:
        """Return an answer that others who want the same get too."""
        plan = filling.plan
        key = plan.key if plan.stored is None else plan.stored.key
        if plan.asked.credentials:
            key = with_credentials(key, plan.asked.credentials)
        plan.edits = self._edits(plan, lately_missed=key in self._flights.misses)
        landed = await self._flights.run(
            key,
            exchange,
            filling.fetch,
            shareable=lambda _: plan.shareable,
            keep=filling.save,
            recheck=lambda: self._serving.again(plan),
            variant=lambda reply: _variant(plan, reply),
            epoch=self._keeping.space.epoch(await self._keeping.mark(plan)),
        )
        self._count(exchange, plan, landed.role)
        return self._own(plan, landed)

    def _edits(self, plan: Plan, *, lately_missed: bool) -> list[RawHeader] | None:
        """Return what the upstream is asked in place of the caller's conditions; None leaves those."""
        if plan.stored is not None:
            return conditions(plan.stored.terms)
        if plan.part is not None:
            unvalidated = plan.rules.policy.completes_unvalidated
            rest = completion(plan.part.terms, plan.rules.max_body, unvalidated=unvalidated)
            if rest is not None:
                return rest
        if plan.index is not None and plan.index.etags:
            return only_tags(plan.index.etags)
        # What was not to be stored lately is none of this cache's business.
        return None if lately_missed else []

    def _own(self, plan: Plan, landed: Landed) -> Reply:
        """Return what the caller's own conditions and range make of an answer."""
        reply, asked = landed.reply, plan.asked
        joined = landed.role == "joined"
        if joined:
            plan.tell(collapsed=True)
        coming = isinstance(reply.body, Body)
        if not (asked.conditional or asked.range) or (coming and not (plan.shareable or joined)):
            return reply
        now = self._runtime.clock.wall()
        own = tailored(asked, reply, facts_of(reply, now), now)
        if own is not reply and isinstance(reply.body, Body):
            # It goes on into the store, though this caller needs no more of it.
            self._runtime.spawn(drain(reply.body), name="drain")
        return own

    async def _past(self, filling: Filling, exchange: Exchange) -> Reply:
        """Pass a request on, and take what it changes out of the store before its answer leaves."""
        plan = filling.plan
        reply = await filling.pass_on()
        if plan.query is not None and plan.rules.graphql is not None:
            if plan.query.kind in {"unsafe", "hashed"}:
                await mutate(plan, plan.rules.graphql, reply, self._keeping)
        elif exchange.request.method not in plan.rules.safe:
            filling.keep = await change(
                plan, exchange.request.method, reply, self._keeping, self._runtime.clock
            )
            await self._keep_as_it_passes(filling, reply)
        self._meters.answered(plan.rules.route, "bypass", self._runtime.clock.now() - exchange.started)
        return reply

    async def _keep_as_it_passes(self, filling: Filling, reply: Reply) -> None:
        """Store an answer that no flight keeps."""
        if filling.keep is None:
            return
        status, headers = reply.status, tuple(reply.headers.raw)
        if not isinstance(reply.body, Body):
            await filling.save(StoredReply(status, headers, reply.body))
            return

        def complete() -> None:
            whole = recording.whole()
            if whole is not None:
                self._runtime.spawn(filling.save(StoredReply(status, headers, whole)), name="keep")

        recording = Recording(filling.plan.rules.max_body, complete)
        reply.body.observe(recording)

    def _count(self, exchange: Exchange, plan: Plan, role: str) -> None:
        outcome: Literal["joined", "revalidated", "miss"] = "miss"
        if role == "joined":
            outcome = "joined"
        elif plan.status.forward_status == 304:
            outcome = "revalidated"
        self._meters.answered(plan.rules.route, outcome, self._runtime.clock.now() - exchange.started)


def _variant(plan: Plan, reply: Reply) -> bytes:
    """Return what tells a caller's variant from others', by an answer's head."""
    return plan.rules.selection(Fields(reply.headers.raw, reply.headers.index), plan.fields)


async def drain(body: Body) -> None:
    """Take a body to its end, for the sake of who keeps it."""
    async for _ in body.pieces():
        pass
