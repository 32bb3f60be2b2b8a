"""A conversation's messages in the canonical form."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import (
    Block,
    Losses,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy.plugin import BadField
from llmproxy_ollama.fields import lose_rest, members, objects, text, texts, wrong
from llmproxy_ollama.pictures import read_picture
from llmproxy_ollama.toolcalls import OpenCalls, arguments_of

_MESSAGE: Final = frozenset(
    {"role", "content", "thinking", "images", "tool_calls", "tool_name", "name", "tool_call_id"}
)
_CALL: Final = frozenset({"id", "type", "function"})
_FUNCTION: Final = frozenset({"index", "name", "arguments"})


class Turns:
    """Reads messages one after the other; results of tools that follow each other are one turn."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._calls = OpenCalls()
        self.system: list[Text] = []
        self.messages: list[Message] = []

    def take(self, told: dict[str, Any], at: str) -> None:
        """Read one message, which stands at `at` (with a dot at its end)."""
        lose_rest(told, _MESSAGE, "messages[].", self._losses)
        role, content = text(told, "role", at), text(told, "content", at)
        if role == "system":
            self._instruct(content)
        elif role == "tool":
            self._result(told, content, at)
        elif role == "assistant":
            self._answer(told, content, at)
        elif role == "user":
            blocks: list[Block] = [Text(text=content)] if content else []
            blocks += map(read_picture, texts(told, "images", at))
            if blocks:
                self.messages.append(Message(role="user", content=tuple(blocks)))
        else:
            raise BadField(
                "invalid_value", f"'{at}role' must be system, user, assistant or tool.", f"{at}role"
            )

    def _instruct(self, content: str) -> None:
        if not content:
            return
        if self.messages:
            self.messages.append(Message(role="system", content=(Text(text=content),)))
        else:
            self.system.append(Text(text=content))

    def _answer(self, told: dict[str, Any], content: str, at: str) -> None:
        thought = text(told, "thinking", at)
        blocks: list[Block] = [Reasoning(text=thought)] if thought else []
        if content:
            blocks.append(Text(text=content))
        blocks += [self._call(each, at) for each in objects(told, "tool_calls", at)]
        if texts(told, "images", at):
            self._losses.add("messages[].images[]", "only users' messages may hold pictures")
        if blocks:
            self.messages.append(Message(role="assistant", content=tuple(blocks)))

    def _call(self, told: dict[str, Any], at: str) -> ToolCall:
        lose_rest(told, _CALL, "messages[].tool_calls[].", self._losses)
        function = members(told, "function", f"{at}tool_calls[].")
        lose_rest(function, _FUNCTION, "messages[].tool_calls[].function.", self._losses)
        name = text(function, "name", f"{at}tool_calls[].function.")
        try:
            arguments = arguments_of(function.get("arguments"))
        except ValueError:
            raise wrong(f"{at}tool_calls[].function.arguments", "an object") from None
        given = self._calls.opened(name, text(told, "id", f"{at}tool_calls[]."), arguments)
        return ToolCall(id=given, name=name, arguments=arguments)

    def _result(self, told: dict[str, Any], content: str, at: str) -> None:
        named = text(told, "tool_name", at) or text(told, "name", at)
        given, name = self._calls.answered(text(told, "tool_call_id", at), named)
        blocks: list[Block] = [Text(text=content)] if content else []
        blocks += map(read_picture, texts(told, "images", at))
        result = ToolResult(id=given, name=name, content=tuple(blocks))
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "user" and all(isinstance(b, ToolResult) for b in last.content):
            self.messages[-1] = Message(role="user", content=(*last.content, result))
        else:
            self.messages.append(Message(role="user", content=(result,)))
