import asyncio

from llmproxy.bus import Bus
from llmproxy.caching.entry import Entry
from llmproxy.caching.fate import Fate
from llmproxy.caching.openspace import open_watched
from llmproxy.metrics import Metrics
from llmproxy.stores import open_store


async def test_who_waits_hears_what_the_cache_says() -> None:
    fate = Fate()
    waiting = asyncio.ensure_future(fate.settled(5))
    await asyncio.sleep(0)
    fate.refuse("flawed")
    await waiting

    assert (fate.kept, fate.why) == (False, "flawed")


async def test_a_cache_that_says_nothing_is_not_waited_for_long() -> None:
    fate = Fate()
    await fate.settled(0.01)

    assert (fate.kept, fate.why) == (False, "")


async def test_what_a_store_has_taken_is_kept_and_what_not_is_not() -> None:
    async with open_watched("main", open_store("memory://"), Metrics(), Bus(None, 0)) as space:
        entry = Entry(200, b"", b"", mark=space.now())
        taken, refused = Fate(), Fate()
        await taken.stored(space, b"k", entry, 60, kept=True)
        await refused.stored(space, b"k", entry, 60, kept=False)

    assert (taken.kept, taken.why) == (True, "")
    assert (refused.kept, refused.why) == (False, "store")
