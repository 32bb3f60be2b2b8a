from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from aiocache.lock import RedLock
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.stores import make_store
from llmproxy.stores.memory import MemoryStore
from llmproxy.stores.policies import POLICIES, Ranked, TinyLfu

EVERY_POLICY = pytest.mark.parametrize("policy", POLICIES)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "add", "ended", "delete", "expire", "increment", "clear", "get"]),
        st.binary(min_size=1, max_size=3),
        st.integers(0, 3000),
    ),
    max_size=60,
)


@EVERY_POLICY
@given(steps=STEPS, bound=st.integers(0, 16_000))
def test_the_bytes_held_are_those_of_the_entries_and_never_over_the_bound(
    policy: str, steps: list[tuple[str, bytes, int]], bound: int
) -> None:
    store = MemoryStore(max_bytes=bound, policy=policy)
    for step, key, size in steps:
        match step:
            case "set" | "add":
                store.set_nowait(key, b"0" * size, expected=None) if step == "add" else store.set_nowait(
                    key, b"0" * size
                )
            case "ended":
                store.set_nowait(key, b"0" * size, 1e-9)
            case "delete":
                store.delete_nowait(key)
            case "expire":
                store.expire_nowait(key, size)
            case "increment":
                if (store.get_nowait(key) or b"0").isdigit():
                    store.increment_nowait(key, size)
            case "clear":
                store.clear_nowait(key[:1])
            case _:
                store.get_nowait(key)

        assert store.bytes_held == held(store) <= bound


def held(store: MemoryStore) -> int:
    keys = list(store._entries.keys())
    assert len(set(keys)) == len(keys)
    # Moka gives out nothing that has ended, though it is there until it is swept.
    there = getattr(store._entries, "_settled", {})
    entries = [(key, there.get(key) or store._find(key)) for key in keys]
    assert None not in [entry for _, entry in entries]
    return sum(len(key) + len(entry[0]) + store._entries.overhead for key, entry in entries if entry)


@EVERY_POLICY
def test_what_went_is_counted_by_reason(policy: str) -> None:
    store = MemoryStore(max_bytes=20 * 1000, policy=policy)
    store.set_nowait(b"a", b"1")
    store.set_nowait(b"a", b"2")
    store.set_nowait(b"b", b"1", 1e-9)
    assert store.get_nowait(b"b") is None
    store.delete_nowait(b"a")

    assert store.evictions == {"size": 0, "expired": 1, "replaced": 1}

    for number in range(100):
        store.set_nowait(b"%d" % number, b"x" * 100)

    assert store.evictions["size"] == 100 - len(list(store._entries.keys()))


@EVERY_POLICY
def test_a_value_is_given_back_as_the_very_object(policy: str) -> None:
    store = MemoryStore(policy=policy)
    value = b"x" * 1000
    store.set_nowait(b"a", value)

    assert store.get_nowait(b"a") is value


@EVERY_POLICY
def test_what_was_asked_for_often_outlives_a_scan_unless_the_policy_is_the_oldest_first(policy: str) -> None:
    store = MemoryStore(max_bytes=100_000, policy=policy)
    for _ in range(50):
        if store.get_nowait(b"hot") is None:
            store.set_nowait(b"hot", b"1")
    for number in range(2000):
        store.set_nowait(b"%d" % number, b"x" * 100)
        if number % 10 == 0:
            store.get_nowait(b"hot")

    assert (store.get_nowait(b"hot") is None) == (policy == "fifo")


@EVERY_POLICY
async def test_locks_hold_while_the_store_is_full(policy: str) -> None:
    store = MemoryStore(max_bytes=50_000, policy=policy)
    for number in range(500):
        store.set_nowait(b"%d" % number, b"x" * 100)

    async with RedLock(store, "work", lease=5):
        assert await store.exists("work-lock")
    assert not await store.exists("work-lock")


@EVERY_POLICY
async def test_a_lifetime_may_be_set_anew(policy: str) -> None:
    store = MemoryStore(max_bytes=10_000, policy=policy)
    for size in (1, 5000):  # in the window, and past it
        store.set_nowait(b"a", b"x" * size, 0.02)
        store.set_nowait(b"a", b"x" * size)
        await asyncio.sleep(0.03)

        assert store.get_nowait(b"a") == b"x" * size
        store.set_nowait(b"a", b"x" * size, 1e18)
        assert store.get_nowait(b"a") == b"x" * size
        store.expire_nowait(b"a", 0.01)
        await asyncio.sleep(0.02)
        assert store.get_nowait(b"a") is None


MEASURE = """
import sys
from llmproxy.stores.memory import MemoryStore

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

count = 100_000
store = MemoryStore(max_bytes=count * (120 + int(sys.argv[2])), policy=sys.argv[1])
before = resident()
for number in range(count):
    store.set_nowait(b"%20d" % number, b"%100d" % number, 60.0)
    store.get_nowait(b"%20d" % (number // 2))
print(resident() - before, store.bytes_held)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@EVERY_POLICY
def test_the_overhead_covers_what_is_allocated(policy: str) -> None:
    overhead = MemoryStore(policy=policy)._entries.overhead
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, policy, str(overhead)],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    grown, accounted = map(int, done.stdout.split())

    assert grown <= accounted


def test_the_least_recently_used_goes_first() -> None:
    assert survivors("lru") == [b"1", None, b"1", b"1"]


def test_the_oldest_goes_first() -> None:
    assert survivors("fifo") == [None, b"1", b"1", b"1"]


def test_the_least_frequently_used_goes_first() -> None:
    assert survivors("lfu") == [b"1", None, b"1", b"1"]


def survivors(policy: str) -> list[bytes | None]:
    store = MemoryStore(policy=policy)
    store.max_bytes = 3 * (store._entries.overhead + 2)
    store.clear_nowait(b"")
    for key in (b"a", b"b", b"c"):
        store.set_nowait(key, b"1")
    store.get_nowait(b"a")
    store.set_nowait(b"d", b"1")
    return [store.get_nowait(key) for key in (b"a", b"b", b"c", b"d")]


@EVERY_POLICY
def test_a_value_over_the_bound_is_not_kept_and_evicts_nothing(policy: str) -> None:
    store = MemoryStore(max_bytes=3000, policy=policy)
    store.set_nowait(b"a", b"1")

    assert store.set_nowait(b"b", b"x" * 3000) is False
    assert store.get_nowait(b"a") == b"1"


def test_the_url_sets_bound_and_policy() -> None:
    store = make_store("memory://?max_bytes=2MiB&policy=lru")

    assert isinstance(store, MemoryStore)
    assert store.max_bytes == 2 << 20
    assert isinstance(store._entries, Ranked)
    assert isinstance(MemoryStore()._entries, TinyLfu)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory:///path", "takes no path"),
        (
            "memory://?policy=mru",
            'option "policy" of store memory://: "mru" is none of tinylfu, lru, lfu, fifo',
        ),
    ],
)
def test_a_wrong_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_store(url)


@EVERY_POLICY
def test_how_much_it_holds_is_told(policy: str) -> None:
    store = MemoryStore(max_bytes=100_000, policy=policy)
    for number in range(20):
        store.set_nowait(b"%d" % number, b"v" * 1000)
    extent = store.extent()

    assert (extent.entries, extent.shared, extent.limit) == (20, False, 100_000)
    assert extent.held == store.bytes_held
