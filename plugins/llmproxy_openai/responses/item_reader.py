"""Reads a caller's input, a text or a list of items, into turns."""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import Block, Foreign, Losses, Text, ToolCall, ToolResult
from llmproxy.plugin import BadField
from llmproxy_openai.responses.custom_tools import arguments_of
from llmproxy_openai.responses.parts import ORIGIN, read_content, texts_of
from llmproxy_openai.responses.reading import needed, table, text, unread, unread_answer_marks, wrong
from llmproxy_openai.responses.thoughts import GAP, thought_of
from llmproxy_openai.responses.turns import Turns

_PATH: Final = "input[]"
_ROLES: Final = ("user", "assistant", "system", "developer")
_MARKS: Final = ("type", "id", "status")

#: Items that bring something to the model, where all others came from it.
_FROM_USER: Final = frozenset(
    {
        "additional_tools",
        "compaction_trigger",
        "configuration_update",
        "mcp_approval_response",
        "program_output",
    }
)


def read_input(told: Any, losses: Losses) -> Turns:
    """Read the input; the texts of instructions before its first turn are the turns' `system`."""
    turns = Turns()
    if told is None:
        return turns
    if isinstance(told, str):
        turns.user(*read_content(told, "input", losses))
        return turns
    if not isinstance(told, list):
        raise wrong("input", "a string or a list of items")
    for item in told:
        kind = _kind(table(item, _PATH))
        _READERS.get(kind, _foreign)(item, turns, losses)
    return turns


def _kind(item: dict[str, Any]) -> str:
    kind = item.get("type")
    if kind is None:
        return "message" if "role" in item else "item_reference"
    if not isinstance(kind, str):
        raise wrong(f"{_PATH}.type", "a string")
    return kind


def _message(item: dict[str, Any], turns: Turns, losses: Losses) -> None:
    role = item.get("role")
    if role not in _ROLES:
        raise BadField(
            "invalid_value", f"'{_PATH}.role' must be one of {', '.join(_ROLES)}.", f"{_PATH}.role"
        )
    unread(item, (*_MARKS, "role", "content"), _PATH, losses)
    unread_answer_marks(item, _PATH, losses)
    content = read_content(item.get("content") or "", f"{_PATH}.content", losses)
    if role == "assistant":
        turns.model(*content)
    elif role == "user":
        turns.user(*content)
    else:
        turns.instruct(*_texts(content, losses))


def _texts(content: tuple[Block, ...], losses: Losses) -> list[Text]:
    texts = [block for block in content if isinstance(block, Text)]
    if len(texts) < len(content):
        losses.add(f"{_PATH}.content[]", "instructions can only be text")
    return texts


def _call(item: dict[str, Any], turns: Turns, losses: Losses) -> None:
    unread(item, (*_MARKS, "call_id", "name", "arguments"), _PATH, losses)
    unread_answer_marks(item, _PATH, losses)
    name = text(item.get("call_id"), f"{_PATH}.call_id") or turns.new_id()
    tool = needed(item.get("name"), f"{_PATH}.name")
    arguments = item.get("arguments")
    if isinstance(arguments, dict):
        arguments = orjson.dumps(arguments).decode()
    turns.names[name] = tool
    turns.model(ToolCall(id=name, name=tool, arguments=text(arguments, f"{_PATH}.arguments") or "{}"))


def _custom_call(item: dict[str, Any], turns: Turns, losses: Losses) -> None:
    unread(item, (*_MARKS, "call_id", "name", "input"), _PATH, losses)
    unread_answer_marks(item, _PATH, losses)
    name = needed(item.get("call_id"), f"{_PATH}.call_id")
    tool = needed(item.get("name"), f"{_PATH}.name")
    turns.names[name] = tool
    given = text(item.get("input"), f"{_PATH}.input")
    turns.model(ToolCall(id=name, name=tool, arguments=arguments_of(given)))


def _output(item: dict[str, Any], turns: Turns, losses: Losses) -> None:
    unread(item, (*_MARKS, "call_id", "name", "output"), _PATH, losses)
    unread_answer_marks(item, _PATH, losses)
    name = text(item.get("call_id"), f"{_PATH}.call_id") or turns.answered_id()
    needed(name, f"{_PATH}.call_id")
    content = read_content(item.get("output") or "", f"{_PATH}.output", losses)
    tool = text(item.get("name"), f"{_PATH}.name") or turns.names.get(name, "")
    turns.result(ToolResult(id=name, content=content, name=tool))


def _reasoning(item: dict[str, Any], turns: Turns, losses: Losses) -> None:
    unread(item, (*_MARKS, "summary", "content", "encrypted_content"), _PATH, losses)
    unread_answer_marks(item, _PATH, losses)
    summary = texts_of(item.get("summary"), f"{_PATH}.summary")
    content = texts_of(item.get("content"), f"{_PATH}.content")
    if summary and content:
        losses.add(f"{_PATH}.content", "the summary of the same thought is sent instead")
    thought = thought_of(
        GAP.join(summary) or "".join(content),
        text(item.get("encrypted_content"), f"{_PATH}.encrypted_content"),
        summary=bool(summary),
        name=text(item.get("id"), f"{_PATH}.id"),
    )
    if thought is not None:
        turns.model(thought)


def _reference(item: dict[str, Any], turns: Turns, losses: Losses) -> None:
    needed(item.get("id"), f"{_PATH}.id")
    unread(item, ("type", "id"), _PATH, losses)
    turns.model(Foreign(origin=ORIGIN, value={"type": "item_reference", "id": item["id"]}))


def _foreign(item: dict[str, Any], turns: Turns, losses: Losses) -> None:
    block = Foreign(origin=ORIGIN, value=item)
    if item["type"].endswith("_output") or item["type"] in _FROM_USER:
        turns.user(block)
    else:
        turns.model(block)


_READERS: Final = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
    "custom_tool_call": _custom_call,
    "custom_tool_call_output": _output,
    "reasoning": _reasoning,
    "item_reference": _reference,
}
