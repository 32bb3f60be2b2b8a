"""A stream that its provider ends in the middle, however cleanly, is told as broken in the caller's own dialect."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
import pytest

from llmproxy.testing import FakeUpstream, running_gateway

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "m",
    "usage": {"input_tokens": 1},
}
SAID = {
    "openai": [{**CHUNK, "choices": [{"index": 0, "delta": {"content": "Half"}, "finish_reason": None}]}],
    "anthropic": [
        {"type": "message_start", "message": MESSAGE},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Half"}},
    ],
    "gemini": [{"candidates": [{"content": {"role": "model", "parts": [{"text": "Half"}]}, "index": 0}]}],
}
ASKED = {
    "openai": ("/v1/chat/completions", {"model": "m", "stream": True, "messages": []}),
    "anthropic": ("/v1/messages", {"model": "m", "stream": True, "max_tokens": 9, "messages": []}),
    "gemini": ("/v1beta/models/m:streamGenerateContent?alt=sse", {"contents": []}),
}
ENDS = {
    "openai": b"data: [DONE]\n\n",
    "anthropic": b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    "gemini": b'data: {"candidates":[{"content":{"parts":[{"text":"."}]},"finishReason":"STOP","index":0}]}\n\n',
}


def config(url: str, dialect: str) -> dict[str, Any]:
    prefix = "v1beta" if dialect == "gemini" else "v1"
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "upstreams": {"main": {"dialect": dialect, "base_url": f"{url}/{prefix}"}},
        "routes": [{"name": "models", "upstream": "main"}],
    }


async def streamed(dialect: str, events: list[bytes], delay: float) -> tuple[int, bytes, bool]:
    """Return a stream's status, its bytes, and whether it ended as a stream should."""
    path, body = ASKED[dialect]
    async with FakeUpstream() as upstream:
        upstream.stream(events, delay=delay)
        async with (
            running_gateway(config(upstream.url, dialect)) as gateway,
            aiohttp.ClientSession() as session,
        ):
            headers = {"content-type": "application/json"}
            got = b""
            async with session.post(gateway.url + path, data=orjson.dumps(body), headers=headers) as reply:
                try:
                    async for piece in reply.content.iter_any():
                        got += piece
                except aiohttp.ClientPayloadError:
                    return reply.status, got, False
                return reply.status, got, True


def events_of(dialect: str) -> list[bytes]:
    names = dialect == "anthropic"
    return [
        (f"event: {event['type']}\n".encode() if names else b"") + b"data: " + orjson.dumps(event) + b"\n\n"
        for event in SAID[dialect]
    ]


@pytest.mark.parametrize("dialect", SAID)
async def test_half_a_stream_ends_with_an_error_and_no_clean_end(dialect: str) -> None:
    events = events_of(dialect)
    status, got, whole = await streamed(dialect, [*events, events[-1]], 0.05)

    assert status == 200
    assert b"Half" in got
    assert b"error" in got
    assert not whole


@pytest.mark.parametrize("dialect", SAID)
async def test_half_a_stream_that_comes_at_once_never_begins(dialect: str) -> None:
    status, got, whole = await streamed(dialect, [b"".join(events_of(dialect))], 0)

    assert (status, whole) in {(502, True), (200, False)}
    assert b"error" in got


@pytest.mark.parametrize("dialect", SAID)
async def test_a_whole_stream_passes_as_it_came(dialect: str) -> None:
    events = [*events_of(dialect), ENDS[dialect]]
    status, got, whole = await streamed(dialect, events, 0.02)

    assert (status, got, whole) == (200, b"".join(events), True)
