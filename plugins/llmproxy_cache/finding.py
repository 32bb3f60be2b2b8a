"""Where kept answers are looked for, and how near at hand they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.caches import Found
from llmproxy.plugin import BadEntry
from llmproxy_cache.kept import Kept, read

if TYPE_CHECKING:
    from llmproxy.plugin import CacheSpace
    from llmproxy_cache.plan import Plan


class Finding:
    """Finds answers in one space."""

    __slots__ = ("_space",)

    def __init__(self, space: CacheSpace) -> None:
        self._space = space

    def at_hand(self, plan: Plan) -> Kept | None:
        """Return what is kept in this process or on this host; other routes than eventual ones want it surer."""
        return _read(self._space.peek(plan.key)) if plan.policy.eventual else None

    async def find(self, plan: Plan) -> Kept | None:
        """Return what is kept under a plan's key, as near and as surely as the route's consistency wants it."""
        space, consistency = self._space, plan.policy.terms.consistency
        if plan.policy.eventual:
            found = space.peek(plan.key)
            if found is None and space.waits:
                found = await space.get_far(plan.key)
        else:
            found = await space.get_far(plan.key) if space.waits else space.peek(plan.key)
            if found is not None and consistency == "strong":
                found = await space.confirm(found)
        return _read(found)

    async def elsewhere(self, plan: Plan) -> Kept | None:
        """Return what is not at hand."""
        if not plan.policy.eventual:
            return await self.find(plan)
        return _read(await self._space.get_far(plan.key)) if self._space.waits else None

    async def newer(self, plan: Plan, kept: Kept) -> Kept | None:
        """Return what the shared tier has, if somebody else has made the answer anew."""
        found = await self._space.get_far(plan.key)
        if found is not None and plan.policy.terms.consistency == "strong":
            found = await self._space.confirm(found)
        newer = _read(found)
        return None if newer is None or newer.entry.stored <= kept.entry.stored else newer

    async def stands(self, plan: Plan, kept: Kept) -> bool:
        """Whether what was found before the upstream was asked may still be given: it may have been purged since."""
        if plan.policy.terms.consistency == "strong":
            return await self._space.confirm(Found(kept.entry, stale=kept.soft)) is not None
        return self._space.stands(kept.entry)


def _read(found: Found | None) -> Kept | None:
    if found is None:
        return None
    entry, stale = found
    known = entry.reading
    if type(known) is Kept and known.soft is stale:
        return known
    try:
        entry.reading = kept = read(entry, soft=stale)
    except BadEntry:
        return None
    return kept
