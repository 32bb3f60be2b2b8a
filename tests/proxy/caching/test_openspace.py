from pathlib import Path

import pytest

from llmproxy.bus import Bus
from llmproxy.caching.entry import Entry
from llmproxy.caching.openspace import open_watched
from llmproxy.caching.statistics import statistics
from llmproxy.metrics import Metrics
from llmproxy.stores import open_store


async def test_a_space_is_told_of_while_it_is_held() -> None:
    metrics = Metrics()
    async with open_watched("main", open_store("memory://"), metrics, Bus(None, 0)) as space:
        await space.put(b"k", Entry(200, b"", b"", mark=space.now()), 60)
        held = statistics(metrics.families([metrics.snapshot()]))["stores"]["main"]["tiers"]["near"]
    after = statistics(metrics.families([metrics.snapshot()]))["stores"]["main"]["tiers"]["near"]

    assert (held["entries"], after["entries"]) == (1, 0)


@pytest.mark.parametrize(
    ("url", "workers", "hands"),
    [
        ("memory://", True, True),
        ("memory://", False, False),
        ("lmdb://{folder}/cache", True, False),
    ],
)
async def test_entries_are_handed_around_where_each_worker_has_its_own(
    url: str, workers: bool, hands: bool, tmp_path: Path
) -> None:
    store = open_store(url.format(folder=tmp_path))
    async with open_watched("main", store, Metrics(), Bus(tmp_path if workers else None, 0)) as space:
        assert (space.handing is not None) is hands
    await store.close()
