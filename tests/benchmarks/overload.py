"""Overload: what a gateway still serves, and how fast, when three times as much is asked as can be done.

`python -m tests.benchmarks.overload [--case slots|cpu] [--seconds 5] [--rounds 5]` asks at random times (a Poisson
process, seeded), whatever has been answered by then, on connections that were opened before; where none is idle the
request waits for one, and `waited` counts it. Figures are of all requests of a phase, its beginning included; a latency
counts from when the request was due. The gateway has a processor of its own in every phase; load and upstream share
the others.

slots   the upstream has 20 slots, each for 100 ms, and keeps who comes beyond them waiting; the pool's place has a limit
cpu     the upstream answers at once, but each request is a long conversation that has to be translated
logged  the same, and each request, served or refused, is counted by `metrics` and written down by `accesslog`

Capacity is what the slots bear, or what a gateway without limits answers well when as much as possible is asked in a
closed loop. Printed are the goodput at three times the capacity as a share of it (to be 0.85 at least), and the 99th
percentile of what was answered well then as a multiple of that at the capacity (to be 2 at most); with `--compare` the
same without limits. Where something else had a part of the gateway's processor (`cpu_share` below 0.95 at three times
the capacity), the figures say little but for `goodput_share_of_cpu`: the same by the processor's seconds that it had.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import orjson
import uvloop
from tests.benchmarks.site import allow_many_files, percentile, say
from tests.integration.process import GatewayProcess, clean_environ

SLOTS, SERVICE = 20, 0.1
#: Seconds after which a caller gives up; what comes later is no goodput.
PATIENCE = 5.0
_PROCESSORS: Final = sorted(os.sched_getaffinity(0))
#: Callers of the closed loop, and connections of the open one.
_CLOSED, _CONNECTIONS = 16, 3000
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


def _cpu(pid: int) -> float:
    """Return the seconds that a process has had of a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
    #: Whose share of a processor is looked at, and what it was in the last phase.
    pid: int = 0
    share: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    good: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    untold: int = 0
    waited: int = 0
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
        self.statuses, self.good, self.refused, self.untold, self.waited = Counter(), [], [], 0, 0
        self.began, self.cpu = time.monotonic(), _cpu(self.pid)

    def end(self) -> float:
        """End a phase; return the good answers a second."""
        took = time.monotonic() - self.began
        self.share = (_cpu(self.pid) - self.cpu) / took
        return len(self.good) / took

    async def closed(self, callers: int, seconds: float) -> float:
        """Ask again whenever an answer came; return the good answers a second."""
        self.again = True
        for _ in range(callers):
            self.idle.pop().ask(time.monotonic())
        await asyncio.sleep(seconds / 3)
        self.begin()
        await asyncio.sleep(seconds * 2 / 3)
        rate = self.end()
        self.again = False
        await self.drained()
        return rate

    async def open(self, rate: float, seconds: float, seed: int) -> float:
        """Ask at random times, whatever has been answered; return the good answers a second."""
        self.begin()
        chance = random.Random(seed)
        began = due = self.began
        while (due := due + chance.expovariate(rate)) < began + seconds:
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if self.idle:
                self.idle.pop().ask(due)
            else:
                self.overdue.append(due)
                self.waited += 1
        good = self.end()
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
    dialect = "http" if case == "slots" else "anthropic"
    target = {"upstream": "main", **({"limit": SLOTS} if limited and case == "slots" else {})}
    tree: dict[str, Any] = {
        "listen": ["127.0.0.1:0"],
        "log": {"level": "info" if case == "logged" else "warning"},
        "upstreams": {"main": {"base_url": url, "dialect": dialect, "proxy": None}},
        "routes": [{"name": "all", "match": {"path": "/v1/*"}, "targets": [target]}],
    }
    if case == "slots":
        tree["plugins"] = {"balance": {"queue": {"target": "50ms", "interval": "100ms"}}}
        return tree
    tree["pipeline"] = ["shedding"] * limited + ["metrics", "accesslog"] * (case == "logged")
    tree["plugins"] = {name: {} for name in tree["pipeline"]}
    return tree


