"""Retried posts while workers are killed: none is executed twice, and who cannot know is told so."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from aiohttp import web
from tests.webserver import served

from llmproxy.testing import RawClient, RawReply

from .process import GatewayProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
log: {{level: info, format: json}}
stores: {{results: {{url: "{store}"}}}}
upstreams: {{shop: {{base_url: "{origin}", proxy: null}}}}
plugins:
  access: {{keys: [{{name: web, tenant: shop, key: "${{env:SHOP_KEY}}"}}]}}
  idempotency: {{store: results, lease: {lease}}}
routes:
  - {{name: chat, match: {{path: "/v1/*"}}, upstream: llm, plugins: [access, idempotency]}}
  - {{name: orders, match: {{path: "/*"}}, upstream: shop, plugins: [access, idempotency]}}
"""
MODELS = """
upstreams: {{llm: {{base_url: "{origin}/v1", dialect: openai, proxy: null}}}}
models: {{fast: {{upstream: llm, model: m}}}}
"""
SHOP_KEY = "shop-key-0123456789"


class Shop:
    """An origin that executes each order it gets, and counts them by what the body names, which is in no header."""

    def __init__(self) -> None:
        self.orders: Counter[str] = Counter()

    async def execute(self, request: web.Request) -> web.StreamResponse:
        order = orjson.loads(await request.read())
        self.orders[order["order"]] += 1
        number = self.orders[order["order"]]
        await asyncio.sleep(order.get("takes", 0))
        if not order.get("stream"):
            return web.json_response({"order": order["order"], "execution": number}, status=201)
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        with suppress(ConnectionError):  # who asked was killed
            await self._stream(request, reply, order.get("takes", 0))
        return reply

    async def _stream(self, request: web.Request, reply: web.StreamResponse, pause: float) -> None:
        await reply.prepare(request)
        for event in range(4):
            await reply.write(b'data: {"choices": [{"index": 0, "delta": {"content": "%d"}}]}\n\n' % event)
            await asyncio.sleep(pause)
        last = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
        await reply.write(last)


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[Shop, str]]:
    made = Shop()
    async with served(made.execute) as url:
        yield made, url


