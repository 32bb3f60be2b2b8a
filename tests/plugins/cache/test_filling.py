"""What is kept of the answers that come."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plugins.cache.talking import (
    ASK,
    KEEP,
    answering,
    bench,
    body,
    chunks,
    completion,
    status,
    streaming,
)

from llmproxy.testing import FakeUpstream


async def test_a_drawn_answer_is_kept_where_the_route_says_so() -> None:
    warm = {**ASK, "temperature": 0.7}
    async with bench(answering(completion()), **KEEP) as b:
        await b.ask(warm)

        assert 'detail="sampled"' in status(await b.ask(warm))
    async with bench(answering(completion()), **KEEP, sampled=True) as b:
        await b.ask(warm)

        assert "hit" in status(await b.ask(warm))


async def test_several_drawn_answers_are_kept_side_by_side() -> None:
    warm = {**ASK, "temperature": 0.7}
    async with bench(answering(*[completion(str(n)) for n in range(3)]), profile="faq", variants=3) as b:
        told = {body(await b.ask(warm))["choices"][0]["message"]["content"] for _ in range(60)}

        assert b.calls == 3
        assert told == {"0", "1", "2"}


@pytest.mark.parametrize(
    "answer",
    [
        completion(finish="length"),
        completion(finish="content_filter"),
        completion("", refusal="I will not."),
        {"error": {"message": "odd"}},
        500,
        429,
        400,
    ],
)
async def test_what_is_incomplete_refused_or_an_error_is_never_kept(answer: Any) -> None:
    async with bench(answering(answer), **KEEP) as b:
        await b.ask()
        await b.ask()

        assert b.calls == 2


async def test_calls_of_tools_are_kept() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    async with bench(answering(completion("", "tool_calls", tool_calls=[call])), **KEEP) as b:
        await b.ask()

        assert body(await b.ask())["choices"][0]["message"]["tool_calls"] == [call]
        assert b.calls == 1


async def test_a_stream_that_was_cut_is_not_kept() -> None:
    streamed = {**ASK, "stream": True}
    async with bench(streaming(*chunks("Pa", finish=None)[:-2], then="reset"), **KEEP) as b:
        await b.ask(streamed)
        await b.ask(streamed)

        assert b.calls == 2


async def test_cookies_and_limits_of_one_call_are_not_anothers() -> None:
    def script(upstream: FakeUpstream) -> None:
        fields = [
            ("Set-Cookie", "session=1"),
            ("X-RateLimit-Remaining", "9"),
            ("OpenAI-Version", "2020-10-01"),
        ]
        upstream.reply(json=completion(), headers=fields)

    async with bench(script, **KEEP) as b:
        await b.ask()
        second = await b.ask()

        assert "set-cookie" not in second.reply.headers
        assert "x-ratelimit-remaining" not in second.reply.headers
        assert second.reply.headers.get("openai-version") == "2020-10-01"


async def test_embeddings_are_kept_without_a_temperature() -> None:
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
    async with bench(answering(answer), profile="deterministic") as b:
        await b.ask({"model": "text-embedding-3-small", "input": "a"}, "/v1/embeddings")

        assert "hit" in status(
            await b.ask({"model": "text-embedding-3-small", "input": ["a "]}, "/v1/embeddings")
        )
