"""Canonical turns written as messages, as Cohere takes them; documents stand apart from them."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import (
    Audio,
    Block,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy_cohere.citations import document_name
from llmproxy_cohere.turns import ORIGIN, PLAN

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest, Losses

#: What a loss is called of blocks that have no place where they stand.
_LOST: Final[dict[type[Block], str]] = {
    Image: "content.image",
    Audio: "content.audio",
    Video: "content.video",
    Document: "content.document",
    Reasoning: "reasoning",
}
_READABLE: Final = ("text/", "application/json", "application/xml", "application/yaml")


class Writer:
    """Writes one request's turns; `documents` are those that stood in them."""

    def __init__(self, losses: Losses, *, thinks: bool) -> None:
        self.documents: list[dict[str, Any]] = []
        self._losses = losses
        self._thinks = thinks
        self._out: list[dict[str, Any]] = []

    def write(self, request: GenerateRequest) -> list[dict[str, Any]]:
        """Return the messages."""
        if any(each.cache is not None for each in request.system):
            self._losses.lose("system.cache")
        if system := "\n\n".join(each.text for each in request.system if each.text):
            self._out.append({"role": "system", "content": system})
        for message in request.messages:
            if message.name:
                self._losses.lose("messages.name")
            if message.role == "assistant":
                self._assistant(message)
            elif message.role == "system":
                self._out.append({"role": "system", "content": self._instructions(message)})
            else:
                self._user(message)
        return self._out

    def _instructions(self, message: Message) -> str:
        parts = [self._part(block) for block in message.content if isinstance(block, Text)]
        if len(parts) < len(message.content):
            self._losses.lose("content.foreign", "instructions are text")
        return "\n\n".join(part["text"] for part in parts if part is not None)

    def _user(self, message: Message) -> None:
        """Write results one message each, first; then what the user says."""
        parts: list[dict[str, Any]] = []
        for block in message.content:
            if isinstance(block, ToolResult):
                parts += self._result(block)
            elif (part := self._part(block)) is not None:
                parts.append(part)
        if parts or not any(isinstance(block, ToolResult) for block in message.content):
            self._out.append({"role": "user", "content": _plainest(parts)})

    def _result(self, result: ToolResult) -> list[dict[str, Any]]:
        """Write a tool's result; return what of it is neither text nor document, and follows it in the user's turn."""
        if result.is_error:
            self._losses.lose("tool_result.is_error", "the result's text has to say that the tool failed")
        if result.cache is not None:
            self._losses.lose("content.cache")
        content: list[dict[str, Any]] = []
        moved: list[dict[str, Any]] = []
        for block in result.content:
            if isinstance(block, Document) and (data := self._data(block)) is not None:
                content.append({"type": "document", "document": {"data": data}})
            elif not isinstance(block, Document) and (part := self._part(block)) is not None:
                (content if part["type"] == "text" else moved).append(part)
        if moved:
            why = "what is no text in a tool's result follows it in a message of the user"
            self._losses.lose("tool_result.content", why)
        self._out.append({"role": "tool", "tool_call_id": result.id, "content": _plainest(content)})
        return moved

    def _part(self, block: Block) -> dict[str, Any] | None:
        if getattr(block, "cache", None) is not None:
            self._losses.lose("content.cache")
        if isinstance(block, Text):
            if block.citations:
                self._losses.lose("content.citations", "sources of earlier texts are not told again")
            return {"type": "text", "text": block.text}
        if isinstance(block, Image):
            return self._image(block)
        if isinstance(block, Document):
            if (data := self._data(block)) is not None:
                self.documents.append({"id": document_name(len(self.documents)), "data": data})
            return None
        self._losses.lose(_LOST.get(type(block), "content.foreign"))
        return None

    def _image(self, image: Image) -> dict[str, Any] | None:
        source = image.source
        if isinstance(source, FileRef):
            self._losses.lose("content.image", "the file is another provider's")
            return None
        url = source.url if isinstance(source, Link) else f"data:{source.media_type};base64,{source.data}"
        told = {"url": url}
        if image.detail in ("low", "high", "auto"):
            told["detail"] = image.detail
        elif image.detail:
            self._losses.lose("image.detail")
        return {"type": "image_url", "image_url": told}

    def _data(self, document: Document) -> dict[str, Any] | None:
        """Return a document's members; Cohere reads text alone."""
        text = document.text
        if text is None and isinstance(document.source, Inline):
            text = _decoded(document.source)
        if text is None:
            self._losses.lose("content.document", "only documents of text are read")
            return None
        data = {"title": document.title, "context": document.context, "text": text}
        return {key: value for key, value in data.items() if value}

    def _assistant(self, message: Message) -> None:
        calls = [block for block in message.content if isinstance(block, ToolCall)]
        content: list[dict[str, Any]] = []
        plan: list[str] = []
        for block in message.content:
            if isinstance(block, Text):
                self._said(block, content)
            elif isinstance(block, Refusal):
                content.append({"type": "text", "text": block.text})
            elif isinstance(block, Reasoning):
                self._thought(block, content, plan, planned=bool(calls))
            elif not isinstance(block, ToolCall):
                self._losses.lose(_LOST.get(type(block), "content.foreign"))
        told: dict[str, Any] = {"role": "assistant"}
        if content:
            told["content"] = _plainest(content)
        if plan:
            told["tool_plan"] = "".join(plan)
        if calls:
            told["tool_calls"] = [self._call(call) for call in calls]
        if len(told) > 1:
            self._out.append(told)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        if call.cache is not None:
            self._losses.lose("content.cache")
        if call.signature:
            self._losses.lose("tool_call.signature")
        function = {"name": call.name, "arguments": call.arguments}
        return {"id": call.id, "type": "function", "function": function}

    def _said(self, block: Text, content: list[dict[str, Any]]) -> None:
        if block.citations:
            self._losses.lose("content.citations", "sources of earlier answers are not told again")
        if block.cache is not None:
            self._losses.lose("content.cache")
        if block.signature:
            self._losses.lose("reasoning.signature")
        if block.text:
            content.append({"type": "text", "text": block.text})

    def _thought(
        self, block: Reasoning, content: list[dict[str, Any]], plan: list[str], *, planned: bool
    ) -> None:
        """Write a thought as what it was: Cohere's own, or one that nobody signed; others are their providers'."""
        if block.signature or block.redacted:
            self._losses.lose("reasoning.signature", "it proves the thought to another provider alone")
        if block.origin not in ("", ORIGIN) or not block.text:
            self._losses.lose("reasoning", "another provider's thoughts")
        elif planned and (block.id == PLAN or not self._thinks):
            plan.append(block.text)
        elif self._thinks and block.id != PLAN:
            content.append({"type": "thinking", "thinking": block.text})
        else:
            self._losses.lose("reasoning", "the model takes no thoughts of earlier turns")


def _plainest(parts: list[dict[str, Any]]) -> Any:
    """Return a content as it is written most plainly: one text is a string."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _decoded(source: Inline) -> str | None:
    if not source.media_type.startswith(_READABLE):
        return None
    try:
        return base64.b64decode(source.data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
