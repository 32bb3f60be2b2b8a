from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from llmproxy.metrics import Metrics
from llmproxy.plugin import Runtime
from llmproxy.tasks import spawn
from llmproxy_semantic.embedder import TooLong, Unavailable, Unread
from llmproxy_semantic.embedding import LONGEST, MOST_ASKED, MOST_LATER, Embedding, EmbeddingFault, Worker

if TYPE_CHECKING:
    from llmproxy_semantic.embedder import Vector

SOON = 5.0


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


class Running:
    """What a runtime is to an embedding."""

    name = "semantic"

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.clock = FakeClock()
        self.log = self
        self.told: list[tuple[str, str]] = []

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        return spawn(work, name=name)

    def warning(self, event: str, *, why: str) -> None:
        self.told.append((event, why))

    def counted(self) -> dict[tuple[str, str], float]:
        """Return what was counted of each purpose and outcome."""
        family = self.metrics.families([self.metrics.snapshot()])["llmproxy_semantic_embeddings_total"]
        return {(key[1], key[2]): vector[0] for key, vector in family.series.items() if vector[0]}

    def up(self) -> float:
        family = self.metrics.families([self.metrics.snapshot()])["llmproxy_semantic_embedder_up"]
        return family.series["semantic",][0]


class Slow:
    """An embedder that waits until it may go on; keeps what it was asked, and in which thread."""

    id = "slow"
    dims = 2

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.threads: set[int] = set()
        self.begun = threading.Semaphore(0)
        self.may_go_on = threading.Event()

    def embed(self, text: str) -> Vector:
        self.asked.append(text)
        self.threads.add(threading.get_ident())
        self.begun.release()
        assert self.may_go_on.wait(SOON)
        if text == "long":
            raise TooLong
        if text == "unread":
            raise Unread
        if text == "bad":
            raise ValueError("bad")
        if text == "down":
            raise EmbeddingFault("it is down")
        return np.array([len(text), 0], dtype=np.float32)


