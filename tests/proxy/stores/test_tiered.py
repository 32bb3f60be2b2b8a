from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxy.stores import StoreAway
from llmproxy.stores.memory import MemoryStore
from llmproxy.stores.tiered import TieredStore
from llmproxy.tasks import spawn


class Shared(MemoryStore):
    """A store elsewhere: its calls take time, may fail, and others change it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.away = False
        self.gate: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)

    async def _get(self, key: bytes, *_: object, **__: object) -> bytes | None:
        self.asked += 1
        if self.away:
            raise StoreAway("away")
        value = self.get_nowait(key)
        await self.gate()
        return value

    async def _set(self, key: bytes, value: bytes, ttl: float | None = None, *_: Any, **__: Any) -> bool:
        if self.away:
            raise StoreAway("away")
        await self.gate()
        kept = self.set_nowait(key, value, ttl)
        await self.gate()
        return kept

    async def _delete(self, key: bytes, *_: object, **__: object) -> int:
        await self.gate()
        gone = self.delete_nowait(key)
        await self.gate()
        return int(gone)


@pytest.fixture
def far() -> Shared:
    return Shared()


@pytest.fixture
def store(far: Shared) -> TieredStore:
    return TieredStore("shared", MemoryStore(), far, near_ttl=0.05)


async def test_what_was_read_or_written_is_at_hand_for_a_moment(store: TieredStore, far: Shared) -> None:
    await store.set(b"a", b"1")
    far.set_nowait(b"b", b"2")

    for _ in range(3):
        assert await store.get(b"a") == b"1"
        assert await store.get(b"b") == b"2"
        assert await store.multi_get([b"a", b"b"]) == [b"1", b"2"]
        assert await store.exists(b"a")

    assert far.asked == 1
    assert store.near.get_nowait(b"b") == b"2"


async def test_what_others_change_is_seen_within_the_moment(store: TieredStore, far: Shared) -> None:
    await store.set(b"a", b"1")
    far.set_nowait(b"a", b"2")
    await asyncio.sleep(0.07)

    assert await store.get(b"a") == b"2"


async def test_nothing_is_at_hand_longer_than_it_lives(store: TieredStore) -> None:
    await store.set(b"a", b"1", ttl=0.02)
    await asyncio.sleep(0.03)

    assert await store.get(b"a") is None


async def test_what_one_changes_one_sees(store: TieredStore, far: Shared) -> None:
    await store.set(b"a", b"1")
    await store.increment(b"a", 4)
    assert await store.get(b"a") == b"5"
    await store.expire(b"a", 0.001)
    await asyncio.sleep(0.01)
    assert await store.get(b"a") is None
    await store.add(b"a", b"6")
    assert await store.get(b"a") == b"6"
    assert await store.swap(b"a", b"6", b"7")
    assert await store.get(b"a") == b"7"
    await store.multi_set([(b"a", b"8")])
    assert await store.get(b"a") == b"8"
    await store.delete(b"a")
    assert await store.get(b"a") is None
    await store.set(b"a", b"9")
    await store.clear()
    assert await store.get(b"a") is None


async def test_a_write_that_fails_leaves_nothing_old_at_hand(store: TieredStore, far: Shared) -> None:
    await store.set(b"a", b"1")
    far.away = True

    with pytest.raises(StoreAway):
        await store.set(b"a", b"2")
    with pytest.raises(StoreAway):
        await store.get(b"a")


async def test_what_is_at_hand_is_answered_while_the_shared_store_is_away(
    store: TieredStore, far: Shared
) -> None:
    await store.set(b"a", b"1")
    far.away = True

    assert await store.get(b"a") == b"1"


async def test_a_store_at_hand_that_fails_is_passed_over(store: TieredStore, far: Shared) -> None:
    def fail(*_: object) -> None:
        raise StoreAway("full")

    for name in ("get_nowait", "set_nowait", "delete_nowait"):
        setattr(store.near, name, fail)
    await store.set(b"a", b"1")

    assert await store.get(b"a") == b"1"


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.sampled_from(["get", "set", "delete", "clear"]), st.integers(0, 3)),
        min_size=2,
        max_size=6,
    )
)
def test_whatever_runs_at_once_what_is_at_hand_is_the_truth(steps: list[tuple[str, int]]) -> None:
    async def run() -> None:
        far = Shared()
        store = TieredStore("shared", MemoryStore(), far, near_ttl=60)
        await store.set(b"a", b"0")

        async def act(number: int, step: str, turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            match step:
                case "get":
                    await store.get(b"a")
                case "set":
                    await store.set(b"a", b"%d" % number)
                case "delete":
                    await store.delete(b"a")
                case _:
                    await store.clear()

        tasks = [
            spawn(act(number, step, turns), name=step) for number, (step, turns) in enumerate(steps, start=1)
        ]
        await asyncio.wait(tasks)

        assert store.near.get_nowait(b"a") in (None, far.get_nowait(b"a"))
        assert store._busy == {}

    asyncio.run(run())


async def test_a_reader_that_leaves_leaves_nothing_behind(store: TieredStore, far: Shared) -> None:
    far.set_nowait(b"a", b"1")
    far.gate = lambda: asyncio.sleep(10)
    reader = spawn(store.get(b"a"), name="get")
    await asyncio.sleep(0.01)
    reader.cancel()
    await asyncio.wait([reader])

    assert store._busy == {}
    assert store.near.get_nowait(b"a") is None


async def test_counters_are_the_shared_stores(store: TieredStore, far: Shared) -> None:
    await store.counters.increment(b"a", 3)

    assert await far.counters.get_counter(b"a") == 3
