"""A conversation of the canonical form as the messages that Ollama takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from llmproxy.canonical import (
    Audio,
    Block,
    Document,
    Foreign,
    GenerateRequest,
    Image,
    Losses,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy_ollama.pictures import written_picture
from llmproxy_ollama.toolcalls import written_call

Told = dict[str, Any]

_KEPT: Final = "Ollama keeps what prompts have in common by itself"


def write_messages(request: GenerateRequest, losses: Losses) -> list[Told]:
    """Return a conversation: instructions first, then each turn, its results of tools as messages of their own."""
    out: list[Told] = []
    if any(each.cache is not None for each in request.system):
        losses.lose("system.cache", _KEPT)
    if said := "\n\n".join(each.text for each in request.system if each.text):
        out.append({"role": "system", "content": said})
    for message in request.messages:
        if message.name:
            losses.lose("messages.name", "Ollama's turns have no names")
        rest = [block for block in message.content if not isinstance(block, ToolResult)]
        out += [_result(block, losses) for block in message.content if isinstance(block, ToolResult)]
        if rest:
            out.append(_Turn(losses).written(message, rest))
    return out


def _result(block: ToolResult, losses: Losses) -> Told:
    if block.is_error:
        losses.lose("tool_result.is_error", "it stands as any other result")
    if block.cache is not None:
        losses.lose("content.cache", _KEPT)
    told = _Turn(losses).written(Message(role="user", content=()), block.content)
    told["role"] = "tool"
    if block.name:
        told["tool_name"] = block.name
    if block.id:
        told["tool_call_id"] = block.id
    return told


class _Turn:
    """One message that is being written."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._said: list[str] = []
        self._thought: list[str] = []
        self._pictures: list[str] = []
        self._calls: list[Told] = []

    def written(self, message: Message, blocks: Sequence[Block]) -> Told:
        """Return a message with these blocks."""
        for block in blocks:
            if getattr(block, "cache", None) is not None:
                self._losses.lose("content.cache", _KEPT)
            self._WRITERS[type(block)](self, block)
        told: Told = {"role": message.role, "content": "\n".join(self._said)}
        if self._thought:
            told["thinking"] = "\n".join(self._thought)
        if self._pictures:
            told["images"] = self._pictures
        if self._calls:
            told["tool_calls"] = self._calls
        return told

    def _text(self, block: Text) -> None:
        if block.citations:
            self._losses.lose("content.citations", "Ollama reads no citations")
        if block.text:
            self._said.append(block.text)

    def _picture(self, block: Image) -> None:
        if block.detail:
            self._losses.lose("image.detail", "the model chooses the resolution itself")
        if (data := written_picture(block.source, self._losses)) is not None:
            self._pictures.append(data)

    def _document(self, block: Document) -> None:
        for name in ("title", "context", "cite"):
            if getattr(block, name):
                self._losses.lose(f"document.{name}")
        if block.text is not None:
            self._said.append(block.text)
        else:
            self._losses.lose("content.document", "Ollama takes text and pictures only")

    def _medium(self, block: Audio | Video) -> None:
        self._losses.lose(f"content.{type(block).__name__.lower()}", "Ollama takes text and pictures only")

    def _call(self, block: ToolCall) -> None:
        if block.signature:
            self._losses.lose("tool_call.signature", "only the provider that thought it can check it")
        self._calls.append(written_call(block, len(self._calls)))

    def _reasoning(self, block: Reasoning) -> None:
        if block.redacted and not block.text:
            self._losses.lose("reasoning", "only the provider that thought it can read it")
        elif block.signature or block.redacted:
            self._losses.lose("reasoning.signature", "only the provider that thought it can check it")
        if block.text:
            self._thought.append(block.text)

    def _refusal(self, block: Refusal) -> None:
        self._losses.lose("content.refusal", "it stands as plain text")
        self._said.append(block.text)

    def _foreign(self, block: Foreign) -> None:
        self._losses.lose("content.foreign", f"only {block.origin or 'its own provider'} can read it")

    def _stray(self, block: ToolResult) -> None:
        """Nothing: a result inside a result has no meaning anywhere."""

    _WRITERS: ClassVar[dict[type, Callable[..., None]]] = {
        Text: _text,
        Image: _picture,
        Document: _document,
        Audio: _medium,
        Video: _medium,
        ToolCall: _call,
        ToolResult: _stray,
        Reasoning: _reasoning,
        Refusal: _refusal,
        Foreign: _foreign,
    }
