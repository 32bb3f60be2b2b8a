"""Callers who would have more than their due: what one does must take no place, no key, no gateway from the others."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import Any

import orjson
import pytest

from llmproxy.testing import FakeUpstream

from .test_fallback import ANSWER, failing, good, served

JSON = {"content-type": "application/json"}


def slow(seconds: float) -> FakeUpstream:
    body = orjson.dumps(ANSWER)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return FakeUpstream().raw(seconds, head + body, then="keep")


async def test_who_gives_a_place_no_time_does_not_close_it_for_the_others() -> None:
    async with served({"a": slow(0.1), "b": good()}) as caller:
        for _ in range(6):
            hurried = await caller.ask({"x-llmproxy-timeout": "20ms"})
        patient = await caller.ask()

    assert hurried.status == 504
    assert patient.tried == '"a";status=200'


async def test_who_has_no_time_at_all_does_not_keep_a_place_from_coming_back() -> None:
    first = FakeUpstream()
    for _ in range(5):
        first.reply(500, json={})
    first.reply(json=ANSWER)
    health = {"rest": "100ms", "steady": "1s", "climb": "0s"}
    async with served({"a": first, "b": good()}, plugin={"health": health}) as caller:
        for _ in range(5):
            await caller.ask()
        await asyncio.sleep(0.15)
        hurried = await caller.ask({"x-llmproxy-timeout": "0s"})
        patient = await caller.ask()

    assert hurried.status == 504
    assert patient.tried == '"a";status=200'


@pytest.mark.parametrize("said", ["Incorrect API key", "insufficient balance", "\\u0049ncorrect API key"])
async def test_who_has_an_error_quote_him_puts_no_key_and_no_place_aside(said: str) -> None:
    quoted = orjson.loads(b'"%b"' % said.encode())
    message = f"Invalid value: {quoted!r}. Supported values are: 'system' and 'user'."
    first = failing(400, message=message).reply(json=ANSWER)
    body = b'{"model": "fast", "messages": [{"role": "%b", "content": "Hi"}]}' % said.encode()
    async with served({"a": first, "b": good()}) as caller:
        his = await caller.send("POST", "/v1/chat/completions", body, JSON)
        others = await caller.ask()

    assert (his.status, his.tried) == (400, '"a";failure=invalid_request;status=400')
    assert others.tried == '"a";status=200'


@pytest.mark.parametrize("other", [{"when": "tenant == 'x'"}, {"after": ["window"]}])
async def test_a_place_that_has_rested_is_tried_while_the_one_that_is_well_is_not_for_this_request(
    other: dict[str, Any],
) -> None:
    first = FakeUpstream().reply(500, json={}).reply(500, json={}).reply(json=ANSWER)
    health = {"rest": "100ms", "longest_rest": "60s", "failures": 1}
    targets = ["a", {"upstream": "b", **other}]
    async with served(
        {"a": first, "b": good()}, targets, plugin={"health": health}, route={"attempts": 1}
    ) as caller:
        resting = [(await caller.ask()).status, (await caller.ask()).status]
        statuses = []
        for _ in range(2):
            await asyncio.sleep(0.15)
            statuses.append((await caller.ask()).status)

    assert resting == [500, 503]
    assert statuses == [500, 200]


@pytest.mark.parametrize("dialect", ["openai", "http"])
async def test_who_reads_too_slowly_does_not_close_a_place_for_the_others(dialect: str) -> None:
    delta = {"index": 0, "delta": {"content": "x" * 60_000}, "finish_reason": None}
    event = b"data: %b\n\n" % orjson.dumps({**ANSWER, "object": "chat.completion.chunk", "choices": [delta]})
    first = FakeUpstream().stream([event] * 200)
    for _ in range(2):
        first.stream([event] * 200)
    first.reply(json=ANSWER)
    loop = asyncio.get_running_loop()
    async with served(
        {"a": first, "b": good()},
        dialect=dialect,
        plugin={"health": {"failures": 2}},
        route={"deadline": "400ms"},
    ) as caller:
        host, _, port = caller.gateway.url.removeprefix("http://").partition(":")
        body = orjson.dumps({"model": "fast", "messages": [], "stream": True})
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
        with ExitStack() as stack:
            for _ in range(3):
                slow = stack.enter_context(socket.socket())
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.setblocking(False)
                await loop.sock_connect(slow, (host, int(port)))
                await loop.sock_sendall(slow, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await asyncio.sleep(0.7)
        others = await caller.ask()

    assert others.tried == '"a";status=200'
