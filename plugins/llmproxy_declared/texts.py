"""Messages as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from llmproxy.canonical import (
    Audio,
    Document,
    Foreign,
    Image,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy_declared.sources import NO_PLACE

if TYPE_CHECKING:
    from llmproxy.canonical import Block, Losses

_NO_TEXTS: Final[dict[type, str]] = {
    Image: "content.image",
    Audio: "content.audio",
    Video: "content.video",
    Foreign: "content.foreign",
}


def text_of(content: Iterable[Block], losses: Losses, carried: Sequence[type] = ()) -> str:
    """Return what is said in blocks, one after another in lines; report the rest but for kinds that are `carried`."""
    texts = []
    for block in content:
        text = _text_of(block, losses, carried)
        if text:
            texts.append(text)
    return "\n".join(texts)


def _text_of(block: Block, losses: Losses, carried: Sequence[type]) -> str:
    if isinstance(block, Text):
        _lose_marks(block, losses)
        return block.text
    if isinstance(block, Refusal):
        return block.text
    if isinstance(block, Document):
        return _document(block, losses)
    if type(block) in carried:
        return ""
    if isinstance(block, ToolResult):
        return _result(block, losses)
    if isinstance(block, ToolCall):
        losses.lose("tool_calls", "the declared request has no place for calls of tools")
    elif isinstance(block, Reasoning):
        losses.lose("reasoning", NO_PLACE)
    else:
        losses.lose(_NO_TEXTS[type(block)], NO_PLACE)
    return ""


def _lose_marks(block: Text, losses: Losses) -> None:
    if block.cache is not None:
        losses.lose("content.cache", NO_PLACE)
    if block.citations:
        losses.lose("content.citations", NO_PLACE)


def _document(block: Document, losses: Losses) -> str:
    if block.text is None:
        losses.lose("content.document", NO_PLACE)
        return ""
    for field in ("title", "context", "cite"):
        if getattr(block, field):
            losses.lose(f"document.{field}", NO_PLACE)
    return block.text


def _result(block: ToolResult, losses: Losses) -> str:
    losses.lose("tool_result", "it is told as plain text")
    return text_of(block.content, losses)


def result_text(block: ToolResult, losses: Losses) -> str:
    """Return what a tool gave, as text."""
    if any(not isinstance(each, Text) for each in block.content):
        losses.lose("tool_result.content", "only its text is carried")
    return "\n".join(each.text for each in block.content if isinstance(each, Text))
