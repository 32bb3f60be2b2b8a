"""Stored answers found, kept, dropped and invalidated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from llmproxy.caches import entry_slots, field_tags, tag_slots
from llmproxy.plugin import CacheSpace, Entry, Headers, wire_fields
from llmproxy_httpcache.groups import groups_of
from llmproxy_httpcache.headers import Fields, RawHeader
from llmproxy_httpcache.key import of_part, of_variant
from llmproxy_httpcache.plan import Plan, Stored
from llmproxy_httpcache.scoping import EVERYBODY
from llmproxy_httpcache.storing import Keep
from llmproxy_httpcache.terms import PART, pack_terms, unpack_terms
from llmproxy_httpcache.variants import Index, pack_index, unpack_index, variant_of

if TYPE_CHECKING:
    from llmproxy.caches import Fate, Found, Mark
    from llmproxy.plugin import Exchange
    from llmproxy_httpcache.atonce import AtOnce
    from llmproxy_httpcache.insight import Insights
    from llmproxy_httpcache.invalidating import Invalidation

#: The status of an entry that is no answer but the index of several.
_INDEX: Final = 0


class Keeping:
    """The stored answers of one space."""

    def __init__(self, space: CacheSpace, insights: Insights | None = None) -> None:
        self.space = space
        #: Who remembers what keys were made of.
        self.insights = insights

    def at_hand(self, key: bytes, exchange: Exchange, at_once: AtOnce) -> Found | None:
        """Return what is stored for a plain request, if it is at hand and all is well with it."""
        found = self.space.peek(key)
        if found is not None and found.entry.status == _INDEX:
            try:
                index = unpack_index(found.entry.meta)
            except msgspec.MsgspecError:
                return None
            variants = (
                self.space.peek(of_variant(key, each)) for each in at_once.selections(exchange, index)
            )
            found = next(filter(None, variants), None)
        return None if found is None or found.stale else found

    async def look_up(self, plan: Plan) -> None:
        """Find what is stored for a request: an answer, or the index of several and a part."""
        space = self.space
        if plan.rules.strong:
            found = await self._sure(plan.key)
            if found is None:
                return
        elif (found := space.peek(plan.key)) is None:
            if not space.waits:
                return
            found = await space.get_far(plan.key)
            if found is None:
                return
        if found.entry.status == _INDEX:
            await self._choose(plan, found)
        else:
            plan.stored = _stored(plan.key, found)

    async def _choose(self, plan: Plan, found: Found) -> None:
        try:
            index = plan.index = unpack_index(found.entry.meta)
        except msgspec.MsgspecError:
            return
        for selection in index.selections(plan.fields):
            plan.stored = await self.variant(plan, selection)
            if plan.stored is not None:
                return
        if plan.rules.policy.negotiates_language and (other := index.by_language(plan.fields)) is not None:
            plan.stored = await self.variant(plan, other)
        if index.part and plan.stored is None:
            plan.part = await self._get(plan, of_part(plan.key))

    async def variant(self, plan: Plan, selection: bytes) -> Stored | None:
        """Return one variant."""
        return await self._get(plan, of_variant(plan.key, selection))

    async def _get(self, plan: Plan, key: bytes) -> Stored | None:
        found = await (self._sure(key) if plan.rules.strong else self.space.get(key))
        return None if found is None else _stored(key, found)

    async def _sure(self, key: bytes) -> Found | None:
        """Return what is stored as every host sees it now."""
        found = await self.space.get_far(key)
        return None if found is None else await self.space.confirm(found)

    async def mark(self, plan: Plan) -> Mark:
        """Return the mark of an answer whose request is sent after this call."""
        return await self.space.mark() if plan.rules.strong else self.space.now()

    async def keep(self, plan: Plan, keep: Keep, status: int, body: bytes | memoryview) -> Stored | None:
        """Store an answer whose body is whole; None if the store did not take it."""
        entry = self._entry(plan, keep, status, body)
        names = tuple(name for name in keep.vary if name not in plan.rules.ignored)
        key, index = plan.key, None
        if keep.terms.flags & PART:
            if names:
                return None
            key, index = of_part(plan.key), (plan.index or Index()).with_part()
        elif names:
            variant = variant_of(names, plan.fields, Fields(keep.fields), keep.terms.origin_etag)
            key, index = (
                of_variant(plan.key, variant.selection),
                (plan.index or Index()).with_variant(names, variant),
            )
        if not await self.space.put(key, entry, keep.keep_for):
            return None
        if index is not None:
            plan.index = index
            await self.space.put(plan.key, self._index_entry(plan, index, entry), keep.keep_for)
        return Stored(key, entry, keep.terms)

    async def settle(self, plan: Plan, keep: Keep, stored: Stored | None, fate: Fate) -> None:
        """Say what became of an answer that somebody wants kept; all workers get it."""
        if stored is None:
            fate.refuse("store")
            return
        if plan.index is not None and self.space.handing is not None:
            entry = self._index_entry(plan, plan.index, stored.entry)
            _ = await self.space.handing.give(plan.key, entry, keep.keep_for)
        await fate.stored(self.space, stored.key, stored.entry, keep.keep_for, kept=True)

    def _entry(self, plan: Plan, keep: Keep, status: int, body: bytes | memoryview) -> Entry:
        assert plan.mark is not None
        return Entry(
            status,
            wire_fields(keep.fields),
            body,
            mark=plan.mark,
            slots=self._slots(plan, [*keep.fields, *keep.terms.hidden_fields]),
            stored=int(keep.terms.answered * 1e6),
            meta=pack_terms(keep.terms),
        )

    def _index_entry(self, plan: Plan, index: Index, entry: Entry) -> Entry:
        assert plan.mark is not None
        slots = self._slots(plan, ())
        return Entry(
            _INDEX, b"", b"", mark=plan.mark, slots=slots, stored=entry.stored, meta=pack_index(index)
        )

    def _slots(self, plan: Plan, fields: Iterable[RawHeader]) -> tuple[int, ...]:
        headers = Headers(list(fields))
        # The index of several answers goes with their place, but not with one answer's tags.
        own = (*plan.rules.tags, *plan.entities) if headers.raw else ()
        return entry_slots(
            tenant=EVERYBODY if plan.rules.scoping.public else plan.caller.tenant,
            route=plan.rules.route,
            key=plan.key,
            url=plan.origin + plan.target,
            tags=(*own, *field_tags(headers)),
            groups=groups_of(Fields(headers.raw, headers.index).get(b"cache-groups")),
        )

    async def drop(self, stored: Stored) -> None:
        """Forget an answer."""
        await self.space.drop(stored.key)

    async def invalidate(self, plan: Plan, gone: Invalidation) -> None:
        """Purge what an unsafe request has made untrue, before its answer leaves."""
        slots: list[int] = []
        for target in gone.targets:
            slots += tag_slots("url", plan.rules.keys.target(target))
        for group in gone.groups:
            slots += tag_slots("group", f"{plan.origin} {group}")
        for tag in gone.tags:
            slots += tag_slots("tag", tag)
        if slots:
            await self.space.purge(slots)


def _stored(key: bytes, found: Found) -> Stored | None:
    try:
        return Stored(key, found.entry, unpack_terms(found.entry.meta), found.stale)
    except msgspec.MsgspecError:
        return None
