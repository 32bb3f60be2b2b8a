from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmproxy.bus import Bus
from llmproxy.caching.board import Board
from llmproxy.caching.entry import Entry
from llmproxy.caching.handing import Handing
from llmproxy.peers import MAX_PAYLOAD
from llmproxy.stores.memory import MemoryStore

KEY = b"k"


@pytest.fixture
async def buses(tmp_path: Path) -> AsyncIterator[list[Bus]]:
    made = [Bus(tmp_path, slot) for slot in range(3)]
    for bus in made:
        await bus.start()
    yield made
    for bus in made:
        await bus.close()


def made(body: bytes = b"hello") -> Entry:
    return Entry(200, b"", body, mark=Board().now())


async def test_every_other_worker_has_what_was_given(buses: list[Bus]) -> None:
    stores = [MemoryStore() for _ in buses]
    hands = [Handing("main", store, bus) for store, bus in zip(stores, buses, strict=True)]
    taken = await hands[0].give(KEY, made(), 60)

    assert taken
    assert [store.get_nowait(KEY) is None for store in stores] == [True, False, False]
    assert bytes(Entry.unpack(stores[1].get_nowait(KEY) or b"", KEY).body) == b"hello"


async def test_who_has_left_is_not_waited_for(buses: list[Bus]) -> None:
    hands = [Handing("main", MemoryStore(), bus) for bus in buses]
    hands[1].close()

    assert await hands[0].give(KEY, made(), 60)


async def test_a_worker_without_room_is_told(buses: list[Bus]) -> None:
    stores = [MemoryStore(), MemoryStore(max_bytes=0), MemoryStore()]
    hands = [Handing("main", store, bus) for store, bus in zip(stores, buses, strict=True)]

    assert not await hands[0].give(KEY, made(), 60)


async def test_what_no_message_can_hold_stays_here(buses: list[Bus]) -> None:
    hands = [Handing("main", MemoryStore(max_bytes=1 << 30), bus) for bus in buses]

    assert not await hands[0].give(KEY, made(bytes(MAX_PAYLOAD)), 60)


async def test_nobody_takes_what_is_no_entry(buses: list[Bus]) -> None:
    hands = [Handing("main", MemoryStore(), bus) for bus in buses[:2]]

    class Broken(Entry):
        def pack(self, key: bytes) -> bytes:
            return b"?" + super().pack(key)

    assert not await hands[0].give(KEY, Broken(200, b"", b"", mark=Board().now()), 60)


async def test_what_other_workers_have_can_be_looked_at(buses: list[Bus]) -> None:
    stores = [MemoryStore() for _ in buses]
    hands = [Handing("main", store, bus) for store, bus in zip(stores, buses, strict=True)]
    stores[1].set_nowait(KEY, made(b"theirs").pack(KEY))
    stores[2].set_nowait(KEY, b"no entry")

    assert [bytes(entry.body) for entry in await hands[0].find(KEY)] == [b"theirs"]
    assert await hands[0].find(b"other") == []
