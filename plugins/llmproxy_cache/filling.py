"""An answer that is not kept: asked for, judged, kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from llmproxy.caches import FATE, CacheMeters, Pace, entry_slots, field_tags, key_name, tag_slots
from llmproxy.plugin import Body, CallNext, Entry, Exchange, Reply, StoredReply, Usage
from llmproxy_cache.kept import About, FormKept, lasting_fields, pack_about
from llmproxy_cache.kinship import tell_kin
from llmproxy_cache.plan import Plan
from llmproxy_cache.storing import GOOD, why_not

if TYPE_CHECKING:
    from llmproxy.caches import Fate
    from llmproxy.plugin import CacheSpace, Form, Runtime

#: From here on an answer is an error, which all who wait are told, and nobody later.
_ERROR: Final = 400


class Filling:
    """One plan's way to the upstream and into the store; `fetch` runs once for all who wait."""

    __slots__ = (
        "_call",
        "_coded",
        "_exchange",
        "_meters",
        "_pace",
        "_plan",
        "_runtime",
        "_served",
        "_space",
        "_stored",
        "_tags",
        "tenant",
    )

    def __init__(
        self,
        plan: Plan,
        exchange: Exchange,
        call_next: CallNext,
        *,
        runtime: Runtime,
        space: CacheSpace,
        meters: CacheMeters,
        stored: Callable[[Exchange, Plan], None],
    ) -> None:
        self._plan = plan
        self._exchange = exchange
        self._call = call_next
        self._runtime = runtime
        self._space = space
        self._meters = meters
        self._stored = stored
        self._pace: Pace | None = None
        #: The form of what came.
        self._served: Form | None = None
        self._tags: tuple[str, ...] = ()
        self._coded = False
        self.tenant = exchange.caller.tenant

    async def fetch(self) -> Reply:
        """Return the upstream's answer.

        Raises:
            GatewayError: there is none.
        """
        plan, space = self._plan, self._space
        if plan.control.refresh and plan.kept is not None:
            # Whatever another worker has at hand is stale from here on; what comes now is newer than that.
            slots = tag_slots("key", key_name(plan.key), tenant=self.tenant)
            _ = await space.purge(slots, soft=True, quiet=True)
        strong = plan.policy.terms.consistency == "strong"
        plan.mark = await space.mark() if strong else space.now()
        plan.started = self._runtime.clock.now()
        if plan.policy.settings.across_dialects:
            self._runtime.forms.want_own(self._exchange, plan.policy.settings.max_body)
        reply = await self._call(self._exchange)
        plan.tell(forward_status=reply.status)
        if reply.status == GOOD:
            reply.headers.remove("set-cookie")
            self._served = self._runtime.forms.kept(self._exchange, reply)
            self._tags = (*plan.policy.settings.tags, *plan.tags, *field_tags(reply.headers))
            self._coded = b"content-encoding" in reply.headers.index
            if plan.policy.settings.pace == "recorded" and isinstance(reply.body, Body):
                self._pace = Pace(self._runtime.clock.now)
                reply.body.observe(self._pace)
        return reply

    def shareable(self, reply: Reply) -> bool:
        """Say whether all who wait may have an answer: they ask for the same, and an error would be theirs too."""
        return reply.status == GOOD or reply.status >= _ERROR

    def keep(self, whole: StoredReply) -> Awaitable[None] | None:
        """Keep an answer that is whole, if it is good."""
        why = "encoded" if self._coded else why_not(self._exchange, self._plan, whole)
        route, fate = self._plan.policy.route, self._exchange.state.get(FATE)
        if why:
            self._meters.stored(route, why)
            if fate is not None:
                fate.refuse(why)
            return None
        self._meters.stored(route, "stored", len(whole.body))
        self._plan.tell(stored=True)
        return self._put(whole, fate)

    async def _put(self, whole: StoredReply, fate: Fate | None) -> None:
        plan, terms = self._plan, self._plan.policy.terms
        entry = self._entry(whole)
        keep_for = plan.lifetime + max(terms.stale_while_revalidate, terms.stale_if_error)
        kept = await self._space.put(plan.key, entry, keep_for)
        self._stored(self._exchange, plan)
        if fate is not None:
            await fate.stored(self._space, plan.key, entry, keep_for, kept=kept)
        if kept:
            await tell_kin(
                self._exchange,
                plan,
                space=self._space,
                entry=entry,
                ttl=keep_for,
                whole=whole,
                runtime=self._runtime,
            )

    def _entry(self, whole: StoredReply) -> Entry:
        plan, exchange = self._plan, self._exchange
        assert plan.mark is not None
        seconds = max(0.0, self._runtime.clock.now() - plan.started)
        endpoint, usage = exchange.endpoint, exchange.usage
        cost = None
        if usage is not None and endpoint is not None:
            cost = self._runtime.tariff.price(endpoint, usage, exchange.model)
        forms, body = self._forms(whole)
        about = About(
            plan.lifetime,
            forms,
            seconds,
            "" if endpoint is None else endpoint.upstream,
            "" if endpoint is None else endpoint.model or exchange.model or "",
            () if usage is None else _buckets(usage),
            -1 if cost is None else cost,
            exchange.pinned is not None,
        )
        return Entry(
            whole.status,
            lasting_fields(whole.headers) + _saving(about),
            body,
            mark=plan.mark,
            slots=self._slots(),
            stored=int(self._runtime.clock.wall() * 1e6),
            meta=pack_about(about),
        )

    def _forms(self, whole: StoredReply) -> tuple[tuple[FormKept, ...], bytes]:
        """Return the forms that are at hand, and their bodies: what the caller gets, and the provider's own words."""
        plan, served = self._plan, self._served
        pace = b"" if self._pace is None else self._pace.pack()
        body = bytes(whole.body)
        told = [_kept(served or plan.form, len(body), pace=pace)]
        own = self._runtime.forms.own(self._exchange) if plan.policy.settings.across_dialects else None
        if own is not None and (served is None or not own[0].same(served)):
            form, reply = own
            body += bytes(reply.body)
            told.append(_kept(form, len(body), lasting_fields(reply.headers)))
        return tuple(told), body

    def _slots(self) -> tuple[int, ...]:
        plan = self._plan
        return entry_slots(
            tenant=self.tenant,
            route=plan.policy.route,
            model=self._exchange.model,
            key=plan.key,
            tags=self._tags,
        )


def _kept(form: Form | None, end: int, fields: bytes = b"", pace: bytes = b"") -> FormKept:
    if form is None:
        return FormKept("", "", False, "", False, end, fields, pace)
    return FormKept(*form, end, fields, pace)


def _buckets(usage: Usage) -> tuple[int, ...]:
    """Return what a hit is charged by: nothing where its tokens alone do not tell."""
    if usage.parts is not None:
        return ()
    return usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning


def _saving(about: About) -> bytes:
    """Return the field that tells a later caller what it is spared."""
    cost = b"%d.%06d USD, " % divmod(about.cost, 1_000_000) if about.cost >= 0 else b""
    tokens = b"%d tokens, " % sum(about.usage) if about.usage else b""
    return b"x-llmproxy-saved: %b%b%.3f s\r\n" % (cost, tokens, about.seconds)
