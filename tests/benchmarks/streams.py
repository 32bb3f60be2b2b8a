"""Many open streams at once: errors, memory of each, and what a second wave adds.

`python -m tests.benchmarks.streams --streams 9000 [--tls]` opens that many streams through one worker of the
bench gateway, each on its own connection, in two waves. The gateway's memory is that at its peak while a wave
is open; every stream must end whole. Callers are spread over several 127.0.0.x, so that ports do not run out.
A stream takes two descriptors in the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import uvloop
from tests.benchmarks.site import BenchGateway, Certificates, allow_many_files, chat, say
from tests.benchmarks.upstream import judging

_SOURCES = 8
_ENDS = (b"data: [DONE]\n\n", b"data: [DONE]\n\n\r\n0\r\n\r\n")  # with a length, or in chunks


class Caller(asyncio.Protocol):
    """One stream: asks at once, counts what comes, keeps the end."""

    def __init__(self, request: bytes, changed: asyncio.Event) -> None:
        self._request = request
        self._changed = changed
        self.started = self.ended = False
        self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's are no subclass
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-64:]
        if not self.started:
            self.started = b" 200 " in data[:20]
            self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self._changed.set()

    @property
    def whole(self) -> bool:
        """Whether the stream came to its proper end."""
        return self.tail.endswith(_ENDS)


class Wave:
    """Streams opened one after the other, a bounded number of them on their way at once."""

    def __init__(self, port: int, count: int, request: bytes) -> None:
        self._port = port
        self._count = count
        self._request = request
        self._changed = asyncio.Event()
        self.callers: list[Caller] = []
        self.refused = 0

    async def open(self, at_once: int = 100) -> None:
        """Open them all; return when each has its head."""
        numbers = iter(range(self._count))

        async def work() -> None:
            for number in numbers:
                await self._open(f"127.0.0.{2 + number % _SOURCES}")

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
        while not all(caller.started or caller.ended for caller in self.callers):
            await self._change()

    async def end(self) -> int:
        """Wait for the end of all; return how many did not come whole."""
        while not all(caller.ended for caller in self.callers):
            await self._change()
        return self.refused + sum(not caller.whole for caller in self.callers)

    async def _open(self, source: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, caller = await loop.create_connection(
                lambda: Caller(self._request, self._changed), "127.0.0.1", self._port, local_addr=(source, 0)
            )
        except OSError:
            self.refused += 1
        else:
            self.callers.append(caller)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
        await asyncio.sleep(0.05)


async def measure(gateway: BenchGateway, streams: int, events: int, delay: float) -> None:
    """Open two waves, and print the figures of each."""
    warm = Wave(gateway.port, 50, chat("events=2"))
    await warm.open()
    await warm.end()
    idle = gateway.memory()
    seen: list[int] = []
    for number in (1, 2):
        wave = Wave(gateway.port, streams, chat(f"events={events}; delay={delay}"))
        begun = time.monotonic()
        await wave.open()
        opened = time.monotonic() - begun
        still = sum(not caller.ended for caller in wave.callers)
        ending = asyncio.ensure_future(wave.end())
        seen.append(0)
        while not ending.done():
            seen[-1] = max(seen[-1], gateway.memory())
            await asyncio.wait([ending], timeout=0.25)
        errors = ending.result()
        say(
            wave=number,
            streams=streams,
            open_at_once=still,
            errors=errors,
            seconds_to_open=round(opened, 2),
            kib_a_stream=round((seen[-1] - idle) / 1024 / streams, 1),
            rss_mib=round(seen[-1] / 2**20, 1),
        )
    say(second_wave_grows_percent=round(100 * (seen[1] / seen[0] - 1), 2), idle_mib=round(idle / 2**20, 1))


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--tls", action="store_true", help="a TLS upstream")
    parser.add_argument("--events", type=int, default=10, help="events of each stream")
    parser.add_argument("--delay", type=float, default=2.0, help="seconds between two of them")
    options = parser.parse_args()
    allow_many_files()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificates = Certificates(folder) if options.tls else None
        url = stack.enter_context(judging(certificates.chain if certificates else None))
        ca = certificates.authority if certificates else None
        gateway = stack.enter_context(BenchGateway(folder, url, ca=ca))
        uvloop.run(measure(gateway, options.streams, options.events, options.delay))


if __name__ == "__main__":
    main()
