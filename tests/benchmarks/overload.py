"""Overload: what a gateway still serves, and how fast, when three times as much is asked as can be done.

`python -m tests.benchmarks.overload [--case slots|cpu] [--seconds 5]` asks at random times (a Poisson process, seeded),
whatever has been answered by then, on connections that were opened before; where none is idle the request waits for one.
Figures are of all requests of a phase, its beginning included; a latency counts from when the request was due.

slots   the upstream has 20 slots, each for 100 ms, and keeps who comes beyond them waiting; the pool's place has a limit
cpu     the upstream answers at once, but each request is a long conversation that has to be translated

Capacity is what the slots bear, or what is answered well when as much as possible is asked in a closed loop. Printed are
the goodput at three times the capacity as a share of it (to be 0.85 at least), and the 99th percentile of what was
answered well then as a multiple of that at the capacity (to be 2 at most); with `--compare` the same without limits.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import orjson
import uvloop
from tests.benchmarks.site import allow_many_files, percentile, say
from tests.integration.process import GatewayProcess, clean_environ

SLOTS, SERVICE = 20, 0.1
#: Seconds after which a caller gives up; what comes later is no goodput.
PATIENCE = 5.0
_CLOSED = {"slots": 4 * SLOTS, "cpu": 16}
_CONNECTIONS = {"slots": 3000, "cpu": 400}
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hello world " * 20}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 12, "output_tokens": 50},
}


class Caller(asyncio.Protocol):
    """One connection that carries one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._seen = b""
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def ask(self, due: float) -> None:
        """Send the request that was due then."""
        self.due = due
        self.transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._seen = seen = self._seen + data if self._seen else data
        head, blank, body = seen.partition(b"\r\n\r\n")
        if not blank:
            return
        at = head.lower().find(b"content-length: ")
        if len(body) < int(head[at + 16 :].partition(b"\r")[0]):
            return
        self._seen = b""
        due, self.due = self.due, 0.0
        closes = b"connection: close" in head.lower()
        self._load.answered(self, due, int(head[9:12]), closes=closes, told=b"retry-after" in head.lower())

    def connection_lost(self, exc: Exception | None) -> None:
        if self.due:
            self._load.answered(self, self.due, 0, closes=True, told=False)


@dataclass
class Load:
    """Requests to one address, and what came of them."""

    port: int
    request: bytes
    statuses: Counter[int] = field(default_factory=Counter)
    good: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    untold: int = 0
    idle: deque[Caller] = field(default_factory=deque)
    overdue: deque[float] = field(default_factory=deque)
    again: bool = False
    connections: int = 0

    async def connect(self, connections: int) -> None:
        """Open connections."""
        loop = asyncio.get_running_loop()
        self.connections = connections
        for _ in range(connections):
            _, caller = await loop.create_connection(lambda: Caller(self), "127.0.0.1", self.port)
            self.idle.append(caller)

    def answered(self, caller: Caller, due: float, status: int, *, closes: bool, told: bool) -> None:
        """Note what came of a request."""
        now = time.monotonic()
        self.statuses[status] += 1
        if status == 200 and now - due <= PATIENCE:
            self.good.append(now - due)
        elif status != 200:
            self.refused.append(now - due)
            self.untold += not told
        if closes:
            return
        if self.again:
            caller.ask(now)
        elif self.overdue:
            caller.ask(self.overdue.popleft())
        else:
            self.idle.append(caller)

    def begin(self) -> None:
        """Forget what was; begin a phase."""
        self.statuses, self.good, self.refused, self.untold = Counter(), [], [], 0

    async def closed(self, callers: int, seconds: float) -> float:
        """Ask again whenever an answer came; return the good answers a second."""
        self.again = True
        for _ in range(callers):
            self.idle.pop().ask(time.monotonic())
        await asyncio.sleep(seconds / 3)
        self.begin()
        began = time.monotonic()
        await asyncio.sleep(seconds * 2 / 3)
        rate = len(self.good) / (time.monotonic() - began)
        self.again = False
        await self.drained()
        return rate

    async def open(self, rate: float, seconds: float, seed: int) -> float:
        """Ask at random times, whatever has been answered; return the good answers a second."""
        self.begin()
        chance = random.Random(seed)
        began = due = time.monotonic()
        asked = 0
        while (due := due + chance.expovariate(rate)) < began + seconds:
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if self.idle:
                self.idle.pop().ask(due)
            else:
                self.overdue.append(due)
            asked += 1
        good = len(self.good) / (time.monotonic() - began)
        self.overdue.clear()
        await self.drained()
        return good

    async def drained(self) -> None:
        """Wait until all was answered, a caller's patience at most."""
        for _ in range(int(PATIENCE * 20)):
            if len(self.idle) >= self.connections:
                return
            await asyncio.sleep(0.05)


