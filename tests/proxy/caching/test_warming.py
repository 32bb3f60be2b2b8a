"""Warming, by a whole gateway and its demo model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp
import orjson
import pytest

from llmproxy.caching.warmfile import Line, read_lines
from llmproxy.caching.warming import Pace, Warmed, Warming
from llmproxy.runtime import Clock
from llmproxy.testing import RunningGateway, running_gateway

CONFIG = """
stores: {answers: {url: "memory://?max_bytes=1MiB"}}
upstreams: {demo: {base_url: "http://demo.invalid", dialect: demo}}
plugins:
  access: {keys: [{name: app, tenant: acme, key: "${env:APP_KEY}"}]}
  cache: {store: answers}
routes:
  - name: plain
    match: {path: "/v1/*", host: plain.test}
    upstream: demo
    plugins: [access]
  - name: models
    match: {path: "/v1/*"}
    upstream: demo
    plugins: [access, {cache: {profile: deterministic, max_body: 10KiB}}]
"""
GENTLY = Pace(concurrency=1)
PATH = "/v1/chat/completions"
APP_KEY = "sk-app-0123456789abcdef"
KEY = {"Authorization": f"Bearer {APP_KEY}"}


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway(CONFIG, environ={"APP_KEY": APP_KEY}) as running:
        yield running


def asked(text: str = "Qqq", **more: Any) -> dict[str, Any]:
    return {"model": "echo", "temperature": 0, "messages": [{"role": "user", "content": text}], **more}


def lines(*wanted: dict[str, Any]) -> list[Line]:
    return list(read_lines(b"\n".join(map(orjson.dumps, wanted))))


async def warmed(gateway: RunningGateway, *wanted: dict[str, Any], pace: Pace = GENTLY) -> list[Warmed]:
    warming = Warming(lambda: gateway.gateway.current, Clock(), pace)
    return sorted([each async for each in warming.run(lines(*wanted))])


async def status(gateway: RunningGateway, body: dict[str, Any], path: str = PATH) -> tuple[str, bytes]:
    async with (
        aiohttp.ClientSession(headers=KEY) as session,
        session.post(gateway.url + path, json=body) as reply,
    ):
        return reply.headers.get("Cache-Status", ""), await reply.read()


@pytest.mark.parametrize("stream", [False, True])
async def test_who_asks_next_gets_a_hit(gateway: RunningGateway, stream: bool) -> None:
    more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    one = {"path": PATH, "tenant": "acme", "key": "app", "body": asked(**more)}

    assert await warmed(gateway, one, one) == [Warmed(1, "stored"), Warmed(2, "hit")]
    assert "; hit" in (await status(gateway, asked()))[0]
    assert "; hit" in (await status(gateway, asked(stream=True)))[0]


async def test_credentials_say_who_asks_where_the_line_does_not(gateway: RunningGateway) -> None:
    named = {"path": PATH, "headers": KEY, "body": asked()}
    unnamed = {"path": PATH, "body": asked()}

    assert await warmed(gateway, named, unnamed) == [
        Warmed(1, "stored"),
        Warmed(2, "failed", "401 invalid_api_key"),
    ]
    assert "; hit" in (await status(gateway, asked()))[0]


async def test_another_tenants_answer_is_of_no_use(gateway: RunningGateway) -> None:
    assert await warmed(gateway, {"path": PATH, "tenant": "other", "body": asked()}) == [Warmed(1, "stored")]
    assert "; hit" not in (await status(gateway, asked()))[0]


@pytest.mark.parametrize(
    ("body", "path", "outcome", "why"),
    [
        (asked(temperature=1), PATH, "not kept", "sampled"),
        (asked("[[size 20KiB]] Qqq"), PATH, "not kept", "too-large"),
        (asked(), f"http://plain.test{PATH}", "not kept", "no cache on this route"),
        (asked("[[fail 503]] Qqq"), PATH, "failed", "503 told_to_fail"),
        (asked("[[stall 9s]] Qqq"), PATH, "failed", "timeout"),
        (asked(), "/nowhere", "failed", "404 unknown_route"),
        (asked("[[cut after 1]] Qqq qqq", stream=True), PATH, "failed", "cut off"),
    ],
)
async def test_what_went_wrong_is_told_without_a_word_of_it(
    gateway: RunningGateway, body: dict[str, Any], path: str, outcome: str, why: str
) -> None:
    place = "path" if path.startswith("/") else "url"
    one = {place: path, "tenant": "acme", "body": body}

    assert await warmed(gateway, one, pace=Pace(1, within=0.5)) == [Warmed(1, outcome, why)]


async def test_equal_requests_at_one_time_make_one_call(gateway: RunningGateway) -> None:
    one = {"path": PATH, "tenant": "acme", "body": asked("[[slow 50ms]] Qqq")}
    ends = await warmed(gateway, *[one] * 5, pace=Pace(5))

    assert sorted(each.outcome for each in ends) == [*["joined"] * 4, "stored"]


async def test_the_rate_is_kept() -> None:
    class Slept(Clock):
        def __init__(self) -> None:
            self.slept: list[float] = []

        async def sleep(self, seconds: float) -> None:
            self.slept.append(seconds)

    clock = Slept()
    async with running_gateway(CONFIG, environ={"APP_KEY": APP_KEY}) as gateway:
        warming = Warming(lambda: gateway.gateway.current, clock, Pace(3, rate=0.1))
        wanted = [{"path": PATH, "tenant": "acme", "body": asked(str(number))} for number in range(4)]
        _ = [each async for each in warming.run(lines(*wanted))]

    assert [round(seconds / 10) for seconds in clock.slept] == [1, 2, 3]


async def test_nothing_goes_on_when_nobody_listens(gateway: RunningGateway) -> None:
    wanted = [{"path": PATH, "tenant": "acme", "body": asked(str(number))} for number in range(50)]
    warming = Warming(lambda: gateway.gateway.current, Clock(), Pace(2))
    async with aclosing(warming.run(lines(*wanted))) as ends:
        async for _ in ends:
            break
    await asyncio.sleep(0)
    active = gateway.gateway.current.active
    await asyncio.sleep(0.05)
    hits = [("; hit" in (await status(gateway, asked(str(number))))[0]) for number in (0, 49)]

    assert active <= 2
    assert hits == [True, False]


ANSWER = {
    "id": "pinned",
    "object": "chat.completion",
    "created": 0,
    "model": "echo",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Pinned."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


async def test_a_pinned_answer_is_what_callers_get(gateway: RunningGateway) -> None:
    assert b"Pinned." not in (await status(gateway, asked()))[1]
    one = {"path": PATH, "tenant": "acme", "body": asked(), "reply": {"body": ANSWER}}

    assert await warmed(gateway, one) == [Warmed(1, "stored")]
    for body in (asked(), asked(stream=True)):
        told, answer = await status(gateway, body)
        assert "; hit" in told
        assert b"Pinned" in answer


async def test_a_pin_that_is_no_whole_answer_is_refused(gateway: RunningGateway) -> None:
    one = {"path": PATH, "tenant": "acme", "body": asked(), "reply": {"body": {"choices": []}}}

    assert await warmed(gateway, one) == [Warmed(1, "not kept", "flawed")]


DIALECTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (PATH, asked(), {}),
    ("/v1/responses", {"model": "echo", "temperature": 0, "input": "Qqq", "store": False}, {}),
    (
        "/v1/messages",
        {
            "model": "echo",
            "temperature": 0,
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "Qqq"}],
        },
        {"anthropic-version": "2023-06-01"},
    ),
    (
        "/v1beta/models/echo:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Qqq"}]}], "generationConfig": {"temperature": 0}},
        {},
    ),
]


@pytest.mark.parametrize(
    ("path", "body", "headers"), DIALECTS, ids=["chat", "responses", "messages", "gemini"]
)
async def test_what_a_pin_says_is_told_in_the_dialect_of_its_request(
    path: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    config = CONFIG.replace('match: {path: "/v1/*"}', 'match: {path: "/*"}')
    async with running_gateway(config, environ={"APP_KEY": APP_KEY}) as gateway:
        one = {"path": path, "headers": headers, "tenant": "acme", "body": body, "reply": {"text": "Pinned."}}
        ends = await warmed(gateway, one)
        url = gateway.url + path
        async with (
            aiohttp.ClientSession(headers={**KEY, **headers}) as session,
            session.post(url, json=body) as reply,
        ):
            told, answer = reply.headers["Cache-Status"], await reply.text()

    assert ends == [Warmed(1, "stored")]
    assert "; hit" in told
    assert '"Pinned."' in answer


async def test_every_drawn_answer_is_pinned() -> None:
    config = CONFIG.replace("profile: deterministic", "profile: faq, variants: 4")
    async with running_gateway(config, environ={"APP_KEY": APP_KEY}) as gateway:
        one = {"path": PATH, "tenant": "acme", "body": asked(temperature=1), "reply": {"text": "Pinned."}}
        ends = await warmed(gateway, one)
        told = [(await status(gateway, asked(temperature=1)))[0] for _ in range(12)]

    assert ends == [Warmed(1, "stored")]
    assert all("; hit" in each for each in told)
