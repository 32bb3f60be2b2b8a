from __future__ import annotations

import asyncio
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.stores import StoreAway, make_store
from llmproxy.stores.memory import ENTRY_OVERHEAD, MemoryCounters, MemoryStore

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "add", "delete", "expire", "increment", "clear", "get"]),
        st.binary(min_size=1, max_size=3),
        st.integers(0, 3000),
    ),
    max_size=60,
)


@given(STEPS, st.integers(0, 8000))
def test_the_bytes_held_are_those_of_the_entries_and_never_over_the_bound(
    steps: list[tuple[str, bytes, int]], bound: int
) -> None:
    store = MemoryStore(max_bytes=bound)
    for step, key, size in steps:
        match step:
            case "set" | "add":
                store.set_nowait(key, b"0" * size, expected=None) if step == "add" else store.set_nowait(
                    key, b"0" * size
                )
            case "delete":
                store.delete_nowait(key)
            case "expire":
                store.expire_nowait(key, size)
            case "increment":
                store.increment_nowait(key, size)
            case "clear":
                store.clear_nowait(key[:1])
            case _:
                store.get_nowait(key)

        held = sum(len(key) + len(value) + ENTRY_OVERHEAD for key, (value, _) in store._entries.items())
        assert store.bytes_held == held <= bound


def test_the_overhead_covers_what_python_allocates() -> None:
    count = 20_000
    tracemalloc.start()
    store = MemoryStore(max_bytes=1 << 30)
    for number in range(count):
        store.set_nowait(b"%20d" % number, b"%100d" % number, 60.0)
    allocated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert allocated <= store.bytes_held + sys.getsizeof(store._entries) / 2


def test_the_least_recently_used_goes_first() -> None:
    store = MemoryStore(max_bytes=3 * (ENTRY_OVERHEAD + 2))
    for key in (b"a", b"b", b"c"):
        store.set_nowait(key, b"1")
    store.get_nowait(b"a")

    store.set_nowait(b"d", b"1")

    assert [store.get_nowait(key) for key in (b"a", b"b", b"c", b"d")] == [b"1", None, b"1", b"1"]


def test_a_value_over_the_bound_is_not_kept_and_evicts_nothing() -> None:
    store = MemoryStore(max_bytes=1000)
    store.set_nowait(b"a", b"1")

    assert store.set_nowait(b"b", b"x" * 1000) is False
    assert store.get_nowait(b"a") == b"1"


def test_the_url_sets_the_bound() -> None:
    store = make_store("memory://?max_bytes=2MiB")

    assert isinstance(store, MemoryStore)
    assert store.max_bytes == 2 << 20


def test_a_memory_store_is_nowhere() -> None:
    with pytest.raises(ValueError, match="takes no path"):
        make_store("memory:///path")


async def test_counters_refuse_rather_than_forget() -> None:
    counters = MemoryCounters("memory://", limit=2)
    await counters.increment(b"a", ttl=0.03)
    await counters.increment(b"b")

    with pytest.raises(StoreAway, match="holds 2 counters"):
        await counters.increment(b"c")
    assert await counters.increment(b"b") == 2

    await asyncio.sleep(0.05)
    assert await counters.increment(b"c") == 1
