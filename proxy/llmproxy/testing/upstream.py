"""An upstream on loopback that answers as scripted, to the byte, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Self

import orjson

from llmproxy.testing import wire
from llmproxy.testing.loopback import Loopback
from llmproxy.testing.script import Script


@dataclass(frozen=True, slots=True)
class Received:
    """One whole request as it arrived; `connection` counts from 1."""

    method: str
    target: str
    head: wire.Head
    payload: wire.Payload
    connection: int

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Header fields in the order and spelling received."""
        return list(self.head.headers)

    @property
    def body(self) -> bytes:
        """The body without its framing."""
        return self.payload.body

    def header(self, name: str) -> str | None:
        """Return a field's value, several joined by a comma, or None."""
        return self.head.get(name)

    def json(self) -> Any:
        """Parse the body as JSON."""
        return orjson.loads(self.body)


class FakeUpstream(Loopback, Script):
    """A scripted HTTP/1.1 server: `async with FakeUpstream().reply(json={}) as upstream`.

    Requests are in `requests`, in order; what could not be read as HTTP/1.1 is in `faults`. Give `tls` to
    serve https.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.requests: list[Received] = []
        self.faults: list[Exception] = []
        self.connections = 0
        self._tls = tls
        self._arrived = asyncio.Event()

    @property
    def open_connections(self) -> int:
        """How many connections it serves right now."""
        return len(self._serving)

    async def received(self, count: int = 1, *, within: float = 5.0) -> list[Received]:
        """Wait until `count` requests have arrived whole, and return all there are."""
        async with asyncio.timeout(within):
            while len(self.requests) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.requests

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self._tls, limit=wire.HEAD_LIMIT
        )
        return self

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serve_one(
            self._serve(self.connections, reader, writer), name=f"fake upstream {self.connections}"
        )

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await self._read(number, reader, writer)) is not None:
                self.requests.append(request)
                self._arrived.set()
                if not await self._answer(request, reader, writer):
                    break
            writer.close()
            await writer.wait_closed()
        except wire.WireFault as fault:
            self.faults.append(fault)
        except OSError:
            pass  # the client is gone: what it did is in the requests
        finally:
            writer.transport.abort()

    async def _read(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Received | None:
        head = await wire.read_head(reader)
        if head is None:
            return None
        method, target, version = head.start.decode("latin-1").split(" ")
        if version != "HTTP/1.1":
            raise wire.WireFault(f"{head.start!r} is no request line of HTTP/1.1")
        if (head.get("expect") or "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        payload = await wire.read_payload(reader, head, until_close=False)
        return Received(method, target, head, payload, number)

    async def _answer(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        answer = self.next_answer(request.path)
        for step in answer.plan(request.method):
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif step:
                writer.write(step)
                await writer.drain()
            if reader.at_eof():
                return False
        if answer.then == "stall":
            await reader.read()
        elif answer.then == "reset":
            await wire.flush(writer.transport)
            wire.reset(writer.transport)
        return answer.then == "keep"
