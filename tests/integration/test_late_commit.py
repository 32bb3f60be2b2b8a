"""A stream's head waits for its first output: what fails until then costs the caller nothing but time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import aiohttp
import orjson
import pytest
from tests.integration.beginnings import SPEECHES, WIRES, Heard, Speech, ask, single, stalling, two_places

from llmproxy import settings
from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway

#: A caller's dialect and that of the upstream.
PAIRS = [
    *[(name, name) for name in SPEECHES],
    ("chat", "anthropic"),
    ("chat", "gemini"),
    ("responses", "anthropic"),
    ("anthropic", "chat"),
    ("anthropic", "gemini"),
    ("gemini", "chat"),
]

#: What goes wrong before output.
STARTS: dict[str, Callable[[FakeUpstream, Speech], object]] = {
    "an error event at once": lambda up, said: up.stream(said.error),
    "an error event after the preamble": lambda up, said: up.stream([*said.before, *said.error], delay=0.02),
    "an error event and then nothing": lambda up, said: stalling(up, said.error),
    "no event at all": lambda up, said: up.stream([]),
    "an end before output": lambda up, said: up.stream(said.before, delay=0.02),
    "an end before output, in one read": lambda up, said: up.reply(
        body=b"".join(said.before), headers=[("Content-Type", "text/event-stream")]
    ),
    "a reset before output": lambda up, said: up.stream([*said.before, b": x\n\n"], delay=0.02, then="reset", after=400),
    "garbage": lambda up, said: up.stream([b"<html>Sorry", b" we are closed</html>\n\n"], delay=0.02),
    "garbage in one read": lambda up, said: up.reply(
        body=b"<html>Sorry</html>", headers=[("Content-Type", "text/event-stream")]
    ),
    "a page": lambda up, said: up.reply(body=b"<html>Log in</html>", headers=[("Content-Type", "text/html")]),
}  # fmt: skip


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_a_start_that_fails_is_made_good_by_the_next_place(
    caller: str, provider: str, start: str
) -> None:
    async with two_places(WIRES[provider]) as (first, second, gateway):
        STARTS[start](first, SPEECHES[provider])
        second.stream(SPEECHES[provider].whole)
        heard = await ask(gateway, SPEECHES[caller])

    assert (heard.status, heard.whole) == (200, True)
    assert b"Hello" in heard.body
    assert b"Too busy" not in heard.body
    assert (len(second.requests), not first.requests) == (1, False)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_with_nowhere_else_to_go_the_caller_gets_an_honest_status(
    caller: str, provider: str, start: str
) -> None:
    async with FakeUpstream() as upstream:
        STARTS[start](upstream, SPEECHES[provider])
        async with running_gateway(single(upstream, WIRES[provider])) as gateway:
            heard = await ask(gateway, SPEECHES[caller])

    assert heard.status >= 500
    assert heard.whole
    assert orjson.loads(heard.body)["error"]
    if start.startswith("an error event"):
        assert b"Too busy." in heard.body


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
@pytest.mark.parametrize("how", ["cut", "reset", "error", "cut in one read"])
async def test_what_fails_after_output_is_told_and_never_tried_again(
    caller: str, provider: str, how: str
) -> None:
    speech = SPEECHES[provider]
    said = [*speech.before, *speech.said]
    async with two_places(WIRES[provider]) as (first, second, gateway):
        if how == "cut in one read":
            first.reply(body=b"".join(said), headers=[("Content-Type", "text/event-stream")])
        elif how == "reset":
            first.stream([*said, b": more\n\n"], delay=0.02, then="reset", after=len(b"".join(said)) + 200)
        else:
            first.stream([*said, *(speech.error if how == "error" else ())], delay=0.02)
        second.stream(speech.whole)
        heard = await ask(gateway, SPEECHES[caller])

    assert heard.status == 200
    assert b"Hello" in heard.body
    assert heard.honest
    assert second.requests == []


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_a_slow_start_goes_to_the_next_place(caller: str, provider: str) -> None:
    speech = SPEECHES[provider]
    async with two_places(WIRES[provider], patience="200ms") as (first, second, gateway):
        stalling(first, speech.before)
        second.stream(speech.whole)
        heard = await ask(gateway, SPEECHES[caller])

    assert (heard.status, heard.whole) == (200, True)
    assert b"Hello" in heard.body


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_what_was_held_leaves_byte_for_byte(caller: str, provider: str) -> None:
    speech = SPEECHES[provider]
    async with FakeUpstream() as upstream:
        upstream.stream(speech.whole, delay=0.02)
        upstream.stream([b"".join(speech.whole)])
        async with running_gateway(single(upstream, WIRES[provider])) as gateway:
            slow = await ask(gateway, SPEECHES[caller])
            quick = await ask(gateway, SPEECHES[caller])

    assert (slow.status, slow.whole, quick.status) == (200, True, 200)
    if caller == provider:
        assert slow.body == quick.body == b"".join(speech.whole)


@pytest.mark.parametrize("bound", ["wait", "events", "bytes"])
async def test_at_a_bound_the_head_leaves_without_output(bound: str) -> None:
    bounds = {"wait": {"wait": "100ms"}, "events": {"events": 2}, "bytes": {"bytes": 200}}
    speech = SPEECHES["anthropic"]
    headers = {"content-type": "application/json"}
    async with FakeUpstream() as upstream:
        stalling(upstream, [*speech.before, *speech.before])
        async with (
            running_gateway(single(upstream, "anthropic", commit=bounds[bound])) as gateway,
            aiohttp.ClientSession() as session,
            session.post(
                gateway.url + speech.path, data=orjson.dumps(speech.asked), headers=headers
            ) as reply,
        ):
            got = await reply.content.readuntil(b"\n\n")

    assert reply.status == 200
    assert got == speech.before[0]


async def test_a_route_may_hold_nothing() -> None:
    speech = SPEECHES["chat"]
    async with two_places("openai", commit="off") as (first, second, gateway):
        first.stream([*speech.before, *speech.error], delay=0.02)
        heard = await ask(gateway, speech)

    assert heard.status == 200
    assert heard.honest
    assert second.requests == []


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_the_upstream_is_left_when_the_caller_leaves_while_it_waits(caller: str, provider: str) -> None:
    speech = SPEECHES[caller]
    headers = {"content-type": "application/json"}
    async with FakeUpstream() as upstream:
        stalling(upstream, SPEECHES[provider].before)
        async with running_gateway(single(upstream, WIRES[provider])) as gateway:
            async with aiohttp.ClientSession() as session:
                asked = asyncio.ensure_future(
                    session.post(gateway.url + speech.path, data=orjson.dumps(speech.asked), headers=headers)
                )
                await upstream.received()
                await asyncio.sleep(0.1)
                asked.cancel()
                await asyncio.wait([asked])
            async with asyncio.timeout(2):
                while upstream.open_connections:
                    await asyncio.sleep(0.01)


async def test_half_a_json_answer_is_none() -> None:
    whole = orjson.dumps({"id": "c", "object": "chat.completion", "model": "m", "choices": [], "usage": None})
    speech = SPEECHES["chat"]
    asked = Speech(speech.path, {**speech.asked, "stream": False}, (), (), (), ())
    async with two_places("openai") as (first, second, gateway):
        first.reply(body=whole[:60], headers=[("Content-Type", "application/json")])
        first.reply(body=whole, headers=[("Content-Type", "application/json")], then="reset", after=150)
        first.stream([whole[:30], whole[30:]], delay=0.02, headers=[("Content-Type", "application/json")])
        second.reply(body=whole, headers=[("Content-Type", "application/json")])
        heard = [await ask(gateway, asked) for _ in range(3)]

    assert [(each.status, each.body, each.whole) for each in heard] == [(200, whole, True)] * 3
    assert len(second.requests) == 2


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_signs_of_life_leave_while_attempts_go_on(
    caller: str, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SHORTEST_KEEPALIVE", 0.01)
    speech = SPEECHES[provider]
    async with two_places(WIRES[provider], patience="200ms", keepalive="50ms") as (first, second, gateway):
        stalling(first, speech.before)
        second.stream(speech.whole, delay=0.02)
        heard = await ask(gateway, SPEECHES[caller])

    assert (heard.status, heard.whole) == (200, True)
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert heard.body.startswith(b": keep-alive\n\n: keep-alive\n\n")
    assert b"Hello" in heard.body
    if caller == provider:
        assert heard.body.replace(b": keep-alive\n\n", b"") == b"".join(speech.whole)


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_behind_signs_of_life_a_failure_is_an_error_event(
    caller: str, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SHORTEST_KEEPALIVE", 0.01)
    async with FakeUpstream() as upstream:
        upstream.raw(0.2, b"HTTP/1.1 500 Oh\r\nContent-Length: 29\r\n\r\n", b'{"error":{"message":"Sorry"}}')
        config = single(upstream, WIRES[provider], keepalive="50ms")
        async with running_gateway(config) as gateway:
            heard = await ask(gateway, SPEECHES[caller])

    assert (heard.status, heard.whole) == (200, False)
    assert heard.body.startswith(b": keep-alive\n\n")
    assert b"Sorry" in heard.body


async def several(gateway: RunningGateway, caller: str, count: int) -> list[Heard]:
    cold = {"generationConfig": {"temperature": 0}} if caller == "gemini" else {"temperature": 0}
    speech = replace(SPEECHES[caller], asked={**SPEECHES[caller].asked, **cold})
    return list(await asyncio.gather(*[ask(gateway, speech) for _ in range(count)]))


@pytest.mark.parametrize(
    ("caller", "provider"), [("chat", "chat"), ("anthropic", "chat"), ("chat", "anthropic")]
)
async def test_callers_who_share_a_call_share_the_place_that_answers(caller: str, provider: str) -> None:
    speech = SPEECHES[provider]
    caches = {"plugins": ["access", {"cache": {"profile": "deterministic"}}]}
    async with two_places(WIRES[provider], **caches) as (first, second, gateway):
        first.stream([*speech.before, *speech.error], delay=0.05)
        second.stream(speech.whole, delay=0.05)
        heard = await several(gateway, caller, 5)
        again = await several(gateway, caller, 1)

    assert {(each.status, each.whole) for each in [*heard, *again]} == {(200, True)}
    assert all(b"Hello" in each.body for each in [*heard, *again])
    assert (len(first.requests), len(second.requests)) == (1, 1)


@pytest.mark.parametrize("provider", ["chat", "anthropic", "gemini"])
async def test_what_failed_after_output_is_not_kept(provider: str) -> None:
    speech = SPEECHES[provider]
    caches = {"plugins": ["access", {"cache": {"profile": "deterministic"}}]}
    async with two_places(WIRES[provider], **caches) as (first, _, gateway):
        first.stream([*speech.before, *speech.said, *speech.error], delay=0.02)
        first.stream(speech.whole, delay=0.02)
        (failed,) = await several(gateway, provider, 1)
        (good,) = await several(gateway, provider, 1)

    assert failed.honest
    assert (good.status, good.whole, good.honest) == (200, True, False)
    assert len(first.requests) == 2
