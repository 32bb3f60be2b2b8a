"""Refusals at the door, through real routes."""

import asyncio
import time

import pytest

from llmproxy.plugin import ChildRequest
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, make_exchange, make_process, running_route
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


async def test_a_loop_that_hangs_refuses_until_it_turns_again(api):
    api.reply(json={})
    async with shedding(api, lag="200ms", interval="200ms") as route:
        before = await status(route)
        time.sleep(0.6)  # that is what the plugin watches for
        behind = await status(route)
        await asyncio.sleep(1.5)
        after = await status(route)

    assert (before, behind, after) == (200, 503, 200)


async def test_what_the_gateway_asks_itself_passes(api):
    api.reply(json={})
    async with shedding(api, lag=None, in_flight=1) as route:
        parent = make_exchange()
        (plugin,) = [each for each in route.generation.assembly.table.plugins if each.name == "shedding"]
        plugin._in_flight = 1
        reply = await route.generation.call(ChildRequest("GET", "/"), parent)

        assert reply.status == 200
        assert await status(route) == 503
