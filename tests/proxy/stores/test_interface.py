"""The contract that every engine keeps, Valkey on a real server."""

from __future__ import annotations

import asyncio

import pytest
from aiocache.base import BaseCache
from aiocache.lock import OptimisticLock, OptimisticLockError, RedLock

from llmproxy.settings import StoreConfig
from llmproxy.stores import CountsEvictions, HoldsReaders, LocalStore, Store, key

pytestmark = pytest.mark.parametrize(
    "store_config",
    [
        "memory",
        "lmdb",
        "valkey",
        "memcached",
        "memory-compressed",
        "lmdb-compressed",
        "lmdb-encrypted",
        "valkey-encrypted",
        "lmdb-tiered",
        "valkey-tiered",
        "memcached-encrypted",
    ],
    indirect=True,
)

KEY = key("acme", "chat", "a")
BINARY = bytes(range(256)) * 3


async def test_a_store_is_an_aiocache_backend(store: Store, store_config: StoreConfig) -> None:
    assert isinstance(store, BaseCache)
    assert isinstance(store, LocalStore) == (
        store_config.url.startswith(("memory", "lmdb")) and not store_config.near
    )
    assert isinstance(store, CountsEvictions) == isinstance(store, LocalStore)
    assert isinstance(store, HoldsReaders) == (
        store_config.url.startswith("lmdb") or store_config.near is not None
    )


async def test_what_is_set_is_got(store: Store) -> None:
    assert await store.get(KEY) is None
    assert await store.get(KEY, default=b"none") == b"none"

    assert await store.set(KEY, BINARY) is True

    assert await store.get(KEY) == BINARY
    assert await store.exists(KEY) is True


async def test_an_empty_value_is_a_value(store: Store) -> None:
    await store.set(KEY, b"")

    assert await store.get(KEY) == b""


async def test_a_large_value_is_kept_whole(store: Store) -> None:
    value = BINARY * 1000

    await store.set(KEY, value, ttl=60)

    assert await store.get(KEY) == value


async def test_a_later_set_replaces_value_and_lifetime(store: Store) -> None:
    await store.set(KEY, b"old", ttl=0.03)
    await store.set(KEY, b"new")
    await asyncio.sleep(0.06)

    assert await store.get(KEY) == b"new"


async def test_an_entry_ends_with_its_lifetime(store: Store) -> None:
    await store.set(KEY, b"value", ttl=0.03)
    await asyncio.sleep(0.06)

    assert await store.get(KEY) is None
    assert await store.exists(KEY) is False
    assert await store.delete(KEY) == 0


async def test_a_lifetime_that_is_over_stores_nothing(store: Store) -> None:
    await store.set(KEY, b"value")

    assert await store.set(KEY, b"late", ttl=0) is False
    assert await store.get(KEY) is None


async def test_delete_counts_what_it_removed(store: Store) -> None:
    await store.set(KEY, b"value")

    assert await store.delete(KEY) == 1
    assert await store.delete(KEY) == 0
    assert await store.get(KEY) is None


async def test_add_refuses_a_key_that_exists(store: Store) -> None:
    await store.add(KEY, b"first", ttl=60)

    with pytest.raises(ValueError, match="exists"):
        await store.add(KEY, b"second")

    assert await store.get(KEY) == b"first"


async def test_swap_replaces_what_was_expected_and_nothing_else(store: Store) -> None:
    assert await store.swap(KEY, b"", b"new") is False
    await store.set(KEY, b"old")

    assert await store.swap(KEY, b"other", b"new", ttl=60) is False
    assert await store.get(KEY) == b"old"
    assert await store.swap(KEY, b"old", BINARY * 100, ttl=60) is True
    assert await store.get(KEY) == BINARY * 100


async def test_of_many_swaps_at_once_one_wins(store: Store) -> None:
    await store.set(KEY, b"free")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.swap(KEY, b"free", b"%d" % n)) for n in range(20)]

    assert sum(task.result() for task in tasks) == 1


async def test_add_takes_the_place_of_what_has_ended(store: Store) -> None:
    await store.set(KEY, b"old", ttl=0.02)
    await asyncio.sleep(0.05)

    await store.add(KEY, b"new")

    assert await store.get(KEY) == b"new"


async def test_many_keys_in_one_call(store: Store) -> None:
    other, missing = key("acme", "chat", "b"), key("acme", "chat", "c")

    await store.multi_set([(KEY, b"1"), (other, b"2")], ttl=60)

    assert await store.multi_get([other, missing, KEY]) == [b"2", None, b"1"]
    assert await store.multi_get([]) == []


