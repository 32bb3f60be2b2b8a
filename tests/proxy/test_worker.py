"""One worker: it builds before it listens, swaps whole generations, drains without losing anybody."""

import asyncio
import os
import threading
from contextlib import asynccontextmanager

import aiohttp
import orjson
import pytest

from llmproxy.bindings import bindings
from llmproxy.config import decode
from llmproxy.control import Worker
from llmproxy.errors import StartError
from llmproxy.log import LogSink
from llmproxy.sockets import close_listeners, open_listeners
from llmproxy.testing import FakeUpstream, RawClient, running_gateway
from llmproxy.worker import main, serve

GET = b"GET / HTTP/1.1\r\nHost: g\r\n\r\n"
TREE = {
    "listen": ["127.0.0.1:0"],
    "admin": {"listen": "off"},
    "routes": [],
    "server": {"drain_pause": "10ms"},
}


def read(data):
    return decode(orjson.loads(data), environ={}, read_file=str)


class Link:
    """A supervisor that asks one worker to leave when told."""

    def __init__(self):
        self.over = asyncio.Event()
        self.is_ready = False
        self.controller = None

    async def reload(self):
        raise NotImplementedError

    def ready(self):
        self.is_ready = True

    async def drained(self):
        await self.over.wait()
        await self.controller.drain(2, handover=False)

    @asynccontextmanager
    async def __call__(self, controller):
        self.controller = controller
        yield self


def worker_of(tree, link):
    data = orjson.dumps(tree)
    opened = open_listeners(bindings(read(data)), 1)
    worker = Worker(
        slot=0,
        slots=1,
        generation=1,
        data=data,
        listeners=tuple(opened[0]),
        bus_directory=None,
        drain_timeout=2.0,
        link=link,
    )
    return worker, opened


def url_of(opened):
    host, port = opened[0][0].sock.getsockname()[:2]
    return f"http://{host}:{port}"


async def test_it_serves_until_its_link_says_enough():
    link, announced = Link(), []
    worker, opened = worker_of(TREE, link)
    task = asyncio.ensure_future(
        serve(worker, read, read(worker.data), LogSink(lambda _: None), lambda: announced.append(1))
    )
    async with RawClient(url_of(opened), timeout=20.0) as client:
        reply = await client.exchange(GET)
        link.over.set()
        rest = await client.read_to_end()
    await task
    close_listeners(opened)

    assert (reply.status, rest) == (404, b"")
    assert (link.is_ready, announced) == (True, [1])


async def test_a_configuration_that_cannot_start_listens_to_nobody():
    link = Link()
    tree = {**TREE, "upstreams": {"x": {"base_url": "http://127.0.0.1:9", "dialect": "none", "proxy": None}}}
    worker, opened = worker_of(tree, link)
    with pytest.raises(StartError, match="dialect"):
        await serve(worker, read, read(worker.data), LogSink(lambda _: None), lambda: None)
    close_listeners(opened)

    assert not link.is_ready


def test_main_runs_a_worker_in_a_loop_of_its_own():
    class Leaving(Link):
        def __init__(self):
            self.is_ready = False

        async def drained(self):
            await self.controller.drain(0.1, handover=True)

    link = Leaving()
    worker, opened = worker_of(TREE, link)
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(worker, read, lambda: None)))
    thread.start()
    thread.join(10)
    close_listeners(opened)

    assert (codes, link.is_ready) == ([0], True)


async def test_a_build_tells_what_needs_a_restart():
    async with running_gateway(TREE) as gateway:
        same = await gateway.reload({**TREE, "routes": [{"name": "a"}]})
        other = await gateway.reload({**TREE, "server": {"keepalive_timeout": "5s"}})

    assert same.notes == ()
    assert other.notes == ("server changes with a restart",)


async def test_an_aborted_build_leaves_nothing():
    async with running_gateway(TREE) as gateway:
        before = gateway.gateway.current
        await gateway._serving.build(2, orjson.dumps(gateway._tree))
        await gateway._serving.abort(2)

        assert gateway.gateway.current is before
        assert gateway.gateway.built is None


