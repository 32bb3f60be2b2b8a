"""Writes content blocks for a provider."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import (
    Audio,
    Block,
    CacheMark,
    Document,
    FileRef,
    Foreign,
    Image,
    Inline,
    Link,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy.canonical.calls import arguments_object, fitting_id
from llmproxy_anthropic.citations import write_citation
from llmproxy_anthropic.thoughts import OWN

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

Written = dict[str, Any]

_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_PDF: Final = "application/pdf"
_NOT_HERE: Final = "Anthropic's models take no such input"


def tool_id(name: str) -> str:
    """Return an id that Anthropic takes: the caller's, or one made from it, the same each time."""
    return fitting_id(name, _ID, "toolu_")


def cache_control(mark: CacheMark) -> Written:
    """Write a cache marker."""
    return {"type": "ephemeral", "ttl": mark.ttl} if mark.ttl else {"type": "ephemeral"}


def write_block(block: Block, role: str, losses: Losses) -> Written | None:
    """Write one block of a turn; None where nothing of it is left."""
    kind = type(block)
    if kind is Text:
        return write_text(block, losses, cited=role == "assistant")  # type: ignore[arg-type]  # told by its class
    if kind is ToolCall:
        return _call(block, losses)  # type: ignore[arg-type]
    if kind is ToolResult:
        return _result(block, losses)  # type: ignore[arg-type]
    if kind is Reasoning:
        return _thought(block, losses)  # type: ignore[arg-type]
    return _rare(block, role, losses)


def _rare(block: Block, role: str, losses: Losses) -> Written | None:
    if isinstance(block, Image):
        return _image(block, role, losses)
    if isinstance(block, Document):
        return _document(block, losses)
    if isinstance(block, Refusal):
        return {"type": "text", "text": block.text} if block.text.strip() else None
    if isinstance(block, Foreign) and block.origin == OWN:
        return block.value
    if isinstance(block, Audio | Video):
        losses.lose("content.audio" if isinstance(block, Audio) else "content.video", _NOT_HERE)
    else:
        losses.lose("content.foreign")
    return None


def write_text(block: Text, losses: Losses, *, cited: bool = False) -> Written | None:
    """Write text; Anthropic refuses empty blocks, and a user's of nothing but space."""
    if block.signature:
        losses.lose("reasoning.signature", "it means nothing to Anthropic")
    if not block.text or not (cited or block.text.strip()):
        return None
    written: Written = {"type": "text", "text": block.text}
    if block.citations:
        citations = [write_citation(each, asked=True) for each in block.citations] if cited else [None]
        if told := [each for each in citations if each is not None]:
            written["citations"] = told
        if None in citations:
            losses.lose("content.citations", "Anthropic takes back only citations that it gave")
    if block.cache is not None:
        written["cache_control"] = cache_control(block.cache)
    return written


def _call(block: ToolCall, losses: Losses) -> Written:
    if block.signature:
        losses.lose("tool_call.signature", "it means nothing to Anthropic")
    written: Written = {"type": "tool_use", "id": tool_id(block.id), "name": block.name}
    written["input"] = arguments_object(block.arguments, losses)
    if block.cache is not None:
        written["cache_control"] = cache_control(block.cache)
    return written


def _result(block: ToolResult, losses: Losses) -> Written:
    written: Written = {"type": "tool_result", "tool_use_id": tool_id(block.id)}
    content = block.content
    if len(content) == 1 and type(content[0]) is Text and content[0] == Text(text=content[0].text):
        written["content"] = content[0].text
    elif content:
        written["content"] = _inner(content, losses)
    if block.is_error:
        written["is_error"] = True
    if block.cache is not None:
        written["cache_control"] = cache_control(block.cache)
    return written


def _inner(content: tuple[Block, ...], losses: Losses) -> list[Written]:
    inner = []
    for block in content:
        if isinstance(block, Text | Image | Document | Foreign | Refusal):
            written = write_block(block, "user", losses)
            if written is not None:
                inner.append(written)
        else:
            losses.lose("tool_result.content", "a tool's result holds text, pictures and documents only")
    return inner


def _thought(block: Reasoning, losses: Losses) -> Written | None:
    if block.origin == OWN and block.redacted:
        return {"type": "redacted_thinking", "data": block.redacted}
    if block.origin == OWN and block.signature:
        return {"type": "thinking", "thinking": block.text, "signature": block.signature}
    if block.signature or block.redacted:
        losses.lose("reasoning.signature", "only thought that Anthropic signed can be sent to it")
    if block.text:
        losses.lose("reasoning", "thought that Anthropic did not sign cannot be sent to it")
    return None


def _image(block: Image, role: str, losses: Losses) -> Written | None:
    if block.detail:
        losses.lose("image.detail")
    source = None if role == "assistant" else write_source(block.source)
    if source is None:
        why = "Anthropic's assistant turns hold no pictures" if role == "assistant" else _ELSEWHERE
        losses.lose("content.image", why)
        return None
    return _with_cache({"type": "image", "source": source}, block.cache)


_ELSEWHERE: Final = "the file is another provider's"


def write_source(source: Source) -> Written | None:
    """Write where bytes are; None where they are a file of another provider's."""
    if isinstance(source, Inline):
        return {"type": "base64", "media_type": source.media_type, "data": source.data}
    if isinstance(source, Link):
        return {"type": "url", "url": source.url}
    return {"type": "file", "file_id": source.id} if source.dialect == OWN else None


def _document(block: Document, losses: Losses) -> Written | None:
    source = _document_source(block)
    if source is None:
        why = _ELSEWHERE if isinstance(block.source, FileRef) else "Anthropic reads PDF and text only"
        losses.lose("content.document", why)
        return None
    written: Written = {"type": "document", "source": source}
    if block.title:
        written["title"] = block.title
    if block.context:
        written["context"] = block.context
    if block.cite:
        written["citations"] = {"enabled": True}
    return _with_cache(written, block.cache)


def _document_source(block: Document) -> Written | None:
    source = block.source
    if source is None:
        return {"type": "text", "media_type": "text/plain", "data": block.text or ""}
    if isinstance(source, Inline) and source.media_type != _PDF:
        text = _plain(source)
        return None if text is None else {"type": "text", "media_type": "text/plain", "data": text}
    return write_source(source)


def _plain(source: Inline) -> str | None:
    """Return the text of a file that is one."""
    kind = source.media_type.partition(";")[0]
    if not (kind.startswith("text/") or kind in ("application/json", "application/xml")):
        return None
    try:
        return b64decode(source.data).decode()
    except (binascii.Error, ValueError):
        return None


def _with_cache(written: Written, mark: CacheMark | None) -> Written:
    if mark is not None:
        written["cache_control"] = cache_control(mark)
    return written
