"""A request's deadline ends it in every phase, whatever longer timeouts allow."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
import uvloop
from tests.integration.beginnings import SPEECHES, stalling

from llmproxy import pool
from llmproxy.dialing import Names
from llmproxy.testing import FakeUpstream, FaultProxy, RunningGateway, running_gateway

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy:DeprecationWarning")

DEADLINE = 0.3
CHAT = SPEECHES["chat"]
LONG = dict.fromkeys(["connect", "headers", "first_token", "idle", "total"], "30s")


@pytest.fixture
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy()


@pytest.fixture(autouse=True)
def _rare_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after timeouts so rarely that only what is exact is in time."""
    monkeypatch.setattr(pool, "SWEEP", 20.0)


@asynccontextmanager
async def deaf() -> AsyncIterator[str]:
    """Listen and accept nothing, with no room for another connection."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def mute() -> AsyncIterator[str]:
    """Answer no TLS handshake."""
    async with FaultProxy(1) as line:
        yield line.mute().url.replace("http:", "https:")


@asynccontextmanager
async def scripted(script: Callable[[FakeUpstream], object]) -> AsyncIterator[str]:
    async with FakeUpstream() as upstream:
        script(upstream)
        yield upstream.url


async def hung(self: Names, host: str, port: int) -> Any:
    await asyncio.sleep(60)


def endless_error(upstream: FakeUpstream) -> None:
    head = b"HTTP/1.1 429 Slow Down\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
    upstream.raw(head + b'{"error": {"mess', then="stall")


PHASES: dict[str, Any] = {
    "connect": deaf,
    "tls": mute,
    "dns": lambda: scripted(lambda up: up.stall()),
    "a connection": lambda: scripted(lambda up: up.stall()),
    "headers": lambda: scripted(lambda up: up.stall()),
    "the body": lambda: scripted(lambda up: up.stall(before_headers=False)),
    "the first token": lambda: scripted(lambda up: stalling(up, CHAT.before)),
    "the stream": lambda: scripted(lambda up: stalling(up, [*CHAT.before, *CHAT.said])),
    "a stream that goes on": lambda: scripted(lambda up: up.stream([*CHAT.said] * 200, delay=0.05)),
    "an error's body": lambda: scripted(endless_error),
}


async def ask(gateway: RunningGateway, body: Any) -> tuple[int, bytes, float]:
    """Return the status, what came, and the seconds that it took."""
    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        headers = {"content-type": "application/json"}
        async with session.post(gateway.url + CHAT.path, data=orjson.dumps(body), headers=headers) as reply:
            got = b""
            try:
                async for piece in reply.content.iter_any():
                    got += piece
            except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError):
                got += b"(broken off)"
            return reply.status, got, time.perf_counter() - began


@pytest.mark.parametrize("translated", [False, True], ids=["native", "translated"])
@pytest.mark.parametrize("phase", PHASES)
async def test_a_deadline_ends_every_phase(
    phase: str, translated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if phase == "dns":
        monkeypatch.setattr(Names, "resolve", hung)
    async with PHASES[phase]() as url:
        upstream: dict[str, Any] = {
            "dialect": "openai",
            "base_url": f"{url}/v1",
            "timeouts": LONG,
            "pool": {"max_connections": 1},
        }
        if translated:
            upstream |= {"dialect": "anthropic"}
        route = {"name": "r", "upstream": "main", "deadline": f"{DEADLINE}s"}
        async with running_gateway({"upstreams": {"main": upstream}, "routes": [route]}) as gateway:
            asked = [ask(gateway, CHAT.asked) for _ in range(2 if phase == "a connection" else 1)]
            for status, got, took in await asyncio.gather(*asked):
                print(f"{phase}: {status} after {took * 1000:.0f} ms of {DEADLINE * 1000:.0f}")

                assert status == 504 or b"error" in got or b"(broken off)" in got
                assert took < 5


async def test_a_model_of_this_process_has_a_deadline_too() -> None:
    config = {
        "upstreams": {"demo": {"dialect": "demo", "base_url": "http://demo.invalid", "timeouts": LONG}},
        "routes": [{"name": "r", "upstream": "demo", "deadline": f"{DEADLINE}s"}],
    }
    said = ["[[stall 60s]] Hi", "[[stall 60s after 1]] one two three", "[[slow 20ms]] " + "word " * 100]
    async with running_gateway(config) as gateway:
        for text in said:
            body = {"model": "echo", "stream": True, "messages": [{"role": "user", "content": text}]}
            status, got, took = await ask(gateway, body)
            print(f"{text[:20]}: {status} after {took * 1000:.0f} ms of {DEADLINE * 1000:.0f}")

            assert status == 504 or b"error" in got
            assert took < 5