async def test_a_drain_waits_for_what_runs_and_no_longer_than_it_may():
    async with FakeUpstream().stream([b"data: 1\n\n"] * 100, delay=0.05) as api:
        tree = {
            **TREE,
            "upstreams": {"api": {"base_url": api.url, "dialect": "http", "proxy": None}},
            "routes": [{"name": "all", "upstream": "api"}],
        }
        async with running_gateway(tree) as gateway, RawClient(gateway.url) as client:
            await client.send(GET)
            await client.read_until(b"data: 1")
            async with asyncio.timeout(3):
                await gateway._serving.drain(0.2, handover=True)

    assert b"drain_timed_out" in b"".join(gateway.log)


async def test_a_drain_serves_who_is_there_and_refuses_who_comes_later():
    async with running_gateway({**TREE, "server": {"drain_pause": "300ms"}}) as gateway:
        url = gateway.url
        async with RawClient(url) as client:
            draining = asyncio.ensure_future(gateway._serving.drain(2, handover=False))
            reply = await client.exchange(GET)
        await draining

        with pytest.raises(ConnectionError):
            await RawClient(url).__aenter__()

    assert (reply.status, reply.header("connection")) == (404, "close")


async def test_a_peers_death_is_told_to_stores_that_are_files():
    checked = []

    class Store:
        def check_readers(self):
            checked.append(os.getpid())

    async with running_gateway(TREE) as gateway:
        gateway.gateway.current._stores["file"] = Store()
        gateway.gateway.current._stores["memory"] = object()
        gateway._serving.peer_died(1, 4711)
        gateway.gateway.current._stores.clear()

    assert checked == [os.getpid()]


async def test_it_is_ready_when_the_caches_are_warm_and_listens_before(tmp_path):
    file = tmp_path / "warm.ndjson"
    body = {
        "model": "echo",
        "temperature": 0,
        "messages": [{"role": "user", "content": "[[slow 150ms]] a b"}],
    }
    file.write_bytes(orjson.dumps({"path": "/v1/chat/completions", "body": body}))
    tree = {
        "stores": {"answers": {"url": "memory://"}},
        "upstreams": {"demo": {"base_url": "http://demo.invalid", "dialect": "demo"}},
        "plugins": {"cache": {"store": "answers", "warm_on_start": str(file)}},
        "routes": [
            {
                "name": "models",
                "match": {"path": "/v1/*"},
                "upstream": "demo",
                "plugins": [{"cache": {"profile": "deterministic"}}],
            }
        ],
    }
    async with running_gateway(tree) as gateway, aiohttp.ClientSession() as session:
        async with session.get(f"{gateway.admin_url}/readyz") as ready:
            assert ready.status == 200
        async with session.post(f"{gateway.url}/v1/chat/completions", json=body) as reply:
            assert "; hit" in reply.headers["Cache-Status"]
        gateway._serving.admin.busy = True
        async with session.get(f"{gateway.admin_url}/readyz") as ready:
            assert ready.status == 503


async def test_a_warm_file_that_is_missing_or_slow_is_told_and_stops_nobody(tmp_path):
    slow = tmp_path / "slow.ndjson"
    body = {"model": "echo", "temperature": 0, "messages": [{"role": "user", "content": "[[stall 9s]] a"}]}
    slow.write_bytes(b"Qqq\n" + orjson.dumps({"path": "/v1/chat/completions", "body": body}))
    tree = {
        "stores": {"answers": {"url": "memory://"}},
        "upstreams": {"demo": {"base_url": "http://demo.invalid", "dialect": "demo"}},
        "plugins": {
            "cache": {"store": "answers", "warm_on_start": str(slow), "warm_within": "200ms"},
            "other": {"use": "cache", "store": "answers", "warm_on_start": str(tmp_path / "missing")},
        },
        "routes": [
            {
                "name": "models",
                "match": {"path": "/v1/*"},
                "upstream": "demo",
                "plugins": [{"cache": {"profile": "deterministic"}}],
            }
        ],
    }
    async with running_gateway(tree) as gateway:
        told = {line["event"]: line for line in map(orjson.loads, gateway.log)}

    assert told["warm_file_unreadable"]["reason"] == "No such file or directory"
    assert told["not_warmed"]["why"] == "not JSON"
    assert told["chore_given_up"]["plugin"] == "cache"
    assert told["warmed"]["outcomes"] == {"failed": 1}
    assert b"Qqq" not in b"".join(gateway.log)
