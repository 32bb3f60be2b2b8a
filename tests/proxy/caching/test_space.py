import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmproxy.caching import space as module
from llmproxy.caching.board import Board, Purged, Verdict, slot_of
from llmproxy.caching.entry import Entry, Mark
from llmproxy.caching.space import CacheSpace, open_space
from llmproxy.metrics import Metrics
from llmproxy.references import Secret
from llmproxy.settings import StoreConfig
from llmproxy.stores import SCHEMES, StoreAway, open_store
from llmproxy.stores.layers import open_layers
from llmproxy.stores.memory import MemoryStore

A = slot_of("tag", "a")
KEY = b"k"


class Far:
    """A shared store that can be made to fail."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.fault: Exception | None = None

    async def get(self, key: bytes) -> bytes | None:
        if self.fault is not None:
            raise self.fault
        return self.values.get(key)

    async def set(self, key: bytes, value: bytes, ttl: float | None = None) -> bool:
        if self.fault is not None:
            raise self.fault
        self.values[key] = value
        return True

    async def delete(self, key: bytes) -> int:
        if self.fault is not None:
            raise self.fault
        return int(self.values.pop(key, None) is not None)


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def space(far: Far, metrics: Metrics) -> CacheSpace:
    store: Any = SimpleNamespace(near=MemoryStore(), far=far)
    return CacheSpace("main", store, Board(), metrics)


def made(space: CacheSpace, body: bytes = b"hello") -> Entry:
    return Entry(200, b"", body, mark=space.now(), slots=[A])


async def body_of(space: CacheSpace) -> bytes | None:
    found = await space.get(KEY)
    return None if found is None else bytes(found.entry.body)


async def test_an_entry_is_found_at_hand_once_it_was_put(space: CacheSpace) -> None:
    assert await space.put(KEY, made(space), 60)

    found = space.peek(KEY)
    assert found is not None
    assert bytes(found.entry.body) == b"hello"


async def test_what_another_worker_put_is_found_in_the_shared_tier_and_then_at_hand(
    space: CacheSpace, far: Far
) -> None:
    far.values[KEY] = made(space).pack(KEY)

    assert space.peek(KEY) is None
    assert await body_of(space) == b"hello"
    assert space.peek(KEY) is not None


async def test_a_purged_entry_is_found_in_no_tier(space: CacheSpace) -> None:
    await space.put(KEY, made(space), 60)
    await space.purge([A])

    assert space.peek(KEY) is None
    assert await space.get(KEY) is None


async def test_an_answer_that_was_being_written_during_a_purge_is_not_found_after_it(
    space: CacheSpace,
) -> None:
    entry = made(space)
    await space.purge([A])
    await space.put(KEY, entry, 60)

    assert await space.get(KEY) is None


async def test_a_soft_purge_leaves_the_entry_to_be_used_as_stale(space: CacheSpace) -> None:
    await space.put(KEY, made(space), 60)
    await space.purge([A], soft=True)

    found = await space.get(KEY)
    assert found is not None
    assert found.stale


@pytest.mark.parametrize("fault", [StoreAway("away"), OSError("broken"), RuntimeError("odd")])
async def test_a_store_that_fails_is_a_miss_and_is_counted(
    space: CacheSpace, far: Far, metrics: Metrics, fault: Exception
) -> None:
    far.fault = fault

    assert await space.get(KEY) is None
    assert not await space.put(KEY, made(space), 60)
    await space.drop(KEY)
    told = metrics.exposition([metrics.snapshot()])
    kind = "away" if isinstance(fault, StoreAway) else "error"
    for operation in ("get", "put", "drop"):
        assert f'store="main",operation="{operation}",fault="{kind}"}} 1' in told


@pytest.mark.parametrize("value", [b"", b"nonsense", b"LPe1" + b"\0" * 60])
async def test_damaged_bytes_are_a_miss(space: CacheSpace, far: Far, value: bytes) -> None:
    far.values[KEY] = value

    assert await space.get(KEY) is None
    assert space.peek(KEY) is None


async def test_another_keys_entry_is_a_miss_and_told(space: CacheSpace, far: Far, metrics: Metrics) -> None:
    far.values[KEY] = made(space).pack(b"another key")

    assert await space.get(KEY) is None
    assert 'operation="get",fault="damaged"} 1' in metrics.exposition([metrics.snapshot()])


async def test_a_dropped_entry_is_gone_from_both_tiers(space: CacheSpace, far: Far) -> None:
    await space.put(KEY, made(space), 60)
    await space.drop(KEY)

    assert await space.get(KEY) is None
    assert not far.values


@pytest.fixture
async def on_disk(tmp_path: Path, metrics: Metrics) -> AsyncIterator[CacheSpace]:
    store = open_store(f"lmdb://{tmp_path}/cache")
    async with open_space("disk", store, metrics, None) as space:
        yield space
    await store.close()


async def test_a_store_on_disk_alone_is_at_hand_and_has_its_board_beside_it(
    on_disk: CacheSpace, tmp_path: Path
) -> None:
    await on_disk.put(KEY, made(on_disk), 60)

    assert on_disk.peek(KEY) is not None
    assert not on_disk.waits
    assert (tmp_path / "cache" / "board").exists()


class Server:
    """A mirror that says what it is told to say."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.trusted = True
        self.verdict: Verdict | Exception = Verdict.GOOD

    async def mark(self) -> Mark:
        return Mark(self.board.id, 99)

    async def judge(self, mark: Mark, slots: object) -> Verdict:
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    async def purge(self, slots: Iterable[int], *, soft: bool = False, quiet: bool = False) -> Purged:
        return Purged(self.board.purge(slots, soft=soft, alone=True, quiet=quiet), everywhere=False)


