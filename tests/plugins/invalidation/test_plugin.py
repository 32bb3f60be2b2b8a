from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import uuid4

import orjson
import pytest

from llmproxy.plugin import Caller, Exchange, NoConfig, Plugin, Reply, StartError, hookimpl, shared_server
from llmproxy.stores import open_store
from llmproxy.testing import FakeUpstream, PluginContract, Serving, make_exchange, running_route
from llmproxy_invalidation import InvalidationPlugin

from .conftest import CACHE, Caching, Shelf

SECRET = "0123456789abcdef"
NAMES = ("a", "b", "c")
WRITES = {"writes": [{"path": "/items/{name}", "tags": ["{name}"], "refill": ["/items/{name}"]}]}
HOOK: dict[str, Any] = {"path": "/hooks/cms", "auth": "bearer", "secrets": ["${env:SECRET}"]}


class TestContract(PluginContract):
    plugin_class = InvalidationPlugin
    config: ClassVar[dict[str, Any]] = {"webhooks": [HOOK]}
    route: ClassVar[dict[str, Any]] = {**WRITES, "purge": {"networks": ["127.0.0.1"]}}
    environ: ClassVar[dict[str, str]] = {"SECRET": SECRET}


class Known(Plugin[NoConfig]):
    """Takes who asks from a header."""

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        exchange.caller = Caller("shop", exchange.request.headers.get("x-key") or "")
        return None


@asynccontextmanager
async def served(
    options: dict[str, Any] | None = None,
    *,
    upstream: FakeUpstream | None = None,
    stores: dict[str, str] | None = None,
    **config: Any,
) -> AsyncIterator[Serving]:
    plugins = {
        "caching": {"use": Caching},
        "known": {"use": Known},
        "invalidation": {"use": InvalidationPlugin, **config},
    }
    route = {"name": "test", "upstream": "upstream"}
    more = {
        "stores": {**CACHE["stores"], **(stores or {})},
        # Webhooks are answered above whoever asks for keys; writes know who was let in.
        "pipeline": ["invalidation", "known"] if config else ["known"],
        "routes": [route if config else {**route, "plugins": [{"invalidation": options or {}}]}],
    }
    async with running_route(
        plugins,
        upstream=upstream,
        config=more,
        environ={"SECRET": SECRET},
    ) as serving:
        yield serving


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("status", [200, 302, 500])
async def test_a_write_purges_its_tags_before_its_answer_leaves(
    shelf: Shelf, method: str, status: int
) -> None:
    async with (
        FakeUpstream().reply(status, json={}) as upstream,
        served(WRITES, upstream=upstream) as serving,
    ):
        await shelf.fill(*NAMES)
        done = await serving.serve(make_exchange(method, "/items/a", body=b"new"))

        assert done.reply.status == status
        assert shelf.held(*NAMES) == "b c"


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("PUT", 404), ("PUT", 429)])
async def test_what_changed_nothing_purges_nothing(shelf: Shelf, method: str, status: int) -> None:
    async with (
        FakeUpstream().reply(status, json={}) as upstream,
        served(WRITES, upstream=upstream) as serving,
    ):
        await shelf.fill(*NAMES)
        await serving.serve(make_exchange(method, "/items/a"))

        assert shelf.held(*NAMES) == "a b c"


async def test_a_write_whose_answer_never_came_may_have_been_done(shelf: Shelf) -> None:
    async with FakeUpstream().reset() as upstream, served(WRITES, upstream=upstream) as serving:
        await shelf.fill(*NAMES)
        done = await serving.serve(make_exchange("PUT", "/items/a", body=b"new"))

        assert done.reply.status == 502
        assert shelf.held(*NAMES) == "b c"


async def test_so_may_one_whose_caller_left(shelf: Shelf) -> None:
    async with FakeUpstream().stall() as upstream, served(WRITES, upstream=upstream) as serving:
        await shelf.fill(*NAMES)
        asking = asyncio.ensure_future(serving.serve(make_exchange("PUT", "/items/a", body=b"new")))
        await upstream.received()
        asking.cancel()
        await asyncio.wait([asking])
        await asyncio.sleep(0.05)

        assert shelf.held(*NAMES) == "b c"


