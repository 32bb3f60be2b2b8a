"""How a provider of each dialect words an answer, whole and as a stream of events; written apart from the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from .strict_asking import Call, Refused

Event = tuple[str, dict[str, Any] | str]

SOURCE = {"url": "https://example.com/paris", "title": "Paris"}
INPUT, CACHED, OUTPUT, THOUGHT = 40, 8, 20, 6


@dataclass
class Said:
    """An answer."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    thinking: str = ""
    signature: str = ""
    refusal: str = ""
    cited: bool = False
    cut: bool = False
    model: str = "m"


def pieces(text: str, size: int = 5) -> list[str]:
    """Cut a text as tokens would."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def _json(call: Call) -> str:
    return orjson.dumps(call.arguments).decode()


# OpenAI's chat completions.

_CHAT_USAGE = {
    "prompt_tokens": INPUT,
    "completion_tokens": OUTPUT,
    "total_tokens": INPUT + OUTPUT,
    "prompt_tokens_details": {"cached_tokens": CACHED},
    "completion_tokens_details": {"reasoning_tokens": THOUGHT},
}


def _chat_finish(said: Said) -> str:
    return "tool_calls" if said.calls else "length" if said.cut else "stop"


def chat(said: Said) -> dict[str, Any]:
    """Word it as a chat completion."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": said.text or None,
        "refusal": said.refusal or None,
    }
    if said.thinking:
        message["reasoning_content"] = said.thinking
    if said.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _json(call)}}
            for call in said.calls
        ]
    if said.cited:
        cited = {"start_index": 0, "end_index": 5, **SOURCE}
        message["annotations"] = [{"type": "url_citation", "url_citation": cited}]
    choice = {"index": 0, "message": message, "finish_reason": _chat_finish(said), "logprobs": None}
    head = {"id": "chatcmpl-7", "object": "chat.completion", "created": 1700000000, "model": said.model}
    return {**head, "choices": [choice], "usage": _CHAT_USAGE}


def chat_events(said: Said) -> Iterator[Event]:
    """Word it as chunks."""
    head = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1700000000, "model": said.model}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> Event:
        return "", {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(said.thinking):
        yield chunk({"reasoning_content": piece})
    for piece in pieces(said.text):
        yield chunk({"content": piece})
    for piece in pieces(said.refusal):
        yield chunk({"refusal": piece})
    for index, call in enumerate(said.calls):
        start = {"name": call.name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": start}]})
    for index, call in enumerate(said.calls):  # the arguments of parallel calls come mixed
        for piece in pieces(_json(call)):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    if said.cited:
        cited = {"start_index": 0, "end_index": 5, **SOURCE}
        yield chunk({"annotations": [{"type": "url_citation", "url_citation": cited}]})
    yield chunk({}, _chat_finish(said))
    yield "", {**head, "choices": [], "usage": _CHAT_USAGE}
    yield "", "[DONE]"


# OpenAI's Responses.


def _items(said: Said) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if said.thinking:
        summary = [{"type": "summary_text", "text": said.thinking}]
        items.append(
            {"id": "rs_1", "type": "reasoning", "summary": summary, "encrypted_content": said.signature}
        )
    if said.text:
        cited = [{"type": "url_citation", "start_index": 0, "end_index": 5, **SOURCE}] if said.cited else []
        parts = [{"type": "output_text", "text": said.text, "annotations": cited, "logprobs": []}]
        items.append(
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": parts}
        )
    if said.refusal:
        parts = [{"type": "refusal", "refusal": said.refusal}]
        items.append(
            {"id": "msg_2", "type": "message", "role": "assistant", "status": "completed", "content": parts}
        )
    for call in said.calls:
        named = {"call_id": call.id, "name": call.name, "arguments": _json(call), "status": "completed"}
        items.append({"id": f"fc_{call.id}", "type": "function_call", **named})
    return items


def responses(said: Said) -> dict[str, Any]:
    """Word it as a response."""
    usage = {
        "input_tokens": INPUT,
        "input_tokens_details": {"cached_tokens": CACHED},
        "output_tokens": OUTPUT,
        "output_tokens_details": {"reasoning_tokens": THOUGHT},
        "total_tokens": INPUT + OUTPUT,
    }
    head = {
        "id": "resp_7",
        "object": "response",
        "created_at": 1700000000,
        "model": said.model,
        "error": None,
    }
    rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage, "metadata": {}}
    status = "incomplete" if said.cut else "completed"
    details = {"reason": "max_output_tokens"} if said.cut else None
    return {**head, "status": status, "incomplete_details": details, "output": _items(said), **rest}


def responses_events(said: Said) -> Iterator[Event]:
    """Word it as the events of a response."""
    for number, event in enumerate(_bare_events(said)):
        yield event["type"], {**event, "sequence_number": number}


def _bare_events(said: Said) -> Iterator[dict[str, Any]]:
    whole = responses(said)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole["output"]):
        empty = {**item, "content": []} if "content" in item else {**item, "arguments": ""}
        if item["type"] == "reasoning":
            empty = {**item, "summary": []}
        yield {"type": "response.output_item.added", "output_index": index, "item": empty}
        yield from _inside(index, item)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def _inside(index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    at: dict[str, Any] = {"item_id": item["id"], "output_index": index}
    if item["type"] == "function_call":
        for piece in pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
        yield {"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]}
        return
    if item["type"] == "reasoning":
        at["summary_index"], part = 0, item["summary"][0]
        yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
        for piece in pieces(part["text"]):
            yield {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
        yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **at, "part": part}
        return
    at["content_index"], part = 0, item["content"][0]
    kind = "output_text" if part["type"] == "output_text" else "refusal"
    text = part.get("text") or part.get("refusal")
    empty = {**part, "annotations": [], "text": ""} if kind == "output_text" else {**part, "refusal": ""}
    yield {"type": "response.content_part.added", **at, "part": empty}
    for piece in pieces(text):
        yield {"type": f"response.{kind}.delta", **at, "delta": piece, "logprobs": []}
    for place, note in enumerate(part.get("annotations", [])):
        added = {"annotation_index": place, "annotation": note}
        yield {"type": "response.output_text.annotation.added", **at, **added}
    named = {"text": text, "logprobs": []} if kind == "output_text" else {"refusal": text}
    yield {"type": f"response.{kind}.done", **at, **named}
    yield {"type": "response.content_part.done", **at, "part": part}


# Anthropic's Messages.

_MESSAGE_USAGE = {
    "input_tokens": INPUT - CACHED,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": CACHED,
    "output_tokens": OUTPUT,
}


def _blocks(said: Said) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if said.thinking:
        blocks.append({"type": "thinking", "thinking": said.thinking, "signature": said.signature})
    if said.text or said.refusal:
        block: dict[str, Any] = {"type": "text", "text": said.text or said.refusal}
        if said.cited:
            place = {"cited_text": "Paris", "encrypted_index": "abc", **SOURCE}
            block["citations"] = [{"type": "web_search_result_location", **place}]
        blocks.append(block)
    blocks += [{"type": "tool_use", "id": c.id, "name": c.name, "input": c.arguments} for c in said.calls]
    return blocks


def _stop_reason(said: Said) -> str:
    if said.refusal:
        return "refusal"
    return "tool_use" if said.calls else "max_tokens" if said.cut else "end_turn"


def messages(said: Said) -> dict[str, Any]:
    """Word it as a message."""
    head = {"id": "msg_7", "type": "message", "role": "assistant", "model": said.model, "stop_sequence": None}
    return {**head, "content": _blocks(said), "stop_reason": _stop_reason(said), "usage": _MESSAGE_USAGE}


def messages_events(said: Said) -> Iterator[Event]:
    """Word it as the events of a message."""
    for event in _message_events(said):
        yield event["type"], event


def _message_events(said: Said) -> Iterator[dict[str, Any]]:
    begun = {
        **messages(said),
        "content": [],
        "stop_reason": None,
        "usage": {**_MESSAGE_USAGE, "output_tokens": 1},
    }
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, block in enumerate(_blocks(said)):
        yield from _block_events(index, block)
    delta = {"stop_reason": _stop_reason(said), "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": OUTPUT}}
    yield {"type": "message_stop"}


def _block_events(index: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    deltas: list[dict[str, Any]]
    if block["type"] == "text":
        empty = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        deltas += [{"type": "citations_delta", "citation": note} for note in block.get("citations", [])]
    elif block["type"] == "thinking":
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    else:
        empty = {**block, "input": {}}
        text = orjson.dumps(block["input"]).decode()
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces(text)]]
    yield {"type": "content_block_start", "index": index, "content_block": empty}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


