"""Limits of places and keys of upstreams, through a real gateway: an upstream that counts, callers over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.webserver import served

from llmproxy.orders import ReloadResult
from llmproxy.tasks import spawn
from llmproxy.testing import RunningGateway, running_gateway

ANSWER = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}


class Counting:
    """An upstream whose answers wait until they are let go; it knows how many it has at once, and by which keys."""

    def __init__(self) -> None:
        self.here = 0
        self.most = 0
        self.keys: list[str] = []
        self.dead: dict[str, int] = {}
        self.go = asyncio.Event()
        self.go.set()
        self.arrived = asyncio.Condition()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; with `?stream` the head comes at once."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.keys.append(key)
        if key in self.dead:
            return web.json_response({"error": {"message": "No."}}, status=self.dead[key])
        if request.method == "POST":
            return web.json_response(ANSWER)
        self.here += 1
        self.most = max(self.most, self.here)
        try:
            async with self.arrived:
                self.arrived.notify_all()
            response = web.StreamResponse()
            if "stream" in request.query:
                await response.prepare(request)
                await response.write(b"begun ")
            await self.go.wait()
            if "stream" not in request.query:
                await response.prepare(request)
            await response.write(b"done")
            await response.write_eof()
            return response
        finally:
            self.here -= 1

    async def has(self, count: int) -> None:
        """Wait until it has as many requests at once."""
        async with asyncio.timeout(5), self.arrived:
            await self.arrived.wait_for(lambda: self.here >= count)


class Site:
    """A gateway before the upstream, and a caller."""

    def __init__(
        self, gateway: RunningGateway, tree: Any, upstream: Counting, session: aiohttp.ClientSession
    ) -> None:
        self.gateway = gateway
        self.tree = tree
        self.upstream = upstream
        self._session = session

    async def ask(self, query: str = "") -> int:
        """Ask, and take the whole answer; return its status."""
        async with self._session.get(f"{self.gateway.url}/thing{query}") as reply:
            await reply.read()
            return reply.status

    async def reload(self) -> ReloadResult:
        """Have the next generation serve."""
        return await self.gateway.reload(self.tree)

    def asking(self, query: str = "") -> asyncio.Task[int]:
        """Ask in the background."""
        return spawn(self.ask(query), name="asks")

    async def chat(self) -> int:
        """Ask a model; return the answer's status."""
        body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        async with self._session.post(f"{self.gateway.url}/v1/chat/completions", json=body) as reply:
            await reply.read()
            return reply.status

    async def refused(self) -> aiohttp.ClientResponse:
        """Ask, and return the reply."""
        async with self._session.get(f"{self.gateway.url}/thing") as reply:
            await reply.read()
            return reply


@asynccontextmanager
async def site(
    queue: Any = None, keys: Mapping[str, str] | None = None, dialect: str = "http", **target: Any
) -> AsyncIterator[Site]:
    counting = Counting()
    async with served(counting.answer) as url:
        main = {
            "dialect": dialect,
            "base_url": url,
            "proxy": None,
            "api_key": [f"${{env:{name}}}" for name in keys or ()],
        }
        tree = {
            "upstreams": {"main": main},
            "plugins": {"balance": {} if queue is None else {"queue": queue}},
            "routes": [{"name": "all", "targets": [{"upstream": "main", **target}]}],
        }
        async with running_gateway(tree, environ=keys or {}) as gateway, aiohttp.ClientSession() as session:
            yield Site(gateway, tree, counting, session)


async def test_no_more_are_in_flight_than_the_limit_and_all_are_answered_in_their_turn() -> None:
    async with site(limit=3) as here:
        here.upstream.go.clear()
        asked = [here.asking() for _ in range(12)]
        await here.upstream.has(3)
        await asyncio.sleep(0.05)
        here.upstream.go.set()
        await asyncio.wait(asked)

    assert [each.result() for each in asked] == [200] * 12
    assert here.upstream.most == 3


