from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmproxy.stores import StoreAway, key, make_store, open_store
from llmproxy.stores.lmdb import LmdbStore

KEY = key("acme", "chat", "a")
ENVIRON = {"PYTHONPATH": os.pathsep.join(sys.path)}

WRITER = """
import asyncio, sys
from llmproxy.stores import open_store

async def main():
    store = open_store(sys.argv[1])
    number = 0
    while True:
        number += 1
        key = b"%d" % (number % 50)
        await store.set(key, (b"%d," % number) * (number % 700 * 10), ttl=60)
        if number == 100:
            print("writing", flush=True)

asyncio.run(main())
"""

READER = """
import sys, time
from pathlib import Path
from llmproxy.stores.environment import Environment

env = Environment.acquire(Path(sys.argv[1]), 1 << 20, ("entries", "inserted", "expiries"))
with env.begin() as txn:
    print("reading", flush=True)
    time.sleep(60)
"""

HANGER = """
import sys, time
from pathlib import Path
from llmproxy.stores.environment import Environment

env = Environment.acquire(Path(sys.argv[1]), 1 << 20, ("entries", "inserted", "expiries"))
def hang(txn):
    print("writing", flush=True)
    time.sleep(60)
env.write(hang)
"""

FULL_DISK = """
import asyncio, resource, sys
from llmproxy.stores import StoreAway, open_store

async def main():
    store = open_store(sys.argv[1])
    await store.set(b"before", b"value")
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    outcomes = []
    for number in range(400):
        for size in (100, 5000, 50_000):
            try:
                outcomes.append(await store.set(b"%d" % number, b"x" * size, ttl=60))
            except StoreAway as fault:
                outcomes.append(fault)
            await store.get(b"%d" % number)
    try:
        await store.counters.increment(b"n")
        await store.delete(b"before")
        await store.clear()
    except StoreAway:
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    print(any(isinstance(each, StoreAway) for each in outcomes), await store.set(b"after", b"x" * 50_000))
    await store.close()

asyncio.run(main())
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LmdbStore]:
    made = LmdbStore(tmp_path, name="lmdb:///store", map_size=4 << 20)
    made.open()
    yield made
    await made.close()


async def test_entries_survive_a_restart(tmp_path: Path) -> None:
    for value in (None, b"value"):
        store = open_store(f"lmdb://{tmp_path}")
        assert await store.get(KEY) == value
        await store.set(KEY, b"value", ttl=60)
        await store.close()


async def test_two_stores_of_a_process_share_the_files(store: LmdbStore, tmp_path: Path) -> None:
    other = LmdbStore(tmp_path, name="lmdb:///other", map_size=4 << 20)
    other.open()
    await other.set(KEY, b"value")
    await other.close()

    assert store.get_nowait(KEY) == b"value"


async def test_a_store_that_is_closed_is_away(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, name="lmdb:///store")
    with pytest.raises(StoreAway, match="lmdb:///store is not open"):
        await store.get(KEY)

    store.open()
    await store.close()

    with pytest.raises(StoreAway):
        await store.set(KEY, b"value")


async def test_a_read_outlives_its_transaction(store: LmdbStore) -> None:
    store.set_nowait(KEY, b"value")
    value = store.get_nowait(KEY)
    for number in range(100):
        store.set_nowait(b"%d" % number, b"x" * 5000)

    assert value == b"value"


async def test_large_writes_leave_the_loop_free(store: LmdbStore) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(store.set(b"%d" % number, b"x" * 100_000))
        turns = 0
        while not await store.exists(b"19"):
            turns += 1
            await asyncio.sleep(0)

    assert turns > 1


async def test_a_full_map_is_the_callers_miss_and_never_an_error(store: LmdbStore) -> None:
    for number in range(400):
        assert await store.set(b"%d" % number, b"x" * 60_000) is True

    assert await store.get(b"399") == b"x" * 60_000
    assert await store.get(b"0") is None
    assert await store.set(KEY, b"x" * (1 << 20)) is False


async def test_what_went_is_counted_by_reason(store: LmdbStore) -> None:
    store.set_nowait(KEY, b"value")
    store.set_nowait(KEY, b"value", ttl=1e-6)
    store.set_nowait(b"other", b"value")
    assert store.evictions == {"size": 0, "expired": 1, "replaced": 1}

    for number in range(100):
        store.set_nowait(b"%d" % number, b"x" * 60_000)
    assert store.evictions["size"] > 40


async def test_a_killed_writer_leaves_no_torn_entry(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}?map_size=4MiB"
    store = open_store(url)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url], env=ENVIRON, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"writing\n"
        for victim in writers:
            victim.send_signal(signal.SIGKILL)
            victim.wait(10)
            seen = 0
            for number in range(50):
                value = await store.get(b"%d" % number)
                if value:
                    seen += 1
                    token = value.split(b",", 1)[0]
                    assert value == (token + b",") * (int(token) % 700 * 10)
                    assert int(token) % 50 == number
            assert seen
            assert await store.set(KEY, b"the lock of the dead is free") is True
    finally:
        for writer in writers:
            writer.kill()
            writer.wait(10)
            assert writer.stdout is not None
            writer.stdout.close()
        await store.close()


async def test_a_writer_that_hangs_costs_the_others_a_moment_and_no_read(store: LmdbStore) -> None:
    await store.set(KEY, b"value")
    with subprocess.Popen(
        [sys.executable, "-c", HANGER, str(store.env.directory)], env=ENVIRON, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        begun = time.monotonic()
        for size in (10, 100_000):
            for _ in range(20):
                with pytest.raises(StoreAway, match="another writer is not done"):
                    await store.set(KEY, b"x" * size)
        with pytest.raises(StoreAway):
            await store.delete(KEY)
        assert await store.get(KEY) == b"value"
        assert time.monotonic() - begun < 10
        writer.kill()

    await asyncio.sleep(1.1)
    assert await store.set(KEY, b"later") is True


async def test_a_full_disk_is_told_and_over_when_there_is_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, f"lmdb://{tmp_path}?map_size=16MiB"],
        env=ENVIRON,
        capture_output=True,
        check=False,
    )

    assert done.stdout.split() == [b"True", b"True"], done.stderr.decode()


KILLED = """
import os, random, signal, sys, time
import llmproxy.stores.lmdb  # once, not in each child
from llmproxy.stores import open_store

