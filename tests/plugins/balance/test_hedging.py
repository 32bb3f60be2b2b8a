"""Slow attempts run beside others: who answers first wins, and the other leaves nothing behind."""

import asyncio
import time

import orjson
import pytest

from llmproxy.testing import FakeUpstream, RawClient, running_gateway

ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}
CHUNK = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
STREAM = [
    b"data: %b\n\n"
    % orjson.dumps({**CHUNK, "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]}),
    b"data: %b\n\n"
    % orjson.dumps({**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    b"data: [DONE]\n\n",
]


def config(first, second, *, balance=None, **route):
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "upstreams": {
            name: {"base_url": f"{each.url}/v1", "proxy": None}
            for name, each in {"first": first, "second": second}.items()
        },
        "plugins": {"balance": {"hedge": "100ms", **(balance or {})}},
        "pools": {"p": ["first", "second"]},
        "models": {"*": {"pool": "p"}},
        "routes": [{"name": "models", **route}],
    }


async def ask(gateway, **fields):
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], **fields})
    async with RawClient(gateway.url) as client:
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
        head += "x-llmproxy-explain: attempts\r\n"
        return await client.exchange(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


@pytest.fixture
async def first():
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def second():
    async with FakeUpstream() as upstream:
        yield upstream


async def gone(upstream):
    """Wait until nobody is connected any more."""
    async with asyncio.timeout(5):
        while upstream.open_connections:
            await asyncio.sleep(0.01)


async def test_the_second_answers_where_the_first_is_slow(first, second):
    first.stall()
    second.reply(json=ANSWER)
    async with running_gateway(config(first, second)) as gateway:
        reply = await ask(gateway)
        await gone(first)

    assert reply.json()["id"] == "c1"
    assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_a_stream_without_output_is_slow_too(first, second):
    first.stall(before_headers=False)
    second.stream(STREAM)
    async with running_gateway(config(first, second)) as gateway:
        reply = await ask(gateway, stream=True)
        await gone(first)

    assert reply.body == b"".join(STREAM)


async def test_a_quick_first_is_asked_alone(first, second):
    first.reply(json=ANSWER)
    async with running_gateway(config(first, second)) as gateway:
        replies = [await ask(gateway) for _ in range(5)]

    assert {reply.status for reply in replies} == {200}
    assert second.requests == []


async def test_the_first_may_still_win(first, second):
    first.raw(0.3, _http(ANSWER), then="keep")
    second.stall()
    async with running_gateway(config(first, second)) as gateway:
        reply = await ask(gateway)
        await gone(second)

    assert reply.status == 200
    assert len(second.requests) == 1


async def test_each_failure_is_that_of_the_place_where_it_happened(first, second):
    first.raw(0.3, b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}", then="keep")
    second.reply(401, json={"error": {"message": "No."}})
    async with running_gateway(config(first, second, attempts=2)) as gateway:
        reply = await ask(gateway)

    told = [item.rpartition(";ms=")[0] for item in reply.header("x-llmproxy-attempts").split(", ")]
    assert told == ['"first";failure=server;status=500', '"second";failure=authentication;status=401']


async def test_one_that_fails_leaves_the_other_to_answer(first, second):
    first.raw(0.4, _http(ANSWER), then="keep")
    second.reply(500, json={"error": {"message": "broken", "type": "server_error"}})
    async with running_gateway(config(first, second)) as gateway:
        reply = await ask(gateway)

    assert reply.status == 200
    assert "500" in (reply.header("x-llmproxy-attempts") or "")


async def test_where_all_fail_the_caller_is_told_of_the_failure(first, second):
    first.raw(0.3, then="reset")
    second.raw(0.4, then="reset")
    async with running_gateway(config(first, second, attempts=2)) as gateway:
        reply = await ask(gateway)

    assert reply.status == 502
    assert reply.json()["error"]["code"] == "upstream_reset"
    assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_it_makes_no_more_attempts_than_the_route_has(first, second):
    first.raw(0.3, _http(ANSWER), then="keep")
    second.reply(json=ANSWER)
    async with running_gateway(config(first, second, attempts=1)) as gateway:
        reply = await ask(gateway)

    assert reply.status == 200
    assert second.requests == []


async def test_a_caller_who_leaves_ends_both(first, second):
    first.stall()
    second.stall()
    async with running_gateway(config(first, second)) as gateway:
        asking = asyncio.ensure_future(ask(gateway))
        await first.received()
        await second.received()
        began = time.monotonic()
        asking.cancel()
        await asyncio.wait([asking])
        await gone(first)
        await gone(second)

    assert time.monotonic() - began < 5


def _http(answer):
    body = orjson.dumps(answer)
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
