"""The model for callers of any dialect: its own small form of chat and embeddings, written from the canonical one.

Imported with the first such call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from llmproxy.canonical import (
    Answer,
    Block,
    BlockEnded,
    BlockStarted,
    Choice,
    Counted,
    Delta,
    EmbedAnswer,
    EmbedRequest,
    Finished,
    GenerateRequest,
    Message,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    ToolResult,
    TruncatedStream,
)
from llmproxy.plugin import Framer, Headers, UpstreamRequest, Usage, parse

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, ModelRequest

_READ = ("model", "messages", "system", "streamed", "include_usage")


def encode(request: ModelRequest, model: str, losses: Losses) -> UpstreamRequest | None:
    """Write a request; None where the model has no such call."""
    if isinstance(request, GenerateRequest):
        _report(request, losses)
        system = [{"role": "system", "content": text.text} for text in request.system]
        said = [each for message in request.messages for each in _messages(message, losses)]
        body: dict[str, Any] = {"model": model, "messages": [*system, *said], "stream": request.streamed}
        body["stream_options"] = {"include_usage": True}
        return _post("/v1/chat/completions", body)
    if isinstance(request, EmbedRequest):
        body = {"model": model, "input": request.inputs}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        return _post("/v1/embeddings", body)
    return None


def _post(target: str, body: dict[str, Any]) -> UpstreamRequest:
    headers = Headers([(b"Content-Type", b"application/json")])
    return UpstreamRequest("POST", target, headers, orjson.dumps(body))


def _report(request: GenerateRequest, losses: Losses) -> None:
    """Report every wish: an echo has none of its own."""
    plain = GenerateRequest(model="")
    for name in request.__struct_fields__:
        if name not in _READ and getattr(request, name) != getattr(plain, name):
            losses.lose(name, "the demo model only echoes")


def _messages(message: Message, losses: Losses) -> Iterator[dict[str, str]]:
    said: list[str] = []
    for block in message.content:
        if isinstance(block, ToolResult):
            yield {"role": "tool", "content": _text(block.content)}
        elif isinstance(block, Text):
            said.append(block.text)
        elif not isinstance(block, ToolCall):
            losses.lose(f"content.{type(block).__name__.lower()}", "the demo model only echoes")
    if said or not message.content or message.role != "user":
        yield {"role": message.role, "content": "\n".join(said)}


def _text(content: tuple[Block, ...]) -> str:
    return "\n".join(block.text for block in content if isinstance(block, Text))


def decode(body: bytes) -> Answer | EmbedAnswer:
    """Read the model's answer."""
    told = orjson.loads(body)
    if "data" in told:
        vectors = tuple(tuple(item["embedding"]) for item in told["data"])
        return EmbedAnswer(model=told["model"], vectors=vectors, usage=Usage(told["usage"]["prompt_tokens"]))
    choice = told["choices"][0]
    message = choice["message"]
    content: list[Block] = [Text(message["content"])] if message["content"] else []
    content += [
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls", ())
    ]
    answered = Choice(content=tuple(content), finish=choice["finish_reason"])
    return Answer(id=told["id"], model=told["model"], choices=(answered,), usage=_usage(told["usage"]))


def _usage(told: dict[str, int]) -> Usage:
    return Usage(input=told["prompt_tokens"], output=told["completion_tokens"])


class EchoDecoder:
    """Reads the model's stream: one text, or one call of a tool."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._open = self._done = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take bytes cut anywhere; return the events they complete."""
        return [event for block in self._framer.feed(data) for event in self._read(parse(block).data)]

    def close(self) -> list[StreamEvent]:
        """Return nothing more; raise where the end mark did not come."""
        if not self._done:
            raise TruncatedStream("the demo model's answer was cut")
        return []

    def _read(self, data: bytes) -> Iterator[StreamEvent]:
        if data == b"[DONE]":
            self._done = True
            return
        chunk = orjson.loads(data)
        for choice in chunk["choices"]:
            yield from self._choice(chunk, choice)
        if chunk.get("usage"):
            yield Counted(_usage(chunk["usage"]))

    def _choice(self, chunk: dict[str, Any], choice: dict[str, Any]) -> Iterator[StreamEvent]:
        delta = choice["delta"]
        call = delta.get("tool_calls", [{}])[0]
        if not self._open:
            self._open = True
            yield Started(chunk["id"], chunk["model"])
            block = ToolCall(call["id"], call["function"]["name"], "") if call else Text("")
            yield BlockStarted(0, block)
        piece = call["function"]["arguments"] if call else delta.get("content")
        if piece:
            yield Delta(0, piece)
        if choice["finish_reason"]:
            yield BlockEnded(0)
            yield Finished(choice["finish_reason"])
