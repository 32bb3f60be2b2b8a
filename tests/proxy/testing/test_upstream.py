import asyncio

import pytest

from llmproxy.testing import FakeUpstream, RawClient

POST = b"POST /v1/x?q=1 HTTP/1.1\r\nHost: h\r\nX-Odd:  A\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}'


async def test_requests_are_kept_as_they_came():
    async with FakeUpstream().reply() as upstream, RawClient(upstream.url) as client:
        await client.exchange(POST)
        await client.exchange(POST)
        first, second = await upstream.received(2)

    assert (first.method, first.target, first.path) == ("POST", "/v1/x?q=1", "/v1/x")
    assert first.headers == [(b"Host", b"h"), (b"X-Odd", b"A"), (b"Content-Length", b"7")]
    assert (first.json(), first.header("x-odd"), first.connection, second.connection) == ({"a": 1}, "A", 1, 1)
    assert upstream.connections == 1


async def test_a_chunked_request_shows_its_chunks():
    async with FakeUpstream().reply() as upstream, RawClient(upstream.url) as client:
        await client.exchange(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
        )

    assert upstream.requests[0].payload.chunks == (b"a", b"bc")


async def test_a_client_that_asks_is_told_to_go_on():
    async with FakeUpstream().reply() as upstream, RawClient(upstream.url) as client:
        await client.send(POST[:-7].replace(b"Host", b"Expect: 100-continue\r\nHost"))

        assert await client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.exchange(POST[-7:])).status == 200


async def test_a_stream_is_sent_event_by_event():
    events = FakeUpstream().stream([b"data: 1\n\n", b"data: 2\n\n"], delay=0.01)
    async with events as upstream, RawClient(upstream.url) as client:
        reply = await client.exchange(POST)

    assert reply.payload.chunks == (b"data: 1\n\n", b"data: 2\n\n")
    assert reply.header("content-type") == "text/event-stream"


async def test_a_reset_comes_after_exactly_so_many_bytes():
    async with FakeUpstream().reset(after_bytes=10) as upstream, RawClient(upstream.url) as client:
        await client.send(POST)

        assert await client.read_exactly(10) == b"HTTP/1.1 2"
        with pytest.raises(ConnectionResetError):
            await client.read_some()


async def test_a_cut_ends_with_the_connection():
    events = FakeUpstream().stream([b"data: 1\n\n", b"data: 2\n\n"], then="close", after=110)
    async with events as upstream, RawClient(upstream.url) as client:
        await client.send(POST)

        assert len(await client.read_to_end()) == 110


@pytest.mark.parametrize("before_headers", [True, False])
async def test_a_stalled_answer_holds_the_connection_until_the_client_leaves(before_headers):
    async with FakeUpstream().stall(before_headers=before_headers) as upstream:
        async with RawClient(upstream.url, timeout=0.05) as client:
            with pytest.raises(TimeoutError):
                await client.exchange(POST)
            assert upstream.open_connections == 1
        async with asyncio.timeout(5):
            while upstream.open_connections:
                await asyncio.sleep(0.005)


async def test_a_long_stream_ends_when_the_client_leaves():
    async with FakeUpstream().stream([b"data: 1\n\n"] * 10_000, delay=0.002) as upstream:
        async with RawClient(upstream.url) as client:
            await client.send(POST)
            await client.read_until(b"data: 1\n\n")
        async with asyncio.timeout(5):
            while upstream.open_connections:
                await asyncio.sleep(0.005)


@pytest.mark.parametrize("request_bytes", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nX : 1\r\n\r\n"])
async def test_what_is_not_http_is_kept_as_a_fault(request_bytes):
    async with FakeUpstream().reply() as upstream, RawClient(upstream.url) as client:
        await client.send(request_bytes)
        await client.read_to_end()

    assert (len(upstream.faults), upstream.requests) == (1, [])
