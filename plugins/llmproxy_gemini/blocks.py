"""Blocks as parts of a content: what is asked of Gemini, and what its callers are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

import orjson

from llmproxy.canonical import (
    Audio,
    Block,
    Document,
    Foreign,
    Image,
    Losses,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy.canonical.calls import arguments_object
from llmproxy_gemini.media import write_source
from llmproxy_gemini.signing import thought_signature

Part = dict[str, Any]

_DIALECT: Final = "gemini"
_OUTPUT: Final = "output"
_ERROR: Final = "error"
_KINDS: Final[dict[type, tuple[str, str]]] = {
    Image: ("content.image", "image/jpeg"),
    Audio: ("content.audio", "audio/mpeg"),
    Video: ("content.video", "video/mp4"),
    Document: ("content.document", "application/pdf"),
}


class PartWriter:
    """Writes blocks as parts.

    `nests` says whether a tool's result may hold media itself, as it may since Gemini 3; else they follow it. `packs`
    says whether signatures of other families are written too: callers keep them, Google could not read them.
    """

    __slots__ = ("_losses", "_nests", "_packs", "following")

    def __init__(self, losses: Losses, *, nests: bool = False, packs: bool = False) -> None:
        self._losses = losses
        self._nests = nests
        self._packs = packs
        #: Media of results, which have to stand behind all results of their turn.
        self.following: list[Part] = []

    def part(self, block: Block) -> Part | None:
        """Return the part of a block; None where there is nothing to say, or no place for it."""
        if getattr(block, "cache", None) is not None:
            self._losses.lose("content.cache", "Gemini keeps what prompts have in common by itself")
        write = self._WRITERS.get(type(block))
        return self._media(block) if write is None else write(self, block)  # type: ignore[arg-type]  # the rest is media

    def _text(self, block: Text) -> Part | None:
        if block.citations:
            self._losses.lose("content.citations", "Gemini reads no citations")
        if block.signature:
            return {"text": block.text, "thoughtSignature": block.signature}
        return {"text": block.text} if block.text else None

    def _call(self, block: ToolCall) -> Part:
        return write_call(block)

    def _thought(self, block: Reasoning) -> Part | None:
        return write_thought(block if self._packs else self._own(block))

    def _refusal(self, block: Refusal) -> Part | None:
        self._losses.lose("content.refusal", "it stands as plain text")
        return {"text": block.text} if block.text else None

    def _own(self, thought: Reasoning) -> Reasoning:
        """Return what Google may read of a thought: of another provider's, the text."""
        if thought.origin in ("", _DIALECT):
            return thought
        if thought.redacted and not thought.text:
            self._losses.lose("reasoning", "only the provider that thought it can read it")
        elif thought.signature or thought.redacted:
            self._losses.lose("reasoning.signature", "only the provider that thought it can check it")
        return Reasoning(text=thought.text)

    def _foreign(self, block: Foreign) -> Part | None:
        if block.origin == _DIALECT:
            return block.value
        self._losses.lose("content.foreign", f"only {block.origin or 'its own provider'} can read it")
        return None

    def _media(self, block: Image | Audio | Video | Document) -> Part | None:
        name, otherwise = _KINDS[type(block)]
        if isinstance(block, Image) and block.detail:
            self._losses.lose("image.detail", "Gemini chooses the resolution itself")
        if isinstance(block, Document):
            self._lose_of_document(block)
            if block.source is None:
                return {"text": block.text} if block.text else None
        part = None if block.source is None else write_source(block.source, otherwise)
        if part is None:
            self._losses.lose(name, "the file is kept by another provider, and only there")
        return part

    def _lose_of_document(self, block: Document) -> None:
        for name, value in (
            ("document.title", block.title),
            ("document.context", block.context),
            ("document.cite", block.cite),
        ):
            if value:
                self._losses.lose(name)

    def _result(self, block: ToolResult) -> Part:
        said: list[str] = []
        media: list[Part] = []
        for inner in block.content:
            part = self.part(inner)
            if isinstance(inner, Text):
                said.append(inner.text)
            elif part is not None and "text" in part:
                said.append(part["text"])
            elif part is not None:
                media.append(part)
        told: Part = {"id": block.id} if block.id else {}
        told |= {"name": block.name or "unknown", "response": _response(said, failed=block.is_error)}
        if media and self._nests:
            told["parts"] = media
        elif media:
            self._losses.lose("tool_result.content", "media stand beside the result, not in it")
            self.following += media
        return {"functionResponse": told}

    _WRITERS: ClassVar[dict[type, Callable[..., Part | None]]] = {
        Text: _text,
        ToolCall: _call,
        ToolResult: _result,
        Reasoning: _thought,
        Refusal: _refusal,
        Foreign: _foreign,
    }


def write_call(call: ToolCall) -> Part:
    """Return the part of a call, with its signature."""
    told: Part = {"id": call.id} if call.id else {}
    told |= {"name": call.name, "args": arguments_object(call.arguments)}
    if call.signature:
        return {"functionCall": told, "thoughtSignature": call.signature}
    return {"functionCall": told}


def write_thought(thought: Reasoning) -> Part | None:
    """Return the part of a thought, with its signature."""
    signature = thought_signature(thought)
    if not (thought.text or signature):
        return None
    part: Part = {"text": thought.text, "thought": True}
    return {**part, "thoughtSignature": signature} if signature else part


def _response(said: list[str], *, failed: bool) -> Part:
    """Return the object that a tool's text has to be: itself, if it is one, else wrapped as Google documents it."""
    if not said:
        return {_ERROR: ""} if failed else {}
    text = "\n".join(said)
    if not failed and text[:1] == "{":
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, dict):
            return value
    return {_ERROR if failed else _OUTPUT: text}
