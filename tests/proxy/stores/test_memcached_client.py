from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from llmproxy.stores.memcached_client import Client
from llmproxy.tasks import spawn


class Server:
    """Answers each `get` with the key that was asked for, when it is told to."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.taken = 0
        self.serving: list[asyncio.Task[None]] = []

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        self.serving.append(spawn(self._serve(reader, writer), name="memcached"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                asked = line.split()[1]
                await self.gate.wait()
                writer.write(b"VALUE %b 0 %d\r\n%b\r\nEND\r\n" % (asked, len(asked), asked))
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Client]]:
    served = Server()
    async with await asyncio.start_server(served.take, "127.0.0.1", 0) as listening:
        client = Client("127.0.0.1", listening.sockets[0].getsockname()[1], pool_size=1)
        yield served, client
        await client.close()
    served.gate.set()
    await asyncio.wait(served.serving, timeout=5)


async def test_a_connection_is_used_again(server: tuple[Server, Client]) -> None:
    served, client = server
    served.gate.set()

    assert [await client.get(each) for each in (b"a", b"b")] == [b"a", b"b"]
    assert served.taken == 1


async def test_after_a_command_was_cancelled_its_connection_is_not(server: tuple[Server, Client]) -> None:
    served, client = server
    cancelled = spawn(client.get(b"a"), name="get")
    await asyncio.sleep(0.05)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    served.gate.set()

    assert await client.get(b"b") == b"b"
    assert served.taken == 2
