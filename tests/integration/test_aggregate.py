"""Merged answers of a whole gateway: calls are made at once, caches stand above them, the example works."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
import yaml

from llmproxy.testing import FakeUpstream, RawClient, running_gateway

EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "aggregate.yaml"


@asynccontextmanager
async def meeting(parties):
    """Serve answers of which none leaves before `parties` requests have arrived whole."""
    barrier = asyncio.Barrier(parties)

    async def serve(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split(b" ")[1]
            await barrier.wait()
            body = orjson.dumps({"path": path.decode()})
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def leave(reader, writer):
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(leave, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def get(gateway, path, *fields):
    async with RawClient(gateway.url) as client:
        lines = "".join(f"{line}\r\n" for line in ("Host: g", *fields))
        return await client.exchange(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())


def config(upstream, calls, *plugins, **options):
    return {
        "stores": {"answers": "memory://"},
        "upstreams": {"api": {"base_url": upstream, "dialect": "http", "proxy": None}},
        "plugins": {"aggregate": {}, "httpcache": {"store": "answers"}},
        "routes": [
            {
                "name": "merged",
                "match": {"path": "/all"},
                "plugins": [*plugins, {"aggregate": {"calls": calls, **options}}],
            },
            {"name": "api", "upstream": "api"},
        ],
    }


async def test_three_upstreams_have_their_requests_before_any_of_them_answers() -> None:
    calls = {"a": "/a", "b": "/b", "c": "/c"}
    async with meeting(3) as upstream, running_gateway(config(upstream, calls)) as gateway:
        reply = await get(gateway, "/all")

    assert orjson.loads(reply.body) == {name: {"path": f"/{name}"} for name in calls}


async def test_a_call_that_waits_for_another_holds_up_nobody_else() -> None:
    # `late` needs `a`; it meets `c` and `d`, which began when nothing had answered yet.
    calls = {"late": "/late?{a/path}", "a": "/a", "b": "/b", "c": "/c"}
    async with meeting(3) as first:
        settings = config(first, calls)
        async with meeting(1) as second:
            settings["upstreams"]["second"] = {"base_url": second, "dialect": "http", "proxy": None}
            settings["routes"].insert(1, {"name": "late", "match": {"path": "/late"}, "upstream": "second"})
            async with running_gateway(settings) as gateway:
                reply = await get(gateway, "/all")

    assert orjson.loads(reply.body)["late"] == {"path": "/late?%2Fa"}


async def test_a_merged_answer_comes_out_of_the_cache_and_an_incomplete_one_never() -> None:
    calls = {"a": "/a", "b": {"target": "/b", "on_failure": "null"}}
    async with (
        FakeUpstream()
        .reply(json=1, path="/a")
        .reply(500, json={}, path="/b")
        .reply(json=2, path="/b") as api,
        running_gateway(config(api.url, calls, {"httpcache": {"profile": "api", "ttl": "1m"}})) as gateway,
    ):
        replies = [await get(gateway, "/all") for _ in range(3)]

    assert [orjson.loads(reply.body)["b"] for reply in replies] == [None, 2, 2]
    assert [reply.header("x-llmproxy-incomplete") for reply in replies] == ["b", None, None]
    assert "hit" in replies[2].header("cache-status")
    assert len(api.requests) == 4


@pytest.mark.parametrize(("status", "expected"), [(200, 200), (404, 404), (500, 502)])
async def test_the_example_answers_by_its_policies(status, expected) -> None:
    key = "an-example-key-of-a-shop"
    async with (
        FakeUpstream().reply(status, json={"name": "Ada", "customer": 3, "password_hash": "x"}) as users,
        FakeUpstream().reply(503, json={}) as orders,
        FakeUpstream().stall() as tips,
    ):
        tree = yaml.safe_load(EXAMPLE.read_text())
        for name, api in (("users", users), ("orders", orders), ("tips", tips)):
            tree["upstreams"][name] |= {"base_url": api.url, "proxy": None}
        tree |= {"listen": ["127.0.0.1:0"], "admin": {"listen": "127.0.0.1:0"}}
        async with running_gateway(tree, environ={"SHOP_KEY": key}) as gateway:
            refused = await get(gateway, "/home/7")
            reply = await get(gateway, "/home/7", f"Authorization: Bearer {key}")
            inner = await get(gateway, "/users/7", f"Authorization: Bearer {key}")

    assert (refused.status, reply.status, inner.status) == (401, expected, 404)
    if status == 200:
        assert orjson.loads(reply.body) == {
            "name": "Ada",
            "customer": 3,
            "orders": [],
            "order_ids": [],
            "failed": {
                "orders": {"reason": "status", "status": 503},
                "tips": {"reason": "timeout", "status": 504},
            },
        }
        assert orders.requests[0].target == "/orders?customer=3&most=10"
        assert all(request.header("authorization") is None for request in users.requests)


async def test_the_examples_answer_is_made_once_for_all_callers_of_a_tenant() -> None:
    key = "an-example-key-of-a-shop"
    async with (
        FakeUpstream()
        .reply(json={"name": "Ada", "customer": 3}, path="/users/7")
        .reply(json={"items": [{"id": 1}]}, path="/orders")
        .reply(json=["a tip"], path="/tips/7") as api
    ):
        tree = yaml.safe_load(EXAMPLE.read_text())
        for upstream in tree["upstreams"].values():
            upstream |= {"base_url": api.url, "proxy": None}
        tree |= {"listen": ["127.0.0.1:0"], "admin": {"listen": "127.0.0.1:0"}}
        async with running_gateway(tree, environ={"SHOP_KEY": key}) as gateway:
            replies = [await get(gateway, "/home/7", f"Authorization: Bearer {key}") for _ in range(3)]

    assert orjson.loads(replies[0].body)["order_ids"] == [1]
    assert {reply.body for reply in replies} == {replies[0].body}
    assert len(api.requests) == 3


async def test_a_calls_own_route_falls_back_for_it() -> None:
    async with FakeUpstream().reply(503, json={}) as broken, FakeUpstream().reply(json=1) as sound:
        tree = config(broken.url, {"a": "/a"})
        tree["upstreams"]["spare"] = {"base_url": sound.url, "dialect": "http", "proxy": None}
        tree["routes"][1] = {"name": "api", "targets": ["api", "spare"]}
        async with running_gateway(tree) as gateway:
            reply = await get(gateway, "/all")

    assert orjson.loads(reply.body) == {"a": 1}
    assert (len(broken.requests), len(sound.requests)) == (1, 1)
