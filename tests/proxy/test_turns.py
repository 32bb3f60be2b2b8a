"""One request's turn: who asks, under which name, and what is written down of it."""

import re

import pytest

from llmproxy.messages import ClientRequest, Headers
from llmproxy.plugin import Plugin, hookimpl
from llmproxy.testing import FakeUpstream, RawClient, running_gateway
from llmproxy.turns import is_upgrade

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Noting(Plugin):
    """Keep the last exchange."""

    @hookimpl
    async def post_response(self, exchange):
        type(self).last = exchange


@pytest.fixture
async def api():
    async with FakeUpstream().reply(json={}) as upstream:
        yield upstream


def config(api, listener):
    return {
        "listen": [listener],
        "plugins": {"noting": {"use": Noting}},
        "pipeline": ["noting"],
        "upstreams": {"api": {"base_url": api.url, "dialect": "http", "proxy": None}},
        "routes": [{"name": "all", "upstream": "api"}],
    }


async def ask(api, *fields, listener="127.0.0.1:0", body=b""):
    async with running_gateway(config(api, listener)) as gateway, RawClient(gateway.url) as client:
        head = ["POST /x HTTP/1.1", "Host: gateway", f"Content-Length: {len(body)}", *fields, "", ""]
        await client.send("\r\n".join(head).encode(), *[body] * bool(body), pause=0.02)
        return await client.read_reply()


async def test_a_request_id_and_a_trace_are_passed_on(api):
    reply = await ask(api, "X-Request-Id: mine-1", f"traceparent: {TRACE}")

    assert reply.header("x-request-id") == "mine-1"
    assert api.requests[0].header("x-request-id") == "mine-1"
    assert api.requests[0].header("traceparent") == TRACE


async def test_a_request_id_and_a_trace_are_made(api):
    reply = await ask(api, "X-Request-Id: not safe", "traceparent: 00-zz")
    sent = api.requests[0]

    assert re.fullmatch("req-[0-9a-f]+-[0-9a-f]+", reply.header("x-request-id"))
    assert sent.header("x-request-id") == reply.header("x-request-id")
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", sent.header("traceparent"))


async def test_only_a_trusted_proxy_is_believed(api):
    told = ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")
    await ask(api, *told)
    plain = Noting.last.request
    await ask(api, *told, listener={"address": "127.0.0.1:0", "trusted_proxies": ["127.0.0.0/8"]})
    trusted = Noting.last.request

    assert (plain.client, plain.scheme) == ("127.0.0.1", "http")
    assert (trusted.client, trusted.scheme) == ("203.0.113.9", "https")
    assert [request.header("x-forwarded-for") for request in api.requests] == ["127.0.0.1", "203.0.113.9"]


@pytest.mark.parametrize("size", [5, 300_000])
async def test_what_came_and_went_is_counted(size, api):
    await ask(api, body=b"x" * size)
    outcome = Noting.last.outcome

    assert (outcome.bytes_in, outcome.bytes_out, outcome.status, outcome.result) == (size, 2, 200, "ok")
    assert outcome.first_byte_at <= outcome.ended


async def test_an_unknown_route_is_told_in_the_callers_dialect(api):
    tree = config(api, "127.0.0.1:0")
    tree["routes"] = [{"name": "one", "match": {"path": "/one"}, "upstream": "api"}]
    tree["plugins"]["openai"] = {}
    async with running_gateway(tree) as gateway, RawClient(gateway.url) as client:
        plain = await client.exchange(b"GET /two HTTP/1.1\r\nHost: g\r\n\r\n")
        model = await client.exchange(b"GET /v1/two HTTP/1.1\r\nHost: g\r\n\r\n")
        marked = await client.exchange(b"GET /two HTTP/1.1\r\nHost: g\r\nOpenAI-Project: p\r\n\r\n")

    assert plain.json()["code"] == "unknown_route"
    assert model.json()["error"]["code"] == marked.json()["error"]["code"] == "unknown_route"


@pytest.mark.parametrize(
    ("method", "value", "asks"),
    [("GET", "WebSocket", True), ("POST", "websocket", False), ("GET", "h2c", False)],
)
def test_an_upgrade_is_a_get_for_a_websocket(method, value, asks):
    assert is_upgrade(ClientRequest(method, "/", Headers.of({"Upgrade": value}))) is asks
