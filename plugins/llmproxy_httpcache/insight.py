"""Why a request was a hit or a miss, with the store and what was stored lately at hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from llmproxy.caches import FATE, Insight, Near, Part, Standing, field_name, inspect_key, key_name, part_of
from llmproxy_httpcache.explaining import explain, parts_of
from llmproxy_httpcache.key import of_variant
from llmproxy_httpcache.plan import PLAN
from llmproxy_httpcache.planning import plan_of
from llmproxy_httpcache.reusing import Fresh, Validate, lookup
from llmproxy_httpcache.terms import PINNED, unpack_terms
from llmproxy_httpcache.variants import unpack_index
from llmproxy_httpcache.vary import normalised

if TYPE_CHECKING:
    from llmproxy.caches import Inspected, Recents
    from llmproxy.plugin import CacheSpace, Clock, Exchange
    from llmproxy_httpcache.plan import Plan
    from llmproxy_httpcache.rules import Rules

#: The status of an entry that is no answer but the index of several.
_INDEX: Final = 0

#: How the parts are called that an answer selects by.
_VARY: Final = "vary "


class Insights:
    """Explains requests, and remembers what the keys of stored answers were made of."""

    def __init__(self, space: CacheSpace, recents: Recents, clock: Clock) -> None:
        self._space = space
        self._recents = recents
        self._clock = clock

    def stored(self, exchange: Exchange, plan: Plan, names: Iterable[bytes]) -> None:
        """Remember the key of an answer that was stored, and what it selects by."""
        body = exchange._body or b""  # whoever has a body in its key has read it
        parts = partial(_all_parts, plan, body, names)
        self._recents.remember(plan.caller.tenant, plan.rules.route, plan.key, parts)

    async def found(self, exchange: Exchange) -> None:
        """Have every worker know the answer that somebody wanted to be stored, and that this one has already."""
        fate, plan = exchange.state.get(FATE), exchange.state.get(PLAN)
        if fate is not None and plan is not None and plan.stored is not None:
            terms, now = plan.stored.terms, self._clock.wall()
            left = max(1.0, terms.lifetime - terms.age_at(now))
            await fate.stored(self._space, plan.stored.key, plan.stored.entry, left, kept=True)

    async def look_into(self, rules: Rules, exchange: Exchange) -> Insight:
        """Say what the cache makes of a request, and of what is stored for it."""
        body = await exchange.body() if exchange.request.method in rules.bodied else b""
        told, plan = explain(rules, exchange, body), plan_of(exchange, rules, body)
        terms = [(name.replace("_", " "), f"{value} ({why})") for name, value, why in told["terms"]]
        if not plan.key:
            return Insight(terms, told["stored"])
        entry, names = await self._standing(plan)
        parts = _all_parts(plan, body, names)
        near = None
        if entry.state in {"none", "purged"}:
            near = await self._recents.nearest(plan.caller.tenant, rules.route, parts)
        return Insight(terms, told["stored"], key_name(plan.key), parts, entry, _without_unasked(near))

    async def _standing(self, plan: Plan) -> tuple[Standing, tuple[bytes, ...]]:
        """Return what is stored, and the names that answers to this key select by."""
        found = await inspect_key(self._space, plan.key)
        missing = Standing.missing(found)
        if missing is not None or found is None or found.entry.status != _INDEX:
            return missing or self._judged(plan, found), ()
        try:
            index = unpack_index(found.entry.meta)
        except msgspec.MsgspecError:
            return Standing("none", found.tier, more="what is stored cannot be read"), ()
        names = tuple(sorted({name for each in index.names for name in each}))
        for selection in index.selections(plan.fields):
            variant = await inspect_key(self._space, of_variant(plan.key, selection))
            if variant is not None:
                return Standing.missing(variant) or self._judged(plan, variant), names
        count = len(index.variants)
        return Standing("none", found.tier, more=f"other variants: {count}" if count else "a part"), names

    def _judged(self, plan: Plan, found: Inspected | None) -> Standing:
        assert found is not None
        try:
            terms = unpack_terms(found.entry.meta)
        except msgspec.MsgspecError:
            return Standing("none", found.tier, more="what is stored cannot be read")
        now, soft = self._clock.wall(), found.verdict != 0
        verdict = lookup(plan.asked, terms, now, purged_softly=soft)
        state = "softly purged" if soft else "fresh" if isinstance(verdict, Fresh) else "stale"
        more = "pinned" if terms.flags & PINNED else ""
        if isinstance(verdict, Validate) and verdict.why == "request":
            state, more = "fresh", "the request wants it asked anew"
        age = round(terms.age_at(now), 3)
        return Standing(state, found.tier, age, terms.lifetime, len(found.entry.body), more)


def _all_parts(plan: Plan, body: bytes, names: Iterable[bytes]) -> list[Part]:
    """Return what a key is made of, the target apart, and the fields that answers to it select by."""
    return [*_key_parts(plan, body), *_vary_parts(plan, names)]


def _key_parts(plan: Plan, body: bytes) -> Iterator[Part]:
    salt = plan.caller.tenant
    for name, digest, shown in parts_of(plan, body):
        if name != "target":
            yield Part(name, digest, shown)
            continue
        path, _, query = plan.target.partition("?")
        yield part_of("path", path, salt)
        for place, pair in enumerate(query.split("&") if query else ()):
            title, _, value = pair.partition("=")
            yield part_of(f"query {field_name(title, salt)}", f"{place} {value}", salt)


def _vary_parts(plan: Plan, names: Iterable[bytes]) -> Iterator[Part]:
    for name in names:
        value = normalised(name, plan.fields.get(name))
        told = None if value is None else value.decode("latin-1")
        yield part_of(f"{_VARY}{name.decode('latin-1')}", told, plan.caller.tenant)


def _without_unasked(near: Near | None) -> Near | None:
    """Leave out what the other answer selects by, where this one's are not known."""
    if near is None:
        return None
    told = [each for each in near.differences if not each.name.startswith(_VARY) or each.here]
    return Near(told, near.seconds)
