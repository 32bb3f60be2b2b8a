"""Callers that ask without a pause, on short and kept connections, for whole answers and for streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import orjson

from llmproxy.testing import RawClient, RawReply

#: Requests on one kept connection before its caller takes a new one, because callers come and go.
KEPT = 25


@dataclass(slots=True)
class Tally:
    """What became of the requests: how many were answered whole, and why each of the others was not."""

    answered: int = 0
    connections: int = 0
    failed: list[str] = field(default_factory=list)
    models: set[str] = field(default_factory=set)


def chat(model: str = "fast", *, stream: bool = False, close: bool = False, judge: str = "") -> bytes:
    """Write a chat request; `judge` directs the upstream's answer."""
    body = orjson.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: gateway", "Content-Type: application/json"]
    lines += ["Connection: close"] if close else []
    lines += [f"x-judge: {judge}"] if judge else []
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def fault(reply: RawReply, *, stream: bool) -> str:
    """Say what a reply lacks of a complete answer, or nothing."""
    if reply.status != 200:
        return f"status {reply.status}: {reply.body[:200]!r}"
    if stream:
        return (
            "" if reply.body.endswith(b"data: [DONE]\n\n") else f"the stream ends with {reply.body[-80:]!r}"
        )
    return "" if reply.body.startswith(b"{") and b'"choices"' in reply.body else f"{reply.body[:200]!r}"


@asynccontextmanager
async def load(url: str, *, callers: int = 16, patience: float = 20.0) -> AsyncIterator[Tally]:
    """Ask from `callers` places at once until the block ends; no request is broken off by that."""
    tally = Tally()
    stopped = asyncio.Event()
    kinds = [(stream, kept) for stream in (False, True) for kept in (False, True)]
    async with asyncio.TaskGroup() as group:
        for stream, kept in islice(cycle(kinds), callers):
            group.create_task(_ask(url, tally, stopped.is_set, stream=stream, kept=kept, patience=patience))
        try:
            yield tally
        finally:
            stopped.set()


async def _ask(
    url: str, tally: Tally, stopped: Callable[[], bool], *, stream: bool, kept: bool, patience: float
) -> None:
    request = chat(stream=stream, close=not kept)
    while not stopped():
        asked = 0
        try:
            async with RawClient(url, timeout=patience) as client:
                tally.connections += 1
                going = True
                while going and asked < (KEPT if kept else 1) and not stopped():
                    asked += 1
                    going = _count(tally, await client.exchange(request), stream=stream)
        except (OSError, ValueError) as error:
            tally.failed.append(
                f"{error!r}, {'stream' if stream else 'unary'}, request {asked} of its connection"
            )
            await asyncio.sleep(0.01)


def _count(tally: Tally, reply: RawReply, *, stream: bool) -> bool:
    """Count a reply; return whether its connection may carry another request."""
    if what := fault(reply, stream=stream):
        tally.failed.append(what)
    else:
        tally.answered += 1
        if not stream:
            tally.models.add(reply.json()["model"])
    return reply.header("connection") != "close"


def owner(server_port: int, client_port: int, processes: list[int]) -> int | None:
    """Say which process has accepted the connection between two loopback ports."""
    ends = f":{server_port:04X}", f":{client_port:04X}"
    inode = ""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(ends[0]) and fields[2].endswith(ends[1]):
            inode = fields[9]
    for process in processes:
        for link in Path(f"/proc/{process}/fd").iterdir():
            try:
                if str(link.readlink()) == f"socket:[{inode}]":
                    return process
            except FileNotFoundError:
                continue
    return None