# Google's generateContent.


def _generated(said: Said, parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    if finish is not None and said.cited:
        support = {
            "segment": {"startIndex": 0, "endIndex": 5, "text": said.text[:5]},
            "groundingChunkIndices": [0],
        }
        source = {"web": {"uri": SOURCE["url"], "title": SOURCE["title"]}}
        candidate["groundingMetadata"] = {"groundingChunks": [source], "groundingSupports": [support]}
    usage = {
        "promptTokenCount": INPUT,
        "cachedContentTokenCount": CACHED,
        "candidatesTokenCount": OUTPUT - THOUGHT,
        "thoughtsTokenCount": THOUGHT,
        "totalTokenCount": INPUT + OUTPUT,
    }
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": said.model, "responseId": "r7"}


def _parts(said: Said, size: int) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"text": piece, "thought": True} for piece in pieces(said.thinking, size)]
    parts += [{"text": piece} for piece in pieces(said.text or said.refusal, size)]
    for place, call in enumerate(said.calls):
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.arguments}}
        if said.signature and not place:  # of parallel calls, the first is signed
            part["thoughtSignature"] = said.signature
        parts.append(part)
    return parts


def _gemini_finish(said: Said) -> str:
    return "PROHIBITED_CONTENT" if said.refusal else "MAX_TOKENS" if said.cut else "STOP"


def generate(said: Said) -> dict[str, Any]:
    """Word it as a whole answer of Gemini."""
    return _generated(said, _parts(said, 10**6), _gemini_finish(said))


def generate_events(said: Said) -> Iterator[Event]:
    """Word it as Gemini's stream."""
    parts = _parts(said, 5)
    for place, part in enumerate(parts):
        yield "", _generated(said, [part], _gemini_finish(said) if place == len(parts) - 1 else None)


# Errors.

_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_OPENAI = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    429: "rate_limit_error",
    503: "server_error",
}


def error(dialect: str, fault: Refused) -> dict[str, Any]:
    """Word a refusal."""
    message = str(fault)
    if dialect == "anthropic":
        return {
            "type": "error",
            "error": {"type": _ANTHROPIC[fault.status], "message": message},
            "request_id": "req_7",
        }
    if dialect == "bedrock":
        return {"message": message}
    if dialect == "gemini":
        return {"error": {"code": fault.status, "message": message, "status": _GOOGLE[fault.status]}}
    kind = _OPENAI.get(fault.status, "invalid_request_error")
    code = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(fault.status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