@pytest.fixture(params=["lmdb", "valkey"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "lmdb":
        return f"lmdb://{tmp_path}/results"
    server = request.getfixturevalue("valkey")
    return f"valkey://{server.host}:{server.port}/0?prefix={uuid4().hex}:&timeout=2s"


@asynccontextmanager
async def gateway(
    folder: Path, store: str, origin: str, *, workers: int = 2, lease: str = "1m"
) -> AsyncIterator[GatewayProcess]:
    file = folder / "gateway.yaml"
    shop_only, models = CONFIG.format(store=store, origin=origin, lease=lease), MODELS.format(origin=origin)
    merged = shop_only.replace("upstreams: {", models.strip().splitlines()[0][:-1] + ", ", 1)
    file.write_text(merged + models.strip().splitlines()[1] + "\n")
    process = GatewayProcess("-c", file, "--workers", str(workers), environ={"SHOP_KEY": SHOP_KEY})
    await asyncio.to_thread(process.__enter__)
    try:
        await process.said('"serving"')  # a worker that ends before all are ready ends the gateway
        yield process
    finally:
        await asyncio.to_thread(process.__exit__, None, None, None)
        print(*process.lines, sep="\n")


def order(name: str, key: str, path: str = "/orders", **more: object) -> bytes:
    body = orjson.dumps({"order": name, **more})
    lines = [f"POST {path} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {SHOP_KEY}"]
    lines += [
        f"Idempotency-Key: {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


async def ask(url: str, request: bytes) -> RawReply | None:
    """Ask on a connection of its own; None when it broke off."""
    try:
        async with RawClient(url, timeout=20) as client:
            return await client.exchange(request)
    except (OSError, EOFError, ValueError):
        return None


def code(reply: RawReply) -> str:
    told = reply.json()
    return str(told["error"]["code"] if "error" in told else told["code"])


@dataclass(slots=True)
class Tally:
    """What callers were told in the end: a result, or that nobody knows; and how often they tried."""

    answered: dict[str, list[bytes]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    tries: int = 0
    odd: list[str] = field(default_factory=list)

    def take(self, name: str, reply: RawReply) -> bool:
        """Note a reply; say whether it is the last word."""
        if reply.status in (200, 201):
            self.answered.setdefault(name, []).append(reply.body)
        elif reply.status == 409 and code(reply) == "idempotency_outcome_unknown":
            self.unknown.add(name)
        elif (reply.status, code(reply)) in (
            (409, "idempotency_in_flight"),
            (503, "idempotency_unavailable"),
        ):
            return False
        elif reply.status != 502:
            self.odd.append(f"{reply.status} {reply.body[:200]!r}")
        return reply.status != 502


async def insist(url: str, tally: Tally, name: str, request: bytes) -> None:
    """Send a request until there is a last word, twice at once now and then; then once more."""
    told = 0
    while told < 2:
        tally.tries += 1
        both = tally.tries % 7 == 0
        replies = await asyncio.gather(*[ask(url, request) for _ in range(1 + both)])
        last = [tally.take(name, reply) for reply in replies if reply is not None]
        if any(last):
            told += 1
        else:
            await asyncio.sleep(0.05)


async def kill_workers(process: GatewayProcess, stop: asyncio.Event, pause: float, most: int) -> int:
    """Kill the oldest of four workers until told to stop, `most` at most; return how many.

    A supervisor lets a slot wait whose workers die young, and callers wait in its queue meanwhile: with a pause of 1.3 s
    each worker lives for the 5 s that count as long.
    """
    killed = 0
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        workers = process.workers()
        if len(workers) == 4 and killed < most and not stop.is_set():
            with suppress(ProcessLookupError):
                os.kill(workers[0], signal.SIGKILL)
            killed += 1
    return killed


async def run_posts(
    folder: Path, store: str, count: int, *, pause: float, most: int, callers: int = 16
) -> tuple[Shop, Tally, int]:
    """Post `count` orders, each until its caller knows, whole and streamed, by both kinds of route."""
    tally, stop = Tally(), asyncio.Event()
    async with (
        shop() as (origin, url),
        gateway(folder, store, url, workers=4, lease="1s") as process,
    ):
        names = iter(range(count))

        async def caller() -> None:
            for number in names:
                name = f"order-{number}"
                model = (
                    {"path": "/v1/chat/completions", "model": "fast", "messages": []} if number % 3 else {}
                )
                stream = number % 3 == 2
                request = order(name, uuid4().hex, takes=0.04 * (number % 4), stream=stream, **model)
                await insist(process.url, tally, name, request)

        killer = asyncio.create_task(kill_workers(process, stop, pause, most))
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(caller())
        stop.set()
        killed = await killer
    return origin, tally, killed


def assert_none_executed_twice(origin: Shop, tally: Tally, count: int) -> None:
    assert tally.odd == []
    assert [name for name, times in origin.orders.items() if times > 1] == []
    assert len(tally.answered.keys() | tally.unknown) == count
    # A result is one result, however often it is given; and there is none of what was not executed.
    assert {name for name, bodies in tally.answered.items() if len(set(bodies)) > 1} == set()
    assert tally.answered.keys() <= origin.orders.keys()


async def test_retried_posts_are_executed_once_while_workers_are_killed(tmp_path: Path, store: str) -> None:
    origin, tally, killed = await run_posts(tmp_path, store, 120, pause=0.3, most=3)

    assert_none_executed_twice(origin, tally, 120)
    assert killed >= 1


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_thousand_retried_posts_are_executed_once_while_workers_are_killed(
    tmp_path: Path, store: str
) -> None:
    origin, tally, killed = await run_posts(tmp_path, store, 1000, pause=1.3, most=99, callers=6)

    print(
        f"\n{store.partition(':')[0]}: 1000 posts, {tally.tries} tries, {killed} workers killed, "
        f"{sum(origin.orders.values())} executions, {len(tally.answered)} answered, {len(tally.unknown)} unknown"
    )
    assert_none_executed_twice(origin, tally, 1000)
    assert killed >= 10
    assert tally.unknown


async def test_the_workers_of_a_host_share_what_they_know(tmp_path: Path, store: str) -> None:
    async with shop() as (origin, url), gateway(tmp_path, store, url) as process:
        request = order("one", "key-1", takes=0.2)
        replies = await asyncio.gather(*[ask(process.url, request) for _ in range(24)])
        later = await asyncio.gather(*[ask(process.url, request) for _ in range(24)])
        other = await ask(process.url, order("two", "key-1"))

    assert origin.orders == {"one": 1}
    assert sorted(reply.status for reply in replies if reply) == [201] + [409] * 23
    assert {(reply.status, reply.header("idempotent-replayed")) for reply in later if reply} == {
        (201, "true")
    }
    assert other is not None
    assert (other.status, code(other)) == (422, "idempotency_key_reused")


async def test_a_caller_that_left_finds_the_result(tmp_path: Path, store: str) -> None:
    async with shop() as (origin, url), gateway(tmp_path, store, url) as process:
        for kind in ({}, {"path": "/v1/chat/completions", "model": "fast", "messages": [], "stream": True}):
            request = order(f"left-{len(kind)}", f"key-{len(kind)}", takes=0.1, **kind)
            async with RawClient(process.url) as client:
                await client.send(request)
                while not origin.orders[f"left-{len(kind)}"]:
                    await asyncio.sleep(0.01)
            while (reply := await ask(process.url, request)) and reply.status == 409:
                assert code(reply) == "idempotency_in_flight"
                await asyncio.sleep(0.05)

            assert reply
            assert reply.header("idempotent-replayed") == "true"
            assert b"[DONE]" in reply.body or reply.json()["execution"] == 1

    assert set(origin.orders.values()) == {1}


async def test_what_is_kept_outlives_the_gateway(tmp_path: Path, store: str) -> None:
    async with shop() as (origin, url):
        replies = []
        for _ in range(2):
            async with gateway(tmp_path, store, url) as process:
                replies.append(await ask(process.url, order("once", "key-1")))

    assert [reply and reply.status for reply in replies] == [201, 201]
    assert origin.orders == {"once": 1}
