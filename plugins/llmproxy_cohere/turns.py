"""A caller's messages as canonical turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from llmproxy.canonical import (
    Block,
    Document,
    Image,
    Inline,
    Link,
    Message,
    Reasoning,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy.canonical.fields import members, objects, required_text, rest, text, wrong
from llmproxy.plugin import BadField
from llmproxy_cohere.citations import read_citations

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

#: What marks the thought that a model tells before it calls tools.
PLAN: Final = "tool_plan"
ORIGIN: Final = "cohere"

_PART: Final = "messages[].content[]."
_CALL: Final = "messages[].tool_calls[]."
_MESSAGE: Final = frozenset({"role", "content", "tool_calls", "tool_plan", "citations", "tool_call_id"})
#: Where a document's words may stand.
_TEXTS: Final = ("text", "snippet", "content")


def read_turns(
    asked: dict[str, Any], losses: Losses, *, cited: bool
) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """Return instructions and conversation; the request's documents stand in the user's last turn."""
    reader = _Reader(losses)
    for message in objects(asked, "messages"):
        reader.take(message)
    told = asked.get("documents")
    if told is not None and type(told) is not list:
        raise wrong("documents", "a list of texts or documents")
    documents = tuple(read_document(each, "documents[].", losses, cited=cited) for each in told or ())
    if documents:
        reader.put(documents)
    if not reader.messages and not reader.system:
        raise BadField("missing_field", "'messages' must hold at least one message.", "messages")
    return tuple(reader.system), tuple(reader.messages)


class _Reader:
    """Reads messages one after another; results of tools that follow one another are one turn."""

    def __init__(self, losses: Losses) -> None:
        self.system: list[Text] = []
        self.messages: list[Message] = []
        self._losses = losses
        self._names: dict[str, str] = {}
        self._answering = False

    def take(self, message: dict[str, Any]) -> None:
        """Read one message."""
        role = required_text(message, "role", "messages[].").lower()
        rest(message, _MESSAGE, "messages[].", self._losses)
        answering, self._answering = self._answering, role == "tool"
        if role == "tool":
            self._result(message, follows=answering)
        elif role == "assistant":
            self.messages.append(Message("assistant", tuple(self._said(message))))
        elif role == "user":
            self.messages.append(Message("user", tuple(self._content(message))))
        elif role in ("system", "developer"):
            self._instruct(message)
        else:
            known = "'user', 'assistant', 'system' or 'tool'"
            raise BadField("invalid_value", f"'messages[].role' must be {known}.", "messages[].role")

    def put(self, documents: tuple[Block, ...]) -> None:
        """Put documents before what the user said last."""
        for at in range(len(self.messages) - 1, -1, -1):
            message = self.messages[at]
            if message.role == "user" and not any(isinstance(each, ToolResult) for each in message.content):
                content = (*documents, *message.content)
                self.messages[at] = msgspec.structs.replace(message, content=content)
                return
        self.messages.insert(0, Message("user", documents))

    def _instruct(self, message: dict[str, Any]) -> None:
        texts = tuple(block for block in self._content(message) if isinstance(block, Text))
        if self.messages:
            self.messages.append(Message("system", texts))
        else:
            self.system += texts

    def _content(self, message: dict[str, Any]) -> list[Block]:
        content = message.get("content")
        if content is None or type(content) is str:
            return [Text(content)] if content else []
        blocks = (self._part(part) for part in objects(message, "content", "messages[]."))
        return [block for block in blocks if block is not None]

    def _part(self, part: dict[str, Any]) -> Block | None:
        kind = required_text(part, "type", _PART)
        if kind == "text":
            said = text(part, "text", _PART)
            return Text(said) if said else None
        if kind == "thinking":
            return Reasoning(text(part, "thinking", _PART), origin=ORIGIN)
        if kind == "image_url":
            return self._image(part)
        if kind == "document":
            return read_document(part.get("document"), f"{_PART}document.", self._losses, cited=True)
        self._losses.add(f"{_PART}{kind[:60]}", "the gateway does not know this kind of part")
        return None

    def _image(self, part: dict[str, Any]) -> Image:
        told = part.get("image_url")
        url = {"url": told} if type(told) is str else members(part, "image_url", _PART) or {}
        source = source_of(required_text(url, "url", f"{_PART}image_url."))
        return Image(source, text(url, "detail", f"{_PART}image_url."))

    def _said(self, message: dict[str, Any]) -> list[Block]:
        blocks = self._content(message)
        citations = read_citations(message.get("citations"))
        at = next((at for at, block in enumerate(blocks) if isinstance(block, Text)), None)
        if citations and at is None:
            self._losses.add("messages[].citations", "they are of a text that is not there")
        elif at is not None:
            blocks[at] = msgspec.structs.replace(blocks[at], citations=citations)
        if plan := text(message, "tool_plan", "messages[]."):
            self._losses.names = {**self._losses.names, "reasoning": "messages[].tool_plan"}
            blocks.append(Reasoning(plan, origin=ORIGIN, id=PLAN))
        return blocks + [self._call(call) for call in objects(message, "tool_calls", "messages[].")]

    def _call(self, call: dict[str, Any]) -> ToolCall:
        told = members(call, "function", _CALL) or {}
        name, tool = text(call, "id", _CALL), required_text(told, "name", f"{_CALL}function.")
        self._names[name] = tool
        return ToolCall(name, tool, read_arguments(told.get("arguments")))

    def _result(self, message: dict[str, Any], *, follows: bool) -> None:
        name = text(message, "tool_call_id", "messages[].")
        result = ToolResult(name, tuple(self._content(message)), self._names.get(name, ""))
        if follows:
            last = self.messages[-1]
            self.messages[-1] = msgspec.structs.replace(last, content=(*last.content, result))
        else:
            self.messages.append(Message("user", (result,)))


def read_arguments(told: Any) -> str:
    """Return a call's arguments as the JSON text of an object; Cohere writes none as nothing, or as null."""
    if told is None:
        return "{}"
    written = told if type(told) is str else orjson.dumps(told).decode()
    return "{}" if written.strip() in ("", "null") else written


