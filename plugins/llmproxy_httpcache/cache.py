"""The cache at work: what is looked up, what is asked for, by whom, and what each caller gets of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import (
    Body,
    CacheMeters,
    CacheStatus,
    Flights,
    GatewayError,
    Headers,
    Landed,
    Recording,
    Reply,
    Runtime,
    StoredReply,
    UpstreamRequest,
)
from llmproxy_httpcache.answering import facts_of, from_store, part_of, tailored
from llmproxy_httpcache.filling import Filling, completion
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.key import with_body, with_credentials
from llmproxy_httpcache.plan import PLAN, Plan, Stored
from llmproxy_httpcache.requests import CONDITIONS, read_request
from llmproxy_httpcache.reusing import Fresh, Miss, Refuse, Stale, Validate, lookup
from llmproxy_httpcache.twin import twin_of
from llmproxy_httpcache.validating import conditions, only_tags

if TYPE_CHECKING:
    from llmproxy.plugin import CallNext, Exchange
    from llmproxy_httpcache.keeping import Keeping
    from llmproxy_httpcache.rules import Rules

#: Stale answers that are validated behind their callers' backs at one time.
_MOST_REFRESHES: Final = 4096

_GET_AND_HEAD: Final = frozenset({"GET", "HEAD"})


class Cache:
    """The HTTP cache of one plugin instance, for one generation."""

    def __init__(
        self, runtime: Runtime, keeping: Keeping, flights: Flights, meters: CacheMeters, name: bytes
    ) -> None:
        self._runtime = runtime
        self._keeping = keeping
        self._flights = flights
        self._meters = meters
        self._name = name
        self._clock = runtime.clock
        self._refreshing: set[bytes] = set()

    # From a request to what is stored.

    async def look_up(self, exchange: Exchange, rules: Rules) -> Reply | None:
        """Return a stored reply, or None after having laid down what is to be done."""
        plan = await self._plan(exchange, rules)
        exchange.state[PLAN] = plan
        if not plan.key:
            return None
        await self._keeping.look_up(plan)
        now, stored = self._clock.wall(), plan.stored
        if stored is not None:
            verdict = lookup(plan.asked, stored.terms, now, purged_softly=stored.soft)
        elif (part := self._part(plan, now)) is not None:
            return self._hit(exchange, plan, part, "hit")
        else:
            verdict = lookup(plan.asked, None, now)
        plan.verdict = verdict
        if stored is not None and isinstance(verdict, Fresh | Stale):
            plan.status = CacheStatus(ttl=verdict.left)
            if isinstance(verdict, Stale) and verdict.revalidate:
                return None
            reply = from_store(plan.asked, stored, verdict.age, plan.status.value(self._name), now)
            return self._hit(exchange, plan, reply, "hit" if isinstance(verdict, Fresh) else "stale")
        self._say_why(plan)
        return None

    def _say_why(self, plan: Plan) -> None:
        """Say why the request goes on, if it may."""
        verdict = plan.verdict
        if isinstance(verdict, Refuse):
            plan.status = CacheStatus("bypass", detail="only-if-cached")
            raise GatewayError(504, "not_stored", "The answer is not stored, and nothing else was asked for.")
        if isinstance(verdict, Validate):
            plan.status = CacheStatus(verdict.why, ttl=verdict.left)
        else:
            plan.status = CacheStatus("uri-miss" if plan.index is None else "vary-miss")

    async def _plan(self, exchange: Exchange, rules: Rules) -> Plan:
        request = exchange.request
        headers, method = request.headers, request.method
        last = headers.index
        asked = read_request(method, headers.raw, last, exchange.spent, obey=rules.policy.obeys_callers)
        origin = f"{request.scheme}://{request.host.lower()}"
        target = rules.keys.target(request.target)
        plan = Plan(
            rules,
            asked,
            Fields(headers.raw, last),
            tenant=exchange.caller.tenant,
            origin=origin,
            target=target,
            key=b"",
        )
        if not rules.active or asked.precondition:
            return plan
        if method not in rules.methods:
            plan.status = CacheStatus("method")
            return plan
        bodiless = method in _GET_AND_HEAD
        # A body that GET should not have could change the answer, and is not in its key.
        if not bodiless or (last.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in last):
            key = rules.key_of(asked, plan.tenant, origin, target, plan.fields)
            plan.key = key if bodiless else with_body(key, method, plan.fields, await exchange.body())
        return plan

    def _part(self, plan: Plan, now: float) -> Reply | None:
        """Return the range that a caller wants, if a fresh part has it."""
        part = plan.part
        if part is None or plan.asked.range is None:
            return None
        verdict = lookup(plan.asked, part.terms, now, purged_softly=part.soft)
        if not isinstance(verdict, Fresh):
            return None
        plan.status = CacheStatus(ttl=verdict.left)
        return part_of(plan.asked, part, verdict.age, plan.status.value(self._name), now)

    def _hit(self, exchange: Exchange, plan: Plan, reply: Reply, outcome: str) -> Reply:
        plan.written = True
        seconds = self._clock.now() - exchange.started
        self._meters.answered(plan.rules.route, outcome, seconds)  # type: ignore[arg-type]
        age = reply.headers.index.get(b"age")
        self._meters.served(0 if age is None else int(age), len(reply.body))  # type: ignore[arg-type]
        return reply

    # From a request to the upstream.

    async def answer(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Return the reply of a request that what is stored does not answer."""
        plan = exchange.state.get(PLAN)
        if plan is None:
            return await call_next(exchange)
        if not plan.key:
            return await self._past(plan, exchange, call_next)
        if plan.stored is not None and isinstance(plan.verdict, Stale):
            return self._while_refreshing(plan, plan.stored, plan.verdict, exchange, call_next)
        filling = Filling(plan, exchange, call_next, self._keeping, self._clock)
        if plan.asked.method == "HEAD":
            return await filling.head()
        if plan.asked.range is not None and isinstance(plan.verdict, Miss):
            return await self._alone(filling)
        return await self._shared(plan, filling, exchange)

    async def _shared(self, plan: Plan, filling: Filling, exchange: Exchange) -> Reply:
        """Return an answer that others who want the same get too."""
        plan.edits = self._edits(plan)
        key = plan.key if plan.stored is None else plan.stored.key
        if plan.asked.credentials:
            key = with_credentials(key, plan.asked.credentials)
        landed = await self._flights.run(
            key,
            exchange,
            filling.fetch,
            shareable=lambda _: plan.shareable,
            keep=filling.save,
            recheck=partial(self._recheck, plan),
            variant=partial(_variant, plan),
            epoch=self._keeping.space.now().sequence,
        )
        self._count(exchange, plan, landed)
        return self._own(plan, landed)

    def _edits(self, plan: Plan) -> list[tuple[bytes, bytes]] | None:
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
        return None if plan.key in self._flights.misses else []

    async def _recheck(self, plan: Plan) -> Reply | None:
        """Look again for an answer that got into the store since."""
        await self._keeping.look_up(plan)
        stored, now = plan.stored, self._clock.wall()
        if stored is None:
            return None
        verdict = lookup(plan.asked, stored.terms, now, purged_softly=stored.soft)
        if not isinstance(verdict, Fresh):
            return None
        plan.status = CacheStatus(ttl=verdict.left)
        entry = stored.entry
        headers = Headers([*entry.headers, (b"Age", b"%d" % verdict.age)])
        return Reply(entry.status, headers, bytes(entry.body))

    def _own(self, plan: Plan, landed: Landed) -> Reply:
        """Return what the caller's own conditions and range make of an answer."""
        reply, asked = landed.reply, plan.asked
        if landed.role == "joined":
            plan.tell(collapsed=True)
        if not asked.conditional and asked.range is None:
            return reply
        now = self._clock.wall()
        shared = plan.shareable or landed.role == "joined"
        if isinstance(reply.body, Body) and not shared:
            return reply
        own = tailored(asked, reply, facts_of(reply, now), now)
        if own is not reply and isinstance(reply.body, Body):
            # It goes on into the store, though this caller needs no more of it.
            self._runtime.spawn(_drain(reply.body), name="drain")
        return own

    async def _alone(self, filling: Filling) -> Reply:
        """Return an answer that nobody else gets: one to a range."""
        reply = await filling.fetch()
        await self._keep_as_it_passes(filling, reply)
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

        recording = Recording(filling.limit, complete)
        reply.body.observe(recording)

    # Behind a caller's back.

    def _while_refreshing(
        self, plan: Plan, stored: Stored, verdict: Stale, exchange: Exchange, call_next: CallNext
    ) -> Reply:
        """Return a stale answer, and have it validated (RFC 5861 §3)."""
        if stored.key not in self._refreshing and len(self._refreshing) < _MOST_REFRESHES:
            self._refreshing.add(stored.key)
            self._runtime.spawn(self._refresh(plan, stored, exchange, call_next), name="refresh")
        exchange.outcome.cache = exchange.outcome.result = "hit"
        status = plan.status.value(self._name)
        reply = from_store(plan.asked, stored, verdict.age, status, self._clock.wall())
        return self._hit(exchange, plan, reply, "stale")

    async def _refresh(self, plan: Plan, stored: Stored, exchange: Exchange, call_next: CallNext) -> None:
        try:
            twin = await twin_of(exchange, self._clock)
            again = plan.again(Validate(0, 0, "stale"))
            twin.state[PLAN] = again
            filling = Filling(again, twin, call_next, self._keeping, self._clock)
            reply = await self._shared(again, filling, twin)
            if isinstance(reply.body, Body):
                await _drain(reply.body)
        except GatewayError as fault:
            self._runtime.log.info("refresh_failed", route=plan.rules.route, error=fault.code)
        finally:
            self._refreshing.discard(stored.key)

    # Past the cache.

    async def _past(self, plan: Plan, exchange: Exchange, call_next: CallNext) -> Reply:
        """Pass a request on, and take what it changes out of the store before its answer leaves."""
        filling = Filling(plan, exchange, call_next, self._keeping, self._clock)
        plan.requested = self._clock.wall()
        reply = await call_next(exchange)
        self._meters.answered(plan.rules.route, "bypass", self._clock.now() - exchange.started)
        plan.tell(forward_status=reply.status)
        if exchange.request.method not in plan.rules.safe:
            await filling.unsafe(exchange.request.method, reply)
            await self._keep_as_it_passes(filling, reply)
        return reply

    # What the upstream is asked, and what the caller is told.

    def edit(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Put the cache's conditions in place of the caller's."""
        plan = exchange.state.get(PLAN)
        if plan is None or plan.edits is None:
            return
        kept = [pair for pair in request.headers.raw if pair[0].lower() not in CONDITIONS]
        request.headers = Headers([*kept, *plan.edits])

    def _count(self, exchange: Exchange, plan: Plan, landed: Landed) -> None:
        joined = landed.role == "joined"
        asked = plan.status.forward_status == 304
        outcome = "joined" if joined else "revalidated" if asked else "miss"
        self._meters.answered(plan.rules.route, outcome, self._clock.now() - exchange.started)  # type: ignore[arg-type]


def _variant(plan: Plan, reply: Reply) -> bytes:
    """Return what tells a caller's variant from others', by an answer's head."""
    return plan.rules.selection(Fields(reply.headers.raw, reply.headers.index), plan.fields)


async def _drain(body: Body) -> None:
    async for _ in body.pieces():
        pass
