"""Items of a response's output, whole: as they stand in an answer and in the events that end them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmproxy.canonical import (
    Block,
    Choice,
    Citation,
    Foreign,
    Image,
    Inline,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from llmproxy_openai.responses.citations import write_citation
from llmproxy_openai.responses.custom_tools import input_of
from llmproxy_openai.responses.ids import item_id
from llmproxy_openai.responses.parts import ORIGIN
from llmproxy_openai.responses.thoughts import encrypted_of, thought_item


def output_of(
    choice: Choice, response: str, status: str, custom: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """Return the items of an answer; texts that follow one another are the parts of one message.

    `custom` names the tools that take a text as it is.
    """
    items: list[dict[str, Any]] = []
    logprobs = choice.logprobs or {}
    content: list[dict[str, Any]] | None = None
    for number, block in enumerate(choice.content):
        if isinstance(block, Text | Refusal):
            if content is None:
                content = []
                items.append(message_item(item_id("msg", response, number), content, "completed"))
            content.append(_part(block, logprobs))
            logprobs = {} if isinstance(block, Text) else logprobs
        elif (item := _item(block, response, number, custom)) is not None:
            content = None
            items.append(item)
    if items and status != "completed":
        items[-1]["status"] = "incomplete"
    return items


def message_item(name: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    """Return a message of the model."""
    return {"id": name, "type": "message", "status": status, "content": content, "role": "assistant"}


def call_item(name: str, call: ToolCall, arguments: str, status: str) -> dict[str, Any]:
    """Return a call of a function."""
    return {
        "id": name,
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": call.id or f"call_{name}",
        "name": call.name,
    }


def custom_item(name: str, call: ToolCall, given: str, status: str) -> dict[str, Any]:
    """Return a call of a custom tool."""
    return {
        "id": name,
        "type": "custom_tool_call",
        "status": status,
        "call_id": call.id or f"call_{name}",
        "input": given,
        "name": call.name,
    }


def text_part(text: str, citations: Iterable[Citation] = (), logprobs: Any = None) -> dict[str, Any]:
    """Return a part of a message that is text."""
    return {
        "type": "output_text",
        "annotations": [write_citation(citation, len(text)) for citation in citations],
        "logprobs": logprobs if isinstance(logprobs, list) else [],
        "text": text,
    }


def refusal_part(text: str) -> dict[str, Any]:
    """Return a part of a message that declines."""
    return {"type": "refusal", "refusal": text}


def whole_item(block: Block, response: str, number: int) -> dict[str, Any] | None:
    """Return what comes in one piece: what a tool of OpenAI's did, a picture; None for what has no place here."""
    if isinstance(block, Foreign):
        known = block.origin == ORIGIN and isinstance(block.value.get("type"), str) and "id" in block.value
        return dict(block.value) if known else None
    if isinstance(block, Image) and isinstance(block.source, Inline):
        return {
            "id": item_id("ig", response, number),
            "type": "image_generation_call",
            "status": "completed",
            "output_format": block.source.media_type.removeprefix("image/"),
            "result": block.source.data,
        }
    return None


def _part(block: Text | Refusal, logprobs: dict[str, Any]) -> dict[str, Any]:
    if isinstance(block, Refusal):
        return refusal_part(block.text)
    return text_part(block.text, block.citations, logprobs.get("content"))


def _item(block: Block, response: str, number: int, custom: frozenset[str]) -> dict[str, Any] | None:
    if isinstance(block, ToolCall) and block.name in custom:
        name = item_id("ctc", response, number)
        return custom_item(name, block, input_of(block.arguments), "completed")
    if isinstance(block, ToolCall):
        return call_item(item_id("fc", response, number), block, block.arguments, "completed")
    if isinstance(block, Reasoning):
        return thought_item(item_id("rs", response, number), block.text, encrypted_of(block))
    return whole_item(block, response, number)
