from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llmproxy.bus import Bus
from llmproxy.caching.extents import Extents
from llmproxy.caching.statistics import statistics
from llmproxy.metrics import Metrics
from llmproxy.stores import StoreAway, open_store
from llmproxy.stores.interface import Extent


@pytest.fixture
async def buses(tmp_path: Path) -> AsyncIterator[list[Bus]]:
    made = [Bus(tmp_path, slot) for slot in range(2)]
    for bus in made:
        await bus.start()
    yield made
    for bus in made:
        await bus.close()


def tiers(*metrics: Metrics) -> Any:
    summed = metrics[0].families(each.snapshot() for each in metrics)
    return statistics(summed)["stores"]["main"]["tiers"]


async def test_each_worker_tells_its_own_memory_and_one_of_them_what_they_share(
    tmp_path: Path, buses: list[Bus]
) -> None:
    shared = open_store(f"lmdb://{tmp_path}/cache?map_size=2MiB")
    await shared.set(b"k", b"v" * 100)
    metrics = [Metrics(), Metrics()]
    for each, bus in zip(metrics, buses, strict=True):
        near: Any = open_store("memory://?max_bytes=1MiB&policy=lru")
        near.set_nowait(b"k", b"v" * 100)
        each.collect(Extents("main", {"near": near, "far": shared}, each, bus).tell)
    told = tiers(*metrics)
    await shared.close()

    assert told["near"]["entries"] == 2
    assert told["near"]["limit"] == 2 << 20
    assert told["near"]["bytes"] == 2 * (101 + 352)
    assert told["far"]["entries"] == 1
    assert told["far"]["limit"] == 2 << 20
    assert 0 < told["far"]["bytes"] < 2 << 20


def test_what_went_is_told_by_reason() -> None:
    metrics, store = Metrics(), open_store("memory://?max_bytes=2000&policy=lru")
    metrics.collect(Extents("main", {"near": store}, metrics, None).tell)
    for number in range(9):
        store.set_nowait(b"%d" % number, b"v" * 500)  # type: ignore[attr-defined]
    told = tiers(metrics)["near"]

    assert told["evictions"]["size"] == 7
    assert told["entries"] == 2


def test_a_store_that_is_away_stops_nobody_from_counting() -> None:
    class Away:
        def extent(self) -> Extent:
            raise StoreAway

    metrics = Metrics()
    extents = Extents("main", {"far": Away()}, metrics, None)
    extents.tell()

    assert not metrics.families([metrics.snapshot()])["llmproxy_cache_entries"].series


def test_a_sealed_store_is_looked_through() -> None:
    class Sealed:
        inner = open_store("memory://?max_bytes=1MiB")

    metrics = Metrics()
    metrics.collect(Extents("main", {"far": Sealed()}, metrics, None).tell)

    assert tiers(metrics)["far"]["limit"] == 1 << 20


def test_what_is_closed_holds_nothing() -> None:
    metrics, store = Metrics(), open_store("memory://")
    extents = Extents("main", {"near": store}, metrics, None)
    extents.tell()
    extents.close()

    assert tiers(metrics)["near"]["limit"] == 0
