"""Listeners, over a real Valkey server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from llmproxy.caches import PurgeOrder
from llmproxy.plugin import SharedServer, shared_server
from llmproxy.stores import open_store
from llmproxy_invalidation import listening as module
from llmproxy_invalidation.listening import ChannelListener, StreamListener, Wanted, gap_order, keep_up


@pytest.fixture
async def server(valkey: str) -> AsyncIterator[SharedServer]:
    store = open_store(valkey)
    found = shared_server(store)
    assert found is not None
    yield found
    await store.close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAIT", 0.3)


@pytest.fixture
def name() -> str:
    return f"events-{uuid4().hex}"


class Heard:
    """Keeps what is heard; `fails` says how often it is not obeyed."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.fails = 0

    async def obey(self, event: Any) -> bool:
        self.events.append(event)
        self.fails -= 1
        return self.fails < 0

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.events) < count:
                await asyncio.sleep(0.01)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@asynccontextmanager
async def kept_up(listen: Callable[[Wanted], Awaitable[None]]) -> AsyncIterator[list[str]]:
    """Listen as the plugin does; give the faults."""
    faults: list[str] = []
    wanted = True
    task = asyncio.ensure_future(
        keep_up(listen, lambda fault: faults.append(type(fault).__name__), lambda: wanted)
    )
    try:
        yield faults
    finally:
        wanted = False
        task.cancel()
        await asyncio.wait([task])


async def kill_readers(server: SharedServer) -> None:
    """Cut every connection but the one that says so."""
    await server.client.execute_command("CLIENT", "KILL", "SKIPME", "yes", "TYPE", "normal")
    await server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


async def subscribed(server: SharedServer, channel: str) -> None:
    async with asyncio.timeout(10):
        while not (await server.client.pubsub_numsub(channel))[0][1]:
            await asyncio.sleep(0.01)


async def grouped(server: SharedServer, stream: str) -> None:
    async with asyncio.timeout(10):
        while not await server.client.exists(stream):
            await asyncio.sleep(0.01)


async def test_what_is_published_is_heard(server: SharedServer, name: str, heard: Heard) -> None:
    listener = ChannelListener(server, name, heard.obey, heard.obey, None)
    async with kept_up(listener.listen):
        await subscribed(server, name)
        await asyncio.sleep(0.7)  # longer than it waits
        await server.client.publish(name, b"one")
        await heard.until(1)

    assert heard.events == [b"one"]


@pytest.mark.parametrize("after_gap", ["soft", "ignore"])
async def test_after_a_cut_a_listener_purges_as_it_is_told(
    server: SharedServer, name: str, heard: Heard, after_gap: str
) -> None:
    order = gap_order(after_gap, "main")
    listener = ChannelListener(server, name, heard.obey, heard.obey, order)
    async with kept_up(listener.listen) as faults:
        await subscribed(server, name)
        await kill_readers(server)
        await asyncio.sleep(0.3)
        await subscribed(server, name)
        await server.client.publish(name, b"after")
        await heard.until(1 if order is None else 2)

    assert faults
    assert [event for event in heard.events if isinstance(event, PurgeOrder)] == (
        [] if order is None else [order]
    )
    assert heard.events[-1] == b"after"


async def test_a_stream_is_read_from_where_the_host_was(
    server: SharedServer, name: str, heard: Heard
) -> None:
    await server.client.xadd(name, {"n": "before the host was"})
    async with kept_up(StreamListener(server, name, "host", heard.obey).listen):
        async with asyncio.timeout(10):
            while not await server.client.xinfo_groups(name):
                await asyncio.sleep(0.01)
        await server.client.xadd(name, {"n": "1"})
        await heard.until(1)
    for number in range(2, 5):
        await server.client.xadd(name, {"n": str(number)})
    async with kept_up(StreamListener(server, name, "host", heard.obey).listen):
        await heard.until(4)

    assert heard.events == [{"n": str(number)} for number in range(1, 5)]
    assert (await server.client.xpending(name, "host"))["pending"] == 0


async def test_an_event_that_was_not_obeyed_comes_again_and_before_later_ones(
    server: SharedServer, name: str, heard: Heard
) -> None:
    async with kept_up(StreamListener(server, name, "host", heard.obey).listen):
        await grouped(server, name)
        heard.fails = 2
        await server.client.xadd(name, {"n": "1"})
        await server.client.xadd(name, {"n": "2"})
        await heard.until(4)

    assert [event["n"] for event in heard.events] == ["1", "1", "1", "2"]


async def test_every_host_hears_every_event(server: SharedServer, name: str) -> None:
    one, other = Heard(), Heard()
    async with (
        kept_up(StreamListener(server, name, "one", one.obey).listen),
        kept_up(StreamListener(server, name, "other", other.obey).listen),
    ):
        async with asyncio.timeout(10):
            while not await server.client.exists(name) or len(await server.client.xinfo_groups(name)) < 2:
                await asyncio.sleep(0.01)
        await server.client.xadd(name, {"n": "1"})
        await one.until(1)
        await other.until(1)

    assert one.events == other.events == [{"n": "1"}]


async def test_a_stream_that_is_made_anew_is_read_from_its_beginning(
    server: SharedServer, name: str, heard: Heard
) -> None:
    async with kept_up(StreamListener(server, name, "host", heard.obey).listen):
        await grouped(server, name)
        pipe = server.client.pipeline()
        pipe.delete(name)
        pipe.xadd(name, {"n": "1"})
        await pipe.execute()
        await heard.until(1)

    assert heard.events == [{"n": "1"}]


def test_a_gap_is_purged_softly_hard_or_not_at_all() -> None:
    assert gap_order("ignore", None) is None
    soft, hard = gap_order("soft", "main"), gap_order("hard", None)
    assert soft is not None
    assert hard is not None
    assert (soft.purges[0].soft, hard.purges[0].soft, soft.store) == (True, False, "main")