def source_of(url: str) -> Source:
    """Return what a URL names: bytes of its own, or something on the web."""
    if url[:5].lower() != "data:":
        return Link(url)
    head, _, data = url[5:].partition(",")
    media_type, _, coding = head.partition(";")
    if coding.rpartition(";")[2] != "base64" and coding != "base64":
        raise BadField("invalid_value", "Data URLs must be base64.", f"{_PART}image_url.url")
    return Inline(media_type or "application/octet-stream", data)


def read_document(told: Any, at: str, losses: Losses, *, cited: bool) -> Document:
    """Read a document: a text, or an object of texts of which one may be its own and one its title."""
    if type(told) is str:
        return Document(text=told, cite=cited)
    if type(told) is not dict:
        raise wrong(at.rstrip("."), "a text or a document")
    data = members(told, "data", at)
    if told.get("id") is not None and at != "documents[].":
        losses.add(f"{at}id", "a document in a tool's result has no name")
    if data is None:
        data = {key: value for key, value in told.items() if key != "id"}
    own = next((key for key in _TEXTS if type(data.get(key)) is str), "")
    title = data.get("title")
    left = {key: value for key, value in data.items() if key not in (own, "title") and value is not None}
    if not own:
        return Document(text=_listed(data), title=title if type(title) is str else "", cite=cited)
    if left:
        losses.add(f"{at}data", "members beside text and title are told as its context")
    return Document(
        text=data[own], title=title if type(title) is str else "", context=_listed(left), cite=cited
    )


def _listed(data: dict[str, Any]) -> str:
    """Write members a line each, as Cohere's own templates show them."""
    return "\n".join(
        f"{key}: {value if type(value) is str else orjson.dumps(value).decode()}"
        for key, value in data.items()
        if key != "title"
    )
