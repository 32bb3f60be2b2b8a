"""What the judge answers: OpenAI-shaped, the same for the same question, made once and kept."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import msgspec
import orjson

from llmproxy.testing import wire

_DIMENSIONS = 8


class Directions(msgspec.Struct, frozen=True):
    """The words of `x-judge`, in a header as `events=50; delay=0.02`, or so in a body's member."""

    id: str = ""  # what the request is counted as; else its x-request-id, else connection.request
    stall: Literal["", "headers", "events"] = ""  # say nothing, or nothing after the headers
    wait: float = 0.0  # seconds before the headers
    events: int = 5  # events of text in a stream
    delay: float = 0.0  # seconds between two of them
    size: int = 5  # bytes of text in each, or in a whole answer
    echo: str = ""  # text to start the answer with
    status: int = 200
    retry_after: str = ""  # sent as Retry-After
    cut: int = -1  # close after that many bytes of the answer
    reset: int = -1  # reset after that many


def read_directions(text: str) -> Directions:
    """Read `name=value; name=value`; raise ValueError for a word or value it does not know."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    words = {name.strip(): value.strip() for name, _, value in pairs}
    if unknown := words.keys() - set(Directions.__struct_fields__):
        raise ValueError(f"x-judge knows no '{min(unknown)}', only {', '.join(Directions.__struct_fields__)}")
    return msgspec.convert(words, Directions, strict=False)


def reply(directions: Directions, body: bytes) -> bytes:
    """Frame a whole JSON answer."""
    lines = [f"HTTP/1.1 {directions.status} Judged", "Content-Type: application/json"]
    if directions.retry_after:
        lines.append(f"Retry-After: {directions.retry_after}")
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def problem(directions: Directions, message: str) -> bytes:
    """Make an error body in OpenAI's shape."""
    kind = "rate_limit_exceeded" if directions.status == 429 else "judged"
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": kind}})


@lru_cache(maxsize=256)
def completion(model: str, directions: Directions) -> bytes:
    """Make a whole chat completion."""
    text = directions.echo.ljust(directions.size, "x")
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return orjson.dumps(_chat("chat.completion", model, [choice], _usage(len(text))))


@lru_cache(maxsize=256)
def stream_events(model: str, directions: Directions, usage: bool) -> tuple[bytes, ...]:
    """Make the events of a streamed chat completion, each framed as a chunk; text first, the end last."""
    events = []
    for number in range(directions.events):
        text = f"{directions.echo if number == 0 else ''}t{number} ".ljust(directions.size, "x")
        delta = {"role": "assistant", "content": text} if number == 0 else {"content": text}
        events.append(_event(model, [{"index": 0, "delta": delta, "finish_reason": None}]))
    events.append(_event(model, [{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    if usage:
        events.append(_event(model, [], _usage(directions.events)))
    events.append(b"data: [DONE]\n\n")
    return tuple(wire.chunk(event) for event in events)


STREAM_HEAD = b"HTTP/1.1 200 Judged\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM_END = b"0\r\n\r\n"


def embeddings(model: str, inputs: object) -> bytes:
    """Make one vector for each input, of the input alone."""
    texts = inputs if isinstance(inputs, list) else [inputs]
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(orjson.dumps(text))}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return orjson.dumps({"object": "list", "model": model, "data": data, "usage": usage})


MODELS = orjson.dumps(
    {"object": "list", "data": [{"id": "judge", "object": "model", "created": 1, "owned_by": "judge"}]}
)


def _vector(text: bytes) -> list[float]:
    sums = [sum(text[at::_DIMENSIONS]) + at + 1 for at in range(_DIMENSIONS)]
    length = sum(value * value for value in sums) ** 0.5
    return [value / length for value in sums]


def _usage(output: int) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": output, "total_tokens": 7 + output}


def _chat(kind: str, model: str, choices: list[Any], usage: dict[str, int] | None) -> dict[str, Any]:
    chat = {"id": "chatcmpl-judge", "object": kind, "created": 1, "model": model, "choices": choices}
    return chat if usage is None else {**chat, "usage": usage}


def _event(model: str, choices: list[Any], usage: dict[str, int] | None = None) -> bytes:
    return b"data: " + orjson.dumps(_chat("chat.completion.chunk", model, choices, usage)) + b"\n\n"
