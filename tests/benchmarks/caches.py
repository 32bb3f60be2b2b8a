"""What a cached answer costs the gateway: CPU time a hit and a miss, beside passing the same request on.

`python -m tests.benchmarks.caches [--rounds 7] [--requests 4000] [--entries 0]` runs deploy/examples/bench.yaml and
bench-cache.yaml (access, metrics and usage on; memory over LMDB) before one upstream. The cases take turns in each
round, the median of the rounds counts. With `--entries N` so many answers are kept first, and hits are asked of a
thousand of them, and of all by chance.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import uvloop
from tests.benchmarks.site import KEY, resident, say
from tests.integration.process import GatewayProcess

_EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
_TICKS = os.sysconf("SC_CLK_TCK")
_CONNECTIONS = 16
_FEW = 1000

_CHOICE = {
    "index": 0,
    "message": {"role": "assistant", "content": "hello world " * 20},
    "finish_reason": "stop",
}
_USAGE = {"prompt_tokens": 12, "completion_tokens": 40, "total_tokens": 52}
_BODY = orjson.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [_CHOICE],
        "usage": _USAGE,
    }
)
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: public, max-age=3600\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)

Requests = Callable[[], bytes]


class Upstream(asyncio.Protocol):
    """Answers whatever it is asked with one answer, at once."""

    asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's are no subclass
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            told = self._buffer[:end].lower().partition(b"content-length:")[2]
            whole = end + 4 + (int(told.split(b"\r\n")[0]) if told else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            Upstream.asked += 1
            self._transport.write(_ANSWER)


def chat(salt: object) -> bytes:
    """Write a question; another salt is another question."""
    question = f"What is the capital of France? Answer in one short sentence please. {salt}"
    messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": question}]
    body = orjson.dumps({"model": "gpt-4o-mini", "messages": messages, "temperature": 0})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {KEY}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def get(path: object) -> bytes:
    """Write a request for something else than a model's answer."""
    return f"GET /things/{path} HTTP/1.1\r\nHost: g\r\nX-Api-Key: {KEY}\r\nAccept: */*\r\n\r\n".encode()


async def ask(port: int, requests: Requests, count: int) -> None:
    """Ask `count` times over a few connections; every answer must be good and whole."""

    async def work(times: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(times):
            writer.write(requests())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise AssertionError((head + await reader.read(600)).decode())
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(work(max(1, count // _CONNECTIONS)))


def cpu(pid: int) -> float:
    """Return the CPU time of a process so far, microseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS * 1e6


def cases(entries: int) -> Iterator[tuple[str, str, Requests]]:
    """Give the cases: a name, the example that is asked, the requests."""
    numbers = iter(range(1 << 60))
    yield "pass", "bench", lambda: chat(f"pass {next(numbers)}")
    yield "miss", "bench-cache", lambda: chat(f"miss {next(numbers)}")
    yield "hit", "bench-cache", lambda: chat("hit")
    yield "http_hit", "bench-cache", lambda: get("hit")
    if entries:
        chance = random.Random(1)
        few = [chat(f"kept {chance.randrange(entries)}") for _ in range(_FEW)]
        yield "hit_of_a_thousand", "bench-cache", lambda: chance.choice(few)
        yield "hit_of_all", "bench-cache", lambda: chat(f"kept {chance.randrange(entries)}")


async def measure(rounds: int, requests: int, entries: int) -> dict[str, float]:
    """Return CPU us a request for each case."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    found: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        environ = {
            "BENCH_LISTEN": "127.0.0.1:0",
            "BENCH_UPSTREAM": upstream,
            "BENCH_KEY": KEY,
            "BENCH_STORE": folder,
        }
        gateways = {}
        for name in ("bench", "bench-cache"):
            process = GatewayProcess("-c", _EXAMPLES / f"{name}.yaml", "--no-watch", environ=environ)
            gateways[name] = await loop.run_in_executor(None, stack.enter_context, process)
        ports = {name: int(each.url.rpartition(":")[2]) for name, each in gateways.items()}
        await _fill(ports["bench-cache"], entries)
        for number in range(rounds + 1):
            for case, name, make in cases(entries):
                before, pid = cpu(gateways[name].pid), gateways[name].pid
                await ask(ports[name], make, requests)
                if number:  # the first round warms everything up
                    found.setdefault(case, []).append((cpu(pid) - before) / requests)
        say(resident_mib=resident(gateways["bench-cache"].pid) >> 20)
    server.close()
    return {case: statistics.median(values) for case, values in found.items()}


async def _fill(port: int, entries: int) -> None:
    numbers = iter(range(entries + _CONNECTIONS))
    await ask(port, lambda: chat(f"kept {next(numbers)}"), entries)


def main() -> None:
    """Measure and print one line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--entries", type=int, default=0)
    options = parser.parse_args()
    found = uvloop.run(measure(options.rounds, options.requests, options.entries))
    for case, value in found.items():
        say(case=case, cpu_us=round(value, 1), of_passing=round(value / found["pass"], 2))
    say(miss_above_passing_us=round(found["miss"] - found["pass"], 1))


if __name__ == "__main__":
    main()
