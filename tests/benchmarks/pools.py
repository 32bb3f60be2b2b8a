"""What a pool costs: CPU time of the gateway a request, through a pool of two above a single upstream.

`python -m tests.benchmarks.pools [--rounds 30] [--requests 200] [--strategy weighted] [--most 1.15]` asks one gateway,
by two routes that differ in nothing else, for whole answers and for streams of 50 events that are sent at once. Health
is watched; access, metrics and usage are on, as in bench.yaml. The routes take turns in each round, and the median of
the rounds' ratios counts: what else runs on the machine slows both. The time is what the system's scheduler says that
the gateway was running. With `--most` the run fails where a ratio is above it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

import orjson
import uvloop
from tests.benchmarks.site import KEY, say
from tests.benchmarks.translation import EVENTS, Upstream, ask
from tests.integration.process import GatewayProcess

_QUESTION: Final = "What is the capital of France? Answer in one short sentence please."


def config(port: int, strategy: str) -> dict[str, object]:
    """Return the configuration with both routes, before an upstream that listens at `port`."""
    upstream = {"base_url": f"http://127.0.0.1:{port}/v1", "dialect": "openai"}
    places = {"targets": ["one", "other"], "strategy": strategy}
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"level": "warning"},
        "upstreams": {"one": upstream, "other": upstream},
        "plugins": {
            "access": {"keys": [{"name": "bench", "tenant": "bench", "key": "${env:BENCH_KEY}"}]},
            "metrics": {},
        },
        "pipeline": ["metrics", "access"],
        "routes": [
            {"name": "single", "match": {"path": "/single/v1/*"}, "upstream": "one", "meter_usage": True},
            {"name": "pool", "match": {"path": "/pool/v1/*"}, **places, "meter_usage": True},
        ],
    }


def request_of(route: str, *, stream: bool) -> bytes:
    """Write the request of a chat completion by one of the routes."""
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": _QUESTION},
    ]
    body = orjson.dumps({"model": "m", "messages": messages, "temperature": 0, "stream": stream})
    head = f"POST /{route}/v1/chat/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def ran(pid: int) -> float:
    """Return for how many microseconds a process's main thread has been running."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e3


async def cost(process: GatewayProcess, route: str, count: int, *, stream: bool) -> float:
    """Return the CPU us of one request by a route."""
    before = ran(process.pid)
    await ask(int(process.url.rpartition(":")[2]), request_of(route, stream=stream), count)
    return (ran(process.pid) - before) / count


async def measure(rounds: int, requests: int, strategy: str) -> dict[str, tuple[float, float, float]]:
    """Return for each kind of answer the us by each of the routes, and their ratio."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0)
    found: dict[str, list[tuple[float, float]]] = {"pass": [], f"stream of {EVENTS}": []}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.json"
        file.write_bytes(orjson.dumps(config(server.sockets[0].getsockname()[1], strategy)))
        gateway = GatewayProcess("-c", file, environ={"BENCH_KEY": KEY})
        process = await loop.run_in_executor(None, gateway.__enter__)
        try:
            for number in range(rounds + 2):
                for kind, pairs in found.items():
                    stream = kind != "pass"
                    single = await cost(process, "single", requests, stream=stream)
                    pair = (single, await cost(process, "pool", requests, stream=stream))
                    if number >= 2:  # the first rounds warm everything up
                        pairs.append(pair)
        finally:
            process.__exit__(None, None, None)
    server.close()
    return {kind: _summary(pairs) for kind, pairs in found.items()}


def _summary(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    singles, pools = zip(*pairs, strict=True)
    ratio = statistics.median(pool / single for single, pool in pairs)
    return statistics.median(singles), statistics.median(pools), ratio


def main() -> None:
    """Read the command line, measure, print a line for each kind of answer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--requests", type=int, default=200, help="of each kind and route in a round")
    parser.add_argument("--strategy", default="weighted")
    parser.add_argument("--most", type=float, help="the highest ratio that is accepted")
    options = parser.parse_args()
    found = uvloop.run(measure(options.rounds, options.requests, options.strategy))
    for kind, (single, pool, ratio) in found.items():
        say(answer=kind, single_us=round(single, 1), pool_us=round(pool, 1), ratio=round(ratio, 3))
    if options.most is not None and any(ratio > options.most for _, _, ratio in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