class Slotted(asyncio.Protocol):
    """An upstream's connection: a request takes one of the slots, or waits for one."""

    free = SLOTS
    waiting: ClassVar[deque[Slotted]] = deque()
    service = SERVICE
    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            head, _, body = data.partition(b"\r\n\r\n")
            at = head.lower().find(b"content-length: ")
            self._missing = int(head[at + 16 :].partition(b"\r")[0]) - len(body)
        else:
            self._missing -= len(data)
        if self._missing:
            return
        kind = type(self)
        if not kind.service:
            self.transport.write(kind.answer)
        elif kind.free:
            kind.free -= 1
            self._serve()
        else:
            kind.waiting.append(self)

    def _serve(self) -> None:
        asyncio.get_running_loop().call_later(self.service, self._served)

    def _served(self) -> None:
        kind = type(self)
        if not self.transport.is_closing():  # the work was done in any case
            self.transport.write(kind.answer)
        if kind.waiting:
            kind.waiting.popleft()._serve()
        else:
            kind.free += 1


async def _upstream(service: float) -> None:
    body = orjson.dumps(_ANSWER)
    Slotted.answer, Slotted.service = _OK % (len(body), body), service
    server = await asyncio.get_running_loop().create_server(Slotted, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


@contextmanager
def upstream(service: float) -> Iterator[str]:
    """Run the upstream as a process of its own; give its address."""
    command = [sys.executable, "-m", "tests.benchmarks.overload", "--upstream", str(service)]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, env=clean_environ(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def config(case: str, url: str, *, limited: bool) -> dict[str, Any]:
    """Return the gateway's configuration for a case."""
    dialect = "anthropic" if case == "cpu" else "http"
    target = {"upstream": "main", **({"limit": SLOTS} if limited and case == "slots" else {})}
    tree: dict[str, Any] = {
        "listen": ["127.0.0.1:0"],
        "log": {"level": "warning"},
        "upstreams": {"main": {"base_url": url, "dialect": dialect, "proxy": None}},
        "routes": [{"name": "all", "match": {"path": "/v1/*"}, "targets": [target]}],
    }
    if case == "slots":
        tree["plugins"] = {"balance": {"queue": {"target": "50ms", "interval": "100ms"}}}
    elif limited:
        tree["plugins"] = {"shedding": {}}
        tree["pipeline"] = ["shedding"]
    return tree


def request(case: str) -> bytes:
    """Return what callers ask."""
    text = "What a long conversation this is becoming. " * 20
    turns = [{"role": role, "content": text} for _ in range(20) for role in ("user", "assistant")]
    messages = [*turns, {"role": "user", "content": text}] if case == "cpu" else []
    body = orjson.dumps({"model": "m", "messages": messages})
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _cpu(pid: int) -> float:
    """Return the seconds that a process has had of a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _measure(case: str, gateway: GatewayProcess, seconds: float) -> dict[str, Any]:
    load = Load(int(gateway.url.rpartition(":")[2]), request(case))
    await load.connect(_CONNECTIONS[case])
    capacity = SLOTS / SERVICE if case == "slots" else await load.closed(_CLOSED[case], seconds / 2)
    at = await load.open(capacity, seconds, 1)
    p99_at, statuses_at = percentile(load.good, 0.99), dict(load.statuses)
    used, began = _cpu(gateway.pid), time.monotonic()
    over = await load.open(3 * capacity, seconds, 2)
    used = (_cpu(gateway.pid) - used) / (time.monotonic() - began)
    p99_over = percentile(load.good, 0.99)
    return {
        "capacity": round(capacity, 1),
        "goodput_at_1x": round(at, 1),
        "p99_ms_at_1x": round(p99_at * 1000, 1),
        "statuses_at_1x": {str(key): count for key, count in statuses_at.items()},
        "goodput_at_3x": round(over, 1),
        "p99_ms_at_3x": round(p99_over * 1000, 1),
        "p99_ms_of_refusals": round(percentile(load.refused, 0.99) * 1000, 1),
        "refusals_without_retry_after": load.untold,
        "statuses_at_3x": {str(key): count for key, count in load.statuses.items()},
        "cpu_share_at_3x": round(used, 2),
        "goodput_share": round(over / capacity, 3),
        "p99_ratio": round(p99_over / p99_at, 2) if p99_at else None,
    }


def run(case: str, seconds: float, *, limited: bool) -> None:
    """Measure one case and print its figures."""
    service = SERVICE if case == "slots" else 0.0
    with tempfile.TemporaryDirectory() as folder, upstream(service) as url:
        file = Path(folder) / "overload.yaml"
        file.write_bytes(orjson.dumps(config(case, url, limited=limited)))
        with GatewayProcess("-c", file) as gateway:
            say(case=case, limited=limited, **uvloop.run(_measure(case, gateway, seconds)))


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--case", choices=["slots", "cpu"], action="append")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--compare", action="store_true", help="measure without limits too")
    parser.add_argument("--upstream", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    allow_many_files()
    if options.upstream is not None:
        uvloop.run(_upstream(options.upstream))
    for case in options.case or ["slots", "cpu"]:
        for limited in (True, False) if options.compare else (True,):
            run(case, options.seconds, limited=limited)


if __name__ == "__main__":
    main()
