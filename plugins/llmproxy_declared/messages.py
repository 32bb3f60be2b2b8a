"""Messages, pictures and tools, written in the shapes that an endpoint wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from llmproxy.canonical import HostedTool, Image, Inline, Link, Tool, ToolCall, ToolResult
from llmproxy_declared.sources import NO_PLACE
from llmproxy_declared.texts import result_text, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmproxy.canonical import Block, Losses, Message, Text
    from llmproxy_declared.shapes import Shapes


class MessageWriter:
    """Writes the messages of one request; `roles` are the endpoint's words for them.

    `tools` says whether calls of tools are written, `apart` whether pictures have a place beside the messages.
    """

    def __init__(
        self, shapes: Shapes, roles: Mapping[str, Any], losses: Losses, *, tools: bool, apart: bool = False
    ) -> None:
        self._shapes = shapes
        self._roles = roles
        self._losses = losses
        self._tools = tools
        self._apart = apart

    def write(self, system: Sequence[Text], messages: Sequence[Message]) -> list[Any]:
        """Write instructions, if they belong here, and messages."""
        written: list[Any] = []
        if system:
            written.append(self._one("system", system))
        for message in messages:
            written += self._message(message)
        return [each for each in written if each is not None]

    def _message(self, message: Message) -> list[Any]:
        written, content = [], list(message.content)
        if self._tools:
            written = [self._result(block) for block in content if isinstance(block, ToolResult)]
            content = [block for block in content if not isinstance(block, ToolResult)]
        if content or not written:
            written.append(self._one(message.role, content, message.name))
        return written

    def _one(self, role: str, content: Sequence[Block], name: str = "") -> Any:
        calls = [self._call(block) for block in content if isinstance(block, ToolCall)] if self._tools else []
        images = [block for block in content if isinstance(block, Image)]
        parted = bool(images) and self._shapes.has("image")
        carried = [ToolCall] * self._tools + [Image] * (parted or self._apart)
        text = text_of(content, self._losses, carried)
        values: dict[str, Any] = {"role": self._roles.get(role, role)}
        if text or not calls:
            values |= {"text": text, "content": text}
        if parted:
            values["content"] = self._parts(content)
        if calls:
            values["tool_calls"] = calls
        if name and self._shapes.uses("message", "name"):
            values["name"] = name
        elif name:
            self._losses.lose("messages.name", NO_PLACE)
        return self._shapes.write("message", values)

    def _parts(self, content: Sequence[Block]) -> list[Any]:
        parts = []
        for block in content:
            if isinstance(block, Image):
                parts.append(self._image(block))
            elif (text := text_of([block], self._losses, (ToolCall,))) != "":
                parts.append(self._shapes.write("text", {"text": text}))
        return [part for part in parts if part is not None]

    def _image(self, block: Image) -> Any:
        if block.detail and block.detail != "auto":
            self._losses.lose("image.detail", NO_PLACE)
        source = block.source
        if isinstance(source, Inline):
            url = f"data:{source.media_type};base64,{source.data}"
            values = {"media_type": source.media_type, "data": source.data, "url": url}
            return self._shapes.write("image", values)
        if isinstance(source, Link) and self._shapes.uses("image", "url"):
            return self._shapes.write("image", {"url": source.url, "media_type": source.media_type})
        self._losses.lose("content.image", "it is known to another provider alone")
        return None

    def _call(self, block: ToolCall) -> Any:
        try:
            given = orjson.loads(block.arguments)
        except orjson.JSONDecodeError:
            given = {}
        values = {"id": block.id, "name": block.name, "arguments": block.arguments, "input": given}
        return self._shapes.write("tool_call", values)

    def _result(self, block: ToolResult) -> Any:
        values = {"role": self._roles.get("tool", "tool"), "id": block.id}
        values |= {"text": result_text(block, self._losses)}
        if block.name:
            values["name"] = block.name
        if block.is_error and self._shapes.uses("tool_result", "is_error"):
            values["is_error"] = True
        elif block.is_error:
            self._losses.lose("tool_result.is_error", NO_PLACE)
        return self._shapes.write("tool_result", values)


def written_tools(tools: Sequence[Tool | HostedTool], shapes: Shapes, losses: Losses) -> list[Any]:
    """Write the tools that callers run themselves; others no declared endpoint knows."""
    written = []
    for tool in tools:
        if isinstance(tool, HostedTool):
            losses.lose("tools.hosted", f"the provider does not run {tool.kind!r}")
            continue
        values: dict[str, Any] = {"name": tool.name}
        values |= {"description": tool.description} if tool.description else {}
        values |= {"parameters": tool.schema} if tool.schema is not None else {}
        values |= {"strict": tool.strict} if tool.strict is not None else {}
        if tool.strict and not shapes.uses("tool", "strict"):
            losses.lose("tools.strict", NO_PLACE)
        if tool.cache is not None:
            losses.lose("tools.cache", NO_PLACE)
        written.append(shapes.write("tool", values))
    return [tool for tool in written if tool is not None]


def pictures(messages: Sequence[Message], losses: Losses) -> list[str]:
    """Return the bytes of all pictures of a conversation, in base64."""
    found = []
    for message in messages:
        for block in message.content:
            if isinstance(block, Image) and isinstance(block.source, Inline):
                found.append(block.source.data)
            elif isinstance(block, Image):
                losses.lose("content.image", "it is known to another provider alone")
    return found
