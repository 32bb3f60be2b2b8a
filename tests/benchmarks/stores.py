"""What stores cost and hold: a hit among few and many entries, bytes after ten turnovers, a restart with a million.

`python -m tests.benchmarks.stores` takes about two minutes and 4 GiB of disk under the temporary folder;
`--entries 100000` is faster. Each part runs in a process of its own, so that one's memory is not another's.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.benchmarks.site import resident, say

from llmproxy.stores import key
from llmproxy.stores.lmdb import LmdbStore
from llmproxy.stores.memory import MemoryStore
from llmproxy.stores.policies import POLICIES
from llmproxy.tasks import spawn

ASKED = 50_000
VALUE = random.Random(0).randbytes(2048)


def name(number: int) -> bytes:
    return key("acme", "chat", b"%032d" % number)


def best(work: Callable[[bytes], object], count: int, *, rounds: int = 3) -> float:
    """Return the microseconds that one call takes on keys that stand anywhere among `count`."""
    rng = random.Random(1)
    names = [name(rng.randrange(count)) for _ in range(ASKED)]
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for each in names:
            work(each)
        times.append(time.perf_counter() - begun)
    return min(times) / ASKED * 1e6


def memory_hits(policy: str, counts: list[int]) -> None:
    for count in counts:
        store = MemoryStore(max_bytes=count * 2048, policy=policy)
        value = VALUE[:256]
        begun = time.perf_counter()
        for number in range(count):
            store.set_nowait(name(number), value, 600.0)
        set_us = (time.perf_counter() - begun) / count * 1e6
        hit_us = best(store.get_nowait, count)
        say(store="memory", policy=policy, entries=count, hit_us=round(hit_us, 2), set_us=round(set_us, 2))


def turnovers(policy: str, limit: int = 64 << 20) -> None:
    """Write ten times what fits, in sizes from 200 bytes to 64 KiB, and ask for some of it in between."""
    rng = random.Random(2)
    blob = os.urandom(65_536)
    store = MemoryStore(max_bytes=limit, policy=policy)
    before = peak = resident(os.getpid())
    written = number = most = 0
    while written < 11 * limit:
        size = int(200 * (65_536 / 200) ** rng.random())
        store.set_nowait(name(number), bytes(memoryview(blob)[:size]), 600.0)
        store.get_nowait(name(rng.randrange(max(0, number - 3000), number + 1)))
        written += size
        number += 1
        most = max(most, store.bytes_held)
        if number % 500 == 0:
            peak = max(peak, resident(os.getpid()))
    shares = {"accounted": round(most / limit, 3), "resident_growth": round((peak - before) / limit, 3)}
    say(store="memory", policy=policy, turnovers=10, of_limit=shares, evictions=store.evictions)


def lmdb_store(folder: Path, count: int) -> LmdbStore:
    store = LmdbStore(folder, name=f"lmdb://{folder}", map_size=max(256 << 20, count * 6000))
    store.open()
    return store


def lmdb_hits(folder: Path, counts: list[int]) -> None:
    for count in counts:
        store = lmdb_store(folder / str(count), count)
        begun = time.perf_counter()
        asyncio.run(_fill(store, count))
        fill_s = time.perf_counter() - begun
        hit_us = best(store.get_nowait, count)
        begun = time.process_time()
        for number in range(5000):
            store.set_nowait(name(count + number), VALUE, 600.0)
        alone_us = (time.process_time() - begun) / 5000 * 1e6
        busy_us = asyncio.run(_gathered(store, count + 5000))
        figures = {"hit_us": hit_us, "set_cpu_us": alone_us, "busy_set_cpu_us": busy_us, "fill_s": fill_s}
        say(store="lmdb", entries=count, **{each: round(figure, 2) for each, figure in figures.items()})
    os._exit(0)  # as if killed: nothing is flushed, nothing closed


async def _fill(store: LmdbStore, count: int) -> None:
    for start in range(0, count, 5000):
        numbers = range(start, min(start + 5000, count))
        await store.multi_set([(name(number), VALUE) for number in numbers], ttl=86_400)


async def _busy(work: Callable[[int], Awaitable[object]], first: int) -> float:
    """Return the CPU microseconds of a call where the loop has 25 us of other work to do for each."""
    running: set[asyncio.Task[object]] = set()
    begun = time.process_time()
    for number in range(first, first + 5000):
        task = spawn(work(number), name="call")
        running.add(task)
        task.add_done_callback(running.discard)
        sum(range(1200))
        await asyncio.sleep(0)
        while len(running) >= 64:
            await asyncio.sleep(0)
    while running:
        await asyncio.sleep(0)
    return (time.process_time() - begun) / 5000 * 1e6


async def _gathered(store: LmdbStore, first: int) -> float:
    """Return what a `set` costs beside others."""

    async def nothing(number: int) -> object:
        return name(number)

    written = await _busy(lambda number: store.set(name(number), VALUE, 600.0), first)
    return written - await _busy(nothing, first)


def lmdb_restart(folder: Path, count: int) -> None:
    begun = time.perf_counter()
    store = lmdb_store(folder / str(count), count)
    first = store.get_nowait(name(count // 2))
    first_ms = (time.perf_counter() - begun) * 1000
    asked = range(0, count, 1009)
    found = sum(store.get_nowait(name(number)) == VALUE for number in asked)
    say(
        store="lmdb",
        entries=count,
        restarted=True,
        first_answer_ms=round(first_ms, 2),
        right=first == VALUE,
        found_of_asked=found / len(asked),
    )


def apart(work: Callable[..., None], *args: object) -> None:
    """Run a part in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=args)
    process.start()
    process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    counts = [1000, parser.parse_args().entries]
    for policy in POLICIES:
        apart(memory_hits, policy, counts)
        apart(turnovers, policy)
    with tempfile.TemporaryDirectory() as folder:
        apart(lmdb_hits, Path(folder), counts)
        apart(lmdb_restart, Path(folder), counts[-1])


if __name__ == "__main__":
    main()
