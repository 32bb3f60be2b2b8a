from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from llmproxy.stores import StoreAway
from llmproxy.stores.lmdb_reserving import LmdbReservations
from llmproxy.stores.reserving import SECOND, Claim, Lease, Rate, Want, Window

RESERVE = """
import asyncio, sys
from pathlib import Path
from llmproxy.stores.lmdb_reserving import LmdbReservations
from llmproxy.stores.reserving import Claim, Lease, SECOND, Want, Window

async def main():
    kept = LmdbReservations(Path(sys.argv[1]), 1 << 20)
    budget, lease = Window(b"budget", 5000, 10**9 * SECOND), Lease(b"lease", 50)
    spent = 0
    for number in range(1500):
        claim = Claim(b"%s-%d" % (sys.argv[2].encode(), number), b"t", (Want(budget, 7), Want(lease, 1)))
        if (await kept.reserve(claim)).granted:
            spent += number % 8
            await kept.settle(claim, (number % 8, 1))
    kept.close()
    print(spent)

asyncio.run(main())
"""


async def test_processes_take_of_the_same_limits_and_never_over(tmp_path: Path) -> None:
    environ = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RESERVE, str(tmp_path)]
    workers = [subprocess.Popen([*command, name], env=environ, stdout=subprocess.PIPE) for name in ("a", "b")]
    spent = sum(int(worker.communicate(timeout=60)[0]) for worker in workers)

    assert 5000 - 7 < spent <= 5000
    with closing(LmdbReservations(tmp_path, 1 << 20)) as kept:
        budget = Window(b"budget", 5000, 10**9 * SECOND)
        verdict = await kept.reserve(Claim(b"x", b"t", (Want(budget, 0), Want(Lease(b"lease", 50), 0))))
    assert [standing.left for standing in verdict.standings] == [5000 - spent, 50]


async def test_what_has_ended_leaves_no_row(tmp_path: Path) -> None:
    now = 0
    kept = LmdbReservations(tmp_path, 1 << 20, clock=lambda: now)
    for number in range(50):
        key = b"%d" % number
        wants = (
            Want(Rate(key, 1, SECOND, 9), 1),
            Want(Lease(b"l" + key, 1), 1),
            Want(Window(b"w", 99, SECOND), 1),
        )
        await kept.reserve(Claim(key, b"t", wants))
    now = 100 * SECOND
    for _ in range(5):
        await kept.renew([])

    env = kept._env.opened
    with env.begin() as txn:
        assert txn.stat(env.tables[0])["entries"] == 0
    kept.close()


async def test_a_full_map_refuses_and_forgets_nothing(tmp_path: Path) -> None:
    kept = LmdbReservations(tmp_path, 1 << 20)
    taken = 0

    async def fill() -> None:
        nonlocal taken
        while taken < 100_000:
            await kept.reserve(Claim(b"%d" % taken, b"t", (Want(Lease(b"%0150d" % taken, 1), 1),)))
            taken += 1

    with pytest.raises(StoreAway, match="is full"):
        await fill()

    assert taken > 500
    verdict = await kept.settle(Claim(b"0", b"t", (Want(Lease(b"%0150d" % 0, 1), 1),)), [1])
    assert verdict
    kept.close()
