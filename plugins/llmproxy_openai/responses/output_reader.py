"""Reads the items of a provider's output into blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from llmproxy.canonical import (
    Block,
    Citation,
    FinishReason,
    Foreign,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from llmproxy_openai.responses.citations import read_citation
from llmproxy_openai.responses.parts import ORIGIN
from llmproxy_openai.responses.thoughts import GAP

#: What reading an answer of another shape than its dialect's may raise.
STRANGE: Final = (AttributeError, IndexError, KeyError, TypeError)

#: What servers call a part of text.
TEXTS: Final = frozenset({"output_text", "text"})

_REASONS: Final[dict[str, FinishReason]] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "max_messages": "pause",
    "steered": "pause",
}


def blocks_of(item: Any) -> Iterator[Block]:
    """Return what an item holds."""
    kind = item.get("type") if isinstance(item, dict) else None
    if kind == "message":
        yield from _message(item)
    elif kind == "function_call":
        yield call_of(item, arguments_of(item) or "{}")
    elif kind == "reasoning":
        thought = reasoning_of(item)
        if thought is not None:
            yield thought
    elif isinstance(kind, str):
        yield Foreign(origin=ORIGIN, value=item)


def call_of(item: dict[str, Any], arguments: str) -> ToolCall:
    """Return the call of a function item."""
    return ToolCall(
        id=string(item, "call_id") or string(item, "id"), name=string(item, "name"), arguments=arguments
    )


def arguments_of(item: dict[str, Any]) -> str:
    """Return the arguments of a function item, which some servers write as the object that they are."""
    value = item.get("arguments")
    return orjson.dumps(value).decode() if isinstance(value, dict) else string(item, "arguments")


def reasoning_of(item: dict[str, Any]) -> Reasoning | None:
    """Return the thought of a reasoning item: its summary, or else its text; None where it holds nothing.

    What is encrypted is this provider's own, whatever it looks like: another gateway may have packed it.
    """
    summary = GAP.join(texts(item, "summary"))
    text = summary or "".join(texts(item, "content"))
    encrypted = string(item, "encrypted_content")
    if not text and not encrypted:
        return None
    return Reasoning(
        text=text,
        signature=encrypted if text else "",
        redacted="" if text else encrypted,
        origin=ORIGIN if summary or encrypted else "",
        summary=bool(summary),
        id=string(item, "id"),
    )


def citations_of(part: dict[str, Any]) -> list[Citation]:
    """Return the sources of a text part."""
    told = part.get("annotations")
    found = [read_citation(each) for each in told] if isinstance(told, list) else []
    return [citation for citation in found if citation is not None]


def finish_of(response: dict[str, Any], *, called: bool) -> tuple[FinishReason | None, str]:
    """Return why a response ended, and the provider's own word for it."""
    status = response.get("status") or "completed"
    if status == "completed":
        return "tool_calls" if called else "stop", status
    if status == "incomplete":
        details = response.get("incomplete_details")
        reason = string(details, "reason") if isinstance(details, dict) else ""
        return _REASONS.get(reason, "error"), reason or status
    return ("error", "cancelled") if status == "cancelled" else (None, "")


def string(told: dict[str, Any], key: str) -> str:
    """Return a member that is a text, else nothing."""
    value = told.get(key)
    return value if isinstance(value, str) else ""


def texts(item: dict[str, Any], key: str) -> list[str]:
    """Return the texts of a list of parts."""
    parts = item.get(key)
    return (
        [string(part, "text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    )


def parts_of(item: dict[str, Any]) -> Any:
    """Return the parts of a message; a text alone is one."""
    parts = item.get("content")
    return [{"type": "output_text", "text": parts}] if isinstance(parts, str) else parts or ()


def created_of(response: dict[str, Any]) -> int:
    """Return when a response was made, in seconds."""
    value = response.get("created_at")
    return int(value) if isinstance(value, int | float) and 0 < value < 1e12 else 0


def _message(item: dict[str, Any]) -> Iterator[Block]:
    parts = parts_of(item)
    for part in parts if isinstance(parts, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in TEXTS:
            yield Text(text=string(part, "text"), citations=tuple(citations_of(part)))
        elif kind == "refusal":
            yield Refusal(text=string(part, "refusal"))