async def test_after_a_write_what_it_changed_is_asked_for_anew(shelf: Shelf) -> None:
    async with FakeUpstream().reply(json={}) as upstream, served(WRITES, upstream=upstream) as serving:
        headers = {"Host": "shop.test", "Accept": "application/json", "Content-Type": "x/y"}
        await serving.serve(make_exchange("PUT", "/items/a", headers=headers, body=b"new"))
        asked = await upstream.received(2)

    assert [(each.method, each.target) for each in asked] == [("PUT", "/items/a"), ("GET", "/items/a")]
    assert asked[1].header("accept") == "application/json"
    assert asked[1].header("content-type") is None


async def test_where_nothing_is_declared_a_write_is_just_passed_on(shelf: Shelf) -> None:
    async with FakeUpstream().reply(json={}) as upstream, served(upstream=upstream) as serving:
        await shelf.fill(*NAMES)
        await serving.serve(make_exchange("PUT", "/items/a", body=b"new"))

        assert shelf.held(*NAMES) == "a b c"


async def test_purge_is_answered_where_it_is_allowed(shelf: Shelf) -> None:
    allowed = {"purge": {"networks": ["127.0.0.0/8"], "keys": ["ci"]}}
    async with served(allowed) as serving:
        await shelf.fill("a", "b")
        await shelf.fill("a", tenant="shop")
        mine = make_exchange("PURGE", "/a", headers={"x-key": "ci"}, client="10.0.0.1")
        assert (await serving.serve(mine)).reply.status == 200
        after = shelf.held("a", "b"), shelf.held("a", tenant="shop")
        told = await serving.serve(make_exchange("PURGE", "/a"))
        refused = await serving.serve(make_exchange("PURGE", "/b", client="10.0.0.1"))

        assert after == ("a b", "")
        assert told.json()["tags"] == 1
        assert refused.reply.status == 403
        assert shelf.held("a", "b") == "b"


async def test_elsewhere_purge_is_a_method_like_others(shelf: Shelf) -> None:
    async with FakeUpstream().reply(405, json={}) as upstream, served(upstream=upstream) as serving:
        await shelf.fill("a")
        done = await serving.serve(make_exchange("PURGE", "/a"))

        assert done.reply.status == 405
        assert shelf.held("a") == "a"


def posted(body: dict[str, Any], secret: str = SECRET) -> Exchange:
    data = orjson.dumps(body)
    headers = {"Authorization": f"Bearer {secret}", "Content-Length": str(len(data))}
    return make_exchange("POST", "/hooks/cms", headers=headers, body=data)


async def test_a_webhook_purges_before_anybody_asks_for_a_key(shelf: Shelf) -> None:
    rules = [{"when": {"type": "item"}, "tags": ["{id}"], "soft": True}]
    async with served(webhooks=[{**HOOK, "events": rules}]) as serving:
        await shelf.fill(*NAMES)
        done = await serving.serve(posted({"type": "item", "id": "a"}))
        other = await serving.serve(posted({"type": "other", "id": "b"}))
        wrong = await serving.serve(posted({"type": "item", "id": "c"}, "another-0123456"))

        assert done.json() == {"purged": True, "tags": 1, "stores": {"main": done.json()["stores"]["main"]}}
        assert (other.json()["purged"], wrong.reply.status) == (False, 401)
        assert shelf.held(*NAMES) == "a* b c"


async def test_channels_and_streams_purge(shelf: Shelf, valkey: str) -> None:
    name = f"events-{uuid4().hex}"
    sources: dict[str, Any] = {
        "channels": [{"store": "events", "channel": name}],
        "streams": [{"store": "events", "stream": f"{name}-s", "events": [{"tags": ["{id}"]}]}],
    }
    store = open_store(valkey)
    server = shared_server(store)
    assert server is not None
    async with served(stores={"events": valkey}, **sources):
        await shelf.fill(*NAMES)
        async with asyncio.timeout(10):
            while not await server.client.publish(name, b'{"tags": ["a"]}'):
                await asyncio.sleep(0.02)
            while not await server.client.exists(f"{name}-s"):
                await asyncio.sleep(0.02)
            await server.client.xadd(f"{name}-s", {"id": "b"})
            while shelf.held(*NAMES) != "c":
                await asyncio.sleep(0.02)
    await store.close()


async def test_a_store_that_is_on_no_server_cannot_be_listened_to() -> None:
    with pytest.raises(StartError, match="'main' is not on a Redis or Valkey server"):
        async with served(channels=[{"store": "main", "channel": "x"}]):
            pass
