"""Streams of every dialect in their parts: what comes before output, output, the end, and what goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway

_CHUNK: Final = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
_MESSAGE: Final = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "m",
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
_TEXT: Final = {"type": "text", "text": ""}
_STOP: Final = {"stop_reason": "end_turn", "stop_sequence": None}
_RESPONSE: Final = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "in_progress",
    "error": None,
    "output": [],
}
_ITEM: Final = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
_PART: Final = {"type": "output_text", "text": "", "annotations": []}
_AT: Final = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def event(data: Mapping[str, Any], *, named: bool = False) -> bytes:
    """Return an event as the dialect frames it."""
    name = f"event: {data['type']}\n".encode() if named else b""
    return name + b"data: " + orjson.dumps(data) + b"\n\n"


@dataclass(frozen=True)
class Speech:
    """A dialect's stream: bytes of events by what they are."""

    path: str
    asked: Mapping[str, Any]
    before: tuple[bytes, ...]
    said: tuple[bytes, ...]
    end: tuple[bytes, ...]
    error: tuple[bytes, ...]

    @property
    def whole(self) -> tuple[bytes, ...]:
        """All of a good stream."""
        return (*self.before, *self.said, *self.end)


def _typed(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, "sequence_number": 1, **fields}, named=True)


_DONE = {**_ITEM, "status": "completed", "content": [{**_PART, "text": "Hello there"}]}

SPEECHES: Final = {
    "chat": Speech(
        "/v1/chat/completions",
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]},
        (event({**_CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]}),),
        tuple(
            event({**_CHUNK, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
            for word in ("Hello", " there")
        ),
        (event({**_CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}), b"data: [DONE]\n\n"),
        (event({"error": {"message": "Too busy.", "type": "server_error", "code": "overloaded"}}),),
    ),
    "responses": Speech(
        "/v1/responses",
        {"model": "m", "stream": True, "input": "Hi"},
        (
            _typed("response.created", response=_RESPONSE),
            _typed("response.output_item.added", output_index=0, item=_ITEM),
            _typed("response.content_part.added", **_AT, part=_PART),
        ),
        tuple(_typed("response.output_text.delta", **_AT, delta=word) for word in ("Hello", " there")),
        (
            _typed("response.output_text.done", **_AT, text="Hello there"),
            _typed("response.output_item.done", output_index=0, item=_DONE),
            _typed("response.completed", response={**_RESPONSE, "status": "completed", "output": [_DONE]}),
        ),
        (
            _typed(
                "response.failed",
                response={**_RESPONSE, "status": "failed", "error": {"code": "server_error", "message": "Too busy."}},
            ),
        ),
    ),
    "anthropic": Speech(
        "/v1/messages",
        {"model": "m", "stream": True, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
        (
            event({"type": "message_start", "message": _MESSAGE}, named=True),
            event({"type": "content_block_start", "index": 0, "content_block": _TEXT}, named=True),
            event({"type": "ping"}, named=True),
        ),
        tuple(
            event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}, named=True)
            for word in ("Hello", " there")
        ),
        (
            event({"type": "content_block_stop", "index": 0}, named=True),
            event({"type": "message_delta", "delta": _STOP, "usage": {"output_tokens": 2}}, named=True),
            event({"type": "message_stop"}, named=True),
        ),
        (event({"type": "error", "error": {"type": "overloaded_error", "message": "Too busy."}}, named=True),),
    ),
    "gemini": Speech(
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
        (event({"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "index": 0}]}),),
        tuple(
            event({"candidates": [{"content": {"role": "model", "parts": [{"text": word}]}, "index": 0}]})
            for word in ("Hello", " there")
        ),
        (
            event(
                {
                    "candidates": [
                        {"content": {"role": "model", "parts": [{"text": "."}]}, "finishReason": "STOP", "index": 0}
                    ]
                }
            ),
        ),
        (event({"error": {"code": 503, "message": "Too busy.", "status": "UNAVAILABLE"}}),),
    ),
}  # fmt: skip

#: The dialect of the upstream that speaks each of them.
WIRES: Final = {"chat": "openai", "responses": "openai", "anthropic": "anthropic", "gemini": "gemini"}
_ROOTS: Final = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}


def stalling(upstream: FakeUpstream, events: Iterable[bytes]) -> None:
    """Have a stream begin so, and then bring nothing more."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    upstream.raw(head, 0.02, *events, then="stall")


class Heard:
    """What a caller got: the status, the bytes, whether they ended as a reply should, its head."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str], *, whole: bool) -> None:
        self.status = status
        self.body = body
        self.headers = headers
        self.whole = whole

    @property
    def honest(self) -> bool:
        """Whether nobody could take it for a good answer that is whole."""
        return (
            self.status >= 400 or not self.whole or b"error" in self.body or b'"response.failed"' in self.body
        )


async def ask(gateway: RunningGateway, speech: Speech) -> Heard:
    """Ask for a stream and read it to its end, however it ends."""
    headers = {"content-type": "application/json", "x-llmproxy-explain": "attempts"}
    got = b""
    async with (
        aiohttp.ClientSession() as session,
        session.post(gateway.url + speech.path, data=orjson.dumps(speech.asked), headers=headers) as reply,
    ):
        try:
            async for piece in reply.content.iter_any():
                got += piece
        except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError):
            return Heard(reply.status, got, reply.headers, whole=False)
        return Heard(reply.status, got, reply.headers, whole=True)


def pooled(
    first: FakeUpstream, second: FakeUpstream, wire: str, patience: str = "2m", **route: Any
) -> dict[str, Any]:
    """Return a configuration of two places, the second for when the first fails or begins later than `patience`."""
    root = _ROOTS[wire]
    return {
        "upstreams": {
            name: {
                "dialect": wire,
                "base_url": each.url + root,
                "quirks": {"responses": True},
                "timeouts": {"first_token": wait},
            }
            for name, each, wait in (("first", first, patience), ("second", second, "2m"))
        },
        "pools": {"both": {"strategy": "ordered", "targets": ["first/m", "second/m"]}},
        "stores": {"kept": "memory://"},
        "plugins": {"access": {"mode": "open"}, "cache": {"store": "kept"}},
        "models": {"m": {"pool": "both"}},
        "routes": [{"name": "models", "pool": "both", **route}],
    }


def single(upstream: FakeUpstream, wire: str, **route: Any) -> dict[str, Any]:
    """Return a configuration of one upstream."""
    return {
        "upstreams": {
            "main": {"dialect": wire, "base_url": upstream.url + _ROOTS[wire], "quirks": {"responses": True}}
        },
        "routes": [{"name": "models", "upstream": "main", **route}],
    }


@asynccontextmanager
async def two_places(
    wire: str, **route: Any
) -> AsyncIterator[tuple[FakeUpstream, FakeUpstream, RunningGateway]]:
    """Serve a pool of two upstreams."""
    async with (
        FakeUpstream() as first,
        FakeUpstream() as second,
        running_gateway(pooled(first, second, wire, **route)) as gateway,
    ):
        yield first, second, gateway
