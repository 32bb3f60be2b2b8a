"""What callers of each dialect ask, what providers answer, how each tells of an error: for the fault matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from .strict_bedrock import STREAM, frame

FINE = "all is fine"
HALF = "half of it"


def data(*events: Any) -> list[bytes]:
    """Return unnamed events."""
    return [b"data: " + orjson.dumps(event) + b"\n\n" for event in events]


def named(*events: dict[str, Any]) -> list[bytes]:
    """Return events that are named after their type."""
    return [b"event: %b\n" % event["type"].encode() + data(event)[0] for event in events]


def _openai_error(kind: str, code: str | None) -> bytes:
    return orjson.dumps(
        {"error": {"message": "as the matrix wants it", "type": kind, "param": None, "code": code}}
    )


OPENAI_ERRORS = {
    400: _openai_error("invalid_request_error", None),
    429: _openai_error("requests", "rate_limit_exceeded"),
    500: _openai_error("server_error", None),
}


def _anthropic_error(kind: str) -> bytes:
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": "as the matrix wants it"}})


def _gemini_error(code: int, status: str) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": "as the matrix wants it", "status": status}})


@dataclass(frozen=True)
class Dialect:
    """One dialect. `said` are a stream's events up to its first output, `rest` those to its end."""

    name: str
    upstream: str
    base: str
    ask: Callable[[str, bool], tuple[str, dict[str, Any]]]
    whole: bytes
    said: list[bytes]
    rest: list[bytes]
    first_error: bytes
    #: The status of that error where nothing has left yet.
    error_status: int
    #: The bodies of errors, by their status.
    errors: dict[int, bytes]
    stream_type: bytes = b"text/event-stream"

    @property
    def stream(self) -> bytes:
        """A whole good stream."""
        return b"".join(self.said + self.rest)


