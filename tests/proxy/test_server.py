"""Connections of callers: keep-alive, pipelining, versions, draining, slow readers."""

import asyncio
import socket
import tracemalloc

import pytest
import uvloop

from llmproxy.plugin import Plugin, Reply, hookimpl
from llmproxy.testing import FakeUpstream, RawClient, running_gateway


def tree(url, **server):
    return {
        "server": {"drain_pause": "10ms", **server},
        "upstreams": {"api": {"base_url": url, "dialect": "http", "proxy": None}},
        "routes": [{"name": "all", "upstream": "api"}],
    }


def get(path="/", *fields, method="GET", version="1.1"):
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: gateway", *fields, "", ""]).encode()


@pytest.fixture
async def api():
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def gateway(api):
    async with running_gateway(tree(api.url)) as running:
        yield running


async def test_a_connection_carries_many_exchanges(gateway, api):
    api.reply(json={})
    async with RawClient(gateway.url) as client:
        replies = [await client.exchange(get(f"/{number}")) for number in range(3)]

    assert [reply.status for reply in replies] == [200] * 3
    assert replies[0].header("connection") is None


async def test_requests_sent_ahead_are_answered_in_order(gateway, api):
    count = 60
    for number in range(count):
        api.reply(json=number, path=f"/{number}")
    async with RawClient(gateway.url) as client:
        await client.send(b"".join(get(f"/{number}") for number in range(count)))
        answers = [(await client.read_reply()).json() for _ in range(count)]

    assert answers == list(range(count))
    assert [request.path for request in api.requests] == [f"/{number}" for number in range(count)]


async def test_requests_behind_a_last_one_are_not_answered(gateway, api):
    api.stream([b"data: 1\n\n"] * 3, delay=0.03)
    async with RawClient(gateway.url) as client:
        await client.send(get("/1", "Connection: close"), get("/2"), pause=0.02)
        reply = await client.read_reply()
        rest = await client.read_to_end()

    assert (reply.status, rest) == (200, b"")
    assert [request.path for request in api.requests] == ["/1"]


async def test_a_flood_of_broken_bytes_behind_a_request_is_not_kept(gateway, api):
    api.raw(0.2, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    tracemalloc.start()
    async with RawClient(gateway.url) as client:
        await client.send(get(), b"x", pause=0.05)
        await client.send(*[b"x" * 200_000] * 40)
        served = await client.read_reply()
        await client.read_to_end()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert served.status == 200
    assert peak < 4_000_000


async def test_http_1_0_ends_with_its_answer(gateway, api):
    api.reply(json={})
    async with RawClient(gateway.url) as client:
        reply = await client.exchange(get(version="1.0"))
        rest = await client.read_to_end()

    assert (reply.status, reply.header("connection"), rest) == (200, "close", b"")


async def test_http_1_0_may_be_kept_alive(gateway, api):
    api.reply(json={})
    async with RawClient(gateway.url) as client:
        first = await client.exchange(get("/", "Connection: keep-alive", version="1.0"))
        second = await client.exchange(get("/", version="1.0"))

    assert (first.header("connection"), second.status) == ("keep-alive", 200)


async def test_draining_says_close_and_closes_what_is_idle(gateway, api):
    api.reply(json={})
    (front,) = gateway._serving._fronts
    async with RawClient(gateway.url) as idle, RawClient(gateway.url) as busy:
        await idle.exchange(get())
        front.drain()
        reply = await busy.exchange(get())
        draining = asyncio.ensure_future(gateway._serving.drain(5, handover=True))
        rest = await idle.read_to_end()
        await draining

    assert reply.header("connection") == "close"
    assert rest == b""


async def test_draining_lets_a_stream_end_whole(gateway, api):
    api.stream([b"data: 1\n\n"] * 10, delay=0.03)
    async with RawClient(gateway.url) as client:
        await client.send(get())
        await client.read_until(b"data: 1")
        await gateway._serving.drain(5, handover=True)
        rest = await client.read_to_end()

    assert rest.endswith(b"0\r\n\r\n")
    assert rest.count(b"data: 1") == 9


async def test_a_reader_that_never_reads_pauses_its_upstream_and_is_closed(api):
    total = 64 << 20
    api.stream([b"x" * (1 << 20)] * (total >> 20))
    async with running_gateway(tree(api.url, write_timeout="400ms")) as gateway:
        (front,) = gateway._serving._fronts
        async with RawClient(gateway.url) as client:
            client._writer.transport.pause_reading()
            await client.send(get())
            async with asyncio.timeout(5):
                while not front.watch.stalled:
                    await asyncio.sleep(0.01)
                (connection,) = front.watch.stalled
                held = connection.transport.get_write_buffer_size()
                while front.watch.open:
                    await asyncio.sleep(0.01)
            async with asyncio.timeout(2):
                while api.open_connections:
                    await asyncio.sleep(0.01)

    assert held < 1 << 20


async def test_an_upload_goes_no_faster_than_its_upstream(gateway, api):
    size = 8 << 20
    api.reply(json={})
    async with RawClient(gateway.url) as client:
        await client.send(get("/", f"Content-Length: {size}", method="PUT"))
        await client.send(*[b"x" * (1 << 20)] * 8)
        reply = await client.read_reply()

    assert reply.status == 200
    assert len(api.requests[0].body) == size


async def test_a_unix_socket_is_listened_on(api, tmp_path):
    api.reply(json={"a": 1})
    path = tmp_path / "gateway.sock"
    async with (
        running_gateway({**tree(api.url), "listen": [f"unix:{path}"]}),
        RawClient(f"unix:{path}") as client,
    ):
        reply = await client.exchange(get())

    assert reply.json() == {"a": 1}
    assert api.requests[0].header("x-forwarded-for") == "unknown"


async def test_a_fault_of_the_gateway_itself_closes_the_connection(gateway, api, monkeypatch):
    async def fail(*_):
        raise LookupError("inside")

    monkeypatch.setattr("llmproxy.server.take_turn", fail)
    async with RawClient(gateway.url) as client:
        await client.send(get())
        rest = await client.read_to_end()

    assert rest == b""
    assert b"turn_failed" in b"".join(gateway.log)


def test_it_serves_on_uvloop_alike():
    async def serve():
        async with FakeUpstream() as api:
            api.stream([b"data: 1\n\n"] * 3, delay=0.01)
            async with running_gateway(tree(api.url)) as gateway, RawClient(gateway.url) as client:
                first = await client.exchange(get())
                second = await client.exchange(get())
                return first.body, second.body

    loop = uvloop.new_event_loop()
    try:
        assert loop.run_until_complete(serve()) == (b"data: 1\n\n" * 3,) * 2
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class Early(Plugin):
    """Refuse by the headers alone."""

    @hookimpl
    async def pre_route(self, exchange):
        return Reply.text("no", 403)


async def test_a_refusal_reaches_a_caller_that_still_uploads(api):
    config = {**tree(api.url), "plugins": {"early": {"use": Early}}, "pipeline": ["early"]}
    async with running_gateway(config) as gateway, RawClient(gateway.url) as client:
        await client.send(get("/", "Content-Length: 5000000", method="PUT"), b"x" * 100_000)
        reply = await client.read_reply()
        await client.send(b"x" * 400_000)
        rest = await client.read_to_end()

    assert (reply.status, reply.header("connection"), rest) == (403, "close", b"")


async def test_a_port_is_shared_by_no_delay_sockets(gateway):
    (front,) = gateway._serving._fronts
    async with RawClient(gateway.url):
        async with asyncio.timeout(2):
            while not front.watch.open:
                await asyncio.sleep(0.005)
        (connection,) = front.watch.open
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
