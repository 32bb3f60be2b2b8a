from __future__ import annotations

import pytest
from aiocache.plugins import BasePlugin

from llmproxy.stores import LocalStore, StoreAway
from llmproxy.stores.backend import Backend, as_bytes, join_key, whole_number
from llmproxy.stores.memory import MemoryStore


@pytest.mark.parametrize("value", [b"a\xff", bytearray(b"a\xff"), memoryview(b"a\xff")])
def test_bytes_like_values_become_bytes(value: object) -> None:
    assert as_bytes(value) == b"a\xff"


def test_a_namespace_stands_before_the_key() -> None:
    assert join_key("é", b"n:") == "n:é".encode()
    assert join_key(b"k") == b"k"


@pytest.mark.parametrize(("value", "number"), [(None, 0), (b"-12", -12)])
def test_stored_decimals_are_read(value: bytes | None, number: int) -> None:
    assert whole_number(value) == number


async def test_add_without_room_is_no_lock() -> None:
    store = MemoryStore(max_bytes=1000)

    with pytest.raises(StoreAway, match="no room"):
        await store.add(b"key", b"x" * 1000)


def test_a_backend_without_counters_says_which_have_them() -> None:
    with pytest.raises(ValueError, match="keeps no counters; name a memory, lmdb or redis store"):
        _ = Backend("mine://").counters


def test_a_backend_can_be_asked_what_it_is() -> None:
    assert not isinstance(Backend("mine://"), LocalStore)
    assert not hasattr(Backend("mine://"), "counters")


async def test_aiocache_namespaces_apply() -> None:
    store = MemoryStore()

    await store.set("key", b"value", namespace="ns:")

    assert store.get_nowait(b"ns:key") == b"value"


class Watching(BasePlugin):  # type: ignore[misc]  # aiocache has no types
    """An aiocache plugin."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    async def post_get(self, client: object, key: object, *_: object, **__: object) -> None:
        self.seen.append(("get", key))

    async def post_set(self, client: object, key: object, *_: object, **__: object) -> None:
        self.seen.append(("set", key))


async def test_aiocaches_plugins_and_options_work() -> None:
    store, watching = MemoryStore(), Watching()
    store.plugins = [watching]

    await store.set("key", b"value", 60, timeout=1)
    assert await store.get("key", timeout=1) == b"value"
    assert await store.get("none", b"default") == b"default"

    assert watching.seen == [("set", "key"), ("get", "key"), ("get", "none")]
