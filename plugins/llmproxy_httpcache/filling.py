"""An answer that is not stored, or no longer fresh: asked for, judged, kept, or done without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmproxy.caches import FATE
from llmproxy.plugin import (
    Body,
    GatewayError,
    Headers,
    Reply,
    StoredHeaders,
    StoredReply,
    UpstreamError,
    wire_fields,
)
from llmproxy_httpcache.completing import completed
from llmproxy_httpcache.entities import read_answer
from llmproxy_httpcache.etags import etag_of, tagged, wants_etag
from llmproxy_httpcache.headers import Fields, RawHeader
from llmproxy_httpcache.plan import Plan, Stored
from llmproxy_httpcache.querying import judge_answer
from llmproxy_httpcache.reusing import ERRORS, serves_on_error
from llmproxy_httpcache.storing import Answer, Decision, Keep, No, as_pinned, placed, store, with_etag
from llmproxy_httpcache.terms import OWN_ETAG
from llmproxy_httpcache.validating import described_by, freshened, origins, speaks_of

if TYPE_CHECKING:
    from llmproxy.plugin import CallNext, Clock, Exchange
    from llmproxy_httpcache.keeping import Keeping

#: Reasons for which what is stored may not be used either, once the origin has said so.
_WITHDRAWN: Final = frozenset({"no-store", "private", "must-understand", "vary-any"})


class Filling:
    """One plan's way to the upstream and back; `fetch` is what a flight calls, once for all who wait."""

    __slots__ = ("_call", "_clock", "_exchange", "_keeping", "keep", "plan")

    def __init__(
        self, plan: Plan, exchange: Exchange, call_next: CallNext, keeping: Keeping, clock: Clock
    ) -> None:
        self.plan = plan
        self._exchange = exchange
        self._call = call_next
        self._keeping = keeping
        self._clock = clock
        #: On which terms the answer may be stored, once its head is here; None if it is stored already, or may not be.
        self.keep: Keep | None = None

    async def pass_on(self) -> Reply:
        """Return the upstream's answer as it is."""
        plan = self.plan
        plan.mark = await self._keeping.mark(plan)
        plan.requested = self._clock.wall()
        reply = await self._call(self._exchange)
        plan.tell(forward_status=reply.status)
        return reply

    async def fetch(self) -> Reply:
        """Return an answer: the upstream's, a stored one that it has confirmed, or a stale one in place of its error.

        Raises:
            GatewayError: there is none.
        """
        try:
            reply = await self.pass_on()
        except GatewayError as fault:
            stale = self._in_place_of(None if isinstance(fault, UpstreamError) else fault.status)
            if stale is None:
                raise
            return stale
        return await self._judge(reply)

    async def _judge(self, reply: Reply) -> Reply:
        plan = self.plan
        if reply.status in ERRORS and (stale := self._in_place_of(reply.status)) is not None:
            discard(reply)
            return stale
        if reply.status == 304 and plan.edits:
            return await self._confirmed(reply)
        if reply.status == 206 and plan.edits and plan.part is not None:
            whole = await completed(plan.part, reply, plan.rules.max_body)
            return await (self._unconditionally(reply) if whole is None else self._judge_new(whole))
        return await self._judge_new(reply)

    async def _judge_new(self, reply: Reply) -> Reply:
        plan = self.plan
        answered = self._clock.wall()
        answer = Answer(reply.status, _fields_of(reply), plan.requested, answered)
        decision = self._decide(answer)
        if isinstance(decision, Keep) and _is_larger(reply, plan.rules.max_body):
            decision = No("size")
        if isinstance(decision, Keep) and plan.query is not None:
            decision = await judge_answer(plan, reply, decision)
        if isinstance(decision, No):
            self._refuse(decision.reason)
            return reply
        if wants_etag(plan.rules.policy, reply.status, decision):
            decision = await tagged(reply, decision)
        self._accept(decision)
        age = int(decision.terms.age)
        if age > 0:
            # Others who wait get it with its age, as what was stored has it.
            reply.headers.set(b"Age", b"%d" % age)
        return reply

    def _decide(self, answer: Answer) -> Decision:
        plan, pinned = self.plan, self._exchange.pinned
        if pinned is not None:
            return as_pinned(plan.rules.policy, plan.asked, answer, pinned.ttl, closed=plan.closed)
        return store(plan.rules.policy, plan.asked, answer, closed=plan.closed)

    def _accept(self, keep: Keep) -> None:
        self.keep = keep
        self.plan.shareable = True
        left = keep.terms.lifetime - keep.terms.age
        self.plan.tell(stored=True, ttl=int(left))

    def _refuse(self, reason: str) -> None:
        self.plan.reason = reason
        if (fate := self._exchange.state.get(FATE)) is not None:
            fate.refuse(reason)

    async def save(self, whole: StoredReply) -> None:
        """Store an answer, now that it is whole."""
        keep, plan = self.keep, self.plan
        if keep is None:
            return
        if len(whole.body) > plan.rules.max_body:
            self._refuse("size")
            return
        if whole.status == 206:
            keep = placed(plan.rules.policy, plan.asked, Fields(list(whole.headers)), keep, len(whole.body))
        elif wants_etag(plan.rules.policy, whole.status, keep):
            keep = with_etag(keep, etag_of(whole.body))
        if keep is None:
            self._refuse("partial")
            return
        stored = await self._keeping.keep(plan, keep, whole.status, whole.body)
        if stored is not None and self._keeping.insights is not None:
            self._keeping.insights.stored(self._exchange, plan, keep.vary)
        if (fate := self._exchange.state.get(FATE)) is not None:
            await self._keeping.settle(plan, keep, stored, fate)

    # Requests for something else than an answer to be stored.

    async def head(self) -> Reply:
        """Pass a HEAD on; its answer updates what is stored, or ends it (RFC 9111 §4.3.5)."""
        reply = await self.pass_on()
        stored = self.plan.stored
        if reply.status != 200 or stored is None or stored.entry.status != 200:
            return reply
        told = _fields_of(reply)
        size = len(stored.entry.body)
        if not described_by(stored.terms, size, told):
            await self._keeping.drop(stored)
            return reply
        updated = await self._update(stored, told)
        return Reply(200, Headers([*updated.headers.raw, (b"Content-Length", b"%d" % size)]))

    # The upstream has no other answer.

    async def _confirmed(self, reply: Reply) -> Reply:
        """Return the stored answer that a 304 is about, with its fields brought up to date (RFC 9111 §4.3.4)."""
        plan, told = self.plan, _fields_of(reply)
        stored = plan.stored or await self._named(told)
        if stored is None or not speaks_of(stored.terms, told):
            return await self._unconditionally(reply)
        return await self._update(stored, told)

    async def _update(self, stored: Stored, told: Fields) -> Reply:
        """Return a stored answer with the fields that its origin told anew, and store it so if that is allowed."""
        plan = self.plan
        fields = freshened(origins(stored), told.raw)
        answer = Answer(stored.entry.status, Fields(fields), plan.requested, self._clock.wall())
        decision = store(plan.rules.policy, plan.asked.whole, answer, closed=plan.closed)
        if isinstance(decision, Keep):
            if stored.terms.flags & OWN_ETAG and not decision.terms.etag:
                decision = with_etag(decision, stored.terms.etag)
            if plan.query is not None and (answer_told := read_answer(stored.entry.body)) is not None:
                plan.entities = answer_told.tags
            self._accept(decision)
            self.keep = None
            _ = await self._keeping.keep(plan, decision, stored.entry.status, stored.entry.body)
            return _reply(stored, [*decision.fields, *decision.terms.hidden_fields], int(decision.terms.age))
        plan.reason = decision.reason
        if decision.reason in _WITHDRAWN:
            await self._keeping.drop(stored)
        return _reply(stored, fields, 0)

    async def _named(self, told: Fields) -> Stored | None:
        """Return the variant whose validator a 304 names, where none was chosen (RFC 9111 §4.1)."""
        plan, etag = self.plan, told.last.get(b"etag")
        selection = None if plan.index is None or etag is None else plan.index.by_etag(etag)
        return None if selection is None else await self._keeping.variant(plan, selection)

    async def _unconditionally(self, reply: Reply) -> Reply:
        """Ask again, for the whole: what came fits nothing that is stored."""
        discard(reply)
        self.plan.edits = []
        self.plan.stored = self.plan.part = None
        return await self.fetch()

    # The upstream has failed.

    def _in_place_of(self, status: int | None) -> Reply | None:
        """Return the stale answer that may be served in place of an error; `status` None if nothing came."""
        plan, now = self.plan, self._clock.wall()
        stored = plan.stored
        if stored is None or not serves_on_error(plan.rules.policy, plan.asked, stored.terms, now, status):
            return None
        age = stored.terms.age_at(now)
        plan.shareable = True
        plan.tell(ttl=int(stored.terms.lifetime - age), forward_status=status, detail="stale-if-error")
        return _reply(stored, [*stored.entry.headers, *stored.terms.hidden_fields], int(age))


def _is_larger(reply: Reply, limit: int) -> bool:
    """Whether a body is known to have more bytes than that."""
    length = reply.headers.index.get(b"content-length", b"")
    return (length.isdigit() and int(length[:18]) > limit) or (
        not isinstance(reply.body, Body) and len(reply.body) > limit
    )


def discard(reply: Reply) -> None:
    """Let go of a reply that nobody gets."""
    if isinstance(reply.body, Body):
        reply.body.abandon()


def _fields_of(reply: Reply) -> Fields:
    return Fields(reply.headers.raw, reply.headers.index)


def _reply(stored: Stored, fields: list[RawHeader], age: int) -> Reply:
    headers = StoredHeaders(wire_fields(fields), [(b"Age", b"%d" % age)])
    return Reply(stored.entry.status, headers, bytes(stored.entry.body))
