"""Refusals at the door, through real routes."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from llmproxy.plugin import ChildRequest, Plugin, hookimpl
from llmproxy.tasks import spawn
from llmproxy.testing import (
    FakeUpstream,
    RawClient,
    make_exchange,
    make_process,
    running_gateway,
    running_route,
)
from llmproxy_shedding import SheddingPlugin


@pytest.fixture
async def api():
    async with FakeUpstream() as upstream:
        yield upstream


def shedding(api, process=None, **settings):
    tables = {"shedding": {"use": SheddingPlugin, **settings}}
    return running_route(tables, upstream=api, process=process)


async def status(route):
    return (await route.serve(make_exchange())).reply.status


async def test_so_many_at_once_are_taken_on(api):
    api.raw(0.1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", then="keep")
    process = make_process()
    async with shedding(api, process, lag=None, in_flight=2, retry_after="3s") as route:
        first = [spawn(status(route), name="asks") for _ in range(2)]
        await asyncio.sleep(0.02)
        refused = (await route.serve(make_exchange())).reply
        await asyncio.wait(first)
        later = await status(route)

    assert (refused.status, refused.headers.get("retry-after")) == (503, "3")
    assert [each.result() for each in first] == [200, 200]
    assert later == 200
    assert 'llmproxy_shed_total{reason="in_flight"} 1' in process.metrics.exposition(
        [process.metrics.snapshot()]
    )


class Heavy(Plugin):
    """Takes the processor for a while with each request."""

    @hookimpl
    async def pre_route(self, exchange):
        until = time.monotonic() + 0.005
        while time.monotonic() < until:
            pass


async def ask(client):
    return await client.exchange(b"POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize("above", [[], ["heavy"]])
async def test_more_than_a_worker_can_do_is_refused_and_counted_until_it_is_over(api, above):
    api.reply(json={})
    config = {
        "plugins": {"shedding": {}, "heavy": {"use": Heavy}, "metrics": {}, "accesslog": {}},
        "pipeline": [*above, "shedding", *["heavy"][len(above) :], "metrics", "accesslog"],
        "upstreams": {"api": {"base_url": api.url, "dialect": "http", "proxy": None}},
        "routes": [{"name": "all", "upstream": "api"}],
    }
    async with running_gateway(config) as gateway, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(RawClient(gateway.url)) for _ in range(60)]
        found = []
        for _ in range(3):
            found += await asyncio.gather(*map(ask, clients))
        statuses = Counter(reply.status for reply in found)
        await asyncio.sleep(0.2)
        after = [(await ask(clients[0])).status for _ in range(3)]
        metrics = gateway.gateway.process.metrics
        told = metrics.exposition([metrics.snapshot()])

    rows = [line for line in b"".join(gateway.log).splitlines() if b'"status":503' in line]

    assert set(statuses) == {200, 503}
    assert after == [200] * 3
    assert all(reply.header("retry-after") == "1" for reply in found if reply.status == 503)
    assert {reply.header("connection") for reply in found} == {None}
    assert f'llmproxy_shed_total{{reason="lag"}} {statuses[503]}' in told
    assert f'llmproxy_requests_total{{route="all",result="refused",status="5xx"}} {statuses[503]}' in told
    assert len(rows) == statuses[503]


async def test_what_the_gateway_asks_itself_passes(api):
    api.reply(json={})
    async with shedding(api, lag=None, in_flight=1) as route:
        parent = make_exchange()
        (plugin,) = [each for each in route.generation.assembly.table.plugins if each.name == "shedding"]
        plugin._in_flight = 1
        reply = await route.generation.call(ChildRequest("GET", "/"), parent)

        assert reply.status == 200
        assert await status(route) == 503
