"""A kept answer as one caller's reply: in the caller's form, with its age, at once or at the pace it came."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Literal

from llmproxy.caches import CacheHits, CacheMeters, CacheStatus, key_name, replay
from llmproxy.plugin import HIT, Body, Exchange, Reply, StoredHeaders, wire_fields
from llmproxy_cache.kept import Kept, read

if TYPE_CHECKING:
    from llmproxy.plugin import CacheSpace, Form, Runtime
    from llmproxy_cache.finding import Finding
    from llmproxy_cache.plan import Plan


#: How an answer that is served from what is kept was found.
Served = Literal["hit", "stale", "canonical", "semantic"]


class Serving:
    """Makes replies of kept answers, and counts them."""

    __slots__ = ("_clock", "_finding", "_hits", "_meters", "_name", "_runtime", "_space")

    def __init__(
        self, runtime: Runtime, space: CacheSpace, finding: Finding, meters: CacheMeters, name: bytes
    ) -> None:
        self._runtime = runtime
        self._clock = runtime.clock
        self._space = space
        self._finding = finding
        self._meters = meters
        self._hits: dict[tuple[str, str], CacheHits] = {}
        self._name = name

    async def serve(
        self,
        exchange: Exchange,
        plan: Plan,
        kept: Kept,
        outcome: Served,
        *,
        age: float,
        failed: int = 0,
    ) -> Reply | None:
        """Return the reply that a kept answer gives this caller; None where it cannot be told in the caller's form.

        `age` is in seconds; `failed` is the status of the error that it is given in place of.
        """
        reply = self.serve_as_kept(exchange, plan, kept, outcome, age=age, failed=failed)
        if reply is not None or plan.form is None:
            return reply
        told = await self._in_form(exchange, plan, kept, plan.form)
        return None if told is None else self._serve(exchange, plan, *told, outcome, age=age, failed=failed)

    def serve_as_kept(
        self,
        exchange: Exchange,
        plan: Plan,
        kept: Kept,
        outcome: Served,
        *,
        age: float,
        failed: int = 0,
    ) -> Reply | None:
        """Return the reply of an answer that has the caller's form; None where it has not."""
        place = 0 if plan.form is None else kept.place(plan.form)
        if place is None:
            return None
        return self._serve(exchange, plan, kept, place, outcome, age=age, failed=failed)

    def _serve(
        self,
        exchange: Exchange,
        plan: Plan,
        kept: Kept,
        place: int,
        outcome: Served,
        *,
        age: float,
        failed: int,
    ) -> Reply:
        reply = self._reply(plan, kept, place, self._told(plan, kept, age, failed))
        plan.written = True
        exchange.state[HIT] = kept.about
        body, about, route = reply.body, kept.about, plan.policy.route
        counts = self._hits.get((route, outcome))
        if counts is None:
            counts = self._hits[route, outcome] = self._meters.hits(route, outcome)
        seconds = self._clock.now() - exchange.started
        size = 0 if isinstance(body, Body) else len(body)
        # Where a provider told no tokens, nobody knows what there was to be paid.
        cost, spared = (about.cost, about.seconds - seconds) if about.usage else (0, 0.0)
        counts.count(seconds, age, size, tokens=sum(about.usage), microdollars=cost, saved=spared)
        return reply

    def _told(self, plan: Plan, kept: Kept, age: float, failed: int) -> bytes:
        """Return the header fields that are added to a kept answer for one caller, as they are sent."""
        left = floor(kept.about.lifetime - age)
        if failed:
            told = CacheStatus("stale", forward_status=failed, ttl=left, detail="stale-if-error")
            status = told.value(self._name)
        else:
            status = b"%b; hit; ttl=%d" % (self._name, left)  # as CacheStatus says it, which takes longer
        if plan.tier:
            status += b'; detail="%b"' % plan.tier.encode()
        if plan.policy.shows_key:
            status += b'; key="%b"' % key_name(plan.key).encode()
        return b"Age: %d\r\nCache-Status: %b\r\nCache-Control: %b\r\n" % (age, status, plan.policy.downstream)

    def _reply(self, plan: Plan, kept: Kept, place: int, added: bytes) -> Reply:
        pace = kept.about.forms[0].pace
        if not pace or plan.policy.settings.pace == "at-once" or not kept.about.forms[place].streamed:
            return kept.reply(place, added)
        try:
            reply = replay(kept.stored(place), pace, clock=self._clock)
        except ValueError:
            return kept.reply(place, added)
        reply.headers = StoredHeaders(wire_fields(reply.headers.raw), added)
        return reply

    async def _in_form(
        self, exchange: Exchange, plan: Plan, kept: Kept, form: Form
    ) -> tuple[Kept, int] | None:
        """Return the answer with the form that is wanted, which is kept with it from now on."""
        source = kept.source(form)
        stored, told = kept.stored(source), kept.about.forms[source].form
        derived = await self._runtime.forms.derive(exchange, stored, told, form)
        entry = None if derived.reply is None else kept.with_form(form, derived.reply)
        if entry is None:
            return await self._apart(plan, form, derived.why)
        left = plan.policy.terms.kept - kept.age(self._clock.wall())
        self._runtime.spawn(self._space.put(plan.key, entry, max(left, 1.0)), name="keep-form")
        return read(entry, soft=kept.soft), len(kept.about.forms)

    async def _apart(self, plan: Plan, form: Form, why: str) -> tuple[Kept, int] | None:
        """Go on with a key of its own for a form that no kept answer can be told in."""
        plan.key = b"%bf%b" % (plan.key, spelled(form))
        plan.kept, plan.status = None, CacheStatus("miss", detail=f"other form: {why}")
        own = await self._finding.find(plan)
        place = None if own is None else own.place(form)
        fresh = own is not None and not own.soft and own.age(self._clock.wall()) < own.about.lifetime
        return None if own is None or place is None or not fresh else (own, place)


def spelled(form: Form | None) -> bytes:
    """Return a form as a part of a key."""
    return b"" if form is None else f"{form.wire} {form.call} {form.streamed:d} {form.manner}".encode()
