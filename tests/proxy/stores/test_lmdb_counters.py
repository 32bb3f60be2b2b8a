from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmproxy.stores import StoreAway
from llmproxy.stores.lmdb_counters import LmdbCounters

COUNT = """
import asyncio, sys
from pathlib import Path
from llmproxy.stores.lmdb_counters import LmdbCounters

async def main():
    counters = LmdbCounters(Path(sys.argv[1]), 1 << 20)
    for _ in range(3000):
        await counters.increment(b"k", 2, ttl=60)
    counters.close()

asyncio.run(main())
"""


@pytest.fixture
def counters(tmp_path: Path) -> Iterator[LmdbCounters]:
    made = LmdbCounters(tmp_path, 1 << 20)
    yield made
    made.close()


async def test_nothing_is_opened_before_the_first_count(tmp_path: Path) -> None:
    counters = LmdbCounters(tmp_path / "counters", 1 << 20)

    assert counters.check_readers() == 0
    counters.close()
    assert not (tmp_path / "counters").exists()


async def test_processes_count_together(tmp_path: Path, counters: LmdbCounters) -> None:
    environ = {"PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path)], env=environ) for _ in range(2)]

    assert [worker.wait(30) for worker in workers] == [0, 0]
    assert await counters.get_counter(b"k") == 12_000


async def test_what_has_ended_leaves_no_row(counters: LmdbCounters) -> None:
    for number in range(50):
        await counters.increment(b"%d" % number, ttl=0.01)
    await asyncio.sleep(0.03)

    for _ in range(30):
        await counters.increment(b"other")

    env = counters._env.opened
    with env.begin() as txn:
        assert [txn.stat(table)["entries"] for table in env.tables] == [1, 0]


async def test_a_full_map_refuses_and_forgets_nothing(counters: LmdbCounters) -> None:
    counted = 0

    async def fill() -> None:
        nonlocal counted
        while counted < 100_000:
            await counters.increment(b"%0400d" % counted)
            counted += 1

    with pytest.raises(StoreAway, match="is full"):
        await fill()

    assert counted > 1000
    assert await counters.get_counter(b"%0400d" % 0) == 1
    assert await counters.get_counter(b"%0400d" % (counted - 1)) == 1
