"""Requests that are refused as soon as they are read, on real connections."""

import asyncio
from typing import ClassVar

import pytest

from llmproxy.doors import at_once
from llmproxy.plugin import Plugin, StandingError, hookimpl
from llmproxy.testing import FakeUpstream, RawClient, running_gateway

BUSY = StandingError(503, "overloaded", "Too much.", retry_after=2)


class Porter(Plugin):
    """Refuses by a list that tests fill: what is true is refused, and all is let in when it is used up."""

    prompt = True
    refusing: ClassVar[list[bool | None]] = []
    seen: ClassVar[list[tuple[str, bool]]] = []

    def at_door(self, asked):
        if not self.refusing:
            return None
        refused = self.refusing.pop(0)
        if refused is None:
            raise RuntimeError("the porter is ill")
        return BUSY.once() if refused else None

    @hookimpl
    async def pre_route(self, exchange):
        self.seen.append(("pre_route", asyncio.current_task() is not None))

    @hookimpl
    async def transform_response(self, exchange, reply):
        reply.headers.add("X-Seen", exchange.request.path)

    @hookimpl
    async def post_response(self, exchange):
        outcome = exchange.outcome
        self.seen.append(
            (f"{outcome.result} {outcome.status} {outcome.error}", asyncio.current_task() is not None)
        )


class Slow(Plugin):
    """Says that it waits for nothing, and does."""

    prompt = True

    @hookimpl
    async def post_response(self, exchange):
        await asyncio.sleep(0.02)


class Honest(Slow):
    prompt = False


@pytest.fixture(autouse=True)
def porter():
    Porter.refusing, Porter.seen = [], []
    return Porter


@pytest.fixture
async def api():
    async with FakeUpstream() as upstream:
        yield upstream


def tree(url, *others, **route):
    plugins = {"porter": {"use": Porter}, **{each.__name__.lower(): {"use": each} for each in others}}
    return {
        "plugins": plugins,
        "pipeline": list(plugins),
        "upstreams": {"api": {"base_url": url, "dialect": "http", "proxy": None}},
        "routes": [{"name": "all", "upstream": "api", **route}],
    }


def post(path="/", body=b"", *fields, length=None):
    size = f"Content-Length: {len(body) if length is None else length}"
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: gateway", size, *fields, "", ""]).encode() + body


async def test_a_refusal_leaves_at_once_and_the_connection_stays(api, porter):
    api.reply(json={})
    async with running_gateway(tree(api.url)) as gateway, RawClient(gateway.url) as client:
        porter.refusing = [True, True, False]
        replies = [await client.exchange(post(f"/{number}", b"x" * 1000)) for number in range(3)]

    assert [reply.status for reply in replies] == [503, 503, 200]
    assert [reply.header("x-seen") for reply in replies] == ["/0", "/1", "/2"]
    assert (replies[0].header("retry-after"), replies[0].header("connection")) == ("2", None)
    assert replies[0].header("x-request-id") != replies[1].header("x-request-id")
    assert replies[0].json()["code"] == "overloaded"
    assert [request.path for request in api.requests] == ["/2"]
    assert porter.seen[:2] == [("refused 503 overloaded", False)] * 2
    assert [what for what, _ in porter.seen[2:]] == ["pre_route", "ok 200 "]


async def test_where_somebody_may_wait_a_refusal_has_a_task(api, porter):
    async with running_gateway(tree(api.url, Honest)) as gateway, RawClient(gateway.url) as client:
        porter.refusing = [True]
        reply = await client.exchange(post())

    assert reply.status == 503
    assert porter.seen == [("refused 503 overloaded", True)]


async def test_one_that_waits_though_it_said_otherwise_is_waited_for(api, porter):
    api.reply(json={})
    async with running_gateway(tree(api.url, Slow)) as gateway, RawClient(gateway.url) as client:
        porter.refusing = [True, False]
        replies = [await client.exchange(post()) for _ in range(2)]

    assert [reply.status for reply in replies] == [503, 200]


async def test_a_body_that_looks_like_a_request_is_not_taken_for_one(api, porter):
    api.reply(json={})
    async with running_gateway(tree(api.url)) as gateway, RawClient(gateway.url) as client:
        porter.refusing = [True]
        refused = await client.exchange(post("/outer", post("/inner")))
        served = await client.exchange(post("/next"))

    assert (refused.status, served.status) == (503, 200)
    assert [request.path for request in api.requests] == ["/next"]