@pytest.fixture
def server() -> Server:
    return Server(Board())


@pytest.fixture
def shared(server: Server, metrics: Metrics) -> CacheSpace:
    mirror: Any = server
    return CacheSpace("main", MemoryStore(), server.board, metrics, mirror)


async def test_nothing_is_found_while_other_hosts_purges_are_not_heard(
    shared: CacheSpace, server: Server, metrics: Metrics
) -> None:
    await shared.put(KEY, made(shared), 60)
    server.trusted = False

    assert shared.peek(KEY) is None
    assert await shared.get(KEY) is None
    assert 'operation="get",fault="unsure"} 2' in metrics.exposition([metrics.snapshot()])
    server.trusted = True
    assert shared.peek(KEY) is not None


@pytest.mark.parametrize(
    ("verdict", "stale"),
    [
        (Verdict.GOOD, False),
        (Verdict.SOFT, True),
        (Verdict.PURGED, None),
        (StoreAway("away"), None),
        (ValueError("no board"), None),
    ],
)
async def test_what_is_found_is_confirmed_by_what_every_host_sees(
    shared: CacheSpace, server: Server, verdict: Verdict | Exception, stale: bool | None
) -> None:
    await shared.put(KEY, made(shared), 60)
    found = shared.peek(KEY)
    assert found is not None
    server.verdict = verdict
    confirmed = await shared.confirm(found)

    assert (None if confirmed is None else confirmed.stale) is stale
    assert await shared.mark() == Mark(server.board.id, 99)


async def test_a_purge_that_other_hosts_did_not_hear_is_told(shared: CacheSpace, metrics: Metrics) -> None:
    await shared.put(KEY, made(shared), 60)

    assert not (await shared.purge([A])).everywhere
    assert shared.peek(KEY) is None
    assert 'kind="hard",heard="here"} 1' in metrics.exposition([metrics.snapshot()])


async def test_a_purge_begins_an_epoch_for_flights_also_where_only_this_host_heard_of_it(
    shared: CacheSpace, server: Server
) -> None:
    before = shared.epoch(shared.now())
    server.board.purge([A], alone=True)
    alone = shared.epoch(shared.now())
    server.board.purge([A])

    assert len({before, alone, shared.epoch(shared.now())}) == 3


async def test_a_store_of_this_host_alone_needs_no_confirmation(space: CacheSpace) -> None:
    await space.put(KEY, made(space), 60)
    found = space.peek(KEY)
    assert found is not None

    assert await space.confirm(found) is found
    assert await space.mark() == space.now()
    assert space.good(found.entry.mark, [A])
    assert (await space.purge([A])).everywhere
    assert not space.good(found.entry.mark, [A])


async def test_a_board_that_was_lost_ends_what_was_stored_and_is_told(
    on_disk: CacheSpace, tmp_path: Path, metrics: Metrics
) -> None:
    await on_disk.put(KEY, made(on_disk), 60)
    (tmp_path / "cache" / "board").unlink()
    await on_disk.purge([slot_of("tag", "b")])

    assert on_disk.peek(KEY) is None
    assert 'operation="board",fault="lost"} 1' in metrics.exposition([metrics.snapshot()])
    await on_disk.put(KEY, made(on_disk), 60)
    assert on_disk.peek(KEY) is not None


async def test_a_lost_board_is_noticed_without_anybodys_doing(
    tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.001)
    store = open_store(f"lmdb://{tmp_path}/cache")
    async with open_space("disk", store, metrics, None):
        (tmp_path / "cache" / "board").unlink()
        while 'fault="lost"} 1' not in metrics.exposition([metrics.snapshot()]):
            await asyncio.sleep(0.001)
    await store.close()


async def test_nothing_is_found_while_no_board_can_be_made(
    on_disk: CacheSpace, tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> int:
        raise OSError(28, "No space left on device")

    await on_disk.put(KEY, made(on_disk), 60)
    (tmp_path / "cache" / "board").unlink()
    with monkeypatch.context() as spoilt:
        spoilt.setattr("llmproxy.caching.board._open", full)
        on_disk.heal()
        await on_disk.put(KEY, made(on_disk), 60)
        assert on_disk.peek(KEY) is None
    on_disk.heal()

    assert 'operation="board",fault="away"} 1' in metrics.exposition([metrics.snapshot()])
    assert on_disk.peek(KEY) is None
    await on_disk.put(KEY, made(on_disk), 60)
    assert on_disk.peek(KEY) is not None


async def test_a_sealed_value_that_cannot_be_opened_is_told(tmp_path: Path, metrics: Metrics) -> None:
    config = StoreConfig(
        url=f"lmdb://{tmp_path}/cache", encryption_key=(Secret("ab" * 32),), near="memory://?max_bytes=100"
    )
    store: Any = open_layers(config, SCHEMES)
    async with open_space("sealed", store, metrics, None) as space:
        await space.put(KEY, made(space), 60)
        found = space.peek(KEY)
        assert found is not None
        store.far.inner.set_nowait(KEY, store.far.inner.get_nowait(KEY)[:-1] + b"x")

        assert space.peek(KEY) is None
    assert 'operation="get",fault="damaged"} 1' in metrics.exposition([metrics.snapshot()])
    await store.close()