rng = random.Random(4)
for number in range(500):
    child = os.fork()
    if not child:
        store = open_store(sys.argv[1])
        turn = number * 100_000
        while True:
            turn += 1
            token = b"%d," % turn
            store.set_nowait(b"%d" % (turn % 50), token * (turn % 700 * 10 + 1), 60)
    time.sleep(rng.uniform(0.002, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_five_hundred_killed_writers_leave_no_torn_entry(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}?map_size=4MiB"
    store = open_store(url)
    newest = kills = 0
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, url], env=ENVIRON, stdout=subprocess.PIPE
    ) as harness:
        assert harness.stdout is not None
        for line in harness.stdout:
            assert line == b"killed\n"
            kills += 1
            for number in range(50):
                value = await store.get(b"%d" % number)
                if value:
                    token = value.split(b",", 1)[0]
                    assert value == (token + b",") * (int(token) % 700 * 10 + 1)
                    assert int(token) % 50 == number
                    newest = max(newest, int(token))
            await store.set(b"alive", b"%d" % kills)
            assert await store.get(b"alive") == b"%d" % kills

    assert kills == 500
    assert newest > 450 * 100_000
    await store.close()


async def test_dead_readers_are_freed(store: LmdbStore) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(store.env.directory)], env=ENVIRON, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reading\n"
        assert store.check_readers() == 0
        reader.kill()

    assert store.check_readers() == 1


async def test_a_reader_that_was_killed_holds_no_page_for_ever(tmp_path: Path) -> None:
    async def fill() -> None:
        for number in range(300):
            assert await store.set(b"%d" % number, b"x" * 10_000)

    store = LmdbStore(tmp_path, name="lmdb:///store", map_size=1 << 20)
    store.open()
    await fill()
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(store.env.directory)], env=ENVIRON, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reading\n"
        with pytest.raises(StoreAway):
            await fill()
        reader.kill()

    await fill()
    await store.close()


async def test_a_multi_process_add_has_one_winner(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from llmproxy.stores import open_store\n"
        "async def main():\n"
        "    store = open_store(sys.argv[1]); won = 0\n"
        "    for number in range(500):\n"
        "        try: won += await store.add(b'%d' % number, b'mine')\n"
        "        except ValueError: pass\n"
        "    print(won); await store.close()\n"
        "asyncio.run(main())"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, f"lmdb://{tmp_path}"], env=ENVIRON, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]

    assert sum(int(worker.communicate(timeout=30)[0]) for worker in workers) == 500


def test_the_wall_clock_ends_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, name="lmdb:///store")
    store.open()
    store.set_nowait(KEY, b"value", ttl=60)
    later = time.time_ns() + 61 * 10**9
    monkeypatch.setattr("llmproxy.stores.shelf.time.time_ns", lambda: later)

    assert store.get_nowait(KEY) is None
    asyncio.run(store.close())


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("lmdb://", "needs a directory"),
        ("lmdb://var/lib", "takes no host"),
        ("lmdb:///tmp/x?mapsize=1MiB", 'did you mean "map_size"'),
        ("lmdb:///tmp/x?map_size=1KiB", "map_size of at least 1MiB"),
    ],
)
def test_a_wrong_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_store(url)


async def test_how_much_it_holds_is_told(store: LmdbStore, tmp_path: Path) -> None:
    await store.set(KEY, b"v" * 1000, ttl=60)
    extent = store.extent()

    assert (extent.entries, extent.shared) == (1, True)
    assert 1000 < extent.held < extent.limit