_CHAT = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
_CHUNK = {**_CHAT, "object": "chat.completion.chunk"}
_CHAT_USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def _chunk(**delta: str) -> dict[str, Any]:
    return {**_CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _ask_chat(model: str, streamed: bool) -> tuple[str, dict[str, Any]]:
    return "/v1/chat/completions", {
        "model": model,
        "messages": [{"role": "user", "content": "how is it?"}],
        **({"stream": True} if streamed else {}),
    }


CHAT = Dialect(
    "chat",
    "openai",
    "/v1",
    _ask_chat,
    orjson.dumps(
        {
            **_CHAT,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": FINE}, "finish_reason": "stop"}
            ],
            "usage": _CHAT_USAGE,
        }
    ),
    data(_chunk(role="assistant", content=""), _chunk(content=HALF)),
    [
        *data(_chunk(content=FINE)),
        *data({**_CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        *data({**_CHUNK, "choices": [], "usage": _CHAT_USAGE}),
        b"data: [DONE]\n\n",
    ],
    data({"error": {"message": "overloaded", "type": "server_error", "code": "overloaded"}})[0],
    500,
    OPENAI_ERRORS,
)

_RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "in_progress",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
_MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "in_progress",
    "content": [],
}
_DONE = {
    **_RESPONSE,
    "status": "completed",
    "output": [
        {
            **_MESSAGE,
            "status": "completed",
            "content": [{"type": "output_text", "text": FINE, "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
_PART = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def _ask_responses(model: str, streamed: bool) -> tuple[str, dict[str, Any]]:
    asked: dict[str, Any] = {"model": model, "input": "how is it?"}
    return "/v1/responses", asked | ({"stream": True} if streamed else {})


RESPONSES = Dialect(
    "responses",
    "openai",
    "/v1",
    _ask_responses,
    orjson.dumps(_DONE),
    named(
        {"type": "response.created", "sequence_number": 0, "response": _RESPONSE},
        {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": _MESSAGE},
        {
            "type": "response.content_part.added",
            "sequence_number": 2,
            **_PART,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        {"type": "response.output_text.delta", "sequence_number": 3, **_PART, "delta": HALF, "logprobs": []},
    ),
    named(
        {"type": "response.output_text.delta", "sequence_number": 4, **_PART, "delta": FINE, "logprobs": []},
        {"type": "response.completed", "sequence_number": 5, "response": _DONE},
    ),
    named(
        {
            "type": "error",
            "sequence_number": 0,
            "code": "server_error",
            "message": "overloaded",
            "param": None,
        }
    )[0],
    500,
    OPENAI_ERRORS,
)

_ANTHROPIC: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


def _ask_messages(model: str, streamed: bool) -> tuple[str, dict[str, Any]]:
    _, asked = _ask_chat(model, streamed)
    return "/v1/messages", {**asked, "max_tokens": 64}


def _text(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


MESSAGES = Dialect(
    "messages",
    "anthropic",
    "/v1",
    _ask_messages,
    orjson.dumps({**_ANTHROPIC, "content": [{"type": "text", "text": FINE}], "stop_reason": "end_turn"}),
    named(
        {"type": "message_start", "message": _ANTHROPIC},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        _text(HALF),
    ),
    named(
        _text(FINE),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 2},
        },
        {"type": "message_stop"},
    ),
    named({"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}})[0],
    529,
    {
        400: _anthropic_error("invalid_request_error"),
        429: _anthropic_error("rate_limit_error"),
        500: _anthropic_error("api_error"),
    },
)


def _ask_gemini(model: str, streamed: bool) -> tuple[str, dict[str, Any]]:
    verb = "streamGenerateContent?alt=sse" if streamed else "generateContent"
    asked = {"contents": [{"role": "user", "parts": [{"text": "how is it?"}]}]}
    return f"/v1beta/models/{model}:{verb}", asked


def _candidate(text: str, **more: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [{"index": 0, "content": content, **more}], "modelVersion": "m", "responseId": "r"}


_GEMINI_END = {
    **_candidate(FINE, finishReason="STOP"),
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
}
GEMINI = Dialect(
    "gemini",
    "gemini",
    "/v1beta",
    _ask_gemini,
    orjson.dumps(_GEMINI_END),
    data(_candidate(HALF)),
    data(_GEMINI_END),
    data({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}})[0],
    503,
    {
        400: _gemini_error(400, "INVALID_ARGUMENT"),
        429: _gemini_error(429, "RESOURCE_EXHAUSTED"),
        500: _gemini_error(500, "INTERNAL"),
    },
)


def _ask_converse(model: str, streamed: bool) -> tuple[str, dict[str, Any]]:
    action = "converse-stream" if streamed else "converse"
    return f"/model/{model}/{action}", {"messages": [{"role": "user", "content": [{"text": "how is it?"}]}]}


def _piece(text: str) -> bytes:
    return frame("contentBlockDelta", {"delta": {"text": text}, "contentBlockIndex": 0})


_CONVERSE_USAGE = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
_CONVERSE_ERROR = orjson.dumps({"message": "as the matrix wants it"})
CONVERSE = Dialect(
    "converse",
    "bedrock",
    "",
    _ask_converse,
    orjson.dumps(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": FINE}]}},
            "stopReason": "end_turn",
            "usage": _CONVERSE_USAGE,
            "metrics": {"latencyMs": 1},
        }
    ),
    [frame("messageStart", {"role": "assistant"}), _piece(HALF)],
    [
        _piece(FINE),
        frame("contentBlockStop", {"contentBlockIndex": 0}),
        frame("messageStop", {"stopReason": "end_turn"}),
        frame("metadata", {"usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 1}}),
    ],
    frame("serviceUnavailableException", {"message": "overloaded"}, kind="exception"),
    503,
    dict.fromkeys((400, 429, 500), _CONVERSE_ERROR),
    STREAM.encode(),
)


def _ask_ollama(model: str, streamed: bool) -> tuple[str, dict[str, Any]]:
    _, asked = _ask_chat(model, streamed)
    return "/api/chat", {**asked, "stream": streamed}


def _line(text: str, **end: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    told = {"model": "m", "created_at": "2026-01-02T03:04:05Z", "message": message, "done": bool(end), **end}
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


_COUNTED = {"done_reason": "stop", "prompt_eval_count": 1, "eval_count": 2}
OLLAMA = Dialect(
    "ollama",
    "ollama",
    "",
    _ask_ollama,
    _line(FINE, **_COUNTED).strip(),
    [_line(HALF)],
    [_line(FINE), _line("", **_COUNTED)],
    b'{"error":"overloaded"}\n',
    500,
    dict.fromkeys((400, 429, 500), b'{"error":"as the matrix wants it"}'),
    b"application/x-ndjson",
)


def _ask_cohere(model: str, streamed: bool) -> tuple[str, dict[str, Any]]:
    _, asked = _ask_chat(model, streamed)
    return "/v2/chat", asked


def _said(kind: str, **content: str) -> dict[str, Any]:
    return {"type": kind, "index": 0, "delta": {"message": {"content": content}}}


_BILLED = {"billed_units": {"input_tokens": 1, "output_tokens": 2}}
_COHERE_ERROR = orjson.dumps({"id": "e1", "message": "as the matrix wants it"})
COHERE = Dialect(
    "cohere",
    "cohere",
    "",
    _ask_cohere,
    orjson.dumps(
        {
            "id": "a1",
            "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": FINE}]},
            "usage": _BILLED,
        }
    ),
    named(
        {"type": "message-start", "id": "a1", "delta": {"message": {"role": "assistant"}}},
        _said("content-start", type="text", text=""),
        _said("content-delta", text=HALF),
    ),
    [
        *named(
            _said("content-delta", text=FINE),
            {"type": "content-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": _BILLED}},
        ),
        b"data: [DONE]\n\n",
    ],
    named({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "overloaded"}})[0],
    500,
    dict.fromkeys((400, 429, 500), _COHERE_ERROR),
)

DIALECTS = (CHAT, RESPONSES, MESSAGES, GEMINI, CONVERSE, OLLAMA, COHERE)
