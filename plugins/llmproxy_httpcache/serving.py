"""From a request to what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from random import random
from typing import TYPE_CHECKING, Literal, cast

import msgspec

from llmproxy.caches import CacheHits, CacheMeters, CacheStatus
from llmproxy.plugin import Clock, GatewayError, Headers, Reply, StoredHeaders
from llmproxy_httpcache.answering import from_store, part_of
from llmproxy_httpcache.documents import Documents
from llmproxy_httpcache.plan import PLAN, Plan, Stored
from llmproxy_httpcache.planning import body_of, plan_of
from llmproxy_httpcache.refreshing import ORDER
from llmproxy_httpcache.reusing import FAR, Fresh, Refuse, Stale, Validate, is_early, lookup
from llmproxy_httpcache.terms import ALWAYS_ASK, PART, PINNED, unpack_terms

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange
    from llmproxy_httpcache.atonce import AtOnce
    from llmproxy_httpcache.headers import RawHeader
    from llmproxy_httpcache.keeping import Keeping
    from llmproxy_httpcache.rules import Rules


class Serving:
    """Answers out of the store, or lays down what is to be asked."""

    def __init__(self, keeping: Keeping, clock: Clock, meters: CacheMeters, name: bytes) -> None:
        self._keeping = keeping
        self._clock = clock
        self._meters = meters
        self._documents = Documents(keeping.space)
        self._hits: dict[str, CacheHits] = {}
        #: What Cache-Status says of a hit, but for the seconds; and what is said of a fresh one.
        self._hit = CacheStatus(ttl=0).value(name).removesuffix(b"0").replace(b"%", b"%%") + b"%d"
        self._fresh = b"Age: %d\r\nCache-Status: " + self._hit + b"\r\n"

    async def look_up(self, exchange: Exchange, rules: Rules) -> Reply | None:
        """Return a stored reply, or None.

        Raises:
            GatewayError: 504, the caller wants nothing that is not stored.
        """
        at_once = rules.at_once
        reply = None if at_once is None else self._at_once(exchange, rules, at_once)
        return await self._look_closer(exchange, rules) if reply is None else reply

    async def _look_closer(self, exchange: Exchange, rules: Rules) -> Reply | None:
        plan = plan_of(exchange, rules, await body_of(exchange, rules))
        exchange.state[PLAN] = plan
        if plan.query is not None:
            await self._documents.settle(plan)
        if not plan.key:
            return None
        if exchange.pinned is not None or _is_order(exchange, plan):
            _say_why(plan)
            return None
        if rules.at_once is not None:
            rules.at_once.remember(exchange, plan.key)
        await self._keeping.look_up(plan)
        now, stored = self._clock.wall(), plan.stored
        plan.answered = now
        if stored is None:
            return self._part(exchange, plan, now)
        verdict = lookup(plan.asked, stored.terms, now, purged_softly=stored.soft)
        if rules.validates and stored.terms.validator and isinstance(verdict, Fresh | Stale):
            verdict = Validate(verdict.age, verdict.left, "stale")
        plan.verdict = verdict
        if isinstance(verdict, Fresh):
            early = rules.early and self._is_early(rules.early, stored, verdict, now)
            return None if early else self.hit(exchange, plan, stored, verdict, "hit")
        if isinstance(verdict, Stale) and not verdict.revalidate:
            return self.hit(exchange, plan, stored, verdict, "stale")
        _say_why(plan)
        return None

    def _at_once(self, exchange: Exchange, rules: Rules, at_once: AtOnce) -> Reply | None:
        """Return the fresh answer to a plain request, if it is at hand; None wants a closer look."""
        if exchange.request.method != "GET" or exchange.parent is not None:
            return None
        key = at_once.key_of(exchange)
        found = None if key is None else self._keeping.at_hand(key, exchange, at_once)
        if found is None:
            return None
        entry = found.entry
        try:
            terms = unpack_terms(entry.meta)
        except msgspec.MsgspecError:
            return None
        age = terms.age_at(self._clock.wall())
        left = terms.lifetime - age
        if left <= 0 or left <= terms.seconds * rules.early * FAR or terms.flags & (ALWAYS_ASK | PART):
            return None
        told = self._fresh % (age, left)
        if rules.emission is not None:
            told += b"".join([b"%b: %b\r\n" % pair for pair in rules.emission.pairs(terms.limits, int(age))])
        hits = self._hits.get(rules.route)
        if hits is None:
            hits = self._hits[rules.route] = self._meters.hits(rules.route, "hit")
        hits.count(self._clock.now() - exchange.started, age, len(entry.body))
        # A view is sent as it is; whoever changes bodies gets bytes when asking for them.
        return Reply(entry.status, StoredHeaders(entry.fields, told), cast("bytes", entry.body))

    def _is_early(self, beta: float, stored: Stored, verdict: Fresh, now: float) -> bool:
        terms = stored.terms
        if terms.flags & PINNED or verdict.left > terms.seconds * beta * FAR:
            return False
        return is_early(terms, now, beta, 1.0 - random())  # noqa: S311  # no secret

    def hit(
        self,
        exchange: Exchange,
        plan: Plan,
        stored: Stored,
        verdict: Fresh | Stale,
        outcome: Literal["hit", "stale"],
    ) -> Reply:
        """Return the reply that a stored answer gives a caller."""
        told = _told(plan, stored, verdict.age if verdict.left > 0 else 0)
        reply = from_store(plan.asked, stored, verdict.age, self._hit % verdict.left, plan.answered, told)
        return self._served(exchange, plan, reply, verdict.age, outcome)

    def _served(
        self, exchange: Exchange, plan: Plan, reply: Reply, age: int, outcome: Literal["hit", "stale"]
    ) -> Reply:
        plan.written = True
        self._meters.answered(plan.rules.route, outcome, self._clock.now() - exchange.started)
        self._meters.served(age, len(reply.body))  # type: ignore[arg-type]  # what was stored is whole
        return reply

    def _part(self, exchange: Exchange, plan: Plan, now: float) -> Reply | None:
        """Return the range that a caller wants, if a fresh part has it."""
        part = plan.part
        if part is not None and plan.asked.range is not None:
            verdict = lookup(plan.asked, part.terms, now, purged_softly=part.soft)
            if isinstance(verdict, Fresh):
                told = _told(plan, part, verdict.age)
                reply = part_of(plan.asked, part, verdict.age, self._hit % verdict.left, now, told)
                if reply is not None:
                    return self._served(exchange, plan, reply, verdict.age, "hit")
        plan.verdict = lookup(plan.asked, None, now)
        _say_why(plan)
        return None

    async def again(self, plan: Plan) -> Reply | None:
        """Look once more for a fresh answer that got into the store since; return it whole, for all who wait."""
        await self._keeping.look_up(plan)
        stored, now = plan.stored, self._clock.wall()
        if (
            stored is None
            or stored.entry.stored == plan.renews
            or (plan.rules.validates and stored.terms.validator)
        ):
            return None
        verdict = lookup(plan.asked, stored.terms, now, purged_softly=stored.soft)
        if not isinstance(verdict, Fresh):
            return None
        plan.status = CacheStatus(ttl=verdict.left)
        plan.shareable = True
        hidden = stored.terms.hidden_fields
        headers = Headers([*stored.entry.headers, *hidden, (b"Age", b"%d" % verdict.age)])
        return Reply(stored.entry.status, headers, bytes(stored.entry.body))


def _is_order(exchange: Exchange, plan: Plan) -> bool:
    """Whether a request is this cache's own, to make anew what its parent's caller was served."""
    order = None if exchange.parent is None else exchange.parent.state.get(ORDER)
    if order is None or plan.key != order.key:
        return False
    plan.renew(order)
    return True


def _told(plan: Plan, stored: Stored, age: int) -> Sequence[RawHeader]:
    """Return what caches behind this one are told of a stored answer; of a stale one that it is stale."""
    emission = plan.rules.emission
    return () if emission is None else emission.pairs(stored.terms.limits, age)


def _say_why(plan: Plan) -> None:
    """Say why a request goes on; refuse it if it may not."""
    verdict = plan.verdict
    if isinstance(verdict, Refuse):
        plan.status = CacheStatus("bypass", detail="only-if-cached")
        raise GatewayError(504, "not_stored", "The answer is not stored, and nothing else was asked for.")
    if isinstance(verdict, Validate):
        plan.status = CacheStatus(verdict.why, ttl=verdict.left)
    else:
        plan.status = CacheStatus("uri-miss" if plan.index is None else "vary-miss")
