"""A TCP proxy on loopback that spoils connections as told: where, when and how."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Literal, Self

from llmproxy.testing import wire
from llmproxy.testing.loopback import Loopback

Direction = Literal["up", "down"]
Kind = Literal["delay", "cut", "reset", "stall", "slow"]
_TICK = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """What happens once `at` bytes have passed in one direction of a connection (of every one, if None)."""

    kind: Kind
    direction: Direction = "down"
    at: int = 0
    connection: int | None = None
    amount: float = 0.0

    def hits(self, link: Link, direction: Direction) -> bool:
        """Tell whether it is meant for this connection and direction."""
        return self.direction == direction and self.connection in (None, link.number)


@dataclass(slots=True, eq=False)
class Link:
    """One accepted connection; numbers count from 1, times are of the monotonic clock."""

    number: int
    opened: float
    closed: float | None = None
    passed: dict[Direction, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    cut: bool = False

    def reset(self) -> None:
        """End both sides with RST."""
        self.cut = True
        for writer in self.writers:
            wire.reset(writer.transport)

    def finish(self) -> None:
        """Send FIN both ways; what still arrives is read and thrown away."""
        self.cut = True
        for writer in self.writers:
            if not writer.transport.is_closing() and writer.can_write_eof():
                writer.write_eof()


class Faults:
    """The faults in force; they may be added and cleared at any time.

    A fault takes effect when the byte it names has passed, or with the next byte if that was long ago; `cut`,
    `reset` and `delay` happen once a connection.
    """

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._changed = asyncio.Event()

    def delay(
        self, seconds: float, *, at: int = 0, direction: Direction = "down", connection: int | None = None
    ) -> Self:
        """Hold bytes back for a while, once."""
        return self.add(Fault("delay", direction, at, connection, seconds))

    def cut(self, *, at: int = 0, direction: Direction = "down", connection: int | None = None) -> Self:
        """End the connection with FIN, both ways."""
        return self.add(Fault("cut", direction, at, connection))

    def reset(self, *, at: int = 0, direction: Direction = "down", connection: int | None = None) -> Self:
        """End the connection with RST, both ways, once the bytes before have been delivered."""
        return self.add(Fault("reset", direction, at, connection))

    def stall(self, *, at: int = 0, direction: Direction = "down", connection: int | None = None) -> Self:
        """Pass nothing more, and leave the connection open, until cleared."""
        return self.add(Fault("stall", direction, at, connection))

    def slow(
        self, rate: float, *, at: int = 0, direction: Direction = "down", connection: int | None = None
    ) -> Self:
        """Pass `rate` bytes a second from here on, until cleared."""
        return self.add(Fault("slow", direction, at, connection, rate))

    def add(self, fault: Fault) -> Self:
        """Add a fault to those in force."""
        self._faults.append(fault)
        self._changed.set()
        return self

    def clear(self) -> None:
        """Drop all faults; stalled connections go on."""
        self._faults.clear()
        self._changed.set()

    def due(self, link: Link, direction: Direction, more: int, done: set[Fault]) -> Fault | None:
        """Return the first fault not `done` that strikes within the next `more` bytes."""
        reached = link.passed[direction] + more
        due = [
            fault
            for fault in self._faults
            if fault.kind != "slow"
            and fault.at <= reached
            and fault.hits(link, direction)
            and fault not in done
        ]
        return min(due, key=lambda fault: fault.at, default=None)

    def pace(self, link: Link, direction: Direction, size: int) -> tuple[float, int]:
        """Return the rate in force, 0 for none, and how much to send in one go."""
        at = link.passed[direction]
        for fault in self._faults:
            if fault.kind == "slow" and fault.hits(link, direction):
                if fault.at <= at:
                    return fault.amount, min(size, max(1, int(fault.amount * _TICK)))
                size = min(size, fault.at - at)
        return 0.0, size

    async def held(self, fault: Fault) -> None:
        """Wait until `fault` has been cleared."""
        while fault in self._faults:
            self._changed.clear()
            await self._changed.wait()


class FaultProxy(Loopback, Faults):
    """Pass TCP on to `host:port`, with faults: `async with FaultProxy(port) as line: line.reset(at=10)`."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        super().__init__()
        self.links: list[Link] = []
        self._target = (host, port)
        self._muted = False
        self._accepted = asyncio.Event()

    def mute(self, muted: bool = True) -> Self:
        """Accept connections, take what comes and say nothing, as a host that answers no TLS handshake."""
        self._muted = muted
        return self

    def drop(self, how: Literal["cut", "reset"] = "reset") -> None:
        """End every open connection now."""
        for link in self.links:
            if link.closed is None:
                link.reset() if how == "reset" else link.finish()

    async def closed(self, number: int, *, within: float = 5.0) -> float:
        """Wait until the client has left connection `number`, and return when it did."""
        async with asyncio.timeout(within):
            while len(self.links) < number:
                self._accepted.clear()
                await self._accepted.wait()
            link = self.links[number - 1]
            await link.over.wait()
        assert link.closed is not None
        return link.closed

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(len(self.links) + 1, time.monotonic(), writers=[writer])
        self.links.append(link)
        self._accepted.set()
        self._serve_one(self._serve(link, reader, writer), name=f"fault proxy {link.number}")

    async def _serve(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._muted:
                await self._discard(reader)
                return
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            link.writers.append(far_writer)
            async with asyncio.TaskGroup() as group:
                down = group.create_task(_Pump(self, link, "down", far_reader, writer).run())
                await _Pump(self, link, "up", reader, far_writer).run()
                self._left(link)
                await down
        except* OSError:
            link.reset()
        finally:
            self._left(link)
            for each in link.writers:
                each.transport.abort()

    def _left(self, link: Link) -> None:
        if link.closed is None:
            link.closed = time.monotonic()
            link.over.set()

    async def _discard(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(65536):
            pass


class _Pump:
    """One direction of one connection."""

    def __init__(
        self,
        faults: Faults,
        link: Link,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._faults = faults
        self._link = link
        self._direction = direction
        self._reader = reader
        self._writer = writer
        self._done: set[Fault] = set()

    async def run(self) -> None:
        data = b""
        while True:
            await self._pass(data)
            data = await self._reader.read(65536)
            if not data:
                break
        if not self._link.cut and not self._writer.transport.is_closing():
            self._writer.write_eof()

    async def _pass(self, data: bytes) -> None:
        """Send `data` on, stopping at each byte where a fault is due."""
        while not self._link.cut:
            fault = self._faults.due(self._link, self._direction, len(data), self._done)
            if fault is None:
                await self._send(data)
                return
            before = max(0, fault.at - self._link.passed[self._direction])
            await self._send(data[:before])
            data = data[before:]
            self._done.add(fault)
            await self._strike(fault)

    async def _send(self, data: bytes) -> None:
        while data and not self._link.cut:
            rate, size = self._faults.pace(self._link, self._direction, len(data))
            self._writer.write(data[:size])
            self._link.passed[self._direction] += size
            data = data[size:]
            await self._writer.drain()
            if rate:
                await asyncio.sleep(size / rate)

    async def _strike(self, fault: Fault) -> None:
        if fault.kind == "delay":
            await asyncio.sleep(fault.amount)
        elif fault.kind == "stall":
            await self._faults.held(fault)
        elif fault.kind == "cut":
            self._link.finish()
        else:
            await wire.flush(self._writer.transport)
            self._link.reset()