async def test_a_stream_keeps_its_slot_until_its_last_byte() -> None:
    async with site(limit=1, queue=0) as here:
        here.upstream.go.clear()
        streaming = here.asking("?stream")
        await here.upstream.has(1)
        during = await here.ask()
        here.upstream.go.set()
        await streaming
        after = await here.ask()

    assert (during, after) == (503, 200)


async def test_who_is_one_too_many_is_told_when_to_come_back() -> None:
    async with site(limit=1, queue=0) as here:
        here.upstream.go.clear()
        first = here.asking()
        await here.upstream.has(1)
        refused = await here.refused()
        here.upstream.go.set()

        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert await first == 200


@pytest.mark.parametrize("query", ["", "?stream"])
async def test_a_caller_that_leaves_frees_its_slot_at_once(query: str) -> None:
    async with site(limit=1) as here:
        here.upstream.go.clear()
        first, second = here.asking(query), here.asking()
        await here.upstream.has(1)
        await asyncio.sleep(0.02)
        first.cancel()
        here.upstream.go.set()

        assert await asyncio.wait_for(second, 2) == 200


async def test_callers_that_leave_while_they_wait_take_no_slot() -> None:
    async with site(limit=1) as here:
        here.upstream.go.clear()
        first = here.asking()
        await here.upstream.has(1)
        waiting = [here.asking() for _ in range(5)]
        await asyncio.sleep(0.05)
        for each in waiting[:4]:
            each.cancel()
        await asyncio.sleep(0.05)
        here.upstream.go.set()
        await asyncio.wait([first, waiting[4]])

        assert (first.result(), waiting[4].result()) == (200, 200)
        assert len(here.upstream.keys) == 2
        assert await here.ask() == 200


async def test_failed_attempts_give_their_slots_back() -> None:
    async with site(limit=1, keys={"A": "a"}) as here:
        here.upstream.dead = {"a": 500}
        statuses = [await here.ask() for _ in range(4)]
        here.upstream.dead = {}

        assert set(statuses) <= {500, 503}
        assert await asyncio.wait_for(here.refused(), 5)


async def test_a_reload_keeps_the_limit() -> None:
    async with site(limit=2) as here:
        here.upstream.go.clear()
        first = [here.asking() for _ in range(2)]
        await here.upstream.has(2)
        assert (await here.reload()).ok
        later = [here.asking() for _ in range(3)]
        await asyncio.sleep(0.1)
        here.upstream.go.set()
        await asyncio.wait([*first, *later])

    assert [each.result() for each in (*first, *later)] == [200] * 5
    assert here.upstream.most == 2


async def test_a_dead_key_costs_one_attempt_and_no_caller_anything() -> None:
    async with site(dialect="openai", keys={"A": "a", "B": "b", "C": "c"}) as here:
        here.upstream.dead = {"b": 401}
        statuses = [await here.chat() for _ in range(9)]

    assert statuses == [200] * 9
    assert here.upstream.keys.count("b") == 1
    assert len(here.upstream.keys) == 10


async def test_where_all_keys_are_dead_the_caller_is_told_what_the_provider_says() -> None:
    async with site(dialect="openai", keys={"A": "a", "B": "b"}) as here:
        here.upstream.dead = {"a": 401, "b": 401}
        status = await here.chat()

        assert status == 401
        assert here.upstream.keys == ["a", "b"]


async def test_no_key_is_in_what_operators_see() -> None:
    async with site(dialect="openai", keys={"A": "sk-canary-aaaa", "B": "sk-canary-bbbb"}) as here:
        here.upstream.dead = {"sk-canary-aaaa": 401, "sk-canary-bbbb": 403}
        for _ in range(3):
            await here.chat()
        metrics = here.gateway.gateway.process.metrics
        told = metrics.exposition([metrics.snapshot()])
        log = b"".join(here.gateway.log).decode()

    assert "${env:A}" in log
    assert 'llmproxy_upstream_key_rests_total{upstream="main",key="1",reason="authentication"}' in told
    assert "canary" not in told + log