async def test_increment_counts_from_nothing_and_keeps_the_lifetime(
    store: Store, store_config: StoreConfig
) -> None:
    if store_config.encryption_key:
        with pytest.raises(NotImplementedError, match="use its counters"):
            await store.increment(KEY)
        return

    assert await store.increment(KEY, 5) == 5
    assert await store.increment(KEY, -7) == -2
    assert await store.get(KEY) == b"-2"

    await store.expire(KEY, 0.04)
    await store.increment(KEY)
    await asyncio.sleep(0.08)

    assert await store.get(KEY) is None


async def test_increment_refuses_what_is_no_number(store: Store, store_config: StoreConfig) -> None:
    if store_config.encryption_key:
        return
    await store.set(KEY, b"text")

    with pytest.raises(TypeError, match="whole number"):
        await store.increment(KEY)


async def test_expire_sets_and_lifts_the_end(store: Store) -> None:
    assert await store.expire(KEY, 10) is False

    await store.set(KEY, b"value", ttl=0.05)

    assert await store.expire(KEY, 0) is True
    await asyncio.sleep(0.08)
    assert await store.get(KEY) == b"value"

    await store.expire(KEY, 0.02)
    await asyncio.sleep(0.05)
    assert await store.get(KEY) is None


async def test_clear_takes_one_tenant_route_and_no_other(store: Store, store_config: StoreConfig) -> None:
    if store_config.url.startswith("memcached"):
        with pytest.raises(NotImplementedError):
            await store.clear()
        return

    neighbours = [key("acme", "chat2", "a"), key("acm", "echat", "a"), key("[*", "?", "a")]
    for name in (KEY, *neighbours):
        await store.set(name, b"value")

    await store.clear(namespace=key("acme", "chat"))

    assert await store.get(KEY) is None
    assert await store.multi_get(neighbours) == [b"value"] * 3

    await store.clear(namespace=key("[*", "?"))

    assert await store.multi_get(neighbours) == [b"value", b"value", None]


async def test_clear_takes_all_entries_and_no_counter(store: Store, store_config: StoreConfig) -> None:
    if store_config.url.startswith("memcached"):
        return
    await store.set(KEY, b"value")
    await store.counters.increment(KEY, 3)

    await store.clear()

    assert await store.get(KEY) is None
    assert await store.counters.get_counter(KEY) == 3


async def test_a_key_may_be_long(store: Store) -> None:
    long, longer = key("acme", "chat", "x" * 2000), key("acme", "chat", "x" * 2001)

    await store.set(long, b"1")
    await store.set(longer, b"2")

    assert await store.multi_get([long, longer]) == [b"1", b"2"]
    await store.delete(long)
    assert await store.multi_get([long, longer]) == [None, b"2"]


async def test_only_bytes_are_kept(store: Store) -> None:
    with pytest.raises(TypeError, match="bytes"):
        await store.set(KEY, {"a": 1})  # type: ignore[arg-type]


async def test_aiocaches_locks_work(store: BaseCache) -> None:
    async with RedLock(store, "work", lease=5):
        assert await store.exists("work-lock")
    assert not await store.exists("work-lock")

    await store.set(KEY, b"1")
    async with OptimisticLock(store, KEY) as lock:
        await lock.cas(b"2", ttl=60)
        with pytest.raises(OptimisticLockError):
            await lock.cas(b"3")
    assert await store.get(KEY) == b"2"


async def test_counters_add_up_and_end_where_the_first_call_said(
    store: Store, store_config: StoreConfig
) -> None:
    if store_config.url.startswith("memcached"):
        with pytest.raises(ValueError, match="keeps no counters"):
            _ = store.counters
        return

    counters = store.counters

    assert await counters.get_counter(KEY) == 0
    assert await counters.increment(KEY, 2, ttl=0.1) == 2
    await asyncio.sleep(0.06)
    assert await counters.increment(KEY, 3, ttl=60) == 5
    assert await counters.get_counter(KEY) == 5
    await asyncio.sleep(0.08)

    assert await counters.get_counter(KEY) == 0
    assert await counters.increment(KEY) == 1


async def test_counters_without_an_end_stay(store: Store, store_config: StoreConfig) -> None:
    if store_config.url.startswith("memcached"):
        with pytest.raises(ValueError, match="keeps no counters"):
            _ = store.counters
        return

    await store.counters.increment(KEY, 10**12)

    assert await store.counters.increment(KEY, -1) == 10**12 - 1
    assert await store.get(KEY) is None
