"""Writes turns as the input items of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from llmproxy.canonical import (
    Audio,
    Block,
    CacheMark,
    Citation,
    Document,
    FileRef,
    Foreign,
    Image,
    Inline,
    Link,
    Losses,
    Message,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy.plugin import Quirks
from llmproxy_openai.responses.citations import write_citation
from llmproxy_openai.responses.parts import ORIGIN
from llmproxy_openai.responses.thoughts import summary_of

_FORMATS: Final = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/wav": "wav", "audio/x-wav": "wav"}

#: The type of a text by the role of the message that it stands in.
_TEXT: Final = {"user": "input_text", "system": "input_text", "assistant": "output_text"}

_MARK: Final = "prompt_cache_breakpoint"
_TTLS: Final = ("30m", "12h")

_ITEMS: Final = ("_call", "_call_output", "_list_tools", "_approval_request", "_approval_response")
_MORE_ITEMS: Final = frozenset(
    {"additional_tools", "compaction", "program", "program_output", "tool_search_output"}
)


class Target:
    """Where items are written to: what the provider takes, and what it does not."""

    __slots__ = ("_marks", "lose", "thoughts")

    def __init__(self, losses: Losses, quirks: Quirks) -> None:
        self.lose = losses.lose
        self.thoughts = quirks.reasoning_field != "none"
        self._marks = _MARK in quirks.extras

    def mark(self, cache: CacheMark | None, part: dict[str, Any] | None = None) -> None:
        """Write a cache mark onto a part where the provider takes them."""
        if cache is None:
            return
        if self._marks and part is not None:
            mark = {"mode": "explicit"}
            if cache.ttl in _TTLS:
                mark["ttl"] = cache.ttl
            part[_MARK] = mark
        else:
            self.lose("content.cache", "the provider caches prompts by itself")


def write_items(messages: Iterable[Message], to: Target) -> list[dict[str, Any]]:
    """Return the items of a conversation, in order."""
    items: list[dict[str, Any]] = []
    for message in messages:
        items.extend(_items(message, to))
    return items


def _items(message: Message, to: Target) -> Iterator[dict[str, Any]]:
    if message.name:
        to.lose("messages.name")
    content: list[dict[str, Any]] = []
    for block in message.content:
        item = _item(block, to)
        if item is None:
            if (part := _part(block, message.role, to)) is not None:
                content.append(part)
        elif item:
            if content:
                yield {"type": "message", "role": message.role, "content": content}
                content = []
            yield item
    if content:
        yield {"type": "message", "role": message.role, "content": content}


def _item(block: Block, to: Target) -> dict[str, Any] | None:
    """Return the block as an item of its own, empty if it is lost; None where it is a part of a message."""
    if isinstance(block, ToolCall):
        return _call(block, to)
    if isinstance(block, ToolResult):
        return _result(block, to)
    if isinstance(block, Reasoning):
        return _thought(block, to)
    return _foreign(block, to) if isinstance(block, Foreign) else None


def _call(block: ToolCall, to: Target) -> dict[str, Any]:
    if block.signature:
        to.lose("tool_call.signature", "it is another provider's, and this one takes none")
    to.mark(block.cache)
    return {
        "type": "function_call",
        "call_id": block.id,
        "name": block.name,
        "arguments": block.arguments,
    }


def _result(block: ToolResult, to: Target) -> dict[str, Any]:
    if block.is_error:
        to.lose("tool_result.is_error", "the result is sent without a mark that it is an error")
    to.mark(block.cache)
    output: Any
    if all(isinstance(part, Text) and part.cache is None for part in block.content):
        output = "\n".join(part.text for part in block.content if isinstance(part, Text))
    else:
        parts = [_part(part, "user", to) for part in block.content]
        output = [part for part in parts if part is not None]
    return {"type": "function_call_output", "call_id": block.id, "output": output}


def _thought(block: Reasoning, to: Target) -> dict[str, Any]:
    """A thought goes back only to who can read it: encrypted, or in full where the provider takes it so.

    Its item has no id: items are not stored, and a name would be looked up.
    """
    if block.origin == ORIGIN and (encrypted := block.redacted or block.signature):
        return {"type": "reasoning", "summary": summary_of(block.text), "encrypted_content": encrypted}
    if to.thoughts and block.text and not block.summary:
        return {
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": block.text}],
        }
    to.lose("reasoning", "thoughts that this provider did not encrypt are not sent to it")
    return {}


def _foreign(block: Foreign, to: Target) -> dict[str, Any]:
    kind = block.value.get("type")
    if block.origin == ORIGIN and isinstance(kind, str) and (kind.endswith(_ITEMS) or kind in _MORE_ITEMS):
        return block.value
    to.lose("content.foreign", "it is a piece of another API")
    return {}


def _part(block: Block, role: str, to: Target) -> dict[str, Any] | None:
    writer = _PARTS.get(type(block))
    if writer is None:
        to.lose("content.foreign", "it cannot stand here")
        return None
    part = writer(block, role, to)
    to.mark(getattr(block, "cache", None), part if role != "assistant" else None)
    return part


def _text(block: Text, role: str, to: Target) -> dict[str, Any] | None:
    if not block.text:
        return None
    if block.signature:
        to.lose("reasoning.signature", "it is another provider's, and this one takes none")
    part: dict[str, Any] = {"type": _TEXT[role], "text": block.text}
    if block.citations and role == "assistant":
        part["annotations"] = [
            write_citation(citation, len(block.text)) for citation in block.citations if citation.url
        ]
    if any(role != "assistant" or not _is_plain(citation) for citation in block.citations):
        to.lose("content.citations", "of a source only its address, its title and its place can be sent back")
    return part


def _is_plain(citation: Citation) -> bool:
    return bool(citation.url) and not citation.quote and not citation.opaque


def _refusal(block: Refusal, role: str, to: Target) -> dict[str, Any]:
    if role == "assistant":
        return {"type": "refusal", "refusal": block.text}
    return {"type": "input_text", "text": block.text}


def _image(block: Image, role: str, to: Target) -> dict[str, Any] | None:
    if role == "assistant":
        to.lose("content.image", "a message of the model cannot hold a picture")
        return None
    where = _place(block.source, "image_url", "content.image", to)
    return {"type": "input_image", **where, "detail": block.detail or "auto"} if where else None


def _document(block: Document, role: str, to: Target) -> dict[str, Any] | None:
    if role == "assistant":
        to.lose("content.document", "a message of the model cannot hold a file")
        return None
    if block.context:
        to.lose("document.context")
    if block.cite:
        to.lose("document.cite", "the provider cites only what its own tools find")
    if block.source is None:
        if block.title:
            to.lose("document.title", "a text that is given as it is has no name")
        return {"type": "input_text", "text": block.text} if block.text else None
    where = _place(block.source, "file_url", "content.document", to)
    if not where:
        return None
    if isinstance(block.source, Inline):
        return {"type": "input_file", "filename": block.title or _name(block.source), **where}
    if block.title:
        to.lose("document.title", "only files that are sent along have a name")
    return {"type": "input_file", **where}


def _name(source: Inline) -> str:
    """Files that are sent along must have a name."""
    kind = source.media_type.partition(";")[0].rpartition("/")[2]
    return f"file.{ {'plain': 'txt', 'markdown': 'md'}.get(kind, kind) or 'pdf' }"


def _audio(block: Audio, role: str, to: Target) -> dict[str, Any] | None:
    source = block.source
    form = _FORMATS.get(source.media_type) if isinstance(source, Inline) else None
    if form is None or not isinstance(source, Inline) or role == "assistant":
        to.lose("content.audio", "only MP3 and WAV that the user sends along can be heard")
        return None
    return {"type": "input_audio", "input_audio": {"data": source.data, "format": form}}


def _video(block: Video, role: str, to: Target) -> None:
    to.lose("content.video", "the provider sees no films")


_PARTS: Final[dict[type, Callable[[Any, str, Target], dict[str, Any] | None]]] = {
    Text: _text,
    Refusal: _refusal,
    Image: _image,
    Document: _document,
    Audio: _audio,
    Video: _video,
}


def _place(source: Source, url_key: str, name: str, to: Target) -> dict[str, str]:
    if isinstance(source, Inline):
        url = f"data:{source.media_type};base64,{source.data}"
        return {"file_data" if url_key == "file_url" else url_key: url}
    if isinstance(source, Link):
        return {url_key: source.url}
    return _file(source, name, to)


def _file(source: FileRef, name: str, to: Target) -> dict[str, str]:
    if source.dialect == ORIGIN:
        return {"file_id": source.id}
    to.lose(name, "the file was uploaded to another provider")
    return {}
