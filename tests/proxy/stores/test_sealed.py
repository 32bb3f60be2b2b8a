from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from llmproxy.stores import HoldsReaders, LocalStore, make_store
from llmproxy.stores.backend import Backend
from llmproxy.stores.lmdb import LmdbStore
from llmproxy.stores.memory import MemoryStore
from llmproxy.stores.sealed import SealedFiles, SealedLocal, sealed
from llmproxy.stores.sealing import Both, Compression, Encryption

TEXT = b"the same words, the same words; " * 4000


def seal(key: bytes = b"k" * 32) -> Both:
    return Both(Compression(4096), Encryption([key]))


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(memory: MemoryStore) -> Any:
    return sealed(memory, "memory://", seal())


async def test_long_and_short_values_are_sealed_inside_and_plain_outside(
    store: SealedLocal, memory: MemoryStore
) -> None:
    for value in (b"short", TEXT):
        await store.set(b"k", value, ttl=60)
        assert await store.get(b"k") == store.get_nowait(b"k") == value
        assert await store.multi_get([b"k", b"none"]) == [value, None]

        store.set_nowait(b"k", value)
        assert await store.get(b"k") == value
        held = memory.get_nowait(b"k")
        assert held is not None
        assert value[:5] not in held


async def test_what_cannot_be_opened_is_a_miss_and_told_once(memory: MemoryStore, store: SealedLocal) -> None:
    stranger = sealed(memory, "memory://", seal(b"x" * 32))
    await store.set(b"a", b"secret")
    memory.set_nowait(b"b", memory.get_nowait(b"a") or b"")
    memory.set_nowait(b"c", b"plain")

    with capture_logs() as logs:
        assert await stranger.get(b"a") is None
        assert await stranger.multi_get([b"a", b"c"]) == [None, None]
        assert await store.get(b"b") is None

    assert stranger.opening.faults == {"key": 2, "plain": 1}
    assert store.opening.faults == {"corrupt": 1}
    assert logs == [
        {"event": "store_value_unopened", "log_level": "warning", "store": "memory://", "reason": "key"},
        {"event": "store_value_unopened", "log_level": "warning", "store": "memory://", "reason": "corrupt"},
    ]


async def test_what_cannot_be_opened_can_be_written_over(store: SealedLocal, memory: MemoryStore) -> None:
    memory.set_nowait(b"a", b"plain")

    assert await store.set(b"a", b"new") is True
    assert await store.get(b"a") == b"new"


def test_conditions_are_on_the_value_as_it_was_given(store: SealedLocal) -> None:
    assert store.set_nowait(b"a", b"1", expected=None) is True
    assert store.set_nowait(b"a", b"2", expected=None) is False
    assert store.set_nowait(b"a", b"2", expected=b"0") is False
    assert store.set_nowait(b"a", b"2", expected=b"1") is True
    assert store.delete_nowait(b"a", b"1") is False
    assert store.delete_nowait(b"a", b"2") is True
    assert store.get_nowait(b"a") is None


def test_numbers_are_counted_in_unless_they_are_encrypted(memory: MemoryStore, store: SealedLocal) -> None:
    assert sealed(memory, "memory://", Compression(0)).increment_nowait(b"n", 2) == 2  # type: ignore[attr-defined]
    with pytest.raises(NotImplementedError):
        store.increment_nowait(b"n", 2)


async def test_what_is_around_a_store_is_of_its_kind(tmp_path: Path) -> None:
    lmdb: Any = make_store(f"lmdb://{tmp_path}")
    files = sealed(lmdb, "lmdb:", seal())
    files.open()
    local = sealed(MemoryStore(), "memory://", seal())
    elsewhere = sealed(Backend("mine://"), "mine://", seal())

    assert isinstance(lmdb, LmdbStore)
    assert isinstance(files, SealedFiles)
    assert files.directory == tmp_path
    assert files.check_readers() == 0
    assert files.evictions is lmdb.evictions
    assert [isinstance(each, LocalStore) for each in (files, local, elsewhere)] == [True, True, False]
    assert [isinstance(each, HoldsReaders) for each in (files, local, elsewhere)] == [True, False, False]
    await files.close()
