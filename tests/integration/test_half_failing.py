"""Half of a pool's targets fail under load, then heal: callers do not notice, and the traffic becomes even again.

The long run prints what it found; `pytest -m slow -s tests/integration/test_half_failing.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmproxy.testing import RawClient

from .load import chat, fault
from .process import GatewayProcess

TOKEN = "the-admin-token-of-this-test"
WHOLE = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"} | {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]
}
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
PIECES = [
    {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None},
    {"index": 0, "delta": {}, "finish_reason": "stop"},
]
STREAM = b"".join(b"data: " + orjson.dumps(CHUNK | {"choices": [each]}) + b"\n\n" for each in PIECES)
STREAM += b"data: [DONE]\n\n"
FAILURES = ("500", "reset", "503", "stall", "error event")
CALLERS = 8


def answer(status: str, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


ANSWERS = {
    "unary": answer("200 OK", "application/json", orjson.dumps(WHOLE)),
    "stream": answer("200 OK", "text/event-stream", STREAM),
    "500": answer("500 Internal Server Error", "application/json", b'{"error":{"message":"broken"}}'),
    "503": answer("503 Service Unavailable", "text/plain", b"overloaded"),
    "error event": answer(
        "200 OK", "text/event-stream", b'data: {"error":{"message":"broken","type":"server_error"}}\n\n'
    ),
}


class Target(asyncio.Protocol):
    """One connection to a provider that may fail in every way that can still be mended."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if found and len(body) >= length:
            self._data.clear()
            self._answer(stream=b'"stream":true' in body)

    def _answer(self, *, stream: bool) -> None:
        self._provider.asked.append(time.monotonic())
        kind = "stream" if stream else "unary"
        if self._provider.failing:
            kind = next(self._provider.failures)
        if kind == "reset":
            self._transport.abort()
        elif kind != "stall":
            self._transport.write(ANSWERS[kind if kind != "error event" or stream else "500"])


class Provider:
    """A provider, when it was asked, and whether it fails now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failing = False
        self.failures = itertools.cycle(FAILURES)
        self.asked: list[float] = []
        self.port = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Provider]:
        server = await asyncio.get_running_loop().create_server(lambda: Target(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    def between(self, start: float, end: float) -> int:
        return sum(start <= at < end for at in self.asked)


@dataclass
class Tally:
    """What callers saw."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def share_failed(self) -> float:
        return len(self.failed) / max(1, self.answered + len(self.failed))


async def call(url: str, tally: Tally, stopped: asyncio.Event, *, stream: bool) -> None:
    """Ask without end, with short pauses, on one connection."""
    request = chat(stream=stream)
    async with RawClient(url, timeout=20.0) as client:
        while not stopped.is_set():
            what = fault(await client.exchange(request), stream=stream)
            if what:
                tally.failed.append(what)
            else:
                tally.answered += 1
            await asyncio.sleep(0.02)


@asynccontextmanager
async def calling(url: str) -> AsyncIterator[Tally]:
    tally, stopped = Tally(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(call(url, tally, stopped, stream=bool(number % 2)))
        try:
            yield tally
        finally:
            stopped.set()


def config(providers: list[Provider], health: str) -> str:
    timeouts = "timeouts: {headers: 400ms, first_token: 400ms}"
    upstreams = "\n".join(
        f"  {each.name}: {{base_url: 'http://127.0.0.1:{each.port}/v1', {timeouts}}}" for each in providers
    )
    targets = ", ".join(f"{each.name}/m" for each in providers)
    return f"""
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
log: {{level: error, format: json}}
upstreams:
{upstreams}
pools: {{p: {{strategy: round_robin, targets: [{targets}]}}}}
models: {{fast: {{pool: p}}}}
plugins: {{balance: {{seed: 7, health: {health}}}}}
routes: [{{name: models, match: {{path: "/v1/*"}}, pool: p}}]
"""


async def changes(gateway: GatewayProcess) -> Counter[tuple[str, str]]:
    """Return how often each provider's health became what, over all workers."""
    head = f"GET /metrics HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    async with RawClient(gateway.admin_url) as client:
        text = (await client.exchange(head.encode())).body.decode()
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(text):
        if family.name == "llmproxy_health_changes":
            for sample in family.samples:
                found[sample.labels["upstream"], sample.labels["to"]] += int(sample.value)
    return found


async def even_after(providers: list[Provider], window: float, within: float) -> float:
    """Wait until each has had its share, give or take a quarter, for a window; return the seconds until it began."""
    healed = time.monotonic()
    while (now := time.monotonic()) < healed + within + window:
        if now >= healed + window:
            counts = [each.between(now - window, now) for each in providers]
            mean = sum(counts) / len(counts)
            if mean and all(abs(count - mean) <= mean / 4 for count in counts):
                return now - window - healed
        await asyncio.sleep(0.1)
    raise AssertionError(f"not even within {within:g} s: {[each.asked[-3:] for each in providers]}")


@dataclass
class Times:
    """How long each part of a run takes, and how health is judged in it."""

    failing: float
    even_within: float
    window: float
    health: str
    workers: int = 1


QUICK = Times(
    3.0, 3.0, 1.0, "{rest: 200ms, longest_rest: 1s, climb: 500ms, window: 2s, trial_timeout: 2s, steady: 2s}"
)
LONG = Times(60.0, 30.0, 2.0, "{}", workers=2)


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(QUICK, id="quick"),
        pytest.param(LONG, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(200)]),
    ],
)
async def test_half_of_the_targets_fail_and_heal(times: Times, tmp_path: Path) -> None:
    providers = [Provider(name) for name in "abcd"]
    file = tmp_path / "gateway.yaml"
    async with AsyncExitStack() as stack:
        for each in providers:
            await stack.enter_async_context(each.serve())
        file.write_text(config(providers, times.health))
        environ = {"ADMIN_TOKEN": TOKEN}
        gateway = GatewayProcess("-c", file, "--workers", str(times.workers), environ=environ)
        stack.enter_context(gateway)
        tally = await stack.enter_async_context(calling(gateway.url))
        await asyncio.sleep(0.5)
        began = time.monotonic()
        for each in providers[:2]:
            each.failing = True
        await asyncio.sleep(times.failing)
        for each in providers[:2]:
            each.failing = False
        wasted = sum(each.between(began, time.monotonic()) for each in providers[:2])
        back = await even_after(providers, times.window, times.even_within)
        await asyncio.sleep(0.2)
        counted = await changes(gateway)
    tell(times, tally, wasted, back, counted)

    assert tally.share_failed <= 0.001, tally.failed[:5]
    assert not any(name in "cd" for name, _ in counted)
    for name in "ab":
        opened, closed = counted[name, "open"], counted[name, "closed"]
        # Opened once, then by each trial that failed, at rests that double: never open and closed in turns.
        assert 1 <= opened <= 8 * times.workers
        assert closed <= 2 * times.workers


def tell(times: Times, tally: Tally, wasted: int, back: float, counted: Counter[tuple[str, str]]) -> None:
    print(f"\n{times.failing:g} s with 2 of 4 targets failing, {times.workers} worker(s)")
    print(
        f"requests: {tally.answered + len(tally.failed)}, failed: {len(tally.failed)} ({tally.share_failed:.3%})"
    )
    print(f"attempts at those that failed: {wasted}; even again {back:.1f} s after they healed")
    for (name, to), count in sorted(counted.items()):
        print(f"  {name} became {to}: {count}")
