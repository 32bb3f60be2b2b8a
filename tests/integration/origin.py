"""A server of the test's own that counts versions and answers callers by hand: what walks and faults are judged by."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import TracebackType
from typing import NamedTuple, Self

from llmproxy.tasks import spawn


class Asked(NamedTuple):
    """One request; the names of `fields` are lower case."""

    method: str
    target: str
    fields: dict[str, str]
    body: bytes


class CountingOrigin:
    """An HTTP server that keeps a version of each thing: `async with Origin() as origin`; say `answer` of it."""

    def __init__(self) -> None:
        self.versions: Counter[str] = Counter()
        self.asked = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await asyncio.sleep(0.01)  # what has just been accepted begins, to be ended in order
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
            await asyncio.sleep(0.01)

    async def answer(self, writer: asyncio.StreamWriter, asked: Asked) -> None:
        """Answer a request."""
        raise NotImplementedError

    async def write_body(self, writer: asyncio.StreamWriter, head: str, body: bytes, piece: int = 0) -> None:
        """Write an answer, in pieces with pauses where `piece` says how many bytes each has."""
        if not piece:
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            return
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for at in range(0, len(body), piece):
            await asyncio.sleep(0.002)
            part = body[at : at + piece]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        writer.write(b"0\r\n\r\n")

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = spawn(self._serve(reader, writer), name="origin")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = (line.partition(":") for line in head.split("\r\n")[1:] if line)
                fields = {name.lower(): value.strip() for name, _, value in lines}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                method, target, _ = head.split("\r\n")[0].split(" ")
                self.asked += 1
                await self.answer(writer, Asked(method, target, fields, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the gateway's worker left, or was killed
        finally:
            writer.close()
