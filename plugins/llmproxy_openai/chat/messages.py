"""Turns written as chat messages, as the provider takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmproxy.canonical import (
    Audio,
    Block,
    Document,
    Image,
    Message,
    Text,
    ToolResult,
    Video,
)
from llmproxy_openai.chat import parts
from llmproxy_openai.chat.assistant import Assistant
from llmproxy_openai.chat.toolcalls import fitting_id

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest, Losses
    from llmproxy.plugin import Quirks

_MOVED: Final = "what is no text in a tool's result follows it in a message of the user"


class Writer:
    """Writes one request's turns; everything that a provider may be peculiar in is in `quirks`."""

    def __init__(self, quirks: Quirks, losses: Losses) -> None:
        self._quirks = quirks
        self._losses = losses
        self._nine = quirks.tool_ids == "nine"
        self._assistant = Assistant(quirks, losses)
        self._out: list[dict[str, Any]] = []

    def write(self, request: GenerateRequest) -> list[dict[str, Any]]:
        """Return the messages."""
        if request.system:
            self._system(request.system, "", "system.cache")
        for message in request.messages:
            if message.role == "user":
                self._user(message)
            elif message.role == "assistant":
                self._put("assistant", message.name, **self._assistant.write(message.content))
            else:
                texts = tuple(block for block in message.content if isinstance(block, Text))
                self._system(texts, message.name, "content.cache")
        return self._out

    def _system(self, texts: tuple[Text, ...], name: str, marked: str) -> None:
        """Write instructions; as one string unless a mark stands between them: many servers take no list there."""
        for text in texts:
            parts.report_text(text, self._losses)
        marks = [text for text in texts if text.cache is not None]
        if marks and parts.takes_marks(self._quirks.extras):
            content: Any = [parts.write_text(text, self._quirks.extras, self._losses) for text in texts]
        else:
            content = "\n\n".join(text.text for text in texts)
            if marks:
                self._losses.lose(marked)
        self._put(self._quirks.system_role, name, content=content)

    def _put(self, role: str, name: str, **members: Any) -> None:
        message: dict[str, Any] = {"role": role, **members}
        if name and "messages.name" in self._quirks.refused:
            self._losses.lose("messages.name")
        elif name:
            message["name"] = name
        self._out.append(message)

    def _user(self, message: Message) -> None:
        """Write results one message each, first; then what the user says."""
        rest: list[dict[str, Any]] = []
        said: list[Block] = []
        for block in message.content:
            if isinstance(block, ToolResult):
                rest += self._result(block)
            else:
                said.append(block)
        rest += [part for block in said if (part := self._part(block)) is not None]
        if rest or not any(isinstance(block, ToolResult) for block in message.content):
            self._put("user", message.name, content=_content(rest))
        elif message.name:
            self._losses.lose("messages.name")

    def _result(self, result: ToolResult) -> list[dict[str, Any]]:
        """Write a tool's result; return what of it has to stand elsewhere."""
        texts: list[str] = []
        moved: list[dict[str, Any]] = []
        cache = result.cache
        for block in result.content:
            cache = cache or getattr(block, "cache", None)
            part = self._part(_unmarked(block))
            if part is not None and part["type"] == "text":
                texts.append(part["text"])
            elif part is not None:
                moved.append(part)
        if moved:
            self._losses.lose("tool_result.content", _MOVED)
        if result.is_error:
            self._losses.lose("tool_result.is_error", "the result's text has to say that the tool failed")
        content: Any = "\n".join(texts)
        if cache is not None:
            part = {"type": "text", "text": content}
            parts.mark(part, cache, self._quirks.extras, self._losses)
            content = _content([part])
        name = fitting_id(result.id, nine=self._nine)
        self._out.append({"role": "tool", "tool_call_id": name, "content": content})
        return moved

    def _part(self, block: Block) -> dict[str, Any] | None:
        part: dict[str, Any] | None = None
        if isinstance(block, Text):
            return parts.write_text(block, self._quirks.extras, self._losses)
        if isinstance(block, Image):
            part = parts.write_image(block, self._losses)
        elif isinstance(block, Audio):
            part = parts.write_audio(block, self._losses)
        elif isinstance(block, Video):
            part = parts.write_video(block, self._quirks.extras, self._losses)
        elif isinstance(block, Document):
            part = parts.write_document(block, self._losses)
        else:
            self._losses.lose("content.foreign")
            return None
        if part is not None and block.cache is not None:
            parts.mark(part, block.cache, self._quirks.extras, self._losses)
        return part


def _unmarked(block: Block) -> Block:
    return msgspec.structs.replace(block, cache=None) if getattr(block, "cache", None) else block


def _content(written: list[dict[str, Any]]) -> Any:
    """Return a content as it is written most plainly: one text without a mark is a string."""
    if not written:
        return ""
    if len(written) == 1 and written[0].keys() == {"type", "text"}:
        return written[0]["text"]
    return written
