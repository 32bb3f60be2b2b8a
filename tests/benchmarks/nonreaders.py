"""Clients that never read, beside healthy streams: what each costs, and whom they delay.

`python -m tests.benchmarks.nonreaders --clients 500` measures the gaps between the events of healthy streams,
alone and then beside clients that ask for long streams and read nothing of them, and the gateway's memory.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import uvloop
from tests.benchmarks.site import BenchGateway, allow_many_files, chat, percentile, say
from tests.benchmarks.upstream import judging

_EVERY = 0.02
_LONG = "events=64; size=65536; delay=0.01"  # 4 MiB each, were it read


class Listener(asyncio.Protocol):
    """A healthy caller: notes when each piece of its stream comes."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.gaps: list[float] = []
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]  # a stream's transport
        self._last = 0.0

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if self._last:
            self.gaps.append(now - self._last)
        self._last = now

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)


async def gaps(port: int, streams: int, seconds: float) -> list[float]:
    """Listen to healthy streams for a while; return the seconds between their events."""
    loop = asyncio.get_running_loop()
    request = chat(f"events={int(seconds / _EVERY)}; delay={_EVERY}")
    listeners = []
    for _ in range(streams):
        _, listener = await loop.create_connection(lambda: Listener(request), "127.0.0.1", port)
        listeners.append(listener)
    for listener in listeners:
        await listener.closed
    return [gap for listener in listeners for gap in listener.gaps]


@asynccontextmanager
async def deaf(port: int, count: int) -> AsyncIterator[None]:
    """Keep clients that have asked and never read."""
    loop = asyncio.get_running_loop()
    held = []
    try:
        for _ in range(count):
            sock = socket.socket()
            held.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await loop.sock_sendall(sock, chat(_LONG))
        yield
    finally:
        for sock in held:
            sock.close()


async def measure(gateway: BenchGateway, clients: int, streams: int, seconds: float) -> None:
    """Print the gaps without and with clients that never read, and what one of these costs."""
    alone = await gaps(gateway.port, streams, seconds)
    before = gateway.memory()
    async with deaf(gateway.port, clients):
        arriving = await gaps(gateway.port, streams, seconds)
        beside = await gaps(gateway.port, streams, seconds)
        during = gateway.memory()
    for name, found in (("alone", alone), ("while they come", arriving), ("beside", beside)):
        say(
            healthy=name,
            events=len(found),
            p50_ms=round(1000 * percentile(found, 0.5), 1),
            p99_ms=round(1000 * percentile(found, 0.99), 1),
            max_ms=round(1000 * max(found), 1),
        )
    say(
        nonreaders=clients,
        kib_each=round((during - before) / 1024 / clients, 1),
        rss_mib=[round(before / 2**20, 1), round(during / 2**20, 1)],
    )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=500, help="that never read")
    parser.add_argument("--streams", type=int, default=50, help="healthy ones")
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="how long the healthy ones last, three times"
    )
    options = parser.parse_args()
    allow_many_files()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(judging())
        gateway = stack.enter_context(BenchGateway(folder, url))
        uvloop.run(measure(gateway, options.clients, options.streams, options.seconds))


if __name__ == "__main__":
    main()
