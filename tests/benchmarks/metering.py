"""What it costs to count and to write down: CPU time of the gateway a request, with limits, ledger and call log.

`python -m tests.benchmarks.metering [--rounds 12] [--requests 1600] [--only quota,all] [--most 1.35]` asks gateways
that are one process each, before an upstream with canned answers: the foundation (access, metrics and usage, as in
bench.yaml), the same with three limits in LMDB (a rate of requests, calls in flight, tokens a day), with the ledger,
with the call log, and with all of them. They take turns in each round. The time is that of the whole process, its
threads included, until each thread has written what the round left it, and less what the process uses when nobody asks.
The median of the rounds' ratios to the foundation counts: what else runs on the machine slows both. With `--most` the
run fails where the ratio of all together is above it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import orjson
import uvloop
from tests.benchmarks.site import KEY, say
from tests.benchmarks.translation import Upstream, ask
from tests.integration.process import GatewayProcess

_QUESTION: Final = "What is the capital of France? Answer in one short sentence please."
_PLUGINS: Final = {
    "foundation": (),
    "quota": ("quota",),
    "ledger": ("ledger",),
    "calllog": ("calllog",),
    "all": ("quota", "ledger", "calllog"),
}
#: Seconds in which the threads have written what they have.
_SETTLING: Final = 1.5
_LIMITS: Final = (
    {"name": "requests", "scope": "key", "counts": "requests", "at_most": 10**6, "rate": "1s"},
    {"name": "at-once", "scope": "tenant", "counts": "in_flight", "at_most": 1000},
    {"name": "words", "scope": "tenant", "counts": "tokens", "at_most": 10**13, "window": "day"},
)


def config(folder: Path, port: int, named: str) -> dict[str, object]:
    """Return the configuration of one of the gateways, before an upstream that listens at `port`."""
    added = {
        "quota": {"store": "counters", "limits": _LIMITS},
        "ledger": {"directory": f"{folder}/ledger"},
        "calllog": {"path": f"{folder}/calls.db"},
    }
    listed = _PLUGINS[named]
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"level": "warning"},
        "prices": {"bench/*": {"input": 0.15, "output": 0.6}},
        "stores": {"counters": {"url": f"lmdb://{folder}/counters"}} if "quota" in listed else {},
        "upstreams": {"bench": {"base_url": f"http://127.0.0.1:{port}/v1", "dialect": "openai"}},
        "plugins": {
            "access": {"keys": [{"name": "bench", "tenant": "bench", "key": "${env:BENCH_KEY}"}]},
            "metrics": {},
            **{plugin: added[plugin] for plugin in listed},
        },
        "pipeline": ["metrics", *(["calllog"] if "calllog" in listed else []), "access"]
        + [plugin for plugin in ("quota", "ledger") if plugin in listed],
        "routes": [
            {"name": "models", "match": {"path": "/v1/*"}, "upstream": "bench", "meter_usage": True},
        ],
    }


def request() -> bytes:
    """Write the request of a chat completion."""
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": _QUESTION},
    ]
    body = orjson.dumps({"model": "m", "messages": messages, "temperature": 0, "max_tokens": 100})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def ran(pid: int) -> float:
    """Return for how many microseconds a process has been running, all its threads together."""
    return (
        time.clock_gettime_ns(~pid << 3 | 2) / 1e3
    )  # the clock of a process, as clock_getcpuclockid(3) has it


class Measured:
    """One gateway, and what its requests cost in each round."""

    def __init__(self, process: GatewayProcess) -> None:
        self._process = process
        self._port = int(process.url.rpartition(":")[2])
        self.costs: list[float] = []

    async def turn(self, count: int) -> None:
        """Ask, let the threads write, and take off what the process uses without being asked."""
        start = ran(self._process.pid)
        await ask(self._port, request(), count)
        await asyncio.sleep(_SETTLING)
        asked = ran(self._process.pid)
        await asyncio.sleep(_SETTLING)
        idle = ran(self._process.pid) - asked
        self.costs.append((asked - start - idle) / count)


async def measure(names: list[str], rounds: int, requests: int) -> dict[str, list[float]]:
    """Return by name what each gateway's requests cost in each round, in us."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        found = {}
        for name in names:
            place = Path(folder) / name
            place.mkdir()
            file = place / "gateway.json"
            file.write_bytes(orjson.dumps(config(place, port, name)))
            gateway = GatewayProcess("-c", file, environ={"BENCH_KEY": KEY})
            found[name] = Measured(await loop.run_in_executor(None, running.enter_context, gateway))
        for _ in range(rounds + 1):
            for measured in found.values():
                await measured.turn(requests)
    server.close()
    return {
        name: measured.costs[1:] for name, measured in found.items()
    }  # the first round warms everything up


def main() -> None:
    """Read the command line, measure, print a line for each gateway."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=1600, help="of each gateway in a round")
    parser.add_argument("--only", help="gateways besides the foundation, by their names")
    parser.add_argument("--most", type=float, help="the highest ratio of all together that is accepted")
    options = parser.parse_args()
    names = list(_PLUGINS) if options.only is None else ["foundation", *options.only.split(",")]
    found = uvloop.run(measure(names, options.rounds, options.requests))
    ratios = {}
    for name, costs in found.items():
        pairs = zip(costs, found["foundation"], strict=True)
        ratios[name] = statistics.median(cost / least for cost, least in pairs)
        say(gateway=name, us=round(statistics.median(costs), 1), ratio=round(ratios[name], 3))
    if options.most is not None and ratios.get("all", 0.0) > options.most:
        sys.exit(1)


if __name__ == "__main__":
    main()
