"""What a cache's store has under a key, as somebody sees it who wants to know why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.caching.board import Verdict
from llmproxy.caching.entry import BadEntry, Entry
from llmproxy.stores.interface import StoreAway

if TYPE_CHECKING:
    from llmproxy.caching.space import CacheSpace


#: The tier of what only other workers have, each in its own memory.
OTHERS: Final = "another worker"


class Inspected(NamedTuple):
    """What a tier (`near`, `far`, `OTHERS`) has, and whether that was purged."""

    tier: str
    entry: Entry
    verdict: Verdict


async def inspect_key(space: CacheSpace, key: bytes) -> Inspected | None:
    """Return the best that any tier of any worker has under a key, purged or not; nothing is counted or kept."""
    found = [
        Inspected(tier, entry, space.board.judge(entry.mark, entry.slots))
        for tier, entry in await _all(space, key)
    ]
    return min(found, key=lambda each: each.verdict, default=None)


async def _all(space: CacheSpace, key: bytes) -> list[tuple[str, Entry]]:
    found = []
    for tier, store in space.tiers.items():
        try:
            value = await store.get(key)
            if value is not None:
                found.append((tier, Entry.unpack(value, key)))
        except (StoreAway, BadEntry):
            continue
    if space.handing is not None:
        found += [(OTHERS, entry) for entry in await space.handing.find(key)]
    return found
