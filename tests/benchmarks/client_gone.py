"""Callers that leave: how long until the upstream sees its connection closed, in each phase.

`python -m tests.benchmarks.client_gone --aborts 500` lets that many callers leave in each phase, a batch at
once, half of the batches by closing and half by a reset. The upstream here is only a listener that does what the
phase needs; where it does not read, it polls its sockets' state, and a caller sends just so much that the gateway
leaves some of it unread: with more, a close would wait in the caller's own system behind what cannot be sent.
"""

from __future__ import annotations

import argparse
import asyncio
import select
import socket
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from tests.benchmarks.site import BenchGateway, Certificates, allow_many_files, chat, percentile, post, say

from llmproxy.testing import wire

_ENDED = select.POLLRDHUP | select.POLLHUP | select.POLLERR
_EVENT = (
    b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
)
_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_UNARY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"choices": ['
_PROMISED = 64 << 20


@dataclass(frozen=True, slots=True)
class Phase:
    """What callers send, what the upstream answers, and whether it reads."""

    name: str
    request: bytes
    answer: bytes = b""
    reads: bool = True
    tls: bool = False


PHASES = (
    Phase("connecting", chat(stream=False), tls=True),
    Phase("uploading", post("/v1/files", b"x" * 65536, "Content-Type: a/b", length=_PROMISED)),
    Phase(
        "uploading, nobody reads",
        post("/v1/files", b"x" * (2 << 20), "Content-Type: a/b", length=_PROMISED),
        reads=False,
    ),
    Phase("waiting", chat(stream=False)),
    Phase("reading a unary answer", chat(stream=False), answer=_UNARY),
    Phase("streaming", chat(), answer=_STREAM + wire.chunk(_EVENT)),
)


class Upstream:
    """Accepts, answers as the phase says, and notes when each connection is closed by the other side."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self.reached = 0
        self.closed: list[float] = []

    async def __aenter__(self) -> Upstream:
        sock = socket.socket()
        if not self._phase.reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind(("127.0.0.1", 0))
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Accepted(self, self._phase), sock=sock, backlog=1024
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        """Its address."""
        port = self._server.sockets[0].getsockname()[1]
        return f"{'https' if self._phase.tls else 'http'}://127.0.0.1:{port}"

    def forget(self) -> None:
        """Begin a batch."""
        self.reached = 0
        self.closed = []


class Accepted(asyncio.Protocol):
    """One connection from the gateway."""

    def __init__(self, upstream: Upstream, phase: Phase) -> None:
        self._upstream = upstream
        self._phase = phase
        self._begun = False
        self._poller: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        if self._begun:
            return
        self._begun = True
        self._upstream.reached += 1
        if self._phase.answer:
            self._transport.write(self._phase.answer)
        if not self._phase.reads:
            self._transport.pause_reading()
            self._poll()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._begun and self._poller is None:
            self._upstream.closed.append(time.monotonic())

    def _poll(self) -> None:
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), _ENDED)
        if poll.poll(0):
            self._upstream.closed.append(time.monotonic())
            self._transport.abort()
        else:
            self._poller = asyncio.get_running_loop().call_later(0.005, self._poll)


class Caller(asyncio.Protocol):
    """One caller, who sends what it can and waits for the word to leave."""

    def __init__(self, request: bytes, *, reset: bool) -> None:
        self._request = request
        self._reset = reset
        self.heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.heard += data

    @property
    def port(self) -> int:
        """Its own port."""
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def send(self, data: bytes) -> None:
        """Send more of the body."""
        self._transport.write(data)

    def leave(self) -> None:
        """Go, by FIN or by RST."""
        if self._reset:
            wire.reset(self._transport)
        else:
            self._transport.abort()


async def fill(port: int, callers: Sequence[Caller]) -> None:
    """Send more, a little at a time, until the gateway leaves something of every caller unread."""
    async with asyncio.timeout(20):
        while len(full := unread(port)) < len(callers):
            for caller in (caller for caller in callers if caller.port not in full):
                caller.send(b"x" * (128 << 10))
            await asyncio.sleep(0.1)


def unread(port: int) -> set[int]:
    """Return the ports of the callers of whom the gateway has not read all that came."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = [row for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"]
    return {int(row[2].rpartition(":")[2], 16) for row in mine if int(row[4].partition(":")[2], 16)}


async def leave_all(port: int, phase: Phase, upstream: Upstream, count: int, *, reset: bool) -> list[float]:
    """Bring a batch of callers into the phase and let them leave; return the seconds until each close."""
    upstream.forget()
    loop = asyncio.get_running_loop()
    callers = []
    for _ in range(count):
        _, caller = await loop.create_connection(
            lambda: Caller(phase.request, reset=reset), "127.0.0.1", port, family=socket.AF_INET
        )
        callers.append(caller)
    async with asyncio.timeout(10):
        while upstream.reached < count or (
            phase.answer.startswith(_STREAM) and not all(caller.heard for caller in callers)
        ):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    if not phase.reads:
        await fill(port, callers)
    begun = time.monotonic()
    for caller in callers:
        caller.leave()
    deadline = begun + 3.0
    while len(upstream.closed) < count and time.monotonic() < deadline:
        await asyncio.sleep(0.005)
    never = count - len(upstream.closed)
    return [at - begun for at in upstream.closed] + [float("inf")] * never


async def measure(phase: Phase, folder: Path, ca: Path, aborts: int, batch: int) -> None:
    """Print how long closes took in one phase."""
    async with Upstream(phase) as upstream:
        with BenchGateway(folder, upstream.url, ca=ca if phase.tls else None) as gateway:
            took: list[float] = []
            while len(took) < aborts:
                reset = len(took) // batch % 2 == 1
                took += await leave_all(gateway.port, phase, upstream, batch, reset=reset)
    closed = [seconds for seconds in took if seconds != float("inf")]
    say(
        phase=phase.name,
        aborts=len(took),
        never_closed=len(took) - len(closed),
        p50_ms=round(1000 * percentile(closed, 0.5), 1),
        p99_ms=round(1000 * percentile(closed, 0.99), 1),
        max_ms=round(1000 * max(closed, default=0.0), 1),
    )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--aborts", type=int, default=500, help="in each phase")
    parser.add_argument("--batch", type=int, default=25, help="callers that leave at once")
    parser.add_argument("--phase", action="append", choices=[phase.name for phase in PHASES])
    options = parser.parse_args()
    allow_many_files()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ca = Certificates(folder).authority
        for phase in PHASES:
            if not options.phase or phase.name in options.phase:
                uvloop.run(measure(phase, folder, ca, options.aborts, options.batch))


if __name__ == "__main__":
    main()
