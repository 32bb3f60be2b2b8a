"""Purges as callers see them: real gateways with several workers, one host or two."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import redis

from llmproxy.caching.mirror import BOUND

from .process import GatewayProcess
from .versions import TOKEN, Origin, callers, purge, read, version, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
stores: {{main: {{url: "{store}", near: "memory://?max_bytes=16MiB"}}}}
upstreams: {{origin: {{base_url: "{origin}", dialect: http}}}}
plugins: {{httpcache: {{store: main}}, invalidation: {{}}}}
routes:
  - name: versions
    match: {{path: "/v/*"}}
    upstream: origin
    plugins:
      - invalidation: {{writes: [{{path: "/v/{{name}}", tags: ["{{name}}"], refill: [{refill}]}}]}}
      - httpcache: {{profile: rfc9111}}
"""


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin().running() as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with callers() as session:
        yield session


def gateway(
    folder: Path, origin: Origin, store: str, *, workers: int = 1, refill: str = ""
) -> GatewayProcess:
    path = folder / f"{uuid4().hex}.yaml"
    path.write_text(CONFIG.format(store=store, origin=origin.url, refill=refill))
    return GatewayProcess("-c", path, "--workers", str(workers), environ={"ADMIN_TOKEN": TOKEN})


async def test_every_worker_obeys_a_purge_that_was_answered(
    tmp_path: Path, origin: Origin, session: aiohttp.ClientSession
) -> None:
    with gateway(tmp_path, origin, f"lmdb://{tmp_path}/cache", workers=3) as running:
        for round in range(15):
            async with asyncio.TaskGroup() as group:
                before = [group.create_task(version(session, running.url)) for _ in range(12)]
            assert {each.result() for each in before} == {round}
            origin.versions["x"] += 1  # nobody tells the gateway
            assert await version(session, running.url) == round
            await purge(session, running.admin_url, tags=["x"])
            async with asyncio.TaskGroup() as group:
                after = [group.create_task(version(session, running.url)) for _ in range(12)]
            assert {each.result() for each in after} == {round + 1}

    assert origin.asked["x"] <= 15 * 6 + 6  # hits in between


async def test_an_answer_that_was_on_its_way_during_a_purge_is_not_kept(
    tmp_path: Path, origin: Origin, session: aiohttp.ClientSession
) -> None:
    with gateway(tmp_path, origin, f"lmdb://{tmp_path}/cache", workers=2) as running:
        origin.hold = asyncio.Event()
        reading = asyncio.ensure_future(read(session, running.url))
        await origin.holding.wait()
        origin.versions["x"] += 1
        await purge(session, running.admin_url, tags=["x"])
        origin.hold.set()
        old = await reading
        origin.hold = None

        assert old[0] == 0
        assert [await version(session, running.url) for _ in range(6)] == [1] * 6


async def test_a_reader_who_comes_after_a_purge_does_not_join_one_who_came_before(
    tmp_path: Path, origin: Origin, session: aiohttp.ClientSession
) -> None:
    with gateway(tmp_path, origin, f"lmdb://{tmp_path}/cache", workers=2) as running:
        origin.slow = 0.5
        async with asyncio.TaskGroup() as group:
            early = [group.create_task(version(session, running.url)) for _ in range(4)]
            await asyncio.sleep(0.2)
            assert await write(session, running.url) == 1
            late = [group.create_task(version(session, running.url)) for _ in range(4)]

        assert {each.result() for each in early} == {0}
        assert {each.result() for each in late} == {1}


async def test_after_a_write_the_new_answer_is_there_before_anybody_asks(
    tmp_path: Path, origin: Origin, session: aiohttp.ClientSession
) -> None:
    store = f"lmdb://{tmp_path}/cache"
    with gateway(tmp_path, origin, store, workers=2, refill='"/v/{name}"') as running:
        assert await version(session, running.url) == 0
        assert await write(session, running.url) == 1
        async with asyncio.timeout(10):
            while origin.asked["x"] < 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        found, status = await read(session, running.url)

        assert (found, "hit" in status, origin.asked["x"]) == (1, True, 2)


async def obeyed(session: aiohttp.ClientSession, url: str, wanted: int) -> float:
    """Return after how many seconds a gateway serves the new version, and nothing older from then on."""
    now = asyncio.get_running_loop().time
    begun = now()
    async with asyncio.timeout(5 * BOUND):
        while await version(session, url) != wanted:
            await asyncio.sleep(0.002)
    took = now() - begun
    assert [await version(session, url) for _ in range(5)] == [wanted] * 5
    return took


async def test_another_host_obeys_within_the_bound_also_after_its_connection_was_cut(
    tmp_path: Path, origin: Origin, session: aiohttp.ClientSession, valkey: Any
) -> None:
    store = f"valkey://{valkey.host}:{valkey.port}/0?prefix={uuid4().hex}:&timeout=2s"
    with (
        gateway(tmp_path, origin, store, workers=2) as one,
        gateway(tmp_path, origin, store, workers=2) as other,
    ):
        assert await version(session, one.url) == 0
        assert "hit" in (await read(session, other.url))[1]
        for wanted in range(1, 13):
            origin.versions["x"] += 1
            if wanted % 4 == 0:
                with redis.Redis(valkey.host, valkey.port) as client:
                    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            for _ in range(4):
                await version(session, other.url)  # at hand in each worker
            await purge(session, one.admin_url, tags=["x"])

            assert await version(session, one.url) == wanted
            assert await obeyed(session, other.url, wanted) <= BOUND
