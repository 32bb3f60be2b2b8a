"""Plain requests on a connection, and what comes between, behind and instead of them."""

import asyncio

import pytest

from llmproxy.plainreading import whole
from llmproxy.testing import FakeUpstream, RawClient, running_gateway

GET = b"GET /get HTTP/1.1\r\nHost: gateway\r\n\r\n"
CHUNKED = (
    b"PUT /chunked HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
)
OLD = b"GET /old HTTP/1.0\r\nHost: gateway\r\nConnection: keep-alive\r\n\r\n"


def put(path, body, announced=None):
    length = len(body) if announced is None else announced
    return b"PUT %b HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n%b" % (path, length, body)


@pytest.fixture
async def api():
    async with FakeUpstream().reply(json={}) as upstream:
        yield upstream


@pytest.fixture
async def client(api):
    config = {
        "upstreams": {"api": {"base_url": api.url, "dialect": "http", "proxy": None}},
        "routes": [{"name": "all", "upstream": "api"}],
    }
    async with running_gateway(config) as gateway, RawClient(gateway.url) as connected:
        yield connected


def arrived(api):
    return [(request.path, request.body) for request in api.requests]


async def test_a_head_and_its_body_may_come_apart(client, api):
    for _ in range(2):
        await client.send(put(b"/a", b"", 5), b"hel", b"lo", pause=0.02)
        assert (await client.read_reply()).status == 200
        await client.exchange(put(b"/b", b"whole"))

    assert arrived(api) == [("/a", b"hello"), ("/b", b"whole")] * 2


async def test_what_is_rare_may_come_between_them(client, api):
    for request in (GET, CHUNKED, GET, OLD, put(b"/a", b"x"), GET):
        assert (await client.exchange(request)).status == 200

    assert [path for path, _ in arrived(api)] == ["/get", "/chunked", "/get", "/old", "/a", "/get"]


@pytest.mark.parametrize(
    "pieces",
    [
        (GET + put(b"/a", b"hello") + CHUNKED,),
        (put(b"/a", b"", 5), b"hel", b"lo" + GET + CHUNKED),
        (put(b"/a", b"hel", 5), b"lo" + CHUNKED[:20], CHUNKED[20:] + GET),
        (put(b"/a", b"hel", 5), b"lo", GET[:9], GET[9:] + CHUNKED),
    ],
)
async def test_requests_sent_ahead_are_answered_in_order(pieces, client, api):
    api.raw(0.05, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", then="keep")
    await client.send(*pieces, pause=0.01)
    statuses = [(await client.read_reply()).status for _ in range(b"".join(pieces).count(b"Host"))]
    expected = sorted([("/a", b"hello"), ("/get", b""), ("/chunked", b"hello")])

    assert statuses == [200] * len(statuses)
    assert sorted(arrived(api)) == [each for each in expected if each[0].encode() in b"".join(pieces)]


async def test_a_body_is_not_taken_for_a_request(client, api):
    await client.send(put(b"/a", b"", 2 * len(GET)), GET, GET, pause=0.01)
    await client.read_reply()

    assert arrived(api) == [("/a", GET + GET)]


async def test_a_large_body_passes_an_upstream_that_is_slower(client, api):
    body = bytes(range(256)) * 20_000
    await client.send(put(b"/a", b"", len(body)), body)
    reply = await client.read_reply()

    assert reply.status == 200
    assert arrived(api) == [("/a", body)]
    assert (await client.exchange(GET)).status == 200


async def test_a_body_that_stays_away_ends_the_connection_with_its_answer(client, api):
    config = {
        "server": {"body_timeout": "100ms"},
        "upstreams": {"api": {"base_url": api.url, "dialect": "http", "proxy": None}},
        "routes": [{"name": "all", "upstream": "api"}],
    }
    async with running_gateway(config) as gateway, RawClient(gateway.url) as caller:
        await caller.send(put(b"/a", b"hel", 5))
        reply = await caller.read_reply()
        rest = await caller.read_to_end()

    assert (reply.status, reply.header("connection"), rest) == (408, "close", b"")


async def test_a_caller_who_leaves_inside_a_body_frees_its_request(client, api):
    await client.send(put(b"/a", b"hel", 5))
    await asyncio.sleep(0.02)
    await client.close()
    await asyncio.sleep(0.02)

    assert api.requests == [] or api.requests[-1].body != b"hello"


def test_bytes_are_a_whole_body():
    assert whole(b"")
