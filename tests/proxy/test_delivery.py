"""Replies on the wire: framing by method, status and version; the fields that the gateway adds."""

from email.utils import parsedate_to_datetime

import pytest

from llmproxy.testing import FakeUpstream, RawClient, running_gateway


def request(method="GET", version="1.1", *fields):
    return "\r\n".join([f"{method} / HTTP/{version}", "Host: gateway", *fields, "", ""]).encode()


@pytest.fixture
async def api():
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def client(api):
    config = {
        "upstreams": {"api": {"base_url": api.url, "dialect": "http", "proxy": None}},
        "routes": [{"name": "all", "match": {"path": "/"}, "upstream": "api"}],
    }
    async with running_gateway(config) as gateway, RawClient(gateway.url) as connected:
        yield connected


async def test_a_whole_answer_has_a_length_a_date_and_the_request_id(client, api):
    api.reply(json={"a": 1}, headers=[("X-Own", "kept"), ("Keep-Alive", "timeout=5")])
    reply = await client.exchange(request("GET", "1.1", "X-Request-Id: mine-1"))

    assert (reply.header("content-length"), reply.header("x-own"), reply.header("keep-alive")) == (
        "7",
        "kept",
        None,
    )
    assert reply.header("x-request-id") == "mine-1"
    assert parsedate_to_datetime(reply.header("date"))


async def test_the_upstreams_date_stands(client, api):
    api.reply(json={}, headers=[("Date", "Mon, 01 Jan 2024 00:00:00 GMT")])

    assert (await client.exchange(request())).header("date") == "Mon, 01 Jan 2024 00:00:00 GMT"


async def test_a_stream_is_chunked(client, api):
    api.stream([b"data: 1\n\n", b"data: 2\n\n"], delay=0.02)
    reply = await client.exchange(request())

    assert reply.payload.chunks == (b"data: 1\n\n", b"data: 2\n\n")
    assert (await client.exchange(request())).status == 200


async def test_a_stream_of_known_length_keeps_it(client, api):
    api.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", 0.02, b"world", then="keep")
    reply = await client.exchange(request())

    assert (reply.header("content-length"), reply.body) == ("10", b"helloworld")


async def test_http_1_0_gets_a_stream_that_ends_with_the_connection(client, api):
    api.stream([b"data: 1\n\n", b"data: 2\n\n"], delay=0.02)
    reply = await client.exchange(request("GET", "1.0", "Connection: keep-alive"))

    assert reply.header("transfer-encoding") is None
    assert reply.header("connection") == "close"
    assert reply.body == b"data: 1\n\ndata: 2\n\n"


async def test_an_answer_to_head_has_no_body_and_keeps_its_length(client, api):
    api.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", then="keep")
    first = await client.exchange(request("HEAD"))
    second = await client.exchange(request("HEAD"))

    assert (first.header("content-length"), second.status) == ("1234", 200)


@pytest.mark.parametrize("status", [204, 304])
async def test_some_statuses_have_no_body(status, client, api):
    api.reply(status, body=b"", headers=[("ETag", '"1"')])
    replies = [await client.exchange(request()) for _ in range(2)]

    assert [(reply.status, reply.header("etag")) for reply in replies] == [(status, '"1"')] * 2
    assert replies[0].header("transfer-encoding") is None


async def test_a_large_answer_arrives_whole(client, api):
    api.reply(body=b"x" * 3_000_000)

    assert len((await client.exchange(request())).body) == 3_000_000


async def test_a_stream_that_breaks_off_has_no_clean_end(client, api):
    api.stream([b"data: 1\n\n"], then="reset", after=100)
    await client.send(request())
    rest = await client.read_to_end()

    assert b"data: 1" in rest
    assert not rest.endswith(b"0\r\n\r\n")
