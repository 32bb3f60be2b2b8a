"""What a cache's store has under a key, as somebody sees it who wants to know why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmproxy.caching.board import Verdict
from llmproxy.caching.entry import BadEntry, Entry
from llmproxy.stores.interface import StoreAway

if TYPE_CHECKING:
    from llmproxy.caching.space import CacheSpace


class Inspected(NamedTuple):
    """What a tier (`near`, `far`) has, and whether that was purged."""

    tier: str
    entry: Entry
    verdict: Verdict


async def inspect_key(space: CacheSpace, key: bytes) -> Inspected | None:
    """Return the best that any tier has under a key, purged or not; nothing is counted or kept."""
    best: Inspected | None = None
    for tier, store in space.tiers.items():
        try:
            value = await store.get(key)
            entry = None if value is None else Entry.unpack(value, key)
        except (StoreAway, BadEntry):
            continue
        if entry is not None:
            found = Inspected(tier, entry, space.board.judge(entry.mark, entry.slots))
            best = found if best is None or found.verdict < best.verdict else best
    return best
