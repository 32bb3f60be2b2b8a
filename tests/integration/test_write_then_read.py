"""Who has read the answer to a write finds nothing older: through four workers, and through two hosts."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from llmproxy.caching.mirror import BOUND

from .process import GatewayProcess
from .versions import TOKEN, Origin, callers, read, version, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

PAIRS = pytest.mark.parametrize(
    "pairs", [80, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
#: Resources that the pairs are about; each has its own writer, so that its versions are in order.
NAMES = 8

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
log: {{level: warning}}
stores: {{main: {{url: "{store}", near: "memory://?max_bytes=16MiB"}}}}
upstreams: {{origin: {{base_url: "{origin}", dialect: http}}}}
plugins: {{httpcache: {{store: main}}, invalidation: {{}}}}
routes:
  - name: writes
    match: {{path: "/v/*", methods: [PUT]}}
    upstream: origin
    plugins: [{{invalidation: {{writes: [{{path: "/v/{{name}}", tags: ["{{name}}"]}}]}}}}]
  - name: reads
    match: {{path: "/v/*"}}
    upstream: origin
    plugins: [{{httpcache: {{profile: rfc9111, consistency: {consistency}}}}}]
"""


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin().running() as running:
        running.slow = 0.003  # what is read becomes old on its way
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with callers() as session:
        yield session


def gateway(folder: Path, origin: Origin, store: str, consistency: str, workers: int) -> GatewayProcess:
    path = folder / f"{uuid4().hex}.yaml"
    path.write_text(CONFIG.format(store=store, origin=origin.url, consistency=consistency))
    return GatewayProcess("-c", path, "--workers", str(workers), environ={"ADMIN_TOKEN": TOKEN})


class Tally:
    """What readers saw: how many reads, how many out of a cache, and what was older than an answered write."""

    def __init__(self) -> None:
        self.reads = 0
        self.hits = 0
        self.old: list[str] = []


async def write_then_read(
    session: aiohttp.ClientSession, urls: list[str], pairs: int, *, patience: float = 0.0
) -> Tally:
    """Write and read back at once, for all names side by side, with other readers in between.

    Through several hosts, what is older than a write that was answered `patience` seconds ago is wrong.
    """
    tally, chance = Tally(), random.Random(1)
    now = asyncio.get_running_loop().time
    answered: dict[str, list[tuple[float, int]]] = {f"n{number}": [(0.0, 0)] for number in range(NAMES)}
    done = False

    async def look(name: str) -> None:
        begun = now()
        wanted = max(made for when, made in answered[name][-64:] if when <= begun - patience)
        found, status = await read(session, chance.choice(urls), name)
        tally.reads += 1
        tally.hits += "hit" in status
        if found < wanted:
            tally.old.append(f"{name}: {found} after {wanted} ({status})")

    async def stroll(name: str) -> None:
        while not done:
            await look(name)

    async def pair_up(name: str) -> None:
        for _ in range(pairs // NAMES):
            made = await write(session, chance.choice(urls), name)
            answered[name].append((now(), made))
            await asyncio.gather(look(name), look(name))

    async with asyncio.TaskGroup() as group:
        strollers = [group.create_task(stroll(name)) for name in list(answered)[: NAMES // 2]]
        async with asyncio.TaskGroup() as writers:
            for name in answered:
                writers.create_task(pair_up(name))
        done = True
        await asyncio.wait(strollers)
    return tally


@PAIRS
async def test_four_workers_serve_nothing_older_than_an_answered_write(
    tmp_path: Path, origin: Origin, session: aiohttp.ClientSession, pairs: int
) -> None:
    with gateway(tmp_path, origin, f"lmdb://{tmp_path}/cache", "eventual", 4) as running:
        tally = await write_then_read(session, [running.url], pairs)

    assert tally.old == []
    assert tally.hits > tally.reads / 10


@PAIRS
async def test_two_hosts_serve_nothing_older_where_it_is_to_be_sure(
    tmp_path: Path, origin: Origin, session: aiohttp.ClientSession, valkey: Any, pairs: int
) -> None:
    store = f"valkey://{valkey.host}:{valkey.port}/0?prefix={uuid4().hex}:&timeout=5s"
    with (
        gateway(tmp_path, origin, store, "strong", 2) as one,
        gateway(tmp_path, origin, store, "strong", 2) as other,
    ):
        tally = await write_then_read(session, [one.url, other.url], pairs)

    assert tally.old == []
    assert tally.hits > tally.reads / 20


@PAIRS
async def test_two_hosts_serve_nothing_older_than_the_bound_where_it_is_to_be_fast(
    tmp_path: Path, origin: Origin, session: aiohttp.ClientSession, valkey: Any, pairs: int
) -> None:
    store = f"valkey://{valkey.host}:{valkey.port}/0?prefix={uuid4().hex}:&timeout=5s"
    with (
        gateway(tmp_path, origin, store, "eventual", 2) as one,
        gateway(tmp_path, origin, store, "eventual", 2) as other,
    ):
        tally = await write_then_read(session, [one.url, other.url], pairs, patience=BOUND)
        await asyncio.sleep(BOUND)
        for url in (one.url, other.url):
            assert all([await version(session, url, name) == made for name, made in origin.versions.items()])

    assert tally.old == []
    assert tally.hits > tally.reads / 10
