"""Rows that a real Redis 8 server keeps and searches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import numpy as np
import pytest
from tests.plugins.semantic.rowfaults import faults_of, vector
from tests.redisserver import running_redis

from llmproxy.bus import Bus
from llmproxy.caching.openspace import open_watched
from llmproxy.metrics import Metrics
from llmproxy.plugin import Answered, CacheSpace, Clock, Entry, Runtime
from llmproxy.stores import open_store
from llmproxy.stores.sealed import sealed
from llmproxy.stores.sealing import Compression
from llmproxy.tasks import spawn
from llmproxy_semantic.vectorsets import VectorSets


@pytest.fixture(scope="module")
def socket() -> Iterator[Path]:
    with running_redis() as path:
        yield path


@pytest.fixture
def url(socket: Path) -> str:
    return f"redis+unix://{socket}?prefix={uuid4().hex}:&timeout=2s"


class Worker:
    """One worker's rows on the server."""

    def __init__(self, space: CacheSpace, metrics: Metrics) -> None:
        self.space, self.metrics = space, metrics
        self.tasks: list[asyncio.Task[None]] = []
        self.rows = self.of("minilm")

    def of(self, embedder: str) -> VectorSets:
        return VectorSets(cast("Runtime", SimpleNamespace(clock=Clock(), spawn=self.spawn)), embedder)

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        self.tasks.append(spawn(work, name=name))

    async def keep(self, *numbers: int, ttl: float = 60.0, partition: bytes = b"p") -> None:
        for number in numbers:
            entry = Entry(200, b"", b"{}", mark=self.space.now(), slots=(), stored=1)
            answered = Answered(self.space, b"exact\0%d" % number, entry, ttl)
            await self.rows.add(answered, partition, vector(number), b"\xff%d" % number)

    async def ask(self, number: int, partition: bytes = b"p", rows: VectorSets | None = None) -> bytes | None:
        found = await (rows or self.rows).near(self.space, partition, vector(number), 3)
        return found[0].key if found and found[0].similarity > 0.99 else None

    async def only_set(self) -> tuple[Any, bytes]:
        """Return a client, and where the only set stands."""
        store = cast("Any", self.space.tiers["far"])
        (place,) = [key async for key in store.client.scan_iter(store.prefix + b"~*")]
        return store.client, place

    @property
    def faults(self) -> str:
        return faults_of(self.metrics)


@asynccontextmanager
async def worker(url: str, *, seals: bool = False) -> AsyncIterator[Worker]:
    store = open_store(url)
    if seals:
        store = sealed(store, "main", Compression(above=0))
    metrics = Metrics()
    try:
        async with open_watched("main", store, metrics, Bus(None, 0)) as space:
            opened = Worker(space, metrics)
            yield opened
            await asyncio.gather(*opened.tasks)
    finally:
        await store.close()


async def test_all_hosts_find_what_one_has_added_in_its_partition_alone(url: str) -> None:
    async with worker(url) as one, worker(url) as other:
        await one.keep(*range(30))

        assert [await other.ask(number) for number in range(30)] == [b"exact\0%d" % n for n in range(30)]
        assert await other.ask(1, b"q") is None
        assert await other.ask(1, rows=other.of("another embedder")) is None
        assert one.faults == other.faults == ""


async def test_rows_come_with_their_features_and_the_cosine_the_nearest_first(url: str) -> None:
    async with worker(url) as one:
        await one.keep(1, 2, 3)
        wanted = vector(1) + np.float32(0.5) * vector(2)
        rows = await one.rows.near(one.space, b"p", wanted, 3)
        cosines = [
            float(wanted @ vector(n) / np.linalg.norm(wanted) / np.linalg.norm(vector(n))) for n in (1, 2, 3)
        ]

        assert [row.features for row in rows] == [b"\xff1", b"\xff2", b"\xff3"]
        assert np.allclose([row.similarity for row in rows], cosines, atol=0.01)


async def test_what_is_lost_or_has_ended_is_found_no_more(url: str) -> None:
    async with worker(url) as one:
        await one.keep(1, 2)
        await one.keep(3, ttl=0.05)
        await one.rows.lost(one.space, b"p", b"exact\0001")
        await asyncio.sleep(0.06)

        assert [await one.ask(number) for number in (1, 2, 3)] == [None, b"exact\0002", None]
        await asyncio.gather(*one.tasks)
        client, place = await one.only_set()
        assert await client.execute_command("VCARD", place) == 1
        assert 50 < await client.ttl(place) <= 61


async def test_a_set_lasts_as_long_as_the_last_of_its_rows(url: str) -> None:
    async with worker(url) as one:
        await one.keep(1, ttl=600.0)
        await one.keep(2, ttl=6.0)
        client, place = await one.only_set()

        assert await client.ttl(place) > 500


@pytest.mark.parametrize("kind", ["sealed", "memory", "old"])
async def test_a_store_that_cannot_search_is_counted_and_finds_nothing(
    url: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker("memory://" if kind == "memory" else url, seals=kind == "sealed") as one:
        if kind == "old":
            store = cast("Any", one.space.tiers["far"])
            monkeypatch.setattr(one.rows, "_set", lambda *_: store.prefix)
            await store.client.set(store.prefix, b"no set")
        await one.keep(1)

        assert await one.ask(1) is None
        await one.rows.lost(one.space, b"p", b"exact\0001")
        assert 'operation="row"' in one.faults


async def test_what_is_no_row_is_counted(url: str) -> None:
    async with worker(url) as one:
        await one.keep(1)
        client, place = await one.only_set()
        await client.execute_command("VSETATTR", place, b"exact\0001", b'{"features": "?", "until": 9}')

        assert await one.ask(1) is None
        assert 'operation="row"' in one.faults
