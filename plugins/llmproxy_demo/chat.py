"""Chat completions: the shapes of an answer, whole and in events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from llmproxy_demo.answers import Answer

DONE = b"data: [DONE]\n\n"


def completion(answer: Answer) -> dict[str, Any]:
    """Return a whole answer."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.directives.tool is not None:
        message |= {
            "content": None,
            "tool_calls": [_call(answer) | {"function": _function(answer, answer.text)}],
        }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(answer)}
    return _envelope(answer, "chat.completion") | {"choices": [choice], "usage": usage(answer)}


def opening(answer: Answer) -> bytes:
    """Return the events before the first word: the role, and a tool's name."""
    delta: dict[str, Any] = {"role": "assistant", "content": ""}
    if answer.directives.tool is not None:
        call = _call(answer) | {"index": 0, "function": _function(answer, "")}
        delta = {"role": "assistant", "content": None, "tool_calls": [call]}
    return _chunk(answer, delta)


def word(answer: Answer, piece: str) -> bytes:
    """Return the event of one word."""
    if answer.directives.tool is None:
        return _chunk(answer, {"content": piece})
    return _chunk(answer, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})


def closing(answer: Answer, *, include_usage: bool) -> Iterator[bytes]:
    """Yield the events after the last word."""
    yield _chunk(answer, {}, _reason(answer))
    if include_usage:
        last = _envelope(answer, "chat.completion.chunk") | {"choices": [], "usage": usage(answer)}
        yield b"data: " + orjson.dumps(last) + b"\n\n"
    yield DONE


def usage(answer: Answer) -> dict[str, int]:
    """Return the counts in OpenAI's form."""
    total = answer.input_tokens + answer.output_tokens
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": total,
    }


def _chunk(answer: Answer, delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    value = _envelope(answer, "chat.completion.chunk") | {"choices": [choice]}
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _envelope(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{answer.id}", "object": kind, "created": 0, "model": answer.model}


def _call(answer: Answer) -> dict[str, Any]:
    return {"id": f"call_{answer.id}", "type": "function"}


def _function(answer: Answer, arguments: str) -> dict[str, Any]:
    return {"name": answer.directives.tool, "arguments": arguments}


def _reason(answer: Answer) -> str:
    return "stop" if answer.directives.tool is None else "tool_calls"
