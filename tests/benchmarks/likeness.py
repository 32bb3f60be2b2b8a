"""What comparing questions costs a whole gateway: CPU time a request, and how long callers wait.

`python -m tests.benchmarks.likeness [--requests 200] [--rate 50] [--only exact,strict]` asks gateways that are one
process each and have a cache in memory before a model of their own (the plugin demo): `exact` knows equal requests
alone, `canonical` one form of a question too, `strict` also questions that are alike. Each is asked questions that
nobody asked before (miss), the same again (again), those in another form (form) and in other words (words), one after
the other at random times as many a second as the rate says. CPU time is that of the whole process, its threads
included; what it uses when nobody asks is taken off. Waits are wall time: how many want the machine is told with them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson
from tests.benchmarks.metering import ran
from tests.benchmarks.semantic import spread
from tests.benchmarks.site import say
from tests.integration.process import GatewayProcess

from llmproxy.testing import RawClient

_PLUGINS: Final[dict[str, dict[str, Any]]] = {
    "exact": {},
    "canonical": {"semantic": {}},
    "strict": {"semantic": {"policy": "strict"}},
}
_PHASES: Final = {
    "miss": "How do I cancel order {} in the web application?",
    "again": "How do I cancel order {} in the web application?",
    "form": "hi, how do I cancel order {} in the web application? thanks",
    "words": "How can I cancel order {} in the web application?",
}
_HEAD: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b"
)
_SETTLING: Final = 1.0


def config(named: str) -> dict[str, Any]:
    """Return the configuration of one of the gateways."""
    listed = [*_PLUGINS[named], {"cache": {"profile": "deterministic", "ttl": "1h"}}]
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"level": "warning"},
        "stores": {"answers": "memory://?max_bytes=256MiB"},
        "upstreams": {"demo": {"base_url": "http://demo.invalid", "dialect": "demo"}},
        "plugins": {**_PLUGINS[named], "cache": {"store": "answers"}},
        "routes": [{"name": "asked", "upstream": "demo", "plugins": listed}],
    }


def request(question: str) -> bytes:
    """Write the request of a chat completion."""
    turns = [{"role": "user", "content": question}]
    body = orjson.dumps({"model": "demo/echo", "temperature": 0, "messages": turns})
    return _HEAD % (len(body), body)


async def asked(url: str, questions: list[str], rate: float) -> tuple[list[float], Counter[str]]:
    """Ask at random times; return how long each waited in ms, and how the cache took them."""
    waits: list[float] = []
    found: Counter[str] = Counter()

    async def ask(question: str) -> None:
        async with RawClient(url, timeout=10.0) as client:
            begun = time.perf_counter()
            reply = await client.exchange(request(question))
            waits.append((time.perf_counter() - begun) * 1e3)
        status = reply.header("cache-status") or ""
        detail = status.partition('detail="')[2].partition('"')[0]
        found[("hit " + detail).strip() if "; hit" in status else "miss"] += 1

    rng = random.Random(7)
    async with asyncio.TaskGroup() as group:
        for question in questions:
            group.create_task(ask(question))
            await asyncio.sleep(rng.expovariate(rate))
    return waits, found


async def measure(url: str, pid: int, named: str, count: int, rate: float) -> None:
    """Ask one gateway all that there is to ask, and tell what it cost."""
    await asked(url, [f"What is part {number} for?" for number in range(20)], rate)
    for phase, words in _PHASES.items():
        await asyncio.sleep(_SETTLING)
        start = ran(pid)
        waits, found = await asked(url, [words.format(1000 + number) for number in range(count)], rate)
        await asyncio.sleep(_SETTLING)
        end = ran(pid)
        await asyncio.sleep(_SETTLING)
        idle = (ran(pid) - end) * (_SETTLING + count / rate) / _SETTLING
        cpu = round((end - start - idle) / count)
        load = round(os.getloadavg()[0], 1)
        say(gateway=named, case=phase, cpu_us=cpu, wait_ms=spread(waits), found=dict(found), load=load)


def main() -> None:
    """Read the command line, measure, print a line for each gateway and case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--only", default=",".join(_PLUGINS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for named in given.only.split(","):
            file = Path(folder) / f"{named}.json"
            file.write_bytes(orjson.dumps(config(named)))
            with GatewayProcess("-c", file) as process:
                asyncio.run(measure(process.url, process.pid, named, given.requests, given.rate))


if __name__ == "__main__":
    main()
