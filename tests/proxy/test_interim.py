"""Interim replies: passed on as they come, ahead of the final head, and nowhere else."""

import orjson
import pytest

from llmproxy.interim import ROOM
from llmproxy.plugin import Body, Plugin, Reply, hookimpl
from llmproxy.testing import FakeUpstream, RawClient, running_gateway

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nX-Own: 1\r\n\r\n"
LINK = [(b"Link", b"</style.css>; rel=preload"), (b"X-Own", b"1")]
CHAT = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]})


class Own(Plugin):
    """Say an interim reply before and after the final one has begun."""

    @hookimpl
    async def pre_route(self, exchange):
        if exchange.request.query != "own":
            return None
        exchange.interim(103, [(b"X-Own", b"1")])

        async def late():
            exchange.interim(103, [(b"X-Late", b"1")])
            yield b"done"

        return Reply(200, body=Body.pumped(late()))


@pytest.fixture
async def api():
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def client(api):
    config = {
        "plugins": {"own": {"use": Own}},
        "pipeline": ["own"],
        "upstreams": {
            "plain": {"base_url": api.url, "dialect": "http", "proxy": None},
            "llm": {"base_url": f"{api.url}/v1", "dialect": "openai", "proxy": None},
        },
        "routes": [
            {"name": "models", "match": {"path": "/v1/*"}, "upstream": "llm"},
            {"name": "all", "upstream": "plain"},
        ],
    }
    async with running_gateway(config) as gateway, RawClient(gateway.url) as connected:
        yield connected


def ask(path="/", version="1.1", method="GET", body=b"", *fields):
    head = [f"{method} {path} HTTP/{version}", "Host: gateway", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


def told(reply):
    return [(head.start.split(b" ")[1], list(head.headers)) for head in reply.interim]


@pytest.mark.parametrize(
    "request_", [ask(), ask("/v1/chat/completions", "1.1", "POST", CHAT)], ids=["http", "model"]
)
async def test_it_passes_with_its_fields_and_leaves_none_in_the_final_head(client, api, request_):
    api.reply(json={}, interim=[b"HTTP/1.1 102 Processing\r\n\r\n", HINTS])
    for _ in range(2):
        reply = await client.exchange(request_)

        assert told(reply) == [(b"102", []), (b"103", LINK)]
        assert (reply.status, reply.header("x-own"), reply.header("link")) == (200, None, None)


async def test_it_passes_before_the_final_reply_comes(client, api):
    api.raw(HINTS, 0.05, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", then="keep")
    await client.send(ask())
    first = await client.read_until(b"\r\n\r\n")

    assert first == HINTS
    assert (await client.read_reply()).body == b"ok"


async def test_it_passes_while_an_upload_is_on_its_way(client, api):
    api.raw(HINTS + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", then="keep")
    whole = ask("/", "1.1", "PUT", b"x" * 100_000)
    await client.send(whole[:50_000], whole[50_000:], pause=0.02)

    assert told(await client.read_reply()) == [(b"103", LINK)]


async def test_fields_of_one_hop_stay_behind(client, api):
    hop = b"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nUpgrade: h2c\r\n"
    api.reply(json={}, interim=[b"HTTP/1.1 103 Early Hints\r\n%bX-Own: 1\r\n\r\n" % hop])

    assert told(await client.exchange(ask())) == [(b"103", [(b"X-Own", b"1")])]


@pytest.mark.parametrize("line", [b"100 Continue", b"199 Odd"])
async def test_100_is_the_gateways_own_word_and_unknown_ones_pass(client, api, line):
    api.reply(json={}, interim=[b"HTTP/1.1 %b\r\n\r\n" % line])

    assert told(await client.exchange(ask())) == ([(b"199", [])] if line[:3] == b"199" else [])


async def test_a_caller_of_http_1_0_is_told_of_none(client, api):
    api.reply(json={}, interim=[HINTS])

    assert (await client.exchange(ask("/", "1.0"))).interim == ()


async def test_no_upstream_can_send_them_without_end(client, api):
    api.reply(json={"ok": True}, interim=[HINTS] * 200)
    reply = await client.exchange(ask())

    assert 0 < len(reply.interim) < ROOM // len(HINTS)
    assert reply.json() == {"ok": True}


async def test_a_large_one_is_dropped(client, api):
    api.reply(json={}, interim=[b"HTTP/1.1 103 Early Hints\r\nX-Large: %b\r\n\r\n" % (b"x" * ROOM)])

    assert (await client.exchange(ask())).interim == ()


async def test_a_plugin_may_say_one_until_the_final_head_has_begun(client):
    reply = await client.exchange(ask("/?own"))

    assert told(reply) == [(b"103", [(b"X-Own", b"1")])]
    assert (reply.body, reply.header("x-late")) == (b"done", None)


async def test_the_word_about_the_upload_stays_the_gateways(client, api):
    api.reply(json={}, interim=[b"HTTP/1.1 100 Continue\r\n\r\n", HINTS])
    await client.send(ask("/", "1.1", "PUT", b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 5"))

    assert await client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"

    await client.send(b"hello")

    assert told(await client.read_reply()) == [(b"103", LINK)]
