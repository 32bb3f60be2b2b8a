"""A kept answer in the form, and at the pace, that its caller gets."""

from __future__ import annotations

from typing import Any

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


async def test_a_stream_is_replayed_byte_for_byte() -> None:
    streamed = {**ASK, "stream": True}
    async with bench(streaming(*chunks("Pa", "ris")), **KEEP) as b:
        first, second = await b.ask(streamed), await b.ask(streamed)

        assert b.calls == 1
        assert bytes(second.reply.body) == bytes(first.reply.body)  # type: ignore[arg-type]
        assert second.reply.is_event_stream
        assert b"usage" not in bytes(second.reply.body)  # type: ignore[arg-type]  # nobody asked for it


async def test_who_asks_for_another_form_gets_the_same_answer() -> None:
    async with bench(streaming(*chunks("Pa", "ris")), **KEEP) as b:
        await b.ask({**ASK, "stream": True})
        whole = await b.ask()
        again = await b.ask()

        assert b.calls == 1
        assert body(whole)["choices"][0]["message"]["content"] == "Paris"
        assert body(again) == body(whole)
        assert "hit" in status(whole)


async def test_what_a_hit_saves_is_told_and_counted() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        await b.ask()
        second = await b.ask()
        metrics = b.serving.generation.process.metrics
        counted = metrics.exposition([metrics.snapshot()])

        assert "8 tokens" in (second.reply.headers.get("x-llmproxy-saved") or "")
        assert 'llmproxy_cache_saved_tokens_total{cache="cache",route="test"} 8' in counted
        assert 'llmproxy_cache_requests_total{cache="cache",route="test",outcome="hit"} 1' in counted


async def test_a_gemini_stream_is_the_same_question() -> None:
    answer = {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "Paris"}]}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1, "totalTokenCount": 6},
        "modelVersion": "gemini-2.5-flash",
    }
    asked = {"contents": [{"role": "user", "parts": [{"text": "?"}]}], "generationConfig": {"temperature": 0}}
    async with bench(answering(answer), dialect="gemini", **KEEP) as b:
        await b.ask(asked, "/v1beta/models/gemini-2.5-flash:generateContent")
        stream = await b.ask(asked, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse")

        assert b.calls == 1
        assert b"Paris" in bytes(stream.reply.body)  # type: ignore[arg-type]
        assert "hit" in status(stream)


async def test_dialects_share_an_answer_where_the_route_says_so() -> None:
    messages = {
        "model": "gpt-4o-mini",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "temperature": 0,
    }
    chat = {**ASK, "max_tokens": 50}
    async with bench(answering(completion()), **KEEP, across_dialects=True) as b:
        await b.ask(chat)
        other = await b.ask(messages, "/v1/messages", anthropic_version="2023-06-01")

        assert b.calls == 1
        assert "hit" in status(other)
        assert (
            body(other)["content"] == [{"type": "text", "text": "Paris", "citations": None}]
            or body(other)["content"][0]["text"] == "Paris"
        )


MESSAGES: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "temperature": 0,
}


async def test_the_providers_own_words_are_kept_beside_a_translation() -> None:
    async with bench(answering(completion()), **KEEP, across_dialects=True) as b:
        told = await b.ask(MESSAGES, "/v1/messages", anthropic_version="2023-06-01")
        chat = await b.ask({**ASK, "max_tokens": 50})
        again = await b.ask(MESSAGES, "/v1/messages", anthropic_version="2023-06-01")

        assert b.calls == 1
        assert body(chat) == completion()
        assert body(again) == body(told)


async def test_a_stream_can_leave_at_the_pace_at_which_it_came() -> None:
    streamed = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    async with bench(streaming(*chunks("Pa", "ris"), delay=0.01), **KEEP, pace="recorded") as b:
        first, second = await b.ask(streamed), await b.ask(streamed)

        assert b.calls == 1
        assert "hit" in status(second)
        assert second.body == first.body
