"""What the judge keeps: one record a request, one a connection, and totals."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True, eq=False)
class Line:
    """One connection; times are of the monotonic clock, which processes of one machine share."""

    number: int
    opened: float
    closed: float | None = None
    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(slots=True, eq=False)
class Served:
    """One request, from its head on; `complete` once the whole answer is written."""

    request_id: str
    line: Line
    method: str
    target: str
    started: float
    bytes_in: int = 0
    bytes_out: int = 0
    events: int = 0
    uploaded: bool = False
    complete: bool = False

    @property
    def closed(self) -> float | None:
        """When the connection that carried it closed."""
        return self.line.closed


@dataclass(slots=True)
class Totals:
    """Sums over everything since the last reset; `broken` counts what was not HTTP/1.1."""

    opened: int = 0
    closed: int = 0
    requests: int = 0
    complete: int = 0
    abandoned: int = 0
    broken: int = 0
    events: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


class Verdicts:
    """The records, by request id and by connection."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.served: dict[str, list[Served]] = {}
        self.lines: dict[int, Line] = {}
        self._changed = asyncio.Event()
        self._next_line = 0

    @property
    def open(self) -> int:
        """How many connections are open."""
        return sum(line.closed is None for line in self.lines.values())

    def reset(self) -> None:
        """Forget all but the connections that are open."""
        self.totals = Totals()
        self.served.clear()
        self.lines = {number: line for number, line in self.lines.items() if line.closed is None}

    def open_line(self) -> Line:
        """Count a connection."""
        self._next_line += 1
        self.totals.opened += 1
        line = self.lines[self._next_line] = Line(self._next_line, time.monotonic())
        return line

    def close_line(self, line: Line, current: Served | None) -> None:
        """Note that a connection is closed, perhaps with a request still in it."""
        line.closed = time.monotonic()
        self.totals.closed += 1
        self.totals.abandoned += current is not None
        self._changed.set()

    def begin(self, request_id: str, line: Line, method: str, target: str) -> Served:
        """Count a request whose head has arrived."""
        self.totals.requests += 1
        line.requests += 1
        key = request_id or f"{line.number}.{line.requests}"
        served = Served(key, line, method, target, time.monotonic())
        self.served.setdefault(key, []).append(served)
        self._changed.set()
        return served

    def name(self, served: Served, request_id: str) -> None:
        """Keep a request under another id, which its body gave it."""
        known = self.served.get(served.request_id, [])
        if served.request_id != request_id and served in known:
            known.remove(served)
            served.request_id = request_id
            self.served.setdefault(request_id, []).append(served)
            self._changed.set()

    def sent(self, served: Served, size: int, events: int) -> None:
        """Count a part of an answer."""
        for counted in (served, self.totals):
            counted.bytes_out += size
            counted.events += events
        served.line.bytes_out += size

    def finish(self, served: Served) -> None:
        """Count a request as answered whole."""
        served.complete = True
        self.totals.complete += 1

    async def arrived(self, request_id: str, *, within: float = 5.0) -> Served:
        """Wait for a request's head and return its record, the last one if there are several."""
        async with asyncio.timeout(within):
            while request_id not in self.served:
                await self.change()
        return self.served[request_id][-1]

    async def closed(self, request_id: str, *, within: float = 5.0) -> float:
        """Wait until the connection of that request is closed, and return when it was."""
        async with asyncio.timeout(within):
            served = await self.arrived(request_id, within=within)
            while served.closed is None:
                await self.change()
        return served.closed

    async def change(self) -> None:
        """Wait for the next arrival or close."""
        self._changed.clear()
        await self._changed.wait()

    def summary(self) -> dict[str, Any]:
        """Return the totals, and how many connections and unanswered requests are open."""
        return {**asdict(self.totals), "open": self.open, "now": time.monotonic()}

    def of(self, request_id: str) -> list[dict[str, Any]]:
        """Return the records of one request id, in plain form."""
        return [asdict(served) | {"closed": served.closed} for served in self.served.get(request_id, [])]
