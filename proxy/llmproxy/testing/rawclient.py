"""A client that sends exactly the bytes it is told, in the pieces it is told, and reads replies strictly."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from llmproxy.testing import wire

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([^\r\n]*)")


@dataclass(frozen=True, slots=True)
class RawReply:
    """A whole reply: its head as received, its body without framing, the interim (1xx) heads."""

    status: int
    reason: str
    head: wire.Head
    payload: wire.Payload
    interim: tuple[wire.Head, ...] = ()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Header fields in the order and spelling received."""
        return [(name.decode(), value.decode("latin-1")) for name, value in self.head.headers]

    @property
    def body(self) -> bytes:
        """The body without its framing, still in its content coding."""
        return self.payload.body

    def header(self, name: str) -> str | None:
        """Return a field's value, several joined by a comma, or None."""
        return self.head.get(name)

    def json(self) -> Any:
        """Parse the body as JSON."""
        return orjson.loads(self.body)


class RawClient:
    """One connection: `async with RawClient(url) as client`.

    `address` is `http://host:port`, `https://...` (give `tls`), or `unix:/path`. Every wait is bounded by
    `timeout` seconds. Requests may be sent ahead of their replies (pipelining): replies come in order.
    """

    def __init__(self, address: str, *, tls: ssl.SSLContext | None = None, timeout: float = 5.0) -> None:
        self._address = address
        self._tls = tls
        self._timeout = timeout
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        url = urlsplit(self._address)
        async with asyncio.timeout(self._timeout):
            if url.scheme == "unix":
                opened = asyncio.open_unix_connection(url.path, ssl=self._tls, limit=wire.HEAD_LIMIT)
            else:
                opened = asyncio.open_connection(url.hostname, url.port, ssl=self._tls, limit=wire.HEAD_LIMIT)
            self._reader, self._writer = await opened
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.transport.abort()

    @property
    def port(self) -> int:
        """Its own end's port, by which the other side knows it."""
        port: int = self._writer.get_extra_info("sockname")[1]
        return port

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Write each piece on its own, `pause` seconds apart."""
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(pause)
            self._writer.write(piece)
            async with asyncio.timeout(self._timeout):
                await self._writer.drain()

    async def read_reply(self, *, method: str = "GET") -> RawReply:
        """Read one whole reply to a request by `method`; raise `WireFault` if it is not to the letter."""
        async with asyncio.timeout(self._timeout):
            interim: list[wire.Head] = []
            while True:
                head, status, reason = await self._read_head()
                if status >= 200 or status == 101:
                    break
                interim.append(head)
            payload = wire.Payload()
            if method != "HEAD" and status not in (101, 204, 304):
                payload = await wire.read_payload(self._reader, head, until_close=True)
            return RawReply(status, reason, head, payload, tuple(interim))

    async def exchange(self, request: bytes) -> RawReply:
        """Send a whole request and read its reply."""
        await self.send(request)
        return await self.read_reply(method=request[: request.find(b" ")].decode("latin-1"))

    async def read_some(self, most: int = 65536) -> bytes:
        """Return what arrives next, as it is; nothing at the end."""
        async with asyncio.timeout(self._timeout):
            return await self._reader.read(most)

    async def read_exactly(self, size: int) -> bytes:
        """Return the next `size` bytes, as they are."""
        async with asyncio.timeout(self._timeout):
            return await self._reader.readexactly(size)

    async def read_until(self, mark: bytes) -> bytes:
        """Return all up to and with `mark`, as it is."""
        async with asyncio.timeout(self._timeout):
            return await self._reader.readuntil(mark)

    async def read_to_end(self) -> bytes:
        """Return all that arrives until the peer closes, as it is."""
        async with asyncio.timeout(self._timeout):
            return await self._reader.read()

    def half_close(self) -> None:
        """Send FIN and go on reading."""
        self._writer.write_eof()

    def reset(self) -> None:
        """End the connection with RST."""
        wire.reset(self._writer.transport)

    async def close(self) -> None:
        """End the connection with FIN, both ways."""
        self._writer.close()
        async with asyncio.timeout(self._timeout):
            await self._writer.wait_closed()

    async def _read_head(self) -> tuple[wire.Head, int, str]:
        head = await wire.read_head(self._reader)
        if head is None:
            raise wire.CutShort("head", b"")
        found = _STATUS.fullmatch(head.start)
        if found is None:
            raise wire.WireFault(f"{head.start!r} is no status line")
        return head, int(found[2]), found[3].decode("latin-1")
