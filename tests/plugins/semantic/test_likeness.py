"""Questions that are alike, with vectors that are set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from llmproxy.bus import Bus
from llmproxy.caching.openspace import open_watched
from llmproxy.metrics import Metrics
from llmproxy.plugin import Answered, Asked, CacheSpace, Clock, Entry, Kin, Runtime
from llmproxy.stores import open_store
from llmproxy.tasks import spawn
from llmproxy_semantic.canonical import canonicalise
from llmproxy_semantic.embedding import Embedding
from llmproxy_semantic.likeness import Likeness
from llmproxy_semantic.rows import Known, Rows
from llmproxy_semantic.tiers import STRICT


class Vectors:
    """An embedder that says of every text where it lies: all at one place, but for those that were put elsewhere."""

    id = "by-hand"
    dims = 64

    def __init__(self) -> None:
        self.angles: dict[str, float] = {}
        self.late = False
        self.asked = 0

    async def vector(self, text: str, within: float) -> np.ndarray | None:
        self.asked += 1
        if self.late:
            await asyncio.sleep(within * 2)
        return self.at(text)

    def embed_later(self, text: str, then: Callable[[np.ndarray], None]) -> None:
        then(self.at(text))

    def at(self, text: str) -> np.ndarray:
        vector = np.zeros(self.dims, np.float32)
        angle = self.angles.get(text, 0.0)
        vector[:32], vector[32:] = np.cos(angle), np.sin(angle)
        return vector / np.linalg.norm(vector)


class Bench:
    """A likeness on its own, and what it was told."""

    def __init__(self, space: CacheSpace) -> None:
        self.space, self.vectors, self.metrics = space, Vectors(), Metrics()
        self.tasks: list[asyncio.Task[None]] = []
        runtime = SimpleNamespace(
            name="semantic", metrics=self.metrics, spawn=self.spawn, clock=Clock(), bus=Bus(None, 0)
        )
        rows = Rows(cast("Runtime", runtime), Known(), "by-hand")
        self.likeness = Likeness(cast("Runtime", runtime), cast("Embedding", self.vectors), rows, STRICT)

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        self.tasks.append(spawn(work, name=name))
        return self.tasks[-1]

    async def store(self, question: str, key: bytes = b"exact", *, partition: bytes = b"p") -> None:
        entry = Entry(200, b"", b"{}", mark=self.space.now(), slots=(), stored=1)
        answered = Answered(self.space, key, entry, 60.0)
        self.likeness.stored(asked(question, partition), canonicalise(question), answered, warmest=1.0)
        await self.settle()

    async def find(self, question: str, *, partition: bytes = b"p", within: float = 5.0) -> Kin | None:
        told = asked(question, partition)
        return await self.likeness.find(told, canonicalise(question), self.space, within=within, warmest=1.0)

    async def settle(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks)

    def counted(self, name: str, label: str) -> float:
        lines = self.metrics.exposition([self.metrics.snapshot()]).splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith(name + "{") and f'"{label}"' in line
        )


def asked(question: str, partition: bytes = b"p", **rest: Any) -> Asked:
    return Asked(partition, question, rest, 0.0, settled=True)


@pytest.fixture
async def bench():
    async with open_watched("main", open_store("memory://"), Metrics(), Bus(None, 0)) as space:
        yield Bench(space)


async def test_a_question_that_is_near_and_that_nothing_speaks_against_is_answered(bench: Bench) -> None:
    await bench.store("How do I reset my router?")
    kin = await bench.find("How can I reset my router?")

    assert kin is not None
    assert (kin.key, kin.tier) == (b"exact", "semantic")
    assert kin.similarity == pytest.approx(1.0, abs=0.01)
    assert bench.counted("llmproxy_semantic_lookups_total", "hit") == 1


@pytest.mark.parametrize(
    ("stored", "question"),
    [
        ("Is it safe to eat raw eggs?", "Is it not safe to eat raw eggs?"),
        ("Give me 5 ideas for lunch", "Give me 6 ideas for lunch"),
        ("What should I do before a flight?", "What should I do after a flight?"),
        ("Did Ann call Bob?", "Did Bob call Ann?"),
    ],
)
async def test_however_near_it_is_a_guard_may_object_and_is_counted(
    bench: Bench, stored: str, question: str
) -> None:
    await bench.store(stored)

    assert await bench.find(question) is None
    assert bench.counted("llmproxy_semantic_objections_total", "far") == 0
    assert bench.counted("llmproxy_semantic_lookups_total", "none") == 1


async def test_what_is_not_near_enough_is_not_given(bench: Bench) -> None:
    bench.vectors.angles[canonicalise("How can I reset my router?")] = 0.5
    await bench.store("How do I reset my router?")

    assert await bench.find("How can I reset my router?") is None


async def test_another_partition_knows_nothing(bench: Bench) -> None:
    await bench.store("How do I reset my router?")

    assert await bench.find("How can I reset my router?", partition=b"q") is None


async def test_nothing_is_embedded_where_nothing_can_be_found(bench: Bench) -> None:
    await bench.store("How do I reset my router?")

    assert await bench.find("How can I reset my router?", partition=b"q") is None
    assert bench.vectors.asked == 0
    assert bench.counted("llmproxy_semantic_lookups_total", "none") == 1


async def test_who_cannot_say_in_time_says_nothing(bench: Bench) -> None:
    await bench.store("How do I reset my router?")
    bench.vectors.late = True

    assert await bench.find("How can I reset my router?", within=0.01) is None
    assert bench.counted("llmproxy_semantic_lookups_total", "late") == 1


async def test_what_is_never_matched_is_neither_kept_nor_looked_for(bench: Bench) -> None:
    await bench.store("What is the weather today?")

    assert await bench.find("What is the weather like today?") is None
    assert bench.counted("llmproxy_semantic_lookups_total", "clock") == 1


async def test_an_answer_that_is_gone_is_found_no_more(bench: Bench) -> None:
    await bench.store("How do I reset my router?")
    kin = await bench.find("How can I reset my router?")
    assert kin is not None
    bench.likeness.lost(asked("How can I reset my router?"), kin, bench.space)
    await bench.settle()

    assert await bench.find("How can I reset my router?") is None