async def test_behind_half_a_body_the_connection_ends(api, porter):
    inner = post("/inner")
    async with running_gateway(tree(api.url)) as gateway, RawClient(gateway.url) as client:
        porter.refusing = [True]
        await client.send(post("/outer", b"half", length=4 + len(inner)))
        refused = await client.read_reply()
        await client.send(inner, post("/next"))
        await asyncio.sleep(0.1)

    assert (refused.status, refused.header("connection")) == (503, "close")
    assert api.requests == []
    assert porter.seen == [("refused 503 overloaded", True)]


async def test_requests_sent_ahead_are_answered_in_order_whichever_are_refused(api, porter):
    refusing = [bool(number % 3) for number in range(60)]
    api.reply(json={})
    async with running_gateway(tree(api.url)) as gateway, RawClient(gateway.url) as client:
        porter.refusing = list(refusing)
        await client.send(b"".join(post(f"/{number}", post("/inner")) for number in range(60)))
        replies = [await client.read_reply() for _ in range(60)]

    assert [reply.status == 503 for reply in replies] == refusing
    assert [reply.header("x-seen") for reply in replies] == [f"/{number}" for number in range(60)]
    assert {request.path for request in api.requests} == {f"/{n}" for n in range(60) if not n % 3}


async def test_chunks_of_a_refused_upload_are_no_requests(api, porter):
    api.reply(json={})
    chunked = post("/outer", b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    inner = post("/inner")
    async with running_gateway(tree(api.url)) as gateway, RawClient(gateway.url) as client:
        porter.refusing = [True]
        await client.send(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner))
        refused = await client.read_reply()

    assert refused.status == 503
    assert api.requests == []


async def test_a_handshake_is_refused_like_anything_else(api, porter):
    fields = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    handshake = [
        "GET /live HTTP/1.1",
        "Host: gateway",
        *fields,
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "",
        "",
    ]
    async with running_gateway(tree(api.url)) as gateway, RawClient(gateway.url) as client:
        porter.refusing = [True]
        refused = await client.exchange("\r\n".join(handshake).encode())

    assert (refused.status, refused.header("retry-after")) == (503, "2")


async def test_a_stream_goes_on_while_others_are_refused(api, porter):
    api.stream([b"data: %d\n\n" % number for number in range(20)], delay=0.01)
    async with (
        running_gateway(tree(api.url)) as gateway,
        RawClient(gateway.url) as listener,
        RawClient(gateway.url) as client,
    ):
        await listener.send(post("/stream"))
        await asyncio.sleep(0.05)
        porter.refusing = [True] * 50
        refused = {(await client.exchange(post())).status for _ in range(50)}
        stream = await listener.read_reply()

    assert refused == {503}
    assert stream.payload.body.count(b"data: ") == 20


async def test_what_no_route_takes_is_told_so(api, porter):
    async with (
        running_gateway(tree(api.url, match={"path": "/here"})) as gateway,
        RawClient(gateway.url) as client,
    ):
        porter.refusing = [True]
        reply = await client.exchange(post("/elsewhere"))

    assert reply.status == 404


async def test_a_fault_at_the_door_refuses_and_is_logged(api, porter):
    async with running_gateway(tree(api.url)) as gateway, RawClient(gateway.url) as client:
        porter.refusing = [None]
        reply = await client.exchange(post())

    assert (reply.status, reply.json()["code"]) == (500, "plugin_failed")
    assert any(b"at_door" in line for line in gateway.log)


async def test_nobody_is_refused_for_a_plugin_that_another_stands_before(api, porter):
    api.reply(json={})
    config = tree(api.url, Slow)
    config["pipeline"].reverse()
    async with running_gateway(config) as gateway, RawClient(gateway.url) as client:
        porter.refusing = [True]
        reply = await client.exchange(post())

    assert reply.status == 200


async def wait_and_say(said):
    try:
        await asyncio.sleep(0.01)
        said.append("waited")
    except asyncio.CancelledError:
        said.append("cancelled")
        raise


async def test_what_waits_for_nothing_needs_no_task():
    said = []

    async def turn():
        said.append(asyncio.current_task())

    mine = asyncio.current_task()

    assert at_once(turn(), asyncio.get_running_loop()) is None
    assert said == [mine]


async def test_what_waits_goes_on_as_a_task():
    said = []
    task = at_once(wait_and_say(said), asyncio.get_running_loop())
    await task

    assert said == ["waited"]


async def test_what_goes_on_can_be_cancelled():
    said = []
    task = at_once(wait_and_say(said), asyncio.get_running_loop())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert said == ["cancelled"]
