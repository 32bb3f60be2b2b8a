"""Expect: 100-continue: said when somebody reads, never after the answer has begun."""

import pytest

from llmproxy.plugin import Plugin, Reply, hookimpl
from llmproxy.testing import FakeUpstream, RawClient, running_gateway

ASK = b"PUT / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


class Gatekeeper(Plugin):
    """Refuse by headers alone; elsewhere read the whole body, or leave it."""

    @hookimpl
    async def pre_route(self, exchange):
        if exchange.request.query == "refuse":
            return Reply.text("no", 401)
        return Reply(200, body=await exchange.body()) if exchange.request.query == "read" else None


@pytest.fixture
async def api():
    async with FakeUpstream().reply(json={"ok": True}) as upstream:
        yield upstream


@pytest.fixture
async def client(api):
    config = {
        "plugins": {"keeper": {"use": Gatekeeper}},
        "pipeline": ["keeper"],
        "upstreams": {"api": {"base_url": api.url, "dialect": "http", "proxy": None}},
        "routes": [{"name": "all", "upstream": "api"}],
    }
    async with running_gateway(config) as gateway, RawClient(gateway.url) as connected:
        yield connected


@pytest.mark.parametrize("query", [b"read", b"stream"])
async def test_it_is_said_when_the_body_is_read(query, client):
    await client.send(ASK.replace(b"PUT /", b"PUT /?" + query))
    interim = await client.read_until(b"\r\n\r\n")
    await client.send(b"hello")
    reply = await client.read_reply()

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (reply.status, reply.interim) == (200, ())


async def test_the_upload_arrives(client, api):
    await client.send(ASK, b"hello", pause=0.02)
    await client.read_reply()

    assert api.requests[0].body == b"hello"
    assert api.requests[0].header("expect") is None


async def test_a_refusal_by_the_headers_needs_no_upload(client):
    await client.send(ASK.replace(b"PUT /", b"PUT /?refuse"))
    reply = await client.read_reply()
    rest = await client.read_to_end()

    assert (reply.status, reply.interim, reply.header("connection"), rest) == (401, (), "close", b"")


async def test_a_body_that_is_here_already_needs_no_word(client):
    await client.send(ASK.replace(b"PUT /", b"PUT /?read") + b"hello")
    reply = await client.read_reply()

    assert (reply.body, reply.interim) == (b"hello", ())
