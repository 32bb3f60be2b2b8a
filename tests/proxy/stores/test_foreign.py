from __future__ import annotations

import pytest
from aiocache import SimpleMemoryCache

from llmproxy.stores import Store, StoreAway, key, make_store, open_store
from llmproxy.stores.foreign import ForeignStore

KEY = key("acme", "chat", "a")


class Failing(SimpleMemoryCache):  # type: ignore[misc]  # aiocache has no types
    async def _get(self, *args: object, **kwargs: object) -> object:
        raise ConnectionError("no such server, hunter2")


async def use(store: Store) -> None:
    assert await store.get(KEY) is None
    assert await store.set(KEY, b"\x00\xff", ttl=60) is True
    assert await store.get(KEY) == b"\x00\xff"
    assert await store.exists(KEY) is True
    assert await store.expire(KEY, 30) is True
    with pytest.raises(ValueError, match="exists"):
        await store.add(KEY, b"2")
    assert await store.delete(KEY) == 1
    assert await store.set(KEY, b"late", ttl=0) is False
    assert await store.increment(KEY, 3) == 3
    assert await store.get(KEY) == b"3"
    await store.multi_set([(KEY, b"4"), (key("acme", "chat", "b"), b"5")], ttl=60)
    assert await store.multi_get([KEY, key("acme", "chat", "c")]) == [b"4", None]


async def test_a_memory_backend_by_its_dotted_name() -> None:
    store = open_store("aiocache://aiocache.SimpleMemoryCache")

    try:
        await use(store)
    finally:
        await store.close()


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # aiocache's calls of redis-py
async def test_a_server_backend_by_its_dotted_name(valkey_address: str) -> None:
    host, port = valkey_address.split(":")
    store = open_store(f"aiocache://aiocache.RedisCache?endpoint={host}&port={port}&db=7&timeout=5s")

    try:
        await use(store)
    finally:
        await store.close()


async def test_a_backends_fault_is_the_store_away() -> None:
    store = ForeignStore("aiocache://failing", Failing(), timeout=5)

    with pytest.raises(StoreAway, match="store aiocache://failing failed: ConnectionError") as fault:
        await store.get(KEY)
    assert "hunter2" not in str(fault.value)


async def test_another_systems_keys_are_never_cleared() -> None:
    store = open_store("aiocache://aiocache.SimpleMemoryCache")

    with pytest.raises(NotImplementedError):
        await store.clear()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("aiocache://nowhere.Cache", 'store class "nowhere.Cache" cannot be imported'),
        ("aiocache://aiocache.Nothing", "cannot be imported"),
        ("aiocache://Nothing", "cannot be imported"),
        ("aiocache://asyncio.Queue", "is not an aiocache backend"),
        ("aiocache://aiocache.SimpleMemoryCache?namespac=x", 'did you mean "namespace"'),
        ("aiocache://aiocache.SimpleMemoryCache?timeout=soon", 'option "timeout"'),
        ("aiocache://user:hunter2@aiocache.SimpleMemoryCache", "takes no username"),
    ],
)
def test_a_wrong_name_or_option_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_store(url)
