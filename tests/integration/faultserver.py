"""Providers that fail on purpose: each request names its fault in its model's name, `FAULT.how.number`."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections import Counter
from types import TracebackType
from typing import Self

from llmproxy.tasks import spawn
from llmproxy.testing import wire

from .faultdialects import DIALECTS, Dialect

_MODEL = re.compile(rb'"model"\s*:\s*"([^"]+)"')
_IN_PATH = re.compile(r"/models?/([^:/?]+)[:/]")
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n"
_JSON = b"application/json"
_BOMB = gzip.compress(b'{"a":"' + b"\0" * 200_000_000 + b'"}', 9, mtime=0)


#: Whole error answers: their status and header fields, by the fault's name.
ERRORS = {
    "400": (400, b""),
    "429": (429, b""),
    "429 retry-after": (429, b"Retry-After: 1\r\n"),
    "500": (500, b""),
}


def _error(fault: str, dialect: Dialect) -> bytes:
    status, fields = ERRORS[fault]
    body = dialect.errors[status]
    head = b"HTTP/1.1 %d Scripted\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
    return head % (status, fields, len(body)) + body


class FaultyProvider:
    """A provider of all dialects that fails the first time a model's name comes, and then not any more.

    At `mute_port` it speaks neither TLS nor HTTP.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._mute = await asyncio.start_server(_mutter, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.mute_port: int = self._mute.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._mute.close()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = spawn(self._serve(reader, writer), name="faulty provider")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await wire.read_head(reader)) is not None:
                target = head.start.decode("latin-1").split(" ")[1]
                body = (await wire.read_payload(reader, head, until_close=False)).body
                if not await self._answer(target, body, reader, writer):
                    break
        except (OSError, wire.WireFault):
            pass
        finally:
            writer.transport.abort()

    async def _answer(
        self, target: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        in_path, in_body = _IN_PATH.search(target), _MODEL.search(body)
        model = in_path[1] if in_path else in_body[1].decode() if in_body else ""
        dialect = next(each for each in DIALECTS if _speaks(each, target))
        streamed = b'"stream":true' in body.replace(b" ", b"")
        streamed = streamed or "streamGenerate" in target or "converse-stream" in target
        self.asked[model] += 1
        fault = model.split(".")[0].replace("_", " ") if self.asked[model] == 1 else "none"
        answer, then = said(fault, dialect, streamed)
        for step in answer:
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                writer.write(step)
                await writer.drain()
        if then == "stall":
            await reader.read()
        elif then == "reset":
            await wire.flush(writer.transport)
            wire.reset(writer.transport)
        return then == "keep"


async def _mutter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"nothing that anybody understands\r\n")
    writer.close()


def _speaks(dialect: Dialect, target: str) -> bool:
    path, _ = dialect.ask("m", False)
    if dialect.name == "converse":
        return target.startswith("/model/")
    return (
        ("generateContent" in target.replace("streamG", "g"))
        if dialect.name == "gemini"
        else target.endswith(path)
    )


def said(fault: str, dialect: Dialect, streamed: bool) -> tuple[list[bytes | float], str]:
    """Return what is sent, with pauses, and what follows."""
    good = dialect.stream if streamed else dialect.whole
    kind = dialect.stream_type if streamed else _JSON
    whole = (_OK % kind) + b"Content-Length: %d\r\n\r\n" % len(good) + good
    begun = (_OK % kind) + b"Transfer-Encoding: chunked\r\n\r\n"
    half = b"".join(dialect.said) if streamed else good[: len(good) // 2]
    piece = wire.chunk(half)
    if fault in ERRORS:
        return [_error(fault, dialect)], "keep"
    spoilt = {
        "none": ([whole], "keep"),
        "reset before headers": ([], "reset"),
        "stall before headers": ([], "stall"),
        "reset mid-stream": ([begun, piece, 0.05], "reset"),
        "stall mid-stream": ([begun, piece], "stall"),
        "error first": ([begun, wire.chunk(dialect.first_error), b"0\r\n\r\n"], "keep"),
        "malformed SSE": ([begun, wire.chunk(b"<html>oops</html>\n\n"), b"0\r\n\r\n"], "keep"),
        "truncated JSON": ([(_OK % kind) + b"Content-Length: %d\r\n\r\n" % len(half) + half], "keep"),
        "wrong Content-Length": (
            [(_OK % kind) + b"Content-Length: %d\r\n\r\n" % (len(good) + 50) + good],
            "close",
        ),
        "gzip bomb": (
            [(_OK % kind) + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_BOMB) + _BOMB],
            "keep",
        ),
    }
    return spoilt.get(fault, spoilt["none"])  # type: ignore[return-value]  # the network's faults are not here