class Site:
    """An embedding over a worker, and all about it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.running = Running()
        self.worker = Worker("test-embedder", "slow", 2, make)
        self.embedding = Embedding(self.worker, cast("Runtime", self.running))


@asynccontextmanager
async def site(make: Callable[[], Any]) -> AsyncIterator[Site]:
    opened = Site(make)
    opened.worker.start()
    try:
        yield opened
    finally:
        await opened.worker.close()


async def begun(slow: Slow) -> None:
    assert await asyncio.to_thread(slow.begun.acquire, timeout=SOON)


async def test_a_question_gets_its_vector_from_another_thread() -> None:
    slow = Slow()
    slow.may_go_on.set()
    async with site(lambda: slow) as opened:
        await opened.embedding.ready()
        vector = await opened.embedding.vector("four", SOON)

    assert vector is not None
    assert vector.tolist() == [4, 0]
    assert (opened.embedding.id, opened.embedding.dims) == ("slow", 2)
    assert threading.get_ident() not in slow.threads
    assert opened.running.counted() == {("lookup", "done"): 1}
    assert opened.running.up() == 1


async def test_a_question_that_was_asked_a_moment_ago_is_not_embedded_again() -> None:
    slow = Slow()
    slow.may_go_on.set()
    async with site(lambda: slow) as opened:
        first = await opened.embedding.vector("four", SOON)
        got: list[Vector] = []
        opened.embedding.embed_later("four", got.append)
        second = await opened.embedding.vector("four", SOON)

    assert first is second is got[0]
    assert slow.asked == ["four"]
    assert opened.running.counted() == {
        ("lookup", "done"): 1,
        ("lookup", "recent"): 1,
        ("store", "recent"): 1,
    }


async def test_a_question_goes_on_without_a_vector_that_is_late_and_it_is_there_for_the_next() -> None:
    slow = Slow()
    async with site(lambda: slow) as opened:
        late = await opened.embedding.vector("four", 0.01)
        await begun(slow)
        slow.may_go_on.set()
        await opened.embedding.vector("other", SOON)
        again = await opened.embedding.vector("four", SOON)

    assert late is None
    assert again is not None
    assert slow.asked == ["four", "other"]
    assert opened.running.counted() == {
        ("lookup", "late"): 1,
        ("lookup", "done"): 1,
        ("lookup", "recent"): 1,
    }


async def test_what_is_late_before_its_turn_came_is_not_embedded() -> None:
    slow = Slow()
    async with site(lambda: slow) as opened:
        first = asyncio.ensure_future(opened.embedding.vector("first", SOON))
        await begun(slow)
        assert await opened.embedding.vector("late", 0.01) is None
        slow.may_go_on.set()
        await first
        await opened.embedding.vector("last", SOON)

    assert slow.asked == ["first", "last"]


async def test_who_is_stopped_from_waiting_is_late_too() -> None:
    slow = Slow()
    async with site(lambda: slow) as opened:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await opened.embedding.vector("four", SOON)
        slow.may_go_on.set()

    assert opened.running.counted() == {("lookup", "late"): 1}


async def test_who_asks_the_same_at_once_waits_for_the_same() -> None:
    slow = Slow()
    async with site(lambda: slow) as opened:
        late = asyncio.ensure_future(opened.embedding.vector("same", 0.01))
        await begun(slow)
        others = [asyncio.ensure_future(opened.embedding.vector("same", SOON)) for _ in range(3)]
        assert await late is None
        slow.may_go_on.set()
        vectors = await asyncio.gather(*others)

    assert all(vector is not None for vector in vectors)
    assert slow.asked == ["same"]
    assert opened.running.counted() == {("lookup", "late"): 1, ("lookup", "done"): 3}


async def test_questions_come_before_what_is_stored() -> None:
    slow = Slow()
    got: list[Vector] = []
    async with site(lambda: slow) as opened:
        first = asyncio.ensure_future(opened.embedding.vector("first", SOON))
        await begun(slow)
        opened.embedding.embed_later("stored", got.append)
        await asyncio.sleep(0)
        asked = asyncio.ensure_future(opened.embedding.vector("asked", SOON))
        await asyncio.sleep(0)
        slow.may_go_on.set()
        await first
        await asked
        while not got:
            await asyncio.sleep(0.001)

    assert slow.asked == ["first", "asked", "stored"]
    assert opened.running.counted() == {("lookup", "done"): 2, ("store", "done"): 1}


async def test_too_many_questions_go_on_without_a_vector() -> None:
    slow = Slow()
    async with site(lambda: slow) as opened:
        first = asyncio.ensure_future(opened.embedding.vector("first", SOON))
        await begun(slow)
        waiting = [
            asyncio.ensure_future(opened.embedding.vector(str(number), SOON)) for number in range(MOST_ASKED)
        ]
        await asyncio.sleep(0)
        refused = [await opened.embedding.vector(more, SOON) for more in ("one more", "and one")]
        slow.may_go_on.set()
        await asyncio.gather(first, *waiting)

    assert refused == [None, None]
    assert opened.running.counted() == {("lookup", "full"): 2, ("lookup", "done"): 1 + MOST_ASKED}
    assert [event for event, _ in opened.running.told] == ["semantic_embedder_full"]


async def test_where_texts_take_too_long_no_question_waits_but_what_is_stored_tells_when_that_is_over() -> (
    None
):
    slow = Slow()
    slow.may_go_on.set()
    async with site(lambda: slow) as opened:
        opened.worker._takes = 1.0
        opened.worker._ended = math.inf  # a moment ago
        late = await opened.embedding.vector("one", 0.5)
        stored = asyncio.Event()
        for number in range(9):
            stored.clear()
            opened.embedding.embed_later(str(number), lambda vector: stored.set())
            await asyncio.wait_for(stored.wait(), SOON)
        in_time = await opened.embedding.vector("one", SOON)

    assert late is None
    assert in_time is not None
    assert opened.worker.wait < 0.5
    assert slow.asked == [*map(str, range(9)), "one"]


async def test_what_took_too_long_is_tried_again_after_a_while() -> None:
    slow = Slow()
    slow.may_go_on.set()
    async with site(lambda: slow) as opened:
        opened.worker._takes, opened.worker._ended = 1.0, -math.inf

        assert await opened.embedding.vector("one", 0.5) is not None


async def test_too_much_that_is_stored_is_never_embedded() -> None:
    slow = Slow()
    async with site(lambda: slow) as opened:
        await opened.embedding.ready()
        for number in range(1 + MOST_LATER + 3):
            opened.embedding.embed_later(str(number), lambda vector: None)
            await asyncio.sleep(0)
            if number == 0:
                await begun(slow)
        slow.may_go_on.set()

        assert opened.running.counted() == {("store", "full"): 3}


async def test_a_text_that_the_model_does_not_read_is_told_apart() -> None:
    slow = Slow()
    slow.may_go_on.set()
    async with site(lambda: slow) as opened:
        assert await opened.embedding.vector("unread", SOON) is None

    assert opened.running.counted() == {("lookup", "unread"): 1}


@pytest.mark.parametrize("text", ["long", "x" * (LONGEST + 1)])
async def test_a_text_that_is_too_long_has_no_vector(text: str) -> None:
    slow = Slow()
    slow.may_go_on.set()
    async with site(lambda: slow) as opened:
        assert await opened.embedding.vector(text, SOON) is None

    assert opened.running.counted() == {("lookup", "long"): 1}
    assert opened.running.told == []


async def test_failures_are_counted_each_and_told_once_until_it_works_again() -> None:
    slow = Slow()
    slow.may_go_on.set()
    async with site(lambda: slow) as opened:
        for now, text in ((0, "bad"), (70, "bad"), (71, "good"), (72, "down"), (73, "good"), (74, "bad")):
            opened.running.clock.time = now
            await opened.embedding.vector(text, SOON)

    assert opened.running.counted() == {
        ("lookup", "failed"): 4,
        ("lookup", "done"): 1,
        ("lookup", "recent"): 1,
    }
    assert opened.running.told == [
        ("semantic_embedding_failed", "ValueError"),
        ("semantic_embedding_failed", "it is down"),
    ]


async def test_an_embedder_that_cannot_be_had_is_told_once_and_nobody_waits_for_it() -> None:
    may_fail = threading.Event()

    def make() -> Any:
        assert may_fail.wait(SOON)
        raise Unavailable("it is not installed")

    async with site(make) as opened:
        waiting = asyncio.ensure_future(opened.embedding.vector("a", SOON))
        opened.embedding.embed_later("b", lambda vector: None)
        await asyncio.sleep(0)
        may_fail.set()
        await opened.embedding.ready()

        assert await waiting is None
        assert await opened.embedding.vector("c", SOON) is None
    assert opened.running.counted() == {("lookup", "off"): 2, ("store", "off"): 1}
    assert opened.running.told == [("semantic_embedder_off", "it is not installed")]
    assert opened.running.up() == 0


async def test_an_embedder_that_breaks_when_it_is_loaded_is_told_by_its_fault() -> None:
    def make() -> Any:
        raise MemoryError

    async with site(make) as opened:
        await opened.embedding.ready()

    assert opened.running.told == [("semantic_embedder_off", "MemoryError")]


async def test_who_waits_when_it_is_closed_goes_on() -> None:
    slow = Slow()
    async with site(lambda: slow) as opened:
        first = asyncio.ensure_future(opened.embedding.vector("first", SOON))
        await begun(slow)
        waiting = asyncio.ensure_future(opened.embedding.vector("second", SOON))
        await asyncio.sleep(0)
        threading.Timer(0.05, slow.may_go_on.set).start()
    vectors = [await first, await waiting, await opened.embedding.vector("third", SOON)]

    assert [vector is not None for vector in vectors] == [True, False, False]
    assert slow.asked == ["first"]


async def test_vectors_at_hand_are_bounded() -> None:
    slow = Slow()
    slow.may_go_on.set()
    async with site(lambda: slow) as opened:
        for number in range(260):
            await opened.embedding.vector(str(number), SOON)
        await opened.embedding.vector("0", SOON)
        await opened.embedding.vector("259", SOON)

    assert opened.running.counted() == {("lookup", "done"): 261, ("lookup", "recent"): 1}
