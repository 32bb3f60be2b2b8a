from __future__ import annotations

import asyncio
from typing import Self

from llmproxy.testing.loopback import Loopback


class Silent(Loopback):
    """Takes connections and says nothing."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serve_one(self._hold(writer), name="silent")

    async def _hold(self, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            writer.close()


async def test_connections_end_with_the_server() -> None:
    async with Silent() as server:
        address = server.url
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        waiting = asyncio.ensure_future(reader.read())
        await asyncio.sleep(0.01)

    assert address == f"http://127.0.0.1:{writer.get_extra_info('peername')[1]}"
    assert await waiting == b""
    writer.close()
