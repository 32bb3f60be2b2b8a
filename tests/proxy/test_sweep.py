"""One timer for all connections: idle, half a header, deaf, stalled."""

import asyncio
from email.utils import parsedate_to_datetime

import pytest

from llmproxy.sweep import Watchlist
from llmproxy.testing import FakeUpstream, RawClient, running_gateway


def tree(**server):
    return {"server": server, "routes": []}


async def test_an_idle_connection_is_closed_without_a_word():
    async with running_gateway(tree(keepalive_timeout="100ms")) as gateway, RawClient(gateway.url) as client:
        rest = await client.read_to_end()

    assert rest == b""


async def test_half_a_header_is_told_so():
    async with running_gateway(tree(header_timeout="100ms")) as gateway, RawClient(gateway.url) as client:
        await client.send(b"GET /slow HTTP/1.1\r\nHos")
        reply = await client.read_reply()

    assert (reply.status, reply.json()["code"]) == (408, "header_timeout")


async def test_half_a_second_header_is_told_so_too():
    async with running_gateway(tree(header_timeout="100ms")) as gateway, RawClient(gateway.url) as client:
        await client.exchange(b"GET /one HTTP/1.1\r\nHost: g\r\n\r\n")
        await client.send(b"GET /two HTTP/1.1\r\nHos")
        reply = await client.read_reply()

    assert reply.status == 408


async def test_a_busy_connection_is_never_idle():
    async with FakeUpstream().stream([b"data: 1\n\n"] * 6, delay=0.3) as api:
        config = {
            **tree(keepalive_timeout="100ms", header_timeout="100ms"),
            "upstreams": {"api": {"base_url": api.url, "dialect": "http", "proxy": None}},
            "routes": [{"name": "all", "upstream": "api"}],
        }
        async with running_gateway(config) as gateway, RawClient(gateway.url) as client:
            reply = await client.exchange(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n")

    assert reply.body == b"data: 1\n\n" * 6


async def test_closed_connections_are_forgotten():
    async with running_gateway(tree()) as gateway:
        (front,) = gateway._serving._fronts
        async with RawClient(gateway.url) as client:
            await client.exchange(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n")
            seen = len(front.watch.open)
        async with asyncio.timeout(2):
            while front.watch.open:
                await asyncio.sleep(0.01)

    assert seen == 1


def test_the_date_is_one_for_http():
    assert parsedate_to_datetime(Watchlist().date.decode()).tzinfo is not None


def test_a_list_that_was_never_started_can_be_stopped():
    Watchlist().stop()


@pytest.mark.parametrize("kind", ["open", "stalled", "deaf"])
def test_a_closed_connection_leaves_every_list(kind):
    watch, connection = Watchlist(), object()
    getattr(watch, kind).add(connection)
    watch.closed(connection)

    assert getattr(watch, kind) == set()