def request(case: str) -> bytes:
    """Return what callers ask."""
    text = "What a long conversation this is becoming. " * 20
    turns = [{"role": role, "content": text} for _ in range(20) for role in ("user", "assistant")]
    messages = [] if case == "slots" else [*turns, {"role": "user", "content": text}]
    body = orjson.dumps({"model": "m", "messages": messages})
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def gateway(case: str, url: str, *, limited: bool) -> Iterator[GatewayProcess]:
    """Run a gateway on the first processor; this process has left that one to it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "overload.yaml"
        file.write_bytes(orjson.dumps(config(case, url, limited=limited)))
        with GatewayProcess("-c", file) as process:
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), _PROCESSORS[:1])
            yield process


async def _connected(gateway: GatewayProcess, case: str, connections: int) -> Load:
    load = Load(int(gateway.url.rpartition(":")[2]), request(case), gateway.pid)
    await load.connect(connections)
    return load


async def _capacity(case: str, gateway: GatewayProcess, seconds: float) -> tuple[float, float]:
    """Return the good answers a second, and a second of the processor that the gateway had."""
    load = await _connected(gateway, case, _CLOSED)
    capacity = await load.closed(_CLOSED, seconds)
    if set(load.statuses) != {200}:
        raise SystemExit(f"no capacity is measured where something fails: {dict(load.statuses)}")
    return capacity, capacity / load.share


async def _measure(
    case: str, gateway: GatewayProcess, capacity: float, bears: float, seconds: float
) -> dict[str, Any]:
    load = await _connected(gateway, case, _CONNECTIONS)
    at, used_at = await load.open(capacity, seconds, 1), load.share
    p99_at, statuses_at = percentile(load.good, 0.99), dict(load.statuses)
    over, used = await load.open(3 * capacity, seconds, 2), load.share
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
        "waited": load.waited,
        "cpu_share_at_1x": round(used_at, 2),
        "cpu_share": round(used, 2),
        "goodput_share_of_cpu": round(over / used / bears, 3) if bears else None,
        "goodput_share": round(over / capacity, 3),
        "p99_ratio": round(p99_over / p99_at, 2) if p99_at else None,
    }


def run(case: str, seconds: float, *, limited: bool) -> dict[str, Any]:
    """Measure one case, print its figures and return them."""
    with upstream(SERVICE if case == "slots" else 0.0) as url:
        capacity, bears = SLOTS / SERVICE, 0.0
        if case != "slots":
            with gateway(case, url, limited=False) as free:
                capacity, bears = uvloop.run(_capacity(case, free, seconds))
        with gateway(case, url, limited=limited) as measured:
            figures = uvloop.run(_measure(case, measured, capacity, bears, seconds))
    say(case=case, limited=limited, **figures)
    return figures


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--case", choices=["slots", "cpu", "logged"], action="append")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument(
        "--rounds", type=int, default=1, help="measure so often, and print medians at the end"
    )
    parser.add_argument("--compare", action="store_true", help="measure without limits too")
    parser.add_argument("--upstream", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    allow_many_files()
    if options.upstream is not None:
        uvloop.run(_upstream(options.upstream))
    os.sched_setaffinity(0, _PROCESSORS[1:] or _PROCESSORS)
    for case in options.case or ["slots", "cpu", "logged"]:
        for limited in (True, False) if options.compare else (True,):
            rounds = [run(case, options.seconds, limited=limited) for _ in range(options.rounds)]
            if len(rounds) > 1:
                names = ("goodput_share", "goodput_share_of_cpu", "p99_ratio", "cpu_share")
                medians = {name: statistics.median(each[name] or 0 for each in rounds) for name in names}
                say(case=case, limited=limited, rounds=len(rounds), **medians)


if __name__ == "__main__":
    main()
