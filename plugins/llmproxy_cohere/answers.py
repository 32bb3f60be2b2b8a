"""A whole chat answer, read into the canonical form and written from it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmproxy.canonical import Answer, Block, Choice, Reasoning, Refusal, Text, ToolCall
from llmproxy.plugin import ProviderError, error_of
from llmproxy_cohere.citations import Documents, read_citations, write_citations
from llmproxy_cohere.finishes import read_finish, write_finish
from llmproxy_cohere.logprobs import read_items, write_items
from llmproxy_cohere.turns import ORIGIN, PLAN, read_arguments
from llmproxy_cohere.usage import counted_usage, written_usage

_FAILED: Final = "The model could not finish its answer."


def decode_answer(told: dict[str, Any]) -> Answer:
    """Read an answer.

    Raises:
        GatewayError: it says that it failed.
        ValueError: it is no answer.
    """
    message = told.get("message")
    if type(message) is not dict:
        if type(message) is str:
            raise error_of(told)
        raise ValueError("an answer has a message")
    content = _content(message)
    called = any(isinstance(block, ToolCall) for block in content)
    word = told.get("finish_reason")
    reason, detail = read_finish(word if type(word) is str else "", called=called)
    if reason == "error" and not content:
        raise failure(told)
    usage, logprobs = told.get("usage"), told.get("logprobs")
    choice = Choice(content=tuple(content), finish=reason, detail=detail, logprobs=read_items(logprobs))
    name = told.get("id")
    return Answer(
        id=name if type(name) is str else "",
        choices=(choice,),
        usage=counted_usage(usage) if type(usage) is dict else None,
    )


def failure(told: dict[str, Any]) -> ProviderError:
    """Return the error of an answer that ended in one, under a good status."""
    reason = told.get("error") or _FAILED
    late = str(told.get("finish_reason")).upper() == "TIMEOUT"
    return error_of({"error": {"message": reason, "type": "timeout_error"}} if late else {"error": reason})


def _content(message: dict[str, Any]) -> list[Block]:
    told = message.get("content")
    parts = [{"type": "text", "text": told}] if type(told) is str else told
    blocks: list[Block] = []
    places: dict[int, int] = {}
    if plan := message.get("tool_plan"):
        blocks.append(Reasoning(_text(plan), origin=ORIGIN, id=PLAN))
    for place, part in enumerate(parts if type(parts) is list else ()):
        if type(part) is not dict:
            raise ValueError("a part of an answer is an object")
        if part.get("type") == "thinking":
            blocks.append(Reasoning(_text(part.get("thinking")), origin=ORIGIN))
        elif part.get("type") == "text":
            places[place] = len(blocks)
            blocks.append(Text(_text(part.get("text"))))
    _cite(blocks, places, message.get("citations"))
    calls = message.get("tool_calls")
    return blocks + [_call(call) for call in (calls if type(calls) is list else ())]


def _cite(blocks: list[Block], places: dict[int, int], citations: Any) -> None:
    """Hang each citation on the text that it is of: the one of its index, else the first."""
    if not places:
        return
    offsets, offset = {}, 0
    for place, at in places.items():
        offsets[place] = offset
        offset += len(getattr(blocks[at], "text", ""))
    first = next(iter(places))
    for item in citations if type(citations) is list else ():
        if type(item) is dict and item.get("type", "TEXT_CONTENT") == "TEXT_CONTENT":
            index = item.get("content_index")
            place = index if type(index) is int and index in places else first
            block = blocks[places[place]]
            assert isinstance(block, Text)
            more = read_citations(item, offsets[place])
            blocks[places[place]] = msgspec.structs.replace(block, citations=(*block.citations, *more))


def _call(call: Any) -> ToolCall:
    told = call.get("function") if type(call) is dict else None
    if type(told) is not dict or type(told.get("name")) is not str:
        raise ValueError("a tool call names its function")
    return ToolCall(_text(call.get("id")), told["name"], read_arguments(told.get("arguments")))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is not str:
        raise ValueError("a text of an answer is a string")
    return value


def encode_answer(answer: Answer, name: str, documents: Documents = ()) -> dict[str, Any]:
    """Write an answer, of several choices the first; `name` stands in where it has no id of its own."""
    choice = answer.choices[0] if answer.choices else Choice()
    message: dict[str, Any] = {"role": "assistant"}
    content: list[dict[str, Any]] = []
    citations: list[dict[str, Any]] = []
    calls, offset = [], 0
    for block in choice.content:
        if isinstance(block, ToolCall):
            calls.append(written_call(block, block.arguments))
        elif isinstance(block, Reasoning) and block.id == PLAN and block.origin == ORIGIN:
            message["tool_plan"] = message.get("tool_plan", "") + block.text
        elif isinstance(block, Reasoning) and block.text:
            content.append({"type": "thinking", "thinking": block.text})
        elif isinstance(block, Text | Refusal):
            if isinstance(block, Text):
                citations += write_citations(block.citations, block.text, len(content), documents, offset)
            content.append({"type": "text", "text": block.text})
            offset += len(block.text)
    message |= {"content": content} if content else {}
    message |= {"tool_calls": calls} if calls else {}
    message |= {"citations": citations} if citations else {}
    told = {
        "id": answer.id or name,
        "finish_reason": write_finish(choice.finish, choice.stop_sequence, choice.detail, called=bool(calls)),
        "message": message,
        "usage": written_usage(answer.usage),
    }
    return told | ({"logprobs": items} if (items := write_items(choice.logprobs)) else {})


def written_call(call: ToolCall, arguments: str) -> dict[str, Any]:
    """Write a call of a tool."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
